// One subtask of a run.

function drawOutput(ui, item) {
  const { run, output } = ui.live;
  const row = run?.rows[item.id] ?? { state: "waiting" };
  const act = (text, verb) => button(text, () => ui.link.send("control", { verb, subtask: item.id }), { "data-verb": verb });
  const final = ["succeeded", "cached", "failed", "skipped", "cancelled"].includes(row.state);
  const actions = h("div", { class: "nadg-act" });
  if (row.state === "failed") {
    actions.append(button("Edit", () => ui.link.send("edit_run", { subtask: item.id }), { "data-verb": "edit", title: "Mend it yourself on the Review page, then go on with this run" }));
    if (ui.offers.revises) actions.append(button("Ask for a fix", () => ui.link.send("fix", { subtask: item.id }), { "data-verb": "fix", disabled: Boolean(ui.offers.asking) }));
  }
  if (final) { if (row.state !== "skipped") actions.append(act(reruns(ui, item), "rerun")); }
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
  const layers = out.layers ?? [], known = ["landlock", "seccomp", "rlimits"].filter((name) => layers.includes(name));
  const first = known.length ? known : layers.slice(0, 3);
  fact("sandbox", first.length ? `${first.join(", ")}${layers.length > first.length ? ` and ${layers.length - first.length} more layers` : ""}` : "");
  if (layers.length) facts.lastChild.title = layers.join(", ");
  const parts = outputParts(out);
  if (!parts.length) parts.push(h("p", { class: "nadg-dim" }, final ? "It printed nothing. Its result is on the Results page." : row.state === "running" ? "Nothing printed yet." : "It has not started."));
  const code = h("details", { class: "nadg-fold" }, h("summary", {}, item.kind === "prompt" ? "Prompt" : "Code"), codeBlock(item.code, out.error?.line ?? 0));
  code.open = ui.folds.has(item.id) || Boolean(out.error);
  code.addEventListener("toggle", () => { if (code.open) ui.folds.add(item.id); else ui.folds.delete(item.id); });
  return h("div", { class: "nadg-output" },
    h("div", { class: "nadg-head" }, h("span", { class: "nadg-n" }, item.n), h("h3", { class: "nadg-grow" }, item.name), chip(`${STATES[row.state]} ${row.state}`, TONES[row.state] ?? ""), actions),
    facts, row.state === "failed" ? drawChange(ui, "run") : null, ...parts, code);
}

function reruns(ui, item) {
  const found = new Set([item.id]);
  for (let grown = true; grown;) {
    grown = false;
    for (const other of ui.plan.subtasks) if (!found.has(other.id) && other.depends_on.some((id) => found.has(id))) { found.add(other.id); grown = true; }
  }
  return found.size === 1 ? "Rerun" : `Rerun this and ${found.size - 1} after it`;
}

// Runs of the background, to look at; those that nobody drives, to take up again.
function drawRuns(ui) {
  const { runs } = ui.offers, shown = ui.live.run?.id;
  const lost = runs.filter((run) => !run.here && run.id !== shown);
  const here = runs.filter((run) => run.here);
  const lines = lost.slice(0, 3).map((run) => h("div", { class: "nadg-lost" }, chip("interrupted", "warn"), h("span", { class: "nadg-grow" }, run.text), button("Resume", () => ui.link.send("run", { run: run.id }), { "data-run": run.id })));
  if (here.length < 2) return lines;
  const pick = h("select", { "aria-label": "Run that is shown", class: "nadg-runs", onchange: () => ui.link.send("run", { run: pick.value }) }, here.map((run) => h("option", { value: run.id, selected: run.id === shown }, `${run.state} · ${run.text} · ${run.id}`)));
  return [h("div", { class: "nadg-formline" }, h("span", { class: "nadg-dim" }, `${here.length} runs of this notebook`), pick), ...lines];
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
    h("span", {}, "elapsed ", ui.elapsed),
    run.left ? h("span", {}, "about ", h("b", {}, run.left), " left") : run.live ? h("span", { class: "nadg-dim" }, "time left not known yet") : null,
    h("span", { class: "nadg-dim nadg-runid" }, run.id));
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
