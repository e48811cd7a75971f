// The plan of a NADG panel: graph, list, editor, run. Python owns the state (`plan`, `live`); this module draws it and
// sends intents with an id, each answered by an acknowledgement. What is being typed stays here until it is answered.
// Nothing is ever set as HTML: text from plans, workers and models only becomes text nodes and attributes.

const ROW = 54; // px, a row of the list
const BOX = { w: 176, h: 42, gapX: 36, gapY: 14 };
const GRAPH_LIMIT = 60; // more subtasks are drawn around the selected one
const PAUSE = 350; // ms without a key until what was typed is sent
const TICK = 1000; // ms between signs of life
const BUSY = 3500; // ms without an answer until the kernel counts as busy
const SILENT = 20000; // ms without an answer until it may as well be gone
const EAGER = 300; // names listed in a closed choice
const SVG = "http://www.w3.org/2000/svg";
const STATES = { waiting: "○", held: "‖", ready: "◐", running: "▶", succeeded: "✓", cached: "✓", failed: "✗", skipped: "–", cancelled: "□" };
const TONES = { running: "run", succeeded: "ok", cached: "ok", failed: "bad", held: "warn" };

// ---------------------------------------------------------------- small tools

function h(tag, props = {}, ...kids) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...kids.flat().filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return node;
}

function svg(tag, props = {}, ...kids) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) if (value !== null && value !== undefined) node.setAttribute(name, String(value));
  node.append(...kids);
  return node;
}

const chip = (text, tone = "") => h("span", { class: `nadg-chip ${tone && "nadg-" + tone}` }, text);
const button = (text, onclick, props = {}) => h("button", { type: "button", class: "nadg-btn", onclick, ...props }, text);
const cut = (text, limit) => (text.length > limit ? text.slice(0, limit - 1) + "…" : text);
const inText = (node) => node instanceof Element && node.matches("input:not([type=checkbox]), textarea, select, [contenteditable=true]");
const clock = (s) => `${String(Math.floor(s / 60)).padStart(2, "0")}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
const seconds = (s) => (s === null || s === undefined ? "" : s < 60 ? `${s.toFixed(1)} s` : `${clock(s)} min`);

// JupyterLab 4.6 cancels line breaks in every text box of a cell that is not its own; here they are meant.
const keepLineBreak = (event) => { if (event.inputType === "insertLineBreak") event.stopPropagation(); };

// ---------------------------------------------------------------- the link to Python

class Link {
  constructor(model, onanswer, onhealth) {
    this.model = model;
    this.onanswer = onanswer;
    this.onhealth = onhealth;
    this.pending = new Map();
    this.health = "ok";
    this.asked = null;
    this.prefix = Math.random().toString(36).slice(2);
    this.count = 0;
    this.receive = (message) => this.take(message);
    this.lost = () => this.say("disconnected");
    model.on("msg:custom", this.receive);
    model.on("comm_live_update", this.lost);
    this.timer = setInterval(() => this.tick(), TICK);
  }

  send(op, fields = {}, note = {}) {
    const ref = `${this.prefix}-${++this.count}`; // not `id`: ipykernel keeps a record for each message with an id
    this.pending.set(ref, { op, ...fields, ...note });
    this.post({ op, ref, ...fields });
  }

  post(message) {
    try {
      this.model.send(message);
      return true;
    } catch {
      this.say("disconnected");
      return false;
    }
  }

  tick() {
    if (this.health === "disconnected" || document.hidden) { this.asked = null; return; }
    const now = performance.now();
    if (this.asked !== null && now - this.asked > BUSY) this.say(now - this.asked > SILENT ? "silent" : "busy");
    if (this.asked === null) this.asked = now;
    this.post({ op: "tick", rev: this.model.get("live").rev ?? -1 });
  }

  take(message) {
    if (message.op === "tock") {
      this.asked = null;
      this.say("ok");
    } else if (message.op === "ack" && this.pending.has(message.ref)) {
      const what = this.pending.get(message.ref);
      this.pending.delete(message.ref);
      this.asked = null;
      this.say("ok");
      this.onanswer(what, message);
    }
  }

  say(health) {
    if (this.health === health || this.health === "disconnected") return;
    this.health = health;
    this.onhealth(health);
  }

  close() {
    clearInterval(this.timer);
    this.model.off("msg:custom", this.receive);
    this.model.off("comm_live_update", this.lost);
  }
}

// ---------------------------------------------------------------- the graph

function drawGraph(ui) {
  const { plan, live } = ui;
  let shown = plan.subtasks;
  if (shown.length > GRAPH_LIMIT) shown = around(plan.subtasks, live.selected);
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

function graphBox(ui, item, x, y) {
  const row = ui.live.run?.rows[item.id];
  const state = row?.state;
  const tone = state ? TONES[state] ?? "" : item.problems.some((p) => p.blocks) ? "bad" : "";
  const box = svg("g", { class: ["nadg-box", tone && `nadg-${tone}`, item.id === ui.live.selected && "nadg-on", (item.change === "added" || item.hold) && !state && "nadg-dashed"].filter(Boolean).join(" ") });
  const words = state ? `${state}${row.seconds ? " " + seconds(row.seconds) : row.fraction && state === "running" ? ` ${Math.round(row.fraction * 100)}%` : ""}` : boxWords(item);
  box.append(
    svg("rect", { x, y, width: BOX.w, height: BOX.h, rx: 7 }),
    svg("text", { x: x + 10, y: y + 18, class: "nadg-name" }, cut(`${state ? STATES[state] : item.n} ${item.name}`, 24)),
    svg("text", { x: x + 10, y: y + 33, class: "nadg-sub" }, cut(words, 25)),
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

// ---------------------------------------------------------------- the list

function drawList(ui) {
  if (!ui.plan.subtasks) return;
  const { plan, live } = ui;
  const box = ui.list, total = plan.subtasks.length;
  ui.pad.style.height = `${total * ROW}px`;
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
  const last = Math.min(total, first + Math.ceil((box.clientHeight || 400) / ROW) + 9);
  ui.pad.replaceChildren(...plan.subtasks.slice(first, last).map((item, k) => listRow(ui, item, first + k)));
  const active = plan.subtasks.some((item) => item.id === live.selected) ? ui.rowId(live.selected) : null;
  if (active) box.setAttribute("aria-activedescendant", active);
  else box.removeAttribute("aria-activedescendant");
}

function listRow(ui, item, place) {
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
    tags.append(...item.tags.slice(-3).map(([text, tone]) => chip(text, tone)));
  }
  return h("div", {
    class: `nadg-row ${selected ? "nadg-on" : ""}`, role: "option", id: ui.rowId(item.id), style: `top:${place * ROW}px;height:${ROW}px`,
    "aria-selected": selected, "aria-posinset": place + 1, "aria-setsize": ui.plan.subtasks.length, "data-id": item.id,
    onclick: () => { ui.select(item.id); ui.list.focus({ preventScroll: true }); },
  }, h("span", { class: "nadg-n" }, item.n), middle, tags);
}

function strip(letters) {
  const names = { s: "ok", r: "run", f: "bad", x: "off", w: "" };
  const done = [...letters].filter((letter) => letter === "s").length;
  return h("div", { class: "nadg-shards", role: "img", "aria-label": `${done} of ${letters.length} shards done` }, [...letters].map((letter) => h("i", { class: names[letter] && `nadg-${names[letter]}` })));
}

const bar = (share, tone = "run") => h("div", { class: "nadg-bar", role: "progressbar", "aria-valuenow": Math.round(share * 100), "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "progress" }, h("i", { class: `nadg-${tone}`, style: `width:${(share * 100).toFixed(1)}%` }));

// ---------------------------------------------------------------- fields that are being edited

// A field shows what was typed while it is on its way, and what Python says otherwise. A refusal stays beside it.
class Field {
  constructor(ui, item, name, label, control, options = {}) {
    Object.assign(this, { ui, subtask: item.id, name, control, options });
    this.key = `${item.id}/${name}`;
    this.error = h("div", { class: "nadg-fielderror", role: "alert", id: `${ui.uid}-e-${name}` });
    control.id = `${ui.uid}-f-${name}`;
    control.setAttribute("aria-describedby", this.error.id);
    this.node = h("div", { class: `nadg-field ${options.class ?? ""}` }, label && h("label", { for: control.id }, label), options.around ?? control, this.error);
    if (options.typed) {
      control.addEventListener("focus", () => { this.burst = `${ui.link.prefix}-b${++ui.bursts}`; });
      control.addEventListener("input", () => this.typing());
      control.addEventListener("blur", () => this.flush());
    } else {
      control.addEventListener("change", () => this.commit());
      if (control.tagName === "INPUT" && control.type !== "checkbox") control.addEventListener("input", () => ui.local.set(this.key, { value: this.read() }));
    }
  }

  read() { return this.control.type === "checkbox" ? this.control.checked : this.options.read ? this.options.read() : this.control.value; }

  typing() {
    this.ui.local.set(this.key, { value: this.read() });
    this.options.onshow?.(this.read());
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE);
  }

  flush() {
    clearTimeout(this.timer);
    const local = this.ui.local.get(this.key);
    if (local && local.sent !== local.value) this.commit();
  }

  commit() {
    const value = this.read();
    this.ui.local.set(this.key, { value, sent: value });
    this.node.classList.add("nadg-sending");
    this.ui.link.send("edit", { subtask: this.subtask, field: this.name, value, burst: this.burst ?? "" }, { key: this.key });
  }

  show(value) {
    const local = this.ui.local.get(this.key);
    const wanted = local ? local.value : value;
    this.node.classList.toggle("nadg-sending", Boolean(local && local.sent !== undefined && !local.error));
    this.error.textContent = local?.error ?? "";
    this.control.toggleAttribute("aria-invalid", Boolean(local?.error));
    if (this.control.type === "checkbox") this.control.checked = Boolean(wanted);
    else if (this.options.write) this.options.write(wanted);
    else if (this.control.value !== wanted) this.control.value = wanted;
    this.options.onshow?.(wanted);
  }
}

// ---------------------------------------------------------------- code

const TOKENS = /(#[^\n]*)|([rbfu]{0,2}"""[\s\S]*?(?:"""|$)|[rbfu]{0,2}'''[\s\S]*?(?:'''|$)|[rbfu]{0,2}"(?:\\.|[^"\\\n])*"?|[rbfu]{0,2}'(?:\\.|[^'\\\n])*'?)|\b(False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)\b|\b(\d[\d_.eEjxob]*)\b/gi;
const HIGHLIGHT_LIMIT = 60000; // characters; longer code is shown plain

function tokens(text) {
  if (text.length > HIGHLIGHT_LIMIT) return [["", text]];
  const out = [];
  let at = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index > at) out.push(["", text.slice(at, match.index)]);
    out.push([match[1] ? "cm" : match[2] ? "st" : match[3] ? "kw" : "nu", match[0]]);
    at = match.index + match[0].length;
  }
  out.push(["", text.slice(at)]);
  return out;
}

function codeLines(text) {
  const lines = [[]];
  for (const [kind, part] of tokens(text)) {
    part.split("\n").forEach((piece, k) => {
      if (k) lines.push([]);
      if (piece) lines.at(-1).push(kind ? h("span", { class: `nadg-${kind}` }, piece) : document.createTextNode(piece));
    });
  }
  return lines;
}

// A textarea over its own coloured copy: the copy gives the size, so that one box scrolls both.
class CodeBox {
  constructor(label) {
    this.area = h("textarea", { class: "nadg-area", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": label });
    this.lines = h("div", { class: "nadg-lines", "aria-hidden": "true" });
    this.node = h("div", { class: "nadg-code" }, this.lines, this.area);
    this.marks = new Map();
    this.leaving = false;
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.area.addEventListener("blur", () => { this.leaving = false; });
  }

  key(event) {
    if (event.key === "Escape") { this.leaving = true; return; }
    if (event.key !== "Tab" || this.leaving || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const { selectionStart: from, selectionEnd: to, value } = this.area;
    const start = value.lastIndexOf("\n", from - 1) + 1;
    if (!event.shiftKey && from === to) return this.insert(from, to, " ".repeat(4 - ((from - start) % 4)));
    const end = value.indexOf("\n", Math.max(from, to - 1));
    const stop = end < 0 ? value.length : end;
    const block = value.slice(start, stop);
    this.insert(start, stop, event.shiftKey ? block.replace(/^ {1,4}/gm, "") : block.replace(/^(?=.)/gm, "    "), true);
  }

  insert(from, to, text, select = false) {
    this.area.setSelectionRange(from, to);
    // execCommand keeps the browser's own undo inside the field; it is the only call that does
    const done = text ? document.execCommand?.("insertText", false, text) : document.execCommand?.("delete");
    if (!done) { this.area.setRangeText(text, from, to, "end"); this.area.dispatchEvent(new Event("input")); }
    if (select) this.area.setSelectionRange(from, from + text.length);
  }

  paint(text) {
    this.lines.replaceChildren(...codeLines(text).map((parts, k) => h("div", { class: `nadg-line ${this.marks.get(k + 1) ?? ""}` }, h("span", { class: "nadg-ln" }, this.marks.has(k + 1) ? `! ${k + 1}` : k + 1), h("span", { class: "nadg-tx" }, parts.length ? parts : "\u200b"))));
  }

  mark(problems, text) {
    this.marks = new Map(problems.filter((p) => p.line).map((p) => [p.line, p.blocks ? "nadg-err" : "nadg-warnline"]));
    this.paint(text);
  }

  jump(line) {
    const lines = this.area.value.split("\n");
    const from = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    this.area.focus();
    this.area.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
    this.lines.children[line - 1]?.scrollIntoView({ block: "nearest" });
  }
}

// ---------------------------------------------------------------- the editor

class Editor {
  constructor(ui, item) {
    this.ui = ui;
    this.id = item.id;
    this.tab = "code";
    const text = (name, label, props = {}, options = {}) => new Field(ui, item, name, label, h("input", { type: "text", ...props }), options);
    const area = h("textarea", { rows: 1, class: "nadg-instr", placeholder: "What this subtask should do, in words" });
    this.code = new CodeBox(`Code of ${item.name}`);
    this.change = h("span");
    this.title = text("title", null, { class: "nadg-title", "aria-label": "Title", maxlength: 200 }, { typed: true, class: "nadg-grow" });
    this.number = h("span", { class: "nadg-n" });
    this.codeField = new Field(ui, item, "code", null, this.code.area, { typed: true, around: this.code.node, class: "nadg-wide", onshow: (value) => this.code.paint(value) });
    this.fields = {
      title: this.title,
      instruction: new Field(ui, item, "instruction", null, area, { typed: true, class: "nadg-wide" }),
      code: this.codeField,
      labels: text("labels", "Needs labels", { placeholder: "any worker", size: 12 }),
      timeout_s: text("timeout_s", "Timeout (s)", { inputmode: "decimal", size: 6 }),
      memory_mb: text("memory_mb", "Memory (MB)", { inputmode: "numeric", size: 6 }),
      priority: text("priority", "Priority", { inputmode: "numeric", size: 4 }),
      retries: text("retries", "Retries", { inputmode: "numeric", size: 4 }),
      cache: new Field(ui, item, "cache", "Cache", h("select", {}, ["auto", "on", "off"].map((word) => h("option", {}, word)))),
      id: text("id", "Id", { class: "nadg-mono", spellcheck: "false", size: 14 }),
    };
    area.setAttribute("aria-label", "Instruction");
    for (const [name, label] of [["network", "Network"], ["processes_allowed", "Processes"], ["gpu", "GPU"], ["hold", "Hold"]]) {
      const box = h("input", { type: "checkbox", role: "switch" });
      this.fields[name] = new Field(ui, item, name, null, box, { around: h("label", { class: "nadg-switch" }, box, h("span", {}, label)), class: "nadg-sw" });
    }
    this.names = { depends_on: this.nameList(item, "depends_on", "After"), inputs: this.nameList(item, "inputs", "Inputs") };
    this.map = this.mapField(item);
    this.problems = h("ul", { class: "nadg-problems", "aria-label": "Problems" });
    this.tabs = h("div", { class: "nadg-tabs", role: "tablist" });
    this.diff = h("div", { class: "nadg-code nadg-diff", role: "tabpanel", "aria-label": "Difference to the draft", tabindex: 0 });
    this.hint = h("div", { class: "nadg-dim nadg-hint" }, "Tab indents; Escape, then Tab leaves the code.");
    this.node = h("div", { class: "nadg-editor" },
      h("div", { class: "nadg-head" }, this.number, this.title.node, this.change),
      this.fields.instruction.node, this.tabs, this.codeField.node, this.diff, this.hint, this.problems,
      h("div", { class: "nadg-meta" }, this.names.depends_on.node, this.names.inputs.node, this.map.node, this.fields.labels.node),
      h("div", { class: "nadg-meta" }, ["timeout_s", "memory_mb", "priority", "retries", "cache", "id"].map((name) => this.fields[name].node)),
      h("fieldset", { class: "nadg-meta nadg-perms" }, h("legend", {}, "Permissions and hold"), ["network", "processes_allowed", "gpu", "hold"].map((name) => this.fields[name].node)));
  }

  nameList(item, name, label) {
    const chips = h("span", { class: "nadg-chips" });
    const pick = h("select", { "aria-label": `Add to ${label}` });
    const error = h("div", { class: "nadg-fielderror", role: "alert" });
    const send = (value) => this.ui.link.send("edit", { subtask: this.id, field: name, value }, { refused: (text) => { error.textContent = text; } });
    pick.addEventListener("change", () => { if (pick.value) send([...this.item[name], pick.value]); pick.value = ""; });
    const node = h("div", { class: "nadg-field nadg-names", role: "group", "aria-label": label }, h("span", { class: "nadg-label" }, label), h("span", { class: "nadg-chips" }, chips, pick), error);
    return { node, show: (now) => {
      error.textContent = "";
      const known = [...(name === "inputs" ? this.ui.plan.data.map((data) => data.name) : []), ...this.ui.plan.subtasks.map((other) => other.id).filter((id) => id !== now.id)];
      chips.replaceChildren(...now[name].map((id) => h("span", { class: "nadg-chip" }, id, h("button", { type: "button", class: "nadg-x", "aria-label": `Remove ${id} from ${label}`, onclick: () => send(now[name].filter((other) => other !== id)) }, "×"))));
      const free = known.filter((id) => !now[name].includes(id));
      const fill = (names) => pick.replaceChildren(h("option", { value: "" }, now[name].length ? "add" : "none"), ...names.map((id) => h("option", { value: id }, id)));
      if (document.activeElement !== pick) fill(free.length > EAGER ? [] : free); // many names are listed when they are asked for
      pick.onfocus = () => { if (free.length > EAGER) fill(free); };
    } };
  }

  mapField(item) {
    const over = h("select", { "aria-label": "Map over" });
    const count = h("input", { type: "text", inputmode: "numeric", size: 5, "aria-label": "How many" });
    const unit = h("select", { "aria-label": "Unit" }, h("option", { value: "shards" }, "shards"), h("option", { value: "rows" }, "rows each"));
    const line = h("span", { class: "nadg-map" }, over, count, unit);
    const field = new Field(this.ui, item, "map", "Map over", over, {
      around: line,
      read: () => (over.value ? { over: over.value, count: count.value || "4", unit: unit.value } : null),
      write: (value) => {
        const names = [...this.ui.plan.data.map((data) => data.name), ...(this.item?.depends_on ?? [])];
        if (value && !names.includes(value.over)) names.push(value.over);
        over.replaceChildren(h("option", { value: "" }, "no map"), ...names.map((name) => h("option", { value: name }, name)));
        over.value = value?.over ?? "";
        if (document.activeElement !== count) count.value = value?.count ?? "";
        unit.value = value?.unit ?? "shards";
        count.hidden = unit.hidden = !value;
      },
    });
    for (const control of [count, unit]) control.addEventListener("change", () => field.commit());
    return field;
  }

  show(item) {
    this.item = item;
    this.number.textContent = item.n;
    this.change.replaceChildren(...(item.change ? [chip(item.change === "added" ? "added by you" : "edited by you", "edit")] : []));
    for (const [name, field] of Object.entries(this.fields)) field.show(item[name]);
    this.map.show(item.map);
    for (const list of Object.values(this.names)) list.show(item);
    this.code.mark(item.problems, this.code.area.value);
    this.code.area.setAttribute("aria-label", `${item.kind === "prompt" ? "Prompt" : "Code"} of ${item.name}`);
    this.problems.replaceChildren(...item.problems.map((problem) => h("li", { class: problem.blocks ? "nadg-problem" : "nadg-problem nadg-remark" },
      problem.line ? h("button", { type: "button", class: "nadg-link", onclick: () => { this.open("code"); this.code.jump(problem.line); } }, `Line ${problem.line}`) : null, problem.line ? ": " : "", problem.message)));
    this.open(item.diff.length ? this.tab : "code");
  }

  open(tab) {
    this.tab = tab;
    const make = (name, text) => h("button", { type: "button", role: "tab", "aria-selected": tab === name, class: tab === name ? "nadg-on" : "", onclick: () => this.open(name) }, text);
    const changed = this.item.diff.filter(([mark]) => mark).length;
    const focused = this.tabs.contains(document.activeElement);
    this.tabs.replaceChildren(make("code", this.item.kind === "prompt" ? "Prompt" : "Code"), ...(this.item.diff.length ? [make("diff", `Difference to the draft (${changed})`)] : []));
    if (focused) this.tabs.querySelector(".nadg-on")?.focus();
    this.codeField.node.hidden = this.hint.hidden = tab !== "code";
    this.diff.hidden = tab !== "diff";
    if (tab === "diff") this.diff.replaceChildren(...diffLines(this.item.diff));
  }
}

function diffLines(lines) {
  let at = 0;
  return lines.map(([mark, text]) => {
    if (mark !== "-") at++;
    return h("div", { class: `nadg-line ${mark === "+" ? "nadg-add" : mark === "-" ? "nadg-del" : ""}` }, h("span", { class: "nadg-ln" }, `${mark || " "} ${mark === "-" ? "" : at}`), h("span", { class: "nadg-tx" }, text || "\u200b"));
  });
}

// ---------------------------------------------------------------- one subtask of a run

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

// ---------------------------------------------------------------- what is approved

function drawApproval(ui) {
  const { approval, problems, subtasks, undo } = ui.plan;
  if (!approval) return [];
  const all = [...problems, ...subtasks.flatMap((item) => item.problems)].filter((problem) => problem.blocks);
  const go = button(ui.live.starting ? "Starting…" : "Approve and run", () => ui.link.send("approve", { digest: approval.digest }), { class: "nadg-btn nadg-primary nadg-approve", disabled: !approval.can, "aria-describedby": `${ui.uid}-why` });
  const facts = h("span", { class: "nadg-sum" }, h("b", {}, approval.summary),
    approval.permissions.length ? h("span", { class: "nadg-warntext" }, ` · ${approval.permissions.length === 1 ? "1 permission" : approval.permissions.length + " permissions"}: ${cut(approval.permissions.join("; "), 200)}`) : " · no network, no processes",
    approval.why ? h("span", { class: "nadg-badtext", id: `${ui.uid}-why` }, ` · ${approval.why}`) : h("span", { id: `${ui.uid}-why` }));
  const jump = all.slice(0, 8).map((problem) => h("li", { class: "nadg-problem" }, problem.subtask ? [h("button", { type: "button", class: "nadg-link", onclick: () => ui.jump(problem) }, `${problem.subtask}${problem.line ? `, line ${problem.line}` : ""}`), ": "] : null, problem.message));
  if (all.length > 8) jump.push(h("li", { class: "nadg-dim" }, `and ${all.length - 8} more`));
  const rows = approval.rows.slice(0, 300).map((row) => h("tr", {}, h("th", { scope: "row" }, row.name), h("td", {}, row.what), h("td", { class: row.where.startsWith("no worker") ? "nadg-badtext" : "" }, row.where), h("td", { class: row.permissions.length ? "nadg-warntext" : "nadg-dim" }, row.permissions.join(", ") || "none"), h("td", {}, row.limits), h("td", {}, row.held ? "held" : "")));
  const table = h("details", { class: "nadg-fold nadg-will" }, h("summary", {}, "What will run, where, with which permissions"),
    h("div", { class: "nadg-scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["subtask", "code", "runs on", "permissions", "limits", ""].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows))));
  table.open = ui.folds.has("will");
  table.addEventListener("toggle", () => { if (table.open) ui.folds.add("will"); else ui.folds.delete("will"); });
  return [jump.length ? h("ul", { class: "nadg-problems", "aria-label": "Problems that block approval" }, jump) : null, table,
    h("div", { class: "nadg-foot" }, facts, ui.live.saved ? h("span", { class: "nadg-dim nadg-saved", title: ui.live.saved }, "saved") : null, go)].filter(Boolean);
}

// ---------------------------------------------------------------- putting it together

class View {
  constructor(model, el) {
    this.model = model;
    this.uid = `nadg${Math.random().toString(36).slice(2, 9)}`;
    this.bursts = 0;
    this.local = new Map();
    this.folds = new Set();
    this.plan = model.get("plan");
    this.live = { ...model.get("live") };
    this.elapsed = h("b");
    this.top = h("div", { class: "nadg-top" });
    this.graph = h("div", { class: "nadg-graph", tabindex: -1 });
    this.pad = h("div", { class: "nadg-pad", role: "presentation" });
    this.list = h("div", { class: "nadg-list", role: "listbox", tabindex: 0, "aria-label": "Subtasks" }, this.pad);
    this.tools = h("div", { class: "nadg-tools", role: "toolbar", "aria-label": "Edit the plan" });
    this.side = h("div", { class: "nadg-side" });
    this.foot = h("div", { class: "nadg-bottom" });
    this.notice = h("div", { class: "nadg-notice", role: "alert" });
    this.health = h("div", { class: "nadg-health", role: "status" });
    this.main = h("div", { class: "nadg-main" }, h("div", { class: "nadg-left" }, this.graph, this.list, this.tools), this.side);
    this.root = h("section", { class: "nadg-view", "aria-label": "Plan", "data-lm-suppress-shortcuts": "true" }, this.health, this.notice, this.top, this.main, this.foot);
    el.append(this.root);
    this.link = new Link(model, (what, answer) => this.answered(what, answer), (health) => this.showHealth(health));
    this.list.addEventListener("scroll", () => drawList(this));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("beforeinput", keepLineBreak, true);
    this.onplan = () => { this.plan = model.get("plan"); this.draw(); };
    this.onlive = () => { this.take(model.get("live")); this.drawLive(); };
    model.on("change:plan", this.onplan);
    model.on("change:live", this.onlive);
    this.take(this.live);
    this.clock = setInterval(() => this.showElapsed(), 1000);
    this.draw();
    requestAnimationFrame(() => { this.panel(); drawList(this); });
  }

  rowId(id) { return `${this.uid}-r-${id}`; }

  take(live) {
    this.live = { ...live };
    this.takenAt = performance.now();
    if (this.wanted && this.live.rev < this.wanted.rev) this.live.selected = this.wanted.id;
    else this.wanted = null;
    for (const [key, local] of this.local) if (local.done !== undefined && local.done <= live.rev) this.local.delete(key);
  }

  // The shell around the view is made of plain widgets: what they cannot say themselves is said here.
  panel() {
    const shell = this.root.closest(".nadg-panel");
    if (!shell || shell === this.shell) return;
    this.shell = shell;
    shell.setAttribute("role", "region");
    shell.setAttribute("aria-label", "NADG control panel");
    shell.setAttribute("data-lm-suppress-shortcuts", "true");
    const steps = shell.querySelector(".nadg-steps");
    steps?.setAttribute("role", "navigation");
    steps?.setAttribute("aria-label", "Pages");
    for (const [where, label] of [[".nadg-command textarea", "Command"], [".nadg-path input", "Path of a file"], [".nadg-saved-plans select", "Saved plans"]]) shell.querySelector(where)?.setAttribute("aria-label", label);
    this.focused = () => { this.inside = true; };
    this.left = (event) => { if (event.relatedTarget) this.inside = shell.contains(event.relatedTarget); };
    shell.addEventListener("focusin", this.focused);
    shell.addEventListener("focusout", this.left);
    shell.querySelector(".nadg-status")?.setAttribute("aria-live", "polite");
    for (const box of shell.querySelectorAll(".nadg-message")) box.setAttribute("role", "alert");
    this.shellKey = (event) => {
      if (event.key !== "Enter") return;
      const command = event.target instanceof HTMLTextAreaElement && event.target.closest(".nadg-command");
      const path = event.target instanceof HTMLInputElement && event.target.closest(".nadg-path");
      if (!(path || (command && (event.ctrlKey || event.metaKey)))) return;
      event.preventDefault();
      event.stopPropagation();
      if (command) this.link.send("draft", { command: event.target.value });
      else this.link.send("attach", { path: event.target.value });
    };
    shell.addEventListener("keydown", this.shellKey, true);
    shell.addEventListener("beforeinput", keepLineBreak, true);
  }

  draw() {
    this.root.classList.toggle("nadg-empty", !this.plan.subtasks);
    if (!this.plan.subtasks) {
      this.side.replaceChildren();
      this.editor = null;
      this.top.replaceChildren(h("p", { class: "nadg-dim" }, "There is no plan yet. Type a command on the Command page and draft one."));
      return;
    }
    this.root.dataset.page = this.plan.page;
    this.drawTop();
    drawGraph(this);
    drawList(this);
    this.drawTools();
    this.drawSide();
    this.foot.replaceChildren(...drawApproval(this));
    this.showNotice();
  }

  // A page that goes takes the focus with it: whoever works with keys goes on in the list of the new one.
  keepFocus() {
    if (this.page === this.plan.page) return;
    this.page = this.plan.page;
    const active = document.activeElement;
    const gone = active === document.body || (this.shell?.contains(active) && !active.getClientRects().length);
    if (this.inside && gone) this.list.focus({ preventScroll: true });
  }

  drawLive() {
    this.panel();
    for (const step of this.shell?.querySelectorAll(".nadg-step") ?? []) step.setAttribute("aria-current", step.classList.contains("nadg-now") ? "page" : "false");
    requestAnimationFrame(() => this.keepFocus());
    if (!this.plan.subtasks) return this.showNotice();
    if (this.plan.page === "run") this.drawTop();
    drawGraph(this);
    this.reveal();
    drawList(this);
    this.drawSide();
    if (this.plan.page === "review") this.foot.replaceChildren(...drawApproval(this));
    this.showNotice();
  }

  drawTop() {
    const { plan } = this;
    const keep = this.top.contains(document.activeElement) ? document.activeElement.textContent : null;
    const said = [plan.goal && `Goal: ${plan.goal}`, plan.assumptions.length && `Assumes: ${plan.assumptions.join("; ")}`].filter(Boolean);
    const head = [h("div", { class: "nadg-cmdline" },
      h("div", { class: "nadg-grow" }, h("div", { class: "nadg-q" }, cut(plan.command, 400)), said.length ? h("div", { class: "nadg-dim" }, cut(said.join("  ·  "), 600)) : null,
        plan.questions.length ? h("div", { class: "nadg-ask" }, `Asks: ${plan.questions.join("  ·  ")}`) : null),
      h("div", { class: "nadg-chips" }, plan.data.map((data) => chip(`${data.name} · ${data.size}`))))];
    this.top.replaceChildren(...(plan.page === "run" ? drawRunHead(this) : head));
    if (keep) [...this.top.querySelectorAll("button")].find((item) => item.textContent === keep)?.focus();
    this.showElapsed();
  }

  drawTools() {
    const { plan } = this;
    const one = (text, op, props = {}) => button(text, () => this.onSelected(op), props);
    const keep = this.tools.contains(document.activeElement) ? document.activeElement.dataset.tool : null;
    const empty = plan.subtasks.length === 0;
    const items = plan.page === "run" ? [] : [
      button("+ Add", () => this.link.send("add"), { "data-tool": "add" }),
      one("Duplicate", "duplicate", { disabled: empty, "data-tool": "duplicate" }),
      one("Delete", "drop", { disabled: empty, "data-tool": "drop" }),
      button("Undo", () => this.link.send("undo"), { disabled: !plan.undo, "data-tool": "undo", title: "Ctrl+Z", class: "nadg-btn nadg-ghost" }),
      button("Redo", () => this.link.send("redo"), { disabled: !plan.redo, "data-tool": "redo", title: "Ctrl+Shift+Z", class: "nadg-btn nadg-ghost" }),
    ];
    if (items.length && plan.suggestions.length) {
      const pick = h("select", { "aria-label": "Add a recipe that fits the data", class: "nadg-recipes", "data-tool": "recipes", onchange: () => { if (pick.value) this.link.send("add", { suggestion: Number(pick.value) }); pick.value = ""; } },
        h("option", { value: "" }, "Add a recipe…"), plan.suggestions.map((item, k) => h("option", { value: k, title: item.reason }, item.title)));
      items.push(pick);
    }
    this.tools.replaceChildren(...items);
    this.tools.hidden = !items.length;
    if (keep) this.tools.querySelector(`[data-tool="${keep}"]`)?.focus();
  }

  drawSide() {
    const item = this.item();
    if (!item) { this.editor = null; this.side.replaceChildren(h("p", { class: "nadg-dim" }, "Add a subtask, or draft the plan again.")); return; }
    if (this.plan.page === "run") {
      this.editor = null;
      const keep = this.side.contains(document.activeElement) ? document.activeElement : null;
      const verb = keep?.dataset.verb;
      const logs = [...this.side.querySelectorAll(".nadg-log")].map((log) => log.scrollTop + log.clientHeight >= log.scrollHeight - 4 ? Infinity : log.scrollTop);
      this.side.replaceChildren(drawOutput(this, item));
      this.side.querySelectorAll(".nadg-log").forEach((log, k) => { log.scrollTop = logs[k] === Infinity ? log.scrollHeight : logs[k] ?? 0; });
      if (verb) this.side.querySelector(`[data-verb="${verb}"]`)?.focus();
      return;
    }
    if (!this.editor || this.editor.id !== item.id) {
      this.leaveEditor();
      this.editor = new Editor(this, item);
      this.side.replaceChildren(this.editor.node);
    }
    this.editor.show(item);
  }

  leaveEditor() { if (this.editor) for (const field of Object.values(this.editor.fields)) field.options.typed && field.flush(); }

  item() { return this.plan.subtasks?.find((item) => item.id === this.live.selected) ?? this.plan.subtasks?.[0]; }

  select(id) {
    if (id === this.live.selected) return;
    this.leaveEditor();
    this.live.selected = id;
    this.wanted = { id, rev: Infinity };
    this.link.send("select", { subtask: id }, { select: id });
    drawGraph(this);
    this.reveal();
    drawList(this);
    this.drawSide();
  }

  reveal() {
    const place = this.plan.subtasks.findIndex((item) => item.id === this.live.selected);
    if (place < 0 || place === this.revealed) return;
    this.revealed = place;
    const top = place * ROW, box = this.list;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
  }

  onSelected(op) { const item = this.item(); if (item) this.link.send(op, { subtask: item.id }); }

  jump(problem) {
    this.select(problem.subtask);
    if (problem.line && this.editor) this.editor.code.jump(problem.line);
    else this.editor?.node.querySelector("textarea, input")?.focus();
  }

  key(event) {
    const mod = event.ctrlKey || event.metaKey;
    if (mod && !inText(event.target) && this.plan.page === "review" && event.key.toLowerCase() === "z") {
      event.preventDefault();
      this.link.send(event.shiftKey ? "redo" : "undo");
    } else if (mod && !inText(event.target) && this.plan.page === "review" && event.key.toLowerCase() === "y") {
      event.preventDefault();
      this.link.send("redo");
    } else if (event.target === this.list) this.listKey(event);
  }

  listKey(event) {
    const items = this.plan.subtasks ?? [];
    const at = items.findIndex((item) => item.id === this.live.selected);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items.length - 1, PageUp: at - 8, PageDown: at + 8 }[event.key];
    if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key) && this.plan.page === "review") {
      event.preventDefault();
      this.link.send("move", { subtask: items[at]?.id, by: event.key === "ArrowUp" ? -1 : 1 });
    } else if (to !== undefined && items.length) {
      event.preventDefault();
      this.select(items[Math.max(0, Math.min(items.length - 1, to))].id);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.side.querySelector("textarea, input, button")?.focus();
    } else if (event.key === "Delete" && this.plan.page === "review" && items[at]) {
      event.preventDefault();
      this.link.send("drop", { subtask: items[at].id });
    }
  }

  answered(what, answer) {
    if (what.select && this.wanted?.id === what.select) this.wanted.rev = answer.rev;
    const local = what.key && this.local.get(what.key);
    if (what.select && !answer.ok) this.wanted = null;
    if (!answer.ok) {
      if (local) { if (local.sent === local.value || local.sent === what.value) local.error = answer.error; }
      else if (what.refused) what.refused(answer.error);
      else this.say(answer.error);
    } else if (local && local.sent === local.value && JSON.stringify(local.sent) === JSON.stringify(what.value)) {
      local.done = answer.rev;
      if (what.field === "id" && answer.rev <= this.live.rev) this.local.delete(what.key);
    }
    if (answer.ok && !what.key) this.say("");
    this.take({ ...this.live });
    if (this.plan.page === "review" && this.editor && this.item()) this.editor.show(this.item());
  }

  say(text) { this.said = text; this.showNotice(); }

  showNotice() {
    const text = this.said || this.live.notice || "";
    if (this.notice.dataset.text === text) return;
    this.notice.dataset.text = text;
    this.notice.replaceChildren(...(text ? [h("span", { class: "nadg-grow" }, text), button("Dismiss", () => { this.said = ""; this.link.send("dismiss"); this.showNotice(); }, { class: "nadg-btn nadg-ghost" })] : []));
  }

  showElapsed() {
    const run = this.live.run;
    if (run) this.elapsed.textContent = clock(run.elapsed + (run.live ? (performance.now() - this.takenAt) / 1000 : 0));
  }

  showHealth(health) {
    const saved = this.live.saved ? ` Your plan is saved in ${this.live.saved}.` : "";
    const text = { ok: "", busy: "The kernel is busy: what you do here is carried out when it is free.", silent: `The kernel does not answer. If it is busy, what you do here is carried out when it is free; if it was restarted, run the cell again.${saved}`, disconnected: `Disconnected: the kernel was restarted or is gone. Run the cell again for a live panel.${saved}` }[health];
    this.health.textContent = text;
    this.root.dataset.health = health;
    this.shell?.setAttribute("data-health", health);
  }

  close() {
    this.link.close();
    clearInterval(this.clock);
    this.shell?.removeEventListener("focusin", this.focused);
    this.shell?.removeEventListener("focusout", this.left);
    this.shell?.removeEventListener("keydown", this.shellKey, true);
    this.shell?.removeEventListener("beforeinput", keepLineBreak, true);
    this.model.off("change:plan", this.onplan);
    this.model.off("change:live", this.onlive);
  }
}

function render({ model, el }) {
  const view = new View(model, el);
  return () => view.close();
}

export default { render };
