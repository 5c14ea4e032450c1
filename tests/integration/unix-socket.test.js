'use strict';
// 12.3: a unix socket beside the port, for publishers and proxies on this machine.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, BUILD, Client, Program, connect, signedQuery, startHost, startServe, trigger, within } = require('./lib.js');

function folder(t) {
  const name = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-unix-'));
  t.after(() => fs.rmSync(name, { recursive: true }));
  return name;
}

/** One request through the socket: {status, text}. */
function ask(socketPath, method, target, { body = '', headers = {} } = {}) {
  return within(new Promise((resolve, reject) => {
    const req = http.request({ socketPath, method, path: target, headers, agent: false }, (res) => {
      let text = '';
      res.on('data', (chunk) => { text += chunk; });
      res.on('end', () => resolve({ status: res.statusCode, text }));
    });
    req.on('error', reject);
    req.end(body);
  }), `${method} ${target}`);
}

function publish(socketPath, channel, data) {
  const body = JSON.stringify({ name: 'e', channels: [channel], data });
  return ask(socketPath, 'POST', `/apps/${APP.id}/events?${signedQuery(APP, 'POST', `/apps/${APP.id}/events`, { body })}`, { body, headers: { 'Content-Type': 'application/json' } });
}

/** A WebSocket client through the socket, established. */
async function join(socketPath, headers = {}) {
  const client = new Client(`ws+unix://${socketPath}:/app/${APP.key}?protocol=7`, [], { headers });
  client.app = APP;
  const first = await client.next();
  if (first.event === 'pusher:connection_established') client.socketId = JSON.parse(first.data).socket_id;
  return client;
}

const config = (t, content) => {
  const file = path.join(folder(t), 'pusherc.json');
  fs.writeFileSync(file, JSON.stringify(content));
  return file;
};

for (const workers of ['1', '3']) {
  test(`publishers and clients come by the socket as by the port, with ${workers} workers`, async (t) => {
    const socket = path.join(folder(t), 'p.sock');
    const serve = await startServe(['--unix-socket', socket, '--workers', workers], t);
    assert.equal(fs.statSync(socket).mode & 0o7777, 0o660);
    const clients = [];
    for (let i = 0; i < 8; i++) clients.push(await (i % 2 ? join(socket) : connect(serve)));
    for (const client of clients) await client.subscribe('news');
    assert.equal((await publish(socket, 'news', 'by the socket')).status, 200);
    await trigger(serve, 'news', 'e', 'by the port');
    for (const client of clients) {
      assert.equal((await client.event('e')).data, 'by the socket');
      assert.equal((await client.event('e')).data, 'by the port');
      await client.close();
    }
    for (let i = 0; i < 50; i++) assert.equal((await ask(socket, 'GET', '/ready')).status, 200);
  });
}

test('the file goes with the server; one of a server that was killed is replaced; one in use stays', async (t) => {
  const socket = path.join(folder(t), 'p.sock');
  const first = await startServe(['--unix-socket', socket], t);
  first.child.kill('SIGKILL');
  await first.exited;
  first.end = async () => {};
  assert.ok(fs.existsSync(socket));

  const second = await startServe(['--unix-socket', socket, '--unix-socket-mode', '600'], t);
  assert.equal(fs.statSync(socket).mode & 0o7777, 0o600);
  const third = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', '--unix-socket', socket]);
  assert.equal((await third.exited).code, 1);
  assert.equal(third.stderr, `pusherc: address in use: unix:${socket}\n`);
  assert.equal((await ask(socket, 'GET', '/ready')).status, 200);

  await second.end();
  assert.ok(!fs.existsSync(socket));
});

test('a stop closes the clients of the socket as those of the port', async (t) => {
  const socket = path.join(folder(t), 'p.sock');
  const serve = await startServe(['--unix-socket', socket, '--workers', '2', '--grace-ms', '50'], t);
  const clients = [];
  for (let i = 0; i < 6; i++) clients.push(await join(socket));
  serve.child.kill('SIGTERM');
  for (const client of clients) assert.equal((await client.closed()).code, 4200);
  await serve.exited;
  assert.ok(!fs.existsSync(socket));
});

test('no limit of addresses counts the socket, unless a proxy tells the address', async (t) => {
  const socket = path.join(folder(t), 'p.sock');
  const apps = [{ ...APP, max_connections_per_ip: 1 }];
  for (const proxies of [0, 1]) {
    const file = config(t, { apps, proxy_count: proxies, unix_socket: socket, unix_socket_mode: '660', port: 0, metrics: false });
    const serve = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--config', file]);
    await serve.listening();
    const from = (address) => join(socket, { 'X-Forwarded-For': address });
    const clients = [await from('192.0.2.1'), await from('192.0.2.2'), await join(socket), await join(socket)];
    for (const client of clients) assert.ok(client.socketId, JSON.stringify(client.frames));
    const again = await from('192.0.2.1');
    if (proxies) assert.equal((await again.closed()).code, 4004);
    else assert.ok(again.socketId); // the field is not believed: the address is unknown
    for (const client of [...clients, again]) client.ws.terminate();
    serve.child.kill('SIGTERM');
    await serve.ends();
  }
});

for (const config of [{ mode: 'threads' }, { mode: 'threads', options: { worker_count: 3 } }, { mode: 'attach' }, { mode: 'poll' }]) {
  test(`${JSON.stringify(config)}: hooks are told of the socket; metrics have one of their own`, async (t) => {
    const [socket, metrics] = ['c', 'm'].map((name) => path.join(folder(t), name));
    const host = await startHost({ ...config, hooks: ['on_http', 'on_open'], unix_sockets: [`unix:${socket}`, `unix:${metrics}`] }, t);
    assert.equal(JSON.parse((await ask(socket, 'GET', '/pages/a')).text).peer, 'unix:');
    const client = await join(socket);
    assert.equal((await host.event('open', { socket_id: client.socketId })).client_ip, '');
    await client.subscribe('news');
    await host.publish('news', 'e');
    await client.event('e');
    assert.match((await ask(metrics, 'GET', '/metrics')).text, /connected/);
    // Browsers cannot open the socket, and a proxy may pass on what they send: a public name in Host is refused here, too.
    assert.equal((await ask(metrics, 'GET', '/metrics', { headers: { Host: 'evil.example' } })).status, 403);
    assert.equal((await ask(metrics, 'GET', '/app/x')).status, 404);
    await client.close();
    await host.end();
    assert.ok(!fs.existsSync(socket) && !fs.existsSync(metrics));
  });
}

test('what cannot be a socket is said in one sentence', async () => {
  const complains = async (args, sentence, code) => {
    const program = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', ...args]);
    assert.equal((await program.exited).code, code);
    assert.equal(program.stderr, `pusherc: ${sentence}\n`);
  };
  await complains(['--unix-socket', 'p.sock'], 'unix_socket must be a path from / on, not "p.sock"', 2);
  await complains(['--unix-socket', '/p', '--unix-socket-mode', '689'], '--unix-socket-mode must be permissions in octal, such as 660, not "689"', 2);
  await complains(['--unix-socket', '/no/such/p.sock'], 'no such directory: unix:/no/such/p.sock', 1);
  await complains(['--unix-socket', `/${'a'.repeat(107)}`], `unix:/${'a'.repeat(99)}: write the path from / on, with at most 107 bytes`, 1);
});
