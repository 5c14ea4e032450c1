'use strict';
// Webhooks: receivers that misbehave, what becomes of what they do not accept, changes while running, stopping, TLS,
// every way to run a server, and `pusherc serve`. What a good receiver gets is in ../conformance/webhooks.test.js.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, connect, startHost, startServe, trigger, until, within } = require('./lib.js');
const { receiver, verify } = require('./receiver.js');

const OCCUPIED = 1, VACATED = 2, CLIENT_EVENT = 16;
const NO_DELAY = 0xffffffff;
const QUICK = { webhook_batch_ms: 20, webhook_delay_ms: 100 };

const start = (t, webhooks, options = {}, more = {}) => startHost(
  { apps: [{ ...APP, webhooks }], options: { worker_count: 2, ...QUICK, ...options }, hooks: ['on_webhook_failed'], ...more }, t);

/** A server that answers each connection as it likes. */
async function tcpServer(t, serve) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { for (const socket of sockets) socket.destroy(); return new Promise((resolve) => { server.close(resolve); }); });
  server.url = `http://127.0.0.1:${server.address().port}/`;
  return server;
}

/** One event, sent only once. */
async function failureOf(t, url, options = {}) {
  const host = await start(t, [{ url, events: OCCUPIED }], { webhook_retry_ms: NO_DELAY, ...options });
  const client = await connect(host);
  await client.subscribe('a');
  const failure = await host.event('webhook_failed');
  await client.close();
  assert.equal(failure.app, APP.id);
  assert.equal(failure.url, url);
  assert.equal(failure.attempts, 1);
  assert.equal(failure.events, 1);
  assert.deepEqual(JSON.parse(failure.body).events, [{ name: 'channel_occupied', channel: 'a' }]);
  const stats = await host.do('stats');
  assert.deepEqual([stats.webhook_requests_total, stats.webhook_failures_total, stats.webhook_given_up_total, stats.webhook_queued], [1, 1, 1, 0]);
  return failure;
}

test('what was not accepted in time is handed to the host, with the reason', async (t) => {
  const answers = { 500: { status: 500 }, 404: { status: 404 }, 302: { status: 302, headers: { Location: '/x' } } };
  for (const [status, answer] of Object.entries(answers)) {
    const r = await receiver(t, () => answer);
    const failure = await failureOf(t, r.url);
    assert.equal(failure.status, Number(status));
    assert.equal(failure.reason, `answered ${status}`);
    assert.equal(r.requests.all.length, 1);
  }
  const hang = await receiver(t, () => ({ hang: true }));
  const late = await failureOf(t, hang.url, { webhook_timeout_ms: 300 });
  assert.match(late.reason, /timed out/i);
  const reset = await receiver(t, () => ({ reset: true }));
  assert.match((await failureOf(t, reset.url)).reason, /reset|recv/i);
  const refused = await tcpServer(t, () => {});
  await new Promise((resolve) => { refused.close(resolve); });
  assert.match((await failureOf(t, refused.url)).reason, /connect/i);
  const unknown = await failureOf(t, 'http://no-such-host.invalid/');
  assert.match(unknown.reason, /resolve/i);
  const silent = await tcpServer(t, (socket) => { socket.end(); });
  assert.match((await failureOf(t, silent.url)).reason, /empty reply/i);
  const nonsense = await tcpServer(t, (socket) => { socket.on('data', () => { socket.end('220 mail.example.org ESMTP\r\n'); }); });
  assert.match((await failureOf(t, nonsense.url)).reason, /./);
  const continues = await tcpServer(t, (socket) => { socket.on('data', () => { socket.write('HTTP/1.1 100 Continue\r\n\r\n'); }); });
  assert.equal((await failureOf(t, continues.url, { webhook_timeout_ms: 2000 })).status, 100);
});

test('a status of 2xx accepts, whatever else is answered', async (t) => {
  const endless = await tcpServer(t, (socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n');
      const more = () => { while (!socket.destroyed && socket.write('x'.repeat(65536))); };
      socket.on('drain', more);
      more();
    });
  });
  const fields = await tcpServer(t, (socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const more = () => { while (!socket.destroyed && socket.write(`X-Filler: ${'x'.repeat(1000)}\r\n`)); };
      socket.on('drain', more);
      more();
    });
  });
  const cut = await tcpServer(t, (socket) => { socket.on('data', () => { socket.end('HTTP/1.1 204 No Content\r\n\r\n'); }); });
  const short = await tcpServer(t, (socket) => { socket.on('data', () => { socket.end('HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nx'); }); });
  const host = await start(t, [endless, fields, cut, short].map(({ url }) => ({ url, events: OCCUPIED })));
  const client = await connect(host);
  await client.subscribe('a');
  await until(async () => (await host.do('stats')).webhook_delivered_total === 4);
  assert.equal((await host.do('stats')).webhook_failures_total, 0);
  await client.close();
});

test('a hundred events arrive in order, once each, at an endpoint that fails now and then', async (t) => {
  let n = 0;
  const r = await receiver(t, () => (++n % 4 === 2 ? { status: 503 } : { status: 200, delay: n % 3 * 10 }));
  const host = await startHost({
    apps: [{ ...APP, max_client_events_per_s: 1000, webhooks: [{ url: r.url, events: CLIENT_EVENT }] }],
    options: { worker_count: 2, ...QUICK, webhook_batch_events: 10 },
  }, t);
  const client = await connect(host);
  await client.subscribe('private-a');
  for (let i = 0; i < 100; i++) client.send({ event: 'client-n', channel: 'private-a', data: i });
  await r.event('client_event', { data: '99' });
  assert.deepEqual(r.events.all.map((e) => e.data), Array.from({ length: 100 }, (_, i) => String(i)));
  assert.equal(r.most, 1, 'one request at a time');
  await client.close();
});

test('a name that nobody looks up holds up nobody', async (t) => {
  const host = await start(t, [{ url: 'http://x.slow.invalid/' }, { url: 'http://y.slow.invalid/' }], { worker_count: 1, webhook_timeout_ms: 500, close_timeout_ms: 500 });
  const client = await connect(host);
  await client.subscribe('a');
  let worst = 0, heard = 0;
  while ((await host.do('stats')).webhook_failures_total < 2) {
    const began = Date.now();
    await trigger(host, 'a', 'event', 'x');
    await client.event('event');
    heard++;
    worst = Math.max(worst, Date.now() - began);
  }
  // A lookup takes five seconds; held up by two of them, the client would have heard of two events until both had failed.
  assert.ok(heard > 2 || worst < 3000, `${heard} events, ${worst} ms`);
  const began = Date.now();
  await host.do('stop');
  await host.event('stopped');
  assert.ok(Date.now() - began < 4000);
  const { reason } = host.events.all.find((e) => e.event === 'webhook_failed');
  assert.match(reason, /resolv|stopped/i);
});

test('above webhook_max_queued events are dropped and counted', async (t) => {
  const r = await receiver(t, () => ({ hang: true }));
  const host = await start(t, [{ url: r.url, events: OCCUPIED }], { webhook_max_queued: 5 });
  const client = await connect(host);
  for (let i = 0; i < 9; i++) await client.subscribe(`a-${i}`);
  await until(async () => (await host.do('stats')).webhook_dropped_total === 4);
  assert.equal((await host.do('stats')).webhook_queued, 5);
  await client.close();
});

test('apps know nothing of each other\'s events', async (t) => {
  const other = { id: 'other', key: 'other-key', secret: 'other-secret', client_events: true };
  const r1 = await receiver(t), r2 = await receiver(t);
  const shared = await receiver(t);
  const host = await startHost({
    apps: [{ ...APP, webhooks: [{ url: r1.url }, { url: shared.url }] }, { ...other, webhooks: [{ url: r2.url }, { url: shared.url }] }],
    options: { worker_count: 2, webhook_batch_ms: 200, webhook_delay_ms: 100 },
  }, t);
  const clients = await Promise.all([connect(host), connect(host, { app: other })]);
  for (let i = 0; i < 20; i++) await Promise.all(clients.map((client, n) => client.subscribe(`presence-${i}`, { user_id: `user-of-${n}` })));
  await Promise.all(clients.map((client) => client.close()));
  await until(() => shared.events.all.length === 160);
  for (const [r, app, user] of [[r1, APP, 'user-of-0'], [r2, other, 'user-of-1']]) {
    await until(() => r.events.all.length === 80);
    for (const request of r.requests.all) verify(request, app);
    assert.ok(r.events.all.every((e) => !e.user_id || e.user_id === user));
  }
  for (const request of shared.requests.all) {
    const app = request.headers['x-pusher-key'] === APP.key ? APP : other;
    verify(request, app);
    assert.ok(request.body.events.every((e) => !e.user_id || e.user_id === (app === APP ? 'user-of-0' : 'user-of-1')));
  }
});

test('A6: visitors, and an app whose endpoints hang, take nothing from an honest client', async (t) => {
  const attacked = { id: 'attacked', key: 'attacked-key', secret: 'attacked-secret' };
  const dead = await receiver(t, () => ({ hang: true }));
  const slow = await receiver(t, () => ({ status: 200, delay: 20 }));
  const host = await startHost({
    apps: [{ ...APP, webhooks: [{ url: slow.url, events: OCCUPIED | VACATED }] },
      { ...attacked, webhooks: Array.from({ length: 16 }, (_, i) => ({ url: `${dead.url}/${i}` })) }],
    options: { worker_count: 2, ...QUICK, webhook_max_queued: 400 },
  }, t);
  const honest = await connect(host);
  const visitors = await Promise.all(Array.from({ length: 10 }, () => connect(host))); // each is read at a limited pace
  const attackers = await Promise.all(Array.from({ length: 10 }, () => connect(host, { app: attacked })));
  for (let round = 0; round < 50; round++) {
    for (const [stranger, name] of [[visitors[round % 10], 'visit'], [attackers[round % 10], 'attack']]) {
      for (let i = 0; i < 100; i++) {
        stranger.send({ event: 'pusher:subscribe', data: { channel: `${name}-${round}-${i}` } });
        stranger.send({ event: 'pusher:unsubscribe', data: { channel: `${name}-${round}-${i}` } });
      }
    }
    await honest.subscribe(`honest-${round}`);
  }
  const heard = () => slow.events.all.filter(({ name, channel }) => name === 'channel_occupied' && channel.startsWith('honest-'));
  await until(() => heard().length === 50);
  assert.deepEqual(heard().map(({ channel }) => channel), Array.from({ length: 50 }, (_, i) => `honest-${i}`));
  assert.equal((await host.do('stats')).webhook_dropped_total, 0);
  const told = new Map(); // each end has its beginning
  for (const { name, channel } of slow.events.all) {
    assert.equal(told.get(channel) || 'channel_vacated', name === 'channel_occupied' ? 'channel_vacated' : 'channel_occupied', channel);
    told.set(channel, name);
  }
  for (const stranger of [...visitors, ...attackers]) stranger.ws.terminate(); // a close would wait behind what they sent
  await honest.close();
});

test('new settings hold for connections that were opened before', async (t) => {
  const r1 = await receiver(t), r2 = await receiver(t);
  const host = await start(t, [{ url: r1.url }]);
  const client = await connect(host);
  await client.subscribe('a');
  await r1.event('channel_occupied', { channel: 'a' });
  await host.do('put_app', { app: { ...APP, secret: 'new-secret', webhooks: [{ url: r2.url }] } });
  await client.subscribe('b');
  await r2.event('channel_occupied', { channel: 'b' });
  verify(r2.requests.all[0], { ...APP, secret: 'new-secret' });
  await host.do('put_app', { app: { ...APP, webhooks: [] } });
  await client.subscribe('c');
  await host.do('put_app', { app: { ...APP, webhooks: [{ url: r2.url }] } });
  await client.unsubscribe('a');
  await r2.event('channel_vacated', { channel: 'a' });
  assert.ok(!r2.events.all.some((e) => e.channel === 'c'));
  assert.equal(r1.requests.all.length, 1);
  await client.close();
});

test('a removed app tells that its channels are vacated', async (t) => {
  const r = await receiver(t);
  const host = await start(t, [{ url: r.url }]);
  const client = await connect(host);
  await client.subscribe('a');
  await host.do('remove_app');
  assert.equal((await client.closed()).code, 4001);
  await r.event('channel_vacated', { channel: 'a' });
});

for (const mode of ['threads', 'attach', 'attach-epoll', 'poll', 'poll-epoll']) {
  const options = mode === 'threads' ? { worker_count: 3 } : { worker_count: 0 };

  test(`${mode}: a stop sends what waits, and tells of the channels that it empties`, async (t) => {
    const r = await receiver(t);
    const host = await start(t, [{ url: r.url }], { ...options, webhook_batch_ms: 60000, webhook_delay_ms: 60000 }, { mode });
    const clients = await Promise.all([1, 2, 3, 4, 5, 6].map(() => connect(host)));
    for (const [i, client] of clients.entries()) await client.subscribe(`a-${i}`);
    await clients[0].unsubscribe('a-0');
    await clients[0].subscribe('a-0');
    assert.equal(r.requests.all.length, 0);
    await host.do('stop', { grace_ms: 300 });
    await host.event('stopped');
    assert.deepEqual(host.events.all.filter((e) => e.event === 'webhook_failed'), []);
    for (const i of clients.keys())
      assert.deepEqual(r.events.all.filter((e) => e.channel === `a-${i}`).map((e) => e.name), ['channel_occupied', 'channel_vacated']);
    assert.equal((await host.do('stats')).webhook_queued, 0);
  });

  test(`${mode}: a stop waits for nobody for long, and leaves nothing untold`, async (t) => {
    const hang = await receiver(t, () => ({ hang: true }));
    const bad = await receiver(t, () => ({ status: 500 }));
    const host = await start(t, [{ url: hang.url }, { url: bad.url }], { ...options, close_timeout_ms: 500 }, { mode });
    const client = await connect(host);
    await client.subscribe('a');
    await until(() => hang.requests.all.length === 1 && bad.requests.all.length === 1);
    await client.subscribe('b');
    const began = Date.now();
    await host.do('stop', { grace_ms: 100 });
    await host.event('stopped');
    assert.ok(Date.now() - began < 9000, `${Date.now() - began} ms: less than a request may take`);
    const failed = host.events.all.filter((e) => e.event === 'webhook_failed');
    assert.ok(host.events.all.findIndex((e) => e.event === 'stopped') > host.events.all.lastIndexOf(failed.at(-1)), 'told before');
    for (const { url } of [hang, bad]) {
      const events = failed.filter((e) => e.url === url).flatMap((e) => JSON.parse(e.body).events);
      assert.deepEqual(events.map((e) => `${e.name} ${e.channel}`).sort(), ['channel_occupied a', 'channel_occupied b', 'channel_vacated a', 'channel_vacated b']);
    }
    assert.ok(failed.some((e) => e.url === bad.url && e.status === 500 && e.reason === 'answered 500'));
    const stats = await host.do('stats');
    assert.deepEqual([stats.webhook_queued, stats.webhook_given_up_total], [0, 8]);
  });
}

test('a server may be freed while requests are under way', async (t) => {
  const hang = await receiver(t, () => ({ hang: true }));
  const host = await start(t, [{ url: hang.url }], { close_timeout_ms: 200 });
  const client = await connect(host);
  await client.subscribe('a');
  await until(() => hang.requests.all.length === 1);
  await host.end(); // the host frees its servers, and must leave nothing behind
});

// -- TLS --

function certificate(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-webhooks-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=test',
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', `${folder}/key.pem`, '-out', `${folder}/cert.pem`], { stdio: 'ignore' });
  return { file: `${folder}/cert.pem`, cert: fs.readFileSync(`${folder}/cert.pem`), key: fs.readFileSync(`${folder}/key.pem`) };
}

test('https:// is sent to whom webhook_ca_file trusts, and to nobody else', async (t) => {
  const { file, ...tls } = certificate(t);
  const r = await receiver(t, undefined, tls);
  const host = await start(t, [{ url: r.url }], { webhook_ca_file: file });
  const client = await connect(host);
  await client.subscribe('a');
  await r.event('channel_occupied', { channel: 'a' });
  verify(r.requests.all[0]);
  await client.close();
  const stranger = await failureOf(t, r.url);
  assert.match(stranger.reason, /certificate/i);
  assert.equal(stranger.status, 0);
});

test('a TLS endpoint that breaks off harms nobody', async (t) => {
  const { file, ...tls } = certificate(t);
  const r = await receiver(t, () => ({ reset: true }), tls);
  const host = await start(t, [{ url: r.url, events: OCCUPIED }], { webhook_ca_file: file, webhook_retry_ms: NO_DELAY });
  const client = await connect(host);
  for (let i = 0; i < 5; i++) {
    await client.subscribe(`a-${i}`);
    await host.event('webhook_failed');
  }
  await trigger(host, 'a-0', 'event', 'still here');
  assert.equal((await client.event('event')).data, 'still here');
  await client.close();
});

// -- pusherc serve --

test('pusherc serve tells the URLs of --webhook, of the config file, and of soketi\'s names', async (t) => {
  const option = await receiver(t), config = await receiver(t), environment = await receiver(t);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-webhooks-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'pusherc.json');
  const write = (webhooks) => fs.writeFileSync(file, JSON.stringify({ webhook_delay_ms: 0, metrics: false, apps: [{ id: 'shop', key: 'shop-key', secret: 'shop-secret', webhooks }] }));
  write([{ url: config.url, event_types: ['channel_occupied'], filter: { channel_name_starts_with: 'a' }, headers: { 'X-Of': 'config' } }]);
  const serve = await startServe(['--config', file, '--webhook', option.url], t, {
    SOKETI_DEFAULT_APP_ID: APP.id, SOKETI_DEFAULT_APP_WEBHOOKS: JSON.stringify([{ url: environment.url }]), SOKETI_WEBHOOKS_BATCHING: 'true', SOKETI_WEBHOOKS_BATCHING_DURATION: '30',
  });
  const shop = { id: 'shop', key: 'shop-key', secret: 'shop-secret' };
  const clients = [await connect(serve), await connect(serve, { app: shop })];
  await clients[0].subscribe('of-default');
  await clients[1].subscribe('a-of-shop');
  await clients[1].subscribe('of-shop');
  await environment.event('channel_occupied', { channel: 'of-default' });
  await option.event('channel_occupied', { channel: 'of-shop' });
  await until(() => option.events.all.length === 3);
  assert.deepEqual(config.events.all, [{ name: 'channel_occupied', channel: 'a-of-shop' }]);
  assert.equal(config.requests.all[0].headers['x-of'], 'config');
  verify(config.requests.all[0], shop);
  assert.deepEqual(environment.events.all, [{ name: 'channel_occupied', channel: 'of-default' }]);
  // and again after SIGHUP
  write([]);
  serve.child.kill('SIGHUP');
  await serve.lines.next((line) => /read again/.test(line));
  await clients[1].subscribe('a-second');
  await option.event('channel_occupied', { channel: 'a-second' });
  assert.equal(config.events.all.length, 1);
  for (const client of clients) await client.close();
  await option.event('channel_vacated', { channel: 'a-second' });
});

test('a slow endpoint does not hold up a stop for longer than the grace allows', async (t) => {
  const hang = await receiver(t, () => ({ hang: true }));
  const serve = await startServe(['--webhook', hang.url], undefined, { SOKETI_SHUTDOWN_GRACE_PERIOD: '200', SOKETI_WEBHOOKS_BATCHING: 'false' });
  const client = await connect(serve);
  await client.subscribe('a');
  await until(() => hang.requests.all.length === 1);
  await within(serve.end(), 'the end', 9500);
  assert.match(serve.stderr, /gave up 1 events for 127\.0\.0\.1:\d+ after 1 attempts/);
  await client.closed();
});
