'use strict';
// The page of examples/pbx in Chromium. What needs no page is in tests/integration/pbx*.test.js.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { until } = require('../integration/lib.js');
const { ADA, BEN, CLEO, ask, call, fill, listener, login, start, webhook } = require('../integration/pbx.js');
const { connection, isSame, live, open, screenshot, shared, shows, signInAt, toasted } = require('./program.js');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const page = (t, site, who = BEN, options = {}) => signInAt(t, site.url, who, `${site.url}/`, options);
const rows = (on) => on.locator('#calls li');
const row = (on, one) => on.locator(`#calls li[data-call="${one.id}"]`);

async function axe(on) {
  await on.evaluate(AXE);
  const found = await on.evaluate(() => window.axe.run());
  assert.deepEqual(found.violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
}

test('PBX-2, PBX-3, APP-10: the panel shows calls as they run, who has answered, and who is online', async (t) => {
  const site = await start(t, 'quiet');
  const on = await page(t, site);
  await live(on);
  await shows(on.locator('#online'), 'Online: 1 member');
  await listener(site, (await login(site, ADA)).token, 'presence-org.1');
  await shows(on.locator('#online'), 'Online: 2 members');
  await shows(on.locator('#members li'), /^Adaadmin$/);
  await shows(on.locator('#members li'), /^Ben \(you\)member$/);
  const one = call(site, { extension: 3 });
  await one.initiate();
  await shows(row(on, one), /^Ringing\+447700900123 → \+442079460103 \(\d+ s\)$/);
  await shows(on.locator('#active'), '1');
  await until(async () => /^\(1\) /.test(await on.title()), 'the title');
  const seconds = async () => Number(/\((\d+) s\)/.exec(await row(on, one).textContent())[1]);
  const first = await seconds();
  await until(async () => await seconds() > first, 'it ticks');
  await one.answer();
  await shows(row(on, one), /^Talking.*103 Cleo$/);
  await on.screenshot({ path: screenshot('pbx') });
  await one.end();
  await shows(row(on, one), /^Ended/);
  await row(on, one).waitFor({ state: 'detached' });
  await shows(on.locator('#none'), 'No call is running.');
  assert.ok(await isSame(on));
  await axe(on);
});

test('PBX-3: with the visitor\'s clock an hour off, durations are those of the server', async (t) => {
  const site = await start(t);
  const one = call(site);
  await one.initiate();
  const on = await page(t, site, BEN);
  await on.addInitScript(() => { const real = Date.now; Date.now = () => real() - 3600000; });
  await on.reload();
  await shows(row(on, one), /\((\d|\d\d) s\)$/);
});

test('PBX-5: a pop-up for the person of the extension only, which goes when the call is answered', async (t) => {
  const site = await start(t);
  const [ben, cleo] = [await page(t, site, BEN), await page(t, site, CLEO)];
  for (const on of [ben, cleo]) await live(on);
  await ben.locator('#sound').check();
  await ben.locator('#sound').uncheck();
  await ben.locator('#sound').check();
  const one = call(site, { extension: 2 });
  await one.initiate();
  await toasted(ben, 'Your extension rings');
  await until(() => ben.evaluate(() => window.pbx.sounds === 1), 'a sound');
  await ben.locator('#sound').uncheck();
  await one.answer('105'); // by a colleague
  await ben.locator('.toast').waitFor({ state: 'detached' });
  const other = call(site, { extension: 2 });
  await other.initiate();
  await ben.locator('.toast').waitFor();
  await other.end('canceled');
  await ben.locator('.toast').waitFor({ state: 'detached' });
  assert.equal(await ben.evaluate(() => window.pbx.sounds), 1, 'switched off');
  assert.deepEqual(await cleo.evaluate(() => window.toasted), []);
});

test('PBX-4, APP-4: a reload, another tab, and a program that was killed: the same calls', async (t) => {
  const data = path.join(shared.scratch, 'pbx-again.db');
  let site = await start(t, '--data', data);
  const [stays, ends] = [call(site), call(site)];
  for (const one of [stays, ends]) await one.initiate();
  const on = await page(t, site);
  await live(on);
  await row(on, stays).waitFor();
  await on.reload();
  await row(on, ends).waitFor();
  const tab = await on.context().newPage();
  await tab.goto(site.url);
  await row(tab, ends).waitFor();
  await site.kill();
  await shows(connection(on), /Reconnecting/);
  const { port } = site;
  site = await start(t, '--data', data, '--port', port);
  await webhook(site, { type: 'call.ended', call_id: ends.id, status: 'completed' });
  for (const one of [on, tab]) {
    await live(one);
    await row(one, ends).waitFor({ state: 'detached' });
    await row(one, stays).waitFor();
  }
});

test('PBX-6: signing out in one tab cuts off the others, which say so', async (t) => {
  const site = await start(t);
  const on = await page(t, site);
  await live(on);
  const tab = await on.context().newPage();
  await tab.goto(site.url);
  await live(tab);
  await tab.getByRole('button', { name: 'Sign out' }).click();
  await tab.waitForURL(/login/);
  await shows(on.locator('#signed-out'), 'Sign in again');
  const late = call(site);
  await late.initiate();
  assert.equal(await on.evaluate(() => window.pbx.isConnected), false);
  assert.equal(await rows(on).count(), 0);
});

test('PBX-8: a page renews its token and goes on; when it cannot, it says "sign in again"', async (t) => {
  const site = await start(t, '--token-s', '4');
  let tokens = 0;
  const on = await page(t, site);
  on.on('request', (request) => { tokens += /api\/v1\/token/.test(request.url()); });
  await until(() => tokens >= 2, 'two tokens more');
  await live(on);
  const one = call(site);
  await one.initiate();
  await row(on, one).waitFor();
  await on.context().clearCookies(); // the session is over
  await shows(on.locator('#signed-out'), 'Sign in again');
});

test('PBX-10, PBX-A10, APP-14: the 101st colleague is let in; the list shows 50 of them, how many more, and any name', async (t) => {
  const data = path.join(shared.scratch, 'pbx-many.db');
  const site = await start(t, '--data', data);
  const tokens = fill(data, 'people', 150);
  const on = await page(t, site);
  await live(on);
  for (const token of tokens.slice(0, 4)) await listener(site, token, 'presence-org.1');
  for (const name of ['<b>Bold</b> & "quoted"', 'x'.repeat(120), 'مرحبا', '📞 👩‍💻']) await shows(on.locator('#members .name'), name);
  assert.ok(await on.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is too wide');
  for (let i = 4; i < tokens.length; i += 25) await Promise.all(tokens.slice(i, i + 25).map((token) => listener(site, token, 'presence-org.1')));
  await shows(on.locator('#online'), 'Online: 151 members');
  assert.equal(await on.locator('#members li').count(), 50);
  await shows(on.locator('#more'), 'and 101 more');
  const { json } = await ask(site, 'GET', '/api/v1/members', { token: tokens[0] });
  assert.deepEqual([json.total, json.members.length], [151, 151]);
});

test('PBX-16: five thousand running calls are at most a hundred rows, drawn ten times a second at most', async (t) => {
  const data = path.join(shared.scratch, 'pbx-5000.db');
  const site = await start(t, '--data', data);
  fill(data, 'calls', 5000);
  const on = await page(t, site);
  await live(on);
  await shows(on.locator('#active'), '5000');
  assert.ok(await rows(on).count() <= 100);
  await on.evaluate(() => {
    window.draws = 0;
    new MutationObserver(() => { window.draws++; }).observe(document.getElementById('active'), { childList: true });
  });
  const began = Date.now();
  await Promise.all(Array.from({ length: 100 }, () => call(site, { extension: 5 }).initiate()));
  await shows(on.locator('#active'), '5100');
  const draws = await on.evaluate(() => window.draws);
  assert.ok(draws <= Math.ceil((Date.now() - began) / 100) + 1, `${draws} draws`);
  const first = await rows(on).first().textContent();
  await on.locator('#calls-box').evaluate((box) => { box.scrollTop = box.scrollHeight / 2; });
  await until(async () => await rows(on).first().textContent() !== first, 'other rows');
  assert.ok(await rows(on).count() <= 100);
});

test('PBX-19: a panel that is mounted and unmounted 200 times has one listener of each event', async (t) => {
  const site = await start(t);
  const on = await page(t, site);
  await live(on);
  await on.evaluate(async () => {
    for (let i = 0; i < 200; i++) { window.pbx.unmount(); window.pbx.mount(); }
  });
  await live(on);
  await until(() => on.evaluate(() => window.pbx.onlineMembers.length === 1), 'the members');
  const listeners = await on.evaluate(() => {
    const { channels } = window.pbx.live.echo.connector.pusher.channels;
    return Object.fromEntries(Object.entries(channels).map(([name, { callbacks: { _callbacks: all } }]) => [name, Object.entries(all).filter(([event]) => /call\./.test(event)).map(([event, list]) => `${event} ${list.length}`)]));
  });
  assert.deepEqual(listeners, { 'private-user.2': ['_call.initiated 1'], 'presence-org.1': ['_call.initiated 1', '_call.answered 1', '_call.ended 1'] });
  const one = call(site, { extension: 5 });
  await one.initiate();
  await row(on, one).waitFor();
  assert.equal(await on.evaluate(() => window.pbx.totalActiveCalls), 1);
});

test('PBX-17: the history page, and a demo of the panel on a phone', async (t) => {
  const site = await start(t, '--simulate=3', '--speed', '5');
  const on = await page(t, site, BEN, { viewport: { width: 320, height: 640 }, isMobile: true, colorScheme: 'dark' });
  await live(on);
  await until(async () => await rows(on).count() >= 3, 'three calls');
  await toasted(on, 'Your extension rings');
  await on.screenshot({ path: screenshot('pbx-phone') });
  const width = await on.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 320, `${width} px`);
  await axe(on);
  await on.getByRole('button', { name: 'Busy' }).click();
  await until(async () => (await ask(site, 'GET', '/api/v1/calls', { token: (await login(site, ADA)).token })).json.calls.some((one) => one.ended_at), 'a call that has ended');
  await on.goto(`${site.url}/history`);
  await shows(on.locator('tbody tr'), /\+442079460/);
  await axe(on);
  await open(t, `${site.url}/history`).then((other) => shows(other.locator('h1'), 'Sign in'));
});

test('APP-5: where no WebSocket gets through, the page asks, and goes live when one may', async (t) => {
  const site = await start(t);
  const on = await open(t, `${site.url}/login`);
  await on.routeWebSocket(/./, (socket) => { if (!on.allowed) socket.close(); else socket.connectToServer(); });
  await on.getByRole('button', { name: 'Ben, Kestrel Travel, member' }).click();
  await on.waitForURL(`${site.url}/`);
  await shows(connection(on), /Updating every/);
  const one = call(site);
  await one.initiate();
  await row(on, one).waitFor();
  on.allowed = true;
  await live(on);
});
