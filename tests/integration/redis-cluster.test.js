'use strict';
// Several servers that are linked over a Redis Cluster: each partition on the master that has its slot, whatever becomes of
// slots and masters.

const assert = require('node:assert/strict');
const path = require('node:path');
const { describe, test } = require('node:test');
const { BUILD, Program, api, connect, sleep, trigger, until, within } = require('./lib.js');
const { LONG, flows, linked, names, roster, startNode, startNodes } = require('./nodes.js');
const { noRedis, startRedisCluster } = require('./redis.js');

const errorsOf = async (redis) => [...(await redis.call('INFO', 'errorstats')).matchAll(/^errorstat_(\w+):/gm)].map(([, name]) => name);
const callsOf = async (redis) => Object.fromEntries([...(await redis.call('INFO', 'commandstats')).matchAll(/^cmdstat_([\w|]+):calls=(\d+)/gm)].map(([, name, n]) => [name, Number(n)]));

/** Publishes numbers on a channel, one after the other, until it is stopped: then it says how many. */
function publisher(node, channel, event) {
  let going = true;
  const count = (async () => {
    let n = 0;
    for (; going; n++) await trigger(node, channel, event, String(n));
    return n;
  })();
  return () => { going = false; return count; };
}

/** The numbers that a client has heard are in order, each once. */
function numbers(client, event) {
  const heard = client.frames.filter((f) => f.event === event).map((f) => Number(f.data));
  assert.ok(heard.every((n, i) => i === 0 || n > heard[i - 1]), `${event} in order, none twice: ${heard}`);
  return heard;
}

/** A presence channel for each master, whose slot is there. */
async function roomsOf(cluster, client, masters) {
  const rooms = new Map();
  for (let i = 0; rooms.size < masters; i++) {
    const name = `presence-room-${i}`;
    await client.subscribe(name, { user_id: 'first', user_info: { n: 0 } });
    const at = await cluster.slotOf(name);
    if (!rooms.has(at.node)) rooms.set(at.node, { name, ...at });
  }
  return cluster.nodes.slice(0, masters).map((node) => rooms.get(node));
}

describe('several servers over a Redis Cluster', { skip: noRedis }, () => {
  test('events, members and lists of all partitions, over all masters', async (t) => {
    const cluster = await startRedisCluster(t, { replica: false });
    const nodes = await startNodes(t, cluster, 2);
    assert.match(nodes[0].stderr, /info {2}cluster: linked with other servers by Redis \S+ at 127\.0\.0\.1:\d+, which has 2\d of 64 partitions/);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    const channels = Array.from({ length: 30 }, (_, i) => `news-${i}`);
    for (const client of clients) for (const channel of channels) await client.subscribe(channel);
    const places = new Set();
    for (const channel of channels) places.add((await cluster.slotOf(channel)).node);
    assert.equal(places.size, 3);
    const EVENTS = 20;
    await Promise.all(nodes.map(async (node, i) => { for (let n = 0; n < EVENTS; n++) await trigger(node, channels, `of-${i}`, String(n)); }));
    for (const client of clients) {
      for (const channel of channels) {
        for (const i of nodes.keys()) {
          const mine = () => client.frames.filter((f) => f.channel === channel && f.event === `of-${i}`).map((f) => Number(f.data));
          await until(() => mine().length >= EVENTS, `all events of ${channel}`);
          assert.deepEqual(mine(), Array.from({ length: EVENTS }, (_, n) => n));
        }
      }
    }
    const rooms = Array.from({ length: 12 }, (_, i) => `presence-room-${i}`);
    for (const room of rooms) {
      await clients[0].subscribe(room, { user_id: 'a' });
      assert.deepEqual(roster(await clients[1].subscribe(room, { user_id: 'b' })), ['a', 'b']);
      assert.equal(JSON.parse((await clients[0].event('pusher_internal:member_added', room)).data).user_id, 'b');
    }
    for (const node of nodes) {
      const all = Object.fromEntries(rooms.map((room) => [room, { user_count: 2 }]));
      assert.deepEqual((await api(node, 'GET', '/channels', { query: { filter_by_prefix: 'presence-', info: 'user_count' } })).json.channels, all);
      await until(async () => Object.keys((await api(node, 'GET', '/channels')).json.channels).length === 42, 'all channels');
    }
    await trigger(nodes[0], 'cache-one', 'kept', '"1"');
    await clients[1].subscribe('cache-one');
    assert.equal((await clients[1].event('kept')).data, '"1"');
    // An order goes by its partition, wherever the client is.
    await clients[1].signin({ id: 'gone' });
    assert.equal((await api(nodes[0], 'POST', '/users/gone/terminate_connections', { body: {} })).status, 200);
    await clients[1].closed();
    for (const room of rooms) await until(() => names(clients[0].frames, 'pusher_internal:member_removed', room).includes('b'), `the end in ${room}`);
    for (const redis of cluster.nodes) {
      const calls = await callsOf(redis);
      assert.ok(calls.spublish > 0 && calls.ssubscribe > 0 && calls.evalsha > 0, JSON.stringify(calls));
      // But for the first greeting of a node, which does not know yet what it speaks to, nothing goes to all servers.
      assert.ok((calls.publish || 0) <= 2 && (calls.subscribe || 0) <= 2, JSON.stringify(calls));
      assert.deepEqual((await errorsOf(redis)).filter((e) => e !== 'ERR'), [], 'no server was asked for what another one has');
    }
  });

  test('a slot moves while events flow: members stay, nothing comes twice, and what waits is done', async (t) => {
    const cluster = await startRedisCluster(t, { replica: false });
    const nodes = await startNodes(t, cluster, 2);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    const [{ name: room, slot, node: from }, { name: beside }] = await roomsOf(cluster, clients[0], 3);
    for (const channel of [room, beside]) await clients[1].subscribe(channel, { user_id: 'second' });
    const stop = [publisher(nodes[0], room, 'here'), publisher(nodes[1], beside, 'beside')];
    const joined = [];
    await cluster.move(slot, from, cluster.nodes[1], async () => {
      const newcomer = await connect(nodes[1]); // its join waits until the slot has moved, or is answered with what is known
      joined.push(newcomer, newcomer.subscribe(room, { user_id: 'third' }));
      await sleep(500);
    });
    assert.deepEqual(roster(await joined[1]), ['first', 'second', 'third']);
    await until(async () => (await cluster.slotOf(room))?.node === cluster.nodes[1], 'the topic at its new server', LONG);
    await Promise.all(nodes.map(linked));
    await flows(nodes, clients, room);
    const [count, besides] = await Promise.all(stop.map((s) => s()));
    await until(() => clients.every((c) => numbers(c, 'here').at(-1) === count - 1 && numbers(c, 'beside').at(-1) === besides - 1), 'the last events', LONG);
    assert.equal(numbers(clients[0], 'here').length, count, 'clients of the publisher\'s server');
    const lost = count - numbers(clients[1], 'here').length;
    t.diagnostic(`${count} events while the slot moved, ${lost} of them lost between servers`);
    assert.ok(lost < count / 2, `${lost} of ${count} lost`);
    for (const client of clients) assert.equal(numbers(client, 'beside').length, besides, 'other partitions lose nothing');
    await until(() => names(clients[0].frames, 'pusher_internal:member_added', room).includes('third'), 'the newcomer', LONG);
    await joined[0].close();
    await until(() => clients.every((c) => names(c.frames, 'pusher_internal:member_removed', room).length > 0), 'its end', LONG);
    for (const client of clients) {
      assert.deepEqual(names(client.frames, 'pusher_internal:member_removed', room), ['third']);
      assert.deepEqual(names(client.frames, 'pusher_internal:member_removed', beside), []);
    }
    for (const node of nodes) assert.match(node.stderr, new RegExp(`info {2}cluster: partition \\d+ has moved to Redis at 127\\.0\\.0\\.1:${cluster.nodes[1].port}`));
    for (const node of nodes) assert.ok(!/Redis at \S+ (is|answers|cannot)/.test(node.stderr), `no connection was lost: ${node.stderr}`);
  });

  test('a master is killed and its replica promoted: members stay, other masters go on', async (t) => {
    const cluster = await startRedisCluster(t);
    const nodes = await startNodes(t, cluster, 2);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    const [{ name: room, node: master }, { name: beside }, { name: third }] = await roomsOf(cluster, clients[0], 3);
    for (const channel of [room, beside, third]) await clients[1].subscribe(channel, { user_id: 'second' });
    const stop = [publisher(nodes[0], room, 'here'), publisher(nodes[1], beside, 'beside')];
    await master.kill();
    await until(async () => /role:master/.test(await cluster.nodes.at(-1).call('INFO', 'replication')), 'the promotion', LONG);
    await Promise.all(nodes.map(linked));
    await flows(nodes, clients, room);
    const [count, besides] = await Promise.all(stop.map((s) => s()));
    await until(() => clients.every((c) => numbers(c, 'here').at(-1) === count - 1 && numbers(c, 'beside').at(-1) === besides - 1), 'the last events', LONG);
    assert.equal(numbers(clients[0], 'here').length, count, 'clients of the publisher\'s server');
    t.diagnostic(`${count} events around the failover, ${count - numbers(clients[1], 'here').length} of them lost between servers`);
    for (const client of clients) assert.equal(numbers(client, 'beside').length, besides, 'other partitions lose nothing');
    for (const { port } of cluster.nodes.slice(1, 3)) {
      for (const node of nodes) assert.doesNotMatch(node.stderr, new RegExp(`Redis at 127\\.0\\.0\\.1:${port} `), 'other masters stay connected');
    }
    for (const client of clients) {
      for (const channel of [room, beside, third]) assert.deepEqual(names(client.frames, 'pusher_internal:member_removed', channel), []);
    }
    const newcomer = await connect(nodes[1]);
    assert.deepEqual(roster(await newcomer.subscribe(room, { user_id: 'third' })), ['first', 'second', 'third']);
    await until(() => names(clients[0].frames, 'pusher_internal:member_added', room).includes('third'), 'the newcomer', LONG);
    for (const node of nodes) assert.equal((await api(node, 'GET', `/channels/${room}/users`)).json.users.length, 3);
  });

  test('a master hands over to its replica, connections are cut, a slot moves to and fro: members stay', async (t) => {
    const cluster = await startRedisCluster(t);
    const nodes = await startNodes(t, cluster, 2);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    const rooms = await roomsOf(cluster, clients[0], 3);
    for (const { name } of rooms) await clients[1].subscribe(name, { user_id: 'second' });
    const stay = async () => {
      await Promise.all(nodes.map(linked));
      for (const { name } of rooms) await flows(nodes, clients, name);
      for (const client of clients) for (const { name } of rooms) assert.deepEqual(names(client.frames, 'pusher_internal:member_removed', name), []);
    };
    const replica = cluster.nodes.at(-1);
    const promoted = async () => /role:master/.test(await replica.call('INFO', 'replication'));
    for (let asked = 0; asked < 12 && !await promoted(); asked++) { // other masters may not know yet whose replica it is, and refuse
      await replica.call('CLUSTER', 'FAILOVER'); // which Redis gives up after 5 s
      await until(promoted, 'the promotion', 6000).catch(() => {});
    }
    assert.ok(await promoted(), 'the promotion');
    await until(() => nodes.every(({ stderr }) => stderr.includes(`at 127.0.0.1:${replica.port}, which has`)), () => `the former replica: ${nodes[0].stderr}`, LONG);
    await stay();
    for (let i = 0; i < 4; i++) {
      for (const redis of cluster.nodes) await redis.call('CLIENT', 'KILL', 'TYPE', i % 2 ? 'normal' : 'pubsub');
      await sleep(300);
    }
    await stay();
    const [, { slot, node: from }, { node: to }] = rooms;
    await cluster.move(slot, from, to);
    await cluster.move(slot, to, from);
    await cluster.move(slot, from, to);
    await stay();
    const newcomer = await connect(nodes[1]);
    for (const { name } of rooms) assert.deepEqual(roster(await newcomer.subscribe(name, { user_id: 'third' })), ['first', 'second', 'third']);
  });

  test('what Laravel publishes on any of its servers is heard by any', async (t) => {
    const cluster = await startRedisCluster(t, { replica: false });
    const [node] = await startNodes(t, cluster, 1, { laravel_redis: `redis://127.0.0.1:${cluster.nodes[2].port}`, laravel_redis_prefix: 'shop:' });
    const client = await connect(node);
    await client.subscribe('news');
    await until(() => /hears Laravel's events/.test(node.stderr), 'the feed', LONG);
    for (const [i, redis] of cluster.nodes.entries()) {
      const program = new Program(path.join(BUILD, 'cli/pusherc'), ['publish', '--url', `${redis.url}?prefix=shop:`, 'news', `of-${i}`, '{}']);
      program.child.stdin.end();
      assert.equal((await within(program.exited, () => `the end of pusherc publish: ${program.stderr}`, LONG)).code, 0);
      await client.event(`of-${i}`, 'news', LONG);
    }
  });

  test('a user with few rights and a password will do; a database will not', async (t) => {
    const cluster = await startRedisCluster(t, { replica: false });
    const rights = `on >p%ss ~pusherc:* &pusherc:* -@all +client|setname +info +script|load +select +evalsha +publish +subscribe +unsubscribe +time
      +exists +del +pexpire +pttl +hget +hset +hsetnx +hmget +hdel +hexists +hincrby +hlen +hgetall +hscan +hrandfield
      +zadd +zrem +zscore +zcard +zrange +zrangebyscore +sadd +srem +sismember +smembers +scard +srandmember +xadd +xdel +xrange +xrevrange
      +spublish +ssubscribe +sunsubscribe +cluster|slots`;
    for (const redis of cluster.nodes) await redis.call('ACL', 'SETUSER', 'node', ...rights.split(/\s+/));
    const url = cluster.url.replace('//', '//node:p%25ss@');
    const nodes = await startNodes(t, { url }, 2);
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const [i, client] of clients.entries()) await client.subscribe('presence-room', { user_id: `u${i}` });
    await clients[0].event('pusher_internal:member_added');
    await flows(nodes, clients, 'presence-room');
    assert.ok(nodes.every((node) => !/error|warn/.test(node.stderr)), nodes[0].stderr);
    const says = async (redis, what) => {
      const node = await startNode(t, { url: redis });
      await until(() => what.test(node.stderr), () => `${what} in ${node.stderr}`);
    };
    await says(`${cluster.url}/3`, /error cluster: Redis at \S+ is part of a Redis Cluster, which has database 0 only: ERR SELECT/);
    for (const redis of cluster.nodes) await redis.call('ACL', 'SETUSER', 'node', '-cluster|slots');
    await says(url, /error cluster: Redis at \S+ does not give the user a right that is needed: NOPERM/);
    await cluster.nodes[2].call('CLUSTER', 'DELSLOTSRANGE', '16000', '16383');
    await until(async () => /cluster_slots_assigned:16000/.test(await cluster.nodes[1].call('CLUSTER', 'INFO')) || /cluster_state:fail/.test(await cluster.nodes[2].call('CLUSTER', 'INFO')), 'slots without a server', LONG);
    await says(`redis://127.0.0.1:${cluster.nodes[2].port}`, /warn {2}cluster: Redis at \S+ says that no server of its Redis Cluster has 1 of 64 partitions; tries again/);
  });
});
