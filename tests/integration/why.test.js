'use strict';
// "Nothing arrived, and nothing says why": what the log says at level debug, and what nobody else is told.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { before, test } = require('node:test');
const { APP, api, channelAuth, connect, refused, request, sleep, startServe, tcp, trigger, until, userAuth } = require('./lib.js');

const SHOP = { id: 'shop', key: 'shop-key', secret: 'shop-secret' };

const APP_SETTINGS = { id: APP.id, key: APP.key, secret: APP.secret };

/** The path of a config file with that content. */
function config(t, content) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.writeFileSync(path.join(folder, 'pusherc.json'), JSON.stringify(content));
  return path.join(folder, 'pusherc.json');
}

let serve;
before(async () => { serve = await startServe(['--log-level', 'debug', '--app', 'shop:shop-key:shop-secret']); });

/** Waits for a line that has all of these. */
const logged = (...parts) => until(() => serve.stderr.split('\n').find((line) => parts.every((part) => line.includes(part))), parts.join(' & '));

test('the log line of an event without subscribers names occupied channels with a similar name', async () => {
  const client = await connect(serve);
  await client.subscribe('private-orders.42');
  await client.subscribe('presence-room', { user_id: '7' });
  await trigger(serve, ['orders.42', 'presence.room'], 'order.paid', '{}');
  await logged(' fanout app=app-id: ', 'event "order.paid" on "orders.42" has no subscriber; subscribers are on "private-orders.42"');
  await logged('event "order.paid" on "presence.room" has no subscriber; subscribers are on "presence-room"');
  await trigger(serve, 'orders.42', 'order.paid', '{}', { app: SHOP });
  await logged(' fanout app=shop: ', 'event "order.paid" on "orders.42" has no subscriber');
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('a subscription with a wrong signature is told its cause in the log only', async () => {
  const [one, two] = [await connect(serve), await connect(serve)];
  const refused = async (auth, cause) => {
    one.ask('private-orders', { auth });
    const { data } = await one.event('pusher:subscription_error', 'private-orders');
    assert.equal(JSON.parse(data).error, 'Invalid signature: private-orders');
    const line = await logged(' auth app=app-id socket=', `wrong signature: "${one.socketId}:private-orders" had to be signed; ${cause}`);
    assert.ok(!line.includes(APP.secret) && !line.includes(channelAuth(APP, one.socketId, 'private-orders').slice(APP.key.length + 1)), line);
  };
  await refused(channelAuth(APP, two.socketId, 'private-orders'), `it was made for another connection, "${two.socketId}"`);
  const before = await connect(serve);
  await before.close();
  await refused(channelAuth(APP, before.socketId, 'private-orders'), `it was made for a connection that has ended, "${before.socketId}"`);
  await sleep(1100);
  await refused(channelAuth(APP, '1.2', 'private-orders'), 'none of the usual mistakes: another secret, or the socket_id of a connection that is not known here');
  await refused(channelAuth(APP, one.socketId, 'orders'), 'it was made for the name "orders"');
  await refused(channelAuth({ ...APP, secret: SHOP.secret }, one.socketId, 'private-orders'), 'it was made with the secret of app "shop"');
  await refused(channelAuth({ ...APP, secret: `${APP.secret}\n` }, one.socketId, 'private-orders'), 'it was made with the secret and a line feed behind it');
  await one.close();
  await two.close();
});

test('a subscription that lacks what was signed is told so', async () => {
  await sleep(1100); // five causes are looked for in a second
  const client = await connect(serve);
  const refusal = async (message, channel) => {
    client.send(message);
    const { data } = await client.event(channel ? 'pusher:subscription_error' : 'pusher:error', channel);
    return typeof data === 'string' ? JSON.parse(data).error : data.message;
  };
  const auth = channelAuth(APP, client.socketId, 'presence-room', '{"user_id":"7"}');
  assert.equal(await refusal({ event: 'pusher:subscribe', data: { channel: 'presence-room', auth } }, 'presence-room'),
    'Invalid signature, and channel_data is missing, which is signed for a presence channel: presence-room');
  await logged('wrong signature: ', 'presence-room" had to be signed; channel_data is missing: the auth endpoint answers with it beside auth, and the client has to send both');
  assert.equal(await refusal({ event: 'client-hello', data: {} }), 'Invalid message format: a client event must have "channel" beside "event" and "data", a string');
  assert.equal(await refusal({ event: 'pusher:subscribe', data: { channel: 'presence-room', auth, channel_data: {} } }),
    'Invalid message format: "channel_data" in data must be a string, the text of a JSON object');
  await client.close();
});

test('so is a sign-in, and a request of the HTTP API', async () => {
  const client = await connect(serve);
  const userData = '{"id":"7"}';
  client.send({ event: 'pusher:signin', data: { auth: userAuth({ ...APP, secret: '' }, client.socketId, userData), user_data: userData } });
  await client.event('pusher:error');
  await logged(`wrong signature: "${client.socketId}::user::{"id":"7"}" had to be signed; it was made with an empty secret`);
  const answer = await api(serve, 'GET', '/channels', { app: { ...APP, secret: SHOP.secret } });
  assert.equal(answer.status, 401);
  assert.ok(!/shop/.test(answer.text), answer.text);
  await logged(' auth app=app-id: wrong signature of GET /apps/app-id/channels: it was made with the secret of app "shop"');
  await client.close();
});

// -- before a session or an app is known: at level info, seldom --

/** A server as it starts without options, and what its log has: a function that waits for a line with all parts. */
async function ordinary(t, args = []) {
  const server = await startServe(args, t);
  return { server, says: (...parts) => until(() => server.stderr.split('\n').find((line) => parts.every((part) => line.includes(part))), `${parts.join(' & ')} in ${server.stderr}`) };
}

test('a WebSocket that is refused is logged with the path, and what the path should be', async (t) => {
  const { server, says } = await ordinary(t, ['--path-prefix', '/ws']);
  const { code, reason } = await refused(server, { target: '/ws/app/app/app-key?protocol=7' });
  assert.deepEqual([code, reason], [4005, 'Path not found: it must be /ws/app/{key}']);
  await says(' info  ws: connection to "/ws/app/app/app-key" refused, 4005 Path not found: it must be /ws/app/{key}', 'wsPath is to be set without "/app"');
  await refused(server, { target: '/ws/app/app-key?protocol=3x' });
  await says('connection to "/ws/app/app-key" refused, 4006', 'it asked for version "3x"');
  await refused(server, { target: '/ws/app/nobody?protocol=7' });
  await says('refused, 4001 App key nobody does not exist');
});

test('a refusal for its Origin has the Origin', async (t) => {
  const { server, says } = await ordinary(t, ['--config', config(t, { apps: [{ ...APP_SETTINGS, allowed_origins: ['shop.example'] }] })]);
  assert.equal((await refused(server, { headers: { Origin: 'https://evil.example' } })).code, 4009);
  await says(' ws app=app-id: connection to "/app/app-key" refused, 4009 Origin not allowed; its Origin is "https://evil.example"');
});

test('a proxy that takes "Upgrade" away is told, and so is TLS on the plain port', async (t) => {
  const { server, says } = await ordinary(t);
  const key = { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' };
  assert.equal((await request(server, 'GET', '/app/app-key?protocol=7', { headers: key })).status, 426);
  await says('GET "/app/app-key" refused, 426', 'a proxy in front does not pass "Upgrade" and "Connection" on');
  await request(server, 'GET', '/app/app-key');
  await says('GET "/app/app-key" refused, 426 This address is for WebSocket clients.');
  const client = await tcp(server);
  client.write('\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03');
  await client.ended;
  await says(' info  net: a request was refused, 400 This port speaks no TLS: use http:// or ws://');
});

test('what no app has asked for is logged with its path, once in a while', async (t) => {
  const { server, says } = await ordinary(t);
  await api(server, 'POST', '/events', { app: { ...APP, id: 'app-key' }, body: {} });
  await says(' info  api: POST /apps/app-key/events: 404', 'the path must have the app\'s id, not its key');
  for (let i = 0; i < 30; i++) await request(server, 'GET', `/nothing/${i}`);
  await says(' info  api: GET /nothing/0: 404');
  assert.ok(server.stderr.split('\n').filter((line) => line.includes('/nothing/')).length <= 3, server.stderr);
});
