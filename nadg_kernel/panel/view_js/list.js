// The list.

function drawList(ui) {
  if (!ui.plan.subtasks) return;
  const { live } = ui;
  const rows = ui.search.rows();
  const box = ui.list, total = rows.length;
  ui.pad.style.height = `${total * ROW}px`;
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
  const last = Math.min(total, first + Math.ceil((box.clientHeight || 400) / ROW) + 9);
  ui.pad.replaceChildren(...rows.slice(first, last).map((item, k) => listRow(ui, item, first + k, total)));
  const active = rows.some((item) => item.id === live.selected) ? ui.rowId(live.selected) : null;
  if (active) box.setAttribute("aria-activedescendant", active);
  else box.removeAttribute("aria-activedescendant");
}

function listRow(ui, item, place, total) {
  const row = ui.live.run?.rows[item.id];
  const selected = item.id === ui.live.selected;
  const middle = h("div", { class: "nadg-mid" }, h("div", { class: "nadg-ti" }, item.name));
  const tags = h("div", { class: "nadg-tags" });
  if (row) {
    if (row.shards) middle.append(strip(row.shards));
    else if (row.state === "running" && row.fraction) middle.append(bar(row.fraction));
    middle.append(h("div", { class: `nadg-su ${row.state === "failed" ? "nadg-badtext" : ""}` }, row.detail || (row.state === "waiting" && item.depends_on.length ? `waits for ${item.depends_on.join(", ")}` : seconds(row.seconds))));
    tags.append(chip(`${STATES[row.state]} ${row.state}`, TONES[row.state] ?? ""));
  } else {
    middle.append(h("div", { class: "nadg-su" }, item.summary || item.id));
    const line = ui.search.line(item);
    if (line) middle.lastChild.replaceWith(h("div", { class: "nadg-su nadg-mono" }, line));
    const tried = ui.live.trial?.rows?.[item.id];
    if (tried?.state === "failed") middle.lastChild.replaceWith(h("div", { class: "nadg-su nadg-badtext" }, tried.detail));
    const words = tried && tried.state !== "waiting" ? [[`${STATES[tried.state]} ${tried.state === "succeeded" ? `tried ${seconds(tried.seconds)}` : tried.state}`, TONES[tried.state] ?? ""]] : [];
    const tags2 = words.length ? item.tags.filter(([text]) => text !== "checks pass") : item.tags;
    tags.append(...[...tags2, ...words].slice(-3).map(([text, tone]) => chip(text, tone)));
  }
  return h("div", {
    class: `nadg-row ${selected ? "nadg-on" : ""}`, role: "option", id: ui.rowId(item.id), style: `top:${place * ROW}px;height:${ROW}px`,
    "aria-selected": selected, "aria-posinset": place + 1, "aria-setsize": total, "data-id": item.id,
    onclick: () => { ui.select(item.id); ui.list.focus({ preventScroll: true }); },
  }, h("span", { class: "nadg-n" }, item.n), middle, tags);
}

function strip(letters) {
  const names = { s: "ok", r: "run", f: "bad", x: "off", w: "" };
  const done = [...letters].filter((letter) => letter === "s").length;
  return h("div", { class: "nadg-shards", role: "img", "aria-label": `${done} of ${letters.length} shards done` }, [...letters].map((letter) => h("i", { class: names[letter] && `nadg-${names[letter]}` })));
}

const bar = (share, tone = "run") => h("div", { class: "nadg-bar", role: "progressbar", "aria-valuenow": Math.round(share * 100), "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "progress" }, h("i", { class: `nadg-${tone}`, style: `width:${(share * 100).toFixed(1)}%` }));
