// The link to Python.

class Link {
  constructor(model, onanswer, onhealth) {
    this.model = model;
    this.onanswer = onanswer;
    this.onhealth = onhealth;
    this.pending = new Map();
    this.health = "ok";
    this.asked = null;
    this.missed = 0;
    this.dead = false;
    this.prefix = Math.random().toString(36).slice(2);
    this.count = 0;
    this.receive = (message) => this.take(message);
    this.lost = () => this.die();
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
      this.die();
      return false;
    }
  }

  tick() {
    if (this.dead || document.hidden) { this.asked = null; this.missed = 0; return; }
    const now = performance.now();
    // A kernel that is idle and does not answer knows nothing of this panel: it was restarted by somebody else.
    this.missed = this.asked !== null && this.kernelIdle() ? this.missed + 1 : 0;
    if (this.missed >= GONE) this.say("stranger");
    else if (this.asked !== null && this.health !== "stranger" && now - this.asked > BUSY) this.say(now - this.asked > SILENT ? "silent" : "busy");
    if (this.asked === null) this.asked = now;
    this.post({ op: "tick", rev: this.model.get("live").rev ?? -1 });
  }

  kernelIdle() {
    try {
      return this.model.widget_manager?.kernel?.status === "idle";
    } catch {
      return false; // a front end without such a thing: then only silence tells
    }
  }

  die() {
    this.say("disconnected");
    this.dead = true;
  }

  take(message) {
    if (message.op === "tock") {
      this.asked = null;
      this.missed = 0;
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
    if (this.health === health || this.dead) return;
    this.health = health;
    this.onhealth(health);
  }

  close() {
    clearInterval(this.timer);
    this.model.off("msg:custom", this.receive);
    this.model.off("comm_live_update", this.lost);
  }
}
