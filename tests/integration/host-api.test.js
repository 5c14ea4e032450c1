'use strict';
// What hosts missed while they were written against the headers (F9), driven through host/: one call, one promise.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, CLIENT_QUERY, channelAuth, connect, startHost, until } = require('./lib.js');
const { PusherClient, clientOptions, connected, pusher, subscribe } = require('./clients.js');

const SIGNATURE = 0;
const RULES = 1;
const EITHER = 2;

async function start(t, { mode = SIGNATURE, rules = [], answers = [{ allow: true }], hooks = [], app = {}, ...more } = {}) {
  const host = await startHost({
    apps: [{ ...APP, auth_mode: mode, ...app }], rules, hooks: ['identify', ...hooks], ...more, options: { worker_count: 2, ...more.options },
  }, t);
  await host.do('answers', { rows: answers });
  return host;
}

const as = (user, more = {}) => ({ query: `${CLIENT_QUERY}${user ? `&user=${user}` : ''}`, ...more });

test('F9: a publish without structs arrives, but not at the connection that is left out', async (t) => {
  const host = await start(t);
  const one = await connect(host);
  const two = await connect(host);
  for (const client of [one, two]) await client.subscribe('news');
  await host.do('publish_to', { channel: 'news', event: 'hello', data: '{"n":1}' });
  await host.do('publish_to', { channel: 'news', event: 'hello', data: '{"n":2}', except: one.socketId });
  assert.equal((await host.try('publish_to', { channel: 'news', event: 'hello', data: '', except: 'me' })).rc, 'EINVAL');
  const data = async (client) => (await client.settle()).map((frame) => frame.data);
  assert.deepEqual(await data(one), ['{"n":1}']);
  assert.deepEqual(await data(two), ['{"n":1}', '{"n":2}']);
});

test('F9: on_signin tells of each sign-in, after the client', async (t) => {
  const host = await start(t, { hooks: ['on_signin'] });
  const client = await connect(host, as('i1'));
  await client.signin({ id: 's1' });
  const told = await host.event('signin');
  assert.deepEqual([told.socket_id, told.user, told.client_ip, told.attached], [client.socketId, 's1', '127.0.0.1', 'data of i1']);
  client.send({ event: 'pusher:signin', data: { auth: 'app-key:0', user_data: '{"id":"s2"}' } });
  await client.event('pusher:error');
  await client.signin({ id: 's1' });
  assert.equal((await host.event('signin')).user, 's1');
});

test('F9: connections are listed with their users and addresses, all of an app or one user\'s', async (t) => {
  const host = await start(t, { hooks: ['on_open', 'on_close'], options: { proxy_count: 1 } });
  const list = async (user = '') => (await host.do('connections', { user })).connections;
  assert.deepEqual(await list(), []);
  const clients = [];
  for (const [user, address] of [['', '192.0.2.1'], ['i1', '2001:db8::7'], ['i1', '192.0.2.3'], ['i2', '']])
    clients.push(await connect(host, as(user, { headers: address ? { 'X-Forwarded-For': address } : {} })));
  assert.deepEqual(new Set([(await host.event('open')).client_ip, (await host.event('open')).client_ip]), new Set(['192.0.2.1', '2001:db8::7']));
  await clients[1].signin({ id: 's1' });
  await clients[2].signin({ id: 'i1' });
  const byId = (items) => Object.fromEntries(items.map((item) => [item.socket_id, [item.user, item.signed_in_as, item.client_ip]]));
  const expected = (...which) => Object.fromEntries(which.map((i) => [clients[i].socketId, [
    ['', '', '192.0.2.1'], ['i1', 's1', '2001:db8::7'], ['i1', 'i1', '192.0.2.3'], ['i2', '', '127.0.0.1']][i]]));
  assert.deepEqual(byId(await list()), expected(0, 1, 2, 3));
  assert.equal((await list('i1')).length, 2); // who is i1 twice is there once
  assert.deepEqual(byId(await list('i1')), expected(1, 2));
  assert.deepEqual(byId(await list('s1')), expected(1));
  assert.deepEqual(await list('nobody'), []);
  await clients[1].close();
  await until(async () => (await list()).length === 3, 'one less');
  assert.deepEqual(byId(await list('i1')), expected(2));
  assert.deepEqual(await list('s1'), []);
  assert.equal((await host.try('connections', { app: 'none' })).rc, 'ENOENT');
  assert.equal((await host.try('connections', { user: 'x'.repeat(201) })).rc, 'EINVAL');
});

const TICKETS = [{ pattern: 'tickets.{id}', kinds: 15 }];
const EVERYTHING = [{ pattern: 'tickets.{id}', kinds: 15, cache_ms: 60000 }];

async function granted(host, user, channel) {
  const client = await connect(host, as(user));
  client.ask(channel);
  await client.event('pusher_internal:subscription_succeeded', channel);
  return client;
}

/** Calls it with the answer "no" for everything, and says which of the clients have lost their channel. */
async function losers(host, clients, match) {
  await host.do('answers', { rows: [] });
  await host.do('reauthorize', match);
  const { kept, revoked } = await host.event('reauthorized');
  const lost = [];
  for (const client of clients)
    if ((await client.settle()).some((frame) => frame.event === 'pusher:subscription_error')) lost.push(clients.indexOf(client));
  assert.deepEqual([kept, revoked], [0, lost.length]);
  await host.do('answers', { rows: [{ allow: true }] });
  await host.do('reauthorize', {});
  await host.event('reauthorized');
  for (const client of clients) await client.settle();
  return lost;
}

for (const rules of [TICKETS, EVERYTHING]) {
  test(`F9: re-authorization by socket, of the anonymous, of several at once${rules === TICKETS ? '' : ', with answers kept'}`, async (t) => {
    const host = await start(t, { mode: RULES, rules });
    const clients = [];
    for (const [user, id] of [['', 1], ['', 2], ['ann', 1], ['ann', 1], ['bob', 2], ['cat', 3]])
      clients.push(await granted(host, user, `private-tickets.${id}`));
    const socket = (i) => clients[i].socketId;
    assert.deepEqual(await losers(host, clients, { socket_id: socket(2) }), [2]);
    assert.deepEqual(await losers(host, clients, { socket_id: socket(0) }), [0]);
    assert.deepEqual(await losers(host, clients, { socket_id: socket(2), pattern: 'tickets.2' }), []);
    assert.deepEqual(await losers(host, clients, { socket_id: '1.1' }), []);
    assert.deepEqual(await losers(host, clients, { socket_id: socket(3), user: 'bob' }), []);
    assert.deepEqual(await losers(host, clients, { anonymous: true }), [0, 1]);
    assert.deepEqual(await losers(host, clients, { anonymous: true, pattern: 'tickets.2' }), [1]);
    assert.deepEqual(await losers(host, clients, { user: 'bob', or: [{ user: 'cat' }] }), [4, 5]);
    // who fits several of a list is asked once, and a list of sockets may name one twice
    assert.deepEqual(await losers(host, clients, { user: 'ann', or: [{ pattern: 'tickets.1' }, { socket_id: socket(2) }] }), [0, 2, 3]);
    assert.deepEqual(await losers(host, clients, { socket_id: socket(5), or: [{ socket_id: socket(5), pattern: 'tickets.3' }, { socket_id: socket(1) }] }), [1, 5]);
    assert.deepEqual(await losers(host, clients, {}), [0, 1, 2, 3, 4, 5]);
    assert.equal((await host.try('reauthorize', { anonymous: true, user: 'ann' })).rc, 'EINVAL');
    assert.equal((await host.try('reauthorize', { user: 'ann', or: [{ pattern: '{' }] })).rc, 'EINVAL');
    const many = (n) => ({ user: 'x', or: Array.from({ length: n - 1 }, (_, i) => ({ user: `u${i}` })) });
    assert.equal((await host.try('reauthorize', many(101))).rc, 'EINVAL');
    await host.do('reauthorize', many(100));
    assert.deepEqual([(await host.event('reauthorized')).kept], [0]);
  });
}

test('F9: an answer that is kept for a socket does not outlive a change for that socket', async (t) => {
  const host = await start(t, { mode: RULES, rules: EVERYTHING });
  for (const user of ['', 'ann']) {
    const client = await granted(host, user, 'private-tickets.1');
    await client.unsubscribe('private-tickets.1');
    await host.do('answers', { rows: [] });
    client.ask('private-tickets.1'); // the answer of before
    await client.event('pusher_internal:subscription_succeeded');
    await client.unsubscribe('private-tickets.1');
    await host.do('reauthorize', { socket_id: client.socketId });
    await host.event('reauthorized');
    client.ask('private-tickets.1');
    await client.event('pusher:subscription_error');
    await host.do('answers', { rows: [{ allow: true }] });
  }
});

for (const mode of [SIGNATURE, EITHER]) {
  test(`F9: a presence member of a foreign signature is found and asked about by its own id, mode ${mode}`, async (t) => {
    const room = 'presence-tickets.1';
    const host = await start(t, { mode, rules: TICKETS, hooks: ['on_denied'] });
    for (const user of ['', 'i1']) {
      const client = await connect(host, as(user));
      await client.subscribe(room, { user_id: 'm1', user_info: { n: 1 } });
      await host.do('answers', { rows: [{ user: 'm1', allow: true }] });
      for (const match of [{ user: 'm1' }, user ? { user } : { socket_id: client.socketId }]) {
        await host.do('reauthorize', match);
        assert.deepEqual([(await host.event('reauthorized')).kept], [1], JSON.stringify(match));
      }
      await host.do('reauthorize', { anonymous: true }); // it has a user
      assert.equal((await host.event('reauthorized')).kept, 0);
      await host.do('answers', { rows: [] });
      await host.do('reauthorize', { user: 'm1' });
      const denied = await host.event('denied');
      assert.deepEqual([denied.reason, denied.user], ['REVOKED', 'm1']);
      assert.equal((await host.event('reauthorized')).revoked, 1);
      await client.event('pusher:subscription_error', room);
      await host.do('answers', { rows: [{ user: 'm1', allow: true }] });
      await host.do('reauthorize', { user: 'm1' });
      const back = await client.event('pusher_internal:subscription_succeeded', room);
      assert.deepEqual(JSON.parse(back.data).presence.hash, { m1: { n: 1 } });
      await host.event('reauthorized');
      await client.close();
    }
  });
}

test('F9: a member of a foreign signature loses the channel by its id, with or without a rule', async (t) => {
  const host = await start(t, { rules: TICKETS });
  const client = await connect(host);
  for (const room of ['presence-tickets.1', 'presence-free']) {
    await client.subscribe(room, { user_id: 'm1' });
    await host.do('unsubscribe', { user: 'm2', channel: room });
    assert.deepEqual(await client.settle(), []);
    await host.do('unsubscribe', { user: 'm1', channel: room });
    await client.event('pusher:subscription_error', room);
  }
});

test('F9: nothing that is published after unsubscribe has returned arrives', async (t) => {
  const host = await start(t, { mode: RULES, rules: TICKETS, options: { worker_count: 4 } });
  const channel = 'private-tickets.1';
  for (let round = 0; round < 20; round++) {
    const leaver = await granted(host, 'ann', channel);
    const stayer = await granted(host, 'bob', channel);
    // without waiting between the two, so that the host makes the second call right after the first
    await Promise.all([host.do('unsubscribe', { user: 'ann', channel }), host.do('publish_to', { channel, event: 'late', data: '1' })]);
    await stayer.event('late', channel);
    const frames = await leaver.settle();
    assert.deepEqual(frames.map((frame) => frame.event), ['pusher:subscription_error']);
    leaver.ask(channel); // it may come again
    await leaver.event('pusher_internal:subscription_succeeded', channel);
    for (const client of [leaver, stayer]) await client.close();
  }
});

test('F9: with several apps, stock clients name theirs to the built-in endpoints by app_key', async (t) => {
  const { default: Echo } = await import('laravel-echo');
  const two = { ...APP, id: 'two', key: 'key-two', secret: 'secret-two' };
  const host = await start(t, { rules: TICKETS, apps: [APP, two] });
  const url = `http://127.0.0.1:${host.port}/broadcasting`;
  for (const app of [APP, two]) {
    const params = { app_key: app.key };
    const client = pusher(t, host, {
      app, channelAuthorization: { endpoint: `${url}/auth?user=7`, params }, userAuthentication: { endpoint: `${url}/user-auth`, params, headers: { Authorization: 'Bearer user-7' } },
    });
    await connected(client);
    await subscribe(client, 'private-tickets.1');
    client.signin();
    await until(() => client.user.user_data, 'a sign-in');
    const echo = new Echo({ ...clientOptions(host), broadcaster: 'pusher', cluster: 'mt1', key: app.key, Pusher: PusherClient, authEndpoint: `${url}/auth`, auth: { params } });
    t.after(() => echo.disconnect());
    await new Promise((resolve, reject) => { echo.private('tickets.2').subscribed(resolve).error(reject); });
  }
});

test('F9: reauthorize_wait returns with the result, or in time without it', async (t) => {
  const host = await start(t, { mode: RULES, rules: TICKETS });
  const one = await granted(host, 'ann', 'private-tickets.1');
  const two = await granted(host, 'bob', 'private-tickets.1');
  await host.do('answers', { rows: [{ user: 'bob', allow: true }] });
  const { kept, revoked } = await host.do('reauthorize', { wait_ms: 0xffffffff });
  assert.deepEqual([kept, revoked], [1, 1]);
  assert.deepEqual((await one.settle()).map((f) => f.event), ['pusher:subscription_error']);
  await host.do('answers', { rows: [{ later: true }] });
  assert.equal((await host.try('reauthorize', { user: 'bob', wait_ms: 20 })).rc, 'ETIMEDOUT');
  await host.do('publish_to', { channel: 'private-tickets.1', event: 'late', data: '1' });
  const asked = await host.event('authorize');
  await host.do('authorize', { request: asked.request, allow: false });
  assert.deepEqual((await two.settle()).map((f) => f.event), ['pusher:subscription_error']); // the change has gone on
  assert.equal((await host.try('reauthorize', { app: 'none', wait_ms: 20 })).rc, 'ENOENT');
});

test('F9: rules come and go while the server runs; each question goes to the rule of now', async (t) => {
  const host = await start(t, { mode: RULES, answers: [{ user: 'ann', allow: true }], hooks: ['on_denied'] });
  const client = await connect(host, as('ann'));
  const asks = async (channel) => {
    client.ask(channel);
    const { event } = await client.next((f) => /subscription_(succeeded|error)$/.test(f.event));
    return event === 'pusher_internal:subscription_succeeded' ? 'yes' : (await host.event('denied')).reason;
  };
  const leave = (channel) => client.unsubscribe(channel);
  assert.equal(await asks('private-tickets.1'), 'NO_RULE');
  await host.do('add_rule', { pattern: 'tickets.{id}', kinds: 15, tell: true, cache_ms: 60000 });
  assert.equal((await host.try('add_rule', { pattern: 'tickets.{uuid}' })).rc, 'EEXIST');
  assert.equal(await asks('private-tickets.1'), 'yes');
  assert.equal(await asks('tickets.1'), 'yes');
  await leave('private-tickets.1');
  // a more specific one takes over at once, whatever the one before has answered
  await host.do('answers', { rows: [] });
  assert.equal(await asks('private-tickets.1'), 'yes'); // its answer is kept
  await leave('private-tickets.1');
  await host.do('add_rule', { pattern: 'tickets.1', of_app: APP.id, kinds: 2 });
  assert.equal(await asks('private-tickets.1'), 'BY_RULE');
  assert.equal((await host.do('explain', { channel: 'private-tickets.1' })).explained.rule, 'tickets.1');
  await host.do('remove_rule', { pattern: 'tickets.1', of_app: APP.id });
  assert.equal((await host.try('remove_rule', { pattern: 'tickets.1', of_app: APP.id })).rc, 'ENOENT');
  assert.equal((await host.do('explain', { channel: 'private-tickets.1' })).explained.rule, 'tickets.{id}');
  await host.do('answers', { rows: [{ user: 'ann', allow: true }] });
  assert.equal(await asks('private-tickets.1'), 'yes');
  // replaced without a gap; what the host attached to the one before is free
  await host.do('add_rule', { pattern: 'tickets.{number}', kinds: 15, replaces: true, tell: true });
  await host.event('rule_freed');
  await host.do('reauthorize', {});
  assert.deepEqual([(await host.event('reauthorized')).kept], [2]);
  // removed: standing grants stay until they are asked for again
  await host.do('remove_rule', { pattern: 'tickets.{number}' });
  await host.event('rule_freed');
  await host.do('publish_to', { channel: 'private-tickets.1', event: 'still', data: '1' });
  await client.event('still', 'private-tickets.1');
  await host.do('reauthorize', {});
  const reasons = [await host.event('denied'), await host.event('denied')];
  assert.deepEqual(reasons.map(({ reason, detail }) => [reason, detail]), Array(2).fill(['REVOKED', 'No rule covers this channel any more']));
  assert.deepEqual([(await host.event('reauthorized')).revoked], [2]);
  await client.settle();
  assert.equal(await asks('private-tickets.1'), 'NO_RULE');
  assert.equal(await asks('tickets.1'), 'yes'); // public again
  await leave('tickets.1');
  await host.do('add_rule', { pattern: 'tickets.{id}', kinds: 15 });
  await host.do('reauthorize', {}); // nothing is left of the grants of before
  const { kept, revoked } = await host.event('reauthorized');
  assert.deepEqual([kept, revoked], [0, 0]);
  assert.equal(await asks('private-tickets.1'), 'yes');
});

test('F9: a question under way goes to the rule of now, or is refused if there is none', async (t) => {
  const host = await start(t, { mode: RULES, rules: TICKETS, answers: [{ later: true }], hooks: ['on_denied'] });
  const client = await connect(host, as('ann'));
  client.ask('private-tickets.1');
  const first = await host.event('authorize');
  await host.do('add_rule', { pattern: 'tickets.1', kinds: 15 });
  await client.settle();
  await host.do('authorize', { request: first.request, allow: true }); // of the rule of before
  const second = await host.event('authorize');
  await host.do('authorize', { request: second.request, allow: true });
  await client.event('pusher_internal:subscription_succeeded', 'private-tickets.1');
  client.ask('private-tickets.2');
  const third = await host.event('authorize');
  await host.do('remove_rule', { pattern: 'tickets.{id}' });
  assert.equal((await host.event('denied')).reason, 'NO_RULE');
  await client.event('pusher:subscription_error', 'private-tickets.2');
  assert.equal((await host.try('authorize', { request: third.request, allow: true })).rc, 'ETIMEDOUT');
});

test('F9: a rule that renders is there from the start to the end', async (t) => {
  const host = await start(t, { mode: RULES, rules: [{ pattern: 'tickets.{id}', views: true }], answers: [{ allow: true, view: 'customer' }] });
  for (const rule of [{ pattern: 'orders.{id}', views: true }, { pattern: 'tickets.1' }, { pattern: '{a}.{b}' }, { pattern: '{all...}' }, { pattern: 'tickets.{x}', replaces: true }])
    assert.equal((await host.try('add_rule', rule)).rc, 'ESTATE', JSON.stringify(rule));
  assert.equal((await host.try('remove_rule', { pattern: 'tickets.{id}' })).rc, 'ESTATE');
  await host.do('add_rule', { pattern: 'orders.{id}' });
  await host.do('remove_rule', { pattern: 'orders.{id}' });
  const client = await granted(host, 'ann', 'private-tickets.1');
  await host.do('publish_to', { channel: 'private-tickets.1', event: 'e', data: '1' });
  assert.equal((await client.event('e')).data, '{"redacted":true}');
});

test('F9: with a signature, a channel that no rule covers any more is the signature\'s again', async (t) => {
  const host = await start(t, { rules: TICKETS, answers: [] });
  const client = await connect(host, as('ann'));
  await client.subscribe('private-tickets.1');
  await host.do('reauthorize', {});
  await client.event('pusher:subscription_error', 'private-tickets.1');
  const auth = channelAuth(APP, client.socketId, 'private-tickets.1');
  client.ask('private-tickets.1', { auth });
  await client.event('pusher:subscription_error', 'private-tickets.1');
  await host.do('remove_rule', { pattern: 'tickets.{id}' });
  await client.subscribe('private-tickets.1');
  await host.do('publish_to', { channel: 'private-tickets.1', event: 'e', data: '1' });
  await host.do('publish_to', { channel: 'private-tickets.1', event: 'e', data: '2' });
  assert.deepEqual((await client.settle()).map((f) => f.data), ['1', '2']);
});

test('F9: rules that change all the time while clients subscribe and events are kept', async (t) => {
  const host = await start(t, { mode: RULES, rules: [{ pattern: 'cache.{id}', kinds: 15 }], options: { worker_count: 4 } });
  let over = false;
  const change = async () => {
    for (let n = 0; n < 150; n++) {
      await host.do('add_rule', { pattern: `cache.${n % 7}`, kinds: 15, cache_ms: n % 2 ? 1000 : 0, tell: true });
      await host.do('add_rule', { pattern: 'cache.{other}', kinds: 15, replaces: true, batch: n % 3 === 0 });
      if (n % 10 === 0) await host.do('reauthorize', { pattern: 'cache.{id}' });
      await host.do('remove_rule', { pattern: `cache.${n % 7}` });
    }
    over = true;
  };
  const subscribe = async (user, i) => {
    const client = await connect(host, as(user));
    for (let n = 0; !over; n++) {
      const channel = `private-cache-cache.${(n + i) % 9}`;
      client.ask(channel);
      await client.event('pusher_internal:subscription_succeeded', channel);
      if (n % 3 === 0) await host.do('publish_to', { channel, event: 'e', data: String(n) });
      await client.unsubscribe(channel);
    }
    assert.ok(!client.frames.some((f) => f.event === 'pusher:error'), 'no refusal');
  };
  await Promise.all([change(), ...['ann', 'bob', '', '', 'cat'].map(subscribe)]);
  const freed = async () => { for (let n = 0; n < 150; n++) await host.event('rule_freed'); };
  await freed();
});
