'use strict';
// One stock client with several thousand channels: the default limit is 10,000 (A7).

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, channelAuth, connect, startHost, until } = require('./lib.js');
const { connected, listen, pusher } = require('./clients.js');

const MANY = 6000;
const PATIENCE_MS = 120000; // a sanitizer build on a busy machine

const kinds = ['', 'private-', '', 'presence-'];
const names = Array.from({ length: MANY }, (_, i) => `${kinds[i % 4]}orders-${i}`);

const customHandler = ({ socketId, channelName }, done) => {
  const data = channelName.startsWith('presence-') ? JSON.stringify({ user_id: '7' }) : undefined;
  done(null, { auth: channelAuth(APP, socketId, channelName, data), channel_data: data });
};

const allSubscribed = (channels) => until(() => channels.every((channel) => channel.subscribed), 'every channel subscribed', PATIENCE_MS);
const subscriptions = (host, count) => until(async () => (await host.do('stats')).subscriptions === count, `${count} subscriptions`, PATIENCE_MS);

test('A7: pusher-js holds 6,000 channels, hears on each, leaves half of them, and comes back', async (t) => {
  const host = await startHost({ options: { worker_count: 2 } }, t);
  const client = pusher(t, host, { channelAuthorization: { customHandler } });
  const channels = names.map((name) => client.subscribe(name));
  await allSubscribed(channels);
  await subscriptions(host, MANY);

  const heard = new Set();
  client.bind_global((event, data) => { if (event === 'paid') heard.add(data.n); });
  for (let i = 0; i < MANY; i += 100) await host.publish(names.slice(i, i + 100), 'paid', JSON.stringify({ n: i }));
  await until(() => heard.size === MANY / 100, () => `${heard.size} heard`);
  const last = listen(channels[MANY - 1]);
  await host.publish(names[MANY - 1], 'last');
  await last.event('last');

  for (const name of names.slice(0, MANY / 2)) client.unsubscribe(name);
  await subscriptions(host, MANY / 2);
  client.disconnect();
  await subscriptions(host, 0);
  client.connect();
  await connected(client);
  await allSubscribed(channels.slice(MANY / 2));
  await subscriptions(host, MANY / 2);
  assert.deepEqual(client.errors.all, []);
});

// 2 MB of messages, twice of what may wait for a client.
test('A7: a pusher-js client that loses 5,000 channels at once stays connected, and gets them back', async (t) => {
  const host = await startHost({ apps: [{ ...APP, auth_mode: 1 }], rules: [{ pattern: 'orders.{id}', kinds: 14 }] }, t);
  const client = pusher(t, host, { channelAuthorization: { customHandler: (_, done) => done(null, { auth: '' }) } });
  await host.do('answers', { rows: [{ allow: true }] });
  const channels = Array.from({ length: 5000 }, (_, i) => client.subscribe(`private-orders.${'x'.repeat(140)}-${i}`));
  await allSubscribed(channels);
  const socket = client.connection.socket_id;
  const seen = { 'pusher:subscription_error': 0, 'pusher:subscription_succeeded': 0 };
  for (const channel of channels) channel.bind_global((event) => { seen[event]++; });

  await host.do('answers', { rows: [] });
  await host.do('reauthorize', {});
  assert.equal((await host.event('reauthorized')).revoked, 5000);
  await until(() => seen['pusher:subscription_error'] === 5000, () => JSON.stringify(seen), PATIENCE_MS);
  await subscriptions(host, 0);
  await host.do('answers', { rows: [{ allow: true }] });
  await host.do('reauthorize', {});
  await until(() => seen['pusher:subscription_succeeded'] === 5000, () => JSON.stringify(seen), PATIENCE_MS);
  await subscriptions(host, 5000);
  assert.equal(client.connection.socket_id, socket);
  assert.equal((await host.do('stats')).slow_closed_total, 0);
});

test('A7: who shares 5,000 presence channels with one who leaves stays connected', async (t) => {
  const host = await startHost({ options: { worker_count: 1 } }, t);
  const channel = (i) => `presence-orders-${'x'.repeat(140)}-${i}`;
  const [leaving, staying] = [pusher(t, host, { channelAuthorization: { customHandler } }), await connect(host)];
  const channels = Array.from({ length: 5000 }, (_, i) => leaving.subscribe(channel(i)));
  for (let i = 0; i < 5000; i++) staying.ask(channel(i), { auth: channelAuth(APP, staying.socketId, channel(i), '{"user_id":"8"}'), channel_data: '{"user_id":"8"}' });
  await allSubscribed(channels);
  await subscriptions(host, 10000);
  leaving.disconnect();
  await subscriptions(host, 5000);
  const removed = () => staying.frames.filter(({ event }) => event === 'pusher_internal:member_removed').length;
  await until(() => removed() === 5000, () => `${removed()} removed`, PATIENCE_MS);
  assert.equal((await host.do('stats')).slow_closed_total, 0);
  await staying.close();
});
