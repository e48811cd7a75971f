// Trying a plan out before it is approved: the click shows the code and what is off, a second one begins.

function trialAsk(ui, subtask, close) {
  const { plan, offers } = ui;
  const byId = new Map(plan.subtasks.map((item) => [item.id, item]));
  const wanted = new Set();
  const todo = subtask === null ? [...byId.keys()] : [subtask];
  while (todo.length) {
    const id = todo.pop();
    if (wanted.has(id) || !byId.has(id)) continue;
    wanted.add(id);
    todo.push(...byId.get(id).depends_on);
  }
  const items = plan.subtasks.filter((item) => wanted.has(item.id));
  const digest = plan.approval.digest;
  const go = button(subtask === null ? "Rehearse" : "Try it", () => { close(); ui.link.send("try", { digest, subtask }); }, { class: "nadg-btn nadg-primary", "data-trial": "go" });
  const rest = items.length > 1 && subtask !== null ? ` with ${items.length - 1} that it needs` : "";
  return h("div", { class: "nadg-ask-box", role: "group", "aria-label": "Try it out", onkeydown: (event) => { if (event.key === "Escape") { event.stopPropagation(); close(); } } },
    h("p", {}, h("b", {}, subtask === null ? `Rehearse ${items.length} subtasks` : `Try ${byId.get(subtask).name}${rest}`), ` on the first ${offers.rows} rows. `,
      h("span", { class: "nadg-off-words" }, "Network, processes and GPU are off."), " This approves nothing else. Exactly this code runs:"),
    items.slice(0, 60).map((item) => h("details", { class: "nadg-fold", open: items.length === 1 || item.id === subtask }, h("summary", {}, `${item.name} (${item.code.trimEnd().split("\n").length} lines)`), codeBlock(item.code))),
    h("div", { class: "nadg-act" }, button("Cancel", close, { class: "nadg-btn nadg-ghost" }), go));
}

function codeBlock(code, bad = 0) {
  return h("div", { class: "nadg-code", tabindex: 0, role: "region", "aria-label": "Code" }, codeLines(code.trimEnd()).map((line, k) => h("div", { class: `nadg-line ${bad === k + 1 ? "nadg-err" : ""}` }, h("span", { class: "nadg-ln" }, k + 1), h("span", { class: "nadg-tx" }, line.length ? line : "\u200b"))));
}

// The line above Approve: how the rehearsal stands, and what the whole would take.
function trialLine(ui) {
  const { trial } = ui.live;
  if (!trial || !trial.rows) return null;
  const word = trial.over ? (trial.failed ? "bad" : trial.state === "succeeded" ? "ok" : "") : "run";
  const state = trial.over ? (trial.failed ? `✗ ${trial.failed} of ${trial.total} failed` : trial.state === "succeeded" ? "✓ all passed" : trial.state) : `▶ ${trial.done} of ${trial.total}`;
  return h("div", { class: "nadg-trialline", role: "status" }, chip(state, word), h("span", {}, trial.summary), trial.stale ? chip("of an earlier version", "warn") : null,
    trial.reason ? h("span", { class: "nadg-badtext" }, trial.reason) : null,
    button(trial.over ? "Close" : "Stop", () => ui.link.send("close_trial"), { class: "nadg-btn nadg-ghost", "data-trial": "close" }));
}

// What the selected subtask did in the rehearsal, under its code.
function trialOutput(ui, item) {
  const { trial } = ui.live;
  const row = trial?.rows?.[item.id];
  if (!row) return [];
  const out = trial.output.id === item.id ? trial.output : {};
  const head = h("div", { class: "nadg-head" }, h("b", {}, "Rehearsal"), chip(`${STATES[row.state]} ${row.state}`, TONES[row.state] ?? ""), row.seconds ? h("span", { class: "nadg-dim" }, seconds(row.seconds)) : null,
    out.worker ? h("span", { class: "nadg-dim" }, `on ${out.worker}`) : null, trial.stale ? chip("of an earlier version", "warn") : null);
  const parts = outputParts(out);
  if (out.preview) parts.push(h("div", { class: "nadg-label" }, "What it gave"), h("pre", { class: "nadg-log", tabindex: 0, "aria-label": "Result" }, out.preview));
  return [h("div", { class: "nadg-trial" }, head, ...parts)];
}

function outputParts(out) {
  const parts = [];
  if (out.error) {
    const { type, message, line, traceback, hint } = out.error;
    parts.push(h("div", { class: "nadg-problem", role: "alert" }, h("b", {}, `${type}${line ? ` at line ${line}` : ""}: `), message, hint ? h("div", {}, hint) : null));
    if (traceback) parts.push(h("pre", { class: "nadg-log nadg-badtext", tabindex: 0, "aria-label": "Traceback" }, traceback));
  } else if (out.reason) parts.push(h("p", { class: "nadg-dim" }, out.reason));
  if (out.stdout) parts.push(h("div", { class: "nadg-label" }, "Printed"), h("pre", { class: "nadg-log", tabindex: 0, "aria-label": "Printed output" }, out.stdout));
  if (out.stderr) parts.push(h("pre", { class: "nadg-log nadg-dim", tabindex: 0, "aria-label": "Error output" }, out.stderr));
  return parts;
}
