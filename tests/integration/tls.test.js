'use strict';
// TLS on a listener: everything works through it as without it, and what goes wrong in one connection,
// from its first byte to its last, concerns no other.

const assert = require('node:assert/strict');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const https = require('node:https');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const tls = require('node:tls');
const {
  APP, BUILD, CLIENT_QUERY, Inbox, api, connect, dial, request, sleep, startHost, startServe, tcp, trigger, until, within, wsFrame, upgradeHead,
} = require('./lib.js');
const { XhrClient } = require('./xhr.js');
const { sdk } = require('./clients.js');

const LARGE = { id: 'large', key: 'large-key', secret: 's', max_event_payload_bytes: 500000, client_events: true };
const LOSSY = { id: 'lossy', key: 'lossy-key', secret: 's', max_event_payload_bytes: 60000, slow_policy: 1 };
const TLS_ONLY = { id: 'only', key: 'only-key', secret: 's', tls_only: true };
const OPTIONS = { max_http_body_bytes: 1048576, worker_count: 2 };
// For handshakes that are not to end; those that are get the usual time, which a busy machine may need.
const HASTY = { ...OPTIONS, handshake_timeout_ms: 3000 };

// -- certificates: a root, an authority below it, and what that has signed --

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-tls-'));
after(() => fs.rmSync(folder, { recursive: true }));
const file = (name) => path.join(folder, name);
const read = (name) => fs.readFileSync(file(name), 'utf8');

function certify(name, kind, issuer, extensions) {
  const key = kind === 'rsa' ? ['-newkey', 'rsa:2048'] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  execFileSync('openssl', ['req', '-x509', ...key, '-nodes', '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), '-days', '2', '-subj', `/CN=${name}`,
    ...(issuer ? ['-CA', file(`${issuer}.crt`), '-CAkey', file(`${issuer}.key`)] : []), ...extensions.flatMap((e) => ['-addext', e])], { stdio: 'pipe' });
}

certify('root', 'ec', null, ['basicConstraints=critical,CA:TRUE']);
certify('middle', 'ec', 'root', ['basicConstraints=critical,CA:TRUE']);
for (const kind of ['ec', 'rsa']) {
  certify(kind, kind, 'middle', ['subjectAltName=IP:127.0.0.1,DNS:localhost', 'basicConstraints=CA:FALSE']);
  fs.writeFileSync(file(`${kind}.pem`), read(`${kind}.crt`) + read('middle.crt'));
}
execFileSync('openssl', ['pkcs8', '-topk8', '-in', file('ec.key'), '-out', file('locked.key'), '-passout', 'pass:open sesame']);
const ROOT = read('root.crt');

const EC = { cert_file: file('ec.pem'), key_file: file('ec.key') };
const RSA = { cert_file: file('rsa.pem'), key_file: file('rsa.key') };

const serveArgs = (cert, key) => ['serve', '--port', '0', '--metrics', 'off', '--tls-cert', file(cert), '--tls-key', file(key)];

/** How `pusherc serve` complains about these files. */
function complaint(cert, key, env, moreCerts = '') {
  const args = serveArgs(cert, key);
  args[args.indexOf('--tls-cert') + 1] += moreCerts;
  const { status, stderr } = spawnSync(path.join(BUILD, 'cli/pusherc'), args, { env: { ...process.env, ...env }, timeout: 20000 });
  assert.equal(status, moreCerts ? 2 : 1);
  return stderr.toString().trim().replaceAll(folder, '');
}

const built = !/cannot serve TLS/.test(complaint('none', 'none'));

async function startTls(config, t) {
  const host = await startHost({ apps: [APP, LARGE, LOSSY, TLS_ONLY], options: OPTIONS, tls: EC, ...config }, t);
  host.ca = ROOT;
  return host;
}

/** A bare TLS connection: `text` is what came, `session` the latest ticket. */
async function bare(server, options) {
  const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: ROOT, ...options });
  socket.text = '';
  socket.on('data', (data) => { socket.text += data.toString('latin1'); });
  socket.on('session', (session) => { socket.session = session; });
  socket.over = new Promise((resolve) => { socket.on('close', resolve); });
  await within(new Promise((resolve, reject) => { socket.on('secureConnect', resolve); socket.on('error', reject); }), 'a TLS handshake');
  socket.has = (pattern) => until(() => pattern.test(socket.text), `${pattern} in ${JSON.stringify(socket.text.slice(0, 500))}`);
  return socket;
}

/** Stands between clients and a server; what comes from either side is passed on, or worse. */
async function startRelay(t, server, { forth = (data, far) => far.write(data), back = (data, near) => near.write(data) } = {}) {
  const sockets = new Set();
  const relay = net.createServer((near) => {
    const far = net.connect(server.port, '127.0.0.1');
    for (const [from, to, pass] of [[near, far, forth], [far, near, back]]) {
      sockets.add(from.setNoDelay(true));
      from.on('data', (data) => pass(data, to, from));
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  });
  await new Promise((resolve) => { relay.listen(0, '127.0.0.1', resolve); });
  t.after(() => { relay.close(); sockets.forEach((socket) => socket.destroy()); });
  return { port: relay.address().port, ca: ROOT };
}

/** The first thing that a TLS client sends. */
async function clientHello() {
  const server = net.createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const got = new Promise((resolve) => { server.on('connection', (socket) => socket.once('data', (data) => { resolve(data); socket.destroy(); })); });
  tls.connect({ host: '127.0.0.1', port: server.address().port }).on('error', () => {});
  const hello = await got;
  server.close();
  return hello;
}

describe('TLS', { skip: !built && 'not compiled in' }, () => {
  let host;
  let witness;
  before(async () => {
    host = await startTls();
    witness = await connect(host);
    await witness.subscribe('witness');
  });

  // The server is well, and so is a connection that was there before.
  async function assertWell() {
    await host.publish('witness', 'tick', '{}');
    await witness.event('tick');
    assert.equal((await request(host, 'GET', '/ready')).status, 200);
  }

  for (const version of ['TLSv1.2', 'TLSv1.3'])
    test(`${version}: subscribes and receives, whatever the key`, async (t) => {
      for (const server of [host, await startTls({ tls: RSA }, t)]) {
        const client = await connect(server, { minVersion: version, maxVersion: version });
        assert.equal(client.ws._socket.getProtocol(), version);
        assert.match(client.ws._socket.getCipher().standardName, /^TLS_(ECDHE_\w+_WITH_)?(AES_\d+_GCM|CHACHA20_POLY1305)_SHA\d+$/);
        await client.subscribe('private-orders');
        await trigger(server, 'private-orders', 'paid', '{"id":42}');
        assert.equal((await client.event('paid')).data, '{"id":42}');
        await client.close();
      }
    });

  for (const version of ['TLSv1.2', 'TLSv1.3'])
    test(`${version}: a client that is silent keeps no record buffers`, { skip: process.env.ASAN_OPTIONS && 'a sanitizer keeps what is freed' }, async (t) => {
      const server = await startTls({ options: {} }, t);
      const resident = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${server.child.pid}/status`, 'latin1'))[1]) * 1024;
      const some = (count) => Promise.all(Array.from({ length: count }, async () => {
        const client = await connect(server, { minVersion: version, maxVersion: version });
        await client.subscribe('quiet');
        return client;
      }));
      const first = await some(40); // what they cost once for all is not counted
      const before = resident();
      const more = [];
      while (more.length < 400) more.push(...await some(10));
      const bytes = (resident() - before) / more.length;
      assert.ok(bytes < 16384, `${bytes} bytes each; both buffers are 33 KiB`);
      await server.publish('quiet', 'n', 'x'.repeat(9000));
      for (const client of [...first, ...more]) assert.equal((await client.event('n')).data.length, 9000);
    });

  test('what is older, or not safe against a later theft of the key, is refused', async () => {
    for (const options of [{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }])
      await assert.rejects(bare(host, options), /alert|ERR_SSL/);
    await assertWell();
  });

  test('the curve is P-256, the cheapest here, if the client leaves the choice to the server; others are taken too', async () => {
    const socket = await bare(host, { maxVersion: 'TLSv1.2', ecdhCurve: 'X25519:secp384r1:prime256v1' });
    assert.equal(socket.getEphemeralKeyInfo().name, 'prime256v1');
    socket.destroy();
    for (const ecdhCurve of ['X25519', 'secp384r1', 'prime256v1', 'X448', 'secp521r1']) (await bare(host, { minVersion: 'TLSv1.3', ecdhCurve })).destroy();
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'])
    test(`${version}: who comes back resumes the session, on any worker`, async () => {
      const options = { minVersion: version, maxVersion: version };
      const first = await bare(host, options);
      first.write('GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      await within(first.over, 'the end');
      const { session } = first;
      for (let i = 0; i < 6; i++) {
        const again = await bare(host, { ...options, session });
        assert.ok(again.isSessionReused());
        again.write('GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        await within(again.over, 'the end');
        assert.match(again.text, /^HTTP\/1\.1 200 /);
      }
    });

  test('renegotiation is refused', async () => {
    const socket = await bare(host, { maxVersion: 'TLSv1.2' });
    const refused = new Promise((resolve) => { socket.on('error', resolve); });
    socket.renegotiate({}, () => {});
    assert.match(String(await within(refused, 'an alert')), /no renegotiation/);
    socket.destroy();
    await assertWell();
  });

  test('the HTTP API, kept alive', async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const before = (await host.do('stats')).http_requests_total;
    for (let i = 0; i < 20; i++)
      assert.equal((await api(host, 'GET', '/channels', { agent })).status, 200);
    assert.equal((await host.do('stats')).http_requests_total, before + 20);
    agent.destroy();
  });

  test('a body of 1 MiB, and events of many records', async () => {
    const client = await connect(host, { app: LARGE });
    await client.subscribe('big');
    const data = [Buffer.alloc(480000, 'a').toString(), 'é'.repeat(240000), Array.from({ length: 16000 }, (_, i) => `line ${i}`).join(',')];
    for (const text of data)
      await trigger(host, 'big', 'chunk', text, { app: LARGE });
    for (const text of data)
      assert.equal((await client.event('chunk')).data, text);
    const body = JSON.stringify({ name: 'full', channel: 'big', data: 'x'.repeat(400000), info: '' }).padEnd(1048576);
    assert.equal((await api(host, 'POST', '/events', { app: LARGE, body })).status, 200);
    assert.equal((await client.event('full')).data.length, 400000);
    assert.equal((await api(host, 'POST', '/events', { app: LARGE, body: `${body} ` })).status, 413);
    await client.close();
  });

  test('many small frames in both directions', async () => {
    const [one, other] = [await connect(host, { app: { ...LARGE } }), await connect(host)];
    await other.subscribe('burst');
    await host.try('burst', { threads: 2, count: 1000, channels: ['burst'], name: 'n' });
    for (let i = 0; i < 2000; i++) await other.event('n');
    for (let i = 0; i < 2000; i++) one.send({ event: 'pusher:ping', data: {} });
    for (let i = 0; i < 2000; i++) await one.event('pusher:pong');
    await one.close();
    await other.close();
  });

  test('a request in records of one byte', async () => {
    const socket = await bare(host);
    socket.setNoDelay(true);
    for (const byte of upgradeHead()) socket.write(byte);
    await socket.has(/connection_established/);
    for (const byte of wsFrame(1, '{"event":"pusher:ping","data":{}}')) socket.write(Buffer.from([byte]));
    await socket.has(/pusher:pong/);
    socket.destroy();
  });

  test('records cut into pieces on the way', async (t) => {
    const relay = await startRelay(t, host, {
      forth: async (data, far, near) => {
        near.pause();
        for (let i = 0; i < data.length; i += 7) {
          far.write(data.subarray(i, i + 7));
          await new Promise(setImmediate);
        }
        near.resume();
      },
    });
    const client = await connect(relay);
    await client.subscribe('cut');
    await host.publish('cut', 'event', '{}');
    await client.event('event');
    await client.close();
  });

  test('what comes while the application decides waits', async (t) => {
    const server = await startTls({ hooks: ['identify', 'on_http'] }, t);
    const socket = await bare(server);
    socket.write(upgradeHead(APP, `${CLIENT_QUERY}&ask=1`));
    for (const channel of ['a', 'b', 'c']) socket.write(wsFrame(1, JSON.stringify({ event: 'pusher:subscribe', data: { channel } })));
    await server.do('identify', { request: (await server.event('identify')).request });
    await socket.has(/"channel":"a".*"channel":"b".*"channel":"c"/s);
    socket.destroy();

    const page = await bare(server);
    page.write('GET /ask?1 HTTP/1.1\r\nHost: x\r\n\r\n');
    page.write('GET /ask?2 HTTP/1.1\r\nHost: x\r\n\r\n');
    page.end(); // has nothing more to say, and listens
    for (const body of ['one'.repeat(30000), 'two'.repeat(30000)]) {
      await server.do('http_answer', { request: (await server.event('http')).request, body });
      await page.has(new RegExp(body));
    }
  });

  // -- clients that do not read --

  const big = 'x'.repeat(50000);

  async function publishUntil(server, app, channel, condition) {
    let sent = 0;
    for (; sent < 3000; sent++) {
      await server.publish(channel, 'big', JSON.stringify({ sent, big }), { app: app.id });
      if (condition(await server.do('stats'))) return sent + 1;
    }
    throw new Error('never');
  }

  test('a client that never reads is closed', async () => {
    const client = await connect(host, { app: LARGE });
    await client.subscribe('slow');
    client.ws.pause();
    const before = (await host.do('stats')).slow_closed_total;
    await publishUntil(host, LARGE, 'slow', (stats) => stats.slow_closed_total > before);
    client.ws.terminate();
    await until(async () => (await host.do('stats')).out_queued_bytes === 0, 'nothing queued');
    await assertWell();
  });

  test('what was dropped for a slow client leaves no gap in the stream', async () => {
    const client = await connect(host, { app: LOSSY });
    await client.subscribe('slow');
    client.ws.pause();
    const before = (await host.do('stats')).slow_dropped_total;
    const sent = await publishUntil(host, LOSSY, 'slow', (stats) => stats.slow_dropped_total > before);
    client.ws.resume();
    await until(async () => (await host.do('stats')).out_queued_bytes === 0, 'nothing queued');
    await host.publish('slow', 'last', '{}', { app: LOSSY.id });
    await client.event('last');
    const numbers = client.frames.filter((f) => f.event === 'big').map((f) => JSON.parse(f.data).sent);
    assert.ok(numbers.length > 0 && numbers.length < sent);
    numbers.forEach((n, i) => assert.ok(i === 0 || n > numbers[i - 1]));
    await client.close();
  });

  test('a client that pauses and reads on in time gets everything', async (t) => {
    const server = await startTls({ options: { out_soft_bytes: 32 << 20, out_hard_bytes: 64 << 20 } }, t);
    const client = await connect(server, { app: LARGE });
    await client.subscribe('pause');
    client.ws.pause();
    const sent = await publishUntil(server, LARGE, 'pause', (stats) => stats.out_queued_bytes > 1000000);
    client.ws.resume();
    for (let i = 0; i < sent; i++)
      assert.equal(JSON.parse((await client.event('big')).data).sent, i);
    await client.close();
  });

  test('requests in masses whose answers nobody reads', async () => {
    const socket = await bare(host);
    socket.pause();
    for (let i = 0; i < 40; i++) {
      socket.write('GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000));
      await sleep(5);
    }
    assert.ok((await host.do('stats')).out_queued_bytes < 2 * 1024 * 1024);
    socket.resume();
    await until(() => (socket.text.match(/HTTP\/1\.1 404/g) || []).length === 40000, 'all answers');
    socket.destroy();
    await assertWell();
  });

  // -- the ends --

  test('both ends of a WebSocket are told', async () => {
    const client = await connect(host);
    assert.equal((await client.close(1000)).code, 1000);
    const other = await dial(host, { app: { key: 'nobody' } });
    assert.equal((await other.closed()).code, 4001);
    assert.ok((await connect(host, { app: TLS_ONLY })).isOpen, 'an app for TLS only');
  });

  test('the end is announced inside of TLS, so that nobody can cut an answer short', async (t) => {
    let last;
    const relay = await startRelay(t, host, { back: (data, near) => { last = data; near.write(data); } });
    const socket = await bare(relay, { maxVersion: 'TLSv1.2' });
    socket.write('GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await within(socket.over, 'the end');
    assert.match(socket.text, /^HTTP\/1\.1 200 /);
    assert.equal(last.subarray(-31, -26).toString('hex'), '150303001a', 'an encrypted alert comes last');
  });

  for (const mode of ['attach-epoll', 'poll-epoll']) {
    test(`${mode}: handshakes, messages, large events and a stop, by descriptor and timeout`, async (t) => {
      const host = await startTls({ mode, options: { ...OPTIONS, worker_count: 0 } }, t);
      const clients = await Promise.all(Array.from({ length: 20 }, () => connect(host, { app: LARGE })));
      await Promise.all(clients.map((client) => client.subscribe('a')));
      const data = 'x'.repeat(400000);
      for (let n = 0; n < 5; n++) {
        await host.publish('a', 'n', data, { app: LARGE.id });
        await trigger(host, 'a', 'n', data, { app: LARGE });
        for (const client of clients) for (let i = 0; i < 2; i++) assert.equal((await client.next()).data.length, data.length);
      }
      const closed = clients.map((client) => client.closed());
      await host.do('stop', { grace_ms: 100 });
      for (const { code } of await Promise.all(closed)) assert.equal(code, 4200);
      await host.event('stopped');
    });
  }

  test('a request over HTTP moves to the worker of its session, with its TLS', async (t) => {
    const server = await startTls({ options: { ...OPTIONS, worker_count: 4 } }, t);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 4, ca: ROOT });
    t.after(() => agent.destroy());
    await Promise.all(Array.from({ length: 8 }, async (_, i) => {
      const client = new XhrClient(server, { agent });
      await client.poll();
      await client.established();
      const polling = client.poll();
      await client.subscribe(`a${i}`);
      await polling;
      for (let n = 0; n < 5; n++) {
        await server.publish(`a${i}`, 'n', String(n)); // waits until the next poll
        while (!client.frames.all.some((f) => f.event === 'n' && f.data === String(n))) await client.poll();
      }
      assert.deepEqual(client.frames.all.filter((f) => f.event === 'n').map((f) => f.data), ['0', '1', '2', '3', '4']);
    }));
  });

  test('a stop reaches clients, and lets go of those in mid-handshake', async (t) => {
    const server = await startTls({ options: { handshake_timeout_ms: 120000 } }, t);
    const client = await connect(server);
    const half = await tcp(server);
    half.write(await clientHello());
    await half.has(/[^]/);
    await server.do('stop', { grace_ms: 100 });
    assert.equal((await client.closed()).code, 4200);
    await half.over();
  });

  test('reset at every stage', async () => {
    const hello = await clientHello();
    for (const bytes of ['', hello.subarray(0, 1), hello.subarray(0, 50), hello]) {
      const raw = await tcp(host);
      raw.socket.write(bytes);
      await sleep(20);
      raw.reset();
    }
    for (let i = 0; i < 10; i++) {
      const socket = net.connect(host.port, '127.0.0.1');
      const through = await bare(host, { socket });
      through.on('error', () => {});
      through.write(upgradeHead());
      await through.has(/established/);
      through.write(wsFrame(1, '{"event":"pusher:subscribe","data":{"channel":"reset"}}'));
      await through.has(/succeeded/);
      through.pause();
      for (let n = 0; n < i; n++) await host.publish('reset', 'x', 'x'.repeat(9000));
      socket.resetAndDestroy();
    }
    await assertWell();
  });

  // -- no TLS at all --

  test('plain HTTP is told where to go', async () => {
    const res = await request({ port: host.port }, 'GET', '/ready');
    assert.equal(res.status, 400);
    assert.match(res.text, /TLS/);
    assert.equal(res.headers.connection, 'close');
    await assertWell();
  });

  test('plain on a TLS port and TLS on a plain port are answered, and logged once in ten seconds', async (t) => {
    const hello = await clientHello();
    for (const [args, bytes, answer] of [[['--tls-cert', file('ec.pem'), '--tls-key', file('ec.key')], 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'This port speaks TLS'],
      [[], hello, 'This port speaks no TLS']]) {
      const serve = await startServe(args, t);
      for (let i = 0; i < 5; i++) {
        const raw = await tcp(serve);
        raw.socket.write(bytes);
        await raw.over();
        assert.match(raw.text, new RegExp(`^HTTP/1.1 400 [^]*${answer}`));
      }
      await until(() => serve.stderr.includes(answer), 'the line');
      assert.equal(serve.stderr.split(answer).length, 2, serve.stderr);
    }
  });

  test('other bytes are just the end of it', async (t) => {
    const server = await startTls({ options: HASTY }, t); // some of them are the beginning of something
    await Promise.all([Buffer.alloc(1), Buffer.from('hello'), Buffer.alloc(20000, 0x16), Buffer.from('1603010005aaaaaaaaaa', 'hex'), Buffer.from('160301ffff', 'hex'),
      Buffer.alloc(100000, 0xff), Buffer.from('15030300020100', 'hex'), Buffer.from('170303000101', 'hex')].map(async (bytes) => {
      const raw = await tcp(server);
      raw.socket.write(bytes);
      await raw.over();
    }));
    assert.equal((await request(server, 'GET', '/ready')).status, 200);
  });

  test('a record that was tampered with ends the connection', async (t) => {
    let flip = false;
    const relay = await startRelay(t, host, {
      forth: (data, far) => {
        if (flip) data[data.length - 1] ^= 1;
        far.write(data);
      },
    });
    const client = await connect(relay);
    flip = true;
    client.ws.on('error', () => {});
    client.send({ event: 'pusher:ping', data: {} });
    assert.equal((await client.closed()).code, 1006);
    await assertWell();
  });

  test('whoever stops in mid-handshake is closed in time', async (t) => {
    const server = await startTls({ options: HASTY }, t);
    const hello = await clientHello();
    const start = Date.now();
    await Promise.all([Buffer.alloc(0), hello.subarray(0, 3), hello.subarray(0, hello.length - 1), hello].map(async (bytes) => {
      const raw = await tcp(server);
      raw.socket.write(bytes);
      await raw.over();
    }));
    assert.ok(Date.now() - start >= 2900);
    const socket = await bare(server); // shook hands, and says nothing
    await within(socket.over, 'the end');
    assert.equal((await request(server, 'GET', '/ready')).status, 200);
  });

  test('many handshakes at once do not hold up who is connected', async (t) => {
    const server = await startTls({ options: { worker_count: 1 } }, t);
    const client = await connect(server);
    const hello = await clientHello();
    let share = 1; // of the handshakes that were answered before the client was
    for (let i = 0; i < 10 && share > 0.5; i++) {
      const all = await Promise.all(Array.from({ length: 200 }, () => tcp(server)));
      all.forEach((raw) => raw.socket.write(hello));
      client.send({ event: 'pusher:ping', data: {} });
      await client.event('pusher:pong');
      share = all.filter((raw) => raw.text).length / all.length;
      all.forEach((raw) => raw.reset());
    }
    assert.ok(share <= 0.5, `${share * 100} %`);
  });

  // -- stock clients --

  test('pusher-js with forceTLS, and the server SDK', async (t) => {
    const script = `
      const Pusher = require('pusher-js');
      const client = new Pusher('${APP.key}', { cluster: '', wsHost: '127.0.0.1', wssPort: ${host.port}, forceTLS: true, enabledTransports: ['ws', 'wss'] });
      client.connection.bind('error', (error) => console.log('error', JSON.stringify(error)));
      const channel = client.subscribe('stock');
      channel.bind('pusher:subscription_succeeded', () => console.log('subscribed'));
      channel.bind('order', (data) => { console.log('order', data.id); client.disconnect(); });`;
    // Node reads the list of authorities when it starts.
    const child = spawn(process.execPath, ['--no-deprecation', '-e', script], { cwd: path.join(__dirname, '..'), env: { ...process.env, NODE_EXTRA_CA_CERTS: file('root.crt') } });
    t.after(() => child.kill());
    const lines = new Inbox();
    child.stdout.on('data', (data) => data.toString().trim().split('\n').forEach((line) => lines.push(line)));
    child.stderr.on('data', (data) => lines.push(`stderr ${data}`));
    assert.equal(await lines.next(), 'subscribed');
    assert.equal((await sdk(host).trigger('stock', 'order', { id: 42 })).status, 200);
    assert.equal(await lines.next(), 'order 42');
  });

  // -- names --

  test('each name has its certificate, by the kind of key that the client can check; others get the first', async (t) => {
    certify('shop', 'ec', 'middle', ['subjectAltName=DNS:shop.example,DNS:Other.example']);
    certify('wide-ec', 'ec', 'middle', ['subjectAltName=DNS:*.wide.example']);
    certify('wide-rsa', 'rsa', 'middle', ['subjectAltName=DNS:*.wide.example']);
    const names = ['rsa', 'shop', 'wide-ec', 'wide-rsa'];
    const files = (ending) => names.map((name) => file(`${name}.${ending}`)).join();
    const serve = await startServe(['--tls-cert', files('crt'), '--tls-key', files('key')], t);
    const presented = async (servername, options) => {
      const socket = await bare(serve, { servername, rejectUnauthorized: false, ...options });
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      return CN;
    };
    const rsaOnly = { sigalgs: 'rsa_pss_rsae_sha256:RSA+SHA256' };
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const options = { minVersion: version, maxVersion: version };
      for (const [name, certificate] of [['', 'rsa'], ['shop.example', 'shop'], ['SHOP.example', 'shop'], ['other.example', 'shop'], ['unknown.example', 'rsa'],
        ['a.wide.example', 'wide-ec'], ['wide.example', 'rsa'], ['a.b.wide.example', 'rsa'], ['xshop.example', 'rsa'], ['a..wide.example', 'rsa'], ['example', 'rsa']])
        assert.equal(await presented(name, options), certificate, `${version}: ${name}`);
      assert.equal(await presented('a.wide.example', { ...options, ...rsaOnly }), 'wide-rsa');
    }
    const hangUp = serve.lines.next((line) => line === 'certificate read again');
    serve.child.kill('SIGHUP');
    await hangUp;
    assert.equal(await presented('shop.example'), 'shop');

    assert.equal(complaint('ec.pem', 'ec.key', {}, `,${file('shop.crt')}`), 'pusherc: TLS needs a key for each certificate: tls_cert names 2, tls_key 1');
  });

  // -- files --

  test('pusherc serve speaks TLS, also with a locked key', async (t) => {
    for (const [args, env] of [[['--tls-cert', file('rsa.pem'), '--tls-key', file('rsa.key')]],
      [['--tls-cert', file('ec.pem'), '--tls-key', file('locked.key')], { SOKETI_SSL_PASS: 'open sesame' }]]) {
      const serve = await startServe(args, t, env);
      const client = await connect({ port: serve.port, ca: ROOT });
      await client.close();
    }
  });

  test('SIGHUP reads a renewed certificate; who is connected stays', async (t) => {
    const renew = (name) => {
      fs.copyFileSync(file(`${name}.pem`), file('renewed.pem'));
      fs.copyFileSync(file(`${name}.key`), file('renewed.key'));
    };
    renew('ec');
    const serve = await startServe(['--tls-cert', file('renewed.pem'), '--tls-key', file('renewed.key'), '--workers', '2'], t);
    serve.ca = ROOT;
    const hangUp = (line) => {
      serve.child.kill('SIGHUP');
      return line && serve.lines.next((l) => l === line);
    };
    // Several, for each worker has to hear of it.
    const presented = async (options) => {
      const names = new Set();
      for (let i = 0; i < 8; i++) {
        const socket = await bare(serve, options);
        names.add(socket.getPeerCertificate().subject.CN);
        socket.destroy();
      }
      return [...names];
    };
    const old = [await connect(serve), await connect(serve)];
    await old[0].subscribe('private-x');
    await old[1].subscribe('private-x');
    const ticket = await bare(serve, { maxVersion: 'TLSv1.2' });
    ticket.write('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n');
    await ticket.has(/OK/);
    const again = await bare(serve, { maxVersion: 'TLSv1.2', session: ticket.session });
    assert.ok(again.isSessionReused());
    again.destroy();

    renew('rsa');
    assert.deepEqual(await presented(), ['ec']);
    await hangUp('certificate read again');
    await until(async () => (await presented()).join() === 'rsa', 'the new certificate');
    assert.deepEqual(await presented(), ['rsa']);
    // An old ticket costs a whole handshake, and nothing else.
    const whole = await bare(serve, { maxVersion: 'TLSv1.2', session: ticket.session });
    assert.ok(!whole.isSessionReused());
    for (const socket of [ticket, whole]) socket.destroy();

    // Files that do not go together, as in the midst of a renewal.
    fs.copyFileSync(file('ec.key'), file('renewed.key'));
    hangUp();
    await until(() => /the certificate stays as it was: private key: not that of the first certificate/.test(serve.stderr), 'a complaint');
    assert.deepEqual(await presented(), ['rsa']);
    renew('ec');
    for (let i = 0; i < 20; i++) await hangUp('certificate read again');
    await until(async () => (await presented()).join() === 'ec', 'the first certificate');

    old[0].send({ event: 'client-hello', channel: 'private-x', data: { n: 1 } });
    assert.equal((await old[1].event('client-hello')).data, '{"n":1}');
    for (const client of old) await client.close();
  });

  test('what is wrong with a file is said', () => {
    fs.writeFileSync(file('garbage'), 'garbage');
    fs.writeFileSync(file('half.pem'), read('ec.crt') + read('middle.crt').replace(/(.{40})\n/, '\n'));
    fs.mkdirSync(file('folder'));
    assert.equal(complaint('none', 'ec.key'), 'pusherc: certificate: no such file or directory: /none');
    assert.equal(complaint('ec.pem', 'none'), 'pusherc: private key: no such file or directory: /none');
    assert.equal(complaint('ec.pem', 'rsa.key'), 'pusherc: private key: not that of the first certificate in /ec.pem: /rsa.key');
    assert.equal(complaint('ec.pem', 'ec.pem'), 'pusherc: private key: not a readable private key: /ec.pem');
    assert.equal(complaint('ec.pem', 'locked.key'), 'pusherc: private key: encrypted, and no password was given: /locked.key');
    assert.equal(complaint('ec.pem', 'locked.key', { SOKETI_SSL_PASS: 'please' }), 'pusherc: private key: wrong password: /locked.key');
    assert.equal(complaint('half.pem', 'ec.key'), 'pusherc: certificate: not all in it can be read: /half.pem');
    assert.equal(complaint('folder', 'ec.key'), 'pusherc: certificate: illegal operation on a directory: /folder');
    for (const name of ['garbage', 'ec.key'])
      assert.match(complaint(name, 'ec.key'), new RegExp(`^pusherc: certificate: .+: /${name}$`));
  });
});
