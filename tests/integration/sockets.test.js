'use strict';
// Sockets that are not established clients: how many there may be, which of them make room, who gets in meanwhile; and
// what the kernel keeps of a client that is cut off.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Duplex } = require('node:stream');
const { after, test } = require('node:test');
const tls = require('node:tls');
const { APP, api, connect, refused, request, rawClient, sleep, startHost, tcp, until, upgradeHead, within, wsFrame } = require('./lib.js');

const FLOOD = { ...APP, max_event_payload_bytes: 60000 };
const LONG = { handshake_timeout_ms: 120000 }; // nothing ends by its deadline
const KEPT = { keep_alive_ms: 120000 };

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-sockets-'));
after(() => fs.rmSync(folder, { recursive: true }));
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${folder}/key`, '-out', `${folder}/crt`,
  '-days', '2', '-subj', '/CN=x', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'pipe' });
const TLS = { cert_file: `${folder}/crt`, key_file: `${folder}/key` };

const stats = (host) => host.do('stats');

/** The server closes a raw client with 4123. */
const disconnect = (host, raw) => host.do('disconnect', { socket_id: /socket_id\\":\\"([0-9.]+)/.exec(raw.text)[1], code: 4123 });
const CLOSED = /\x88.\x10\x1b/s;

/** The first message of a TLS client, and no other. */
async function helloBytes() {
  const hello = [];
  const wire = new Duplex({ read() {}, write(chunk, _, done) { hello.push(chunk); done(); } });
  const client = tls.connect({ socket: wire, servername: 'localhost' });
  client.on('error', () => {});
  await until(() => hello.length, 'a ClientHello');
  client.destroy();
  return Buffer.concat(hello).toString('latin1');
}

/** `count` sockets of one address, opened a few at a time; each is given to `act`. */
async function open(host, count, localAddress, act = async () => {}) {
  const sockets = [];
  for (let i = 0; i < count; i += 50) {
    sockets.push(...await Promise.all(Array.from({ length: Math.min(50, count - i) }, async () => {
      const raw = await tcp(host, { localAddress });
      raw.ended.then(() => { raw.gone = true; }); // by the server
      await act(raw);
      return raw;
    })));
  }
  return sockets;
}

/** Something has come, or the socket had to make room before. */
const answered = (raw) => until(() => raw.text || raw.gone, 'an answer');

const ATTACKS = {
  'mute sockets': async () => {},
  'slow heads': async (raw) => raw.write('GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\n'),
  'kept-alive HTTP connections': async (raw) => {
    raw.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await answered(raw);
  },
  'half bodies': async (raw) => raw.write('POST /apps/app-id/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{'),
  'refused WebSockets that do not close': async (raw) => {
    raw.write(upgradeHead({ key: 'nobody' }));
    await answered(raw);
  },
};

/** Everything that an honest client does works, from this address. */
async function honest(host, localAddress) {
  const client = await connect(host, { localAddress });
  await client.subscribe('private-a');
  assert.equal((await api(host, 'GET', '/channels')).status, 200);
  assert.equal((await request(host, 'GET', '/ready')).status, 200);
  await client.close();
}

for (const [name, act] of Object.entries(ATTACKS)) {
  test(`A5: 1,100 ${name} of one address keep no client out`, async (t) => {
    const host = await startHost({ options: { ...LONG, close_timeout_ms: 120000, max_connections: 200, max_unestablished: 256 }, constants: { ...KEPT, request_timeout_ms: 120000 } }, t);
    const witness = await connect(host);
    const attackers = await open(host, 1100, '127.0.0.66', act);
    for (const address of ['127.0.0.1', '127.0.0.66', '127.0.0.67']) await honest(host, address);
    assert.ok((await stats(host)).sockets_unestablished <= 256, JSON.stringify(await stats(host)));
    assert.ok((await stats(host)).sockets_reclaimed_total >= 1100 - 256);
    assert.ok(witness.isOpen);
    for (const raw of attackers) raw.socket.destroy();
    await witness.close();
  });
}

test('A5: with the defaults 1,100 mute sockets keep no client out, although max_connections is 1,000', async (t) => {
  const host = await startHost({ options: { ...LONG, worker_count: 2, max_connections: 1000 } }, t);
  const attackers = await open(host, 1100, '127.0.0.1');
  await honest(host, '127.0.0.1');
  for (const raw of attackers) raw.socket.destroy();
});

test('A5: attackers from many addresses make room for each other, and keep no client out', async (t) => {
  const host = await startHost({ options: { ...LONG, max_connections: 100, max_unestablished: 100, max_unestablished_per_ip: 20 }, constants: KEPT }, t);
  const attackers = [];
  for (let i = 0; i < 30; i++) attackers.push(...await open(host, 20, `127.0.1.${i + 1}`, Object.values(ATTACKS)[i % 3]));
  for (let i = 0; i < 10; i++) await honest(host, `127.0.2.${i + 1}`);
  assert.ok((await stats(host)).sockets_unestablished <= 100);
  for (const raw of attackers) raw.socket.destroy();
});

test('A5: half TLS handshakes keep no client out', async (t) => {
  const host = await startHost({ tls: TLS, options: { ...LONG, max_connections: 100, max_unestablished: 100 } }, t);
  host.ca = fs.readFileSync(`${folder}/crt`, 'utf8');
  const hello = await helloBytes();
  const attackers = await open(host, 150, '127.0.0.66', async (raw) => raw.write(hello));
  attackers.push(...await open(host, 150, '127.0.0.67', async (raw) => raw.write(hello.slice(0, 20))));
  await honest(host, '127.0.0.1');
  assert.ok((await stats(host)).sockets_unestablished <= 100);
  for (const raw of attackers) raw.socket.destroy();
});

test('A5: a crowd whose requests wait to be read does not push itself out', async (t) => {
  const host = await startHost({ options: { ...LONG, max_unestablished: 16, max_unestablished_per_ip: 0xffffffff } }, t);
  host.child.kill('SIGSTOP');
  const crowd = await open(host, 200, '127.0.0.2', async (raw) => raw.write(upgradeHead()));
  host.child.kill('SIGCONT');
  await until(() => crowd.every((raw) => raw.text.includes('connection_established')), 'all to get in');
  const { sockets_reclaimed_total, sockets_refused_total } = await stats(host);
  assert.deepEqual([sockets_reclaimed_total, sockets_refused_total], [0, 0]);
  for (const raw of crowd) raw.socket.destroy();
});

test('A5: an address has its own share, whose oldest idle socket makes room', async (t) => {
  const host = await startHost({ options: { ...LONG, max_unestablished: 100, max_unestablished_per_ip: 5 }, constants: KEPT }, t);
  const other = await open(host, 5, '127.0.0.3');
  const mine = await open(host, 5, '127.0.0.2');
  await until(async () => (await stats(host)).sockets_unestablished === 10);
  mine.push(...await open(host, 1, '127.0.0.2'));
  await until(() => mine[0].gone, 'the oldest to be closed');
  mine.push(...await open(host, 2, '127.0.0.2'));
  await until(() => mine[1].gone && mine[2].gone, 'the next ones to be closed');
  assert.deepEqual([...mine, ...other].map((raw) => Boolean(raw.gone)), [true, true, true, ...Array(10).fill(false)]);
  const { sockets_unestablished, sockets_reclaimed_total, sockets_refused_total } = await stats(host);
  assert.deepEqual([sockets_unestablished, sockets_reclaimed_total, sockets_refused_total], [10, 3, 0]);
  for (const raw of [...mine, ...other]) raw.socket.destroy();
  await until(async () => (await stats(host)).sockets_unestablished === 0);
});

test('A5: a mute socket makes room before an HTTP connection between requests', async (t) => {
  const host = await startHost({ options: { ...LONG, max_unestablished: 3 }, constants: KEPT }, t);
  const kept = await open(host, 1, '127.0.0.2', ATTACKS['kept-alive HTTP connections']);
  const mute = await open(host, 2, '127.0.0.3');
  await sleep(1100); // both have been idle for a second
  const late = await open(host, 2, '127.0.0.4');
  await until(() => mute.every((raw) => raw.gone));
  assert.ok(!kept[0].gone);
  kept[0].write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await kept[0].has(/HTTP[^]*HTTP/);
  for (const raw of [...kept, ...mute, ...late]) raw.socket.destroy();
});

test('A5: established clients take no place in the share, and a closing one takes one', async (t) => {
  const host = await startHost({ options: { ...LONG, close_timeout_ms: 120000, max_unestablished: 2, max_unestablished_per_ip: 2 } }, t);
  const clients = [];
  for (let i = 0; i < 20; i++) clients.push(await rawClient(host));
  assert.equal((await stats(host)).sockets_unestablished, 0);
  for (const raw of clients) await disconnect(host, raw);
  for (const raw of clients) await raw.has(CLOSED);
  assert.equal((await stats(host)).sockets_unestablished, 20); // none is cut off for it ...
  await honest(host, '127.0.0.1'); // ... and they make room
  for (const raw of clients) raw.socket.destroy();
});

test('A5: behind proxies all sockets have the address of a proxy, which has no limit unless one is set', async (t) => {
  const behind = (options) => startHost({ options: { ...LONG, proxy_count: 1, max_unestablished: 300, ...options } }, t);
  for (const [options, expected] of [[{}, 300], [{ max_unestablished_per_ip: 10 }, 10]]) {
    const host = await behind(options);
    const sockets = await open(host, 320, '127.0.0.1');
    await until(async () => (await stats(host)).sockets_reclaimed_total >= 320 - expected);
    await until(async () => (await stats(host)).sockets_unestablished === expected, `${expected} to be left`);
    for (const raw of sockets) raw.socket.destroy();
  }
});

const ask = async (host, localAddress) => {
  const raw = await tcp(host, { localAddress });
  raw.write(upgradeHead(APP, 'protocol=7&ask=1'));
  return raw;
};

test('A5: a client that waits for the host never makes room; its address is refused, others are not', async (t) => {
  const host = await startHost({ hooks: ['identify'], options: { ...LONG, identify_timeout_ms: 60000, max_unestablished: 8, max_unestablished_per_ip: 4 } }, t);
  const asked = [];
  for (let i = 0; i < 4; i++) {
    await ask(host, '127.0.0.2');
    asked.push((await host.event('identify')).request);
  }
  tcp(host, { localAddress: '127.0.0.2' }).catch(() => {}); // it is reset
  await until(async () => (await stats(host)).sockets_refused_total === 1);
  await (await connect(host, { localAddress: '127.0.0.3' })).close();

  // with all places taken by clients that wait, new ones wait in the kernel until one is answered
  for (let i = 0; i < 4; i++) {
    await ask(host, '127.0.0.3');
    asked.push((await host.event('identify')).request);
  }
  const late = connect(host, { localAddress: '127.0.0.4' });
  await sleep(300);
  assert.equal((await stats(host)).sockets_unestablished, 8);
  await host.do('identify', { request: asked.pop() });
  await (await late).close();
  for (const number of asked) await host.try('identify', { request: number });
});

for (const [how, leave] of [['FIN', (raw) => raw.socket.destroy()], ['a reset', (raw) => raw.reset()], ['FIN after more input', (raw) => { raw.write('x'.repeat(1000)); raw.socket.end(); }]]) {
  test(`A5: a client that leaves with ${how} while identify is asked gives its place back at once`, async (t) => {
    const app = { ...APP, max_connections: 1, max_connections_per_ip: 1 };
    const host = await startHost({ apps: [app], hooks: ['identify'], options: { identify_timeout_ms: 120000, max_connections: 1, max_unestablished: 3 } }, t);
    for (let i = 0; i < 10; i++) {
      const raw = await ask(host, '127.0.0.1');
      const { request: number } = await host.event('identify');
      assert.equal((await refused(host, { app })).code, 4004);
      leave(raw);
      await until(async () => (await stats(host)).sockets === 0);
      await (await connect(host, { app })).close();
      await until(async () => (await stats(host)).sockets === 0);
      assert.equal((await host.try('identify', { request: number })).rc, 'ECANCELED');
    }
  });
}

test('A5: a client of the auth endpoint that left while identify is asked makes room', async (t) => {
  const host = await startHost({ hooks: ['identify'], options: { ...LONG, identify_timeout_ms: 120000, max_unestablished: 4 } }, t);
  const numbers = [];
  for (let i = 0; i < 4; i++) {
    const raw = await tcp(host);
    raw.write('POST /broadcasting/user-auth?ask=1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 13\r\n\r\nsocket_id=1.2');
    numbers.push((await host.event('identify')).request);
    raw.socket.destroy();
  }
  await (await connect(host)).close();
  for (const number of numbers) await host.try('identify', { request: number });
});

test("A5: clients' sockets do not keep operators out, nor operators' sockets clients", async (t) => {
  const host = await startHost({ metrics: true, options: { ...LONG, max_unestablished: 6 } }, t);
  const metrics = { port: (await host.do('metrics')).port };
  const mute = [...await open(host, 20, '127.0.0.2'), ...await open(metrics, 20, '127.0.0.2')];
  const page = await request(metrics, 'GET', '/metrics');
  assert.match(page.text, /pusherc_sockets_unestablished\{[^}]*\} 12\n/);
  assert.match(page.text, /pusherc_sockets_reclaimed_total\{[^}]*\} 29\n/);
  assert.match(page.text, /pusherc_sockets_refused_total\{[^}]*\} 0\n/);
  await honest(host, '127.0.0.1');
  for (const raw of mute) raw.socket.destroy();
});

// -- A8: what the kernel keeps --

/** Of the connections to this port: the bytes that the server's kernel holds for clients, and the ends of this client's. */
function kernel(port, clientPort) {
  const hex = (n) => `:${n.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = fs.readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1).map((row) => row.trim().split(/\s+/)).filter((row) => row[3] && row[3] !== '0A');
  const queued = rows.filter(([, local]) => local.endsWith(hex(port))).map((row) => parseInt(row[4].split(':')[0], 16));
  const ends = rows.filter((row) => row[1].endsWith(hex(port)) && row[2].endsWith(hex(clientPort || 0)) || row[2].endsWith(hex(port)) && row[1].endsWith(hex(clientPort || 0)));
  return { unsent: queued.reduce((sum, n) => sum + n, 0), ends: ends.length };
}

const unsent = (port) => kernel(port).unsent;

const SUBSCRIBE = wsFrame(1, '{"event":"pusher:subscribe","data":{"channel":"a"}}').toString('latin1');

/** Publishes until the client that does not read is closed as too slow. */
async function overflow(host, raw) {
  raw.socket.pause();
  raw.write(SUBSCRIBE);
  await until(async () => {
    await host.publish('a', 'n', 'x'.repeat(50000)).catch(() => {});
    return (await stats(host)).slow_closed_total;
  });
}

test('A8: nothing stays in the kernel of a client that does not read and is cut off', async (t) => {
  const host = await startHost({ apps: [FLOOD], options: { close_timeout_ms: 300, out_hard_bytes: 262144, out_soft_bytes: 65536 } }, t);
  const raw = await rawClient(host);
  const { localPort } = raw.socket;
  assert.equal(kernel(host.port, localPort).ends, 2);
  await overflow(host, raw);
  assert.ok(unsent(host.port) > 2500000, `${unsent(host.port)} bytes`);
  await until(async () => (await stats(host)).sockets === 0);
  const none = JSON.stringify({ unsent: 0, ends: 0 });
  await until(() => JSON.stringify(kernel(host.port, localPort)) === none, 'both ends to be gone: it was reset'); // FIN_WAIT would last a minute
  raw.socket.resume();
  await raw.over();
});

test('A8: what an HTTP client does not read does not stay in the kernel either', async (t) => {
  const host = await startHost({ apps: [FLOOD], options: { close_timeout_ms: 300 }, constants: { keep_alive_ms: 500 } }, t);
  const raw = await tcp(host);
  raw.socket.pause();
  raw.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100000));
  await until(async () => (await stats(host)).sockets === 1 && unsent(host.port) > 100000, 'the socket to fill');
  await until(async () => (await stats(host)).sockets === 0, 'the client to be cut off');
  await until(() => unsent(host.port) === 0, 'the kernel to forget it');
  raw.socket.destroy();
});

test('A8: a client whose last bytes are in the kernel and which does not read is forgotten after close_timeout_ms', async (t) => {
  const host = await startHost({ apps: [FLOOD], options: { close_timeout_ms: 1000, out_hard_bytes: 1 << 26, out_soft_bytes: 1 << 25 } }, t);
  const raw = await rawClient(host);
  raw.socket.pause();
  raw.write(SUBSCRIBE);
  await until(async () => (await host.do('channel', { channel: 'a' })).subscriptions);
  // all of it in the kernel, which takes 3.9 MB
  while (unsent(host.port) < 2500000) await host.publish('a', 'n', 'x'.repeat(50000));
  assert.equal((await stats(host)).out_queued_bytes, 0);
  await disconnect(host, raw);
  await until(async () => (await stats(host)).sockets === 0);
  await until(() => unsent(host.port) === 0, 'the kernel to forget it', 30000); // at its next probe
  raw.socket.destroy();
});

test('A8: a client that reads slowly gets the end of an orderly close', async (t) => {
  const host = await startHost({ apps: [FLOOD], options: { close_timeout_ms: 1000, out_hard_bytes: 1 << 26, out_soft_bytes: 1 << 25 } }, t);
  const raw = await rawClient(host);
  raw.socket.pause();
  raw.write(SUBSCRIBE);
  await until(async () => (await host.do('channel', { channel: 'a' })).subscriptions);
  let sent = 0;
  while (unsent(host.port) < 2500000) sent += (await host.publish('a', 'n', 'x'.repeat(50000))) && 1;
  assert.equal((await stats(host)).out_queued_bytes, 0);
  await disconnect(host, raw);
  const reading = (async () => {
    while (!raw.gone) {
      raw.socket.once('data', () => raw.socket.pause());
      raw.socket.resume();
      await sleep(80);
    }
  })();
  raw.ended.then(() => { raw.gone = true; });
  await until(async () => (await stats(host)).sockets === 0); // the server has closed it
  assert.ok(!CLOSED.test(raw.text), 'the client has not read all of it yet');
  await raw.has(CLOSED, 60000);
  assert.equal(raw.text.match(/x{50000}/g).length, sent);
  await within(reading, 'the end', 60000);
  raw.socket.destroy();
});
