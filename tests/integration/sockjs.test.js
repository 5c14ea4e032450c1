'use strict';
// Clients of SockJS's own library, as pusher-js's transport `sockjs` uses it: the first message says which app is meant.

const assert = require('node:assert/strict');
const http = require('node:http');
const { test } = require('node:test');
const SockJS = require('sockjs-client');
const { APP, CLIENT_QUERY, Inbox, channelAuth, connect, sleep, startHost, tcp, until, within } = require('./lib.js');

const TARGET = `/app/${APP.key}?${CLIENT_QUERY}`;

/** A client of the library; `path` null: it does not say what it wants. */
function client(t, server, { transport = 'xhr-streaming', path = TARGET } = {}) {
  const frames = new Inbox();
  const socket = new SockJS(`http://127.0.0.1:${server.port}/pusher`, null, { transports: [transport] });
  const closed = new Promise((resolve) => { socket.onclose = ({ code, reason }) => { frames.end(`${code} ${reason}`); resolve({ code, reason }); }; });
  const open = new Promise((resolve) => { socket.onopen = () => { if (path !== null) socket.send(JSON.stringify({ path })); resolve(); }; });
  socket.onmessage = ({ data }) => { const frame = JSON.parse(data); frames.push({ ...frame, data: typeof frame.data === 'string' && frame.event.startsWith('pusher') ? JSON.parse(frame.data) : frame.data }); };
  t.after(() => socket.close());
  return {
    socket, frames, closed, open,
    send: (frame) => socket.send(JSON.stringify(frame)),
    event: (name) => frames.next((f) => f.event === name),
  };
}

/** A request by hand, to the end of its answer: {status, headers, text}. */
function ask(server, path, { method = 'POST', body = '', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port: server.port, method, path: `/pusher${path}`, agent: false, headers: { 'Content-Length': Buffer.byteLength(body), ...headers } }, (res) => {
      let text = '';
      res.on('data', (data) => { text += data; });
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text }));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
  });
}

const asks = (target) => JSON.stringify([JSON.stringify({ path: target })]);

for (const workers of [1, 4]) {
  for (const transport of ['xhr-streaming', 'xhr-polling']) {
    test(`${workers} workers: the library connects, subscribes, hears and sends by ${transport}`, async (t) => {
      const host = await startHost({ apps: [{ ...APP, client_events: true }], options: { worker_count: workers } }, t);
      const other = await connect(host);
      await other.subscribe('private-a');
      const clients = await Promise.all(Array.from({ length: 6 }, async () => {
        const c = client(t, host, { transport });
        const { data: { socket_id: id } } = await c.event('pusher:connection_established');
        c.send({ event: 'pusher:subscribe', data: { channel: 'private-a', auth: channelAuth(APP, id, 'private-a') } });
        await c.event('pusher_internal:subscription_succeeded');
        return c;
      }));
      for (let n = 0; n < 20; n++) await host.publish('private-a', 'n', JSON.stringify({ n, text: 'grüß '.repeat(n) }));
      for (const c of clients) for (let n = 0; n < 20; n++) assert.equal((await c.event('n')).data, JSON.stringify({ n, text: 'grüß '.repeat(n) }));
      clients[0].send({ event: 'client-a', channel: 'private-a', data: 'from SockJS' });
      await other.next((f) => f.event === 'client-a' && f.data === 'from SockJS');
      for (const c of clients) c.socket.close();
      await until(async () => (await host.do('stats')).connections === 1, 'the end of the clients');
    });
  }
}

test('an answer ends after 128 KiB, and nothing is lost or comes twice when the library asks again', async (t) => {
  const host = await startHost({ options: {} }, t);
  const c = client(t, host);
  await c.event('pusher:connection_established');
  c.send({ event: 'pusher:subscribe', data: { channel: 'a' } });
  await c.event('pusher_internal:subscription_succeeded');
  const fill = 'x'.repeat(9000);
  for (let n = 0; n < 100; n++) await host.publish('a', 'n', `${n} ${fill}`);
  for (let n = 0; n < 100; n++) assert.equal((await c.event('n')).data.split(' ')[0], String(n));
});

for (const [why, target, code] of [
  ['an unknown app', `/app/nobody?${CLIENT_QUERY}`, 4001],
  ['no version', `/app/${APP.key}`, 4008],
  ['another path', '/elsewhere', 4005],
  ['no key', '/app/', 4005],
]) {
  test(`${why} is refused with its code`, async (t) => {
    const host = await startHost({ options: {} }, t);
    assert.equal((await within(client(t, host, { path: target }).closed, 'the end')).code, code);
    assert.equal((await within(client(t, host, { path: target, transport: 'xhr-polling' }).closed, 'the end')).code, code);
  });
}

test('a client that does not say what it wants is told, and its session ends', async (t) => {
  const host = await startHost({ options: { handshake_timeout_ms: 300 } }, t);
  const c = client(t, host, { path: null });
  await within(c.open, 'the session');
  assert.deepEqual(await within(c.closed, 'its end'), { code: 4005, reason: 'No app was asked for in time' });
});

test('the session is open once, whatever arrives first or twice', async (t) => {
  const host = await startHost({ apps: [APP], options: { worker_count: 2 }, constants: { fallback_absence_ms: 500 } }, t);
  assert.equal((await ask(host, '/0/aaaaaaaa/xhr_send', { body: asks(TARGET) })).status, 404, 'a session has to be begun by receiving');
  assert.equal((await ask(host, '/0/aaaaaaaa/xhr')).text, 'o\n');
  for (const [body, status, text] of [['', 500, 'Payload expected.'], ['{', 500, 'Broken JSON encoding.'], ['[1]', 500, 'Broken JSON encoding.'], ['[]', 204, '']]) {
    const said = await ask(host, '/0/aaaaaaaa/xhr_send', { body });
    assert.deepEqual([said.status, said.text.trim()], [status, text]);
  }
  const both = await Promise.all([1, 2].map(() => ask(host, '/0/aaaaaaaa/xhr_send', { body: asks(TARGET) })));
  assert.deepEqual(both.map((r) => r.status).sort(), [204, 204], 'the second is a message of the open session');
  const lines = (await ask(host, '/0/aaaaaaaa/xhr')).text;
  assert.match(lines, /connection_established/);
  assert.equal((await host.do('stats')).connections, 1);
  await until(async () => (await host.do('stats')).connections === 0, 'the end of the session');
});

test('messages behind the first one, in the same request, are handled', async (t) => {
  const host = await startHost({ options: {} }, t);
  await ask(host, '/0/bbbbbbbb/xhr');
  const body = JSON.stringify([JSON.stringify({ path: TARGET }), JSON.stringify({ event: 'pusher:subscribe', data: { channel: 'a' } })]);
  assert.equal((await ask(host, '/0/bbbbbbbb/xhr_send', { body })).status, 204);
  let text = '';
  while (!text.includes('subscription_succeeded')) text += (await ask(host, '/0/bbbbbbbb/xhr')).text;
  assert.match(text, /connection_established.*subscription_succeeded/s);
});

test('the host is asked who it is while the session waits: now, later, never or no', async (t) => {
  const host = await startHost({ hooks: ['identify'], options: { identify_timeout_ms: 2000 } }, t);
  const said = client(t, host, { path: `${TARGET}&ask=1` });
  const asked = await host.event('identify');
  await sleep(100);
  assert.equal((await host.do('stats')).connections, 0);
  await host.do('identify', { request: asked.request, user: '9' });
  await said.event('pusher:connection_established');
  assert.equal((await within(client(t, host, { path: `${TARGET}&reject=4123` }).closed, 'the refusal')).code, 4123);
  const late = client(t, host, { path: `${TARGET}&ask=1` });
  await host.event('identify');
  assert.deepEqual(await within(late.closed, 'the time-out'), { code: 4009, reason: 'The application did not answer in time' });
  // its session ends while the host is asked
  await ask(host, '/0/eeeeeeee/xhr');
  const sending = ask(host, '/0/eeeeeeee/xhr_send', { body: asks(`${TARGET}&ask=1`) }).catch(() => {});
  await host.event('identify');
  await host.end();
  await sending;
});

test('what the library asks first, and what browsers ask before it', async (t) => {
  const host = await startHost({ options: {} }, t);
  const info = await ask(host, '/info?t=1', { method: 'GET', headers: { Origin: 'http://site.example' } });
  const { entropy, ...rest } = JSON.parse(info.text);
  assert.deepEqual(rest, { websocket: false, origins: ['*:*'], cookie_needed: false });
  assert.ok(Number.isInteger(entropy));
  const again = JSON.parse((await ask(host, '/info', { method: 'GET' })).text).entropy;
  assert.notEqual(again, entropy);
  for (const res of [info, await ask(host, '/0/cccccccc/xhr', { headers: { Origin: 'http://site.example' } }), await ask(host, '/0/cccccccc/xhr_send', { body: '[]', headers: { Origin: 'http://site.example' } }),
    await ask(host, '/0/cccccccc/xhr', { method: 'OPTIONS', headers: { Origin: 'http://site.example' } })])
    assert.deepEqual([res.headers['access-control-allow-origin'], res.headers['access-control-allow-credentials']], ['http://site.example', 'true']);
  // sessions that name their app are read without cookies
  const plain = await ask(host, `/app/${APP.key}/0/dddddddd/xhr?${CLIENT_QUERY}`, { headers: { Origin: 'http://site.example' } });
  assert.deepEqual([plain.headers['access-control-allow-origin'], plain.headers['access-control-allow-credentials']], ['*', undefined]);
});

test('strangers with streams that say nothing make room for others', async (t) => {
  const host = await startHost({ options: { max_unestablished: 20, max_unestablished_per_ip: 20, handshake_timeout_ms: 60000 } }, t);
  const strangers = [];
  for (let i = 0; i < 60; i++) {
    const raw = await tcp(host);
    raw.write(`POST /pusher/0/stranger${i}/xhr_streaming HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
    strangers.push(raw);
  }
  await sleep(1500); // those that have waited so long make room
  const c = client(t, host);
  await c.event('pusher:connection_established');
  for (const raw of strangers) raw.reset();
});
