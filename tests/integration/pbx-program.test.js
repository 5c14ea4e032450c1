'use strict';
// examples/pbx as a program: its limits, its environment, its health, how it publishes, its tools.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');

const { BUILD, Program, TOP, api, freePort, refused, request, sleep, until } = require('./lib.js');
const { noRedis, startRedis } = require('./redis.js');
const { ADA, APP, BEN, ENV, NAMES, ask, call, client, fill, heard, listener, login, start } = require('./pbx.js');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pbx-'));
after(() => fs.rmSync(folder, { recursive: true }));
const file = (name) => path.join(folder, name);

/** The program in place of serving: what it has printed, and how it has ended. */
const run = (args, env = {}) => spawnSync(path.join(BUILD, 'examples/pbx/pbx'), args, { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8', timeout: 60000 });

/** An event of an application outside. */
const outside = (id) => ({ call_id: id, from_number: '+447700900123', to_number: '+442079460101', did_id: '1', status: 'initiated', initiated_at: '2024-01-01T12:00:00Z' });

test('PBX-12, PBX-A6: limits of the environment count, under the application\'s names and under soketi\'s', async (t) => {
  const families = [
    { SOKETI_DEFAULT_APP_MAX_CONNECTIONS: '3', SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SECOND: '100', SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SECOND: '20', SOKETI_DEFAULT_APP_MAX_READ_REQUEST_PER_SECOND: '30' },
    { SOKETI_DEFAULT_APP_MAX_CONNS: '3', SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC: '100', SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC: '20', SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC: '30' },
  ];
  for (const env of families) {
    const site = await start(t, '--metrics-port', '0', { ...env, SOKETI_BOGUS: '1' });
    assert.match(site.stderr, /SOKETI_BOGUS is not known/);
    assert.equal(site.stderr.split('\n').filter((line) => /is not known/.test(line)).length, 1, site.stderr);
    const { token } = await login(site, BEN);
    const [mine] = [await listener(site, token, 'presence-org.1'), await client(site), await client(site)];
    assert.equal((await refused(site, { app: APP })).code, 4004);
    for (let i = 0; i < 200; i++) mine.send({ event: 'client-x', channel: 'presence-org.1', data: {} });
    assert.equal((await mine.event('pusher:error')).data.code, 4301);
    // A second of a busy machine may be too short for so many: they are sent until one is refused.
    const batch = () => api(site, 'POST', '/batch_events', { app: APP, body: { batch: Array.from({ length: 10 }, () => ({ name: 'x', channel: 'news', data: '{}' })) } });
    const limited = async (send) => {
      for (;;) {
        const over = (await Promise.all(Array.from({ length: 40 }, send))).find(({ status }) => status === 429);
        if (over) return over;
      }
    };
    assert.match((await limited(batch)).headers['retry-after'], /^[1-9]/);
    await limited(() => api(site, 'GET', '/channels', { app: APP }));
    await until(async () => (await batch()).status === 200, 'the next second');
    const [, port] = /^metrics on port (\d+)$/m.exec(site.stdout);
    const { text } = await request({ port }, 'GET', '/metrics');
    for (const limit of ['connections', 'backend_events', 'client_events', 'read_requests'])
      assert.ok(text.split('\n').some((line) => line.includes(limit.split('_')[0]) && /limit|refused|exceeded|over/.test(line) && !/ 0$/.test(line) && !line.startsWith('#')), `${limit} is counted:\n${text.split('\n').filter((l) => /limit/.test(l)).join('\n')}`);
  }
});

test('PBX-12: a publisher that gets 429 waits, repeats, and loses nothing', async (t) => {
  const site = await start(t, { SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SECOND: '20' });
  const { token } = await login(site, BEN);
  const hears = await listener(site, token, 'presence.org.1');
  const publisher = await start(t, { BROADCAST_CONNECTION: 'reverb', REVERB_HOST: '127.0.0.1', REVERB_PORT: String(site.port), REVERB_SCHEME: 'http' });
  const calls = Array.from({ length: 60 }, () => call(publisher));
  await Promise.all(calls.map((one) => one.initiate()));
  await until(() => hears.frames.filter((f) => f.event === 'call.initiated').length === 60, 'all of them');
  assert.deepEqual(new Set(hears.frames.filter((f) => f.event === 'call.initiated').map((f) => heard(f).call_id)), new Set(calls.map(({ id }) => id)));
});

test('APP-8: health says what is, and is degraded when nothing can be published', async (t) => {
  const site = await start(t);
  const stamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/;
  const { timestamp: at, ...rest } = (await ask(site, 'GET', '/api/v1/health')).json;
  assert.match(at, stamp);
  assert.deepEqual(rest, { status: 'ok', database: 'ok' });
  const { timestamp, ...socket } = (await ask(site, 'GET', '/api/v1/websocket/health')).json;
  assert.match(timestamp, stamp);
  assert.deepEqual(socket, { status: 'ok', websocket: 'connected', driver: 'local', host: '127.0.0.1', port: Number(site.port) });
  const alone = await start(t, { BROADCAST_CONNECTION: 'pusher', PUSHER_APP_ID: APP.id, PUSHER_APP_KEY: APP.key, PUSHER_APP_SECRET: APP.secret, PUSHER_HOST: '127.0.0.1', PUSHER_PORT: String(await freePort()), PUSHER_SCHEME: 'http' });
  await call(alone).initiate(); // the caller's part succeeds
  await until(async () => (await ask(alone, 'GET', '/api/v1/websocket/health')).status === 503, 'degraded');
  const { json } = await ask(alone, 'GET', '/api/v1/websocket/health');
  assert.deepEqual([json.status, json.websocket, json.driver], ['degraded', 'disconnected', 'pusher']);
});

/** A server that takes events: it has them in the order in which it was asked, and answers late. */
async function carrier(t, wait) {
  const events = [];
  let under = 0;
  let most = 0;
  const server = http.createServer((req, res) => {
    let text = '';
    req.on('data', (data) => { text += data; });
    req.on('end', async () => {
      const body = JSON.parse(text);
      most = Math.max(most, ++under);
      for (const event of body.batch ?? [body]) events.push({ name: event.name, channels: event.channels ?? [event.channel], ...JSON.parse(event.data) });
      await wait(events.length);
      under--;
      res.end('{}');
    });
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { server.closeAllConnections(); server.close(); });
  return { events, port: server.address().port, most: () => most };
}

const by = ({ port }) => ({ BROADCAST_CONNECTION: 'reverb', REVERB_HOST: '127.0.0.1', REVERB_PORT: String(port), REVERB_SCHEME: 'http' });

test('PBX-18: queued publishing keeps the order of each call\'s events, several requests at a time, and its depth is a figure', async (t) => {
  let slow = true;
  const far = await carrier(t, (n) => (slow ? sleep(20 + (n * 37) % 50) : null));
  const site = await start(t, { ...by(far), QUEUE_CONNECTION: 'redis' });
  const { token } = await login(site, ADA);
  const queue = async () => (await ask(site, 'GET', '/api/v1/websocket/metrics', { token })).json.queue;
  const calls = Array.from({ length: 60 }, (_, i) => call(site, { organization: 1 + (i % 2), extension: 1 + 8 * (i % 2) }));
  await Promise.all(calls.map(async (one) => { await one.initiate(); await one.answer('101'); await one.end(); }));
  const deep = await queue();
  slow = false;
  await until(async () => (await queue()).queued === 0, 'an empty queue');
  assert.ok(deep.queued > 0 && deep.oldest_ms >= 0, JSON.stringify(deep));
  for (const { id } of calls) {
    const of = far.events.filter((event) => event.call_id === id && event.channels.includes(event.channels[0]) && !/^private-user/.test(event.channels[0])).map(({ name }) => name);
    assert.deepEqual(of, ['call.initiated', 'call.answered', 'call.ended'], id);
  }
  assert.ok(far.most() > 1, 'several at a time');
});

test('PBX-A7: after silence the queue wakes at once: nothing asks it now and then', async (t) => {
  const far = await carrier(t, () => null);
  const site = await start(t, { ...by(far), QUEUE_CONNECTION: 'redis' });
  await call(site).initiate();
  await until(() => far.events.length >= 1, 'the first');
  let rounds = 0;
  // A worker that sleeps three seconds is late by one second or more in two of three events that are a second apart. A busy
  // machine is late as well, but not for ever.
  let late;
  do {
    const took = [];
    for (let i = 0; i < 3; i++) {
      await sleep(1000);
      const before = far.events.length;
      const began = Date.now();
      await call(site).initiate();
      await until(() => far.events.length > before, 'the next');
      took.push(Date.now() - began);
    }
    late = took.filter((ms) => ms >= 900).length;
    assert.ok(rounds++ < 20, `always late: ${took} ms`);
  } while (late > 1);
});

test('PBX-A3: a file with two drivers says which one counts; what an application publishes in Redis arrives', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t);
  const env = file('.env');
  fs.writeFileSync(env, `BROADCAST_DRIVER=pusher\nBROADCAST_CONNECTION=redis\nPUSHER_APP_ID=${APP.id}\nPUSHER_APP_KEY=${APP.key}\nPUSHER_APP_SECRET=${APP.secret}\nPUSHER_HOST=soketi\nPUSHER_PORT=6001\nPUSHER_SCHEME=http\nPUSHER_APP_CLUSTER=mt1\nSOKETI_PORT=6001\nSOKETI_METRICS_SERVER_PORT=9601\nSOKETI_DEBUG=0\nREDIS_HOST=127.0.0.1\nREDIS_PORT=${redis.port}\nREDIS_PASSWORD=null\n`);
  const site = await start(t, '--env', env, { BROADCAST_CONNECTION: 'redis' });
  assert.match(site.stderr, /BROADCAST_CONNECTION=redis counts, and BROADCAST_DRIVER=pusher does not/);
  const { token } = await login(site, BEN);
  const clients = await Promise.all(NAMES().map((name) => listener(site, token, name)));
  const publish = (id) => redis.call('PUBLISH', 'laravel-database-presence.org.1', JSON.stringify({ event: 'call.initiated', data: { ...outside(id), socket: null }, socket: null }));
  let n = 0;
  await until(async () => { await publish(`abc-${n++}`); await sleep(50); return clients.every((one) => one.frames.some((f) => f.event === 'call.initiated')); }, 'the first event');
  const one = call(site); // and what the program publishes itself goes the same way, once
  await one.initiate();
  for (const socket of clients) {
    await socket.next((f) => f.event === 'call.initiated' && heard(f).call_id === one.id);
    assert.equal((await socket.settle()).filter((f) => f.event.startsWith('call.') && heard(f).call_id === one.id).length, 0);
  }
});

test('PBX-17: a history of 100,000 calls in pages of 50, and by number', async (t) => {
  const data = file('history.db');
  const site = await start(t, '--data', data);
  fill(data, 'history', 100000);
  const { token } = await login(site, BEN);
  const get = async (query) => (await ask(site, 'GET', `/api/v1/calls?${query}`, { token })).json;
  const ids = new Set();
  let next = '';
  for (let page = 0; page < 5; page++) {
    const answer = await get(`limit=50${next && `&before=${next}`}`);
    assert.equal(answer.calls.length, 50);
    answer.calls.forEach(({ id }) => ids.add(id));
    next = answer.next;
  }
  assert.equal(ids.size, 250);
  assert.deepEqual([...ids].map(Number), [...ids].map(Number).sort((a, b) => b - a), 'newest first');
  const last = await get('limit=50&before=31');
  assert.deepEqual([last.calls.length, last.next], [30, '']);
  const found = await get(`number=${encodeURIComponent('+447700000042')}`);
  assert.deepEqual(found.calls.map(({ from_number: from }) => from), ['+447700000042']);
  assert.equal((await get('number=9999999999')).calls.length, 0);
  for (const wrong of ['limit=0', 'limit=201', 'before=0']) assert.equal((await ask(site, 'GET', `/api/v1/calls?${wrong}`, { token })).status, 422, wrong);
  assert.deepEqual((await get('state=active')).calls, []);
});

test('PBX-22: --trigger publishes a test call of an organization, and --self-test finds nothing wrong with the server', async (t) => {
  const site = await start(t, { APP_URL: 'http://127.0.0.1' });
  const { token } = await login(site, BEN);
  const hears = await listener(site, token, 'presence-org.1');
  const env = { ...ENV, REVERB_HOST: '127.0.0.1', REVERB_PORT: String(site.port), REVERB_SCHEME: 'http' };
  const said = run(['--port', site.port, '--trigger', 'call.initiated', '--organization', '1'], env);
  assert.equal(said.status, 0, said.stderr);
  const { call_id: id } = heard(await hears.event('call.initiated'));
  assert.ok(said.stdout.includes(id));
  for (const word of ['call.answered', 'call.ended']) {
    const more = run(['--port', site.port, '--trigger', word, '--call', id], env);
    assert.equal(more.status, 0, more.stderr);
    assert.equal(heard(await hears.event(word)).call_id, id);
  }
  assert.equal(run(['--trigger', 'call.moved'], env).status, 1);
  assert.equal(run(['--trigger', 'call.answered'], env).status, 1, 'of which call?');
  assert.match(run(['--trigger', 'call.initiated'], {}).stderr, /BROADCAST_CONNECTION/);
  const good = run(['--self-test'], { ...env, BROADCAST_CONNECTION: 'reverb' });
  assert.equal(good.status, 0, good.stdout + good.stderr);
  for (const part of [/^ok\s+queue/m, /^ok\s+redis/m]) assert.match(good.stdout, part);
  const bad = run(['--self-test', '--redis', 'redis://127.0.0.1:1'], { ...env, BROADCAST_CONNECTION: 'reverb', REVERB_APP_KEY: 'another' });
  assert.equal(bad.status, 1, bad.stdout);
  assert.match(bad.stdout, /^fail\s+redis/m);
});

test('APP-15: each endpoint, for strangers', async (t) => {
  const site = await start(t);
  const expired = await login(site, BEN);
  await ask(site, 'POST', '/api/v1/logout', { token: expired.token });
  const rows = [
    ['GET', '/', 303], ['GET', '/history', 303], ['GET', '/api/v1/calls', 401], ['GET', '/api/v1/calls?state=active', 401], ['GET', '/api/v1/members', 401],
    ['GET', '/api/v1/websocket/metrics', 401], ['POST', '/api/v1/token', 401], ['POST', '/api/v1/people/2', 401], ['POST', '/api/v1/webhooks/voice', 401], ['POST', '/demo/storm', 401],
    ['POST', '/api/v1/login', 401], ['POST', '/api/v1/logout', 401], ['POST', '/broadcasting/auth', 403], ['POST', '/api/v1/broadcasting/auth', 403], ['POST', '/broadcasting/user-auth', 403],
    ['GET', '/api/v1/health', 200], ['GET', '/api/v1/websocket/health', 200], ['GET', '/metrics', 404], ['PUT', '/api/v1/calls', 405],
  ];
  for (const [method, where, status] of rows) {
    for (const token of [undefined, expired.token, 'nonsense']) {
      const body = method === 'POST' ? { email: 'a', password: 'b', socket_id: '1.2', channel_name: 'presence-org.1' } : undefined;
      assert.equal((await ask(site, method, where, { token, body })).status, status, `${method} ${where} ${token}`);
    }
  }
});


test('people.js plays colleagues with stock Echo beside the program, and ends with it', async (t) => {
  const program = new Program(path.join(BUILD, 'examples/pbx/pbx'), ['--port', '0', '--simulate=1', '--speed', '20', '--node-modules', path.join(TOP, 'tests/node_modules')], { env: { ...process.env, ...ENV } });
  t.after(() => program.child.kill('SIGKILL'));
  const line = await program.lines.next((text) => /^listening on/.test(text));
  const site = { url: line.split(' ').at(-1) };
  const play = new Program(process.execPath, [path.join(TOP, 'examples/pbx/people.js'), site.url, '--speed', '20', '--node-modules', path.join(TOP, 'tests/node_modules')],
    { env: { ...process.env, ...ENV } });
  t.after(() => play.child.kill('SIGKILL'));
  const { token } = await login(site, ADA);
  const count = async () => (await ask(site, 'GET', '/api/v1/members', { token })).json.total;
  await until(async () => await count() >= 6, 'six people');
  await until(async () => await count() < 7, 'some go');
  await until(async () => (await ask(site, 'GET', '/api/v1/calls?state=active', { token })).json.calls.length >= 3, 'three calls');
  program.child.kill('SIGTERM');
  assert.equal((await program.exited).code, 0, program.stderr);
  assert.equal((await play.exited).code, 0, play.stderr);
});
