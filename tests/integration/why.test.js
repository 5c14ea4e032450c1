'use strict';
// "Nothing arrived, and nothing says why": what the log says at level debug, and what nobody else is told.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, channelAuth, connect, startServe, trigger, until, userAuth } = require('./lib.js');

const SHOP = { id: 'shop', key: 'shop-key', secret: 'shop-secret' };

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
  await refused(channelAuth(APP, one.socketId, 'orders'), 'it was made for the name "orders"');
  await refused(channelAuth({ ...APP, secret: SHOP.secret }, one.socketId, 'private-orders'), 'it was made with the secret of app "shop"');
  await refused(channelAuth({ ...APP, secret: `${APP.secret}\n` }, one.socketId, 'private-orders'), 'it was made with the secret and a line feed behind it');
  await one.close();
  await two.close();
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
