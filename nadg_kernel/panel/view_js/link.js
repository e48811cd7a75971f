// The link to Python.

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
