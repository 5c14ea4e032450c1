'use strict';
// B.9: subscription_count.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const Pusher = require('pusher-js');
const { APP, connect, startHost, within } = require('../integration/lib.js');

const COUNTED = { ...APP, subscription_count_events: true };

let host;
before(async () => { host = await startHost({ options: { worker_count: 2 }, apps: [COUNTED] }); });

/** The next `n` counts that a client is told. */
const told = async (client, n) => {
  const frames = [];
  while (frames.length < n) frames.push(await client.event('pusher_internal:subscription_count'));
  return counts(frames);
};
const counts = (frames) => frames.filter((f) => f.event === 'pusher_internal:subscription_count').map((f) => JSON.parse(f.data).subscription_count);

test('#132 tells every subscriber after each subscribe and unsubscribe', async () => {
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => connect(host)));
  for (const channel of ['orders', 'private-orders', 'cache-orders']) {
    await first.subscribe(channel);
    const own = await first.event('pusher_internal:subscription_count');
    assert.deepEqual({ ...own }, { event: 'pusher_internal:subscription_count', channel, data: '{"subscription_count":1}' });
    // each is awaited: changes within 100 ms are told together
    await second.subscribe(channel);
    await second.event('pusher_internal:subscription_count');
    await third.subscribe(channel);
    await third.event('pusher_internal:subscription_count');
    assert.deepEqual(await told(first, 2), [2, 3]);
    assert.deepEqual(await told(second, 1), [3]);
    await second.unsubscribe(channel);
    assert.deepEqual(await told(first, 1), [2]);
  }
  await third.close();
  assert.deepEqual(await told(first, 3), [1, 1, 1]);
  assert.deepEqual(counts(await first.settle()), []);
  assert.deepEqual(counts(await second.settle()), []);
  await Promise.all([first.close(), second.close()]);
});

test('#133 counts no presence channels', async () => {
  const [first, second] = await Promise.all([connect(host), connect(host)]);
  await first.subscribe('presence-room', { user_id: '7' });
  await second.subscribe('presence-room', { user_id: '8' });
  await second.close();
  assert.deepEqual(counts(await first.settle()), []);
  await first.close();
});

test('#134 tells a channel of more than 100 at most once in 5 s, and the final value', async () => {
  const clients = await Promise.all(Array.from({ length: 121 }, () => connect(host)));
  const [watcher] = clients;
  const begun = Date.now();
  for (const client of clients) client.ask('busy');
  for (const client of clients) await client.event('pusher_internal:subscription_succeeded');
  await watcher.next((f) => counts([f])[0] === 121, 20000);
  const all = counts(watcher.frames);
  const rare = all.filter((n) => n > 100);
  assert.ok(rare.length <= 1 + (Date.now() - begun) / 5000, JSON.stringify(rare));
  await Promise.all(clients.map((client) => client.close()));
});

test('stock pusher-js says pusher:subscription_count', async (t) => {
  const pusher = new Pusher(APP.key, { cluster: '', wsHost: '127.0.0.1', wsPort: host.port, forceTLS: false, enabledTransports: ['ws'] });
  t.after(() => pusher.disconnect());
  const channel = pusher.subscribe('stock');
  const told = new Promise((resolve) => { channel.bind('pusher:subscription_count', resolve); });
  assert.deepEqual(await within(told, 'the count'), { subscription_count: 1 });
  assert.equal(channel.subscriptionCount, 1);
});
