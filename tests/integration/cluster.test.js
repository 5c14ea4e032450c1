'use strict';
// Several servers that share channels, members and events over a real Redis; and what becomes of them when it, or one of
// them, fails.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const { APP, BUILD, Program, TOP, api, channelAuth, connect, freePort, refused, request, sleep, startHost, startServe, trigger, until, within } = require('./lib.js');
const { receiver, verify } = require('./receiver.js');
const { HASTY, LONG, flows, linked, names, roster, startNode, startNodes } = require('./nodes.js');
const { noRedis, startRedis, startSentinel } = require('./redis.js');

const noUrls = !execFileSync(path.join(BUILD, 'cli/pusherc'), ['--version']).toString().includes('webhooks') && 'built without libcurl';

/** An application that a rule asks: whether this socket may have the channel. */
async function startSite(t, decide) {
  const server = http.createServer((req, res) => {
    let text = '';
    req.on('data', (data) => { text += data; });
    req.on('end', () => {
      const form = new URLSearchParams(text);
      const may = decide(form.get('channel_name'), form.get('socket_id'));
      res.writeHead(may ? 200 : 403, { 'Content-Type': 'application/json' });
      res.end(may ? '{"auth":"is:ignored"}' : '{"message":"Not yours"}');
    });
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { server.closeAllConnections(); server.close(); });
  return { url: `http://127.0.0.1:${server.address().port}/` };
}

describe('several servers over Redis', { skip: noRedis }, () => {
  test('what a client does for a while begins and ends on all servers, in order and once', async (t) => {
    const apps = [{ ...APP, client_events: true, ephemeral: 'private-chat event=client-typing ttl_ms=1000 ; private-chat event=client-recording ttl_ms=600000' }];
    const nodes = await startNodes(t, await startRedis(t), 2, { apps });
    const clients = [];
    for (const node of [...nodes, ...nodes]) {
      const client = await connect(node);
      await client.subscribe('private-chat');
      clients.push(client);
    }
    await flows(nodes, clients, 'private-chat');
    const say = (event, data) => clients[0].send({ event, channel: 'private-chat', data });
    const heard = (client) => client.frames.filter((f) => f.event.startsWith('client-')).map((f) => f.data);
    const all = (count) => until(() => clients.slice(1).every((client) => heard(client).length >= count), 'the events', LONG);
    say('client-typing', '{"n":1}');
    await all(2); // its time is over
    for (const data of ['{"n":2}', '{"ended":true}', '{"ended":true}', '{"n":3}']) say('client-recording', data);
    await all(5);
    await clients[0].close();
    await all(6);
    await flows(nodes, clients.slice(1), 'private-chat');
    for (const client of clients.slice(1))
      assert.deepEqual(heard(client), ['{"n":1}', '{"n":1,"ended":true}', '{"n":2}', '{"ended":true}', '{"n":3}', '{"n":3,"ended":true}']);
  });

  test('events of each server reach the clients of all, in the order of their publisher, none twice', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const client of clients) {
      await client.subscribe('news');
      await client.subscribe('private-news');
    }
    const EVENTS = 100;
    await Promise.all(nodes.map(async (node, i) => {
      for (let n = 0; n < EVENTS; n++) await trigger(node, ['news', 'private-news'], `of-${i}`, String(n));
    }));
    for (const client of clients) {
      for (const channel of ['news', 'private-news']) {
        for (const i of nodes.keys()) {
          const mine = () => client.frames.filter((f) => f.channel === channel && f.event === `of-${i}`).map((f) => Number(f.data));
          await until(() => mine().length >= EVENTS, `all events of server ${i}`);
          assert.deepEqual(mine(), Array.from({ length: EVENTS }, (_, n) => n));
        }
      }
    }
  });

  test('an event with an idempotency key is published once, whichever servers it is sent to', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const client of clients) await client.subscribe('orders');
    const publish = (node, n, more) => api(node, 'POST', '/events', { body: { name: 'e', channel: 'orders', data: String(n), idempotency_key: `key ${n}` }, ...more });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => publish(nodes[i % 2], (i >> 1) % 20)));
    for (const { status, json, headers } of answers) {
      if (status === 200) assert.deepEqual(json, {});
      else assert.deepEqual([status, headers['retry-after']], [503, '1']);
    }
    for (const node of nodes) for (let n = 0; n < 20; n++) assert.equal((await publish(node, n)).status, 200);
    const header = { headers: { 'X-Idempotency-Key': 'key 1' } };
    for (const node of nodes) assert.equal((await api(node, 'POST', '/events', { body: { name: 'e', channel: 'orders', data: 'other' }, ...header })).status, 409);
    await flows(nodes, clients, 'orders');
    for (const client of clients)
      assert.deepEqual(client.frames.filter((f) => f.event === 'e').map((f) => Number(f.data)).sort((a, b) => a - b), Array.from({ length: 20 }, (_, n) => n));
    // Without Redis each server knows its own keys, and when it is back all know them.
    assert.equal((await publish(nodes[0], 19.5)).status, 200);
    await redis.kill();
    await until(async () => (await request(nodes[0], 'GET', '/ready')).text.includes('degraded'), 'the loss of Redis', LONG);
    for (const n of [19.5, 20]) assert.equal((await publish(nodes[0], n)).status, 200);
    await startRedis(t, [], redis.port);
    await Promise.all(nodes.map(linked));
    for (const node of nodes)
      for (const n of [19.5, 20]) await until(async () => (await publish(node, n)).status === 200, 'what the first one was answered', LONG);
    await flows(nodes, clients, 'orders');
    assert.deepEqual(clients[0].frames.filter((f) => f.event === 'e').map((f) => Number(f.data)).filter((n) => n > 19), [19.5, 20]);
  });

  test('a client event, and an event without its publisher, cross servers', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const [a, b] = await Promise.all(nodes.map((node) => connect(node)));
    const beside = await connect(nodes[0]);
    for (const client of [a, b, beside]) await client.subscribe('private-chat');
    for (const data of [{ who: 'a' }, 'text', '{"as":"text"}', 7, null]) {
      a.send({ event: 'client-typing', channel: 'private-chat', data });
      assert.equal((await b.event('client-typing')).raw, (await beside.event('client-typing')).raw);
    }
    await trigger(nodes[0], 'private-chat', 'first', '1', { socket_id: b.socketId });
    await trigger(nodes[0], 'private-chat', 'second', '2');
    await b.event('second');
    await a.event('second');
    assert.ok(!b.frames.some((f) => f.event === 'first'));
    assert.ok(a.frames.some((f) => f.event === 'first'));
    assert.ok(!a.frames.some((f) => f.event === 'client-typing'));
  });

  test('an event for a user reaches the user on another server', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const user = await connect(nodes[1]);
    await user.signin({ id: '42' });
    await user.subscribe('#server-to-user-42');
    await trigger(nodes[0], '#server-to-user-42', 'for-you', '{"n":1}');
    await user.event('for-you');
    assert.equal(user.frames.find((f) => f.event === 'for-you').channel, '#server-to-user-42');
  });

  test('rosters, counts and lists are those of all servers', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    const room = 'presence-room';
    assert.deepEqual(roster(await clients[0].subscribe(room, { user_id: 'u0', user_info: { n: 0 } })), ['u0']);
    assert.deepEqual(roster(await clients[1].subscribe(room, { user_id: 'u1', user_info: { n: 1 } })), ['u0', 'u1']);
    const last = JSON.parse((await clients[2].subscribe(room, { user_id: 'u2', user_info: { n: 2 } })).data).presence;
    assert.deepEqual(last.hash, { u0: { n: 0 }, u1: { n: 1 }, u2: { n: 2 } });
    for (const i of [1, 2]) assert.deepEqual(JSON.parse((await clients[0].event('pusher_internal:member_added', room)).data), { user_id: `u${i}`, user_info: { n: i } });
    // The same user on another server is no news.
    const again = await connect(nodes[2]);
    await again.subscribe(room, { user_id: 'u0', user_info: { n: 0 } });
    for (const node of nodes) {
      await until(async () => JSON.stringify((await api(node, 'GET', `/channels/${room}`, { query: { info: 'user_count,subscription_count' } })).json)
        === JSON.stringify({ occupied: true, user_count: 3, subscription_count: 4 }));
      const { json } = await api(node, 'GET', `/channels/${room}/users`);
      assert.deepEqual(json.users.map((u) => u.id).sort(), ['u0', 'u1', 'u2']);
      assert.deepEqual((await api(node, 'GET', '/channels', { query: { filter_by_prefix: 'presence-', info: 'user_count' } })).json, { channels: { [room]: { user_count: 3 } } });
    }
    await clients[0].close();
    await clients[2].close();
    assert.deepEqual(JSON.parse((await clients[1].event('pusher_internal:member_removed', room)).data), { user_id: 'u2' });
    assert.ok(!names(clients[1].frames, 'pusher_internal:member_removed', room).includes('u0'));
    await again.close();
    assert.deepEqual(JSON.parse((await clients[1].event('pusher_internal:member_removed', room)).data), { user_id: 'u0' });
    assert.deepEqual(names(clients[1].frames, 'pusher_internal:member_added', room), ['u2']);
  });

  for (const [name, limit, reason] of [
    ['an address', { max_connections_per_ip: 2 }, 'Too many connections from this address'],
    ['a user', { max_connections_per_user: 2 }, 'The user has too many connections'],
  ]) {
    test(`a limit of the connections of ${name} holds over all servers`, async (t) => {
      const nodes = await startNodes(t, await startRedis(t), 2, { apps: [{ ...APP, ...limit }] });
      const open = [];
      const add = async (node) => {
        const client = await connect(node);
        client.closing.then((how) => { client.ended = how; });
        open.push(client);
        if (limit.max_connections_per_user) await client.signin({ id: 'anna' });
      };
      const left = () => open.filter((c) => !c.ended).length;
      const rest = (count) => until(() => left() === count, () => `${count} connections that are left, of ${JSON.stringify(open.map((c) => c.ended))}`, LONG);
      for (const node of [...nodes, ...nodes]) await add(node);
      await rest(2);
      for (const client of open) if (client.ended) assert.deepEqual(client.ended, { code: 4004, reason });
      for (const node of nodes) { // one leaves, another one comes
        await open.find((c) => !c.ended).close();
        await rest(1);
        await until(async () => { // a count travels 0.1 s, and until then the newcomer is one too many
          if (left() < 2) await add(node);
          await sleep(300);
          return left() === 2;
        }, 'room for a newcomer', LONG);
      }
    });
  }

  test('a limit of members holds over all servers', async (t) => {
    const redis = await startRedis(t);
    const app = { id: 'small', key: 'small-key', secret: 'small-secret', max_presence_members: 2 };
    const nodes = await startNodes(t, redis, 2, { apps: [app] });
    const clients = await Promise.all([0, 1, 0].map((i) => connect(nodes[i], { app })));
    const channel = 'presence-table';
    await clients[0].subscribe(channel, { user_id: 'a' });
    await clients[1].subscribe(channel, { user_id: 'b' });
    const member = JSON.stringify({ user_id: 'c' });
    clients[2].ask(channel, { auth: channelAuth(app, clients[2].socketId, channel, member), channel_data: member });
    assert.equal((await clients[2].event('pusher:subscription_error')).channel, channel);
  });

  test('the members of a server that was killed leave, each once', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3, { apps: [{ ...APP, max_presence_members: 200 }] });
    const rooms = Array.from({ length: 10 }, (_, i) => `presence-hall-${i}`);
    const ids = Array.from({ length: 100 }, (_, i) => `m${i}`);
    const watchers = await Promise.all([1, 2].map((i) => connect(nodes[i])));
    for (const room of rooms) {
      for (const [i, watcher] of watchers.entries()) await watcher.subscribe(room, { user_id: `watcher-${i}` });
      await Promise.all(ids.map(async (id) => (await connect(nodes[0])).subscribe(room, { user_id: id })));
    }
    const stays = await connect(nodes[1]); // a user of both servers stays
    await stays.subscribe(rooms[0], { user_id: 'm7' });
    const users = (watcher, event, room) => names(watcher.frames, `pusher_internal:member_${event}`, room).filter((id) => id[0] === 'm').sort();
    const all = (event) => watchers.reduce((sum, watcher) => sum + watcher.frames.filter((f) => f.event === `pusher_internal:member_${event}`).length, 0);
    const MEMBERS = watchers.length * rooms.length * ids.length;
    await until(() => all('added') >= MEMBERS, 'all members', LONG);
    nodes[0].child.kill('SIGKILL');
    await until(() => all('removed') >= MEMBERS - watchers.length, () => `all leaves; had ${all('removed')}`, LONG);
    for (const watcher of watchers) {
      await watcher.settle();
      for (const room of rooms) {
        assert.deepEqual(users(watcher, 'added', room), [...ids].sort());
        assert.deepEqual(users(watcher, 'removed', room), ids.filter((id) => id !== 'm7' || room !== rooms[0]).sort());
      }
    }
    const { json } = await api(nodes[2], 'GET', `/channels/${rooms[0]}/users`);
    assert.deepEqual(json.users.map((u) => u.id).sort(), ['m7', 'watcher-0', 'watcher-1']);
    assert.ok(nodes.slice(1).some((node) => /has not been heard of for a lease/.test(node.stderr)), 'the log tells of it');
  });

  /** Two servers, a member of a room on each, and what the fault does to them in between. */
  async function afterFault(t, redis, fault) {
    // A busy machine may link the second one late; until then its member is one who stayed.
    const nodes = await startNodes(t, redis, 2, { cluster_settle_ms: 20000 });
    const room = 'presence-room';
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const [i, client] of clients.entries()) {
      await client.subscribe(room, { user_id: `u${i}` });
      await client.subscribe('news');
    }
    let stopped = false;
    const sent = [0, 0];
    const load = nodes.map(async (node, i) => { // some of it is lost while the fault lasts, and answered with 503
      while (!stopped) {
        await api(node, 'POST', '/events', { body: { name: `load-${i}`, data: String(sent[i]++), channels: ['news', room] } });
        await sleep(5);
      }
    });
    await sleep(200);
    await fault(nodes, clients);
    await Promise.all(nodes.map(linked));
    await flows(nodes, clients, 'news');
    stopped = true;
    await Promise.all(load);
    // The newcomer is seen once by all, and sees all.
    const last = await connect(nodes[1]);
    await until(async () => JSON.stringify((await api(nodes[0], 'GET', `/channels/${room}/users`)).json.users.map((u) => u.id).sort()) === '["u0","u1"]', 'both members, as Redis has them', LONG);
    assert.deepEqual(roster(await last.subscribe(room, { user_id: 'last' })), ['last', 'u0', 'u1']);
    for (const [i, client] of clients.entries()) {
      await client.event('pusher_internal:member_added', room);
      await client.settle();
      for (const j of [0, 1]) {
        const numbers = client.frames.filter((f) => f.event === `load-${j}` && f.channel === 'news').map((f) => Number(f.data));
        assert.deepEqual(numbers, [...new Set(numbers)].sort((x, y) => x - y), 'in order, none twice');
        if (i === j) assert.equal(numbers.length, sent[j], 'clients of the same server got all');
      }
      assert.deepEqual(names(client.frames, 'pusher_internal:member_removed', room), []);
      assert.deepEqual(names(client.frames, 'pusher_internal:member_added', room), i ? ['last'] : ['u1', 'last']);
    }
    return nodes;
  }

  test('Redis is killed and comes back empty: members who stayed were never gone, and events flow again', async (t) => {
    const redis = await startRedis(t);
    await afterFault(t, redis, async (nodes, clients) => {
      await redis.kill();
      await until(async () => (await api(nodes[0], 'GET', '/channels')).status === 503, 'a node without a link');
      const alone = await connect(nodes[0]); // is served by what is known here
      await alone.subscribe('news');
      await trigger(nodes[0], 'news', 'local', '{}');
      await alone.event('local');
      await clients[0].event('local');
      await alone.close();
      await startRedis(t, [], redis.port);
    });
  });

  test('without Redis a server says that it is degraded, or unready if it is told so, and keeps its clients', async (t) => {
    const redis = await startRedis(t);
    const nodes = [await startNode(t, redis), await startNode(t, redis, { cluster_ready_needs_link: true })];
    await Promise.all(nodes.map(linked));
    const ready = async (node) => { const { status, text } = await request(node, 'GET', '/ready'); return `${status} ${text}`; };
    const are = (wanted, what) => until(async () => JSON.stringify(await Promise.all(nodes.map(ready))) === JSON.stringify(wanted), what, LONG);
    await are(['200 OK', '200 OK'], 'both are ready');
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    await redis.kill();
    await are(['200 degraded: the link with other servers is down', '503 The link with other servers is down.'], 'what is said without Redis');
    for (const client of clients) {
      await client.subscribe('news');
      await (await connect(nodes[clients.indexOf(client)])).close(); // newcomers are served as well
    }
    await startRedis(t, [], redis.port);
    await are(['200 OK', '200 OK'], 'both are ready again');
    for (const [i, client] of clients.entries()) {
      await trigger(nodes[i], 'news', 'still-here', '{}');
      await client.event('still-here');
    }
  });

  test('without Redis for a time that is set a server closes its clients with 4200, and takes none until Redis is back', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(t, redis, { cluster_close_after_ms: 500 });
    await linked(node);
    const clients = await Promise.all([1, 2, 3].map(() => connect(node)));
    await redis.kill();
    for (const client of clients) assert.equal((await client.closed()).code, 4200);
    assert.equal((await request(node, 'GET', '/ready')).status, 503);
    const { code, reason } = await refused(node);
    assert.deepEqual({ code, reason }, { code: 4100, reason: 'The server has no link with the others' });
    assert.match(node.stderr, /has had no link for 500 ms: closes its clients/);
    await startRedis(t, [], redis.port);
    await linked(node);
    assert.equal((await request(node, 'GET', '/ready')).text, 'OK');
    await (await connect(node)).subscribe('news');
  });

  test('Redis stands still for longer than its time-out: as if it had not', async (t) => {
    const redis = await startRedis(t);
    const nodes = await afterFault(t, redis, async () => {
      redis.signal('SIGSTOP');
      await sleep(2 * HASTY.redis_timeout_ms);
      redis.signal('SIGCONT');
    });
    assert.match(nodes[0].stderr, /Redis at 127\.0\.0\.1:\d+ does not answer; tries again/);
  });

  test('connections are cut again and again', async (t) => {
    const redis = await startRedis(t);
    await afterFault(t, redis, async () => {
      for (let i = 0; i < 5; i++) {
        await redis.call('CLIENT', 'KILL', 'TYPE', i % 2 ? 'normal' : 'pubsub');
        await sleep(300);
      }
    });
  });

  test('all data and all scripts are deleted', async (t) => {
    const redis = await startRedis(t);
    const nodes = await afterFault(t, redis, async () => {
      await redis.call('SCRIPT', 'FLUSH');
      await redis.call('FLUSHALL');
    });
    assert.match(nodes[0].stderr, /has forgotten the scripts|the data is another/);
  });

  test('a Sentinel promotes the replica, under load: members who stayed were never gone, and events flow again', async (t) => {
    const sentinel = await startSentinel(t);
    const dead = `redis+sentinel://127.0.0.1:1,${sentinel.url.slice('redis+sentinel://'.length)}`; // one of several Sentinels
    await until(async () => /\b(slave|replica)\b/.test(await sentinel.call('SENTINEL', 'REPLICAS', 'mymaster')), 'the Sentinel knows the replica', LONG);
    const nodes = await afterFault(t, { url: dead }, async () => {
      await sentinel.master.kill();
      await until(async () => /role:master/.test(await sentinel.replica.call('INFO', 'replication').catch(String)), 'the promotion', LONG); // which cuts its clients off
    });
    for (const node of nodes) {
      assert.match(node.stderr, new RegExp(`linked with other servers by Redis \\S+ at 127.0.0.1:${sentinel.master.port}\n`));
      assert.match(node.stderr, new RegExp(`linked with other servers by Redis \\S+ at 127.0.0.1:${sentinel.replica.port}\n`));
    }
  });

  test('what is wrong with a Sentinel is said, and its password is sent', async (t) => {
    const sentinel = await startSentinel(t, { lines: ['requirepass secret'] });
    const address = `127.0.0.1:${sentinel.port}`;
    const says = async (url, what) => {
      const node = await startNode(t, { url });
      await until(() => what.test(node.stderr), () => `${what} in ${node.stderr}`, LONG);
    };
    await says(sentinel.url, /Redis at \S+ cannot be used: as a Sentinel it answers NOAUTH/);
    await says(`redis+sentinel://${address}/mymaster?sentinel_password=wrong`, /cannot be used: as a Sentinel it answers WRONGPASS/);
    await says(`redis+sentinel://${address}/other?sentinel_password=secret`, /cannot be used: the Sentinel knows no master named other/);
    await says('redis+sentinel://127.0.0.1:1/mymaster', /cannot be used: as a Sentinel: Redis cannot be reached: ECONNREFUSED/);
    await says(`redis+sentinel://127.0.0.1:${sentinel.master.port}/mymaster`, /cannot be used: as a Sentinel it answers ERR unknown command/);
    await linked(await startNode(t, { url: `redis+sentinel://${address}/mymaster/2?sentinel_password=secret` }));
    assert.match(await sentinel.master.call('INFO', 'keyspace'), /db2:keys=/);
  });

  test('a server that stood still for longer than a lease comes back', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const room = 'presence-room';
    const [awake, asleep] = await Promise.all(nodes.map((node) => connect(node)));
    await awake.subscribe(room, { user_id: 'awake' });
    await asleep.subscribe(room, { user_id: 'asleep' });
    await awake.event('pusher_internal:member_added', room);
    nodes[1].child.kill('SIGSTOP');
    assert.deepEqual(JSON.parse((await awake.event('pusher_internal:member_removed', room, LONG)).data), { user_id: 'asleep' });
    nodes[1].child.kill('SIGCONT');
    assert.deepEqual(JSON.parse((await awake.event('pusher_internal:member_added', room, LONG)).data).user_id, 'asleep');
    await asleep.settle();
    // Its own client saw neither.
    assert.deepEqual(asleep.frames.filter((f) => /member_/.test(f.event)), []);
    await Promise.all(nodes.map(linked));
    await awake.subscribe('news');
    await asleep.subscribe('news');
    await flows(nodes, [awake, asleep], 'news');
  });

  test('a server that was held up for longer than the time-out of its link keeps it, and misses none of many events', async (t) => {
    const nodes = await startNodes(t, await startRedis(t), 2, { cluster_lease_ms: LONG });
    const client = await connect(nodes[1]);
    await client.subscribe('news');
    await flows(nodes, [client], 'news');
    const count = 10000, since = Date.now(); // so many take longer than a link may read in one turn
    nodes[1].child.kill('SIGSTOP');
    for (let i = 0; i < count; i += 10) {
      const batch = Array.from({ length: 10 }, (_, j) => ({ channel: 'news', name: 'n', data: String(i + j) }));
      assert.equal((await api(nodes[0], 'POST', '/batch_events', { body: { batch } })).status, 200);
    }
    await sleep(HASTY.redis_timeout_ms + 4000 - (Date.now() - since)); // longer than a link hears nothing from itself
    nodes[1].child.kill('SIGCONT');
    const numbers = () => client.frames.filter((f) => f.event === 'n').map((f) => Number(f.data));
    await until(() => numbers().length >= count, () => `${numbers().length} of the events; ${nodes[1].stderr}`, LONG);
    assert.deepEqual(numbers(), Array.from({ length: count }, (_, i) => i));
    await flows(nodes, [client], 'news');
    assert.doesNotMatch(nodes[1].stderr, /tries again/);
  });

  for (const way of [{ mode: 'threads', options: { worker_count: 4 } }, { mode: 'attach' }, { mode: 'attach-epoll' }, { mode: 'poll' }]) {
    test(`a link in a server that runs with ${JSON.stringify(way)}: it comes back, and ends with the server`, async (t) => {
      const redis = await startRedis(t);
      const link = { redis: { url: redis.url, prefix: 'modes:' } };
      const nodes = [await startHost({ ...way, ...link }, t), await startHost(link, t)];
      await Promise.all(nodes.map(linked));
      const clients = await Promise.all(nodes.map((node) => connect(node)));
      for (const client of clients) await client.subscribe('news');
      await flows(nodes, clients, 'news');
      await redis.kill();
      await until(() => nodes.every((node) => /Redis at \S+ is gone/.test(node.stderr)), 'the loss');
      const again = await startRedis(t, [], redis.port);
      await flows(nodes, clients, 'news');
      await nodes[0].end();
      await again.kill();
      await nodes[1].end();
    });
  }

  test('while one request for memory fails, each in turn, the call has an error or the link is made again, and nothing is left', async (t) => {
    const redis = await startRedis(t);
    const faults = new Program(path.join(BUILD, 'tests/integration/link_faults'), [redis.url]);
    t.after(() => faults.child.kill('SIGKILL'));
    assert.deepEqual(await within(faults.exited, () => `the end of ${faults.stderr}`, 4 * LONG), { code: 0, signal: null }, faults.stderr);
  });

  test('Redis without memory: joins wait, events flow', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const room = 'presence-room';
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const client of clients) await client.subscribe('news');
    await clients[0].subscribe(room, { user_id: 'u0' });
    await redis.call('CONFIG', 'SET', 'maxmemory', '1mb');
    const member = JSON.stringify({ user_id: 'u1' });
    clients[1].ask(room, { auth: channelAuth(clients[1].app, clients[1].socketId, room, member), channel_data: member });
    await until(() => /no memory left/.test(nodes[1].stderr), 'the reason in the log');
    await trigger(nodes[0], 'news', 'flows', '{}');
    await clients[1].event('flows');
    await redis.call('CONFIG', 'SET', 'maxmemory', '0');
    await clients[0].event('pusher_internal:member_added', room);
    assert.deepEqual(roster(await clients[1].event('pusher_internal:subscription_succeeded', room)), ['u0', 'u1']);
  });

  test("a user's connections are closed on every server", async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    const other = await connect(nodes[1]);
    for (const client of clients) await client.signin({ id: '7' });
    await other.signin({ id: '8' });
    await other.subscribe('#server-to-user-8');
    assert.equal((await api(nodes[2], 'POST', '/users/7/terminate_connections', { body: {} })).status, 200);
    for (const client of clients) assert.equal((await client.closed()).code, 4009);
    await trigger(nodes[0], '#server-to-user-8', 'still-here', '{}');
    await other.event('still-here');
  });

  test('grants are asked again on every server, and the answer has the sums of those that live', { skip: noUrls }, async (t) => {
    const redis = await startRedis(t);
    const banned = new Set();
    const site = await startSite(t, (channel, socket) => !banned.has(socket));
    const ruled = { apps: [{ id: APP.id, key: APP.key, secret: APP.secret, auth_mode: 'rules' }], rules: [{ pattern: 'tickets.{id}', url: site.url }] };
    const nodes = await Promise.all(Array.from({ length: 3 }, () => startNode(t, redis, ruled)));
    await Promise.all(nodes.map(linked));
    const clients = await Promise.all([...nodes, ...nodes].map((node) => connect(node)));
    for (const client of clients) {
      client.ask('private-tickets.1');
      await client.event('pusher_internal:subscription_succeeded');
    }
    const reauthorize = async (node) => (await api(node, 'POST', '/reauthorize', { body: { channel: 'private-tickets.1' } })).json;
    await until(async () => !('unanswered' in await reauthorize(nodes[0])), 'all servers answer', LONG);
    assert.deepEqual(await reauthorize(nodes[1]), { kept: 6, revoked: 0 });
    for (const client of clients.slice(3)) banned.add(client.socketId);
    assert.deepEqual(await reauthorize(nodes[0]), { kept: 3, revoked: 3 });
    for (const node of nodes) await trigger(node, 'private-tickets.1', 'news', '{}');
    for (const client of clients.slice(0, 3)) await until(() => client.frames.filter((f) => f.event === 'news').length === 3, 'the events');
    for (const client of clients.slice(3)) {
      assert.equal(JSON.parse((await client.event('pusher:subscription_error')).data).status, 403);
      assert.ok(!client.frames.some((f) => f.event === 'news'));
    }
    nodes[2].child.kill('SIGKILL'); // it is not waited for as long as it is missed
    const answer = await reauthorize(nodes[0]);
    assert.equal(answer.kept, 2);
    await until(async () => !('unanswered' in await reauthorize(nodes[0])), 'the dead server is forgotten', LONG);
  });

  test('a server that was out of touch catches up with what was ordered', { skip: noUrls }, async (t) => {
    const redis = await startRedis(t);
    let banned = false;
    const site = await startSite(t, () => !banned);
    const ruled = { apps: [{ id: APP.id, key: APP.key, secret: APP.secret, auth_mode: 'rules' }], rules: [{ pattern: 'tickets.{id}', url: site.url }] };
    const nodes = await Promise.all(Array.from({ length: 2 }, () => startNode(t, redis, ruled)));
    await Promise.all(nodes.map(linked));
    const client = await connect(nodes[1]);
    client.ask('private-tickets.1');
    await client.event('pusher_internal:subscription_succeeded');
    nodes[1].child.kill('SIGSTOP');
    banned = true;
    await api(nodes[0], 'POST', '/reauthorize', { body: {} });
    nodes[1].child.kill('SIGCONT');
    assert.equal(JSON.parse((await client.event('pusher:subscription_error')).data).status, 403);
    await redis.kill();
    await until(() => /Redis at \S+ is gone/.test(nodes[0].stderr), 'the loss');
    banned = false;
    assert.ok((await api(nodes[0], 'POST', '/reauthorize', { body: {} })).json.unanswered > 0);
    await startRedis(t, [], redis.port);
    await client.event('pusher_internal:subscription_succeeded', 'private-tickets.1', LONG);
  });

  test('webhooks tell once what becomes of channels, whichever servers the clients are on', { skip: noUrls }, async (t) => {
    const endpoint = await receiver(t);
    const app = { ...APP, client_events: true, webhooks: [{ url: endpoint.url }] };
    const nodes = await startNodes(t, await startRedis(t), 3, { apps: [app], webhook_batch_ms: 50, webhook_delay_ms: 100 });
    const rooms = Array.from({ length: 20 }, (_, i) => `presence-room-${i}`);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const room of rooms) {
      for (const [i, client] of clients.entries()) await client.subscribe(room, { user_id: `u${i % 2}` }); // u0 on two servers
    }
    clients[0].send({ event: 'client-hello', channel: rooms[0], data: '{}' });
    const { event, data, user_id: user } = await endpoint.event('client_event', { channel: rooms[0] });
    assert.deepEqual([event, data, user], ['client-hello', '{}', 'u0']);
    await until(() => endpoint.events.all.length >= 1 + 3 * rooms.length, 'all joins', LONG);
    await clients[0].close();
    await clients[1].close();
    await until(() => endpoint.events.all.length >= 1 + 4 * rooms.length, 'the leaves of u1', LONG);
    await clients[2].close();
    await until(() => endpoint.events.all.length >= 1 + 6 * rooms.length, 'all leaves', LONG);
    for (const room of rooms) {
      const told = endpoint.events.all.filter((e) => e.channel === room && e.name !== 'client_event').map((e) => `${e.name} ${e.user_id ?? ''}`);
      assert.deepEqual(told.slice(0, 4), ['channel_occupied ', 'member_added u0', 'member_added u1', 'member_removed u1']);
      assert.deepEqual(told.slice(4).sort(), ['channel_vacated ', 'member_removed u0']);
    }
    for (const sent of endpoint.requests.all) verify(sent);
  });

  test('webhooks of an app are told by a server that knows it, whichever tells those of the partition', { skip: noUrls }, async (t) => {
    const endpoint = await receiver(t);
    const redis = await startRedis(t);
    const hasty = { webhook_batch_ms: 50, webhook_delay_ms: 100 };
    const other = { id: 'other', key: 'other-key', secret: 's' };
    const first = await startNode(t, redis, { apps: [other], ...hasty }); // alone: it tells for all partitions
    await linked(first);
    await sleep(2 * HASTY.cluster_renew_ms);
    const second = await startNode(t, redis, { apps: [{ ...APP, webhooks: [{ url: endpoint.url }] }], ...hasty });
    await linked(second);
    const channels = Array.from({ length: 40 }, (_, i) => `public-${i}`);
    const client = await connect(second);
    for (const channel of channels) await client.subscribe(channel);
    await until(() => endpoint.events.all.length >= channels.length, 'all are occupied', LONG);
    await client.close();
    await until(() => endpoint.events.all.length >= 2 * channels.length, 'all are vacated', LONG);
    for (const channel of channels) assert.deepEqual(endpoint.events.all.filter((e) => e.channel === channel).map((e) => e.name), ['channel_occupied', 'channel_vacated']);
  });

  test('a server is killed that tells webhooks: another one tells what the endpoint has not accepted', { skip: noUrls }, async (t) => {
    let away = true;
    const endpoint = await receiver(t, () => ({ status: away ? 503 : 200 }));
    const app = { ...APP, webhooks: [{ url: endpoint.url }] };
    const nodes = await startNodes(t, await startRedis(t), 2, { apps: [app], webhook_batch_ms: 50, webhook_delay_ms: 100 });
    const channels = Array.from({ length: 40 }, (_, i) => `public-${i}`);
    const [gone, stays] = await Promise.all(nodes.map((node) => connect(node)));
    for (const [i, channel] of channels.entries()) await (i % 2 ? stays : gone).subscribe(channel);
    await until(() => endpoint.requests.all.length >= 2, 'both servers tell', LONG);
    nodes[0].child.kill('SIGKILL');
    away = false;
    await until(() => channels.every((channel, i) => endpoint.events.all.filter((e) => e.channel === channel).at(-1)?.name
      === (i % 2 ? 'channel_occupied' : 'channel_vacated')), 'what is true', LONG);
    await until(() => channels.every((channel) => endpoint.events.all.some((e) => e.channel === channel && e.name === 'channel_occupied')), 'each was told as occupied', LONG);
  });

  test('the last server tells webhooks of its leave', { skip: noUrls }, async (t) => {
    const endpoint = await receiver(t);
    const app = { ...APP, webhooks: [{ url: endpoint.url }] };
    const [node] = await startNodes(t, await startRedis(t), 1, { apps: [app], webhook_delay_ms: 100 });
    const client = await connect(node);
    await client.subscribe('news');
    await endpoint.event('channel_occupied', { channel: 'news' });
    await node.end();
    assert.deepEqual(endpoint.events.all.map((e) => e.name), ['channel_occupied', 'channel_vacated']);
  });

  test('a cache channel keeps one last event for all servers', { skip: noUrls }, async (t) => {
    const endpoint = await receiver(t);
    const app = { ...APP, webhooks: [{ url: endpoint.url }] };
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 3, { apps: [app], webhook_batch_ms: 50 });
    const room = 'private-cache-room';
    const newcomer = async (node) => {
      const client = await connect(node);
      await client.subscribe(room);
      const first = await client.next((f) => f.channel === room && f.event !== 'pusher_internal:subscription_succeeded');
      return { client, first: first.event === 'pusher:cache_miss' ? null : first.data };
    };
    const all = (client) => client.frames.filter((f) => f.event === 'e').map((f) => f.data);
    const missed = await newcomer(nodes[0]);
    assert.equal(missed.first, null);
    await missed.client.close();
    await trigger(nodes[0], room, 'e', '"1"'); // without a subscriber anywhere
    const clients = [];
    for (const node of nodes) {
      const { client, first } = await newcomer(node);
      assert.equal(first, '"1"');
      clients.push(client);
    }
    await Promise.all(nodes.map(async (node, i) => { for (let n = 0; n < 20; n++) await trigger(node, room, 'e', `"${i} ${n}"`); }));
    await until(() => clients.every((client) => all(client).length === 61), 'all events', LONG);
    const whole = all(clients[0]);
    assert.equal(new Set(whole).size, 61);
    for (const client of clients) assert.deepEqual(all(client), whole, 'one order for all publishers');
    const last = whole.at(-1);
    for (const node of nodes) {
      const { json } = await api(node, 'GET', `/channels/${room}`, { query: { info: 'cache' } });
      assert.equal(json.cache.data, last);
      assert.ok(json.cache.ttl > 0);
      assert.equal((await newcomer(node)).first, last);
    }
    await endpoint.event('cache_miss', { channel: room });
    // Redis is away: clients of the same server have an event at once, the others when it is back, and without its data.
    await redis.kill();
    await until(async () => (await api(nodes[0], 'GET', '/channels')).status === 503, 'the loss', LONG);
    await trigger(nodes[0], room, 'e', '"alone"');
    await until(() => all(clients[0]).at(-1) === '"alone"', 'the event here', LONG);
    await startRedis(t, [], redis.port);
    await Promise.all(nodes.map(linked));
    await until(() => clients.every((client) => all(client).at(-1) === '"alone"'), 'the event on all', LONG);
    for (const node of nodes) assert.equal((await newcomer(node)).first, '"alone"');
    for (const client of clients) assert.deepEqual(all(client), [...whole, '"alone"']);
    assert.equal(endpoint.events.all.filter((e) => e.name === 'cache_miss').length, 1);
  });

  test('what a cache channel without clients gets is there for the next one, on the server that published it', async (t) => {
    const [node] = await startNodes(t, await startRedis(t), 2);
    for (let n = 0; n < 60; n++) {
      const room = `cache-${n}`;
      const before = await connect(node);
      await before.subscribe(room);
      await before.next((f) => f.event === 'pusher:cache_miss');
      await before.close();
      await trigger(node, room, 'e', String(n));
      const client = await connect(node);
      await client.subscribe(room);
      const first = await client.next((f) => f.channel === room && f.event !== 'pusher_internal:subscription_succeeded');
      assert.deepEqual([first.event, first.data], ['e', String(n)]);
      await client.close();
    }
  });

  test('subscribers hear how many there are on all servers', { skip: noUrls }, async (t) => {
    const endpoint = await receiver(t);
    const app = { ...APP, subscription_count_events: true, webhooks: [{ url: endpoint.url }] };
    const nodes = await startNodes(t, await startRedis(t), 3, { apps: [app], webhook_batch_ms: 50, webhook_delay_ms: 100 });
    const clients = await Promise.all([...nodes, ...nodes].map((node) => connect(node)));
    const told = (client) => client.frames.filter((f) => f.event === 'pusher_internal:subscription_count').map((f) => JSON.parse(f.data).subscription_count);
    const all = (some, count) => until(() => some.every((client) => told(client).at(-1) === count), () => `${count} on all: ${JSON.stringify(some.map(told))}`, LONG);
    for (const client of clients) await client.subscribe('news');
    await all(clients, 6);
    await clients[0].close();
    await all(clients.slice(1), 5);
    await until(() => endpoint.events.all.filter((e) => e.name === 'subscription_count').at(-1)?.subscription_count === 5, 'the webhook', LONG);
    nodes[1].child.kill('SIGKILL');
    const left = clients.filter((_, i) => i > 0 && i % 3 !== 1);
    await all(left, 3);
    for (const client of left) await client.close();
    await endpoint.event('channel_vacated', { channel: 'news' });
    const counts = endpoint.events.all.filter((e) => e.name === 'subscription_count').map((e) => e.subscription_count);
    assert.ok(counts.every((n, i) => n >= 1 && n <= 6 && n !== counts[i - 1]), `each is told once: ${counts}`);
  });

  test('clusters with different prefixes share nothing', async (t) => {
    const redis = await startRedis(t);
    const nodes = await Promise.all(['one:', 'two:'].map((redis_prefix) => startNode(t, redis, { redis_prefix })));
    await Promise.all(nodes.map(linked));
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const client of clients) await client.subscribe('news');
    await trigger(nodes[0], 'news', 'mine', '{}');
    await clients[0].event('mine');
    await trigger(nodes[1], 'news', 'other', '{}');
    await clients[1].event('other');
    assert.ok(!clients[1].frames.some((f) => f.event === 'mine'));
    const keys = await redis.call('KEYS', '*');
    assert.ok(/one:\{/.test(keys) && /two:\{/.test(keys) && !/pusherc:/.test(keys));
  });

  test('a user with few rights, a password and a database will do', async (t) => {
    const redis = await startRedis(t);
    const rights = `on >p%ss ~pusherc:* &pusherc:* -@all +client|setname +info +script|load +select +evalsha +publish +subscribe +unsubscribe +time
      +exists +del +pexpire +pttl +hget +hset +hsetnx +hmget +hdel +hexists +hincrby +hlen +hgetall +hscan +hrandfield
      +zadd +zrem +zscore +zcard +zrange +zrangebyscore +sadd +srem +sismember +smembers +scard +srandmember +xadd +xdel +xrange +xrevrange`;
    await redis.call('ACL', 'SETUSER', 'node', ...rights.split(/\s+/));
    const url = `redis://node:p%25ss@127.0.0.1:${redis.port}/3`;
    const nodes = await startNodes(t, { url }, 2);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const [i, client] of clients.entries()) await client.subscribe('presence-room', { user_id: `u${i}` });
    await clients[0].event('pusher_internal:member_added');
    await clients[1].close();
    await clients[0].event('pusher_internal:member_removed');
    assert.match(await redis.call('INFO', 'keyspace'), /db3:keys=/);
    assert.ok(nodes.every((node) => !/error|warn/.test(node.stderr)), nodes[0].stderr);
  });

  test('docs/scaling.md: two nodes in five minutes', async (t) => {
    const page = readFileSync(path.join(TOP, 'docs/scaling.md'), 'utf8');
    const chapter = page.slice(page.indexOf('## Two nodes in five minutes'), page.indexOf('\n## Redis'));
    const [start, publish] = [...chapter.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1]);
    const ports = Object.fromEntries(await Promise.all(['6379', '6001', '6002', '9601', '9602'].map(async (port) => [port, String(await freePort())])));
    const here = (commands) => commands.replace(/\b(6379|6001|6002|9601|9602)\b/g, (port) => ports[port]);
    const folder = mkdtempSync(path.join(os.tmpdir(), 'pusherc-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const options = { cwd: folder, env: { ...process.env, PATH: `${path.join(BUILD, 'cli')}:${process.env.PATH}` } };
    const shell = new Program('bash', ['-c', `trap 'kill $(jobs -p)' TERM\n${here(start)}wait; wait`], options);
    t.after(async () => { shell.child.kill('SIGTERM'); await shell.exited; });
    await until(() => shell.stderr.match(/linked with other servers by Redis/g)?.length === 2, () => `two links: ${shell.stderr}`);
    const clients = await Promise.all(['6001', '6002'].map((port) => connect({ port: ports[port] })));
    for (const client of clients) await client.subscribe('news');
    const told = new Program('bash', ['-c', here(publish)], options);
    await told.ends();
    for (const client of clients) assert.equal((await client.event('hello')).data, '{"from":"the second"}');
    for (const client of clients) await client.close();
  });

  test('the log says what is wrong with Redis', async (t) => {
    const redis = await startRedis(t, ['--requirepass', 'secret', '--maxmemory-policy', 'allkeys-lru', '--maxmemory', '100mb']);
    const says = async (url, what) => {
      const node = await startNode(t, { url });
      await until(() => what.test(node.stderr), () => `${what} in ${node.stderr}`);
    };
    await says(redis.url, /error cluster: Redis at 127\.0\.0\.1:\d+ wants a password: NOAUTH/);
    await says(`redis://:wrong@127.0.0.1:${redis.port}`, /error cluster: Redis at \S+ refuses the user or the password: WRONGPASS/);
    await says(`redis://:secret@127.0.0.1:${redis.port}`, /error cluster: Redis may evict what servers share \(maxmemory-policy allkeys-lru\): set noeviction/);
    await says(`redis://:secret@127.0.0.1:${redis.port}/99`, /error cluster: Redis at \S+ does not have the database: ERR DB index/);
    await says('redis://127.0.0.1:1', /warn {2}cluster: Redis at 127\.0\.0\.1:1 cannot be used: Redis cannot be reached: ECONNREFUSED; tries again/);
    const other = await startRedis(t);
    await other.call('ACL', 'SETUSER', 'poor', 'on', 'nopass', '~*', '&*', '+@all', '-publish');
    await says(`redis://poor:x@127.0.0.1:${other.port}`, /error cluster: Redis at \S+ does not give the user a right that is needed: /);
    await other.call('HSET', 'pusherc:{10}meta', 'v', '1', 'p', '16'); // another layout
    await says(other.url, /error cluster: Redis at \S+ has data that another version of this program keeps in another form/);
    const saying = async (version, mode) => {
      const info = `redis_version:${version}\r\nrun_id:0123456789abcdef\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n${mode}\r\n`;
      const server = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.write(`+OK\r\n:0\r\n$${info.length}\r\n${info}\r\n`)); // to CLIENT SETNAME, PUBLISH, INFO
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => { server.on('listening', resolve); });
      t.after(() => server.close());
      return `redis://127.0.0.1:${server.address().port}`;
    };
    await says(await saying('6.0.16', 'redis_mode:standalone'), /error cluster: Redis at \S+ is version 6\.0\.16; 6\.2 is the oldest that will do/);
    for (const mode of ['redis_mode', 'server_mode']) { // Redis, Valkey
      await says(await saying('6.2.14', `${mode}:cluster`), /error cluster: Redis at \S+ is version 6\.2\.14 and part of a Redis Cluster; 7\.0 is the oldest that will do/);
    }
    const replica = await startRedis(t, ['--replicaof', `127.0.0.1 ${other.port}`]);
    await says(replica.url, /warn {2}cluster: Redis at \S+ is a replica/);
  });

  test('the metrics of each server tell how the link is', async (t) => {
    const redis = await startRedis(t);
    const args = ['--metrics', 'on', '--metrics-port', '0'];
    const nodes = [await startNode(t, redis, {}, args), await startNode(t, redis, {}, args)];
    await Promise.all(nodes.map(linked));
    const alone = await startServe(args, t);
    const page = async (node) => {
      const port = Number(node.lines.all.map((line) => /^metrics on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)).find(Boolean)[1]);
      const samples = (await request({ port }, 'GET', '/metrics')).text.matchAll(/^pusherc_(cluster_\w+)\{port="\d+"\} (\S+)$/gm);
      return Object.fromEntries([...samples].map(([, name, value]) => [name, Number(value)]));
    };
    const documented = readFileSync(path.join(TOP, 'docs/metrics.md'), 'utf8').matchAll(/^\| `(cluster_\w+)` \| (?:gauge|counter) \|/gm);
    assert.deepEqual(Object.keys(await page(nodes[0])).sort(), [...documented].map(([, name]) => name).sort());
    assert.deepEqual(await page(alone), {}, 'a server that is not linked');
    const client = await connect(nodes[1]);
    await client.subscribe('news');
    await client.subscribe('presence-room', { user_id: 'u' });
    await trigger(nodes[0], 'news', 'x', '{}');
    await client.event('x');
    await until(async () => { // a page is written once a second
      const [here, there] = await Promise.all(nodes.map(page));
      return there.cluster_topics === 2 && there.cluster_mirrors === 1 && there.cluster_holds === 1 && there.cluster_messages_in_total >= 1 && here.cluster_messages_out_total >= 1;
    }, 'what the servers have in Redis', LONG);
    const steps = await until(async () => { // a lease is renewed once in some seconds
      const { port } = /^metrics on http:\/\/127\.0\.0\.1:(?<port>\d+)/.exec(nodes[1].lines.all.find((line) => /^metrics on/.test(line))).groups;
      const { text } = await request({ port: Number(port) }, 'GET', '/metrics');
      const found = Object.fromEntries([...text.matchAll(/^pusherc_cluster_step_seconds_count\{port="\d+",step="(\w+)"\} (\d+)$/gm)].map(([, step, count]) => [step, Number(count)]));
      return found.renew >= 1 && found;
    }, 'a renewal', LONG);
    assert.ok(steps.join === 1 && steps.attach >= 64 && !('told' in steps), JSON.stringify(steps));
    const seen = await until(async () => {
      const now = await page(nodes[0]);
      return now.cluster_nodes === 2 && now.cluster_round_trip_seconds > 0 && now.cluster_transit_seconds > 0 && now.cluster_outbox_bytes === 0 && now;
    }, 'two servers', LONG);
    assert.deepEqual([seen.cluster_link_up, seen.cluster_connects_total, seen.cluster_errors_total, seen.cluster_dropped_total], [1, 1, 0, 0]);
    for (const name of ['cluster_commands_total', 'cluster_transmitted_bytes_total', 'cluster_received_bytes_total']) assert.ok(seen[name] > 64, `${name} ${seen[name]}`);
    await redis.kill();
    await until(async () => (await page(nodes[0])).cluster_link_up === 0, 'the loss', LONG);
    await trigger(nodes[0], 'news', 'y', '{}');
    await until(async () => (await page(nodes[0])).cluster_outbox_bytes > 0, 'what waits', LONG);
    await startRedis(t, [], redis.port);
    await until(async () => { const now = await page(nodes[0]); return now.cluster_link_up === 1 && now.cluster_connects_total === 2 && now.cluster_outbox_bytes === 0; }, 'the return', LONG);
    assert.ok((await page(nodes[0])).cluster_gap_seconds_total > 0);
    await until(async () => (await page(nodes[1])).cluster_mirrors === 1, 'what was followed before is followed again', LONG);
    assert.ok((await page(nodes[0])).cluster_epochs_total >= 64, 'the data was new in each partition');
  });
});
