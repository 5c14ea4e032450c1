'use strict';
// Watchlists of several servers over a real Redis: who is online anywhere is online for watchers everywhere.

const assert = require('node:assert/strict');
const { readFileSync, writeFileSync } = require('node:fs');
const { describe, test } = require('node:test');
const { APP, api, connect, sleep, until } = require('./lib.js');
const { LONG, linked, startNode, startNodes } = require('./nodes.js');
const { noRedis, startRedis } = require('./redis.js');

const WATCHED = { ...APP, watchlist_events: true, offline_delay_ms: 0 };

/** What the client has been told of users, as ['online', 'a', 'b'], after the first so many frames. */
const told = (client) => client.frames.filter((f) => f.event === 'pusher_internal:watchlist_events')
  .flatMap((f) => JSON.parse(f.data).events.map(({ name, user_ids: ids }) => [name, ...ids.sort()]));
const changes = (client) => told(client).slice(client.first).map(([name, id]) => `${name} ${id}`);

/** Signs in; `first` is how many states came at once. */
async function signIn(node, id, watchlist = []) {
  const client = await connect(node, { app: node.app });
  await client.signin({ id, watchlist });
  if (watchlist.length) await client.event('pusher_internal:watchlist_events');
  client.first = told(client).length;
  return client;
}

const hears = (client, wanted) => until(() => changes(client).length >= wanted.length, () => `${wanted}; has heard ${changes(client)}`, LONG);

async function heard(client, wanted) {
  await hears(client, wanted);
  await client.settle();
  assert.deepEqual(changes(client), wanted);
}

describe('watchlists of several servers', { skip: noRedis }, () => {
  test('the first list is the truth of all servers, and each change is told once on each', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3, { apps: [WATCHED] });
    const early = await signIn(nodes[0], 'early');
    const watchers = await Promise.all(nodes.map((node, i) => signIn(node, `watcher-${i}`, ['early', 'late', 'never'])));
    for (const watcher of watchers) assert.deepEqual(told(watcher), [['online', 'early'], ['offline', 'late', 'never']]);
    const late = [];
    for (const node of nodes) late.push(await signIn(node, 'late'));
    for (const watcher of watchers) await hears(watcher, ['online late']);
    await sleep(150); // watchers are told no sooner after "online"
    await early.close();
    for (const watcher of watchers) await hears(watcher, ['online late', 'offline early']);
    await late[1].close();
    await late[0].close();
    assert.deepEqual(told(await signIn(nodes[0], 'newcomer', ['late', 'early'])), [['online', 'late'], ['offline', 'early']]);
    await late[2].close();
    for (const watcher of watchers) await heard(watcher, ['online late', 'offline early', 'offline late']);
    // None of it is a channel, here or there.
    for (const node of nodes) assert.deepEqual((await api(node, 'GET', '/channels', { app: WATCHED })).json, { channels: {} });
    await Promise.all(watchers.map((watcher) => watcher.close()));
  });

  test('a page that is loaded again from another server is not seen', async (t) => {
    const redis = await startRedis(t);
    const app = { ...WATCHED, offline_delay_ms: 4000 };
    const nodes = await startNodes(t, redis, 2, { apps: [app] });
    const watcher = await signIn(nodes[0], 'watcher', ['reader']);
    let reader = await signIn(nodes[0], 'reader');
    for (const i of [1, 0, 1]) {
      await reader.close();
      reader = await signIn(nodes[i], 'reader');
    }
    await heard(watcher, ['online reader']);
    await reader.close();
    await heard(watcher, ['online reader', 'offline reader']);
  });

  test('users of a server that was killed are offline, each once, but for those who are elsewhere as well', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3, { apps: [WATCHED] });
    const ids = Array.from({ length: 80 }, (_, i) => `u${i}`);
    const watchers = await Promise.all([1, 2].map((i) => signIn(nodes[i], `watcher-${i}`, ids)));
    await Promise.all(ids.map((id) => signIn(nodes[0], id)));
    await signIn(nodes[2], 'u7');
    for (const watcher of watchers) await hears(watcher, ids);
    nodes[0].child.kill('SIGKILL');
    for (const watcher of watchers) await hears(watcher, [...ids, ...ids.slice(1)]);
    const back = await signIn(nodes[1], 'u3');
    for (const watcher of watchers) {
      await hears(watcher, [...ids, ...ids]);
      await watcher.settle();
      const of = (name) => changes(watcher).filter((text) => text.startsWith(`${name} `)).map((text) => text.split(' ')[1]).sort();
      assert.deepEqual(of('online'), [...ids, 'u3'].sort());
      assert.deepEqual(of('offline'), ids.filter((id) => id !== 'u7').sort());
    }
    await back.close();
  });

  test('Redis is killed and comes back empty: users who stayed were never offline, and who left meanwhile is', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2, { apps: [WATCHED] });
    const watchers = await Promise.all(nodes.map((node, i) => signIn(node, `watcher-${i}`, ['stays', 'leaves', 'comes'])));
    const [, leaves] = [await signIn(nodes[0], 'stays'), await signIn(nodes[0], 'leaves')];
    for (const watcher of watchers) await hears(watcher, ['online stays', 'online leaves']);
    await redis.kill();
    await until(async () => (await api(nodes[0], 'GET', '/channels', { app: WATCHED })).status === 503, 'a node without a link', LONG);
    await sleep(150);
    await leaves.close();
    // Who comes to a server without a link is told what it knows: that of this one is online.
    const alone = await signIn(nodes[0], 'comes', ['comes', 'stays', 'watcher-1']);
    assert.deepEqual(told(alone)[0], ['online', 'comes', 'stays']);
    await startRedis(t, [], redis.port);
    await Promise.all(nodes.map(linked));
    for (const watcher of watchers) {
      await hears(watcher, ['', '', '', '']);
      await watcher.settle();
      assert.deepEqual(changes(watcher).slice(0, 2), ['online stays', 'online leaves']);
      assert.deepEqual(changes(watcher).slice(2).sort(), ['offline leaves', 'online comes']);
    }
    await heard(alone, ['online watcher-1']);
  });

  test('a server that stands still for longer than its lease, and one that ends in peace', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3, { apps: [WATCHED] });
    const watchers = await Promise.all([0, 1].map((i) => signIn(nodes[i], `watcher-${i}`, ['there', 'ends'])));
    await signIn(nodes[1], 'there');
    await signIn(nodes[2], 'ends');
    for (const watcher of watchers) await hears(watcher, ['', '']);
    nodes[1].child.kill('SIGSTOP');
    await until(() => changes(watchers[0]).length >= 3, 'that the user is offline', LONG);
    nodes[1].child.kill('SIGCONT');
    await until(() => changes(watchers[0]).length >= 4, 'that the user is online', LONG);
    await nodes[2].end();
    await until(() => changes(watchers[0]).length >= 5, 'the end of a server', LONG);
    await hears(watchers[1], ['', '', '']);
    for (const watcher of watchers) await watcher.settle();
    assert.deepEqual(changes(watchers[0]).slice(2), ['offline there', 'online there', 'offline ends']);
    assert.deepEqual(changes(watchers[1]).slice(2), ['offline ends']); // its own user has been there
  });

  test('a server from which the app is removed has none of its users', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2, { apps: [WATCHED] });
    const watcher = await signIn(nodes[0], 'watcher', ['theirs']);
    const theirs = await signIn(nodes[1], 'theirs');
    await hears(watcher, ['']);
    await sleep(150);
    const config = JSON.parse(readFileSync(nodes[1].file));
    writeFileSync(nodes[1].file, JSON.stringify({ ...config, apps: [{ ...WATCHED, id: 'another', key: 'another-key' }] }));
    nodes[1].child.kill('SIGHUP');
    await theirs.closed();
    await heard(watcher, ['online theirs', 'offline theirs']);
  });

  test('without watchlists Redis is told of no user', async (t) => {
    const redis = await startRedis(t);
    const nodes = [...await startNodes(t, redis, 1, { apps: [WATCHED] }), ...await startNodes(t, redis, 1, { apps: [APP] })];
    const keys = () => redis.call('KEYS', '*#user-*');
    await (await signIn(nodes[1], 'unwatched')).settle();
    await signIn(nodes[0], 'watched');
    await until(async () => /#user-watched/.test(await keys()), 'that Redis is told', LONG);
    assert.doesNotMatch(await keys(), /unwatched/);
  });
});
