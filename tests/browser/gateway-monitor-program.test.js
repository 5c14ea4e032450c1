'use strict';
// examples/gateway-monitor beside what it tells of readings: alerts, replays, what it keeps, and what it says of itself.

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');

const { APP, BUILD, Program, TOP, sleep, until, within } = require('../integration/lib.js');
const { shared } = require('./program.js');
const { ADA, BEN, EVE, USUAL, client, data, health, listen, poll, start } = require('./gateways.js');

/** The environment of a program that publishes to a server at a port, which is away until `arrive()`; it accepts everything. */
async function awayServer(t) {
  const events = [];
  const server = http.createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => { body += chunk; });
    req.on('end', () => {
      const { batch, ...single } = JSON.parse(body);
      for (const { channel, channels = [channel], name, data: text } of batch ?? [single]) events.push({ channels, name, data: JSON.parse(text) });
      res.end('{}');
    });
  });
  const listening = (port) => new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  await listening(0);
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  t.after(() => { server.closeAllConnections(); server.close(); });
  return {
    events,
    arrive: () => listening(port),
    environment: {
      BROADCAST_CONNECTION: 'pusher', PUSHER_APP_ID: 'gateway-monitor', PUSHER_APP_KEY: 'gateway-monitor-key', PUSHER_APP_SECRET: 'secret', PUSHER_HOST: '127.0.0.1', PUSHER_PORT: `${port}`, PUSHER_SCHEME: 'http',
    },
  };
}

const keyOf = ({ channels, name, data: { data_point: point } }) => `${channels} ${name} ${point?.id}`;
const addsUp = (p) => assert.equal(p.in, p.accepted + p.merged + p.lost + p.queued, JSON.stringify(p));

test('GATE-13, APP-7: with the server away polls go on and are not late, what waits is bounded, and it is counted', async (t) => {
  const away = await awayServer(t);
  const site = await start(t, '--simulate', '--every-value', away.environment);
  site.talks = true;
  await until(async () => (await health(site)).polling?.merged > 3000, 'readings that newer ones replace');
  const first = (await health(site)).polling;
  await until(async () => (await health(site)).polling.polls > first.polls + 400, 'polls go on');
  await until(async () => (await health(site)).status === 'degraded', 'health says so'); // but in the moment of an attempt
  const { polling } = await health(site);
  assert.ok(polling.queued < 2 * 200 * 5 + 100, `${polling.queued} wait`); // two for each point, and changes of status
  addsUp(polling);
  t.diagnostic(`the longest hand-over of a round: ${polling.publish_ms_max} ms of the processor`);
  assert.ok(polling.publish_ms_max < 5, `a round took ${polling.publish_ms_max} ms more of the processor`);
  assert.match(site.stderr, /events have to wait/);
  assert.ok(site.stderr.split('\n').length < 10, 'it is said each time');
  await away.arrive();
  await until(() => away.events.length > 4000, 'events at the server'); // some seconds: it is asked less often the longer it was away
  const last = new Map();
  for (const event of away.events.filter(({ data: { reading } }) => reading)) {
    assert.ok(event.data.reading.id > (last.get(keyOf(event)) ?? 0), `${keyOf(event)} goes back`);
    last.set(keyOf(event), event.data.reading.id);
  }
  assert.equal(last.size, 2 * 200 * 5);
});

test('GATE-13: of what waited exactly the newest value of each point arrives', async (t) => {
  const away = await awayServer(t);
  const site = await start(t, '--every-value', away.environment);
  site.talks = true;
  const ada = await client(site);
  for (let round = 1; round <= 30; round++)
    for (let gateway = 1; gateway <= 10; gateway++) await poll(ada, gateway, USUAL.map((value) => value + round / 10));
  await until(async () => (await health(site)).polling.queued === 100, 'no request is under way');
  const { polling } = await health(site);
  assert.deepEqual([polling.in, polling.merged, polling.lost], [3000, 2900, 0]);
  await away.arrive();
  await until(async () => (await health(site)).polling.queued === 0, 'all of it is sent');
  addsUp((await health(site)).polling);
  assert.equal((await health(site)).polling.accepted, 100);
  assert.deepEqual(new Set(away.events.map(keyOf)).size, 100);
  assert.equal(away.events.length, 100);
  const newest = USUAL.map((value) => value + 3);
  for (const { data: { data_point: point, reading } } of away.events) assert.ok(newest.some((value) => Math.abs(value - reading.value) < 0.01), `${reading.value} of ${point.label}`);
});

/** An operator's URL, and what was posted there. */
async function receiver(t) {
  const posted = [];
  const server = http.createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => { body += chunk; });
    req.on('end', () => { posted.push({ url: req.url, ...JSON.parse(body) }); res.end(); });
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => server.close());
  return { posted, url: `http://127.0.0.1:${server.address().port}/alerts` };
}

test('GATE-15: an alert after its delay, to responsible users and the URL, once; one acknowledges for all', async (t) => {
  const to = await receiver(t);
  const site = await start(t, '--alert-url', to.url);
  const users = await Promise.all([ADA, BEN, EVE].map((who) => client(site, who)));
  const [ada, ben, eve] = users;
  const sockets = [];
  for (const [nth, who] of users.entries()) sockets.push(await listen(site, `private-user.${nth + 1}`, who));
  const level = (value, quality) => poll(ada, 3, [21, value, 230, 40, -70], quality);
  await level(95, 'bad'); // says nothing about the level
  await level(95);
  await until(async () => { await level(95); return (await (await ada.get('/alerts')).text()).includes('Acknowledge:'); });
  await level(95);
  const alerts = [];
  for (const socket of sockets.slice(0, 2)) alerts.push(data(await socket.event('gateway.alert')));
  const { alert, gateway, data_point: point } = alerts[0];
  assert.deepEqual(alerts[1].alert, alert);
  assert.deepEqual([alert, gateway, point], [{ id: 1, severity: 'critical', rule: 'above', value: 95, limit: 90 }, { id: 3, name: 'Booster 3' }, { id: 12, label: 'Level', unit: '%' }]);
  await until(() => to.posted.length === 1, 'the post');
  assert.deepEqual([to.posted[0].url, to.posted[0].alert], ['/alerts', alert]);
  assert.equal((await eve.get('/alerts')).status, 200); // may see it
  assert.equal((await ben.post('/api/v1/alerts/1/acknowledge')).status, 204);
  assert.equal((await ada.post('/api/v1/alerts/1/acknowledge')).status, 204); // is already
  for (const socket of sockets.slice(0, 2))
    assert.deepEqual(data(await socket.event('gateway.alert-closed')).alert, { id: 1, cleared: false, acknowledged_by: 'Ben' });
  await level(89); // below the limit, but not by the hysteresis
  await level(95);
  await level(80);
  for (const socket of sockets.slice(0, 2)) assert.equal(data(await socket.event('gateway.alert-closed')).alert.cleared, true);
  for (const socket of sockets) assert.doesNotMatch(JSON.stringify(await socket.settle()), /gateway\.alert/);
  assert.doesNotMatch(JSON.stringify(sockets[2].frames), /gateway\.alert/, 'who is not responsible');
});

test('GATE-16, GATE-A9: a replay is a channel of its own, raises no alert, and ends: over, replaced, left', async (t) => {
  const site = await start(t);
  const [ada, ben] = [await client(site), await client(site, BEN)];
  const alerts = await listen(site, 'private-user.1', ada);
  const from = Date.now() - 1000;
  for (const value of [21, 31, 99]) await poll(ada, 1, [value, value, 230, 40, -70]);
  await until(async () => (await health(site)).polling.rows_waiting === 0, 'readings in the database');
  const begin = async (fields) => {
    const answer = await ada.post('/api/v1/gateways/1/replay', { from, to: Date.now(), speed: 60, ...fields });
    assert.equal(answer.status, 201);
    return (await answer.json()).replay;
  };
  const live = await listen(site, 'gateway.1', ada);
  const first = await begin();
  assert.match((await listen(site, `private-replay.${first}`, ben)).answer.event, /error/, 'of another user');
  const socket = await listen(site, `private-replay.${first}`, ada);
  const values = [];
  for (;;) {
    const frame = await socket.next(({ event }) => /^re/.test(event));
    if (frame.event === 'replay.ended') { assert.deepEqual(data(frame), { replay: first, reason: 'over' }); break; }
    assert.equal(data(frame).replayed, true);
    if (data(frame).data_point.label === 'Temperature') values.push(data(frame).reading.value);
  }
  assert.deepEqual(values, [21, 31, 99]);
  for (const other of [alerts, live]) assert.doesNotMatch(JSON.stringify(await other.settle()), /replay|gateway\.alert/);
  const second = await begin({ from: from - 3600000, speed: 1 });
  const slow = await listen(site, `private-replay.${second}`, ada);
  const third = await begin({ from: from - 3600000, speed: 1 });
  assert.deepEqual(data(await slow.event('replay.ended')), { replay: second, reason: 'replaced' });
  const leaver = await listen(site, `private-replay.${third}`, ada);
  assert.match(leaver.answer.event, /succeeded/);
  await sleep(300); // it has begun
  leaver.close();
  await until(async () => { // each time somebody hears it for a moment
    await sleep(500);
    const late = await listen(site, `private-replay.${third}`, ada);
    await late.close();
    return /error/.test(late.answer.event);
  }, 'the end of what nobody hears');
  for (const wrong of [{ speed: 0 }, { speed: 601 }, { from: Date.now() + 1e6 }])
    assert.equal((await ada.post('/api/v1/gateways/1/replay', { from, to: Date.now(), speed: 60, ...wrong })).status, 422);
});

test('GATE-16: polls within a millisecond are as many readings', async (t) => {
  const site = await start(t);
  const ada = await client(site);
  const from = Date.now() - 1000, values = Array.from({ length: 40 }, (_, i) => 10 + i);
  await Promise.all(values.map((value) => poll(ada, 1, [value, value, 230, 40, -70])));
  await until(async () => (await health(site)).polling.rows_waiting === 0, 'readings in the database');
  const answer = await ada.post('/api/v1/gateways/1/replay', { from, to: Date.now() + 1000, speed: 600 });
  const socket = await listen(site, `private-replay.${(await answer.json()).replay}`, ada);
  const played = [];
  for (let frame; (frame = await socket.next(({ event }) => /^re/.test(event))).event !== 'replay.ended';)
    if (data(frame).data_point.label === 'Temperature') played.push(data(frame).reading.value);
  assert.deepEqual(played.sort((a, b) => a - b), values);
});

test('GATE-20, APP-4: what is too old goes, a month is 2,000 points, and a restart loses nothing that was written', async (t) => {
  const file = path.join(shared.scratch, 'gateways.db');
  const before = await start(t, '--data', file);
  const ada = await client(before);
  await poll(ada, 1, USUAL);
  await sleep(1100); // readings of one second are shown as one
  await poll(ada, 1, [25, ...USUAL.slice(1)]);
  const line = async (site, fields = '') => (await (await (await client(site)).get(`/api/v1/gateways/1/readings?${fields}`)).json()).lines;
  await until(async () => (await line(before))[0]?.line.length === 2, 'readings in the database');
  await before.kill();
  execFileSync('python3', ['-c', `import sqlite3, sys
db = sqlite3.connect(sys.argv[1]); now = int(sys.argv[2]) // 60000 * 60000
db.executemany("INSERT OR REPLACE INTO minutes VALUES (1, ?, ?, 1, 3, 2)", [(now - m * 60000, p) for m in range(40 * 1440) for p in range(1, 6)])
db.execute("INSERT INTO readings VALUES (1, ?, 1, 1, '[0,1]', 7, 'good')", (now - 90000000,))
db.commit()`, file, String(Date.now())]);
  const site = await start(t, '--data', file);
  await until(async () => (await line(site, `from=${Date.now() - 90060000}&to=${Date.now() - 89900000}`)).length === 0, 'the old reading goes');
  assert.deepEqual((await line(site))[0].line.map(([, value]) => value), [21, 25]);
  const begin = Date.now();
  const month = await line(site, `from=${begin - 30 * 86400000}&points=2000`);
  t.diagnostic(`a month, sign-in included: ${Date.now() - begin} ms`);
  assert.equal(month.length, 5);
  assert.ok(month[0].line.length > 1000 && month[0].line.length <= 2000, `${month[0].line.length}`);
  const older = await line(site, `from=${begin - 39 * 86400000}&to=${begin - 32 * 86400000}&points=2000`);
  await until(async () => older.length === 0 || (await line(site, `from=${begin - 39 * 86400000}&to=${begin - 32 * 86400000}&points=2000`)).length === 0, 'old minutes go');
});

test('GATE-12: health says how connections do', async (t) => {
  const site = await start(t);
  const ada = await client(site);
  const socket = await listen(site, 'readings', ada);
  await ada.get('/api/v1/dashboard?page=7&fallback=10');
  const all = await health(site);
  assert.deepEqual([all.status, all.driver, all.websocket, all.fallback, all.recommended_interval_s], ['ok', 'local', 'connected', { active_pages: 1, intervals: [5, 10, 30] }, 5]);
  assert.deepEqual(all.recent_attempts.map(({ outcome, code }) => [outcome, code]), [['connected', 0]]);
  socket.ws.terminate();
  await until(async () => (await health(site)).recent_attempts.at(-1).outcome === 'error', 'the error');
  assert.equal((await health(site)).recommended_interval_s, 10);
  await ada.get('/api/v1/dashboard?page=7&fallback=0');
  assert.equal((await health(site)).fallback.active_pages, 0);
});

test('the people of the demo sign in, look at gateways of their sites, acknowledge alerts, and end with the program', async (t) => {
  const site = await start(t);
  const people = new Program('node', [path.join(TOP, 'examples/gateway-monitor/people.js'), site.url, '3', '20'], { env: { ...process.env, NODE_MODULES: path.join(TOP, 'tests/node_modules') } });
  const ada = await client(site);
  for (const name of ['Ada', 'Ben', 'Eve']) { // in any order
    await people.lines.next((line) => line === `${name} is here`);
    people.lines.taken = 0;
  }
  const looked = /^(\w+) looked at gateway (\d+) and saw \d+ readings$/;
  for (const [name, sites] of [['Ben', [1, 2]], ['Eve', [4]]]) {
    const [, , id] = looked.exec(await people.lines.next((line) => looked.exec(line)?.[1] === name));
    assert.ok(sites.includes((id - 1) % 6 + 1), `${name}: ${id}`);
    people.lines.taken = 0;
  }
  await until(async () => { await poll(ada, 1, [21, 95, 230, 40, -70]); return /Acknowledged by Ben/.test(await (await ada.get('/alerts')).text()); }, 'Ben acknowledges');
  await site.stop();
  await people.ends();
  assert.equal(people.stderr, '');
});

/** In front of a server, as if its clock were 20 minutes ahead. */
async function clockOff(t, port) {
  const server = http.createServer((req, res) => res.writeHead(401, { Date: new Date(Date.now() + 1200000).toUTCString() }).end('Timestamp expired'));
  server.on('upgrade', (req, socket, head) => {
    const ahead = net.connect(port, '127.0.0.1', () => {
      ahead.write(`GET ${req.url} HTTP/1.1\r\n${Object.entries(req.headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
      ahead.write(head);
      socket.pipe(ahead).pipe(socket);
    });
    for (const one of [ahead, socket]) one.on('error', () => {});
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => server.close());
  return server.address().port;
}

test('GATE-12, GATE-A8: --self-test finds each planted fault by its name', async (t) => {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(BROADCAST|PUSHER|REVERB|SOKETI|APP_URL)/.test(name)));
  const file = path.join(shared.scratch, 'self-test.env');
  const env = (port, more = {}) => ({ BROADCAST_CONNECTION: 'pusher', PUSHER_APP_ID: APP.id, PUSHER_APP_KEY: APP.key, PUSHER_APP_SECRET: APP.secret, PUSHER_HOST: '127.0.0.1', PUSHER_PORT: port, PUSHER_SCHEME: 'http', ...more });
  const own = await start(t, env(1, { BROADCAST_CONNECTION: 'local' }));
  const config = path.join(shared.scratch, 'open.json');
  fs.writeFileSync(config, JSON.stringify({ apps: [{ ...APP, allowed_origins: ['https://pages.example'] }] }));
  const open = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--config', config], { env: clean });
  t.after(() => { open.child.kill(); });
  const openPort = await open.listening();
  async function check(port, more, args = []) {
    fs.writeFileSync(file, Object.entries(env(port, more)).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}\n`).join(''));
    const child = spawn(path.join(BUILD, 'examples/gateway-monitor/gateway-monitor'), ['--self-test', '--json', '--env', file, ...args], { env: clean });
    let out = '';
    child.stdout.on('data', (chunk) => { out += chunk; });
    const code = await within(new Promise((resolve) => { child.on('close', resolve); }), 'the end of the self-test');
    const report = JSON.parse(out);
    assert.equal(code, report.fail ? 1 : 0, out);
    return report.checks.filter(({ level }) => level !== 'ok');
  }
  const causes = async (...args) => (await check(...args)).map(({ cause }) => cause).filter((cause) => cause !== 'receive-slow');
  assert.deepEqual(await causes(own.port, {}), []);
  assert.deepEqual(await causes(own.port, { PUSHER_APP_SECRET: undefined }), ['env-lacks']);
  assert.deepEqual(await causes(own.port, { PUSHER_APP_SECRET: 'wrong' }), ['secret-wrong']);
  assert.deepEqual(await causes(1, {}), ['tcp-refused']);
  assert.deepEqual(await causes(own.port, { PUSHER_SCHEME: 'https' }), ['tls-none']);
  assert.deepEqual(await causes(own.port, { BROADCAST_CONNECTION: undefined }), ['env-unchosen']);
  assert.deepEqual(await causes(openPort, { APP_URL: 'https://pages.example' }), ['guard-none']);
  assert.deepEqual(await causes(openPort, { APP_URL: 'https://other.example' }), ['ws-unauthorized']);
  const late = await clockOff(t, own.port);
  assert.deepEqual(await causes(late, {}), ['clock-off']);
  const pages = Object.fromEntries(['HOST', 'PORT', 'SCHEME'].map((name) => [`VITE_PUSHER_${name}`, `"\${PUSHER_${name}}"`]));
  const missing = await check(own.port, { ...pages, PUSHER_HOST: undefined, PUSHER_PORT: undefined, PUSHER_SCHEME: undefined, PUSHER_APP_CLUSTER: 'none-such' });
  assert.deepEqual(missing.filter(({ cause }) => cause === 'env-page-empty').map(({ seen }) => /(\w+) is not set/.exec(seen)[1]), ['PUSHER_HOST', 'PUSHER_PORT', 'PUSHER_SCHEME']);
});
