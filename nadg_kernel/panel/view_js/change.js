// What the planner is asked after its draft: its own questions, changes in words, and the proposal that comes back.

// The questions keep their boxes while they stay the same, so that nothing typed is lost when the rest is redrawn.
class Questions {
  constructor(ui) {
    this.ui = ui;
    this.node = h("form", { class: "nadg-questions", "aria-label": "Questions of the planner", onsubmit: (event) => { event.preventDefault(); this.send(); } });
    this.key = "";
  }

  show(questions, answers) {
    const key = JSON.stringify([questions, answers]);
    this.node.hidden = !questions.length;
    if (key === this.key || !questions.length) return;
    const typed = new Map((this.boxes ?? []).map((box) => [box.name, box.value]));
    this.key = key;
    this.boxes = questions.map((question, k) => h("input", { type: "text", name: question, id: `${this.ui.uid}-q${k}`, value: typed.get(question) || answers[question] || "", placeholder: "your answer" }));
    const rows = questions.map((question, k) => h("div", { class: "nadg-question" }, h("label", { for: this.boxes[k].id }, question), this.boxes[k], answers[question] ? chip("✓ answered", "ok") : null));
    const words = this.ui.offers.revises ? "Answer and ask for changes" : "Keep the answers";
    this.node.replaceChildren(h("div", { class: "nadg-dim" }, questions.length === 1 ? "The planner asks:" : `The planner asks ${questions.length} questions:`), ...rows, h("button", { type: "submit", class: "nadg-btn" }, words));
  }

  send() {
    const answers = Object.fromEntries(this.boxes.filter((box) => box.value.trim()).map((box) => [box.name, box.value]));
    this.ui.link.send("answer", { answers });
  }
}

function askForm(ui, close) {
  const { offers } = ui, item = ui.item();
  const words = h("textarea", { rows: 2, class: "nadg-instr", id: `${ui.uid}-words`, placeholder: "For instance: compare regions instead of products, and leave out the charts" });
  const only = h("input", { type: "checkbox", id: `${ui.uid}-only` });
  const answer = h("textarea", { rows: 3, class: "nadg-instr", placeholder: "Paste the chat's answer here", "aria-label": "The chat's answer" });
  const error = h("div", { class: "nadg-fielderror", role: "alert" });
  const refused = (text) => { error.textContent = text; };
  const subtask = () => (only.checked ? item.id : null);
  const ask = (event) => { event.preventDefault(); error.textContent = ""; ui.link.send("ask", { words: words.value, subtask: subtask() }, { refused, done: close }); };
  const text = h("textarea", { rows: 4, class: "nadg-instr nadg-mono", readonly: true, "aria-label": "The text for a chat" });
  const copy = button("Copy", () => copyText(text, copy));
  const chat = h("details", { class: "nadg-fold", open: !offers.revises }, h("summary", {}, "Through any chat, by copy and paste"),
    button("Make the text to copy", () => { error.textContent = ""; ui.link.send("prompt", { words: words.value }, { refused }); }), h("div", { class: "nadg-made", hidden: true }, text, copy), answer,
    button("Read the answer", () => { error.textContent = ""; ui.link.send("ask", { words: words.value, subtask: subtask(), answer: answer.value }, { refused, done: close }); }));
  ui.showPrompt = () => { text.value = ui.offers.prompt; chat.querySelector(".nadg-made").hidden = !ui.offers.prompt; };
  ui.showPrompt();
  return h("form", { class: "nadg-form", "aria-label": "Ask to change", onsubmit: ask },
    h("label", { for: words.id }, "What should be different?"), words,
    item ? h("label", { class: "nadg-check" }, only, `only in ${item.name}`) : null, error,
    offers.revises ? null : h("p", { class: "nadg-dim" }, "The planner here works without a model. A chat that you use anyway can answer:"), chat,
    h("div", { class: "nadg-act" }, button("Close", close, { class: "nadg-btn nadg-ghost" }), offers.revises ? h("button", { type: "submit", class: "nadg-btn nadg-primary" }, "Ask the planner") : null));
}

function splitForm(ui, close) {
  const item = ui.item();
  const line = ui.editor?.code.line() ?? 1;
  const at = h("input", { type: "text", inputmode: "numeric", size: 4, value: line > 1 ? line : "", id: `${ui.uid}-at` });
  const count = h("input", { type: "text", inputmode: "numeric", size: 4, value: item.map?.unit === "shards" ? item.map.count : 4, id: `${ui.uid}-count` });
  const error = h("div", { class: "nadg-fielderror", role: "alert" });
  const refused = (text) => { error.textContent = text; };
  const send = (fields) => { error.textContent = ""; ui.leaveEditor(); ui.link.send("split", { subtask: item.id, ...fields }, { refused, done: close }); };
  return h("div", { class: "nadg-form", role: "group", "aria-label": "Split" }, h("b", {}, `Split ${item.name}`),
    h("div", { class: "nadg-formline" }, h("label", { for: count.id }, `over ${item.map?.over ?? item.inputs[0] ?? "its input"}, into`), count, "shards", button("Into shards", () => send({ shards: count.value }))),
    h("div", { class: "nadg-formline" }, h("label", { for: at.id }, "into two subtasks, the second from line"), at, button("At this line", () => send({ line: at.value }))),
    error, h("div", { class: "nadg-act" }, button("Close", close, { class: "nadg-btn nadg-ghost" })));
}

function copyText(box, label) {
  const said = () => { const before = label.textContent; label.textContent = "Copied"; setTimeout(() => { label.textContent = before; }, 1500); };
  box.focus();
  box.select();
  if (navigator.clipboard?.writeText) navigator.clipboard.writeText(box.value).then(said, () => { if (document.execCommand("copy")) said(); });
  else if (document.execCommand("copy")) said();
}

// On the page of what it would change: the review, or the failed subtask of a run.
function drawChange(ui, page) {
  const { asking, change } = ui.offers;
  if (asking) return h("div", { class: "nadg-proposal", role: "status" }, h("div", { class: "nadg-head" }, h("span", { class: "nadg-grow" }, `Asking the planner for ${asking}…`), button("Stop waiting", () => ui.link.send("leave"), { class: "nadg-btn nadg-ghost" })));
  if (!change || change.page !== page) return null;
  const fix = page === "run", next = page === "results";
  const name = fix ? "Proposed fix" : next ? "Proposed next steps" : "Proposed changes";
  const take = button(next ? "Apply and review" : fix ? `Approve fix and rerun ${change.reruns.length === 1 ? change.reruns[0] : `${change.reruns.length} subtasks`}` : "Take the changes", () => ui.link.send("take", { digest: change.digest }), { class: "nadg-btn nadg-primary", disabled: !change.can, "data-change": "take" });
  return h("div", { class: "nadg-proposal", role: "region", "aria-label": name },
    h("div", { class: "nadg-head" }, h("b", { class: "nadg-grow" }, name), h("span", { class: "nadg-dim" }, change.summary), button("Discard", () => ui.link.send("leave"), { class: "nadg-btn nadg-ghost" }), take),
    change.why ? h("p", {}, change.why) : null, change.hindrance ? h("p", { class: "nadg-badtext" }, change.hindrance) : null,
    fix && change.reruns.length > 1 ? h("p", { class: "nadg-dim" }, `Runs again: ${change.reruns.join(", ")}. The rest keeps its results.`) : null,
    next && change.can ? h("p", { class: "nadg-dim" }, "Nothing runs yet: it goes into the plan, which you approve. What is there keeps its results.") : null,
    change.notes.map((note) => h("p", { class: "nadg-dim" }, note)),
    change.parts.map((part) => h("div", { class: "nadg-part" }, h("div", {}, h("b", {}, part.title), " ", chip(part.what, part.what === "dropped" ? "bad" : "edit")), part.fields.map((text) => h("div", { class: "nadg-dim" }, text)),
      part.diff.length ? h("div", { class: "nadg-code nadg-diff", tabindex: 0, role: "region", "aria-label": `Difference in ${part.title}` }, diffLines(nearby(part.diff))) : null)),
    change.more ? h("p", { class: "nadg-dim" }, `and ${change.more} more`) : null);
}

// Only what differs, with a few lines around it.
function nearby(diff, around = 3) {
  const keep = new Set();
  diff.forEach(([mark], k) => { if (mark) for (let at = k - around; at <= k + around; at++) keep.add(at); });
  const lines = [];
  let number = 0, cutOut = false;
  diff.forEach(([mark, text], k) => {
    if (mark !== "-") number++;
    if (!keep.has(k)) { cutOut = true; return; }
    if (cutOut) lines.push(["…", "", number]);
    cutOut = false;
    lines.push([mark, text, number]);
  });
  return lines;
}
