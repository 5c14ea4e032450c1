'use strict';
// Publishing by the library's drivers, as `pusherc publish` does it: to our own server, to stand-ins for others that are slow,
// busy or broken, through TLS, and with each environment that says where.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { APP, BUILD, Program, api, connect, hmac, startServe, within } = require('./lib.js');
const { receiver } = require('./receiver.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const CLEAN = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SOKETI|REVERB|PUSHER|SOCKUDO|BROADCAST|REDIS|APP)_/.test(name)));
const built = execFileSync(PUSHERC, ['--version']).toString().includes('webhooks');

/** Runs `pusherc publish` to its end: {code, err}. */
async function publish(args, { env = {}, input } = {}) {
  const program = new Program(PUSHERC, ['publish', ...args], { env: { ...CLEAN, ...env } });
  program.child.stdin.on('error', () => {});
  program.child.stdin.end(input || '');
  const { code } = await within(program.exited, () => `the end of pusherc publish ${args.join(' ')}: ${program.stderr}`, 60000);
  assert.deepEqual(program.lines.all, []);
  return { code, err: program.stderr };
}

async function publishes(args, options) {
  assert.deepEqual(await publish(args, options), { code: 0, err: '' });
}

const settingOf = (server, more = '') => `pusher://${APP.key}:${APP.secret}@127.0.0.1:${server.port}/${APP.id}?scheme=http${more}`;
const portOf = (r) => r.server.address().port;

describe('pusherc publish', { skip: !built && 'built without libcurl' }, () => {
  let server;
  let client;
  before(async () => {
    server = await startServe();
    client = await connect(server);
    for (const channel of ['a', 'b', 'presence-c']) await client.subscribe(channel, channel === 'presence-c' ? { user_id: '1' } : undefined);
    client.inbox.rest();
  });
  after(() => client.close());

  const hears = async (event, channel, data) => assert.deepEqual((await client.event(event, channel)).data, data);

  test('an event reaches the subscribers of its channels', async () => {
    await publishes(['--url', settingOf(server), 'a,presence-c', 'order.paid', '{"id":1}']);
    await hears('order.paid', 'a', '{"id":1}');
    await hears('order.paid', 'presence-c', '{"id":1}');
  });

  test('trigger is the same, words may stand before options, data is {} or comes from standard input', async () => {
    await publishes(['b', 'x', '--url', settingOf(server)]);
    await hears('x', 'b', '{}');
    await publishes(['--url', settingOf(server), 'b', 'y', '-'], { input: 'Zoë\n' });
    await hears('y', 'b', 'Zoë\n');
    await publishes(['--url', settingOf(server), '--', 'b', 'z', '--data']);
    await hears('z', 'b', '--data');
    execFileSync(PUSHERC, ['trigger', '--url', settingOf(server), 'b', 'w', '1'], { env: CLEAN });
    await hears('w', 'b', '1');
  });

  test('--except leaves out one connection', async () => {
    const other = await connect(server);
    await other.subscribe('a');
    await publishes(['--url', settingOf(server), '--except', client.socketId, 'a', 'mine']);
    await other.event('mine', 'a');
    await publishes(['--url', settingOf(server), 'a', 'later']);
    await client.next((frame) => { assert.notEqual(frame.event, 'mine'); return frame.event === 'later'; });
    await other.close();
  });

  test('each environment says where', async () => {
    const { id, key, secret } = APP;
    const port = String(server.port);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-'));
    fs.writeFileSync(path.join(folder, 'secret'), `${secret}\n`);
    const reverb = { REVERB_APP_ID: id, REVERB_APP_KEY: key, REVERB_APP_SECRET: secret, REVERB_HOST: '127.0.0.1', REVERB_PORT: port, REVERB_SCHEME: 'http' };
    const environments = [
      { BROADCAST_URL: settingOf(server) },
      { BROADCAST_CONNECTION: 'reverb', ...reverb, PUSHER_APP_KEY: 'another' },
      { BROADCAST_DRIVER: 'pusher', PUSHER_APP_ID: id, PUSHER_APP_KEY: key, PUSHER_APP_SECRET: secret, PUSHER_HOST: '127.0.0.1', PUSHER_PORT: port, PUSHER_SCHEME: 'http', PUSHER_APP_CLUSTER: 'mt1' },
      { PUSHER_URL: `http://${key}:${secret}@127.0.0.1:${port}/apps/${id}` },
      { SOKETI_DEFAULT_APP_ID: id, SOKETI_DEFAULT_APP_KEY: key, SOKETI_DEFAULT_APP_SECRET: secret, SOKETI_PORT: port },
      { ...reverb, REVERB_APP_SECRET: undefined, REVERB_APP_SECRET_FILE: path.join(folder, 'secret') },
    ];
    for (const [n, env] of environments.entries()) {
      await publishes(['a', `env-${n}`], { env });
      await hears(`env-${n}`, 'a', '{}');
    }
    fs.rmSync(folder, { recursive: true });
  });

  test('--lines publishes each line, in the order of each channel', async () => {
    const lines = Array.from({ length: 2000 }, (_, n) => `${'ab'[n % 2]} n ${n}`);
    client.inbox.rest();
    await publishes(['--url', settingOf(server), '--lines'], { input: `${lines.join('\n')}\n\n` });
    const heard = { a: [], b: [] };
    while (heard.a.length + heard.b.length < 2000) {
      const { channel, data } = await client.event('n');
      heard[channel].push(Number(data));
    }
    for (const [i, channel] of ['a', 'b'].entries()) assert.deepEqual(heard[channel], Array.from({ length: 1000 }, (_, n) => 2 * n + i));
  });

  test('an answer that is lost does not double an event', async (t) => {
    const proxy = await lossyProxy(t, server, 3);
    client.inbox.rest();
    await publishes(['--url', settingOf(proxy), '--lines'], { input: linesOf(100, 'ab') });
    await publishes(['--url', settingOf(await lossyProxy(t, server, 1)), 'a,b', 'n', '100']);
    const heard = [];
    while (heard.at(-1) !== 100) heard.push(Number((await client.event('n')).data));
    await client.event('n');
    for (const frame of await client.settle()) assert.notEqual(frame.event, 'n');
    assert.deepEqual(heard.slice(0, -1).sort((a, b) => a - b), Array.from({ length: 100 }, (_, n) => n));
  });

  test('what is wrong is said in one sentence, without the secret', async () => {
    const complains = async (args, status, text, options) => {
      const { code, err } = await publish(args, options);
      assert.deepEqual({ code, err: err.trimEnd().replace(/after \d+ ms/, 'after 0 ms') }, { code: status, err: `pusherc: ${text}` });
      assert.doesNotMatch(err, /hush/);
    };
    await complains([], 2, 'a channel and an event are needed: pusherc publish CHANNEL EVENT [DATA]');
    await complains(['a', 'b', 'c', 'd'], 2, 'unexpected argument "d"');
    await complains(['--url', 'pusher://k:hush@h', 'a', 'b'], 2, "there is no app's id behind the host");
    await complains(['--url', 'local:a', 'a', 'b'], 2, 'local: needs `server`');
    await complains(['a', 'b'], 2, 'BROADCAST_CONNECTION is "ably": there are reverb, pusher, redis, log, null, and settings such as pusher://...', { env: { BROADCAST_CONNECTION: 'ably' } });
    await complains(['--url', settingOf(server), 'a b', 'x'], 2, 'a channel or event name breaks a rule, or the data is not UTF-8');
    await complains(['--except', 'x', '--url', settingOf(server), 'a', 'x'], 2, '--except must be a socket id: digits, a dot, digits');
    await complains(['--timeout-ms', '1500', '--url', 'pusher://k:hush@127.0.0.1:1/a?scheme=http', 'a', 'x'], 1, 'not accepted: no answer in time: Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn\'t connect to server');
    const { code, err } = await publish(['--url', settingOf(server).replace(APP.secret, 'hush'), 'a', 'x']);
    assert.equal(code, 1);
    assert.match(err, /^pusherc: not accepted: signature or permission check failed: answered 401: /);
    const lines = await publish(['--url', settingOf(server), '--lines'], { input: `a x ${'y'.repeat(20000)}\na z 1\n` });
    assert.equal(lines.code, 1);
    assert.match(lines.err, /^pusherc: x on a: a configured limit was exceeded: answered 413: [^\n]+\n$/);
    await hears('z', 'a', '1'); // behind the one that was refused
  });

  test('the manual page has every option', () => {
    const page = fs.readFileSync(path.join(__dirname, '../../docs/man/pusherc.1'), 'utf8');
    const help = execFileSync(PUSHERC, ['publish', '--help']).toString();
    for (const [, option] of help.matchAll(/^ {2}-(-[a-z-]+)/gm)) assert.match(page, new RegExp(`^\\.It Fl ${option}\\b`, 'm'), option);
  });

  test('log: prints the event, null: nothing', async () => {
    const { code, err } = await publish(['--url', 'log:', 'a', 'x', '{"id":1}']);
    assert.equal(code, 0);
    assert.match(err, /broadcast: x on a: \{"id":1\}\n$/);
    await publishes(['--url', 'null:', 'a', 'x']);
  });
});

// -- servers that are busy, slow or broken --

/** The events of the accepted requests, in order. */
/** Answers of `pusherc serve` to the first requests are lost: the connection is cut when they are there. */
function lossyProxy(t, server, losses) {
  let left = losses;
  const proxy = net.createServer((socket) => {
    const to = net.connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    to.on('error', () => {});
    socket.pipe(to);
    socket.on('close', () => to.destroy());
    to.on('data', (data) => {
      if (left-- > 0) socket.resetAndDestroy();
      else socket.write(data);
    });
  }).listen(0, '127.0.0.1');
  t.after(() => proxy.close());
  return new Promise((resolve) => { proxy.on('listening', () => resolve({ port: proxy.address().port })); });
}

const eventsOf = (r, accepted) => r.requests.all.filter((_, n) => accepted(n + 1)).flatMap(({ body }) => body.batch || [body]);
const linesOf = (count, channels = 'a') => Array.from({ length: count }, (_, n) => `${channels[n % channels.length]} n ${n}\n`).join('');

describe('other servers', { skip: !built && 'built without libcurl' }, () => {
  test('requests are signed as any Pusher-compatible server wants them', async (t) => {
    const r = await receiver(t, () => ({ status: 200, answer: '{}' }));
    await publishes(['--url', settingOf({ port: portOf(r) }, '&path=/ws'), 'a,b', 'x', '{}']);
    const { method, url, headers, text, body } = r.requests.all[0];
    const at = new URL(url, 'http://x');
    assert.deepEqual([method, at.pathname, headers['content-type']], ['POST', '/ws/apps/app-id/events', 'application/json']);
    const signed = [...at.searchParams].filter(([name]) => name !== 'auth_signature').map((pair) => pair.join('=')).sort().join('&');
    assert.equal(at.searchParams.get('auth_signature'), hmac(APP.secret, `POST\n/apps/app-id/events\n${signed}`));
    assert.ok(!('expect' in headers));
    assert.deepEqual({ ...body, idempotency_key: undefined }, { name: 'x', channels: ['a', 'b'], data: '{}', idempotency_key: undefined });
    assert.match(body.idempotency_key, /^[0-9a-f]{16}-\d+$/);
    assert.ok(text.length);
    await publishes(['--url', settingOf({ port: portOf(r) }, '&idempotency=off'), 'a', 'x']);
    assert.ok(!('idempotency_key' in r.requests.all[1].body));
  });

  test('429 with Retry-After: nothing is sent before, then everything once and in order', async (t) => {
    // Told by what is asked, not by its number: a program of another test may still ask the one that has its port now.
    const isOurs = ({ url }) => url.startsWith('/later/'), has250 = ({ body }) => (body.batch || [body]).some(({ data }) => data === '250');
    const isRefused = (request, requests) => isOurs(request) && request === requests.find((q) => isOurs(q) && has250(q));
    const r = await receiver(t, (request) => (isRefused(request, r.requests.all) ? { status: 429, headers: { 'Retry-After': '2' } } : { status: 200 }));
    await publishes(['--url', settingOf({ port: portOf(r) }, '&path=/later'), '--lines'], { input: linesOf(500) });
    const ours = r.requests.all.filter(isOurs), accepted = ours.filter((request) => !isRefused(request, ours));
    assert.deepEqual(accepted.flatMap(({ body }) => body.batch || [body]).map(({ data }) => Number(data)), Array.from({ length: 500 }, (_, n) => n));
    const refused = ours.findIndex(has250), pause = ours[refused + 1].at - ours[refused].at;
    assert.ok(pause >= 1990, `${pause} ms`);
    assert.ok(ours.every(({ body }) => !body.batch || body.batch.length <= 10));
  });

  for (const [what, behaviour] of Object.entries({
    500: { status: 500 }, 503: { status: 503 }, 'a connection that is reset': { reset: true },
  })) {
    test(`${what}: the same events again, with the same keys`, async (t) => {
      const r = await receiver(t, (_, n) => (n <= 2 ? behaviour : { status: 200 }));
      await publishes(['--url', settingOf({ port: portOf(r) }), '--lines'], { input: linesOf(40, 'ab') });
      const accepted = eventsOf(r, (n) => n > 2);
      for (const [i, channel] of ['a', 'b'].entries()) {
        assert.deepEqual(accepted.filter((e) => (e.channel || e.channels[0]) === channel).map(({ data }) => Number(data)), Array.from({ length: 20 }, (_, n) => 2 * n + i));
      }
      const keys = new Map();
      for (const e of eventsOf(r, () => true)) {
        if (keys.has(e.data)) assert.equal(e.idempotency_key, keys.get(e.data));
        keys.set(e.data, e.idempotency_key);
      }
      assert.equal(new Set(keys.values()).size, 40);
    });
  }

  test('one event that the server cannot bear does not keep the others', async (t) => {
    const r = await receiver(t, ({ text }) => ({ status: /poison/.test(text) ? 500 : 200 }));
    const { code, err } = await publish(['--timeout-ms', '4000', '--url', settingOf({ port: portOf(r) }), '--lines'],
      { input: `${linesOf(9, 'bcd')}a n poison\n${linesOf(9, 'bcd')}` });
    assert.equal(code, 1);
    assert.match(err, /^pusherc: n on a: no answer in time: answered 500\n$/);
    const accepted = r.requests.all.filter(({ text }) => !/poison/.test(text)).flatMap(({ body }) => body.batch || [body]);
    assert.equal(accepted.filter((e) => (e.channel || e.channels[0]) !== 'a').length, 18);
  });

  test('a refused batch is sent one by one, and only what is wrong is reported', async (t) => {
    const r = await receiver(t, ({ text }) => ({ status: /wrong/.test(text) ? 422 : 200, answer: '{}' }));
    const { code, err } = await publish(['--url', settingOf({ port: portOf(r) }), '--lines'], { input: `a n 1\na n wrong\na n 2\n` });
    assert.equal(code, 1);
    assert.match(err, /^pusherc: n on a: invalid argument: answered 422: \{\}\n$/);
    assert.deepEqual(r.requests.all.filter(({ text }) => !/wrong/.test(text)).flatMap(({ body }) => body.batch || [body]).map(({ data }) => data), ['1', '2']);
  });

  test('a slow server gets several requests at a time, on connections that stay open', async (t) => {
    const r = await receiver(t, () => ({ status: 200, delay: 100 }));
    await publishes(['--url', settingOf({ port: portOf(r) }), '--lines'], { input: linesOf(800, 'abcdefghijklmnop') });
    assert.ok(r.most > 1 && r.most <= 8, `${r.most} at a time`);
    assert.ok(r.sockets.size <= 8);
    assert.equal(eventsOf(r, () => true).length, 800);
  });

  test('one that does not answer is given up at the deadline', async (t) => {
    const r = await receiver(t, () => ({ hang: true }));
    const { code, err } = await publish(['--timeout-ms', '500', '--url', settingOf({ port: portOf(r) }), 'a', 'x']);
    assert.equal(code, 1);
    assert.match(err, /^pusherc: not accepted: no answer in time/);
  });

  test('redirects are not followed', async (t) => {
    const r = await receiver(t, () => ({ status: 301, headers: { Location: '/elsewhere' } }));
    const { code, err } = await publish(['--url', settingOf({ port: portOf(r) }), 'a', 'x']);
    assert.deepEqual({ code, err }, { code: 1, err: 'pusherc: not accepted: peer broke the protocol: answered 301\n' });
    assert.equal(r.requests.all.length, 1);
  });

  test('failover: the second takes what the first does not', async (t) => {
    const [first, second] = [await receiver(t, (_, n) => ({ status: n === 1 ? 200 : 503 })), await receiver(t)];
    second.behave = () => ({ status: 200 });
    const url = `failover:${settingOf({ port: portOf(first) })},${settingOf({ port: portOf(second) })}`;
    await publishes(['--url', url, '--lines'], { input: linesOf(100) });
    const taken = [...eventsOf(first, (n) => n === 1), ...eventsOf(second, () => true)].map(({ data }) => Number(data));
    assert.deepEqual(taken, Array.from({ length: 100 }, (_, n) => n));
    assert.ok(second.requests.all.length > 0);
  });
});

describe('TLS', { skip: !built && 'built without libcurl' }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-publish-'));
  after(() => fs.rmSync(folder, { recursive: true }));
  const certify = (name, san) => {
    const [cert, key] = [path.join(folder, `${name}.crt`), path.join(folder, `${name}.key`)];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${san}`], { stdio: 'pipe' });
    return { cert: fs.readFileSync(cert), key: fs.readFileSync(key), file: cert };
  };

  test('certificates are verified: authority and name', async (t) => {
    const right = certify('right', 'IP:127.0.0.1');
    const other = certify('other', 'DNS:other.example');
    const r = await receiver(t, () => ({ status: 200 }), right);
    const url = `pusher://k:s@127.0.0.1:${portOf(r)}/a`;
    await publishes(['--ca-file', right.file, '--url', url, 'a', 'x']);
    assert.equal(r.requests.all.length, 1);
    for (const [server, args] of [[r, []], [await receiver(t, () => ({ status: 200 }), other), ['--ca-file', other.file]]]) {
      const { code, err } = await publish(['--timeout-ms', '2000', ...args, '--url', `pusher://k:s@127.0.0.1:${portOf(server)}/a`, 'a', 'x']);
      assert.equal(code, 1);
      assert.match(err, /^pusherc: not accepted: no answer in time: SSL/);
    }
    assert.equal(r.requests.all.length, 1);
  });
});

describe('pusherc serve --forward', { skip: !built && 'built without libcurl' }, () => {
  const body = (name, more) => ({ body: { name, channels: ['a', 'b'], data: '{"id":1}', ...more } });

  test('what the first app is asked to publish is also published by another server', async (t) => {
    const there = await startServe(['--app', 'far:far-key:far-secret'], t);
    const far = { id: 'far', key: 'far-key', secret: 'far-secret' };
    const here = await startServe(['--app', `${APP.id}:${APP.key}:${APP.secret}`, '--app', 'other:other-key:other-secret', '--workers', '2',
      '--forward', `pusher://far-key:far-secret@127.0.0.1:${there.port}/far?scheme=http`], t);
    const [near, distant] = [await connect(here), await connect(there, { app: far })];
    for (const client of [near, distant]) for (const channel of ['a', 'b']) await client.subscribe(channel);
    assert.equal((await api(here, 'POST', '/events', { app: { id: 'other', key: 'other-key', secret: 'other-secret' }, ...body('not-mine') })).status, 200);
    for (let i = 0; i < 30; i++) assert.equal((await api(here, 'POST', '/events', body(`e${i}`, { socket_id: near.socketId }))).status, 200);
    assert.equal((await api(here, 'POST', '/batch_events', { body: { batch: [{ name: 'one', channel: 'a', data: 'x' }, { name: 'two', channel: 'a', data: 'y' }] } })).status, 200);
    const names = { a: [], b: [] };
    while (names.a.at(-1) !== 'two') {
      const frame = await distant.next();
      names[frame.channel].push(frame.event);
    }
    const all = Array.from({ length: 30 }, (_, i) => `e${i}`);
    assert.deepEqual(names.a, [...all, 'one', 'two'], 'all, in order');
    assert.deepEqual(names.b.concat((await distant.settle()).map((f) => f.event)), all);
    assert.deepEqual((await near.settle()).map((f) => f.event), ['one', 'two'], 'except is except here');
    assert.match(here.stderr, /warning: only events of app "app-id" are forwarded/);
    await near.close();
    await distant.close();
    await here.end(); // closes its connection, which the other would wait for
  });

  test('a receiver that is away fails nothing, and gets what waits when it is back', async (t) => {
    const gone = await startServe([], t);
    const { port } = gone;
    await gone.end();
    const here = await startServe(['--forward', `pusher://${APP.key}:${APP.secret}@127.0.0.1:${port}/${APP.id}?scheme=http`], t);
    const client = await connect(here);
    await client.subscribe('a');
    for (let i = 0; i < 5; i++) assert.equal((await api(here, 'POST', '/events', body(`e${i}`))).status, 200);
    assert.equal((await client.settle()).length, 5);
    const back = await startServe(['--port', String(port)], t);
    const late = await connect(back);
    await late.subscribe('a');
    await client.close();
    // The queue tries again after a moment; what came before the subscription is not seen.
    const names = [];
    for (let i = 5; !names.includes(`e${i - 1}`); i++) {
      assert.equal((await api(here, 'POST', '/events', body(`e${i}`))).status, 200);
      names.push(...await late.settle().then((frames) => frames.map((f) => f.event)));
      assert.ok(i < 600, 'forwarded at last');
      await new Promise((done) => setTimeout(done, 50));
      names.push(...await late.settle().then((frames) => frames.map((f) => f.event)));
    }
    await late.close();
  });

  test('a setting that cannot be used is refused before the start, and is not shown', () => {
    const run = (setting, ...more) => {
      try {
        return { code: 0, out: execFileSync(PUSHERC, ['serve', '--port', '0', '--metrics', 'off', '--forward', setting, ...more], { env: CLEAN, stdio: 'pipe' }).toString() };
      } catch (error) {
        return { code: error.status, err: error.stderr.toString() };
      }
    };
    const wrong = run('ftp://x', '--check');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /^pusherc: forward: /);
    const right = run('pusher://k:hidden@127.0.0.1:1/id', '--check');
    assert.equal(right.code, 0);
    assert.ok(!right.out.includes('hidden'));
    assert.match(right.out, /"forward": "\(not shown\)"/);
  });
});
