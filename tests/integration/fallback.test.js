'use strict';
// Clients over HTTP (fallback transports) beside those with a WebSocket: what the host decides and sees, limits, floods,
// connections that move between workers.

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const { test } = require('node:test');
const { APP, connect, sleep, startHost, tcp, until, within } = require('./lib.js');
const { pusher, subscribe } = require('./clients.js');
const { QUERY, XhrClient } = require('./xhr.js');

const RULES = 1; // auth_mode
const QUICK = { fallback_absence_ms: 800, fallback_heartbeat_ms: 300 };

const open = async (t, server, options) => {
  const client = await (await new XhrClient(server, options).stream()).established();
  t.after(() => client.abort());
  return client;
};

test('a client whose identity comes too late is told so, and others are served on', async (t) => {
  const host = await startHost({ hooks: ['identify'], options: { identify_timeout_ms: 400 } }, t);
  for (const action of ['xhr_streaming', 'xhr']) {
    const raw = await tcp(host);
    raw.write(`POST /app/${APP.key}/0/late-${action}/${action}?${QUERY}&ask=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
    await raw.has(/Connection: close[^]*c\[4009,"The application did not answer in time"\]/);
    assert.equal(await raw.over(), 'end');
  }
  const client = await open(t, host);
  client.abort();
});

for (const workers of [1, 4]) {
  test(`${workers} workers: many clients share a few connections, which go where their sessions are`, async (t) => {
    const host = await startHost({ options: { worker_count: workers } }, t);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 3 });
    t.after(() => agent.destroy());
    await Promise.all(Array.from({ length: 12 }, async (_, i) => {
      const client = new XhrClient(host, { agent });
      await client.poll();
      await client.established();
      await client.subscribeByPolls(`a${i % 3}`);
      for (let n = 0; n < 4; n++) {
        await host.publish(`a${i % 3}`, `n${i}`, String(n));
        while (!client.frames.all.some((f) => f.event === `n${i}` && f.data === String(n))) await client.poll();
      }
      const mine = client.frames.all.filter((f) => f.event === `n${i}`).map((f) => f.data);
      assert.deepEqual(mine, ['0', '1', '2', '3']);
    }));
    // and a connection that speaks HTTP goes on as one
    const res = await new Promise((resolve, reject) => { http.get({ host: '127.0.0.1', port: host.port, path: '/ready', agent }, resolve).on('error', reject); });
    assert.equal(res.statusCode, 200);
    res.resume();
  });

  test(`${workers} workers: requests that are pipelined are answered in their order`, async (t) => {
    const host = await startHost({ options: { worker_count: workers } }, t);
    const clients = await Promise.all(Array.from({ length: 6 }, () => open(t, host)));
    const raw = await tcp(host);
    const send = (client, body) => `POST /app/${APP.key}/${client.session}/xhr_send HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const subscribe = (n) => JSON.stringify([JSON.stringify({ event: 'pusher:subscribe', data: { channel: `c${n}` } })]);
    let text = '';
    for (let n = 0; n < 60; n++) text += n % 10 === 9 ? 'GET /ready HTTP/1.1\r\nHost: a\r\n\r\n' : send(clients[n % 6], subscribe(n));
    raw.write(text);
    await until(() => raw.text.split('HTTP/1.1 ').length === 61, 'all answers');
    const statuses = raw.text.split('HTTP/1.1 ').slice(1).map((answer) => answer.slice(0, 3));
    assert.deepEqual(statuses, Array.from({ length: 60 }, (_, n) => (n % 10 === 9 ? '200' : '204')));
    for (let n = 0; n < 60; n++) if (n % 10 !== 9) await clients[n % 6].event('pusher_internal:subscription_succeeded');
    raw.reset();
  });
}

// -- the order of requests --

const NEVER_MS = 3600000; // a test that needs a gap to be given up fails
const FIRST = 7; // the number of the request that opens a session

const subscribing = (n) => [{ event: 'pusher:subscribe', data: { channel: `n${n}` } }];
const subscribed = (client) => client.frames.all.filter((f) => f.event === 'pusher_internal:subscription_succeeded').map((f) => Number(f.channel.slice(1)));
const numbers = (from, count) => Array.from({ length: count }, (_, i) => from + i);

/** A session that is open, whose requests have numbers. Its server has one worker, unless the test needs more. */
async function openNumbered(t, { patience = NEVER_MS, workers = 1, constants, ...app } = {}) {
  const host = await startHost({ apps: [{ ...APP, ...app }], options: { worker_count: workers }, constants: { fallback_patience_ms: patience, ...constants } }, t);
  const client = await (await new XhrClient(host).stream({ number: FIRST })).established();
  t.after(() => client.abort());
  return { host, client };
}

/** Makes a request that has to wait, and returns when it does: its answer is not there yet. */
async function waits(host, client, number) {
  const requests = async () => (await host.do('stats')).http_requests_total;
  const before = await requests();
  const answer = client.send(subscribing(number), { number });
  answer.catch(() => {});
  await until(async () => await requests() > before, 'a request that waits');
  return { answer };
}

for (const workers of [1, 4]) {
  test(`${workers} workers: messages are handled in the page's order, whatever connection brings them`, async (t) => {
    const { client } = await openNumbered(t, { workers });
    const all = numbers(FIRST + 1, 60);
    const mixed = [...all].sort(() => Math.random() - 0.5);
    const answers = await Promise.all(mixed.map((number) => client.send(subscribing(number), { number })));
    assert.ok(answers.every(({ status }) => status === 204));
    await until(() => subscribed(client).length === all.length);
    assert.deepEqual(subscribed(client), all);
  });

  test(`${workers} workers: and so are those of a client that polls, whose polls have numbers as well`, async (t) => {
    const host = await startHost({ options: { worker_count: workers }, constants: { fallback_patience_ms: NEVER_MS } }, t);
    const client = new XhrClient(host);
    let number = FIRST;
    const poll = () => client.receive('xhr', { number: number++ }).then(() => client.ended);
    await poll();
    const all = [];
    for (let i = 0; i < 15; i++) {
      const own = numbers(number, 4);
      number += 4;
      const polling = poll(); // may come before the messages that the page has sent before it
      const answers = await Promise.all(own.reverse().map((n) => client.send(subscribing(n), { number: n })));
      assert.ok(answers.every(({ status }) => status === 204));
      all.push(...own.reverse());
      await polling;
    }
    while (subscribed(client).length < all.length) await poll();
    assert.deepEqual(subscribed(client), all);
  });
}

test('a client that sends too much is slowed down in the order of its messages', async (t) => {
  const { client } = await openNumbered(t, { max_client_messages_per_s: 100 });
  const all = numbers(FIRST + 1, 60);
  const pings = Array.from({ length: 4 }, () => ({ event: 'pusher:ping', data: {} }));
  const answers = await Promise.all([...all].reverse().map((number) => client.send([...subscribing(number), ...pings], { number })));
  assert.ok(answers.every(({ status }) => status === 204));
  await until(() => subscribed(client).length === all.length);
  assert.deepEqual(subscribed(client), all);
});

test('a gap that stays open is not waited for without end, as when a page has two sessions', async (t) => {
  const { client } = await openNumbered(t, { patience: 100 });
  const odd = numbers(1, 30).map((i) => FIRST + 2 * i);
  for (const number of odd) assert.equal((await client.send(subscribing(number), { number })).status, 204);
  await until(() => subscribed(client).length === odd.length);
  assert.deepEqual(subscribed(client), odd);
});

test('a number that comes twice, late, or not at all is handled', async (t) => {
  const { host, client } = await openNumbered(t);
  const early = [await waits(host, client, FIRST + 3), await waits(host, client, FIRST + 3)];
  for (const number of [undefined, 0, 'x', 1, FIRST, FIRST + 1, FIRST + 1]) assert.equal((await client.send([], { number })).status, 204);
  assert.deepEqual(subscribed(client), []);
  assert.equal((await client.send([], { number: FIRST + 2 })).status, 204);
  for (const { answer } of early) assert.equal((await answer).status, 204);
  await client.event('pusher_internal:subscription_succeeded');
});

test('a session that closes or is left answers the messages that wait', async (t) => {
  const { host, client } = await openNumbered(t, { constants: { fallback_absence_ms: 300 } });
  const closed = await waits(host, client, FIRST + 5);
  await client.send('["' + 'x'.repeat(300000) + '"]');
  await until(() => client.lines.all.some((line) => line.startsWith('c[1009,')), 'the close');
  assert.equal((await within(closed.answer, 'the answer')).status, 404);
  const other = await (await new XhrClient(host).stream({ number: FIRST })).established();
  const left = await waits(host, other, FIRST + 5);
  other.abort();
  assert.equal((await within(left.answer, 'the answer')).status, 404);
});

test('a connection that ends while its message waits leaves a gap, and one that is half shut is answered', async (t) => {
  const { host, client } = await openNumbered(t, { patience: 300 });
  const raw = async (n) => {
    const body = JSON.stringify(subscribing(n).map((m) => JSON.stringify(m)));
    const connection = await tcp(host);
    connection.write(`POST /app/${APP.key}/${client.session}/xhr_send?n=${n} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    return connection;
  };
  for (let n = FIRST + 2; n < FIRST + 20; n += 4) {
    const gone = await raw(n);
    gone.reset();
    const half = await raw(n + 1);
    half.socket.end();
    await half.has(/^HTTP\/1.1 204/);
    await half.over();
  }
  assert.equal((await client.send([])).status, 204);
});

test('a server that stops does not wait for messages', async (t) => {
  const { host, client } = await openNumbered(t);
  const { answer } = await waits(host, client, FIRST + 2);
  await host.end();
  const how = await within(answer.then(({ status }) => status, () => 'ended'), 'an end');
  assert.ok(how === 404 || how === 'ended', `${how}`);
});

for (const transport of ['xhr_streaming', 'xhr_polling']) {
  test(`#207 pusher-js, unmodified, is live over ${transport}`, async (t) => {
    const host = await startHost({ options: { worker_count: 2 } }, t);
    const channel = await subscribe(pusher(t, host, { enabledTransports: [transport] }), 'a');
    for (let n = 0; n < 20; n++) await host.publish('a', 'n', String(n));
    for (let n = 0; n < 20; n++) assert.equal((await channel.inbox.event('n')).data, n);
  });
}

test('rules, views, identity and hooks are those of a WebSocket', async (t) => {
  const host = await startHost({
    apps: [{ ...APP, auth_mode: RULES }], hooks: ['identify', 'on_open', 'on_close'], options: { worker_count: 2 }, constants: QUICK,
    rules: [{ pattern: 'tickets.{id}', redactions: { agent: [], customer: ['note'] } }],
  }, t);
  await host.do('answers', { rows: [{ user: 'agent', allow: true, view: 'agent' }, { user: 'customer', allow: true, view: 'customer' }] });
  const seen = {};
  for (const user of ['agent', 'customer', 'nobody']) {
    const client = seen[user] = await open(t, host, { query: `${QUERY}&user=${user}` });
    await client.send([{ event: 'pusher:subscribe', data: { channel: 'private-tickets.1' } }]);
    await client.event(user === 'nobody' ? 'pusher:subscription_error' : 'pusher_internal:subscription_succeeded');
  }
  await connect(host, { query: `${QUERY}&user=agent` }).then(async (client) => {
    client.ask('private-tickets.1');
    await client.event('pusher_internal:subscription_succeeded');
    seen.socket = client;
  });
  await host.publish('private-tickets.1', 'n', '{"id":1,"note":"internal"}');
  assert.equal((await seen.agent.event('n')).data, '{"id":1,"note":"internal"}');
  assert.equal((await seen.socket.event('n')).data, '{"id":1,"note":"internal"}');
  assert.equal((await seen.customer.event('n')).data, '{"id":1}');
  await host.do('answers', { rows: [{ user: 'agent', allow: true, view: 'agent' }] });
  await host.do('reauthorize', {});
  assert.equal(JSON.parse((await seen.customer.event('pusher:subscription_error')).data).status, 403);
  assert.ok(!seen.customer.lines.all.some((line) => line.includes('internal"}')));
  const { socketId } = seen.customer;
  seen.customer.abort();
  await host.event('close', { socket_id: socketId });
});

test('a client that does not read is bounded, and so is one that is away', async (t) => {
  const host = await startHost({ apps: [{ ...APP, max_event_payload_bytes: 60000 }], options: { out_hard_bytes: 262144, out_soft_bytes: 65536 }, constants: { fallback_absence_ms: 600000 } }, t);
  const [mute, away, honest] = [await open(t, host), await open(t, host), await open(t, host)];
  for (const client of [mute, away, honest]) await client.subscribe('a');
  mute.res.pause();
  mute.res.socket.pause();
  away.abort();
  const closed = async () => (await host.do('stats')).slow_closed_total;
  for (let n = 0; (await closed()) < 2 && n < 1000; n++) {
    await host.publish('a', 'n', JSON.stringify({ n, fill: 'x'.repeat(50000) }));
    assert.equal(JSON.parse((await honest.event('n')).data).n, n);
  }
  assert.equal(await closed(), 2);
  await away.stream();
  await until(() => away.lines.all.some((line) => line.startsWith('c[4100,')), 'the close');
  const stats = await host.do('stats');
  assert.ok(stats.out_queued_bytes < 2 * 262144, `${stats.out_queued_bytes}`);
});

test('a session whose answer is behind that of another one on a connection that breaks is closed, and does not get what was the other one\'s', async (t) => {
  const MB = 1 << 20;
  const host = await startHost({
    apps: [{ ...APP, max_event_payload_bytes: MB }], options: { out_hard_bytes: 128 * MB, out_soft_bytes: 64 * MB }, constants: { fallback_absence_ms: 600000 },
  }, t);
  const [first, second] = [new XhrClient(host), new XhrClient(host)];
  for (const [client, channel] of [[first, 'first'], [second, 'second']]) {
    await client.poll();
    await client.established();
    await client.subscribeByPolls(channel);
  }
  const stats = () => host.do('stats');
  // more than the kernel takes for a client that does not read
  for (let n = 0; n < 48; n++) await host.publish('first', 'theirs', 'x'.repeat(MB / 2));
  const before = (await stats()).http_requests_total;
  const raw = await tcp(host);
  raw.socket.pause();
  for (const { session } of [first, second]) raw.write(`POST /app/${APP.key}/${session}/xhr?${QUERY} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
  await until(async () => (await stats()).http_requests_total === before + 2, 'both requests');
  assert.ok((await stats()).out_queued_bytes > MB, 'the first answer is not written yet');
  raw.reset();
  await until(async () => (await stats()).out_queued_bytes === 0, 'the end of the connection');
  const lines = await second.poll();
  assert.ok(!lines.some((line) => line.includes('theirs')), lines.map((line) => line.slice(0, 60)).join());
  assert.match(lines.join(''), /c\[4200,/);
});

test('a client that sends too much is slowed down, and loses nothing', async (t) => {
  const host = await startHost({ apps: [{ ...APP, max_client_messages_per_s: 400, max_channels_per_connection: 50 }] }, t);
  const client = await open(t, host);
  const pings = Array.from({ length: 50 }, () => ({ event: 'pusher:ping', data: {} }));
  const begin = Date.now();
  for (let i = 0; i < 20; i++) assert.equal((await client.send(pings)).status, 204);
  for (let i = 0; i < 1000; i++) await client.event('pusher:pong');
  assert.ok(Date.now() - begin > 800, '1000 messages at 410 in a second, after a burst of 460 and a last request of 50');
});

test('a receiver that shuts its half has left, and a message that is too long closes', async (t) => {
  const host = await startHost({ options: { max_frame_bytes: 65536, max_http_body_bytes: 1048576 }, constants: QUICK }, t);
  const watcher = await connect(host);
  await watcher.subscribe('presence-a', { user_id: 'watcher' });
  const client = new XhrClient(host);
  const socket = net.connect({ port: host.port, host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  socket.on('data', (data) => { text += data; });
  socket.write(`POST /app/${APP.key}/${client.session}/xhr_streaming?${QUERY} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
  await until(() => /socket_id/.test(text), 'connection_established');
  client.socketId = /(\d+\.\d+)/.exec(text.slice(text.indexOf('socket_id')))[1];
  const channel_data = '{"user_id":"half"}';
  const { channelAuth } = require('./lib.js');
  await client.send([{ event: 'pusher:subscribe', data: { channel: 'presence-a', channel_data, auth: channelAuth(APP, client.socketId, 'presence-a', channel_data) } }]);
  await watcher.event('pusher_internal:member_added');
  socket.end();
  await watcher.event('pusher_internal:member_removed');
  socket.destroy();

  const long = await open(t, host);
  assert.equal((await long.send([{ event: 'pusher:ping', data: { fill: 'x'.repeat(70000) } }])).status, 204);
  await until(() => long.lines.all.some((line) => line.startsWith('c[1009,')), 'the close');
});

test('sessions that were left make room, and clients that are there stay', async (t) => {
  const host = await startHost({ options: { max_unestablished: 16 } }, t);
  const honest = await open(t, host);
  await honest.subscribe('a');
  for (let i = 0; i < 100; i++) await new XhrClient(host).poll();
  const { connections } = await host.do('stats');
  assert.ok(connections <= 1 + 17, `${connections}`);
  await host.publish('a', 'n', '1');
  assert.equal((await honest.event('n')).data, '1');
});

test('sessions that an address has left make room for others of that address, not of another one', async (t) => {
  const host = await startHost({ options: { max_unestablished: 64, max_unestablished_per_ip: 4 } }, t);
  const away = new XhrClient(host);
  await away.poll(); // it will come again
  const agent = new http.Agent({ localAddress: '127.0.0.2' });
  for (let i = 0; i < 100; i++) await new XhrClient(host, { agent }).poll();
  const { connections } = await host.do('stats');
  assert.ok(connections <= 1 + 5, `${connections}`);
  const polling = away.poll();
  await away.subscribe('a');
  await polling;
  assert.ok(away.frames.all.some((f) => f.event === 'pusher_internal:subscription_succeeded'));
});

test('nothing is left when all have gone', async (t) => {
  const host = await startHost({ options: { worker_count: 2 }, constants: QUICK }, t);
  const clients = await Promise.all(Array.from({ length: 40 }, () => new XhrClient(host).stream()));
  for (const client of clients) await client.established();
  await Promise.all(clients.map((client) => client.subscribe('a')));
  assert.equal((await host.do('stats')).connections, 40);
  for (const client of clients) client.abort();
  await until(async () => { const s = await host.do('stats'); return s.connections === 0 && s.subscriptions === 0 && s.channels === 0; }, 'nothing');
  await sleep(50);
  await within(host.publish('a', 'n', '{}'), 'a publish');
});
