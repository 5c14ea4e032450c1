'use strict';
// B.15, check 213: two apps on one server, with the same secret, the same names of channels and the same users.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { api, channelAuth, connect, request, signedQuery, startHost, trigger, userAuth } = require('../integration/lib.js');
const { MASTER_KEY } = require('../integration/clients.js');

const NO_DELAY = 0xffffffff;
const LIKE = { secret: 'one-secret', client_events: true, watchlist_events: true, offline_delay_ms: NO_DELAY, encryption_master_key: MASTER_KEY };
const ONE = { ...LIKE, id: 'one', key: 'one-key' };
const TWO = { ...LIKE, id: 'two', key: 'two-key' };
const KINDS = ['shared', 'private-shared', 'private-encrypted-shared', 'presence-shared', 'cache-shared', '#server-to-user-7'];

let host;
before(async () => { host = await startHost({ apps: [ONE, TWO], hooks: ['identify'], rules: [{ pattern: 'asked.{x}', kinds: 15 }], options: { worker_count: 2 } }); });

/** User 7 of an app on every kind of channel, on whichever worker; `prefix` keeps tests apart. */
async function member(t, app, { user = '7', prefix = '', channels = KINDS } = {}) {
  const client = await connect(host, { app });
  t.after(() => client.close());
  await client.signin({ id: user });
  for (const channel of channels) await client.subscribe(named(channel, prefix), channel.startsWith('presence-') ? { user_id: user } : undefined);
  await client.settle();
  return client;
}

const named = (channel, prefix) => (channel.startsWith('#') ? channel : channel.replace('shared', `${prefix}shared`));
const events = async (client) => (await client.settle()).map(({ event, channel, data }) => ({ event, channel, data }));

/** Several of each app, so that both workers have both. */
async function twins(t, options) {
  const [ones, twos] = [[], []];
  for (let i = 0; i < 3; i++) {
    ones.push(await member(t, ONE, options));
    twos.push(await member(t, TWO, options));
  }
  for (const client of [...ones, ...twos]) await client.settle();
  return [ones, twos];
}

test('#213 events: over HTTP, from the host, from clients, in batches', async (t) => {
  const [ones, twos] = await twins(t, { prefix: 'events.' });
  const nothing = async () => { for (const client of twos) assert.deepEqual(await events(client), []); };
  for (const kind of KINDS) {
    const channel = named(kind, 'events.');
    const only = async (event) => {
      for (const client of ones) assert.deepEqual((await events(client)).map((e) => [e.event, e.channel]), [[event, channel]]);
      await nothing();
    };
    await trigger(host, channel, 'http', '{}', { app: ONE });
    await only('http');
    await host.publish(channel, 'host', '{}', { app: ONE.id });
    await only('host');
    assert.equal((await api(host, 'POST', '/batch_events', { app: ONE, body: { batch: [{ channel, name: 'batch', data: '{}' }] } })).status, 200);
    await only('batch');
  }
  await host.do('send_to_user', { app: ONE.id, user: '7', name: 'user', data: '{}' });
  for (const client of ones) assert.equal((await events(client)).length, 1);
  await nothing();
  for (const channel of ['private-events.shared', 'presence-events.shared']) {
    ones[0].send({ event: 'client-x', channel, data: 'x' });
    await ones[0].settle();
    for (const client of ones.slice(1)) assert.equal((await events(client)).length, 1);
    await nothing();
  }
});

test('#213 the socket id of one app means nothing to the other', async (t) => {
  const [ones, twos] = await twins(t, { prefix: 'sockets.' });
  // excepted from an event of the other app: its own gets everything
  await trigger(host, 'sockets.shared', 'e', '{}', { app: TWO, socket_id: ones[0].socketId });
  for (const client of twos) assert.equal((await events(client)).length, 1);
  // ended, or thrown out of a channel, in the name of the other app: nothing happens
  await host.do('disconnect', { app: TWO.id, socket_id: ones[0].socketId, code: 4009 });
  await host.do('unsubscribe', { app: TWO.id, socket_id: ones[0].socketId, channel: 'private-sockets.shared' });
  assert.deepEqual(await events(ones[0]), []);
  await trigger(host, 'private-sockets.shared', 'still', '{}', { app: ONE });
  assert.equal((await events(ones[0])).length, 1);
  // nor does an auth endpoint's answer for the other app let it in: not by its signature, not by what is remembered
  await host.do('answers', { rows: [{ allow: true }] });
  const body = new URLSearchParams({ socket_id: ones[0].socketId, channel_name: 'private-asked.1', app_key: TWO.key }).toString();
  const answer = await request(host, 'POST', '/broadcasting/auth?user=7', { body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': body.length } });
  assert.equal(answer.json.auth, channelAuth(TWO, ones[0].socketId, 'private-asked.1'));
  ones[0].ask('private-asked.1', answer.json);
  assert.match((await ones[0].event('pusher:subscription_error', 'private-asked.1')).data, /AuthError/);
});

test('#213 presence: rosters, comings and goings', async (t) => {
  const [ones, twos] = await twins(t, { prefix: 'roster.' });
  const other = await connect(host, { app: ONE });
  const { presence } = JSON.parse((await other.subscribe('presence-roster.shared', { user_id: '8' })).data);
  assert.deepEqual(presence.ids, ['7', '8']);
  await other.close();
  for (const client of ones) {
    await client.event('pusher_internal:member_added');
    await client.event('pusher_internal:member_removed');
  }
  for (const client of twos) assert.deepEqual(await events(client), []);
  for (const client of ones) await client.unsubscribe('presence-roster.shared'); // 7 has gone there, not here
  for (const client of twos) assert.deepEqual(await events(client), []);
  assert.deepEqual((await api(host, 'GET', '/channels/presence-roster.shared/users', { app: TWO })).json, { users: [{ id: '7' }] });
  assert.deepEqual((await api(host, 'GET', '/channels/presence-roster.shared/users', { app: ONE })).json, { users: [] });
});

test('#213 reads: channels, one channel, users, connections, the host\'s queries', async (t) => {
  await member(t, ONE, { prefix: 'reads.' });
  const channels = async (app) => Object.keys((await api(host, 'GET', '/channels', { app, query: { filter_by_prefix: 'private-reads.' } })).json.channels);
  assert.deepEqual(await channels(ONE), ['private-reads.shared']);
  assert.deepEqual(await channels(TWO), []);
  for (const kind of KINDS.filter((name) => !name.startsWith('#'))) {
    const channel = named(kind, 'reads.');
    const counts = async (app) => (await api(host, 'GET', `/channels/${channel}`, { app, query: { info: 'subscription_count' } })).json;
    assert.deepEqual(await counts(ONE), { occupied: true, subscription_count: 1 });
    assert.equal((await counts(TWO)).occupied, false);
    assert.equal((await host.do('channel', { app: TWO.id, channel })).subscriptions, 0);
  }
  assert.deepEqual((await api(host, 'GET', '/channels/presence-reads.shared/users', { app: TWO })).json, { users: [] });
  const connections = async (app) => (await api(host, 'GET', '/connections', { app })).json.connections;
  const earlier = [await connections(ONE), await connections(TWO)];
  await member(t, TWO, { channels: [] });
  assert.deepEqual([await connections(ONE), await connections(TWO)], [earlier[0], earlier[1] + 1]);
});

test('#213 caches: neither replayed nor shown to the other', async (t) => {
  await trigger(host, 'cache-kept.shared', 'kept', '"of one"', { app: ONE });
  const [mine, theirs] = [await connect(host, { app: ONE }), await connect(host, { app: TWO })];
  for (const client of [mine, theirs]) t.after(() => client.close());
  await mine.subscribe('cache-kept.shared');
  await theirs.subscribe('cache-kept.shared');
  assert.deepEqual((await events(mine)).map((e) => [e.event, e.data]), [['kept', '"of one"']]);
  assert.deepEqual((await events(theirs)).map((e) => e.event), ['pusher:cache_miss']);
  const cache = async (app) => (await api(host, 'GET', '/channels/cache-kept.shared', { app, query: { info: 'cache' } })).json.cache;
  assert.equal((await cache(ONE)).data, '"of one"');
  assert.equal(await cache(TWO), null);
});

test('#213 users: watched, terminated', async (t) => {
  const watchlist = { id: 'watcher', watchlist: ['watched'] };
  const watchers = [];
  for (const app of [ONE, TWO]) {
    const client = await connect(host, { app });
    t.after(() => client.close());
    await client.signin(watchlist);
    assert.deepEqual(JSON.parse((await client.event('pusher_internal:watchlist_events')).data).events, [{ name: 'offline', user_ids: ['watched'] }]);
    watchers.push(client);
  }
  const [mine, theirs] = [await connect(host, { app: ONE }), await connect(host, { app: TWO })];
  t.after(() => theirs.close());
  const heard = async (client, name) => {
    const { data } = await client.event('pusher_internal:watchlist_events');
    assert.deepEqual(JSON.parse(data).events, [{ name, user_ids: ['watched'] }]);
  };
  await mine.signin({ id: 'watched' });
  await heard(watchers[0], 'online');
  assert.deepEqual(await events(watchers[1]), []);
  await theirs.signin({ id: 'watched' });
  await heard(watchers[1], 'online');
  assert.equal((await api(host, 'POST', '/users/watched/terminate_connections', { app: ONE, body: {} })).status, 200);
  assert.equal((await mine.closed()).code, 4009);
  await heard(watchers[0], 'offline');
  assert.deepEqual([await events(theirs), await events(watchers[1])], [[], []]);
  await host.do('disconnect_user', { app: ONE.id, user: 'watched' }); // the other call for it
  assert.deepEqual(await events(theirs), []);
});

test('#213 rules: asked again, and taken away, in one app only', async (t) => {
  await host.do('answers', { rows: [{ allow: true }] });
  const clients = [];
  for (const app of [ONE, TWO]) {
    const client = await connect(host, { app, query: 'protocol=7&user=7' });
    t.after(() => client.close());
    client.ask('asked.1');
    await client.event('pusher_internal:subscription_succeeded', 'asked.1');
    clients.push(client);
  }
  await host.do('answers', { rows: [{ allow: false }] });
  await host.do('reauthorize', { app: ONE.id });
  assert.deepEqual([(await host.event('reauthorized')).kept, (await clients[0].event('pusher:subscription_error')).channel], [0, 'asked.1']);
  await host.do('unsubscribe', { app: ONE.id, user: '7', channel: 'asked.1' });
  assert.deepEqual(await events(clients[1]), []);
  await trigger(host, 'asked.1', 'e', '{}', { app: TWO });
  assert.equal((await events(clients[1])).length, 1);
});

test('#213 signatures and keys of one app do nothing at the other', async (t) => {
  const client = await connect(host, { app: TWO });
  t.after(() => client.close());
  const refused = async (auth) => {
    client.ask('private-keys.shared', { auth });
    assert.deepEqual((await client.settle()).map(({ event }) => event), ['pusher:error', 'pusher:subscription_error']);
  };
  await refused(channelAuth(ONE, client.socketId, 'private-keys.shared')); // the secret is even the same
  const userData = '{"id":"7"}';
  client.send({ event: 'pusher:signin', data: { auth: userAuth(ONE, client.socketId, userData), user_data: userData } });
  assert.deepEqual((await client.settle()).map(({ event, data }) => [event, data.code]), [['pusher:error', null]]);
  const body = JSON.stringify({ name: 'e', data: '{}', channel: 'shared' });
  const query = signedQuery(ONE, 'POST', '/apps/two/events', { body });
  const answer = await request(host, 'POST', `/apps/two/events?${query}`, { body, headers: { 'Content-Type': 'application/json', 'Content-Length': body.length } });
  assert.equal(answer.status, 401);
});

test('#213 keys of repeated publishes', async (t) => {
  const [one, two] = [await member(t, ONE, { channels: [], user: 'k' }), await member(t, TWO, { channels: [], user: 'k' })];
  for (const client of [one, two]) await client.subscribe('keys.shared');
  for (const app of [ONE, TWO]) await trigger(host, 'keys.shared', 'e', '{}', { app, idempotency_key: 'the-same' });
  for (const client of [one, two]) assert.equal((await events(client)).length, 1);
});

test('#213 limits: what one app uses up the other still has', async (t) => {
  const tight = { ...LIKE, max_connections: 2, max_presence_members: 1, max_backend_events_per_s: 2, max_read_requests_per_s: 2 };
  const [first, second] = [{ ...tight, id: 'first', key: 'first-key' }, { ...tight, id: 'second', key: 'second-key' }];
  const small = await startHost({ apps: [first, second] }, t);
  const clients = [];
  for (const app of [first, first, second, second]) {
    const client = await connect(small, { app });
    t.after(() => client.close());
    clients.push(client);
  }
  for (const [i, user] of [[0, 'a'], [2, 'b']]) await clients[i].subscribe('presence-shared', { user_id: user });
  for (const app of [first, second]) {
    for (let i = 0; i < 2; i++) await trigger(small, 'shared', 'e', '{}', { app });
    for (let i = 0; i < 2; i++) assert.equal((await api(small, 'GET', '/channels', { app })).status, 200);
  }
});
