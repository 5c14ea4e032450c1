'use strict';
// Clients of several servers come, go, change servers, join and leave at random while events flow, and every frame that each
// of them hears is judged. PUSHERC_CHURN="clients of each server:seconds" for more than the short form.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const { describe, test } = require('node:test');
const WebSocket = require('ws');
const { APP, CLIENT_QUERY, api, channelAuth, sleep, until } = require('./lib.js');
const { LONG, startNodes } = require('./nodes.js');
const { noRedis, startRedis } = require('./redis.js');

const [CLIENTS, SECONDS] = (process.env.PUSHERC_CHURN || '60:8').split(':').map(Number);
const NODES = 3, EVENTS_PER_SECOND = 20, MARGIN_MS = 2000;
const ROOMS = Math.ceil(CLIENTS * NODES / 10), FEEDS = Math.ceil(CLIENTS * NODES / 60), USERS = Math.ceil(CLIENTS * NODES * 0.7);

const below = (n) => crypto.randomInt(n);
const pick = (list) => list[below(list.length)];
const sorted = (set) => [...set].sort();

/** What was published: of each feed and publisher the numbers from 0 on, and when. */
const published = new Map(); // "feed publisher" -> [{asked, done}]
const counts = { events: 0, joins: 0, added: 0, removed: 0, connections: 0, heard: 0 };
/** What no client may see. Only the first are shown. */
const wrong = [];
const complain = (text) => { if (wrong.push(text) > 20) wrong.length = 20; };

/** One subscription, from subscription_succeeded until its end is asked for. */
class Subscription {
  constructor(client, channel) {
    Object.assign(this, { client, channel, since: 0, until: 0, members: null, heard: new Map() });
  }

  succeeded(data) {
    this.since = Date.now();
    if (!this.channel.startsWith('presence-')) return;
    const { ids, hash, count } = JSON.parse(data).presence;
    this.members = new Set(ids);
    if (ids.length !== count || this.members.size !== count || Object.keys(hash).length !== count || !this.members.has(this.client.user)) complain(`${this}: a roster of ${data}`);
  }

  added(user) {
    counts.added++;
    if (this.members.has(user)) complain(`${this}: member_added of ${user}, who is there`);
    this.members.add(user);
  }

  removed(user) {
    counts.removed++;
    if (!this.members.delete(user)) complain(`${this}: member_removed of ${user}, who is not there`);
    if (user === this.client.user) complain(`${this}: member_removed of its own user`);
  }

  event(publisher, n) {
    counts.heard++;
    const last = this.heard.get(publisher);
    if (last && n !== last.end + 1) complain(`${this}: event ${n} of ${publisher} after ${last.end}`);
    if (last) last.end = n;
    else this.heard.set(publisher, { first: n, end: n });
  }

  /** Events from the time when it certainly heard all of them that it did not hear. */
  judge() {
    if (!this.since || this.members) return;
    for (const [key, list] of published) {
      const [feed, publisher] = key.split(' ');
      if (feed !== this.channel) continue;
      const heard = this.heard.get(publisher);
      const missed = list.findIndex(({ asked, done }, n) => asked > this.since && done + MARGIN_MS < this.until && (!heard || n < heard.first || n > heard.end));
      if (missed >= 0) complain(`${this}: event ${missed} of ${publisher} is lost (heard ${JSON.stringify(heard)})`);
    }
  }

  toString() { return `${this.client.user} on node ${this.client.at}, ${this.channel}`; }
}

class Client {
  constructor(nodes) {
    this.nodes = nodes;
    this.user = `u${below(USERS)}`;
    this.at = below(NODES);
  }

  connect() {
    counts.connections++;
    this.subscriptions = new Map();
    this.ws = new WebSocket(`ws://127.0.0.1:${this.nodes[this.at].port}/app/${APP.key}?${CLIENT_QUERY}`, { perMessageDeflate: false });
    this.ws.on('error', (error) => { if (!this.closing) complain(`node ${this.at}: ${error}`); });
    this.closed = new Promise((resolve) => { this.ws.on('close', resolve); });
    this.closing = false;
    return new Promise((resolve, reject) => {
      this.ws.on('close', (code, reason) => {
        if (!this.closing) complain(`${this.user} on node ${this.at}: closed, ${code} ${reason}`);
        reject(new Error(`closed before it was established, ${code}`));
      });
      this.ws.on('message', (text) => {
        const frame = JSON.parse(text);
        if (frame.event === 'pusher:connection_established') {
          this.id = JSON.parse(frame.data).socket_id;
          resolve();
        } else this.hear(frame);
      });
    });
  }

  hear({ event, channel, data }) {
    if (event === 'pusher:error') complain(`${this.user} on node ${this.at}: ${JSON.stringify(data)}`);
    if (event === 'pusher:ping') return this.ws.send('{"event":"pusher:pong"}');
    const subscription = this.subscriptions.get(channel);
    if (!subscription || (!subscription.since && event !== 'pusher_internal:subscription_succeeded')) return undefined; // its end is on its way
    if (event === 'pusher_internal:subscription_succeeded') {
      subscription.succeeded(data);
      subscription.resolve();
    } else if (event === 'pusher_internal:member_added') subscription.added(JSON.parse(data).user_id);
    else if (event === 'pusher_internal:member_removed') subscription.removed(JSON.parse(data).user_id);
    else if (event.startsWith('of-')) subscription.event(event, Number(data));
    else complain(`${subscription}: ${event} ${data}`);
    return undefined;
  }

  subscribe(channel) {
    counts.joins++;
    const data = { channel };
    if (channel.startsWith('presence-')) {
      data.channel_data = JSON.stringify({ user_id: this.user, user_info: { at: this.at } });
      data.auth = channelAuth(APP, this.id, channel, data.channel_data);
    }
    const subscription = new Subscription(this, channel);
    this.subscriptions.set(channel, subscription);
    const succeeded = new Promise((resolve) => { subscription.resolve = resolve; });
    this.ws.send(JSON.stringify({ event: 'pusher:subscribe', data }));
    return succeeded;
  }

  ended(subscription) {
    subscription.until = Date.now();
    subscription.judge();
  }

  unsubscribe(channel) {
    this.ended(this.subscriptions.get(channel));
    this.subscriptions.delete(channel);
    this.ws.send(JSON.stringify({ event: 'pusher:unsubscribe', data: { channel } }));
  }

  async close() {
    this.closing = true;
    for (const subscription of this.subscriptions.values()) this.ended(subscription);
    this.subscriptions.clear();
    if (below(2)) this.ws.close();
    else this.ws.terminate();
    await this.closed;
  }

  /** One thing at a time, until `over()`. */
  async live(over) {
    await this.connect();
    while (!over()) {
      const what = below(10), has = [...this.subscriptions.keys()];
      if (what === 0) {
        await this.close();
        if (below(3) === 0) this.at = below(NODES);
        await this.connect();
      } else if (what < 4 && has.length > 0) this.unsubscribe(pick(has));
      else if (has.length < 4) {
        const channel = below(3) ? `presence-room-${below(ROOMS)}` : `feed-${below(FEEDS)}`;
        if (!this.subscriptions.has(channel)) await this.subscribe(channel);
      }
      await sleep(500 + below(2500));
    }
  }
}

/** Publishes to feeds in turn; waits for each answer, so that there is an order. */
async function publish(node, name, over) {
  const agent = new http.Agent({ keepAlive: true });
  while (!over()) {
    const feed = `feed-${below(FEEDS)}`, key = `${feed} ${name}`;
    if (!published.has(key)) published.set(key, []);
    const list = published.get(key), event = { asked: Date.now(), done: Infinity };
    list.push(event);
    const { status, text } = await api(node, 'POST', '/events', { agent, body: { name, channel: feed, data: String(list.length - 1) } });
    if (status !== 200) complain(`${name}: ${status} ${text}`);
    event.done = Date.now();
    counts.events++;
    await sleep(1000 / EVENTS_PER_SECOND);
  }
  agent.destroy();
}

describe('several servers while clients come and go', { skip: noRedis }, () => {
  test(`${NODES} servers, ${CLIENTS} clients each, ${SECONDS} s`, { timeout: SECONDS * 1000 + 10 * LONG }, async (t) => {
    const nodes = await startNodes(t, await startRedis(t), NODES, { cluster_lease_ms: 10000, max_unestablished_per_ip: NODES * CLIENTS });
    const clients = Array.from({ length: NODES * CLIENTS }, () => new Client(nodes));
    const end = Date.now() + SECONDS * 1000, over = () => Date.now() > end;
    await Promise.all([...clients.map((client) => client.live(over)), ...nodes.map((node, i) => publish(node, `of-${i}`, over))]);

    // At rest all rosters are the same: those that clients were told, and those that each server has.
    const rooms = new Map();
    for (const client of clients) {
      for (const [channel, { members }] of client.subscriptions) {
        if (!members) continue;
        if (!rooms.has(channel)) rooms.set(channel, { users: new Set(), seen: [] });
        rooms.get(channel).users.add(client.user);
        rooms.get(channel).seen.push({ client, members });
      }
    }
    const differences = () => [...rooms].flatMap(([channel, { users, seen }]) => {
      const right = sorted(users).join();
      return seen.filter(({ members }) => sorted(members).join() !== right).map(({ client, members }) => `${channel} on node ${client.at}: ${sorted(members)} instead of ${right}`);
    });
    await until(() => differences().length === 0, () => differences().slice(0, 5).join('\n'), LONG);
    for (const [channel, { users }] of rooms) {
      for (const [i, node] of nodes.entries()) {
        const { json } = await api(node, 'GET', `/channels/${channel}/users`);
        assert.deepEqual(json.users.map((user) => user.id).sort(), sorted(users), `${channel} on node ${i}`);
      }
    }
    await sleep(MARGIN_MS);
    for (const client of clients) await client.close();
    t.diagnostic(JSON.stringify({ ...counts, rooms: rooms.size }));
    assert.deepEqual(wrong, []);
    assert.ok(counts.heard > counts.events && counts.added > 0 && counts.removed > 0, JSON.stringify(counts));
    for (const node of nodes) assert.doesNotMatch(node.stderr, / (warn|error) /);
  });
});
