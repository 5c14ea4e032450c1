'use strict';
// B.13: webhooks, as a receiver sees them. What needs minutes (#192: five of them) is in tests/unit/test_webhooks.c.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, connect, sleep, startHost, trigger, until } = require('../integration/lib.js');
const { receiver, verify } = require('../integration/receiver.js');

const KINDS = { occupied: 1, vacated: 2, member_added: 4, member_removed: 8, client_event: 16, cache_miss: 32, subscription_count: 64 };
const NO_DELAY = 0xffffffff;
// Quick, so that tests are.
const QUICK = { webhook_batch_ms: 50, webhook_delay_ms: 300 };

const names = (r) => r.events.all.map((e) => e.name);
const start = (t, webhooks, options = {}, more = {}) => startHost({ apps: [{ ...APP, webhooks, ...more }], options: { worker_count: 2, ...QUICK, ...options } }, t);

test('#184 sends the key, the signature and exactly application/json', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url, headers: { 'X-Custom': '1', Authorization: 'Bearer x' } }]);
  const client = await connect(host);
  await client.subscribe('presence-room.1', { user_id: 7 });
  await r.event('member_added', { channel: 'presence-room.1', user_id: '7' });
  await client.close();
  await r.event('channel_vacated', { channel: 'presence-room.1' });
  for (const request of r.requests.all) {
    verify(request);
    assert.equal(request.rawHeaders[request.rawHeaders.indexOf('Content-Type') + 1], 'application/json');
    assert.equal(request.headers['x-custom'], '1');
    assert.equal(request.headers.authorization, 'Bearer x');
    assert.match(request.headers['user-agent'], /^libpusherc\/\d/);
  }
});

test('#185 tells of a channel once when it is occupied and once when it is vacated', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url, events: KINDS.occupied | KINDS.vacated }]);
  const clients = await Promise.all([1, 2, 3, 4].map(() => connect(host)));
  for (const client of clients) await client.subscribe('orders');
  await clients[0].unsubscribe('orders');
  await clients[0].subscribe('orders');
  for (const client of clients) await client.close();
  await r.event('channel_vacated', { channel: 'orders' });
  assert.deepEqual(r.events.all, [{ name: 'channel_occupied', channel: 'orders' }, { name: 'channel_vacated', channel: 'orders' }]);
});

test('#186 delays removals, and tells nothing of who is back in time', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url }], { webhook_delay_ms: 4000 });
  const first = await connect(host);
  await first.subscribe('presence-a', { user_id: '7' });
  await r.event('member_added');
  // The page is loaded again: gone, and back.
  await first.close();
  await until(async () => (await host.do('stats')).subscriptions === 0);
  const second = await connect(host);
  await second.subscribe('presence-a', { user_id: '7' });
  await sleep(4500);
  assert.deepEqual(names(r), ['channel_occupied', 'member_added']);
  const left = Date.now();
  await second.close();
  await r.event('channel_vacated');
  assert.ok(Date.now() - left >= 4000, `after ${Date.now() - left} ms`);
  assert.deepEqual(names(r), ['channel_occupied', 'member_added', 'member_removed', 'channel_vacated']);
});

test('#187 tells of a member once, however many connections they have', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url, events: KINDS.member_added | KINDS.member_removed }]);
  const member = (user_id) => ({ user_id, user_info: { name: user_id } });
  const clients = await Promise.all([1, 2, 3].map(() => connect(host)));
  await clients[0].subscribe('presence-a', member('7'));
  await clients[1].subscribe('presence-a', member('7'));
  await clients[2].subscribe('presence-a', member('8'));
  await clients[0].close();
  await clients[2].close();
  await r.event('member_removed', { user_id: '8' });
  await clients[1].close();
  await r.event('member_removed', { user_id: '7' });
  assert.deepEqual(r.events.all.map((e) => [e.name, e.user_id]),
    [['member_added', '7'], ['member_added', '8'], ['member_removed', '8'], ['member_removed', '7']]);
});

test('#188 sends client events with data as a string, the socket id, and the user id on presence channels only', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url, events: KINDS.client_event }]);
  const client = await connect(host);
  await client.subscribe('private-a');
  await client.subscribe('presence-a', { user_id: '7' });
  client.send({ event: 'client-one', channel: 'private-a', data: { on: true, text: 'ä"\\' } });
  client.send({ event: 'client-two', channel: 'presence-a', data: 'plain', user_id: 'forged' });
  await r.event('client_event', { event: 'client-two' });
  assert.deepEqual(r.events.all, [
    { name: 'client_event', channel: 'private-a', event: 'client-one', data: '{"on":true,"text":"ä\\"\\\\"}', socket_id: client.socketId },
    { name: 'client_event', channel: 'presence-a', event: 'client-two', data: 'plain', socket_id: client.socketId, user_id: '7' },
  ]);
  for (const request of r.requests.all) verify(request);
  await client.close();
});

test('#189 says nothing of refused client events', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url, events: KINDS.client_event }], {}, { max_event_payload_bytes: 100 });
  const client = await connect(host);
  await client.subscribe('private-a');
  await client.subscribe('public');
  for (const [channel, event, data] of [['private-b', 'client-x', 1], ['public', 'client-x', 1], ['private-a', 'other-x', 1], ['private-a', 'client-x', 'x'.repeat(101)]])
    client.send({ event, channel, data });
  await client.settle();
  client.send({ event: 'client-good', channel: 'private-a', data: 1 });
  await r.event('client_event');
  assert.deepEqual(r.events.all.map((e) => e.event), ['client-good']);
  await client.close();
});

test('#190 sends cache_miss when a subscriber finds an empty cache', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url, events: KINDS.cache_miss | KINDS.occupied }]);
  const client = await connect(host);
  await client.subscribe('cache-full-not');
  await r.event('cache_miss', { channel: 'cache-full-not' });
  await trigger(host, 'cache-full', 'event', 'kept');
  await client.subscribe('cache-full');
  await client.subscribe('plain');
  await r.event('channel_occupied', { channel: 'plain' });
  assert.deepEqual(r.events.all.filter((e) => e.name === 'cache_miss'), [{ name: 'cache_miss', channel: 'cache-full-not' }]);
  await client.close();
});

test('#191 sends one event in each request when batches are off, and several when they are on', async (t) => {
  const r = await receiver(t);
  for (const [options, largest] of [[{ webhook_batch_ms: NO_DELAY }, 1], [{ webhook_batch_ms: 2000 }, 20], [{ webhook_batch_ms: 2000, webhook_batch_events: 7 }, 7]]) {
    const host = await start(t, [{ url: r.url, events: KINDS.client_event }], options, { max_client_events_per_s: 1000 });
    const client = await connect(host);
    await client.subscribe('private-a');
    const before = r.requests.all.length;
    for (let i = 0; i < 40; i++) client.send({ event: 'client-n', channel: 'private-a', data: i });
    await r.event('client_event', { data: '39' });
    const sizes = r.requests.all.slice(before).map((q) => q.body.events.length);
    assert.equal(sizes.reduce((a, b) => a + b), 40);
    assert.equal(Math.max(...sizes), largest, String(sizes));
    await client.close();
  }
});

test('#192 sends again what was not accepted, later and later, in order', async (t) => {
  // The reset comes after an answer that leaves the connection open: nothing may repeat the request at once.
  const answers = [{ status: 500 }, { status: 302, headers: { Location: '/elsewhere' } }, { reset: true }, { status: 200 }];
  const r = await receiver(t, (_, n) => answers[Math.min(n, answers.length) - 1]);
  const host = await start(t, [{ url: r.url, events: KINDS.occupied | KINDS.vacated }]);
  const client = await connect(host);
  await client.subscribe('a');
  await until(() => r.requests.all.length === 1);
  await client.subscribe('b');
  await r.event('channel_occupied', { channel: 'b' });
  const same = r.requests.all.slice(0, 4);
  for (const request of same) {
    verify(request);
    assert.equal(request.text, same[0].text); // byte for byte
    assert.equal(request.url, '/hook'); // redirects are not followed
  }
  const gaps = same.slice(1).map((q, i) => q.at - same[i].at);
  [[750, 1250], [1500, 2500], [3000, 5000]].forEach(([least], i) => assert.ok(gaps[i] >= least - 50, String(gaps)));
  assert.deepEqual(r.events.all.map((e) => e.channel), ['a', 'b']);
  await until(async () => (await host.do('stats')).webhook_delivered_total === 2); // the answer has to arrive there
  const stats = await host.do('stats');
  assert.equal(stats.webhook_failures_total, 3);
  assert.equal(stats.webhook_retries_total, 3);
  await client.close();
});

test('#193 delivers events while an endpoint is slow or down', async (t) => {
  const slow = await receiver(t, () => ({ hang: true }));
  const good = await receiver(t);
  const host = await start(t, [{ url: slow.url }, { url: 'http://127.0.0.1:1/' }, { url: good.url }], { worker_count: 1, webhook_timeout_ms: 60000 }); // longer than any of the waits below
  const client = await connect(host);
  await client.subscribe('private-a');
  await until(() => slow.requests.all.length === 1);
  for (let i = 0; i < 50; i++) {
    await trigger(host, 'private-a', 'event', String(i));
    assert.equal((await client.event('event')).data, String(i));
  }
  await good.event('channel_occupied');
  assert.equal(slow.requests.all.length, 1);
  await client.close();
  await good.event('channel_vacated');
});

test('#194 applies filters to the body that is signed', async (t) => {
  const r = await receiver(t);
  const hooks = [
    { url: `${r.url}/presence`, channel_prefix: 'presence-' },
    { url: `${r.url}/eu`, channel_suffix: '.eu', events: KINDS.occupied },
    { url: `${r.url}/both`, channel_prefix: 'private-', channel_suffix: '.eu', events: KINDS.occupied | KINDS.client_event },
  ];
  const host = await start(t, hooks, { webhook_batch_ms: 500 });
  const client = await connect(host);
  for (const channel of ['private-a', 'private-a.eu', 'a.eu', 'a', 'presence-a']) await client.subscribe(channel, channel.startsWith('presence') ? { user_id: '7' } : undefined);
  client.send({ event: 'client-x', channel: 'private-a', data: 1 });
  client.send({ event: 'client-x', channel: 'private-a.eu', data: 1 });
  await until(() => r.events.all.length === 6);
  await client.settle();
  const told = {};
  for (const request of r.requests.all) {
    verify(request);
    const list = (told[request.url] = told[request.url] || []);
    list.push(...request.body.events.map((e) => `${e.name} ${e.channel}`));
  }
  assert.deepEqual(told, {
    '/hook/presence': ['channel_occupied presence-a', 'member_added presence-a'],
    '/hook/eu': ['channel_occupied private-a.eu', 'channel_occupied a.eu'],
    '/hook/both': ['channel_occupied private-a.eu', 'client_event private-a.eu'],
  });
  await client.close();
});
