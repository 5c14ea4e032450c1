#!/usr/bin/env node
'use strict';
/*
 * How long linked servers take to be themselves again after a fault, with the settings that they have by default:
 *
 *   PUSHERC_BUILD=build-release tools/node tests/bench/recovery.js
 *
 * Two servers and a Redis each time. A publisher tells the first server a number every 10 ms; a client of the second hears
 * them. `silent` is the time between the last number heard before the gap and the first after it, less what the fault itself
 * lasted; `lost` are the numbers that were taken and never heard. A server that is killed has 1,000 members in one channel;
 * the time is that until a client of the other server has heard that the last of them left.
 */
const { test } = require('node:test');
const http = require('node:http');
const { api, channelAuth, connect, sleep, until, APP } = require('../integration/lib.js');
const { linked, startNode } = require('../integration/nodes.js');
const { startRedis, startSentinel } = require('../integration/redis.js');

// What nodes.js sets for tests, back to the defaults.
const DEFAULTS = { cluster_lease_ms: undefined, cluster_renew_ms: undefined, cluster_settle_ms: undefined, redis_timeout_ms: undefined, grace_ms: undefined };
const LONG = 120000;
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

async function start(t, redis) {
  const nodes = await Promise.all([startNode(t, redis, DEFAULTS), startNode(t, redis, DEFAULTS)]);
  await Promise.all(nodes.map(linked));
  return nodes;
}

/** Publishes at `from` and listens at `to` while `fault` is done, which returns when it began and ended. */
async function measure(t, [from, to], fault) {
  const client = await connect(to), heard = [], taken = [];
  client.ws.on('message', (text) => { const { event, data } = JSON.parse(text); if (event === 'n') heard.push([Number(data), performance.now()]); });
  await client.subscribe('numbers');
  const agent = new http.Agent({ keepAlive: true });
  let over = false;
  const publishing = (async () => {
    for (let n = 0; !over; n++) {
      const { status } = await api(from, 'POST', '/events', { agent, body: { name: 'n', channel: 'numbers', data: String(n) } });
      if (status === 200) taken.push(n);
      await sleep(10);
    }
  })();
  await until(() => heard.length > 100, 'events', LONG);
  const [began, ended] = await fault();
  const after = taken.at(-1);
  await until(() => heard.some(([n]) => n > after + 100), 'events after the fault', LONG);
  over = true;
  await publishing;
  await sleep(2000);
  agent.destroy();
  let gap = 0;
  for (let i = 1; i < heard.length; i++) if (heard[i][1] > began) gap = Math.max(gap, heard[i][1] - heard[i - 1][1]);
  const all = new Set(heard.map(([n]) => n));
  const lost = taken.filter((n) => !all.has(n)).length;
  t.diagnostic(`the fault: ${seconds(ended - began)}; silent after it: ${seconds(Math.max(0, gap - (ended - began)))}; lost: ${lost} of ${taken.length}`);
}

const during = async (does, ms, undoes) => {
  const began = performance.now();
  await does();
  await sleep(ms);
  await undoes();
  return [began, performance.now()];
};

test('Redis is killed, and starts again without its data', async (t) => {
  const redis = await startRedis(t);
  await measure(t, await start(t, redis), () => during(redis.kill, 1000, () => startRedis(t, [], redis.port)));
});

test('Redis stands still for 3 s', async (t) => {
  const redis = await startRedis(t);
  await measure(t, await start(t, redis), () => during(() => redis.signal('SIGSTOP'), 3000, () => redis.signal('SIGCONT')));
});

test('Redis stands still for 10 s', async (t) => {
  const redis = await startRedis(t);
  await measure(t, await start(t, redis), () => during(() => redis.signal('SIGSTOP'), 10000, () => redis.signal('SIGCONT')));
});

test('all connections to Redis are cut', async (t) => {
  const redis = await startRedis(t);
  await measure(t, await start(t, redis), () => during(() => redis.call('CLIENT', 'KILL', 'TYPE', 'normal'), 0, () => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')));
});

test('the master is killed, a Sentinel (down-after-milliseconds 1000) promotes its replica', async (t) => {
  const sentinel = await startSentinel(t);
  await measure(t, await start(t, sentinel), () => during(sentinel.master.kill, 0, () => {}));
});

test('a server with 1,000 members of one channel is killed', async (t) => {
  const redis = await startRedis(t);
  const [watched, other] = await Promise.all([1, 2].map(() => startNode(t, redis, { ...DEFAULTS, apps: [{ ...APP, max_presence_members: 2000 }] })));
  await Promise.all([watched, other].map(linked));
  const join = async (node, user) => {
    const client = await connect(node), channel = 'presence-all', data = JSON.stringify({ user_id: user });
    client.send({ event: 'pusher:subscribe', data: { channel, channel_data: data, auth: channelAuth(APP, client.socketId, channel, data) } });
    await client.next((f) => f.event === 'pusher_internal:subscription_succeeded');
    return client;
  };
  for (let i = 0; i < 1000; i += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => join(watched, `u${i + k}`)));
  const witness = await join(other, 'witness');
  let left = 0, twice = 0;
  const gone = new Set();
  witness.ws.on('message', (text) => {
    const { event, data } = JSON.parse(text);
    if (event !== 'pusher_internal:member_removed') return;
    left++;
    const { user_id: user } = JSON.parse(data);
    if (gone.has(user)) twice++;
    gone.add(user);
  });
  const began = performance.now();
  watched.child.kill('SIGKILL');
  await until(() => gone.size === 1000, () => `${gone.size} have left`, LONG);
  t.diagnostic(`all have left after ${seconds(performance.now() - began)}; told ${left} times, ${twice} twice`);
});
