/*
 * The running calls of an organization, as a page knows them: a snapshot of the server, and the events since. What came in
 * any order, twice, or not at all ends in the same list.
 *
 *   const calls = new CallList({ changed: () => draw(), ask: () => live.refresh() });
 *   calls.heard('call.initiated', event);    each event of the organization
 *   calls.take(snapshot, Date.now());        the answer of /api/v1/calls?state=active
 *   calls.active, calls.shown, calls.seconds(call, Date.now())
 */
'use strict';

(() => {
  const REMEMBERED = 1000;
  const ENDED_MS = 3000;           // an ended call is shown so long
  const CEILING_MS = 4 * 3600000;  // a call that lasts longer is asked about

  class CallList {
    constructor({ changed = () => {}, ask = () => {} } = {}) {
      Object.assign(this, { changed, ask, calls: new Map(), ended: new Map(), extensions: new Map(), snapshot: 0, highest: 0, ahead: 0, events: [] });
    }

    get active() { return [...this.calls.values()]; }

    /** With those that have just ended. */
    get shown() { return [...this.calls.values(), ...this.ended.values()].sort((a, b) => a.at - b.at); }

    /** By the server's clock, whatever the visitor's says. */
    now(visitors = Date.now()) { return visitors + this.ahead; }

    /** Since it was answered, or since it rings. */
    seconds(call, visitors = Date.now()) {
      const until = call.ended_at ? Date.parse(call.ended_at) : this.now(visitors);
      return Math.max(0, Math.floor((until - Date.parse(call.answered_at ?? call.initiated_at)) / 1000));
    }

    heard(name, event) {
      if (event.revision <= this.snapshot)
        return; // the snapshot had it
      this.events.push([name, event]);
      if (this.events.length > REMEMBERED)
        this.events.shift();
      const missed = event.revision > this.highest + 1;
      this.highest = Math.max(this.highest, event.revision);
      const known = this.apply(name, event);
      this.changed();
      if (missed || !known)
        this.ask();
    }

    /** False if the call is not known. */
    apply(name, event) {
      const call = this.calls.get(event.call_id);
      if (name === 'call.initiated') {
        if (!call && !this.ended.has(event.call_id))
          this.add(event);
        return true;
      }
      if (!call)
        return this.ended.has(event.call_id);
      if (event.revision <= call.revision)
        return true;
      Object.assign(call, event);
      if (name === 'call.ended')
        this.end(call);
      return true;
    }

    add(call) { this.calls.set(call.call_id, { ...call, at: Date.parse(call.initiated_at) }); }

    end(call) {
      this.calls.delete(call.call_id);
      this.ended.set(call.call_id, call);
      setTimeout(() => { this.ended.delete(call.call_id); this.changed(); }, ENDED_MS);
    }

    /** False: an older one than what is shown already. */
    take(answer, visitors = Date.now()) {
      if (answer.revision < this.snapshot)
        return false;
      this.snapshot = answer.revision;
      this.highest = Math.max(this.highest, answer.revision);
      this.ahead = answer.now_ms - visitors;
      this.extensions = new Map(answer.extensions.map((extension) => [extension.id, extension]));
      this.calls.clear();
      answer.calls.forEach((call) => this.add(call));
      this.events = this.events.filter(([, event]) => event.revision > answer.revision);
      this.events.sort(([, a], [, b]) => a.revision - b.revision).forEach(([name, event]) => this.apply(name, event));
      this.changed();
      return true;
    }

    /** Is there one that lasts too long to be believed? */
    isOdd(visitors = Date.now()) { return this.active.some((call) => this.now(visitors) - call.at > CEILING_MS); }
  }

  if (typeof module === 'object')
    module.exports = { CallList };
  else
    window.CallList = CallList;
})();
