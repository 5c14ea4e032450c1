'use strict';
// examples/status-page: what it tells those who watch it, and those who read its bars without a mouse.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const path = require('node:path');
const readline = require('node:readline');
const { test } = require('node:test');

const { until } = require('../integration/lib.js');
const { API_SERVICE, MEMBER, OWNER, client, live, open, shared, start } = require('./site.js');

test('ST-22: health is degraded while the database takes no writes, and good again afterwards', async (t) => {
  const file = path.join(shared.scratch, 'health.sqlite');
  const site = await start(t, '--data', file, { BROADCAST_DEBUG: '0' });
  const health = async (where = 'health') => {
    const answer = await fetch(`${site.url}/api/v1/${where}`);
    const { timestamp, ...rest } = await answer.json();
    assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
    return [answer.status, rest];
  };
  const good = [200, { status: 'ok', database: 'ok', websocket: 'connected' }];
  assert.deepEqual(await health(), good);
  assert.deepEqual(await health('websocket/health'),
    [200, { status: 'ok', websocket: 'connected', driver: 'local', host: '127.0.0.1', port: Number(site.port), tls: false }]);

  const owner = await client(site, OWNER);
  const change = (message) => owner.post(`/api/v1/services/${API_SERVICE}/status`, { status: 'degraded', message });
  const hold = 'import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\ndb.execute("BEGIN IMMEDIATE")\nprint("held", flush=True)\nsys.stdin.read()';
  const holder = spawn('python3', ['-c', hold, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => holder.kill());
  for await (const line of readline.createInterface({ input: holder.stdout })) { assert.equal(line, 'held'); break; }
  const refused = await change('Lost');
  assert.equal(refused.status, 500);
  assert.match((await refused.json()).error, /Nothing was changed/);
  assert.deepEqual(await health(), [503, { status: 'degraded', database: 'failed', websocket: 'connected' }]);
  holder.stdin.end();
  await new Promise((resolve) => { holder.on('close', resolve); });
  assert.deepEqual(await health(), good, 'it stays degraded');
  assert.equal((await change('Kept')).status, 200);
});

test('ST-22: counters are for admins, and for Prometheus on a port of its own', async (t) => {
  const site = await start(t, '--metrics-port', '0');
  const where = '/api/v1/websocket/metrics';
  assert.equal((await fetch(site.url + where)).status, 401);
  assert.equal((await (await client(site, MEMBER)).get(where)).status, 403);
  assert.equal((await (await (await client(site, OWNER)).get(where)).json()).connections, 0);
  const [, port] = /^metrics on port (\d+)$/m.exec(site.stdout);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(metrics, /^# TYPE pusherc_\w+ \w+$/m);
  for (const page of ['ready', 'usage']) assert.equal((await fetch(`http://127.0.0.1:${port}/${page}`)).status, 200, page);
  assert.equal((await fetch(`${site.url}/metrics`)).status, 404, 'public');
});

test('ST-23: days with trouble can be read by keyboard', async (t) => {
  const site = await start(t);
  const page = await open(t, `${site.url}/status/lighthouse`, { viewport: { width: 320, height: 640 }, isMobile: true });
  await live(page);
  const days = page.locator(`#days-${API_SERVICE}`);
  await days.locator('summary').focus();
  await page.keyboard.press('Enter');
  await days.getByText(/^\d{4}-\d\d-\d\d: Degraded performance, 34 min$/).waitFor();
  // It stays open while the page follows.
  await (await client(site, OWNER)).write(`services/${API_SERVICE}/status`, { status: 'major_outage', message: 'Fire' });
  await days.getByText(/: Major outage, 1 min$/).waitFor();
  assert.equal(await days.evaluate((element) => element.open), true);
});
