'use strict';
// The programs in examples/, each with the stock clients, from its first line to a clean end.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { APP, BUILD, Program, TOP, connect, request, tcp, trigger } = require('./lib.js');
const { connected, pusher, sdk, startAuth, subscribe } = require('./clients.js');

async function start(t, name, ...args) {
  const program = new Program(path.join(BUILD, 'examples', name), args);
  t.after(() => { program.child.kill('SIGKILL'); });
  program.port = await program.listening();
  return program;
}

/**
 * Its own way out: after the signal the client that is still connected is told, and it exits with 0. (pusher-js
 * must not be that client: when it cannot come back it tries for ever, and keeps this process.)
 */
async function stops(program, signal, ...clients) {
  for (const client of clients) client.disconnect();
  const last = await connect(program);
  program.child.kill(signal);
  assert.equal((await last.closed()).code, 4200);
  await program.ends();
}

for (const [name, signal] of [['attach_loop', 'SIGTERM'], ['own_threads', 'SIGINT']]) {
  test(`${name}: a browser sees the host's clock`, async (t) => {
    const server = await start(t, name);
    const client = pusher(t, server);
    const clock = await subscribe(client, 'clock');
    const [first, second] = [await clock.inbox.event('tick'), await clock.inbox.event('tick')];
    assert.ok(Math.abs(first.data.now - Date.now() / 1000) < 60);
    assert.ok(second.data.now > first.data.now);
    await stops(server, signal, client);
  });

  test(`${name}: a server SDK publishes to it`, async (t) => {
    const server = await start(t, name);
    const client = pusher(t, server);
    const orders = await subscribe(client, 'orders');
    assert.equal((await sdk(server).trigger('orders', 'paid', { id: 1 })).status, 200);
    assert.deepEqual((await orders.inbox.event('paid')).data, { id: 1 });
    await stops(server, signal === 'SIGTERM' ? 'SIGINT' : 'SIGTERM', client);
  });
}

test('own_threads: tells which channels are occupied', async (t) => {
  const server = await start(t, 'own_threads');
  const client = pusher(t, server);
  await subscribe(client, 'orders');
  client.unsubscribe('orders');
  await subscribe(client, 'clock');
  await stops(server, 'SIGTERM', client);
  assert.match(server.stderr, /orders is occupied\norders is vacated\nclock is occupied\n/);
});

test('poll_mode: answers a client event from its own loop', async (t) => {
  const server = await start(t, 'poll_mode');
  const auth = await startAuth(t);
  const [one, two] = [pusher(t, server, { auth }), pusher(t, server, { auth })];
  const [room, other] = [await subscribe(one, 'private-room'), await subscribe(two, 'private-room')];
  room.trigger('client-ping', { n: 1 });
  assert.deepEqual((await other.inbox.event('client-ping')).data, { n: 1 });
  assert.deepEqual((await other.inbox.event('pong')).data, {});
  await room.inbox.event('pong');
  await trigger(server, 'private-room', 'over-http', '{}');
  await room.inbox.event('over-http');
  await stops(server, 'SIGTERM', one, two);
});

test('poll_mode: SIGINT ends it, too', async (t) => stops(await start(t, 'poll_mode'), 'SIGINT'));

test('adopt_socket: its own page, and the protocol, on one port', async (t) => {
  const server = await start(t, 'adopt_socket');
  assert.deepEqual(await request(server, 'GET', '/hello').then(({ status, text }) => ({ status, text })), { status: 200, text: 'Hello, host!\n' });
  const client = pusher(t, server);
  const orders = await subscribe(client, 'orders');
  assert.equal((await sdk(server).trigger('orders', 'paid', { id: 1 })).status, 200);
  assert.deepEqual((await orders.inbox.event('paid')).data, { id: 1 });
  assert.equal((await request(server, 'GET', '/nothing')).status, 404);
  assert.deepEqual((await sdk(server).get({ path: '/channels' }).then((res) => res.json())).channels, { orders: {} });
  await stops(server, 'SIGTERM', client);
});

test('adopt_socket: a head in pieces, and more than a head', async (t) => {
  const server = await start(t, 'adopt_socket');
  const raw = await tcp(server);
  raw.write('GET /ready HT');
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  raw.write('TP/1.1\r\nHost: x\r\n\r\nGET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await raw.over();
  assert.equal(raw.text.match(/HTTP\/1\.1 200 /g).length, 2);
  await stops(server, 'SIGINT');
});

// The C++ programs are left out of a build without a compiler for C++ or without Asio.
const without = (name) => !fs.existsSync(path.join(BUILD, 'examples', name)) && `${name} was not built`;

/** Rules decide, so there is nothing to fetch. */
const byRule = { channelAuthorization: { customHandler: (_, done) => done(null, { auth: '' }) } };

/* The loop of another library; asio_host has it in two ways. */
for (const [name, ...args] of [['asio_host'], ['asio_host', '0', 'poll'], ['glib_host']]) {
  const what = [name, ...args.slice(1)].join(' ');

  test(`${what}: a rule that waits, a clock and publishers, in one loop`, { skip: without(name) }, async (t) => {
    const server = await start(t, name, ...args);
    const client = pusher(t, server, byRule);
    const [clock, room] = await Promise.all([subscribe(client, 'clock'), subscribe(client, 'private-rooms.1')]);
    await assert.rejects(subscribe(client, 'private-rooms.locked'), /The room is locked/);
    await assert.rejects(subscribe(client, 'private-other'));
    const [first, second] = [await clock.inbox.event('tick'), await clock.inbox.event('tick')];
    assert.ok(second.data.now > first.data.now);
    assert.equal((await sdk(server).trigger('private-rooms.1', 'said', { id: 1 })).status, 200);
    assert.deepEqual((await room.inbox.event('said')).data, { id: 1 });
    await stops(server, 'SIGTERM', client);
  });

  test(`${what}: SIGINT ends it while a question waits`, { skip: without(name) }, async (t) => {
    const server = await start(t, name, ...args);
    const client = pusher(t, server, byRule);
    await subscribe(client, 'clock');
    client.subscribe('private-rooms.1');
    await stops(server, 'SIGINT', client);
  });
}

test('an example says when its port is taken', async (t) => {
  const server = await start(t, 'own_threads');
  for (const name of ['attach_loop', 'own_threads', 'poll_mode', 'adopt_socket', 'asio_host', 'glib_host', 'status-core'].filter((name) => !without(name))) {
    const second = new Program(path.join(BUILD, 'examples', name), [String(server.port)], { cwd: TOP });
    const { code } = await second.exited;
    assert.equal(code, 1, name);
    assert.match(second.stderr, /address.*in use/i);
    assert.deepEqual(second.lines.all, []);
  }
  await stops(server, 'SIGTERM');
});

test('the app of the examples is the one the documentation names', () => assert.deepEqual([APP.id, APP.key, APP.secret], ['app-id', 'app-key', 'app-secret']));
