// The Results page above its results: what can be kept as a file, and what should come next.

// A result that scrolls is reached with keys too; results come and go while the page is shown.
function reachResults(shell) {
  const box = shell.querySelector(".nadg-results");
  const mark = () => { for (const given of box.querySelectorAll(".nadg-given:not([role])")) { given.tabIndex = 0; given.setAttribute("role", "group"); given.setAttribute("aria-label", "Result"); } };
  const seen = new MutationObserver(mark);
  if (box) { mark(); seen.observe(box, { childList: true, subtree: true }); }
  return seen;
}

class Next {
  constructor(ui) {
    this.ui = ui;
    const refused = (text) => { this.error.textContent = text; };
    const send = (op, fields, note = {}) => { this.error.textContent = ""; ui.link.send(op, fields, { refused, ...note }); };
    const keep = (what, text, title) => button(text, () => send("keep", { what }), { title });
    this.state = h("span", { class: "nadg-formline" });
    this.kept = h("div", { class: "nadg-fielderror nadg-kept", role: "status" });
    this.words = h("textarea", { rows: 2, class: "nadg-instr", id: `${ui.uid}-next`, placeholder: "For instance: compare the three worst products, with a chart" });
    this.error = h("div", { class: "nadg-fielderror", role: "alert", id: `${ui.uid}-next-error` });
    this.words.setAttribute("aria-describedby", this.error.id);
    this.ask = h("button", { type: "submit", class: "nadg-btn" }, "Ask the planner");
    this.text = h("textarea", { rows: 4, class: "nadg-instr nadg-mono", readonly: true, "aria-label": "The text for a chat" });
    this.answer = h("textarea", { rows: 3, class: "nadg-instr", placeholder: "Paste the chat's answer here", "aria-label": "The chat's answer" });
    const copy = button("Copy", () => copyText(this.text, copy));
    this.made = h("div", { class: "nadg-made", hidden: true }, this.text, copy);
    this.chat = h("details", { class: "nadg-fold" }, h("summary", {}, "Through any chat, by copy and paste"),
      button("Make the text to copy", () => send("next_prompt", { words: this.words.value })), this.made, this.answer,
      button("Read the answer", () => send("next", { words: this.words.value, answer: this.answer.value })));
    this.proposal = h("div");
    this.node = h("div", { class: "nadg-next", hidden: true },
      h("div", { class: "nadg-formline" }, this.state, h("span", { class: "nadg-grow" }), h("span", { class: "nadg-dim" }, "Save as"),
        keep("report", "Report", "One HTML file with results, figures, plan and what ran where; it needs no network"),
        keep("notebook", "Notebook", "A plain notebook that runs the plan without this package, and its data beside it"),
        keep("plan", "Plan file", "The approved plan, to run again on other rows")),
      this.kept,
      h("form", { class: "nadg-form", "aria-label": "What comes next", onsubmit: (event) => { event.preventDefault(); send("next", { words: this.words.value }); } },
        h("label", { for: this.words.id }, "What should come next?"), this.words, this.error, h("div", { class: "nadg-formline" }, this.ask), this.chat),
      this.proposal);
  }

  show(results) {
    this.node.hidden = !results;
    if (!results) return;
    this.state.replaceChildren(chip(results.state, { succeeded: "ok", failed: "bad", running: "run", paused: "warn" }[results.state] ?? ""), h("span", { class: "nadg-dim nadg-runid" }, results.run));
    if (this.kept.textContent !== results.kept) this.kept.textContent = results.kept;
    this.kept.classList.toggle("nadg-good", !results.refused);
    const { revises, asking, change } = this.ui.offers;
    this.ask.hidden = !revises;
    this.ask.disabled = Boolean(asking);
    if (this.text.value !== results.prompt) this.text.value = results.prompt;
    this.made.hidden = !results.prompt;
    const key = JSON.stringify([asking, change]);
    if (key === this.key) return; // what is being read keeps its place
    const held = this.proposal.contains(document.activeElement);
    this.key = key;
    this.proposal.replaceChildren(...[drawChange(this.ui, "results")].filter(Boolean));
    if (held) (this.proposal.querySelector("button") ?? this.words).focus();
  }
}
