'use strict';
// What every client sees while 50 of them join and leave presence channels at random, on several workers,
// and events are published from several threads. Each replays its own view by the rules:
//  - subscription_succeeded comes before anything else of a channel, and nothing comes when one is out;
//  - the snapshot and the later changes fit: nobody comes who is there, nobody goes who is not;
//  - the events of each publisher, and of each client that sends some, come without a gap, once, in order;
//  - nobody gets what it sent itself;
// and in the end all views are the same, and are the truth.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, channelAuth, connect, sleep, startHost, until } = require('./lib.js');

const CLIENTS = 50;
const USERS = 20; // so that most have two or three connections
const CHANNELS = ['presence-a', 'presence-b', 'presence-c', 'presence-cache-d', 'presence-e'];
const THREADS = 2;
const EVENTS = 500; // from each thread to each channel
const BUSY = { ...APP, max_client_events_per_s: 4294967295 };

class Actor {
  constructor(host, index, random) {
    Object.assign(this, { host, index, random, user: String(index % USERS), life: 0, faults: [] });
  }

  fault(text, frame) {
    this.faults.push(`client ${this.index}: ${text}: ${frame ? frame.raw.slice(0, 200) : ''}`);
  }

  async connect() {
    this.client = null;
    this.views = {};
    this.pings = [];
    this.sent = {};
    this.life++; // what was on its way when a connection was cut may be lost
    for (const name of CHANNELS) this.views[name] = { state: 'out' };
    const client = await connect(this.host, { app: BUSY });
    this.client = client;
    client.ws.removeAllListeners('message');
    client.ws.on('message', (data) => {
      if (client !== this.client) return; // of a connection that was given up
      const raw = data.toString();
      this.take(Object.defineProperty(JSON.parse(raw), 'raw', { value: raw }));
    });
  }

  take(frame) {
    if (frame.event === 'pusher:pong') {
      this.pings.shift()();
      return;
    }
    const view = this.views[frame.channel];
    if (!view) {
      this.fault('unexpected', frame);
      return;
    }
    const data = JSON.parse(frame.data);
    if (frame.event === 'pusher_internal:subscription_succeeded') {
      if (view.state !== 'joining') this.fault(`success while ${view.state}`, frame);
      const { ids, hash, count } = data.presence;
      if (new Set(ids).size !== count || ids.length !== count || Object.keys(hash).length !== count || !ids.includes(this.user)) this.fault('odd snapshot', frame);
      Object.assign(view, { state: 'in', members: new Set(ids), next: {}, success: Date.now() });
      view.joined();
      return;
    }
    if (view.state !== 'in' && view.state !== 'leaving') {
      this.fault(`frame while ${view.state}`, frame);
    } else if (frame.event === 'pusher_internal:member_added') {
      if (view.members.has(data.user_id)) this.fault('was there', frame);
      view.members.add(data.user_id);
    } else if (frame.event === 'pusher_internal:member_removed') {
      if (!view.members.delete(data.user_id)) this.fault('was not there', frame);
      if (data.user_id === this.user) this.fault('is me', frame);
    } else {
      const source = frame.event === 'published' ? `thread ${data.t}` : `client ${data.from} ${data.life}`;
      if (data.from === this.index && data.life === this.life) this.fault('echo', frame); // what it said before it came back is another's
      if (frame.event === 'client-n' && frame.user_id !== String(data.from % USERS)) this.fault('wrong user', frame);
      if (view.next[source] !== undefined && view.next[source] !== data.n) this.fault(`${view.next[source]} was next`, frame);
      view.next[source] = data.n + 1;
    }
  }

  ping() {
    return new Promise((resolve) => {
      this.pings.push(resolve);
      this.client.send('{"event":"pusher:ping","data":{}}');
    });
  }

  async join(name) {
    const view = this.views[name];
    const data = JSON.stringify({ user_id: this.user, user_info: { of: this.user } });
    view.state = 'joining';
    const joined = new Promise((resolve) => { view.joined = resolve; });
    this.client.ask(name, { auth: channelAuth(BUSY, this.client.socketId, name, data), channel_data: data });
    await joined;
  }

  async leave(name) {
    this.views[name].state = 'leaving';
    this.client.send({ event: 'pusher:unsubscribe', data: { channel: name } });
    await this.ping();
    this.views[name].state = 'out';
  }

  say(name) {
    const n = this.sent[name] || 0;
    this.sent[name] = n + 1;
    this.client.send({ event: 'client-n', channel: name, data: { from: this.index, life: this.life, n } });
  }

  /** One thing at random. */
  async act() {
    const name = CHANNELS[this.random(CHANNELS.length)];
    const dice = this.random(100);
    if (this.views[name].state === 'out') {
      await this.join(name);
    } else if (dice < 3) {
      if (dice) this.client.ws.terminate();
      else this.client.ws.close();
      await this.connect();
    } else if (dice < 45) {
      await this.leave(name);
    } else {
      this.say(name);
    }
  }
}

/** Numbers that are the same in every run. */
function generator(seed) {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

for (const workers of [2, 4]) {
  test(`${workers} workers: ${CLIENTS} clients see what is true, once and in order`, async (t) => {
    const host = await startHost({ apps: [BUSY], options: { worker_count: workers, out_soft_bytes: 1 << 26, out_hard_bytes: 1 << 27 } }, t);
    const random = generator(workers);
    const actors = Array.from({ length: CLIENTS }, (_, i) => new Actor(host, i, random));
    await Promise.all(actors.map((actor) => actor.connect()));
    let busy = true;
    const acting = actors.map(async (actor) => {
      while (busy) {
        await actor.act();
        await sleep(random(20));
      }
    });
    await sleep(200);
    await host.do('burst', { threads: THREADS, count: EVENTS, channels: CHANNELS, name: 'published', pause_us: 4000 });
    busy = false;
    await Promise.all(acting);

    const insideOf = (name) => actors.filter((actor) => actor.views[name].state === 'in');
    const truthOf = (name) => [...new Set(insideOf(name).map((actor) => actor.user))].sort();
    const membersOf = async (name) => (await host.do('members', { channel: name })).members.map(({ user }) => user).sort();
    // Who has left within 100 ms of joining is a member until these are over.
    for (const name of CHANNELS) await until(async () => String(await membersOf(name)) === String(truthOf(name)), `the members of ${name}`);
    // What was said last has arrived when everybody has been answered, twice.
    for (let i = 0; i < 2; i++) await Promise.all(actors.map((actor) => actor.ping()));
    for (const name of CHANNELS) {
      const [inside, truth] = [insideOf(name), truthOf(name)];
      assert.deepEqual(await membersOf(name), truth);
      assert.equal((await host.do('channel', { channel: name })).subscriptions, inside.length);
      for (const actor of inside) assert.deepEqual([...actor.views[name].members].sort(), truth, `client ${actor.index} in ${name}`);
      // Whoever got something of a publisher has by now got all of it.
      for (const actor of inside)
        for (let thread = 0; thread < THREADS; thread++) assert.ok([EVENTS, undefined].includes(actor.views[name].next[`thread ${thread}`]), `client ${actor.index} in ${name}`);
    }
    assert.deepEqual(actors.flatMap((actor) => actor.faults), []);

    // One more for everybody who is in, and for nobody else.
    for (const name of CHANNELS) await host.publish(name, 'published', `{"t":"last","n":0}`);
    for (let i = 0; i < 2; i++) await Promise.all(actors.map((actor) => actor.ping()));
    const heardLast = (actor, name) => (actor.views[name].state === 'in' ? actor.views[name].next['thread last'] : 1) === 1;
    const allHeardLast = () => actors.every((actor) => CHANNELS.every((name) => heardLast(actor, name)));
    if (process.env.PUSHERC_TEST_REDIS) await until(allHeardLast, 'the last event from another server'); // which no ping follows
    else assert.ok(allHeardLast());
    assert.deepEqual(actors.flatMap((actor) => actor.faults), []);
    for (const actor of actors) actor.client.ws.terminate();
  });

  test(`${workers} workers: one connection of a user follows the other, thousands of times`, async (t) => {
    // The hardest moment: the last connection of a user leaves while another one of the same user joins.
    const host = await startHost({ apps: [BUSY], options: { worker_count: workers } }, t);
    const watcher = new Actor(host, 1, null);
    const pair = [new Actor(host, 2, null), new Actor(host, 2 + USERS, null)]; // the same user
    await Promise.all([watcher, ...pair].map((actor) => actor.connect()));
    const [name] = CHANNELS;
    await watcher.join(name);
    await Promise.all(pair.map(async (actor) => {
      for (let i = 0; i < 1500; i++) {
        await actor.join(name);
        await actor.leave(name);
      }
    }));
    await until(() => watcher.views[name].members.size === 1, 'the end of the last one'); // who leaves within 100 ms of joining stays a member so long
    for (let i = 0; i < 2; i++) await watcher.ping();
    assert.deepEqual([...watcher.views[name].members], ['1']);
    assert.deepEqual([watcher, ...pair].flatMap((actor) => actor.faults), []);
    for (const actor of [watcher, ...pair]) actor.client.ws.terminate();
  });

  test(`${workers} workers: whoever joins while events are published gets all later ones`, async (t) => {
    const host = await startHost({ apps: [BUSY], options: { worker_count: workers } }, t);
    const actors = Array.from({ length: 40 }, (_, i) => new Actor(host, i, null));
    await Promise.all(actors.map((actor) => actor.connect()));
    const [name] = CHANNELS;
    const burst = host.do('burst', { threads: THREADS, count: 2000, channels: [name], name: 'published', pause_us: 200 });
    for (const actor of actors) {
      await actor.join(name);
      // published after the success was seen: must not be missed
      await host.publish(name, 'published', `{"t":"own ${actor.index}","n":0}`);
    }
    await burst;
    for (let i = 0; i < 2; i++) await Promise.all(actors.map((actor) => actor.ping()));
    for (const actor of actors) {
      const { next } = actor.views[name];
      for (const other of actors)
        if (other.index >= actor.index) assert.equal(next[`thread own ${other.index}`], 1, `${actor.index} ${other.index}`);
      for (let thread = 0; thread < THREADS; thread++) assert.equal(next[`thread ${thread}`] ?? 2000, 2000);
    }
    assert.deepEqual(actors.flatMap((actor) => actor.faults), []);
    for (const actor of actors) actor.client.ws.terminate();
  });
}
