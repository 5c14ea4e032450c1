'use strict';
// The HTTP fallback transports, byte by byte: section 9 of the protocol's description. Stock clients use them in
// integration/stock-over-xhr-*.test.js.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, connect, startHost, tcp, until, within } = require('../integration/lib.js');
const { QUERY, XhrClient } = require('../integration/xhr.js');

const OTHER = { id: 'other', key: 'other-key', secret: 'other-secret' };
const FULL = { id: 'full', key: 'full-key', secret: 'full-secret', max_connections: 1 };

const CONFIG = { apps: [{ ...APP, subscription_count_events: false }, OTHER, FULL], options: { worker_count: 3 } };
// Where clients leave, it is soon; in all other tests a busy machine must not make one leave.
const SOON = { ...CONFIG, constants: { fallback_absence_ms: 2500, fallback_heartbeat_ms: 700 } };

let host;
before(async () => { host = await startHost({ ...CONFIG, constants: { fallback_absence_ms: 60000, fallback_heartbeat_ms: 2000 } }); });

/** A client that is established, by a stream. */
const open = async (t, options = {}) => {
  const client = await (await new XhrClient(options.server || host, options).stream()).established();
  t.after(() => client.abort());
  return client;
};

test('#195 a stream of a new session begins with o and connection_established', async (t) => {
  for (const prefix of ['/pusher', '']) {
    const client = await open(t, { prefix });
    assert.equal(client.res.statusCode, 200);
    assert.equal(client.lines.all[0], 'o');
    assert.match(client.lines.all[1], /^a\["\{\\"event\\":\\"pusher:connection_established\\"/);
    assert.match(client.socketId, /^\d+\.\d+$/);
    assert.equal(client.res.headers['transfer-encoding'], 'chunked');
    assert.match(client.res.headers['cache-control'], /no-transform/);
    assert.equal(client.res.headers['x-accel-buffering'], 'no');
    assert.equal(client.res.headers['access-control-allow-origin'], '*');
    assert.match(client.res.headers['content-type'], /^application\/javascript/);
  }
});

test('#196 each message is a JSON string in a line of its own', async (t) => {
  const client = await open(t);
  await client.subscribe('a');
  const data = JSON.stringify({ text: 'quote " backslash \\ line \n\r\u2028 control \u0001 Größe 😀' });
  await host.publish('a', 'n', data);
  assert.equal((await client.event('n')).data, data);
  for (const line of client.lines.all) assert.match(line, /^(o|h|a\["[^\n]*"\])$/);
});

test('#197 an array of messages is taken, in its order', async (t) => {
  const client = await open(t);
  const names = Array.from({ length: 20 }, (_, i) => `c${i}`);
  const { status, text } = await client.send(names.map((channel) => ({ event: 'pusher:subscribe', data: { channel } })));
  assert.deepEqual([status, text], [204, '']);
  for (const name of names) assert.equal((await client.event('pusher_internal:subscription_succeeded')).channel, name);
});

test('#198 an empty array is answered with a line, at most twice a second', async (t) => {
  const client = await open(t);
  await new Promise((resolve) => { setTimeout(resolve, 550); });
  const before = client.lines.all.length;
  assert.equal((await client.send('[]')).status, 204);
  await until(() => client.lines.all.slice(before).includes('h'), 'a heartbeat');
  const poller = new XhrClient(host);
  await poller.poll();
  const held = poller.poll();
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  await poller.send('[]');
  assert.deepEqual(await held, ['h']);
});

test('#199 unknown sessions and broken bodies are errors of the request only', async (t) => {
  const client = await open(t);
  assert.equal((await new XhrClient(host).send(['{}'])).status, 404);
  assert.equal((await new XhrClient(host, { app: OTHER, session: client.session }).send(['{}'])).status, 404); // another app's key
  for (const [body, status, text] of [['', 500, /^Payload expected\./], ['[1', 500, /^Broken JSON encoding\./], ['{}', 500, /^Broken JSON/], ['"a"', 500, /^Broken JSON/],
    ['[1]', 500, /^Broken JSON/], ['["a", null]', 500, /^Broken JSON/], [JSON.stringify(Array(101).fill('{}')), 413, /100 messages/]]) {
    const got = await client.send(body);
    assert.equal(got.status, status, body);
    assert.match(got.text, text);
  }
  await client.subscribe('still-there');
});

test('#200 a stream does not end, whatever it has carried', async (t) => {
  const client = await open(t);
  await client.subscribe('a');
  const data = JSON.stringify({ fill: 'x'.repeat(9000) });
  for (let n = 0; n < 250; n++) await host.publish('a', 'n', data); // 2.2 MB
  for (let n = 0; n < 250; n++) await client.event('n');
  assert.equal(await Promise.race([client.ended, new Promise((resolve) => { setTimeout(resolve, 100, 'open'); })]), 'open');
});

test('#201 a session goes on in another stream, and loses nothing in between', async (t) => {
  const client = await open(t);
  await client.subscribe('a');
  for (let round = 0; round < 5; round++) {
    if (round % 2) { // otherwise the newest wins
      const { sockets } = await host.do('stats');
      client.abort();
      // what was under way when the client gave up is lost, with every transport
      await until(async () => (await host.do('stats')).sockets < sockets, 'the server to see it');
    }
    for (let n = 0; n < 3; n++) await host.publish('a', 'n', JSON.stringify({ round, n }));
    await client.stream();
    for (let n = 0; n < 3; n++) assert.deepEqual(JSON.parse((await client.event('n')).data), { round, n });
  }
  assert.equal(client.lines.all.filter((line) => line === 'o').length, 1);
  await client.subscribe('b');
});

test('#202 polls: the first opens, later ones wait for frames or for a heartbeat', async () => {
  const client = new XhrClient(host);
  const [first, second] = await client.poll();
  assert.equal(first, 'o');
  assert.match(second, /connection_established/);
  await client.established();
  const held = client.poll();
  const subscribed = client.subscribe('a');
  assert.match((await held).join('\n'), /subscription_succeeded/);
  await subscribed;
  assert.deepEqual(await client.poll(), ['h']); // after fallback_heartbeat_ms
  const waiting = client.poll();
  await host.publish('a', 'n', '{"x":1}');
  assert.match((await waiting).join('\n'), /"\{\\\\\\"x\\\\\\":1\}/);
});

test('#203 the server closes with a code, and says it again', async (t) => {
  const client = await open(t);
  await host.do('disconnect', { socket_id: client.socketId, code: 4100 });
  await until(() => client.lines.all.some((line) => line.startsWith('c[')), 'a close');
  const [close] = client.lines.all.filter((line) => line.startsWith('c['));
  assert.match(close, /^c\[4100,".*"\]$/);
  assert.equal(await within(client.ended, 'the end'), 'end');
  assert.equal((await client.poll()).at(-1), close);
  assert.equal((await client.send(['{}'])).status, 404);
  for (const [options, code] of [[{ app: { key: 'nobody' } }, 4001], [{ query: 'protocol=3' }, 4007], [{ query: '' }, 4008]]) {
    const lines = await new XhrClient(host, options).poll();
    assert.equal(lines[0], 'o');
    assert.match(lines[1], /^a\["\{\\"event\\":\\"pusher:error\\"/);
    assert.ok(lines[2].startsWith(`c[${code},`), lines[2]);
  }
});

test('#204 a client without a receiving request has left after a while', async (t) => {
  const host = await startHost(SOON, t);
  const watcher = await connect(host);
  await watcher.subscribe('presence-a', { user_id: 'watcher' });
  const client = await open(t, { server: host });
  await client.subscribe('presence-a', { user_id: 'bob' });
  assert.equal(JSON.parse((await watcher.event('pusher_internal:member_added')).data).user_id, 'bob');
  client.abort();
  assert.equal(JSON.parse((await watcher.event('pusher_internal:member_removed')).data).user_id, 'bob');
  assert.equal((await client.send(['{}'])).status, 404);
  const before = client.lines.all.length;
  await client.stream(); // a new session: pusher-js sees that the old one is lost
  await until(() => client.lines.all.length > before);
  assert.equal(client.lines.all[before], 'o');
  // one that only polls is there all the time
  const poller = new XhrClient(host);
  await poller.poll();
  await poller.established();
  const polling = poller.poll();
  await poller.subscribe('presence-a', { user_id: 'eve' });
  await polling;
  for (let i = 0; i < 4; i++) await poller.poll(); // each waits for fallback_heartbeat_ms
  assert.ok(!watcher.frames.some((f) => f.event === 'pusher_internal:member_removed' && JSON.parse(f.data).user_id === 'eve'));
});

test('#205 preflights of all three addresses are answered', async () => {
  for (const action of ['xhr_streaming', 'xhr', 'xhr_send']) {
    const res = await new XhrClient(host).request(action, { method: 'OPTIONS', headers: { Origin: 'http://page.example', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' } });
    assert.equal(res.statusCode, 204);
    assert.equal(res.headers['access-control-allow-origin'], '*');
    assert.match(res.headers['access-control-allow-methods'], /POST/);
    assert.match(res.headers['access-control-allow-headers'], /Content-Type/i);
    assert.equal(res.headers['access-control-max-age'], '31536000');
    res.resume();
    assert.equal((await new XhrClient(host).request(action, { method: 'GET' })).statusCode, 405);
  }
});

test('#206 subscriptions, events, client events and presence are those of a WebSocket', async (t) => {
  const [socket, client] = [await connect(host), await open(t)];
  for (const channel of ['orders', 'private-orders']) await Promise.all([socket.subscribe(channel), client.subscribe(channel)]);
  for (const [who, user_id] of [[socket, 'a'], [client, 'b']]) await who.subscribe('presence-orders', { user_id, user_info: { name: user_id } });
  assert.equal(JSON.parse((await socket.event('pusher_internal:member_added')).data).user_id, 'b');
  await api(host, 'POST', '/events', { body: { name: 'paid', channels: ['orders', 'private-orders', 'presence-orders'], data: '{"id":1}' } });
  await client.send([{ event: 'client-typing', channel: 'private-orders', data: { on: true } }]);
  await socket.event('client-typing');
  socket.send({ event: 'client-typing', channel: 'private-orders', data: { on: false } });
  await client.event('client-typing');
  const of = (frames) => frames.filter((f) => f.event === 'paid').map(({ channel, data }) => [channel, data]).sort();
  assert.deepEqual(of(client.frames.all), of(socket.frames));
  assert.equal(of(socket.frames).length, 3);
  await client.send([{ event: 'pusher:ping', data: {} }]);
  await client.event('pusher:pong');
  await client.send(['{"event":']);
  assert.match((await client.event('pusher:error')).data.message, /Invalid message/);
  await client.send([{ event: 'pusher:unsubscribe', data: { channel: 'presence-orders' } }]);
  assert.equal(JSON.parse((await socket.event('pusher_internal:member_removed')).data).user_id, 'b');
});

test('limits count a session, not its requests', async (t) => {
  const host = await startHost(SOON, t);
  const client = await open(t, { server: host, app: FULL });
  const lines = await new XhrClient(host, { app: FULL }).poll();
  assert.match(lines.at(-1), /^c\[4004,/);
  for (let i = 0; i < 5; i++) await client.stream();
  assert.equal((await host.do('stats')).connections >= 1, true);
  client.abort();
  await until(async () => (await new XhrClient(host, { app: FULL }).poll()).every((line) => !line.startsWith('c[')), 'room again');
});

test('HTTP/1.0 gets lines without chunks, and an end', async () => {
  const raw = await tcp(host);
  raw.write(`POST /app/${APP.key}/1/abcdefgh${Date.now()}/xhr?${QUERY} HTTP/1.0\r\nContent-Length: 0\r\n\r\n`);
  await raw.over();
  assert.match(raw.text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(raw.text, /Transfer-Encoding/);
  assert.match(raw.text, /\r\n\r\no\na\["\{\\"event\\":\\"pusher:connection_established\\".*"\]\n$/s);
});

test('names that could be guessed are no sessions', async () => {
  for (const session of ['1/short', '1/with%2Fslash00', '1/dots..dots..', '1', '1/2/abcdefgh', `1/${'x'.repeat(65)}`]) {
    const res = await new XhrClient(host, { session }).request('xhr');
    assert.equal(res.statusCode, 404, session);
    res.resume();
  }
});

test('a paced stop tells clients over HTTP as well', async (t) => {
  const own = await startHost({ options: { worker_count: 2 } }, t);
  const clients = await Promise.all(Array.from({ length: 6 }, () => open(t, { server: own })));
  const polling = new XhrClient(own);
  await polling.poll();
  const held = polling.poll();
  await until(async () => (await own.do('stats')).sockets_unestablished === 0, 'the request to wait there');
  await own.do('stop', { grace_ms: 200 });
  for (const client of clients) await until(() => client.lines.all.some((line) => line.startsWith('c[4200,')), 'a goodbye');
  assert.match((await held).at(-1), /^c\[4200,/);
  await own.event('stopped');
});
