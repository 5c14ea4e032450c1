'use strict';
// B.4: subscriptions.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, channelAuth, connect, hmac, startHost, trigger, until } = require('../integration/lib.js');

const OTHER = { id: 'other', key: 'other-key', secret: 'other-secret' };
const SHORT = { id: 'short', key: 'short-key', secret: 's', max_channel_name_bytes: 20 };

let host;
before(async () => { host = await startHost({ apps: [APP, OTHER, SHORT], options: { worker_count: 2 } }); });

const SUCCEEDED = 'pusher_internal:subscription_succeeded';

/** Subscribes with these fields and takes the two messages of a refusal. */
async function assertRefused(client, channel, fields, { code = null, type = 'AuthError', status = 401 } = {}) {
  client.ask(channel, fields);
  const error = await client.next();
  const refusal = await client.next();
  assert.equal(error.event, 'pusher:error', error.raw);
  assert.equal(error.data.code, code, error.raw);
  assert.equal(refusal.event, 'pusher:subscription_error', refusal.raw);
  assert.equal(refusal.channel, channel);
  assert.equal(typeof refusal.data, 'string');
  const data = JSON.parse(refusal.data);
  assert.deepEqual(Object.keys(data).sort(), ['error', 'status', 'type']);
  assert.equal(data.type, type);
  assert.equal(data.status, status);
  assert.equal(data.error, error.data.message);
  return [error, refusal];
}

test('#47 answers a public subscribe with channel and data "{}"', async () => {
  const client = await connect(host);
  client.ask('orders', { auth: '' });
  assert.deepEqual({ ...(await client.next()) }, { event: SUCCEEDED, channel: 'orders', data: '{}' });
  for (const channel of ['a', 'A-Z_0=9@,.;', '-', '...', 'private', 'presence', 'private_x'])
    assert.equal((await client.subscribe(channel)).data, '{}');
  await client.close();
});

test('#48 ignores auth and channel_data on a public channel', async () => {
  const client = await connect(host);
  const odd = [['nonsense', 'nonsense'], [`${APP.key}:00`, '{"user_id":"7"}'], [null, null]];
  for (const [i, [auth, channel_data]] of odd.entries()) {
    client.ask(`open-${i}`, { auth, channel_data });
    assert.deepEqual({ ...(await client.next()) }, { event: SUCCEEDED, channel: `open-${i}`, data: '{}' });
  }
  await client.close();
});

test('#49 accepts a correct private auth', async () => {
  const client = await connect(host);
  for (const channel of ['private-orders.42', 'private-encrypted-vault', 'private-', 'private-cache-x', 'private-encrypted-cache-x']) {
    client.ask(channel, { auth: `${APP.key}:${hmac(APP.secret, `${client.socketId}:${channel}`)}` });
    assert.deepEqual({ ...(await client.event(SUCCEEDED)) }, { event: SUCCEEDED, channel, data: '{}' });
  }
  await client.close();
});

test('#50 refuses a private subscribe with missing, empty or wrong auth, and stays', async () => {
  const client = await connect(host);
  const good = channelAuth(APP, client.socketId, 'private-x');
  for (const auth of [undefined, null, '', 'x', ':', `${APP.key}:`, APP.key, good.toUpperCase(), good.slice(0, -1), `${good}0`, ` ${good}`,
    `${APP.key}:${'0'.repeat(64)}`, good.replace(/:.*/, (hex) => hex.toUpperCase()), good.slice(APP.key.length + 1)])
    await assertRefused(client, 'private-x', { auth });
  assert.equal((await client.subscribe('private-x')).event, SUCCEEDED);
  await client.close();
});

test('#51 refuses auth whose key is not the key of the app', async () => {
  const client = await connect(host);
  const [, hex] = channelAuth(APP, client.socketId, 'private-x').split(':');
  for (const key of ['', 'app-ke', 'app-keyy', 'APP-KEY', OTHER.key])
    await assertRefused(client, 'private-x', { auth: `${key}:${hex}` });
  await assertRefused(client, 'private-x', { auth: channelAuth(OTHER, client.socketId, 'private-x') });
  await assertRefused(client, 'private-x', { auth: channelAuth({ ...APP, secret: OTHER.secret }, client.socketId, 'private-x') });
  await client.close();
});

test('#52 refuses auth made for another socket id or another channel', async () => {
  const [one, two] = await Promise.all([connect(host), connect(host)]);
  await assertRefused(one, 'private-x', { auth: channelAuth(APP, two.socketId, 'private-x') });
  await assertRefused(one, 'private-x', { auth: channelAuth(APP, one.socketId, 'private-y') });
  await assertRefused(one, 'private-x', { auth: channelAuth(APP, one.socketId, 'private-x', '{"user_id":"7"}') });
  await assertRefused(one, 'private-x', { auth: channelAuth(APP, one.socketId, 'private-x'), channel_data: '{"user_id":"7"}' });
  await one.close();
  await two.close();
});

test('#53 sends both pusher:error and pusher:subscription_error', async () => {
  const client = await connect(host);
  await assertRefused(client, 'private-x', { auth: 'bad' }); // looks at every field of both
  await assertRefused(client, 'a b', {}, { code: null, type: 'SubscriptionError', status: 400 });
  assert.deepEqual(await client.settle(), [], 'and nothing more');
  await client.close();
});

test('#54 reveals no expected signature', async () => {
  const client = await connect(host);
  const channels = ['private-x', 'presence-x'];
  for (const channel of channels)
    await assertRefused(client, channel, { auth: `${APP.key}:${'0'.repeat(64)}`, channel_data: '{"user_id":"7"}' });
  const said = client.frames.map((f) => f.raw).join('');
  for (const channel of channels)
    for (const data of [undefined, '{"user_id":"7"}'])
      assert.ok(!said.includes(hmac(APP.secret, [client.socketId, channel].concat(data || []).join(':'))));
  assert.ok(!said.includes(APP.secret));
  await client.close();
});

test('#55 delivers nothing of a channel whose subscription was refused', async () => {
  const [client, witness] = await Promise.all([connect(host), connect(host)]);
  await assertRefused(client, 'private-secret', { auth: 'bad' });
  await witness.subscribe('private-secret');
  await trigger(host, 'private-secret', 'event', 'secret');
  assert.equal((await witness.next()).data, 'secret');
  assert.deepEqual(await client.settle(), []);
  await client.close();
  await witness.close();
});

test('#56 answers a duplicate subscribe with pusher:error only, and keeps the subscription', async () => {
  const client = await connect(host);
  for (const channel of ['orders', 'private-orders']) {
    await client.subscribe(channel);
    for (const auth of ['bad', channelAuth(APP, client.socketId, channel)]) {
      client.ask(channel, { auth });
      const [error, ...more] = await client.settle();
      assert.equal(error.event, 'pusher:error');
      assert.equal(error.data.code, null);
      assert.deepEqual(more, []);
    }
    await trigger(host, channel, 'event', 'once');
    assert.equal((await client.settle()).length, 1);
  }
  await client.close();
});

test('#57 refuses names outside the grammar, empty, and too long', async () => {
  const client = await connect(host);
  for (const channel of ['', ' ', 'a b', 'a/b', 'ä', 'a:b', 'a\u0001', 'a#b', '#a', '#server-to-user-', '#server-to-use-7', 'a"b', 'a\\b', '\ud83d\ude00', 'a'.repeat(201),
    `private-${'a'.repeat(193)}`, 'a'.repeat(10000)]) {
    client.ask(channel, { auth: '' });
    const error = await client.next();
    const refusal = await client.next();
    assert.equal(error.event, 'pusher:error', channel);
    assert.equal(error.data.code, null, error.raw);
    assert.equal(refusal.event, 'pusher:subscription_error', refusal.raw);
    assert.equal(JSON.parse(refusal.data).status, 400);
  }
  for (const data of [{}, { channel: null }, { channel: 7 }, { channel: ['orders'] }, { channel: {} }, null, 'orders', [], 7, undefined]) {
    client.send({ event: 'pusher:subscribe', data });
    assert.equal((await client.event('pusher:error')).data.code, null, JSON.stringify(data));
  }
  await client.settle();
  assert.equal((await client.subscribe('orders')).event, SUCCEEDED);
  await client.close();
});

test('#58 refuses a name that ends in a newline', async () => {
  const client = await connect(host);
  for (const channel of ['orders\n', 'orders\r', '\norders', 'private-orders\n', 'a\nb'])
    await assertRefused(client, channel, { auth: channelAuth(APP, client.socketId, channel) }, { code: null, type: 'SubscriptionError', status: 400 });
  await client.close();
});

test('#59 accepts a name of exactly the greatest length', async () => {
  const client = await connect(host);
  for (const channel of ['a'.repeat(200), `private-${'a'.repeat(192)}`]) assert.equal((await client.subscribe(channel)).channel, channel);
  await client.close();
  const short = await connect(host, { app: SHORT });
  await short.subscribe('a'.repeat(20));
  short.ask('a'.repeat(21));
  assert.equal((await short.event('pusher:subscription_error')).channel, 'a'.repeat(21));
  await short.close();
});

test('#60 delivers nothing of a channel after an unsubscribe was processed', async () => {
  const client = await connect(host);
  for (const channel of ['orders', 'private-orders', 'presence-orders']) {
    await client.subscribe(channel, channel.startsWith('presence') ? { user_id: '7' } : undefined);
    client.send({ event: 'pusher:unsubscribe', data: { channel } });
    client.send({ event: 'pusher:ping' });
    assert.equal((await client.next()).event, 'pusher:pong');
    await trigger(host, channel, 'event', 'late');
    assert.deepEqual(await client.settle(), []);
  }
  await client.close();
});

test('#61 answers an unsubscribe from a channel not subscribed to with pusher:error', async () => {
  const client = await connect(host);
  await client.subscribe('orders');
  for (const data of [{ channel: 'never' }, { channel: 'ORDERS' }, { channel: '' }, {}, { channel: null }, 'x', null]) {
    client.send({ event: 'pusher:unsubscribe', data });
    const [error, ...more] = await client.settle();
    assert.equal(error.event, 'pusher:error', JSON.stringify(data));
    assert.equal(error.data.code, null);
    assert.deepEqual(more, []);
  }
  await trigger(host, 'orders', 'event', 'still');
  assert.equal((await client.next()).data, 'still');
  await client.close();
});

test('#62 answers both subscribes of subscribe, unsubscribe, subscribe', async () => {
  const client = await connect(host);
  const channel = 'private-quick';
  const auth = channelAuth(APP, client.socketId, channel);
  for (let i = 0; i < 20; i++) {
    client.ask(channel, { auth });
    client.send({ event: 'pusher:unsubscribe', data: { channel } });
    client.ask(channel, { auth });
    client.send({ event: 'pusher:unsubscribe', data: { channel } });
  }
  client.ask(channel, { auth });
  const frames = await client.settle();
  assert.equal(frames.length, 41);
  assert.ok(frames.every((f) => f.event === SUCCEEDED && f.channel === channel));
  await trigger(host, channel, 'event', 'one');
  assert.equal((await client.settle()).length, 1);
  await client.close();
});

test('#63 delivers no event of a channel before its subscription_succeeded', async () => {
  let busy = true;
  const burst = (async () => { while (busy) await host.do('burst', { channels: ['busy'], name: 'event', count: 300, pause_us: 100 }); })();
  for (let i = 0; i < 100; i++) {
    const client = await connect(host);
    await client.subscribe('busy');
    assert.equal(client.frames[1].event, SUCCEEDED);
    await client.event('event', 'busy');
    client.ws.terminate();
  }
  busy = false;
  await burst;
});

test('#64 delivers an event published after subscription_succeeded was received', async () => {
  const client = await connect(host);
  for (let i = 0; i < 100; i++) {
    await client.subscribe(`fresh-${i}`);
    const published = host.publish(`fresh-${i}`, 'event', String(i));
    const frame = await client.next();
    assert.deepEqual({ ...frame }, { event: 'event', channel: `fresh-${i}`, data: String(i) });
    await published;
  }
  await client.close();
});

test('#65 removes all subscriptions when the connection ends, however it ends', async () => {
  const gone = async () => (await api(host, 'GET', '/channels', { query: { filter_by_prefix: 'gone-' } })).json.channels;
  for (const end of ['close', 'terminate']) {
    const client = await connect(host);
    for (const channel of ['gone-1', 'gone-2', 'gone-3']) await client.subscribe(channel);
    assert.deepEqual(Object.keys(await gone()).sort(), ['gone-1', 'gone-2', 'gone-3']);
    client.ws[end]();
    await until(async () => Object.keys(await gone()).length === 0, 'no channels');
  }
});

test('#66 accepts a private subscribe whose channel_data was signed', async () => {
  const client = await connect(host);
  for (const [i, channelData] of ['{"user_id":"7"}', 'no JSON at all', '{"any":[1, 2 ]}'].entries())
    assert.equal((await client.subscribe(`private-data-${i}`, channelData)).data, '{}');
  await client.close();
});

test('#67 treats privateer, presences and xx-private-foo as public', async () => {
  const client = await connect(host);
  for (const channel of ['privateer', 'presences', 'xx-private-foo', 'xx-presence-foo', 'Private-x', 'encrypted-x']) {
    client.ask(channel, { auth: '' });
    assert.deepEqual({ ...(await client.next()) }, { event: SUCCEEDED, channel, data: '{}' });
  }
  await client.close();
});
