'use strict';
// B.5: presence.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, channelAuth, connect, hmac, startHost, until } = require('../integration/lib.js');

const SMALL = { id: 'small', key: 'small-key', secret: 's', max_presence_members: 2, max_user_info_bytes: 64, strict_user_info: true };

let host;
before(async () => { host = await startHost({ apps: [APP, SMALL], options: { worker_count: 2 } }); });

const presence = (frame) => JSON.parse(frame.data).presence;
let number = 0;
const fresh = (name) => `presence-${name}.${++number}`;
const closeAll = (...clients) => Promise.all(clients.map((client) => client.close()));

test('#68 sends ids, hash and count including the new member', async () => {
  const channel = fresh('room');
  const [one, two] = await Promise.all([connect(host), connect(host)]);
  const alone = await one.subscribe(channel, { user_id: '7', user_info: { name: 'Zoe' } });
  assert.deepEqual({ ...alone }, { event: 'pusher_internal:subscription_succeeded', channel, data: alone.data });
  assert.deepEqual(JSON.parse(alone.data), { presence: { ids: ['7'], hash: { 7: { name: 'Zoe' } }, count: 1 } });
  const both = presence(await two.subscribe(channel, { user_id: '8' }));
  assert.deepEqual([...both.ids].sort(), ['7', '8']);
  assert.deepEqual(both.hash, { 7: { name: 'Zoe' }, 8: {} });
  assert.equal(both.count, 2);
  await closeAll(one, two);
});

test('#69 sends hash as an object and count as the number of distinct ids', async () => {
  const channel = fresh('room');
  const clients = await Promise.all(Array.from({ length: 9 }, () => connect(host)));
  for (const [i, client] of clients.entries()) {
    const { ids, hash, count } = presence(await client.subscribe(channel, { user_id: String(i % 3) }));
    assert.equal(count, Math.min(i + 1, 3));
    assert.equal(new Set(ids).size, count);
    assert.equal(ids.length, count);
    assert.ok(!Array.isArray(hash));
    assert.deepEqual(Object.keys(hash).sort(), [...ids].sort());
  }
  await closeAll(...clients);
});

test('#70 sends member_added to the others with user_id and user_info', async () => {
  const channel = fresh('room');
  const [one, two, three] = await Promise.all([connect(host), connect(host), connect(host)]);
  await one.subscribe(channel, { user_id: '1' });
  await two.subscribe(channel, { user_id: '2' });
  await one.next();
  await three.subscribe(channel, { user_id: '3', user_info: { name: 'Ann', roles: ['a', 'b'] } });
  for (const client of [one, two]) {
    const added = await client.next();
    assert.deepEqual({ ...added, data: null }, { event: 'pusher_internal:member_added', channel, data: null });
    assert.equal(typeof added.data, 'string');
    assert.deepEqual(JSON.parse(added.data), { user_id: '3', user_info: { name: 'Ann', roles: ['a', 'b'] } });
  }
  await closeAll(one, two, three);
});

test('#71 sends no member_added to the connection that joined', async () => {
  const client = await connect(host);
  await client.subscribe(fresh('room'), { user_id: '7' });
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#72 #73 #74 #75 counts a user once, from the first connection to the last', async () => {
  const channel = fresh('room');
  const [watcher, first, second] = await Promise.all([connect(host), connect(host), connect(host)]);
  await watcher.subscribe(channel, { user_id: 'watcher' });
  await first.subscribe(channel, { user_id: '7', user_info: { from: 'first' } });
  assert.equal(JSON.parse((await watcher.next()).data).user_id, '7');
  const snapshot = presence(await second.subscribe(channel, { user_id: '7', user_info: { from: 'second' } }));
  assert.deepEqual([...snapshot.ids].sort(), ['7', 'watcher']);
  assert.deepEqual(snapshot.hash, { 7: { from: 'first' }, watcher: {} });
  assert.deepEqual(await watcher.settle(), [], 'no second member_added');
  assert.deepEqual(await first.settle(), []);
  await first.unsubscribe(channel);
  assert.deepEqual(await watcher.settle(), [], 'no member_removed yet');
  await second.unsubscribe(channel);
  assert.deepEqual({ ...(await watcher.next()) }, { event: 'pusher_internal:member_removed', channel, data: '{"user_id":"7"}' });
  await closeAll(watcher, first, second);
});

test('#75 sends member_removed when the last connection disconnects, however', async () => {
  const channel = fresh('room');
  const watcher = await connect(host);
  await watcher.subscribe(channel, { user_id: 'watcher' });
  for (const end of ['close', 'terminate']) {
    const client = await connect(host);
    await client.subscribe(channel, { user_id: '7' });
    await watcher.event('pusher_internal:member_added');
    client.ws[end]();
    assert.equal((await watcher.next()).event, 'pusher_internal:member_removed');
  }
  await watcher.close();
});

test('#76 treats user_id 7 and "7" as one user and emits strings', async () => {
  const channel = fresh('room');
  const [watcher, number7, string7] = await Promise.all([connect(host), connect(host), connect(host)]);
  await watcher.subscribe(channel, { user_id: 'w' });
  assert.deepEqual(presence(await number7.subscribe(channel, '{"user_id":7}')).ids.sort(), ['7', 'w']);
  assert.deepEqual(presence(await string7.subscribe(channel, '{"user_id":"7"}')).ids.sort(), ['7', 'w']);
  const [added, ...more] = await watcher.settle();
  assert.equal(JSON.parse(added.data).user_id, '7');
  assert.deepEqual(more, []);
  const big = await connect(host);
  assert.ok(presence(await big.subscribe(channel, '{"user_id":9007199254740993}')).ids.includes('9007199254740993'));
  for (const id of ['7.0', '7e0', 'true', 'null', '[7]', '{"id":7}', '""']) {
    const odd = fresh('odd');
    const data = `{"user_id":${id}}`;
    big.ask(odd, { auth: channelAuth(APP, big.socketId, odd, data), channel_data: data });
    assert.equal((await big.event('pusher:subscription_error')).channel, odd, id);
  }
  await closeAll(watcher, number7, string7, big);
});

test('#77 verifies signatures over the exact bytes of channel_data', async () => {
  const client = await connect(host);
  const channel = fresh('bytes');
  const written = ['{"user_id":"7","user_info":{"name":"Zoë"}}', '{"user_id":"7","user_info":{"name":"Zo\\u00eb"}}', '{ "user_id" : "7" }'];
  for (const signed of written) {
    for (const sent of written) {
      client.ask(channel, { auth: channelAuth(APP, client.socketId, channel, signed), channel_data: sent });
      const answer = await client.next((f) => f.event !== 'pusher:error');
      assert.equal(answer.event, signed === sent ? 'pusher_internal:subscription_succeeded' : 'pusher:subscription_error', `${signed} ${sent}`);
      if (signed === sent) await client.unsubscribe(channel);
    }
  }
  await client.close();
});

test('#78 refuses presence without channel_data when not signed in', async () => {
  const client = await connect(host);
  const channel = fresh('room');
  for (const channelData of [undefined, null, '']) {
    client.ask(channel, { auth: channelAuth(APP, client.socketId, channel), channel_data: channelData });
    assert.equal(JSON.parse((await client.event('pusher:subscription_error')).data).type, 'AuthError');
  }
  await client.close();
});

test('#79 accepts presence without channel_data when signed in', async () => {
  const channel = fresh('room');
  const [client, watcher] = await Promise.all([connect(host), connect(host)]);
  await watcher.subscribe(channel, { user_id: 'w' });
  await client.signin({ id: '7', user_info: { name: 'Zoe' } });
  client.ask(channel, { auth: `${APP.key}:${hmac(APP.secret, `${client.socketId}:${channel}`)}` });
  assert.deepEqual(presence(await client.next()).hash, { 7: { name: 'Zoe' }, w: {} });
  assert.deepEqual(JSON.parse((await watcher.next()).data), { user_id: '7', user_info: { name: 'Zoe' } });
  await closeAll(client, watcher);
});

test('#80 refuses channel_data that is no object or has no user_id', async () => {
  const client = await connect(host);
  for (const data of ['x', '[]', '"7"', '7', 'null', '{}', '{"user_info":{}}', '{"user_id":"7"', '{"User_id":"7"}', '{"user_id":"7"}}']) {
    const channel = fresh('odd');
    client.ask(channel, { auth: channelAuth(APP, client.socketId, channel, data), channel_data: data });
    const error = await client.next();
    assert.equal(error.event, 'pusher:error', data);
    const refusal = await client.next();
    assert.equal(refusal.event, 'pusher:subscription_error', data);
    assert.equal(refusal.channel, channel);
    assert.equal(JSON.parse(refusal.data).status, 400);
  }
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#81 refuses a user_id above 128 characters and a user_info above its limit', async () => {
  const client = await connect(host);
  const info = (bytes) => ({ x: 'x'.repeat(bytes - 8) }); // {"x":"..."}
  await client.subscribe(fresh('room'), { user_id: 'i'.repeat(128), user_info: info(2048) });
  await client.subscribe(fresh('room'), { user_id: 'ï'.repeat(128) });
  for (const member of [{ user_id: 'i'.repeat(129) }, { user_id: 'ï'.repeat(129) }, { user_id: '7', user_info: info(2049) }]) {
    const channel = fresh('room');
    const data = JSON.stringify(member);
    client.ask(channel, { auth: channelAuth(APP, client.socketId, channel, data), channel_data: data });
    assert.deepEqual(['LimitReached', 413], (({ type, status }) => [type, status])(JSON.parse((await client.event('pusher:subscription_error', channel)).data)));
  }
  await client.close();
});

test('#82 refuses a new user at the limit of members, and admits another connection of a present one', async () => {
  const channel = fresh('full');
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(host, { app: SMALL })));
  const [one, two, three, again, later] = clients;
  await one.subscribe(channel, { user_id: '1' });
  await two.subscribe(channel, { user_id: '2' });
  const data = '{"user_id":"3"}';
  const auth = channelAuth(SMALL, three.socketId, channel, data);
  three.ask(channel, { auth, channel_data: data });
  const refusal = await three.event('pusher:subscription_error');
  assert.equal(JSON.parse(refusal.data).type, 'LimitReached');
  assert.equal(JSON.parse(refusal.data).status, 403);
  assert.equal(presence(await again.subscribe(channel, { user_id: '1' })).count, 2);
  await one.unsubscribe(channel);
  three.ask(channel, { auth, channel_data: data });
  assert.equal((await three.event('pusher:subscription_error')).channel, channel, 'user 1 is still there');
  await again.unsubscribe(channel);
  await two.event('pusher_internal:member_removed'); // not sooner than 100 ms after the user came
  assert.equal(presence(await later.subscribe(channel, { user_id: '3' })).count, 2);
  await closeAll(...clients);
});

test('#83 puts {} into the hash for a member without user_info', async () => {
  const client = await connect(host);
  for (const member of ['{"user_id":"7"}', '{"user_id":"7","user_info":null}'])
    assert.deepEqual(presence(await client.subscribe(fresh('room'), member)).hash, { 7: {} });
  // Laravel's `return true`, and other things that are not an object, unless the app is strict
  for (const info of ['true', '[1]', '"text"', '1.50'])
    assert.deepEqual(presence(await client.subscribe(fresh('room'), `{"user_id":"7","user_info":${info}}`)).hash, { 7: JSON.parse(info) });
  const strict = await connect(host, { app: SMALL });
  const channel = fresh('room');
  const data = '{"user_id":"7","user_info":true}';
  strict.ask(channel, { auth: channelAuth(SMALL, strict.socketId, channel, data), channel_data: data });
  assert.equal((await strict.event('pusher:subscription_error')).channel, channel);
  await closeAll(client, strict);
});

test('#84 loses and repeats no member change under concurrent joins', async () => {
  // Each client replays its own view; in the end all views are the truth. More of this in ordering.test.js.
  const channel = fresh('crowd');
  const clients = await Promise.all(Array.from({ length: 60 }, () => connect(host)));
  for (const [i, client] of clients.entries()) {
    const data = JSON.stringify({ user_id: String(i) });
    client.ask(channel, { auth: channelAuth(APP, client.socketId, channel, data), channel_data: data });
  }
  await Promise.all(clients.map(async (client) => {
    const members = new Set(presence(await client.next()).ids);
    while (members.size < clients.length) {
      const frame = await client.event('pusher_internal:member_added');
      const { user_id: id } = JSON.parse(frame.data);
      assert.ok(!members.has(id), `${id} was announced, but was there`);
      members.add(id);
    }
    assert.deepEqual(await client.settle(), []);
  }));
  await closeAll(...clients);
  await until(async () => (await api(host, 'GET', `/channels/${channel}`)).json.occupied === false);
});

test('#86 keeps Unicode in user_info unchanged', async () => {
  const channel = fresh('unicode');
  const [one, two] = await Promise.all([connect(host), connect(host)]);
  const info = { name: 'Zoë Ångström 李小龍 👩‍👩‍👧 \u2028 \u0000 \u001f "quoted" \\ / \u007f', empty: '', 'ключ': [1.1, 12345678901234, null] };
  await one.subscribe(channel, { user_id: '1' });
  const data = JSON.stringify({ user_id: '李', user_info: info });
  assert.deepEqual(presence(await two.subscribe(channel, data)).hash['李'], info);
  const added = JSON.parse((await one.next()).data);
  assert.deepEqual(added, { user_id: '李', user_info: info });
  await closeAll(one, two);
  // numbers that no double can hold go through as they are written
  const exact = await connect(host);
  const frame = await exact.subscribe(fresh('exact'), '{"user_id":"7","user_info":{"n":123456789012345678901234567890.10}}');
  assert.ok(frame.data.includes('123456789012345678901234567890.10'), frame.data);
  await exact.close();
});
