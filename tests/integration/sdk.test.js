'use strict';
// The server SDK from npm, unmodified, against `pusherc serve`, with pusher-js at the other end.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, connect, hmac, startServe, trigger, until } = require('./lib.js');
const { connected, listen, pusher, sdk, startAuth, subscribe } = require('./clients.js');

let serve;
let server;
before(async () => {
  serve = await startServe();
  server = sdk(serve);
});

const json = async (answer) => (await answer).json();

test('#209 is the version that is pinned', () => assert.equal(require('pusher/package.json').version, '5.3.4'));

test('#209 triggers on one channel', async (t) => {
  const channel = await subscribe(pusher(t, serve), 'orders');
  const answer = await server.trigger('orders', 'paid', { id: 42, name: 'Zoë' });
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), {});
  assert.deepEqual((await channel.inbox.event('paid')).data, { id: 42, name: 'Zoë' });
});

test('#209 triggers on 100 channels at once', async (t) => {
  const client = pusher(t, serve);
  const names = Array.from({ length: 100 }, (_, i) => `many-${i}`);
  const channels = await Promise.all(names.map((name) => subscribe(client, name)));
  await server.trigger(names, 'paid', { n: 1 });
  for (const channel of channels) assert.deepEqual((await channel.inbox.event('paid')).data, { n: 1 });
  assert.throws(() => server.trigger([...names, 'one-more'], 'paid', {}), /100/); // the SDK's own limit
});

test('#209 triggers a batch, in order', async (t) => {
  const client = pusher(t, serve);
  const [a, b] = [await subscribe(client, 'batch-a'), await subscribe(client, 'batch-b')];
  const events = Array.from({ length: 10 }, (_, n) => ({ channel: n % 2 ? 'batch-a' : 'batch-b', name: 'n', data: { n } }));
  assert.deepEqual(await json(server.triggerBatch(events)), {});
  for (let n = 0; n < 10; n++) assert.deepEqual((await (n % 2 ? a : b).inbox.event('n')).data, { n });
});

test('#209 leaves out the socket that it names', async (t) => {
  const [one, two] = [pusher(t, serve), pusher(t, serve)];
  const [a, b] = [await subscribe(one, 'others'), await subscribe(two, 'others')];
  await server.trigger('others', 'first', {}, { socket_id: one.connection.socket_id });
  await server.trigger('others', 'second', {});
  await b.inbox.event('first');
  assert.deepEqual((await a.inbox.next()).event, 'second');
});

test('#209 asks for info while it triggers', async (t) => {
  const auth = await startAuth(t);
  const clients = ['1', '1', '2'].map((user) => pusher(t, serve, { auth, user }));
  for (const client of clients) await subscribe(client, 'presence-info');
  assert.deepEqual(await json(server.trigger(['presence-info', 'nobody'], 'e', {}, { info: 'user_count,subscription_count' })),
    { channels: { 'presence-info': { user_count: 2, subscription_count: 3 }, nobody: { subscription_count: 0 } } });
  assert.deepEqual(await json(server.triggerBatch([{ channel: 'presence-info', name: 'e', data: '', info: 'user_count' }])), { batch: [{ user_count: 2 }] });
});

test('#209 lists channels, one channel, and its users', async (t) => {
  const auth = await startAuth(t);
  for (const user of ['1', '2']) await subscribe(pusher(t, serve, { auth, user }), 'presence-list');
  assert.deepEqual(await json(server.get({ path: '/channels', params: { filter_by_prefix: 'presence-l', info: 'user_count' } })), { channels: { 'presence-list': { user_count: 2 } } });
  assert.deepEqual(await json(server.get({ path: '/channels/presence-list', params: { info: 'user_count,subscription_count' } })),
    { occupied: true, user_count: 2, subscription_count: 2 });
  const { users } = await json(server.get({ path: '/channels/presence-list/users' }));
  assert.deepEqual(users.map(({ id }) => id).sort(), ['1', '2']);
  assert.deepEqual(await json(server.get({ path: '/channels/free' })), { occupied: false });
});

test('#209 is told why, with the status', async () => {
  await assert.rejects(server.get({ path: '/channels', params: { info: 'user_count' } }), (error) => error.status === 400 && error.body.length > 0);
  await assert.rejects(sdk(serve, { ...APP, secret: 'wrong' }).trigger('orders', 'e', {}), (error) => error.status === 401 && error.body.length > 0);
  await assert.rejects(sdk(serve, { ...APP, id: 'nope' }).trigger('orders', 'e', {}), (error) => error.status === 404);
  await assert.rejects(server.trigger('orders', 'e', 'x'.repeat(10241)), (error) => error.status === 413);
});

test('#209 signs subscriptions that the server accepts', async () => {
  const client = await connect(serve);
  for (const [channel, member] of [['private-signed'], ['presence-signed', { user_id: '7', user_info: { name: 'Zoë "7"' } }], ['private-encrypted-signed'], ['private-cache-signed'],
    ['private-data', { user_id: '7' }]]) {
    client.ask(channel, server.authorizeChannel(client.socketId, channel, member));
    await client.event('pusher_internal:subscription_succeeded', channel);
  }
  await client.close();
});

test('#209 signs users in, and sends to them', async (t) => {
  const auth = await startAuth(t);
  const client = pusher(t, serve, { auth, user: '7' });
  await connected(client);
  client.signin();
  const inbox = listen(client.user);
  await client.user.signinDonePromise;
  const name = '#server-to-user-7'; // which the SDK itself does not let one ask for
  await until(async () => (await trigger(serve, name, 'probe', '', { info: 'subscription_count' })).channels[name].subscription_count === 1);
  await server.sendToUser('7', 'greet', { hi: 1 });
  assert.deepEqual((await inbox.event('greet')).data, { hi: 1 });
});

test('#209 terminates the connections of a user', async () => {
  const clients = [];
  for (const id of ['gone', 'gone', 'stays']) {
    clients.push(await connect(serve));
    await clients.at(-1).signin({ id });
  }
  assert.deepEqual(await json(server.terminateUserConnections('gone')), {});
  for (const client of clients.slice(0, 2)) assert.equal((await client.closed()).code, 4009);
  await clients[2].settle();
  await clients[2].close();
  assert.deepEqual(await json(server.terminateUserConnections('nobody')), {});
});

test('#209 checks webhooks', () => {
  const body = JSON.stringify({ time_ms: Date.now(), events: [{ name: 'channel_occupied', channel: 'orders' }] });
  const webhook = (secret) => server.webhook({ headers: { 'x-pusher-key': APP.key, 'x-pusher-signature': hmac(secret, body), 'content-type': 'application/json' }, rawBody: body });
  assert.equal(webhook(APP.secret).isValid(), true);
  assert.deepEqual(webhook(APP.secret).getEvents(), JSON.parse(body).events);
  assert.equal(webhook('other').isValid(), false);
});

test('#209 publishes end-to-end encrypted', async (t) => {
  const auth = await startAuth(t);
  const channel = await subscribe(pusher(t, serve, { auth }), 'private-encrypted-sdk');
  await server.trigger('private-encrypted-sdk', 'secret', { pin: 1234 });
  await server.triggerBatch([{ channel: 'private-encrypted-sdk', name: 'secret', data: { pin: 5678 } }]);
  assert.deepEqual((await channel.inbox.event('secret')).data, { pin: 1234 });
  assert.deepEqual((await channel.inbox.event('secret')).data, { pin: 5678 });
});

test('#209 exchanges client events through the ready-made server', async (t) => {
  const auth = await startAuth(t);
  const [one, two] = ['1', '2'].map((user) => pusher(t, serve, { auth, user }));
  const [a, b] = [await subscribe(one, 'presence-talk'), await subscribe(two, 'presence-talk')];
  a.trigger('client-typing', { on: true });
  assert.deepEqual((await b.inbox.event('client-typing')).data, { on: true });
});
