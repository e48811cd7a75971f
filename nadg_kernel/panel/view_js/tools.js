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
const GONE = 5; // ticks that an idle kernel leaves unanswered until it is another kernel
const EAGER = 300; // names listed in a closed choice
const SVG = "http://www.w3.org/2000/svg";
const STATES = { waiting: "○", held: "‖", ready: "◐", running: "▶", succeeded: "✓", cached: "✓", failed: "✗", skipped: "–", cancelled: "□" };
const TONES = { running: "run", succeeded: "ok", cached: "ok", failed: "bad", held: "warn" };

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
