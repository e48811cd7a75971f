// One subtask of a run.

function drawOutput(ui, item) {
  const { run, output } = ui.live;
  const row = run?.rows[item.id] ?? { state: "waiting" };
  const act = (text, verb) => button(text, () => ui.link.send("control", { verb, subtask: item.id }), { "data-verb": verb });
  const final = ["succeeded", "cached", "failed", "skipped", "cancelled"].includes(row.state);
  const actions = h("div", { class: "nadg-act" });
  if (final) { if (row.state !== "skipped") actions.append(act("Rerun", "rerun")); }
  else if (["running", "paused"].includes(run?.state)) {
    if (row.state === "held") actions.append(act("Release", "release"));
    else if (row.state !== "running") actions.append(act("Hold", "hold"));
    if (row.state !== "running") actions.append(act("Skip", "skip"));
    actions.append(act("Cancel", "cancel"));
  }
  const facts = h("div", { class: "nadg-kv" });
  const fact = (name, value) => value && facts.append(h("span", {}, name, " ", h("b", {}, value)));
  const out = output && output.id === item.id ? output : {};
  fact("worker", out.worker);
  fact("attempts", out.attempts > Math.max(1, row.shards?.length ?? 0) ? out.attempts : "");
  fact("ran", seconds(out.seconds));
  fact("memory", out.memory_mb ? `${out.memory_mb} MB` : "");
  fact("sandbox", (out.layers ?? []).join(", "));
  const parts = [];
  if (out.error) {
    const { type, message, line, traceback, hint } = out.error;
    parts.push(h("div", { class: "nadg-problem", role: "alert" }, h("b", {}, `${type}${line ? ` at line ${line}` : ""}: `), message, hint ? h("div", {}, hint) : null));
    if (traceback) parts.push(h("pre", { class: "nadg-log nadg-badtext", tabindex: 0, "aria-label": "Traceback" }, traceback));
  } else if (out.reason) parts.push(h("p", { class: "nadg-dim" }, out.reason));
  if (out.stdout) parts.push(h("pre", { class: "nadg-log", tabindex: 0, "aria-label": "Printed output" }, out.stdout));
  if (out.stderr) parts.push(h("pre", { class: "nadg-log nadg-dim", tabindex: 0, "aria-label": "Error output" }, out.stderr));
  if (!parts.length) parts.push(h("p", { class: "nadg-dim" }, final ? "It printed nothing. Its result is on the Results page." : row.state === "running" ? "Nothing printed yet." : "It has not started."));
  const code = h("details", { class: "nadg-fold" }, h("summary", {}, item.kind === "prompt" ? "Prompt" : "Code"), h("div", { class: "nadg-code" }, codeLines(item.code.trimEnd()).map((line, k) => h("div", { class: `nadg-line ${out.error?.line === k + 1 ? "nadg-err" : ""}` }, h("span", { class: "nadg-ln" }, k + 1), h("span", { class: "nadg-tx" }, line.length ? line : "\u200b")))));
  code.open = ui.folds.has(item.id) || Boolean(out.error);
  code.addEventListener("toggle", () => { if (code.open) ui.folds.add(item.id); else ui.folds.delete(item.id); });
  return h("div", { class: "nadg-output" },
    h("div", { class: "nadg-head" }, h("span", { class: "nadg-n" }, item.n), h("h3", { class: "nadg-grow" }, item.name), chip(`${STATES[row.state]} ${row.state}`, TONES[row.state] ?? ""), actions),
    facts, ...parts, code);
}

function drawRunHead(ui) {
  const { run } = ui.live;
  if (!run) return [];
  const word = { succeeded: "ok", failed: "bad", running: "run", paused: "warn" }[run.state] ?? "";
  const c = run.counts;
  const line = h("div", { class: "nadg-runline" },
    chip(run.state, word), h("span", {}, h("b", {}, `${run.done} of ${run.total}`), " done"),
    c.failed ? h("span", { class: "nadg-badtext" }, h("b", {}, c.failed), " failed") : null,
    c.running ? h("span", {}, h("b", {}, c.running), " running") : null,
    c.held ? h("span", {}, h("b", {}, c.held), " held") : null,
    h("span", {}, "elapsed ", ui.elapsed), h("span", { class: "nadg-dim" }, run.id));
  const open = ["running", "paused"].includes(run.state);
  const acts = h("div", { class: "nadg-act" });
  if (open && run.done < run.total) {
    acts.append(c.held ? button("Release all", () => ui.link.send("control", { verb: "release" })) : button("Hold the rest", () => ui.link.send("control", { verb: "hold" })));
    acts.append(button("Cancel all", () => ui.link.send("control", { verb: "cancel" })));
  } else acts.append(button("See results", () => ui.link.send("step", { to: "results" }), { class: "nadg-btn nadg-primary" }));
  line.append(acts);
  const pieces = [["succeeded", "ok"], ["cached", "ok"], ["running", "run"], ["failed", "bad"], ["skipped", "off"], ["cancelled", "off"]];
  const progress = h("div", { class: "nadg-bar nadg-total", role: "progressbar", "aria-valuenow": run.done, "aria-valuemin": 0, "aria-valuemax": run.total, "aria-label": "subtasks done" },
    pieces.filter(([state]) => c[state]).map(([state, tone]) => h("i", { class: `nadg-${tone}`, style: `width:${((100 * c[state]) / run.total).toFixed(2)}%` })));
  const notes = [run.reason, run.notice].filter(Boolean).map((text) => h("p", { class: "nadg-dim" }, text));
  return [line, progress, ...notes];
}
