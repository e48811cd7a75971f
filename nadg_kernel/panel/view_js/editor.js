// The editor.

class Editor {
  constructor(ui, item) {
    this.ui = ui;
    this.id = item.id;
    this.tab = "code";
    const text = (name, label, props = {}, options = {}) => new Field(ui, item, name, label, h("input", { type: "text", ...props }), options);
    const area = h("textarea", { rows: 1, class: "nadg-instr", placeholder: "What this subtask should do, in words" });
    this.code = new CodeBox(`Code of ${item.name}`);
    this.change = h("span");
    this.title = text("title", null, { class: "nadg-title", "aria-label": "Title", maxlength: 200 }, { typed: true, class: "nadg-grow" });
    this.number = h("span", { class: "nadg-n" });
    this.codeField = new Field(ui, item, "code", null, this.code.area, { typed: true, around: this.code.node, class: "nadg-wide", onshow: (value) => this.code.paint(value) });
    this.fields = {
      title: this.title,
      instruction: new Field(ui, item, "instruction", null, area, { typed: true, class: "nadg-wide" }),
      code: this.codeField,
      labels: text("labels", "Needs labels", { placeholder: "any worker", size: 10 }),
      timeout_s: text("timeout_s", "Timeout (s)", { inputmode: "decimal", size: 6 }),
      memory_mb: text("memory_mb", "Memory (MB)", { inputmode: "numeric", size: 6 }),
      priority: text("priority", "Priority", { inputmode: "numeric", size: 4 }),
      retries: text("retries", "Retries", { inputmode: "numeric", size: 4 }),
      cache: new Field(ui, item, "cache", "Cache", h("select", {}, ["auto", "on", "off"].map((word) => h("option", {}, word)))),
      id: text("id", "Id", { class: "nadg-mono", spellcheck: "false", size: 14 }),
    };
    area.setAttribute("aria-label", "Instruction");
    for (const [name, label] of [["network", "Network"], ["processes_allowed", "Processes"], ["gpu", "GPU"], ["hold", "Hold"]]) {
      const box = h("input", { type: "checkbox", role: "switch" });
      this.fields[name] = new Field(ui, item, name, null, box, { around: h("label", { class: "nadg-switch" }, box, h("span", {}, label)), class: "nadg-sw" });
    }
    this.names = { depends_on: this.nameList(item, "depends_on", "After"), inputs: this.nameList(item, "inputs", "Inputs") };
    this.map = this.mapField(item);
    this.problems = h("ul", { class: "nadg-problems", "aria-label": "Problems" });
    this.tabs = h("div", { class: "nadg-tabs", role: "tablist" });
    this.diff = h("div", { class: "nadg-code nadg-diff", role: "tabpanel", "aria-label": "Difference to the draft", tabindex: 0 });
    this.trial = h("div");
    this.ask = h("div");
    this.tryButton = button("Try this one", () => this.openTrial(), { title: "Run it, and what it needs, on a few rows: Alt+T", "data-trial": "open" });
    this.hint = h("div", { class: "nadg-dim nadg-hint" }, "Tab indents; Escape, then Tab leaves the code.");
    this.node = h("div", { class: "nadg-editor" },
      h("div", { class: "nadg-head" }, this.number, this.title.node, this.change, this.tryButton),
      this.ask, this.fields.instruction.node, this.tabs, this.codeField.node, this.diff, this.hint, this.problems, this.trial,
      h("div", { class: "nadg-meta" }, this.names.depends_on.node, this.names.inputs.node, this.map.node, this.fields.labels.node),
      h("div", { class: "nadg-meta nadg-short" }, ["timeout_s", "memory_mb", "priority", "retries", "cache", "id"].map((name) => this.fields[name].node)),
      h("fieldset", { class: "nadg-meta nadg-perms" }, h("legend", {}, "Permissions and hold"), ["network", "processes_allowed", "gpu", "hold"].map((name) => this.fields[name].node)));
  }

  nameList(item, name, label) {
    const chips = h("span", { class: "nadg-chips" });
    const pick = h("select", { "aria-label": `Add to ${label}` });
    const error = h("div", { class: "nadg-fielderror", role: "alert" });
    const send = (value) => this.ui.link.send("edit", { subtask: this.id, field: name, value }, { refused: (text) => { error.textContent = text; } });
    pick.addEventListener("change", () => { if (pick.value) send([...this.item[name], pick.value]); pick.value = ""; });
    let drawn = "";
    const node = h("div", { class: "nadg-field nadg-names", role: "group", "aria-label": label, title: HELP[name] }, h("span", { class: "nadg-label" }, label), h("span", { class: "nadg-chips" }, chips, pick), error);
    return { node, show: (now) => {
      error.textContent = "";
      const known = [...(name === "inputs" ? this.ui.plan.data.map((data) => data.name) : []), ...this.ui.plan.subtasks.map((other) => other.id).filter((id) => id !== now.id)];
      const key = JSON.stringify([now.id, now[name], known]);
      if (key === drawn) return; // hundreds of choices, and most answers leave them as they are
      chips.replaceChildren(...now[name].map((id) => h("span", { class: "nadg-chip" }, id, h("button", { type: "button", class: "nadg-x", "aria-label": `Remove ${id} from ${label}`, onclick: () => send(now[name].filter((other) => other !== id)) }, "×"))));
      const free = known.filter((id) => !now[name].includes(id));
      const fill = (names) => pick.replaceChildren(h("option", { value: "" }, now[name].length ? "add" : "none"), ...names.map((id) => h("option", { value: id }, id)));
      if (document.activeElement !== pick) { drawn = key; fill(free.length > EAGER ? [] : free); } // many names are listed when they are asked for
      pick.onfocus = () => { if (free.length > EAGER) fill(free); };
    } };
  }

  mapField(item) {
    const over = h("select", { "aria-label": "Map over" });
    const count = h("input", { type: "text", inputmode: "numeric", size: 5, "aria-label": "How many" });
    const unit = h("select", { "aria-label": "Unit" }, h("option", { value: "shards" }, "shards"), h("option", { value: "rows" }, "rows each"));
    const line = h("span", { class: "nadg-map" }, over, count, unit);
    const field = new Field(this.ui, item, "map", "Map over", over, {
      around: line,
      read: () => (over.value ? { over: over.value, count: count.value || "4", unit: unit.value } : null),
      write: (value) => {
        const names = [...this.ui.plan.data.map((data) => data.name), ...(this.item?.depends_on ?? [])];
        if (value && !names.includes(value.over)) names.push(value.over);
        over.replaceChildren(h("option", { value: "" }, "no map"), ...names.map((name) => h("option", { value: name }, name)));
        over.value = value?.over ?? "";
        if (document.activeElement !== count) count.value = value?.count ?? "";
        unit.value = value?.unit ?? "shards";
        count.hidden = unit.hidden = !value;
      },
    });
    for (const control of [count, unit]) control.addEventListener("change", () => field.commit());
    return field;
  }

  show(item) {
    this.item = item;
    this.number.textContent = item.n;
    this.change.replaceChildren(...(item.change ? [chip(item.change === "added" ? "added by you" : "edited by you", "edit")] : []));
    for (const [name, field] of Object.entries(this.fields)) field.show(item[name]);
    this.map.show(item.map);
    for (const list of Object.values(this.names)) list.show(item);
    this.code.mark(item.problems, this.code.area.value);
    this.code.area.setAttribute("aria-label", `${item.kind === "prompt" ? "Prompt" : "Code"} of ${item.name}`);
    this.problems.replaceChildren(...item.problems.map((problem) => h("li", { class: problem.blocks ? "nadg-problem" : "nadg-problem nadg-remark" },
      problem.line ? h("button", { type: "button", class: "nadg-link", onclick: () => { this.open("code"); this.code.jump(problem.line); } }, `Line ${problem.line}`) : null, problem.line ? ": " : "", problem.message)));
    this.open(item.diff.length ? this.tab : "code");
    this.showTrial();
  }

  showTrial() {
    const { trial } = this.ui.live;
    this.tryButton.disabled = Boolean(trial && (trial.trying || !trial.over)) || this.item.problems.some((problem) => problem.blocks);
    const key = JSON.stringify([trial?.rows?.[this.id], trial?.output?.id === this.id && trial.output, trial?.stale]);
    if (key === this.trialKey) return; // what is being read keeps its place
    this.trialKey = key;
    this.trial.replaceChildren(...trialOutput(this.ui, this.item));
  }

  openTrial() {
    if (this.tryButton.disabled) return;
    this.ui.leaveEditor();
    const close = () => { this.ask.replaceChildren(); this.tryButton.focus(); };
    this.ask.replaceChildren(trialAsk(this.ui, this.id, close));
    this.ask.querySelector("[data-trial=go]").focus();
  }

  open(tab) {
    this.tab = tab;
    const make = (name, text) => h("button", { type: "button", role: "tab", "aria-selected": tab === name, class: tab === name ? "nadg-on" : "", onclick: () => this.open(name) }, text);
    const changed = this.item.diff.filter(([mark]) => mark).length;
    const focused = this.tabs.contains(document.activeElement);
    this.tabs.replaceChildren(make("code", this.item.kind === "prompt" ? "Prompt" : "Code"), ...(this.item.diff.length ? [make("diff", `Difference to the draft (${changed})`)] : []));
    if (focused) this.tabs.querySelector(".nadg-on")?.focus();
    this.codeField.node.hidden = this.hint.hidden = tab !== "code";
    this.diff.hidden = tab !== "diff";
    if (tab === "diff") this.diff.replaceChildren(...diffLines(this.item.diff));
  }
}

// Whether a person is in a text field of this subtask's editor now.
function typedIn(ui, id) {
  const at = document.activeElement;
  return Boolean(ui.editor && ui.editor.id === id && inText(at) && ui.editor.node.contains(at) && ui.plan.subtasks?.some((item) => item.id === id));
}

function diffLines(lines) {
  let at = 0;
  return lines.map(([mark, text, number]) => {
    if (mark !== "-") at = number ?? at + 1;
    return h("div", { class: `nadg-line ${mark === "+" ? "nadg-add" : mark === "-" ? "nadg-del" : ""}` }, h("span", { class: "nadg-ln" }, `${mark || " "} ${mark === "-" || mark === "…" ? "" : at}`), h("span", { class: "nadg-tx" }, text || "\u200b"));
  });
}
