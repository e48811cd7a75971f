// The reviewed plan as a whole: its difference to the draft, its file.

function drawDiff(ui) {
  const { diff } = ui.offers;
  if (!diff) return null;
  const line = ([mark, text]) => mark === "#" ? h("div", { class: "nadg-diffhead" }, text) : h("div", { class: `nadg-line ${mark === "+" ? "nadg-add" : mark === "-" ? "nadg-del" : ""}` }, h("span", { class: "nadg-ln" }, mark || " "), h("span", { class: "nadg-tx" }, text || "\u200b"));
  return h("div", { class: "nadg-proposal", role: "region", "aria-label": "Difference to the draft" },
    h("div", { class: "nadg-head" }, h("b", { class: "nadg-grow" }, "Difference to the draft"), h("span", { class: "nadg-dim", role: "status" }, diff.summary), button("Close", () => ui.link.send("diff", { on: false }), { class: "nadg-btn nadg-ghost" })),
    diff.lines.length ? h("div", { class: "nadg-code nadg-diff nadg-whole", tabindex: 0, role: "region", "aria-label": "Lines that differ" }, diff.lines.map(line)) : null,
    diff.more ? h("p", { class: "nadg-dim" }, `and ${diff.more} lines more: see plan.diff()`) : null);
}

function fileForm(ui, close) {
  const { files } = ui.offers;
  const name = h("input", { type: "text", id: `${ui.uid}-file`, size: 28, placeholder: "such as weekly report, or reports/weekly.json" });
  const error = h("div", { class: "nadg-fielderror", role: "alert" });
  const refused = (text) => { error.textContent = text; };
  const save = (event) => { event.preventDefault(); error.textContent = ""; ui.leaveEditor(); ui.link.send("save_as", { name: name.value }, { refused, done: close }); };
  const pick = h("select", { id: `${ui.uid}-open`, onchange: () => { if (pick.value) ui.link.send("open", { path: pick.value }, { refused, done: close }); } }, h("option", { value: "" }, "choose…"), files.map((file) => h("option", { value: file.path }, file.text)));
  return h("form", { class: "nadg-form", "aria-label": "Save or open", onsubmit: save },
    h("div", { class: "nadg-formline" }, h("label", { for: name.id }, "Save this plan as"), name, h("button", { type: "submit", class: "nadg-btn" }, "Save")),
    files.length ? h("div", { class: "nadg-formline" }, h("label", { for: pick.id }, "or open another"), pick) : null,
    h("p", { class: "nadg-dim" }, ui.live.saved ? `Every edit is saved already, in ${ui.live.saved}` : "Every edit is saved by itself."),
    error, h("div", { class: "nadg-act" }, button("Close", close, { class: "nadg-btn nadg-ghost" })));
}
