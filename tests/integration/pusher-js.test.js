'use strict';
// pusher-js, unmodified, against a linked server.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, channelAuth, sleep, startHost, until, userAuth } = require('./lib.js');
const { connected, listen, pusher, sdk, startAuth, subscribe } = require('./clients.js');

const QUIET = { id: 'quiet', key: 'quiet-key', secret: 'quiet-secret' };
const QUICK = { id: 'quick', key: 'quick-key', secret: 'quick-secret', activity_timeout_ms: 1000 };
const SMALL = { id: 'small', key: 'small-key', secret: 'small-secret', max_connections: 1 };

let host;
before(async () => { host = await startHost({ apps: [APP, QUIET, QUICK, SMALL], options: { worker_count: 2, pong_timeout_ms: 3000 } }); });

test('is the version that is pinned', () => assert.equal(require('pusher-js/package.json').version, '8.6.0'));

test('connects, and knows its socket id', async (t) => {
  const client = pusher(t, host);
  await connected(client);
  assert.match(client.connection.socket_id, /^\d+\.\d+$/);
  assert.deepEqual(client.errors.all, []);
});

test('receives events on a public channel, with parsed data', async (t) => {
  const client = pusher(t, host);
  const channel = await subscribe(client, 'orders');
  for (const [data, seen] of [['{"id":42}', { id: 42 }], ['plain', 'plain'], ['[1,2]', [1, 2]], ['"text"', 'text'], ['17', 17]]) {
    await host.publish('orders', 'order.paid', data);
    assert.deepEqual((await channel.inbox.event('order.paid')).data, seen);
  }
});

test('subscribes to a private channel through an auth endpoint', async (t) => {
  const auth = await startAuth(t);
  const client = pusher(t, host, { auth });
  const channel = await subscribe(client, 'private-orders');
  await host.publish('private-orders', 'paid', '{}');
  assert.deepEqual((await channel.inbox.event('paid')).data, {});
  assert.deepEqual(auth.asked, ['private-orders']);
});

test('subscribes with an authorizer of its own', async (t) => {
  const customHandler = ({ socketId, channelName }, done) => done(null, { auth: channelAuth(APP, socketId, channelName) });
  const client = pusher(t, host, { channelAuthorization: { customHandler } });
  await subscribe(client, 'private-custom');
});

test('emits subscription_error when the endpoint or the server refuses', async (t) => {
  const auth = await startAuth(t);
  const client = pusher(t, host, { auth });
  const forbidden = listen(client.subscribe('private-forbidden'));
  assert.equal((await forbidden.event('pusher:subscription_error')).data.status, 403);
  const forged = listen(client.subscribe('private-forged'));
  const { data } = await forged.event('pusher:subscription_error');
  assert.equal(data.type, 'AuthError');
  assert.equal(data.status, 401);
  assert.equal((await client.errors.next()).data.code, null);
  const invalid = listen(client.subscribe('in valid'));
  assert.equal((await invalid.event('pusher:subscription_error')).data.status, 400);
  assert.equal(client.connection.state, 'connected');
});

test('sees who is present, who comes and who goes', async (t) => {
  const auth = await startAuth(t);
  const [one, two, again] = ['1', '2', '2'].map((user) => pusher(t, host, { auth, user }));
  const room = await subscribe(one, 'presence-room');
  assert.equal(room.members.count, 1);
  assert.deepEqual(room.members.me, { id: '1', info: { name: 'user 1' } });
  const other = await subscribe(two, 'presence-room');
  assert.equal(other.members.count, 2);
  assert.deepEqual(other.members.get('1').info, { name: 'user 1' });
  assert.deepEqual((await room.inbox.event('pusher:member_added')).data, { id: '2', info: { name: 'user 2' } });
  const third = await subscribe(again, 'presence-room');
  assert.equal(third.members.count, 2);
  two.unsubscribe('presence-room');
  await host.publish('presence-room', 'still', '{}');
  await room.inbox.event('still');
  assert.equal(room.members.count, 2);
  again.disconnect();
  assert.deepEqual((await room.inbox.event('pusher:member_removed')).data, { id: '2', info: { name: 'user 2' } });
  assert.equal(room.members.count, 1);
});

test('exchanges client events', async (t) => {
  const auth = await startAuth(t);
  const [one, two] = ['1', '2'].map((user) => pusher(t, host, { auth, user }));
  const [a, b] = [await subscribe(one, 'presence-talk'), await subscribe(two, 'presence-talk')];
  assert.ok(a.trigger('client-typing', { on: true }));
  const got = await b.inbox.event('client-typing');
  assert.deepEqual(got.data, { on: true });
  assert.ok(b.trigger('client-done', 'text'));
  assert.equal((await a.inbox.event('client-done')).data, 'text');
  assert.ok(!a.inbox.all.some((e) => e.event === 'client-typing'), 'no echo');
  const metadata = new Promise((resolve) => { b.bind('client-meta', (_, meta) => resolve(meta)); });
  a.trigger('client-meta', {});
  assert.equal((await metadata).user_id, '1');
});

test('emits an error when client events are off', async (t) => {
  const auth = await startAuth(t, QUIET);
  const client = pusher(t, host, { app: QUIET, auth });
  (await subscribe(client, 'private-quiet')).trigger('client-typing', {});
  assert.equal((await client.errors.next()).data.code, 4301);
  assert.equal(client.connection.state, 'connected');
});

test('signs in, and receives what is sent to the user', async (t) => {
  const auth = await startAuth(t);
  const [one, two, other] = ['7', '7', '8'].map((user) => pusher(t, host, { auth, user }));
  const inboxes = [one, two, other].map((client) => {
    client.signin();
    return listen(client.user);
  });
  await Promise.all([one, two, other].map((client) => client.user.signinDonePromise));
  assert.equal(one.user.user_data.id, '7');
  for (const [user, count] of [['7', 2], ['8', 1]]) await until(async () => (await host.do('channel', { channel: `#server-to-user-${user}` })).subscriptions === count);
  await sdk(host).sendToUser('7', 'greet', { hi: 1 });
  for (const inbox of inboxes.slice(0, 2)) assert.deepEqual((await inbox.event('greet')).data, { hi: 1 });
  await host.do('send_to_user', { user: '8', name: 'greet', data: '{"hi":2}' });
  assert.deepEqual((await inboxes[2].event('greet')).data, { hi: 2 });
});

test('joins a presence channel with the identity it signed in with', async (t) => {
  const auth = await startAuth(t);
  const customHandler = ({ socketId, channelName }, done) => done(null, { auth: channelAuth(APP, socketId, channelName) });
  const client = pusher(t, host, { auth, user: '7', channelAuthorization: { customHandler } });
  client.signin();
  const channel = await subscribe(client, 'presence-signed');
  assert.deepEqual(channel.members.me, { id: '7', info: { name: 'user 7' } });
});

test('emits signin_error, and stays connected, when sign-in is refused', async (t) => {
  const customHandler = ({ socketId }, done) => done(null, { auth: userAuth({ ...APP, secret: 'wrong' }, socketId, '{"id":"7"}'), user_data: '{"id":"7"}' });
  const client = pusher(t, host, { userAuthentication: { customHandler } });
  await connected(client);
  client.signin();
  assert.equal((await client.errors.next()).data.code, null);
  assert.equal(client.connection.state, 'connected');
});

test('reads end-to-end encrypted events', async (t) => {
  const auth = await startAuth(t);
  const client = pusher(t, host, { auth });
  const channel = await subscribe(client, 'private-encrypted-vault');
  await sdk(host).trigger('private-encrypted-vault', 'secret', { pin: 1234 });
  assert.deepEqual((await channel.inbox.event('secret')).data, { pin: 1234 });
});

test('subscribes again after a quick unsubscribe, as React mounts twice', async (t) => {
  const client = pusher(t, host);
  await connected(client);
  for (let i = 0; i < 10; i++) {
    client.subscribe('mounted');
    client.unsubscribe('mounted');
  }
  const channel = client.subscribe('mounted');
  const inbox = listen(channel);
  await until(() => channel.subscribed);
  await until(async () => (await host.do('channel', { channel: 'mounted' })).subscriptions === 1);
  await host.publish('mounted', 'event', '1');
  assert.equal((await inbox.event('event')).data, 1);
});

test('gives up when its key is unknown (4001)', async (t) => {
  const client = pusher(t, host, { app: { key: 'nope' } });
  assert.equal((await client.errors.next()).error.data.code, 4001);
  await until(() => client.connection.state === 'disconnected');
  await sleep(1500);
  assert.deepEqual(client.states.all, ['disconnected']); // not once "connecting" again
});

test('gives up when it is over the quota (4004)', async (t) => {
  const first = pusher(t, host, { app: SMALL });
  await connected(first);
  const second = pusher(t, host, { app: SMALL });
  assert.equal((await second.errors.next()).error.data.code, 4004);
  await until(() => second.connection.state === 'disconnected');
});

/** Closes the client's connection with this code; resolves when it is connected again, to the time it took. */
async function closeAndWait(client, code) {
  const before = client.connection.socket_id;
  const start = Date.now();
  await host.do('disconnect', { socket_id: before, code, reason: 'test' });
  await until(() => client.connection.state === 'connected' && client.connection.socket_id !== before);
  return Date.now() - start;
}

test('comes back after a second (4100) or at once (4200), with its channels', async (t) => {
  const auth = await startAuth(t);
  const client = pusher(t, host, { auth, user: '7' });
  const channels = [await subscribe(client, 'public-again'), await subscribe(client, 'private-again'), await subscribe(client, 'presence-again')];
  const slow = await closeAndWait(client, 4100);
  assert.ok(slow >= 900, `${slow} ms`);
  const quick = []; // one of several, as a busy machine may take a second for anything
  do quick.push(await closeAndWait(client, 4200)); while (quick.at(-1) >= 900 && quick.length < 20);
  assert.ok(quick.at(-1) < 900, `${quick} ms`);
  for (const channel of channels) {
    await until(() => channel.subscribed);
    await host.publish(channel.name, 'after', '1');
    await channel.inbox.event('after');
  }
});

test('stays away after 4009', async (t) => {
  const client = pusher(t, host);
  await connected(client);
  await host.do('disconnect', { socket_id: client.connection.socket_id, code: 4009, reason: 'You got disconnected by the app.' });
  await until(() => client.connection.state === 'disconnected');
  await sleep(1500);
  assert.equal(client.connection.state, 'disconnected');
});

test('stays connected through silence, whoever asks first', async (t) => {
  const [short, usual] = [pusher(t, host, { app: QUICK }), pusher(t, host, { activityTimeout: 1000, pongTimeout: 3000 })];
  await Promise.all([connected(short), connected(usual)]);
  await sleep(5500);
  for (const client of [short, usual]) assert.deepEqual([...client.states.all], ['connected']);
});

test('tries again while a server stops', async (t) => {
  const old = await startHost({}, t);
  const client = pusher(t, old);
  await connected(client);
  await old.do('stop', { grace_ms: 100 });
  await old.event('stopped');
  await until(() => client.connection.state === 'connecting');
});
