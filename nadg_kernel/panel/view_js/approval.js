// What is approved.

function drawApproval(ui) {
  const { approval, problems, subtasks, undo } = ui.plan;
  if (!approval) return [];
  const all = [...problems, ...subtasks.flatMap((item) => item.problems)].filter((problem) => problem.blocks);
  const go = button(ui.live.starting ? "Starting…" : "Approve and run", () => ui.link.send("approve", { digest: approval.digest }), { class: "nadg-btn nadg-primary nadg-approve", disabled: !approval.can, "aria-describedby": `${ui.uid}-why` });
  const { goes_on: again, goes_how: how, estimate } = ui.offers;
  const on = again.length ? button(again.length === 1 ? `Approve and ${how} ${cut(again[0], 30)}` : `Approve and ${how} ${again.length}`, () => ui.link.send("go_on", { digest: approval.digest }), { class: "nadg-btn nadg-primary nadg-goon", disabled: approval.blocking > 0, title: `Go on with the run: what runs is ${again.join(", ")}; the rest keeps its results` }) : null;
  if (on) { go.classList.remove("nadg-primary"); if (approval.can) go.textContent = "Approve as a new run"; }
  const { trial } = ui.live;
  const rehearse = button(`Rehearse on ${ui.offers.rows} rows`, () => ui.openRehearsal(), { disabled: approval.blocking > 0 || Boolean(trial && (trial.trying || !trial.over)), "data-trial": "rehearse" });
  const facts = h("span", { class: "nadg-sum" }, h("b", {}, approval.summary), estimate ? `, ${estimate}` : "",
    approval.permissions.length ? h("span", { class: "nadg-warntext" }, ` · ${approval.permissions.length === 1 ? "1 permission" : approval.permissions.length + " permissions"}: ${cut(approval.permissions.join("; "), 200)}`) : " · no network, no processes",
    approval.why ? h("span", { class: "nadg-badtext", id: `${ui.uid}-why` }, ` · ${approval.why}`) : h("span", { id: `${ui.uid}-why` }));
  const jump = all.slice(0, 8).map((problem) => h("li", { class: "nadg-problem" }, problem.subtask ? [h("button", { type: "button", class: "nadg-link", onclick: () => ui.jump(problem) }, `${problem.subtask}${problem.line ? `, line ${problem.line}` : ""}`), ": "] : null, problem.message));
  if (all.length > 8) jump.push(h("li", { class: "nadg-dim" }, `and ${all.length - 8} more`));
  const rows = subtasks.slice(0, 300).filter((item) => item.will).map(({ name, hold, will: row }) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, row.what), h("td", { class: row.where.startsWith("no worker") ? "nadg-badtext" : "" }, row.where), h("td", { class: row.permissions.length ? "nadg-warntext" : "nadg-dim" }, row.permissions.join(", ") || "none"), h("td", {}, row.limits), h("td", {}, hold ? "held" : "")));
  const table = h("details", { class: "nadg-fold nadg-will" }, h("summary", {}, "What will run, where, with which permissions"),
    h("div", { class: "nadg-scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["subtask", "code", "runs on", "permissions", "limits", ""].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows))));
  table.open = ui.folds.has("will");
  table.addEventListener("toggle", () => { if (table.open) ui.folds.add("will"); else ui.folds.delete("will"); });
  return [trialLine(ui), jump.length ? h("ul", { class: "nadg-problems", "aria-label": "Problems that block approval" }, jump) : null, table,
    h("div", { class: "nadg-foot" }, facts, ui.live.saved ? h("span", { class: "nadg-dim nadg-saved", title: ui.live.saved }, "saved") : null, rehearse, go, on)].filter(Boolean);
}
