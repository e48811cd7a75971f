// Search: which rows the list shows. What is looked for is this view's own, like where it is scrolled to.

class Search {
  constructor(ui) {
    this.ui = ui;
    this.words = "";
    this.texts = new WeakMap(); // rows that an edit leaves alone stay the same objects
    this.input = h("input", { type: "search", placeholder: "Search title, instruction, code", "aria-label": "Search subtasks", title: "Ctrl+F or /; Escape shows all again", spellcheck: "false" });
    this.count = h("span", { class: "nadg-dim", role: "status" });
    this.node = h("div", { class: "nadg-search", role: "search" }, this.input, this.count);
    this.input.addEventListener("input", () => this.look(this.input.value));
    this.input.addEventListener("keydown", (event) => this.key(event));
  }

  look(words) {
    this.words = words.trim().toLowerCase();
    if (this.input.value.trim().toLowerCase() !== this.words) this.input.value = words;
    this.ui.list.scrollTop = 0;
    this.ui.revealed = -1;
    drawList(this.ui);
    this.ui.reveal();
  }

  // The rows to list, in the plan's order.
  rows() {
    const all = this.ui.plan.subtasks ?? [];
    this.node.hidden = !all.length;
    if (!this.words) { this.count.textContent = ""; return all; }
    const found = all.filter((item) => this.text(item).includes(this.words));
    const said = `${found.length} of ${all.length}`;
    if (this.count.textContent !== said) this.count.textContent = said; // said anew only when it changes
    return found;
  }

  text(item) {
    if (!this.texts.has(item)) this.texts.set(item, `${item.name}\n${item.instruction}\n${item.code}`.toLowerCase());
    return this.texts.get(item);
  }

  // The line of code that was found, where neither title nor instruction shows why a row is listed.
  line(item) {
    if (!this.words || `${item.name}\n${item.instruction}`.toLowerCase().includes(this.words)) return "";
    const lines = item.code.split("\n"), at = lines.findIndex((line) => line.toLowerCase().includes(this.words));
    return at < 0 ? "" : `${at + 1}: ${lines[at].trim()}`;
  }

  // A subtask that was added or chosen elsewhere must not stay hidden; one that was selected before may.
  keep(id) {
    if (id !== this.seen && this.words && !this.rows().some((item) => item.id === id)) this.look("");
    this.seen = id;
  }

  key(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.look("");
      this.ui.list.focus({ preventScroll: true });
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      const rows = this.rows();
      if (!rows.length) return;
      if (!rows.some((item) => item.id === this.ui.live.selected)) this.ui.select(rows[0].id);
      this.ui.list.focus({ preventScroll: true });
    }
  }
}
