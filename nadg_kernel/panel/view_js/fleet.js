// The workers: who can work, how busy, how confined; added, asked and forgotten here.

class Fleet {
  constructor(ui) {
    this.ui = ui;
    this.url = h("input", { type: "text", id: `${ui.uid}-url`, placeholder: ["https:", "", "you-nadg-worker.hf.space"].join("/"), spellcheck: "false", autocapitalize: "off" });
    this.note = h("div", { class: "nadg-fielderror", role: "alert", id: `${ui.uid}-fleet-note` });
    this.url.setAttribute("aria-describedby", this.note.id);
    this.addButton = h("button", { type: "submit", class: "nadg-btn" }, "Add worker");
    this.pingButton = button("Ask all now", () => ui.link.send("ping"), { title: "Ask every registered worker" });
    this.table = h("div", { class: "nadg-scroll" });
    const form = h("form", { class: "nadg-formline", "aria-label": "Add a worker", onsubmit: (event) => { event.preventDefault(); ui.link.send("add_worker", { url: this.url.value }); } },
      h("label", { for: this.url.id }, "Worker's URL"), this.url, this.addButton, this.pingButton);
    this.node = h("div", { class: "nadg-fleet" }, this.table, form, this.note,
      h("p", { class: "nadg-dim" }, "Local workers are started with the grid and end with it. A worker elsewhere is added by its URL, once NADG_GRID_SECRET is set here and its token there."));
  }

  show(fleet) {
    this.node.hidden = !fleet;
    if (!fleet) return;
    const kept = this.table.contains(document.activeElement) ? document.activeElement.dataset.worker : null;
    const head = ["worker", "state", "load", "latency", "labels", "sandbox", ""].map((name) => h("th", { scope: "col" }, name || h("span", { class: "nadg-unseen" }, "remove")));
    this.table.replaceChildren(fleet.workers.length ? h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, fleet.workers.map((worker) => this.row(worker)))) : h("p", { class: "nadg-dim" }, "There is no worker yet: local ones are being started, or add one below."));
    if (kept) [...this.table.querySelectorAll("button")].find((item) => item.dataset.worker === kept)?.focus();
    if (this.note.textContent !== fleet.note) this.note.textContent = fleet.note;
    this.note.classList.toggle("nadg-good", !fleet.refused);
    this.url.toggleAttribute("aria-invalid", fleet.refused);
    if (this.sent && fleet.note && !fleet.refused && !fleet.busy) this.url.value = "";
    this.sent = fleet.busy;
    this.addButton.disabled = this.pingButton.disabled = fleet.busy;
  }

  row(worker) {
    const tone = { ready: "ok", waking: "run", offline: "bad", refusing: "bad" }[worker.health] ?? "";
    const share = worker.capacity ? Math.min(1, worker.running / worker.capacity) : 0;
    return h("tr", {},
      h("th", { scope: "row" }, worker.id, h("div", { class: "nadg-dim" }, worker.place)),
      h("td", {}, chip(worker.health, tone), worker.reason ? h("div", { class: "nadg-badtext" }, worker.reason) : null),
      h("td", {}, h("div", { class: "nadg-load" }, bar(share, share >= 1 ? "warn" : "run"), ` ${worker.running} of ${worker.capacity}`)),
      h("td", { class: "nadg-number" }, worker.latency === null ? "not known" : `${worker.latency} ms`),
      h("td", {}, h("span", { class: "nadg-chips" }, worker.labels.map((label) => chip(label)))),
      h("td", {}, worker.weak ? chip("weak sandbox", "warn") : null, h("details", {}, h("summary", {}, `${worker.layers.length} layers active`), h("div", { class: "nadg-dim" }, worker.layers.join(", "))),
        worker.missing.map((text) => h("div", { class: "nadg-warntext" }, text))),
      h("td", {}, worker.local ? null : button("Remove", () => this.ui.link.send("remove_worker", { worker: worker.id }), { class: "nadg-btn nadg-ghost", "data-worker": worker.id, "aria-label": `Remove ${worker.id}` })));
  }
}
