'use strict';
// `pusherc doctor`: each test breaks one thing, and the doctor finds this one and no other. The last test holds the
// findings that were seen against the table of all findings (`pusherc doctor --list`).

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const tls = require('node:tls');
const WebSocket = require('ws');
const { APP, BUILD, Program, channelAuth, connect, hmac, within } = require('./lib.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const CLEAN = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SOKETI|REVERB|PUSHER|SOCKUDO|BROADCAST|NO_COLOR|SSL_CERT)_?/.test(name)));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-doctor-'));
after(() => fs.rmSync(folder, { recursive: true }));
const file = (name) => path.join(folder, name);

// -- the doctor --

const seen = new Set();

async function run(args, env) {
  const program = new Program(PUSHERC, args, { env: { ...CLEAN, ...env } });
  const { code } = await within(program.exited, () => `the end of pusherc ${args.join(' ')}`);
  return { code, out: program.lines.all.join('\n'), err: program.stderr };
}

/** Its report. A machine that is busy makes nothing late, unless the test says when something is. */
async function doctor(args, env) {
  const { code, out, err } = await run(['doctor', '--json', '--slow-ms', '60000', '--timeout-ms', '20000', ...args], env);
  assert.equal(err, '', err);
  const report = JSON.parse(out);
  for (const { cause } of report.checks) seen.add(cause);
  const bad = report.checks.filter(({ level }) => level !== 'ok');
  assert.equal(code, report.fail ? 1 : 0);
  assert.equal(report.fail, bad.filter(({ level }) => level === 'fail').length);
  for (const { check, meaning, advice } of bad) assert.ok(check && meaning && advice);
  return { ...report, bad, causes: bad.map(({ cause }) => cause), good: report.checks.filter(({ level }) => level === 'ok').map(({ cause }) => cause) };
}

/** The doctor finds exactly this. */
async function finds(args, ...causes) {
  const report = await doctor(args);
  assert.deepEqual(report.causes, causes, JSON.stringify(report.bad, null, 1));
  return report;
}

// -- servers --

const listen = (t, server, host = '127.0.0.1') => new Promise((resolve) => {
  server.on('error', () => {});
  server.listen(0, host, () => resolve(server.address().port));
  const sockets = new Set();
  server.on('connection', (socket) => { sockets.add(socket); socket.on('error', () => {}); socket.on('close', () => sockets.delete(socket)); });
  const end = () => { for (const socket of sockets) socket.destroy(); server.close(); };
  t.after(end);
});

async function serve(t, config = { apps: [APP] }, args = []) {
  const name = file(`${crypto.randomUUID()}.json`);
  fs.writeFileSync(name, JSON.stringify(config));
  const program = new Program(PUSHERC, ['serve', '--port', '0', '--metrics', 'off', '--grace-ms', '0', '--config', name, ...args], { env: CLEAN });
  program.stop = async () => { program.child.kill('SIGTERM'); await program.ends(); };
  if (t) t.after(program.stop);
  program.port = await program.listening();
  return program;
}

let server;
before(async () => { server = await serve(); });
after(() => server.stop());

const url = (port, { key = APP.key, secret = APP.secret, id = APP.id, scheme = 'http', prefix = '' } = {}) => `${scheme}://${key}:${secret}@127.0.0.1:${port}${prefix}/apps/${id}`;

/** A proxy in front of the server. Each function may change what passes, or answer in its place by returning true. */
async function proxy(t, { onRequest = () => {}, onAnswer = () => {}, onUpgrade = () => {}, to = () => server.port, upgrades = true } = {}) {
  const front = http.createServer((q, s) => {
    const ahead = { method: q.method, path: q.url, headers: { ...q.headers } };
    if (onRequest(ahead, s)) return;
    delete ahead.headers.upgrade;
    const back = http.request({ host: '127.0.0.1', port: to(), agent: false, ...ahead }, (answer) => {
      const headers = { ...answer.headers };
      onAnswer(headers, answer);
      s.writeHead(answer.statusCode, headers);
      answer.pipe(s);
    });
    back.on('error', () => s.destroy());
    q.pipe(back);
  });
  if (upgrades) {
    front.on('upgrade', (q, socket) => {
      const ahead = { path: q.url, headers: q.rawHeaders };
      if (onUpgrade(ahead, socket, q)) return;
      const back = net.connect(to(), '127.0.0.1');
      const fields = [];
      for (let i = 0; i < ahead.headers.length; i += 2) fields.push(`${ahead.headers[i]}: ${ahead.headers[i + 1]}\r\n`);
      back.write(`GET ${ahead.path} HTTP/1.1\r\n${fields.join('')}\r\n`);
      back.pipe(socket).pipe(back);
      for (const end of [back, socket]) { end.on('error', () => {}); end.on('close', () => { back.destroy(); socket.destroy(); }); }
    });
  }
  return listen(t, front);
}

/** A proxy that sees the messages of WebSockets: `pass` returns what goes on to the client, and may be slow. */
function messages(t, pass) {
  const inner = new WebSocket.Server({ noServer: true });
  return proxy(t, {
    onUpgrade(ahead, socket, q) {
      inner.handleUpgrade(q, socket, Buffer.alloc(0), (client) => {
        const back = new WebSocket(`ws://127.0.0.1:${server.port}${q.url}`);
        const early = [];
        client.on('message', (m) => (back.readyState === 1 ? back.send(m.toString()) : early.push(m)));
        back.on('open', () => { for (const m of early) back.send(m.toString()); });
        back.on('message', async (m) => { const out = await pass(m.toString()); if (out) client.send(out); });
        back.on('close', () => client.close());
        client.on('close', () => back.close());
      });
      return true;
    },
  });
}

/** A server of WebSockets alone, that does with a connection what it is told. */
const socketServer = (t, greet) => {
  const inner = new WebSocket.Server({ noServer: true });
  return proxy(t, { onUpgrade: (ahead, socket, q) => { inner.handleUpgrade(q, socket, Buffer.alloc(0), greet); return true; } });
};

const refuse = (status, text = '', fields = {}) => (ahead, socket) => {
  socket.end(`HTTP/1.1 ${status} No\r\n${Object.entries(fields).map(([k, v]) => `${k}: ${v}\r\n`).join('')}Content-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`);
  return true;
};
const say = (status, text = '', fields = {}) => (ahead, s) => { s.writeHead(status, fields); s.end(text); return true; };
const onApi = (then) => (ahead, s) => /\/apps\//.test(ahead.path) && then(ahead, s);

/** An API that sees another path, and takes signatures for that one only. */
const verify = (sees) => (ahead, s) => {
  const [, route, query, signature] = /^(.*?)\?(.*)&auth_signature=(.*)$/.exec(ahead.path);
  const right = hmac(APP.secret, `${ahead.method}\n${sees(route)}\n${query.split('&').sort().join('&')}`) === signature;
  return right ? say(200, '{"channels":{}}')(ahead, s) : say(401, 'Invalid signature')(ahead, s);
};

const ALL = ['name-ok', 'tcp-ok', 'ws-ok', 'key-ok', 'clock-ok', 'api-ok', 'id-ok', 'secret-ok', 'public-ok', 'private-ok', 'presence-ok', 'publish-ok', 'receive-ok'];

test('a server that is well passes all checks, in this order', async () => {
  const report = await finds([url(server.port)]);
  assert.deepEqual(report.good, ALL);
  assert.deepEqual([report.ok, report.warn, report.fail], [ALL.length, 0, 0]);
});

test('lines have level, check, meaning and advice; no colour and no secret is in them', async () => {
  const { code, out, err } = await run(['doctor', url(server.port, { secret: 'not-the-secret' })]);
  assert.deepEqual([code, err], [1, '']);
  const lines = out.split('\n');
  assert.equal(lines.at(-1), '6 ok, 0 warn, 1 fail');
  for (const line of lines.slice(0, -1)) assert.match(line, /^(ok|warn|fail) +[a-z]+ +[^:]+/);
  assert.match(out, /^fail +secret +the secret is not that of the key: .* -> compare the secret/m);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(out, /not-the-secret|\u001b/);
});

test('a guarded channel has to be refused to a stranger; signed channels are not tried then', async () => {
  const report = await finds([url(server.port), '--guarded', 'private-orders']);
  assert.deepEqual(report.good, [...ALL.filter((cause) => !/^(private|presence)-/.test(cause)), 'guard-ok']);
  await finds([url(server.port), '--guarded', 'orders'], 'guard-none');
});

test('wrong words get one sentence and exit 2', async () => {
  for (const [args, pattern] of [
    [['ftp://x'], /a server is http:/], [['http://a:b:c@:1'], /URL cannot be read/], [['/nonexistent/.env'], /cannot read .*No such file/],
    [['a://b', 'c'], /one URL or one file/], [['--timeout-ms', 'x'], /--timeout-ms must be a number/], [['--orgin', 'x'], /did you mean --origin/],
    [['http://127.0.0.1', '--header', 'a: b\r\nc: d'], /one line each/], [['http://127.0.0.1', '--app', 'a:b'], /ID:KEY:SECRET/],
  ]) {
    const { code, out, err } = await run(['doctor', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.equal(out, '');
    assert.match(err, pattern);
    assert.equal(err.trim().split('\n').length, 1);
  }
});

test('the environment names the server, and what a URL lacks', async () => {
  const env = { REVERB_APP_ID: APP.id, REVERB_APP_KEY: APP.key, REVERB_APP_SECRET: APP.secret, REVERB_HOST: '127.0.0.1', REVERB_PORT: String(server.port), REVERB_SCHEME: 'http' };
  assert.deepEqual((await doctor([], env)).causes, []);
  assert.deepEqual((await doctor([`ws://127.0.0.1:${server.port}/app/${APP.key}`], env)).causes, []);
  assert.deepEqual((await doctor([`http://127.0.0.1:${server.port}`, '--app', `${APP.id}:${APP.key}:${APP.secret}`])).causes, []);
});

// -- rows: what is broken, and what is found. `at` is where the doctor connects to, or the whole of its arguments --

const fake = (broken, options) => async (t) => [url(await proxy(t, broken), options)];

const ROWS = {
  network: [
    ['a host without an address', ['http://no-such-host.invalid/'], 'name-unknown'],
    ['a cluster that there is not', ['pusher://k:s@/1?cluster=no.such.cluster'], 'cluster-unknown'],
    ['a port at which nothing listens', async (t) => {
      const closed = net.createServer();
      const port = await listen(t, closed);
      await new Promise((resolve) => { closed.close(resolve); });
      return [url(port)];
    }, 'tcp-refused'],
    ['an address that cannot be reached', ['http://255.255.255.255:6001/', '--timeout-ms', '300'], 'tcp-silent'],
  ],
  websocket: [
    ['a proxy that eats Upgrade', fake({ upgrades: false }), 'ws-upgrade-eaten'],
    ['a proxy that eats the query of WebSockets', fake({ onUpgrade: (ahead) => { ahead.path = ahead.path.replace(/\?.*/, ''); } }), 'ws-query-eaten'],
    ['a proxy that changes the path of WebSockets', fake({ onUpgrade: (ahead) => { ahead.path = `/x${ahead.path}`; } }), 'ws-path'],
    ['a proxy that refuses WebSockets', fake({ onUpgrade: refuse(403, 'no WebSockets here') }), 'ws-refused'],
    ['a proxy that redirects WebSockets', fake({ onUpgrade: refuse(301, '', { Location: 'https://elsewhere.example/' }) }), 'ws-redirect'],
    ['a proxy without a server for WebSockets', fake({ onUpgrade: refuse(502, 'bad gateway') }), 'ws-gateway'],
    ['an upgrade answered for another request', fake({ onUpgrade: refuse(101, '', { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' }) }), 'ws-wrong-accept'],
    ['a WebSocket through which nothing comes', async (t) => [url(await socketServer(t, () => {})), '--timeout-ms', '3000'], 'ws-silent'],
    ['an upgrade without an answer', fake({ onUpgrade: (ahead, socket) => { socket.destroy(); return true; } }), 'ws-no-answer'],
    ['a server that closes the connection', async (t) => [url(await socketServer(t, (client) => client.close(1011, 'broken')))], 'ws-closed'],
    ['an app with TLS only', async (t) => [url((await serve(t, { apps: [{ ...APP, tls_only: true }] })).port)], 'ws-tls-only'],
    ['an app that is disabled', async (t) => [url((await serve(t, { apps: [{ ...APP, disabled: true }] })).port)], 'ws-disabled'],
    ['an app with as many connections as it may have', async (t) => {
      const full = await serve(t, { apps: [{ ...APP, max_connections: 1 }] });
      await connect(full);
      return [url(full.port)];
    }, 'ws-quota'],
    ['an app for pages of another origin', async (t) => [url((await serve(t, { apps: [{ ...APP, allowed_origins: ['shop.example'] }] })).port), '--origin', 'https://other.example'], 'ws-unauthorized'],
  ],
  app: [
    ['a wrong key', async () => [url(server.port, { key: 'other-key' })], 'key-unknown'],
    ['a wrong id', async () => [url(server.port, { id: 'other-id' })], 'id-unknown'],
    ['a wrong secret', async () => [url(server.port, { secret: 'other-secret' })], 'secret-wrong'],
    ['a wrong secret behind a proxy that eats Upgrade', async (t) => [url(await proxy(t, { upgrades: false }), { secret: 'other-secret' })], 'ws-upgrade-eaten', 'secret-wrong'],
    ['a key of another cluster', async (t) => {
      const port = await socketServer(t, (client) => { client.send(JSON.stringify({ event: 'pusher:error', data: { code: 4001, message: 'not in this cluster' } })); client.close(4001); });
      return ['http://k:s@api-eu.pusher.com/apps/app-id', '--address', `127.0.0.1:${port}`];
    }, 'cluster-other'],
    ['no key', async () => [`http://127.0.0.1:${server.port}`], 'key-missing'],
    ['no secret', async () => [`ws://127.0.0.1:${server.port}/app/${APP.key}`], 'secret-missing'],
    ['no id', async () => [`http://${APP.key}:${APP.secret}@127.0.0.1:${server.port}`], 'id-missing'],
    ['a port that is no HTTP, without a key', async (t) => [`http://127.0.0.1:${await listen(t, net.createServer((socket) => socket.end('SSH-2.0-x\r\n')))}`], 'key-missing', 'api-no-answer'],
    ['an API that does not answer', fake({ onRequest: onApi((ahead, s) => { s.destroy(); return true; }) }), 'api-no-answer'],
    ['another page in place of the API', fake({ onRequest: onApi(say(200, '<html>It works!</html>')) }), 'api-other'],
    ['an API that redirects', fake({ onRequest: onApi(say(301, '', { Location: 'https://elsewhere.example/' })) }), 'api-redirect'],
    ['a proxy that does not reach the API', fake({ onRequest: onApi(say(504, 'gateway timeout')) }), 'api-gateway'],
    ['an API that fails', fake({ onRequest: onApi(say(500, 'oops')) }), 'api-error'],
    ['a proxy that eats the query of the API', fake({ onRequest: (ahead) => { ahead.path = ahead.path.replace(/\?.*/, ''); } }), 'api-query-eaten'],
    ['a proxy that doubles a slash', fake({ onRequest: (ahead) => { ahead.path = ahead.path.replace(/^\/ws/, '/'); }, onUpgrade: (ahead) => { ahead.path = ahead.path.replace(/^\/ws/, ''); } }, { prefix: '/ws' }), 'api-slash'],
    ['a proxy that doubles the first slash, before a server that puts up with it', fake({ onRequest: onApi(verify((route) => `/${route}`)) }), 'api-slash'],
    ['a proxy behind which the signature is for the whole path', fake({ onRequest: onApi(verify((route) => route)), onUpgrade: (ahead) => { ahead.path = ahead.path.replace(/^\/ws/, ''); } }, { prefix: '/ws' }), 'api-path'],
    ['a proxy that adds to the path', fake({ onRequest: (ahead) => { ahead.path = `/x${ahead.path}`; } }), 'api-path-unknown'],
    ['a clock that is 100 seconds slow', fake({ onAnswer: (headers) => { headers.date = new Date(Date.now() + 100000).toUTCString(); } }), 'clock-differs'],
    ['a clock that is an hour slow', fake({ onRequest: onApi(say(401, 'Timestamp expired', { Date: new Date(Date.now() + 3600000).toUTCString() })) }), 'clock-off'],
    ['a refused signature', fake({ onRequest: onApi(say(401, 'Invalid signature')) }), 'signature-refused'],
  ],
  events: [
    ...['public', 'private', 'presence'].map((kind) => [`a ${kind} channel that is refused`, async (t) => {
      const wanted = kind === 'public' ? '"pusherc-doctor' : `"${kind}-`;
      const port = await messages(t, (m) => (m.includes('subscription_succeeded') && m.includes(`"channel":${wanted}`)
        ? JSON.stringify({ event: 'pusher:subscription_error', channel: JSON.parse(m).channel, data: { status: 500 } }) : m));
      return [url(port)];
    }, `${kind}-refused`]),
    ['a proxy that refuses bodies', fake({ onRequest: (ahead, s) => ahead.method === 'POST' && say(413, 'too large')(ahead, s) }), 'publish-refused'],
    ['events that arrive late', async (t) => [url(await messages(t, async (m) => {
      if (m.includes('"event":"pusherc-doctor"')) await new Promise((resolve) => { setTimeout(resolve, 1300); });
      return m;
    })), '--slow-ms', '1000'], 'receive-slow'],
    ['two servers that do not share their events', async (t) => {
      const other = await serve(t);
      let isUpgrade = false;
      const port = await proxy(t, { onUpgrade: () => { isUpgrade = true; }, to: () => { const chosen = isUpgrade ? other.port : server.port; isUpgrade = false; return chosen; } });
      return [url(port), '--timeout-ms', '3000'];
    }, 'receive-nothing'],
  ],
};

for (const [name, rows] of Object.entries(ROWS)) {
  describe(name, { concurrency: 6 }, () => {
    for (const [what, args, ...causes] of rows) test(`finds ${what}`, async (t) => { await finds(typeof args === 'function' ? await args(t) : args, ...causes); });
  });
}

test('what is right is told apart from what is wrong: id, key and secret each by itself', async () => {
  assert.deepEqual((await doctor([url(server.port, { id: 'other-id' })])).good, ['name-ok', 'tcp-ok', 'ws-ok', 'key-ok', 'clock-ok', 'secret-ok', 'public-ok', 'private-ok', 'presence-ok']);
  assert.deepEqual((await doctor([url(server.port, { secret: 'x' })])).good, ['name-ok', 'tcp-ok', 'ws-ok', 'key-ok', 'clock-ok', 'public-ok']);
  assert.deepEqual((await doctor([url(server.port, { key: 'x' })])).good, ['name-ok', 'tcp-ok', 'ws-ok', 'clock-ok']);
});

test('a refused signature is shown with the string that was signed, and without the secret', async (t) => {
  const { bad } = await doctor(await fake({ onRequest: onApi(say(401, 'Invalid signature')) })(t));
  assert.match(bad[0].seen, /"GET\\n\/apps\/app-id\/channels\\nauth_key=app-key&auth_timestamp=/);
  assert.ok(!JSON.stringify(bad).includes(APP.secret));
});

// -- certificates --

const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });

/** A certificate by the test's own authority, valid from and to the days. */
function certify(name, names, from, to) {
  const date = (days) => new Date(Date.now() + days * 86400000).toISOString().replace(/[-:T]/g, '').replace(/\.\d+Z/, 'Z');
  fs.writeFileSync(file('index.txt'), '');
  fs.writeFileSync(file('index.txt.attr'), 'unique_subject = no\n');
  fs.writeFileSync(file('serial'), `${crypto.randomBytes(8).toString('hex')}\n`);
  fs.writeFileSync(file('ca.conf'), `[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=${names}\n`);
  openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  openssl('ca', '-batch', '-notext', '-config', 'ca.conf', '-extensions', 'x', '-cert', 'root.crt', '-keyfile', 'root.key', '-in', `${name}.csr`, '-out', `${name}.crt`, '-startdate', date(from), '-enddate', date(to));
  return { cert: fs.readFileSync(file(`${name}.crt`)), key: fs.readFileSync(file(`${name}.key`)) };
}

describe('TLS', { skip: /\btls\b/.test(execFileSync(PUSHERC, ['--version'])) ? false : 'this build has no TLS' }, () => {
  before(() => {
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'root.key', '-out', 'root.crt', '-days', '3000', '-subj', '/CN=root', '-addext', 'basicConstraints=critical,CA:TRUE');
  });

  const secure = async (t, certificate, { args = ['--ca-file', file('root.crt')] } = {}) => {
    const front = tls.createServer(certificate, (socket) => {
      const back = net.connect(server.port, '127.0.0.1');
      back.pipe(socket).pipe(back);
      for (const end of [back, socket]) { end.on('error', () => {}); end.on('close', () => { back.destroy(); socket.destroy(); }); }
    });
    front.on('tlsClientError', () => {});
    return [url(await listen(t, front), { scheme: 'https' }), ...args];
  };

  test('a certificate that is well passes, and all else behind it', async (t) => {
    const report = await finds(await secure(t, certify('good', 'IP:127.0.0.1', -1, 300)));
    assert.deepEqual(report.good, [...ALL.slice(0, 2), 'tls-ok', ...ALL.slice(2)]);
  });

  for (const [what, names, from, to, cause] of [
    ['has expired', 'IP:127.0.0.1', -30, -1, 'tls-expired'], ['is not valid yet', 'IP:127.0.0.1', 10, 300, 'tls-future'],
    ['is for another name', 'DNS:other.example', -1, 300, 'tls-other-name'], ['expires soon', 'IP:127.0.0.1', -1, 5, 'tls-soon'],
  ]) test(`finds a certificate that ${what}`, async (t) => { await finds(await secure(t, certify('wrong', names, from, to)), cause); });

  test('finds a certificate that no trusted authority has signed', async (t) => {
    await finds(await secure(t, certify('unknown', 'IP:127.0.0.1', -1, 300), { args: [] }), 'tls-untrusted');
  });

  test('finds https for a port without TLS', async () => { await finds([url(server.port, { scheme: 'https' })], 'tls-none'); });

  test('finds http for a port with TLS', async (t) => {
    const [at] = await secure(t, certify('good', 'IP:127.0.0.1', -1, 300));
    await finds([at.replace('https', 'http')], 'tls-required');
  });

  test('finds a TLS handshake that fails', async (t) => {
    const port = await listen(t, net.createServer((socket) => socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 40])))));
    await finds([url(port, { scheme: 'https' })], 'tls-failed');
  });
});

// -- auth endpoints --

describe('an auth endpoint', { concurrency: 6 }, () => {
  const ORIGIN = 'https://shop.example';
  const CORS = { 'Access-Control-Allow-Origin': ORIGIN, 'Access-Control-Allow-Credentials': 'true' };
  const sign = (body, app = APP) => channelAuth(app, body.get('socket_id'), body.get('channel_name'));
  const answer = (status, text, fields = {}) => () => [status, text, fields];
  const right = (fields = {}) => (body) => [200, JSON.stringify({ auth: sign(body) }), fields];

  const asks = async (t, respond, { args = [], preflight = [204, '', CORS] } = {}) => {
    const port = await listen(t, http.createServer(async (q, s) => {
      let text = '';
      for await (const part of q) text += part;
      const [status, body, fields] = q.method === 'OPTIONS' ? preflight : respond(new URLSearchParams(text), q);
      s.writeHead(status, fields);
      s.end(body);
    }));
    return [url(server.port), '--auth-endpoint', `http://127.0.0.1:${port}/broadcasting/auth`, ...args];
  };
  const from = ['--origin', ORIGIN];
  const cookie = ['--cookie', 'session=1'];

  test('is well if it signs as the server expects, for a private and a presence channel', async (t) => {
    const report = await finds(await asks(t, (body, q) => {
      assert.equal(q.headers.cookie, 'session=1');
      assert.equal(q.headers.authorization, 'Bearer x');
      assert.equal(body.get('channel_name'), 'private-orders');
      return [200, JSON.stringify({ auth: sign(body) }), CORS];
    }, { args: [...from, ...cookie, '--header', 'Authorization: Bearer x', '--channel', 'private-orders'] }));
    assert.deepEqual(report.good, [...ALL, 'auth-ok', 'cors-ok']);
    const member = '{"user_id":"7"}';
    await finds(await asks(t, (body) => [200, JSON.stringify({ auth: channelAuth(APP, body.get('socket_id'), body.get('channel_name'), member), channel_data: member }), {}], { args: ['--channel', 'presence-room'] }));
  });

  for (const [what, respond, cause] of [
    ['redirects to a login page', answer(302, '', { Location: '/login' }), 'auth-redirect'], ['wants a CSRF token', answer(419, 'expired'), 'auth-csrf'],
    ['refuses the user', answer(403, '{}'), 'auth-forbidden'], ['is not there', answer(404, 'no'), 'auth-not-found'], ['fails', answer(500, 'oops'), 'auth-error'],
    ['answers with a page', answer(200, '<html>'), 'auth-not-json'], ['leaves the signature out', answer(200, '{}'), 'auth-lacks'],
    ['signs for another key', (body) => [200, JSON.stringify({ auth: sign(body, { ...APP, key: 'other' }) }), {}], 'auth-key'],
    ['signs with another secret', (body) => [200, JSON.stringify({ auth: sign(body, { ...APP, secret: 'other' }) }), {}], 'auth-signature'],
  ]) test(`finds one that ${what}`, async (t) => { await finds(await asks(t, respond), cause); });

  test('finds one that does not answer', async () => { await finds([url(server.port), '--auth-endpoint', 'http://127.0.0.1:1/auth'], 'auth-unreachable'); });

  for (const [what, fields, cause, preflight] of [
    ['answers no preflight', CORS, 'cors-preflight', [405, '', {}]], ['allows no origin', {}, 'cors-missing'],
    ['allows another origin', { ...CORS, 'Access-Control-Allow-Origin': `${ORIGIN}/` }, 'cors-other'],
    ['allows every origin, with cookies', { ...CORS, 'Access-Control-Allow-Origin': '*' }, 'cors-star'],
    ['allows no cookies', { 'Access-Control-Allow-Origin': ORIGIN }, 'cors-credentials'],
  ]) test(`finds one that ${what}`, async (t) => { await finds(await asks(t, right(fields), { args: [...from, ...cookie], preflight }), cause); });

  for (const [what, set, cause] of [
    ['stays on its own site', 'session=1; SameSite=Lax', 'cookie-samesite'], ['has SameSite=None without Secure', 'session=1; SameSite=None', 'cookie-insecure'],
    ['has Secure without TLS', 'session=1; SameSite=None; Secure', 'cookie-plain'],
  ]) test(`finds a cookie that ${what}`, async (t) => { await finds(await asks(t, right({ ...CORS, 'Set-Cookie': set }), { args: [...from, ...cookie] }), cause); });
});

// -- .env files --

describe('an .env file', { concurrency: 6 }, () => {
  const lines = () => ({
    BROADCAST_CONNECTION: 'reverb', REVERB_APP_ID: APP.id, REVERB_APP_KEY: APP.key, REVERB_APP_SECRET: APP.secret, REVERB_HOST: '"127.0.0.1"', REVERB_PORT: server.port, REVERB_SCHEME: 'http',
    VITE_REVERB_APP_KEY: '"${REVERB_APP_KEY}"', VITE_REVERB_HOST: '"${REVERB_HOST}"', VITE_REVERB_PORT: '"${REVERB_PORT}"', VITE_REVERB_SCHEME: '"${REVERB_SCHEME}"',
  });
  const write = (values, more = '') => {
    const name = file(`${crypto.randomUUID()}.env`);
    fs.writeFileSync(name, `# an application\nAPP_NAME=shop\n\n${Object.entries(values).filter(([, v]) => v !== undefined).map(([k, v]) => `${k}=${v}\n`).join('')}${more}`);
    return [name];
  };

  test('whose settings agree leads to its server', async () => {
    const report = await finds(write(lines()));
    assert.deepEqual(report.good, ['env-ok', ...ALL]);
  });

  test('is read as Laravel reads it: export, comments, quotes, names in values', async () => {
    await finds(write({ ...lines(), REVERB_APP_KEY: `'${APP.key}'   # the key`, 'export REVERB_APP_ID': APP.id, REVERB_APP_ID: undefined, REVERB_APP_SECRET: `${APP.secret} # not this` }, 'A="x\\"y#z"\n=\nno value\n'));
  });

  for (const [what, change, ...causes] of [
    ['without a secret', { REVERB_APP_SECRET: undefined }, 'env-lacks'],
    ['that publishes to the log', { BROADCAST_CONNECTION: 'log' }, 'env-elsewhere'],
    ['that does not say how to publish', { BROADCAST_CONNECTION: undefined }, 'env-unchosen'],
    ['with a quote that is left over', { APP_URL: '"http://x' }, 'env-quote'],
    ['with quotes in quotes', { APP_URL: '"\'http://x\'"' }, 'env-quote'],
    ['with a name that nothing reads', { REVERB_APP_SECERT: 'x' }, 'env-unread'],
    ['with a VITE_ name that nothing reads', { VITE_REVERB_APP_KYE: 'x' }, 'env-unread'],
    ['with names of Laravel Mix beside those of Vite', { VITE_APP_NAME: 'x', MIX_PUSHER_APP_KEY: 'x' }, 'env-unread'],
    ['whose pages take a value from a name that is not set', { VITE_PUSHER_HOST: '"${PUSHER_HOST}"' }, 'env-page-empty'],
    ['whose pages have the secret', { VITE_REVERB_APP_SECRET: '"${REVERB_APP_SECRET}"' }, 'env-secret-public'],
    ['whose pages have the secret under another name', { VITE_TOKEN: '"${REVERB_APP_SECRET}"' }, 'env-secret-public'],
    ['whose pages have another key', { VITE_REVERB_APP_KEY: 'old-key' }, 'env-page-key'],
    ['whose pages have another host', { VITE_REVERB_HOST: 'localhost' }, 'env-page-host'],
  ]) test(`finds one ${what}`, async () => { await finds(write({ ...lines(), ...change }), ...causes); });

  test('finds a name that stands there twice', async () => {
    const report = await finds(write(lines(), `REVERB_APP_KEY=${APP.key}x\nREVERB_APP_KEY=${APP.key}\nVITE_REVERB_APP_KEY=${APP.key}\n`), 'env-repeated', 'env-repeated');
    assert.match(report.bad[0].seen, /REVERB_APP_KEY, line 15/);
  });

  test('finds pages with another port, and tries that port', async (t) => {
    const other = await serve(t);
    const report = await finds([...write({ ...lines(), VITE_REVERB_PORT: other.port }), '--timeout-ms', '3000'], 'env-page-port', 'receive-nothing');
    assert.equal(report.good.filter((cause) => cause === 'tcp-ok').length, 2);
  });

  test('finds pages without a scheme, which use TLS where the application does not', async () => {
    await finds(write({ ...lines(), VITE_REVERB_SCHEME: undefined }), 'env-page-scheme', 'tls-none');
    await finds(write({ ...lines(), VITE_REVERB_FORCE_TLS: 'true' }), 'env-page-scheme', 'tls-none');
  });

  test('finds a port that does not fit the scheme', async () => {
    await finds(write({ ...lines(), REVERB_PORT: 443, REVERB_HOST: '127.0.0.1.invalid' }), 'env-port-scheme', 'env-port-scheme', 'name-unknown');
    await finds(write({ ...lines(), REVERB_PORT: 80, REVERB_SCHEME: 'https', REVERB_HOST: '127.0.0.1.invalid' }), 'env-port-scheme', 'env-port-scheme', 'name-unknown');
  });
});

test('every finding of the table has been found', async () => {
  const { code, out } = await run(['doctor', '--list']);
  assert.equal(code, 0);
  const rows = JSON.parse(out);
  assert.ok(rows.length > 80);
  for (const { cause, level, meaning, advice } of rows) {
    assert.match(meaning, /^[a-z"].*[^.]$/i);
    assert.equal(advice === '', level === 'ok', cause);
  }
  const tlsOnly = seen.has('tls-ok') ? [] : rows.filter(({ cause }) => cause.startsWith('tls-')).map(({ cause }) => cause);
  assert.deepEqual(rows.map(({ cause }) => cause).filter((cause) => !seen.has(cause) && !tlsOnly.includes(cause)), []);
});
