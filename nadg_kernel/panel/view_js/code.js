// Code.

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

  line() { return this.area.value.slice(0, this.area.selectionStart).split("\n").length; }

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
