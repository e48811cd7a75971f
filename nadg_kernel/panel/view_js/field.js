// Fields that are being edited.

// What a stranger asks about, told on hover.
const HELP = {
  depends_on: "Subtasks that have to be done before this one starts",
  inputs: "Data and results that the code gets, by these names, in `inputs`; nothing else is sent to the worker",
  map: "Divide this input into shards that run side by side; the result is a list with one value per shard",
  labels: "Only workers that carry all of these labels run it, such as gpu",
  timeout_s: "Seconds after which an attempt is stopped and fails",
  memory_mb: "Megabytes that the code and all it starts may use",
  priority: "Of what is ready, a higher number starts first",
  retries: "How often it is tried again after its code has failed; lost workers are always replaced",
  cache: "Reuse the result of the same code over the same inputs: auto does, except for prompts and with network",
  id: "The name by which other subtasks use the result",
  network: "The code may connect to public addresses through the worker's proxy",
  processes_allowed: "The code may start other programs",
  gpu: "The code may use the worker's GPU",
  hold: "Do not start it until it is released",
};

// A field shows what was typed while it is on its way, and what Python says otherwise. A refusal stays beside it.
class Field {
  constructor(ui, item, name, label, control, options = {}) {
    Object.assign(this, { ui, subtask: item.id, name, control, options });
    this.key = `${item.id}/${name}`;
    this.error = h("div", { class: "nadg-fielderror", role: "alert", id: `${ui.uid}-e-${name}` });
    control.id = `${ui.uid}-f-${name}`;
    control.setAttribute("aria-describedby", this.error.id);
    this.node = h("div", { class: `nadg-field ${options.class ?? ""}`, title: HELP[name] }, label && h("label", { for: control.id }, label), options.around ?? control, this.error);
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
