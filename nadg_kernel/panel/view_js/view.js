// Putting it together.

class View {
  constructor(model, el) {
    this.model = model;
    this.uid = `nadg${Math.random().toString(36).slice(2, 9)}`;
    this.bursts = 0;
    this.local = new Map();
    this.folds = new Set();
    this.plan = model.get("plan");
    this.live = { ...model.get("live") };
    this.offers = model.get("offers");
    this.elapsed = h("b");
    this.top = h("div", { class: "nadg-top" });
    this.graph = h("div", { class: "nadg-graph", tabindex: -1 });
    this.pad = h("div", { class: "nadg-pad", role: "presentation" });
    this.list = h("div", { class: "nadg-list", role: "listbox", tabindex: 0, "aria-label": "Subtasks" }, this.pad);
    this.search = new Search(this);
    this.tools = h("div", { class: "nadg-tools", role: "toolbar", "aria-label": "Edit the plan" });
    this.side = h("div", { class: "nadg-side" });
    this.foot = h("div", { class: "nadg-bottom" });
    this.rehearsal = h("div");
    this.form = h("div");
    this.proposal = h("div");
    this.head = h("div");
    this.questions = new Questions(this);
    this.fleet = new Fleet(this);
    this.next = new Next(this);
    this.top.append(this.head, this.questions.node);
    this.notice = h("div", { class: "nadg-notice", role: "alert" });
    this.health = h("div", { class: "nadg-health", role: "status" });
    this.main = h("div", { class: "nadg-main" }, h("div", { class: "nadg-left" }, this.graph, this.search.node, this.list, this.tools, this.form), this.side);
    this.root = h("section", { class: "nadg-view", "aria-label": "Plan", "data-lm-suppress-shortcuts": "true" }, this.health, this.notice, this.fleet.node, this.next.node, this.top, this.proposal, this.main, this.rehearsal, this.foot);
    el.append(this.root);
    this.link = new Link(model, (what, answer) => this.answered(what, answer), (health) => this.showHealth(health));
    this.list.addEventListener("scroll", () => drawList(this));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("beforeinput", keepLineBreak, true);
    this.onplan = () => { this.plan = model.get("plan"); this.draw(); };
    this.onlive = () => { this.take(model.get("live")); this.drawLive(); };
    this.onoffers = () => { this.offers = model.get("offers"); this.drawOffers(); };
    model.on("change:offers", this.onoffers);
    model.on("change:plan", this.onplan);
    model.on("change:live", this.onlive);
    this.take(this.live);
    this.clock = setInterval(() => this.showElapsed(), 1000);
    this.draw();
    requestAnimationFrame(() => { this.panel(); drawList(this); });
  }

  rowId(id) { return `${this.uid}-r-${id}`; }

  take(live) {
    const shown = this.live.selected;
    this.live = { ...live };
    this.takenAt = performance.now();
    if (this.wanted && this.live.rev < this.wanted.rev) this.live.selected = this.wanted.id;
    else this.wanted = null;
    if (typedIn(this, shown)) this.live.selected = shown; // somebody else may look elsewhere: here the field stays
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
    this.reached = reachResults(shell);
    const steps = shell.querySelector(".nadg-steps");
    steps?.setAttribute("role", "navigation");
    steps?.setAttribute("aria-label", "Pages");
    for (const [where, label] of [[".nadg-command textarea", "Command"], [".nadg-path input", "Path of a file"], [".nadg-saved-plans select", "Saved plans"], [".nadg-planner select", "Planner"], [".nadg-prompt textarea", "What would be sent"], [".nadg-answer textarea", "A chat's answer"], [".nadg-filter-since select", "Period"], [".nadg-filter-state select", "State"], [".nadg-filter-worker select", "Worker"], [".nadg-filter-text input", "Words of the command"]]) shell.querySelector(where)?.setAttribute("aria-label", label);
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
    this.shellClick = (event) => { const copy = event.target.closest?.(".nadg-copy"), text = copy && shell.querySelector(".nadg-prompt textarea"); if (text) { text.disabled = false; copyText(text, copy); text.disabled = true; } };
    shell.addEventListener("click", this.shellClick);
    shell.addEventListener("beforeinput", keepLineBreak, true);
  }

  // Both widgets' states arrive in one message, in no order that could be counted on: draw with what is there.
  drawOffers() {
    this.root.classList.toggle("nadg-fleetpage", Boolean(this.offers.fleet));
    this.root.classList.toggle("nadg-nextpage", Boolean(this.offers.results));
    this.fleet.show(this.offers.fleet);
    this.next.show(this.offers.results);
    if (this.offers.fleet || this.offers.results || !this.plan.subtasks) return;
    this.showPrompt?.();
    const review = this.plan.page === "review";
    const focused = this.proposal.contains(document.activeElement), at = this.proposal.querySelector(".nadg-whole")?.scrollTop ?? 0;
    this.proposal.replaceChildren(...(review ? [drawChange(this, "review"), drawDiff(this)].filter(Boolean) : []));
    const whole = this.proposal.querySelector(".nadg-whole");
    if (whole) whole.scrollTop = at;
    if (focused && this.proposal.firstChild) this.proposal.querySelector("button")?.focus();
    this.drawTop();
    if (review) this.drawFoot();
    else this.drawSide();
  }

  drawFoot() {
    const kept = this.foot.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.foot.replaceChildren(...drawApproval(this));
    if (kept) [...this.foot.querySelectorAll("button, summary")].find((item) => item.textContent === kept)?.focus();
  }

  openRehearsal() {
    this.leaveEditor();
    const close = () => { this.rehearsal.replaceChildren(); this.foot.querySelector("[data-trial=rehearse]")?.focus(); };
    this.rehearsal.replaceChildren(trialAsk(this, null, close));
    this.rehearsal.querySelector("[data-trial=go]").focus();
  }

  openForm(name) {
    const close = () => { this.form.replaceChildren(); this.formName = ""; this.showPrompt = null; this.list.focus({ preventScroll: true }); };
    if (this.formName === name) return close();
    if (name !== "file" && !this.item()) return;
    this.formName = name;
    this.form.replaceChildren({ ask: askForm, split: splitForm, file: fileForm }[name](this, close));
    this.form.onkeydown = (event) => { if (event.key === "Escape") { event.stopPropagation(); close(); } };
    this.form.querySelector("textarea, input")?.focus();
  }

  draw() {
    this.root.classList.toggle("nadg-empty", !this.plan.subtasks);
    if (this.plan.page !== "review") { this.form.replaceChildren(); this.rehearsal.replaceChildren(); this.formName = ""; }
    if (!this.plan.subtasks) {
      this.side.replaceChildren();
      this.editor = null;
      this.drawOffers();
      this.questions.node.hidden = true;
      this.head.replaceChildren(h("p", { class: "nadg-dim" }, "There is no plan yet. Type a command on the Command page and draft one."));
      return;
    }
    this.root.dataset.page = this.plan.page;
    this.drawTop();
    drawGraph(this);
    drawList(this);
    this.drawTools();
    this.drawSide();
    this.drawFoot();
    this.drawOffers();
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
    if (this.plan.page === "review") this.drawFoot();
    this.showNotice();
  }

  drawTop() {
    const { plan } = this;
    const keep = this.head.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.questions.show(plan.page === "run" ? [] : plan.questions, this.offers.answers ?? {});
    if (plan.page === "run" && document.activeElement?.matches?.(".nadg-runs")) return; // a list that is open stays
    const said = [plan.goal && `Goal: ${plan.goal}`, plan.assumptions.length && `Assumes: ${plan.assumptions.join("; ")}`].filter(Boolean);
    const head = [h("div", { class: "nadg-cmdline" },
      h("div", { class: "nadg-grow" }, h("div", { class: "nadg-q" }, cut(plan.command, 400)), said.length ? h("div", { class: "nadg-dim" }, cut(said.join("  ·  "), 600)) : null,),
      h("div", { class: "nadg-chips" }, plan.data.map((data) => chip(`${data.name} · ${data.size}`))))];
    this.head.replaceChildren(...(plan.page === "run" ? [...drawRuns(this), ...drawRunHead(this)] : head));
    if (keep) [...this.head.querySelectorAll("button")].find((item) => item.textContent === keep)?.focus();
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
      button("Split…", () => this.openForm("split"), { disabled: empty, "data-tool": "split", title: "Into shards, or into two at a line: Alt+S" }),
      one("Merge with next", "merge", { disabled: plan.subtasks.length < 2, "data-tool": "merge", title: "Alt+M" }),
      button("Undo", () => this.link.send("undo"), { disabled: !plan.undo, "data-tool": "undo", title: "Ctrl+Z", class: "nadg-btn nadg-ghost" }),
      button("Redo", () => this.link.send("redo"), { disabled: !plan.redo, "data-tool": "redo", title: "Ctrl+Shift+Z", class: "nadg-btn nadg-ghost" }),
    ];
    if (items.length) items.push(button("Ask to change…", () => this.openForm("ask"), { disabled: empty, "data-tool": "ask", title: "Say in words what should be different: Alt+C", class: "nadg-btn nadg-ghost" }));
    if (items.length) {
      items.push(button("Compare with draft", () => this.link.send("diff", { on: !this.offers.diff }), { "data-tool": "diff", title: "All that differs from the planner's draft", class: "nadg-btn nadg-ghost" }));
      items.push(button("Save or open…", () => this.openForm("file"), { "data-tool": "file", title: "Keep this plan under a name, or go on with another", class: "nadg-btn nadg-ghost" }));
    }
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
    if (this.formName === "split") { this.form.replaceChildren(); this.formName = ""; }
    this.live.selected = id;
    this.wanted = { id, rev: Infinity };
    this.link.send("select", { subtask: id }, { select: id });
    drawGraph(this);
    this.reveal();
    drawList(this);
    this.drawSide();
  }

  reveal() {
    this.search.keep(this.item()?.id);
    const place = this.search.rows().findIndex((item) => item.id === this.live.selected);
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
    } else if (event.altKey && !mod && !event.shiftKey && this.plan.page === "review" && this.plan.subtasks && ["s", "m", "t", "c"].includes(event.key.toLowerCase())) {
      event.preventDefault();
      const key = event.key.toLowerCase();
      if (key === "m") this.onSelected("merge");
      else if (key === "t") this.editor?.openTrial();
      else this.openForm(key === "s" ? "split" : "ask");
    } else if (this.plan.subtasks?.length && ((mod && !event.altKey && event.key.toLowerCase() === "f") || (event.key === "/" && !inText(event.target)))) {
      event.preventDefault();
      this.search.input.focus();
      this.search.input.select();
    } else if (event.target === this.list) this.listKey(event);
  }

  listKey(event) {
    const items = this.search.rows();
    const at = items.findIndex((item) => item.id === this.live.selected);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: items.length - 1, PageUp: at - 8, PageDown: at + 8 }[event.key];
    if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key) && this.plan.page === "review") {
      event.preventDefault();
      if (items[at]) this.link.send("move", { subtask: items[at].id, by: event.key === "ArrowUp" ? -1 : 1 });
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
    if (answer.ok) what.done?.();
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
    const text = { ok: "", busy: "The kernel is busy: what you do here is carried out when it is free.", silent: `The kernel does not answer. If it is busy, what you do here is carried out when it is free; if it was restarted, run the cell again.${saved}`, disconnected: `Disconnected: the kernel was restarted or is gone. Run the cell again for a live panel.${saved}`,
      // JupyterLab goes on sending to a subshell of the old kernel, so that in this page no widget works any more
      stranger: `Disconnected: the kernel was restarted from elsewhere. Reload the page, then run the cell again.${saved}` }[health];
    this.health.textContent = text;
    this.root.dataset.health = health === "stranger" ? "disconnected" : health;
    this.shell?.setAttribute("data-health", this.root.dataset.health);
  }

  close() {
    this.link.close();
    clearInterval(this.clock);
    this.reached?.disconnect();
    this.shell?.removeEventListener("focusin", this.focused);
    this.shell?.removeEventListener("focusout", this.left);
    this.shell?.removeEventListener("keydown", this.shellKey, true);
    this.shell?.removeEventListener("click", this.shellClick);
    this.shell?.removeEventListener("beforeinput", keepLineBreak, true);
    this.model.off("change:plan", this.onplan);
    this.model.off("change:offers", this.onoffers);
    this.model.off("change:live", this.onlive);
  }
}

function render({ model, el }) {
  const view = new View(model, el);
  return () => view.close();
}

// Once for each model, whether it is shown or not: patches keep the plan that all its views draw.
function initialize({ model }) {
  const patch = (message) => {
    if (message.op !== "patch") return;
    const plan = model.get("plan");
    const subtasks = plan.subtasks.slice();
    for (const [place, row] of Object.entries(message.rows)) subtasks[place] = row;
    model.set("plan", { ...plan, ...message.head, subtasks });
  };
  model.on("msg:custom", patch);
  return () => model.off("msg:custom", patch);
}

export default { initialize, render };
