'use strict';
// examples/gateway-monitor in Chromium: pages that follow, and pages that cannot hear. What is on the wire, is in
// gateway-monitor-events.test.js.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');

const { TOP, sleep, until } = require('../integration/lib.js');
const { connection, isSame, live, open, screenshot, shared, shows, signInAt } = require('./program.js');
const { ADA, BEN, EVE, USUAL, client, page, poll, start } = require('./gateways.js');

// Few are enough where their number is not the question, and a busy machine draws them sooner.
const FEW = ['--gateways', '24'];
const PAGES = { skip: process.env.ASAN_OPTIONS ? 'pages: in the stage without sanitizers' : false };

const value = (where, point) => where.locator(`#p-${point} b`);
const samples = (where) => where.evaluate(() => document.querySelector('polyline').points.length);

/** Requests of the page from now on: their paths. */
function requests(where) {
  const all = [];
  where.on('request', (request) => { if (request.resourceType() === 'fetch') all.push(new URL(request.url()).pathname); });
  return all;
}

async function accessible(where, name) {
  await where.evaluate(fs.readFileSync(path.join(TOP, 'tests/node_modules/axe-core/axe.min.js'), 'utf8'));
  const { violations } = await where.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), [], name);
}

test('GATE-1, GATE-A5, GATE-8: tiles, counts and the line follow in place, by one connection and without a request', PAGES, async (t) => {
  const site = await start(t, ...FEW);
  const ada = await client(site);
  const dashboard = await page(t, site);
  await live(dashboard);
  assert.deepEqual([await dashboard.locator('#active').innerText(), await dashboard.locator('#inactive').innerText()], ['24', '0']);
  const channels = () => dashboard.evaluate(() => window.gatewayMonitor.live.echo.connector.pusher.channels.all().map(({ name }) => name).sort());
  assert.deepEqual(await channels(), ['gateway.1', 'gateways', 'private-user.1', 'readings']);
  const asked = requests(dashboard);
  await poll(ada, 1, USUAL);
  await shows(value(dashboard, 1), '21.0');
  await until(async () => (await samples(dashboard)) === 1, 'the first sample');
  await sleep(150); // samples of one tenth of a second are one
  await poll(ada, 1, [25.5, ...USUAL.slice(1)], 'uncertain');
  await shows(value(dashboard, 1), '25.5');
  await dashboard.locator('#p-1.uncertain').waitFor();
  await until(async () => (await samples(dashboard)) === 2, 'the second sample');
  for (let i = 0; i < 3; i++) await poll(ada, 7);
  await dashboard.locator('#g-7.inactive').waitFor();
  assert.deepEqual([await dashboard.locator('#active').innerText(), await dashboard.locator('#inactive').innerText()], ['23', '1']);
  await shows(dashboard.locator('#changes li'), 'Booster 7 is inactive');
  assert.deepEqual(asked, [], 'an event is no reason to ask');
  await dashboard.locator('#p-32').click(); // of gateway 7
  await shows(dashboard.locator('#chosen'), 'Booster 7: Level');
  await until(async () => (await channels()).join() === 'gateway.7,gateways,private-user.1,readings', 'one subscription for another');
  await dashboard.locator('#p-33').click();
  assert.deepEqual(await channels(), ['gateway.7', 'gateways', 'private-user.1', 'readings']);
  await dashboard.getByLabel('Site').selectOption('Harbour');
  assert.equal(await dashboard.locator('.tile:visible').count(), 4);
  assert.equal(await isSame(dashboard), true);
  const tabs = [];
  for (let i = 0; i < 2; i++) {
    tabs.push(await dashboard.context().newPage());
    await tabs[i].goto(site.url);
    await live(tabs[i]);
  }
  await until(async () => { // those that are open: a busy machine may lose one
    const attempts = (await (await fetch(`${site.url}/api/v1/websocket/health`)).json()).recent_attempts;
    return attempts.reduce((open, { outcome }) => open + (outcome === 'connected' ? 1 : -1), 0) === 3;
  }, 'a connection for each tab');
});

test('GATE-A6: many readings are no requests; GATE-1: the demo is lively soon after it was opened', PAGES, async (t) => {
  const site = await start(t, '--simulate=3', '--gateways', '12');
  const pages = [await page(t, site), await page(t, site, EVE)];
  const asked = [];
  for (const one of pages) { await live(one); asked.push(requests(one)); }
  const texts = () => pages[0].locator('.value b').allInnerTexts();
  const before = await texts();
  await until(async () => (await texts()).filter((text, nth) => text !== before[nth]).length > 20, 'tiles that move');
  await until(async () => (await samples(pages[0])) > 3, 'a line that grows');
  await pages[0].locator('.tile.inactive').first().waitFor();
  assert.deepEqual(asked.flat(), []);
  assert.deepEqual([await pages[0].locator('.tile').count(), await pages[1].locator('.tile').count()], [12, 4]);
  await pages[0].screenshot({ path: screenshot('gateways') });
  await pages[0].getByRole('button', { name: 'Lose a site' }).click();
  await until(async () => (await pages[0].locator('#site-1 .tile.inactive').count()) === 2, 'a site that is lost');
  const ada = await client(site);
  assert.equal((await ada.post('/api/v1/demo/gateways')).status, 204);
  assert.equal((await (await ada.get('/api/v1/dashboard')).json()).gateways.length, 2000);
});

test('GATE-9, GATE-11, GATE-A4: a page without a WebSocket asks after 5, 10, 30 and 30 s, and stops when it hears', PAGES, async (t) => {
  const site = await start(t, ...FEW);
  const ada = await client(site);
  const context = await shared.browser.newContext();
  t.after(() => context.close());
  let hindered = true;
  await context.routeWebSocket(/\/app\//, (socket) => { if (hindered) socket.close({ code: 1001 }); else socket.connectToServer(); });
  await context.addCookies([{ name: 'gateways_session', value: ada.cookie.split('=')[1], url: site.url }]);
  const dashboard = await context.newPage();
  await dashboard.clock.install();
  await dashboard.addInitScript(() => { // by the page's clock
    const { fetch } = window;
    window.asked = [];
    window.fetch = (where, ...more) => { window.asked.push([Date.now(), where]); return fetch(where, ...more); };
  });
  await dashboard.goto(site.url);
  const asked = () => dashboard.evaluate(() => window.asked);
  const fallbackPages = async () => (await (await fetch(`${site.url}/api/v1/websocket/health`)).json()).fallback.active_pages;
  for (let nth = 0; nth < 4; nth++) {
    await poll(ada, 1, [30 + nth * 2, ...USUAL.slice(1)]);
    await until(async () => { await dashboard.clock.runFor(2500); return (await asked()).length > nth + 1; }, 'a request');
    await shows(value(dashboard, 1), (30 + nth * 2).toFixed(1));
    await shows(connection(dashboard), `Updating every ${nth === 0 ? 10 : 30} s`);
  }
  const times = (await asked()).map(([at]) => at);
  const pauses = times.slice(2).map((at, nth) => Math.round((at - times[nth + 1]) / 1000));
  for (const [nth, least] of [10, 30, 30].entries()) assert.ok(pauses[nth] >= least && pauses[nth] < least + 15, pauses.join());
  assert.ok(times[1] - times[0] >= 4000, `${times[1] - times[0]}`);
  assert.ok((await asked()).every(([, where]) => where.startsWith('/api/v1/dashboard')));
  assert.equal(await fallbackPages(), 1);
  hindered = false;
  await until(async () => { await dashboard.clock.runFor(2500); return /^Live$/.test(await connection(dashboard).innerText()); }, 'it is live');
  await until(async () => (await fallbackPages()) === 0, 'no page that asks');
  const before = (await asked()).length;
  await dashboard.clock.runFor(60000);
  assert.equal((await asked()).length, before, 'it still asks');
});

/** In front of the program: what a proxy does that knows nothing of WebSockets. */
async function swallower(t, port) {
  const server = http.createServer((req, res) => {
    const { upgrade, ...headers } = req.headers;
    const ahead = http.request({ port, host: '127.0.0.1', path: req.url, method: req.method, headers: { ...headers, connection: 'close' } }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    ahead.on('error', () => res.destroy());
    req.pipe(ahead);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}`;
}

test('GATE-9, GATE-A3: an unknown key, a refused channel, a proxy without Upgrade, a server that died: the page asks, and says so', PAGES, async (t) => {
  const file = path.join(shared.scratch, 'fallback.db');
  const site = await start(t, '--data', file, ...FEW);
  const ada = await client(site);
  const cookies = [{ name: 'gateways_session', value: ada.cookie.split('=')[1], url: site.url }];
  async function asks(prepare, address = site.url) {
    const context = await shared.browser.newContext();
    await context.addCookies(cookies.map((cookie) => ({ ...cookie, url: address })));
    const dashboard = await context.newPage();
    await dashboard.clock.install();
    await prepare(dashboard);
    await dashboard.goto(address);
    await dashboard.locator('#p-1[aria-pressed="true"]').waitFor();
    const what = 30 + Math.round(Math.random() * 60);
    await until(async () => { // one second of the page's time after the other
      await poll(ada, 1, [what, ...USUAL.slice(1)]);
      await dashboard.clock.runFor(2500);
      return (await value(dashboard, 1).innerText()) === what.toFixed(1) && /Updating/.test(await connection(dashboard).innerText());
    }, 'the page asks');
    await context.close();
  }
  const change = (from, to) => (dashboard) => dashboard.route(site.url + '/', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(from, to) });
  });
  await asks(change(/data-key="[^"]*"/, 'data-key="unknown"'));
  await asks(change(/data-user="1"/, 'data-user="2"')); // the channel of another user
  await asks(() => {}, await swallower(t, site.port));

  const dashboard = await page(t, site, ADA, { clock: true });
  await live(dashboard);
  await poll(ada, 1, USUAL);
  await shows(value(dashboard, 1), '21.0');
  await site.kill();
  await until(async () => { await dashboard.clock.runFor(2500); return /Reconnecting/.test(await connection(dashboard).innerText()); }, 'it says so');
  const again = await start(t, '--data', file, '--port', site.port);
  await poll(await client(again), 1, [28, ...USUAL.slice(1)]);
  await until(async () => { await dashboard.clock.runFor(2500); return (await value(dashboard, 1).innerText()) === '28.0'; }, 'it catches up');
  await until(async () => { await dashboard.clock.runFor(2500); return /^Live$/.test(await connection(dashboard).innerText()); }, 'it is live');
});

/**
 * In front of the program: after freeze() the WebSockets that are open hear nothing, and are not told. Connections of requests
 * are closed: those a browser gives up when it wakes.
 */
async function frozen(t, port) {
  const pairs = new Set();
  const server = net.createServer((near) => {
    const pair = { near, far: net.connect(port, '127.0.0.1'), dead: false, upgraded: false };
    pairs.add(pair);
    near.on('data', (chunk) => { pair.upgraded ||= /^GET \/app\//.test(chunk); if (!pair.dead) pair.far.write(chunk); });
    pair.far.on('data', (chunk) => { if (!pair.dead) near.write(chunk); });
    for (const [one, other] of [[near, pair.far], [pair.far, near]]) {
      one.on('error', () => {});
      one.on('close', () => { if (!pair.dead) other.destroy(); });
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const end = ({ near, far }) => { near.destroy(); far.destroy(); };
  t.after(() => { server.close(); pairs.forEach(end); });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    freeze() { for (const pair of pairs) if (pair.upgraded) pair.dead = true; else end(pair); },
  };
}

test('GATE-9: a laptop that was closed finds its connection dead, connects anew, and shows what is now', PAGES, async (t) => {
  const site = await start(t, ...FEW);
  const ada = await client(site);
  const between = await frozen(t, site.port);
  const dashboard = await page(t, { url: between.url }, ADA, { clock: true });
  await live(dashboard);
  await poll(ada, 1, USUAL);
  await shows(value(dashboard, 1), '21.0');
  between.freeze();
  await poll(ada, 1, [33, ...USUAL.slice(1)]);
  const heard = await client(site); // the event is written, and does not come
  await poll(heard, 2, USUAL);
  assert.equal(await value(dashboard, 1).innerText(), '21.0');
  await until(async () => { // silence, a ping without an answer, a new connection
    await dashboard.clock.runFor(5000);
    return /^Live$/.test(await connection(dashboard).innerText()) && (await value(dashboard, 1).innerText()) === '33.0';
  }, 'it is live and right');
});

test('GATE-16: a replay is paused, goes on, and is sought in', PAGES, async (t) => {
  const site = await start(t, ...FEW);
  const ada = await client(site);
  await poll(ada, 3, USUAL);
  const one = await page(t, site, ADA);
  await one.goto(`${site.url}/gateways/3`);
  await live(one);
  await shows(one.locator('#p-11 .value b'), '21.0');
  const asked = [];
  one.on('request', (request) => { if (/replay$/.test(request.url())) asked.push([request.method(), new URLSearchParams(request.postData() ?? '')]); });
  await one.getByLabel('Speed').selectOption('10 times');
  await one.getByRole('button', { name: 'Play' }).click();
  await shows(one.locator('#banner'), 'This is a replay');
  await one.locator('#play', { hasText: 'Pause' }).waitFor();
  await until(async () => { await one.locator('#play', { hasText: 'Pause' }).click(); return (await one.locator('#play').innerText()) === 'Go on'; }, 'a pause');
  await until(() => asked.some(([method]) => method === 'DELETE'), 'its end on the server');
  await one.getByRole('button', { name: 'Go on' }).click();
  await until(() => asked.filter(([method]) => method === 'POST').length === 2, 'it goes on');
  await one.getByLabel('Position').fill('995');
  await until(() => asked.filter(([method]) => method === 'POST').length === 3, 'another beginning');
  const [first, , sought] = asked.filter(([method]) => method === 'POST').map(([, fields]) => fields);
  const span = Number(first.get('to')) - Number(first.get('from'));
  assert.equal(Number(sought.get('from')), Math.round(Number(first.get('from')) + span * 0.995));
  await until(() => one.locator('#banner').isHidden(), 'its end, which is near');
  await shows(one.locator('#p-11 .value b'), '21.0');
});

test('GATE-10: what a page asks for is at most 20 KB', async (t) => {
  const site = await start(t, '--simulate', '--every-value');
  const ada = await client(site);
  await until(async () => (await (await ada.get('/api/v1/dashboard?point=1')).json()).line.length >= 5, 'some samples');
  const text = await (await ada.get('/api/v1/dashboard?point=1&since=0')).text();
  t.diagnostic(`${text.length} bytes for 200 gateways`);
  assert.ok(text.length < 20000 - 30 * 20, `${text.length} bytes`); // with the samples of half a minute, too
  const { line } = JSON.parse(text);
  const since = line.at(-2)[0];
  assert.ok((await (await ada.get(`/api/v1/dashboard?point=1&since=${since}`)).json()).line.every(([at]) => at > since));
});

test('GATE-15, GATE-16, GATE-18: an alert is said and acknowledged; a replay says that it is one; ?debug says what connections do', PAGES, async (t) => {
  const site = await start(t, ...FEW, { BROADCAST_DEBUG: 'on' });
  const ada = await client(site);
  const dashboard = await page(t, site, BEN);
  const lines = [];
  dashboard.on('console', (message) => lines.push(message.text()));
  await dashboard.goto(`${site.url}/?debug`);
  await live(dashboard);
  assert.ok(lines.some((line) => /connecting -> connected/.test(line)), lines.join());
  assert.match(site.stderr, /^client \d+\.\d+: connected 0$/m);
  const alerts = await signInAt(t, `${site.url}/alerts`, ADA, `${site.url}/`);
  await alerts.goto(`${site.url}/alerts`);
  await live(alerts);
  await until(async () => { await poll(ada, 3, [21, 95, 230, 40, -70]); return (await dashboard.locator('.toast').count()) > 0; }, 'the alert');
  await shows(dashboard.locator('.toast'), 'Level 95 %, above 90 %');
  await until(async () => /^\(1\) /.test(await dashboard.title()), 'the title');
  await alerts.getByRole('button', { name: 'Acknowledge: Booster 3, Level' }).click();
  await shows(alerts.locator('#alerts li'), 'Acknowledged by Ada');
  await until(async () => (await dashboard.locator('.toast').count()) === 0, 'nothing is left to do for the other');
  await until(async () => (await dashboard.title()) === 'Gateways', 'the title');
  await accessible(alerts, 'alerts');

  await dashboard.goto(`${site.url}/gateways/3`);
  await live(dashboard);
  await shows(dashboard.locator('#p-12 .value b'), '95.0');
  await dashboard.getByLabel('Speed').selectOption('600 times');
  await dashboard.getByRole('button', { name: 'Play' }).click();
  await shows(dashboard.locator('#banner'), 'This is a replay');
  await poll(ada, 3, [21, 60, 230, 40, -70]);
  await until(async () => (await dashboard.locator('#banner').isHidden()) && (await dashboard.locator('#p-12 .value b').innerText()) === '60.0', 'its end');
  assert.equal(await dashboard.locator('.toast').count(), 0);
});

test('APP-11, APP-14, GATE-A8: pages of the document\'s settings, names with anything in them, narrow and dark, without a finding of axe', PAGES, async (t) => {
  const file = path.join(shared.scratch, 'names.db');
  const env = path.join(shared.scratch, 'document.env');
  fs.writeFileSync(env, 'BROADCAST_DRIVER=pusher\nBROADCAST_CONNECTION=local\nPUSHER_APP_ID=app\nPUSHER_APP_KEY=key\nPUSHER_APP_SECRET=secret\nPUSHER_APP_CLUSTER=mt1\nVITE_PUSHER_HOST="${PUSHER_HOST}"\nVITE_PUSHER_PORT="${PUSHER_PORT}"\nVITE_PUSHER_SCHEME="${PUSHER_SCHEME}"\n');
  const names = ['<b>&"\'', 'x'.repeat(60), 'مضخة', '⛽ pump'];
  await (await start(t, '--data', file, ...FEW)).stop();
  execFileSync('python3', ['-c', 'import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\nfor nth, name in enumerate(sys.argv[2:]): db.execute("UPDATE gateways SET name = ? WHERE id = ?", (name, nth + 1))\ndb.commit()', file, ...names]);
  const site = await start(t, '--data', file, '--env', env, ...FEW);
  const ada = await client(site);
  const dashboard = await page(t, site, ADA, { viewport: { width: 320, height: 640 }, isMobile: true, colorScheme: 'dark' });
  await live(dashboard);
  for (const [nth, name] of names.entries()) assert.equal(await dashboard.locator(`#g-${nth + 1} a`).textContent(), name);
  for (let i = 0; i < 3; i++) await poll(ada, 1);
  await shows(dashboard.locator('#changes li'), '<b>&"\' is inactive');
  await poll(ada, 2, USUAL);
  await shows(value(dashboard, 6), '21.0');
  assert.ok(await dashboard.evaluate(() => document.documentElement.scrollWidth <= 320), 'wider than the phone');
  await accessible(dashboard, 'dashboard');
  await dashboard.screenshot({ path: screenshot('gateways-phone-dark') });
  await dashboard.goto(`${site.url}/gateways/2`);
  await live(dashboard);
  await accessible(dashboard, 'gateway');
  assert.ok(await dashboard.evaluate(() => document.documentElement.scrollWidth <= 320));
  const other = await open(t, site.url.replace('127.0.0.1', 'localhost')); // another origin: one signs in again
  await other.getByRole('button', { name: /^Ada/ }).click();
  await live(other);
});
