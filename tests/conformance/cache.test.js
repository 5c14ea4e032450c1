'use strict';
// B.7: cache channels.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const Pusher = require('pusher-js');
const { APP, api, connect, startHost, trigger, until, within } = require('../integration/lib.js');

const SHORT = { ...APP, id: 'short', key: 'short-key', cache_ttl_s: 3 };

let host;
before(async () => { host = await startHost({ options: { worker_count: 2 }, apps: [APP, SHORT] }); });

const closeAll = (...clients) => Promise.all(clients.map((client) => client.close()));
const plain = (frame) => ({ ...frame });

test('#106 #115 sends the last event after subscription_succeeded, to the newcomer only', async () => {
  const [first, second] = await Promise.all([connect(host), connect(host)]);
  await trigger(host, 'cache-price', 'tick', '{"usd":101}');
  await first.subscribe('cache-price');
  assert.deepEqual(plain(await first.next()), { event: 'tick', channel: 'cache-price', data: '{"usd":101}' });
  await second.subscribe('cache-price');
  assert.deepEqual(plain(await second.next()), { event: 'tick', channel: 'cache-price', data: '{"usd":101}' });
  assert.deepEqual(await first.settle(), []);
  await closeAll(first, second);
});

test('#107 sends cache_miss after subscription_succeeded when nothing is cached', async () => {
  const client = await connect(host);
  for (const channel of ['cache-none', 'private-cache-none', 'presence-cache-none', 'private-encrypted-cache-none']) {
    await client.subscribe(channel, channel.startsWith('presence') ? { user_id: '7' } : undefined);
    assert.deepEqual(plain(await client.next()), { event: 'pusher:cache_miss', channel, data: '{}' });
  }
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#108 caches what is published while nobody is subscribed, over HTTP and by the host', async () => {
  const client = await connect(host);
  await trigger(host, 'private-cache-early', 'http', '1');
  await client.subscribe('private-cache-early');
  assert.equal((await client.next()).event, 'http');
  await client.unsubscribe('private-cache-early');
  await host.do('publish', { channels: ['private-cache-early'], name: 'host', data: '2' });
  await client.subscribe('private-cache-early');
  assert.equal((await client.next()).event, 'host');
  await client.close();
});

test('#109 caches no client events and no member events', async () => {
  const [first, second] = await Promise.all([connect(host), connect(host)]);
  const channel = 'presence-cache-room';
  await trigger(host, channel, 'kept', '1');
  await first.subscribe(channel, { user_id: '7' });
  await first.event('kept');
  await second.subscribe(channel, { user_id: '8' });
  await second.event('kept');
  first.send({ event: 'client-typing', channel, data: {} });
  await second.event('client-typing');
  await second.close();
  await first.event('pusher_internal:member_removed');
  const third = await connect(host);
  await third.subscribe(channel, { user_id: '9' });
  assert.equal((await third.next()).event, 'kept');
  await closeAll(first, third);
});

test('#110 keeps only the latest event, with its own name and data, whoever was left out of it', async () => {
  const client = await connect(host);
  await client.subscribe('cache-latest');
  await client.event('pusher:cache_miss');
  await trigger(host, 'cache-latest', 'one', '1');
  await trigger(host, 'cache-latest', 'two', '"zwei ü"', { socket_id: client.socketId });
  assert.equal((await client.event('one')).data, '1');
  await client.unsubscribe('cache-latest');
  await client.subscribe('cache-latest');
  assert.deepEqual(plain(await client.next()), { event: 'two', channel: 'cache-latest', data: '"zwei ü"' });
  await client.close();
});

test('#111 #158 forgets the event after its lifetime, and GET says how long it has', async () => {
  const client = await connect(host, { app: SHORT });
  const cache = async (channel, app) => (await api(host, 'GET', `/channels/${channel}`, { query: { info: 'cache' }, app })).json;
  assert.deepEqual(await cache('cache-none', APP), { occupied: false, cache: null });
  await trigger(host, 'cache-long', 'tick', '{"usd":101}');
  const long = await cache('cache-long', APP);
  assert.equal(long.cache.data, '{"usd":101}');
  assert.ok(long.cache.ttl > 1700 && long.cache.ttl <= 1800, JSON.stringify(long));
  const brief = await until(async () => { // a busy machine may take longer than three seconds
    await trigger(host, 'cache-brief', 'tick', '1', { app: SHORT });
    return (await cache('cache-brief', SHORT)).cache;
  });
  assert.ok(brief.ttl >= 0 && brief.ttl <= 3, JSON.stringify(brief));
  await until(async () => (await cache('cache-brief', SHORT)).cache === null, 'the end of its lifetime');
  assert.deepEqual(await cache('cache-brief', SHORT), { occupied: false, cache: null });
  await client.subscribe('cache-brief');
  assert.equal((await client.next()).event, 'pusher:cache_miss');
  await client.close();
});

test('#113 caches the payload of an encrypted channel unchanged', async () => {
  const client = await connect(host);
  const sealed = '{"nonce":"ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7","ciphertext":"0I8D7FvAqy03v4ZPTg2gP6tj0ZcDQMOlJ8JqyDO7F4CYOjo="}';
  await trigger(host, 'private-encrypted-cache-vault', 'sealed', sealed);
  await client.subscribe('private-encrypted-cache-vault');
  assert.equal((await client.next()).data, sealed);
  await client.close();
});

test('stock pusher-js gets the cached event, and pusher:cache_miss', async (t) => {
  const pusher = new Pusher(APP.key, { cluster: '', wsHost: '127.0.0.1', wsPort: host.port, forceTLS: false, enabledTransports: ['ws'] });
  t.after(() => pusher.disconnect());
  await trigger(host, 'cache-stock', 'tick', '{"usd":7}');
  const tick = new Promise((resolve) => { pusher.subscribe('cache-stock').bind('tick', resolve); });
  assert.deepEqual(await within(tick, 'tick'), { usd: 7 });
  const miss = new Promise((resolve) => { pusher.subscribe('cache-stock-none').bind('pusher:cache_miss', resolve); });
  await within(miss, 'cache_miss');
});
