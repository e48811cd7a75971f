// The graph.

function drawGraph(ui) {
  const { plan, live } = ui;
  let shown = plan.subtasks;
  if (shown.length > GRAPH_LIMIT) shown = around(plan.subtasks, live.selected);
  const key = JSON.stringify([live.selected, plan.subtasks.length, shown.map((item) => [item.id, item.column, item.lane, item.depends_on, ...boxParts(ui, item)])]);
  if (key === ui.drawnGraph) return; // an edit answered is drawn thrice, and hardly ever changes a box
  ui.drawnGraph = key;
  const lanes = new Map();
  for (const item of [...shown].sort((x, y) => x.column - y.column || x.lane - y.lane)) {
    if (!lanes.has(item.column)) lanes.set(item.column, []);
    lanes.get(item.column).push(item);
  }
  const columns = [...lanes.keys()].sort((x, y) => x - y);
  const tallest = Math.max(1, ...[...lanes.values()].map((list) => list.length));
  const spot = new Map();
  columns.forEach((column, place) => {
    const list = lanes.get(column);
    const top = ((tallest - list.length) * (BOX.h + BOX.gapY)) / 2;
    list.forEach((item, lane) => spot.set(item.id, [place * (BOX.w + BOX.gapX) + 12, top + lane * (BOX.h + BOX.gapY) + 12]));
  });
  const width = columns.length * (BOX.w + BOX.gapX) - BOX.gapX + 24;
  const height = tallest * (BOX.h + BOX.gapY) - BOX.gapY + 24;
  const edges = svg("g", { class: "nadg-edges" });
  const boxes = svg("g");
  for (const item of shown) {
    const [x, y] = spot.get(item.id);
    for (const need of item.depends_on) {
      if (!spot.has(need)) continue;
      const from = spot.get(need), x0 = from[0] + BOX.w, y0 = from[1] + BOX.h / 2, y1 = y + BOX.h / 2;
      const back = x0 > x;
      const bend = back ? 60 : (x - x0) / 2;
      edges.append(svg("path", { d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x - bend} ${y1} ${x} ${y1}`, class: back ? "nadg-back" : null }));
    }
    boxes.append(graphBox(ui, item, x, y));
  }
  const label = `Graph: ${shown.slice(0, 20).map((item) => `${item.name}${item.depends_on.length ? " after " + item.depends_on.join(", ") : ""}`).join("; ")}`;
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, edges, boxes);
  ui.graph.replaceChildren(root, ...(shown.length < plan.subtasks.length ? [h("p", { class: "nadg-dim" }, `${shown.length} of ${plan.subtasks.length} subtasks drawn, around the selected one`)] : []));
}

// All that a box shows: its classes, its name, its words.
function boxParts(ui, item) {
  const row = ui.live.run?.rows[item.id];
  const state = row?.state;
  const tone = state ? TONES[state] ?? "" : item.problems.some((p) => p.blocks) ? "bad" : "";
  const classes = ["nadg-box", tone && `nadg-${tone}`, item.id === ui.live.selected && "nadg-on", (item.change === "added" || item.hold) && !state && "nadg-dashed"].filter(Boolean).join(" ");
  const words = state ? `${state}${row.seconds ? " " + seconds(row.seconds) : row.fraction && state === "running" ? ` ${Math.round(row.fraction * 100)}%` : ""}` : boxWords(item);
  return [classes, `${state ? STATES[state] : item.n} ${item.name}`, words];
}

function graphBox(ui, item, x, y) {
  const [classes, name, words] = boxParts(ui, item);
  const box = svg("g", { class: classes });
  box.append(
    svg("rect", { x, y, width: BOX.w, height: BOX.h, rx: 7 }),
    svg("text", { x: x + 10, y: y + 18, class: "nadg-name" }, cut(name, 22)),
    svg("text", { x: x + 10, y: y + 33, class: "nadg-sub" }, cut(words, 26)),
  );
  box.append(svg("title", {}, `${item.name}: ${words}`));
  box.addEventListener("click", () => ui.select(item.id));
  return box;
}

function boxWords(item) {
  const bad = item.problems.filter((p) => p.blocks).length;
  if (bad) return bad === 1 ? "1 problem" : `${bad} problems`;
  if (item.hold) return "held";
  if (item.map) return `map over ${item.map.over}`;
  return item.change || (item.kind === "prompt" ? "prompt" : "ready to approve");
}

function around(items, selected) {
  const byId = new Map(items.map((item) => [item.id, item]));
  const start = byId.get(selected) ?? items[0];
  const near = new Set([start.id]);
  const followers = new Map();
  for (const item of items) for (const need of item.depends_on) followers.set(need, [...(followers.get(need) ?? []), item.id]);
  let edge = [start.id];
  for (let hop = 0; hop < 3 && near.size < GRAPH_LIMIT; hop++) {
    edge = edge.flatMap((id) => [...(byId.get(id)?.depends_on ?? []), ...(followers.get(id) ?? [])]).filter((id) => byId.has(id) && !near.has(id));
    for (const id of edge.slice(0, GRAPH_LIMIT - near.size)) near.add(id);
  }
  return items.filter((item) => near.has(item.id));
}
