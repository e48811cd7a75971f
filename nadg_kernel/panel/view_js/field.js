// Fields that are being edited.

// A field shows what was typed while it is on its way, and what Python says otherwise. A refusal stays beside it.
class Field {
  constructor(ui, item, name, label, control, options = {}) {
    Object.assign(this, { ui, subtask: item.id, name, control, options });
    this.key = `${item.id}/${name}`;
    this.error = h("div", { class: "nadg-fielderror", role: "alert", id: `${ui.uid}-e-${name}` });
    control.id = `${ui.uid}-f-${name}`;
    control.setAttribute("aria-describedby", this.error.id);
    this.node = h("div", { class: `nadg-field ${options.class ?? ""}` }, label && h("label", { for: control.id }, label), options.around ?? control, this.error);
    if (options.typed) {
      control.addEventListener("focus", () => { this.burst = `${ui.link.prefix}-b${++ui.bursts}`; });
      control.addEventListener("input", () => this.typing());
      control.addEventListener("blur", () => this.flush());
    } else {
      control.addEventListener("change", () => this.commit());
      if (control.tagName === "INPUT" && control.type !== "checkbox") control.addEventListener("input", () => ui.local.set(this.key, { value: this.read() }));
    }
  }

  read() { return this.control.type === "checkbox" ? this.control.checked : this.options.read ? this.options.read() : this.control.value; }

  typing() {
    this.ui.local.set(this.key, { value: this.read() });
    this.options.onshow?.(this.read());
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE);
  }

  flush() {
    clearTimeout(this.timer);
    const local = this.ui.local.get(this.key);
    if (local && local.sent !== local.value) this.commit();
  }

  commit() {
    const value = this.read();
    this.ui.local.set(this.key, { value, sent: value });
    this.node.classList.add("nadg-sending");
    this.ui.link.send("edit", { subtask: this.subtask, field: this.name, value, burst: this.burst ?? "" }, { key: this.key });
  }

  show(value) {
    const local = this.ui.local.get(this.key);
    const wanted = local ? local.value : value;
    this.node.classList.toggle("nadg-sending", Boolean(local && local.sent !== undefined && !local.error));
    this.error.textContent = local?.error ?? "";
    this.control.toggleAttribute("aria-invalid", Boolean(local?.error));
    if (this.control.type === "checkbox") this.control.checked = Boolean(wanted);
    else if (this.options.write) this.options.write(wanted);
    else if (this.control.value !== wanted) this.control.value = wanted;
    this.options.onshow?.(wanted);
  }
}
