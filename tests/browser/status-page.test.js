'use strict';
// examples/status-page in a real browser: stock pusher-js and Laravel Echo, several pages at once.
// What the pages look like is left in BUILD/screenshots/.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { after, before, test } = require('node:test');
const { chromium } = require('playwright-core');

const { BUILD, TOP, until, within } = require('../integration/lib.js');

const SCREENSHOTS = path.join(BUILD, 'screenshots');
const OWNER = { email: 'owner@lighthouse.example', password: 'lighthouse-demo' };
const MEMBER = { email: 'member@lighthouse.example', password: 'lighthouse-demo' };
const STRANGER = { email: 'owner@paperplane.example', password: 'paperplane-demo' };
const API_SERVICE = 4; // "Public API" of sql/demo.sql

let browser;
let scratch;

before(async () => {
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'status-page-'));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
});

after(async () => {
  await browser?.close();
  fs.rmSync(scratch, { recursive: true, force: true });
});

/** Starts the program; it ends with the test, and has to end well. */
async function start(t, ...args) {
  const child = spawn(path.join(BUILD, 'examples/status-page/status-page'),
    ['--port', '0', '--node-modules', path.join(TOP, 'tests/node_modules'), ...args]);
  let complaints = '';
  child.stderr.on('data', (data) => { complaints += data; });
  const exited = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  const site = {
    async stop() {
      if (child.exitCode === null) child.kill('SIGTERM');
      assert.equal(await within(exited, 'end of the program'), 0, complaints);
      assert.equal(complaints, '');
    },
  };
  t.after(() => site.stop());
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const found = /^listening on (http:\/\/\S+)$/.exec(line);
    if (found) {
      site.url = found[1];
      site.port = new URL(site.url).port;
      child.stdout.resume();
      return site;
    }
  }
  throw new Error(`no "listening on": ${complaints}`);
}

/** Opens a page in a browser profile of its own; whatever it complains about fails the test. */
async function open(t, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    // A connection that is refused while the program is stopped is what that test is about.
    if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|WebSocket connection/.test(message.text()))
      page.complaints.push(message.text());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(page.complaints, []);
  });
  page.setDefaultTimeout(20000);
  await page.goto(url);
  // Lost by a reload.
  await page.evaluate(() => { window.sameDocument = true; }).catch(() => {});
  return page;
}

async function signIn(t, site, user, options) {
  const page = await open(t, `${site.url}/dashboard/lighthouse`, options);
  await page.getByLabel('E-mail').fill(user.email);
  await page.getByLabel('Password').fill(user.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/dashboard/*');
  await page.evaluate(() => { window.sameDocument = true; }).catch(() => {});
  return page;
}

const connection = (page) => page.locator('#connection');
const pill = (page, id = API_SERVICE) => page.locator(`#service-${id} .pill`);
const overall = (page) => page.locator('#overall strong');

async function shows(locator, text) {
  await locator.filter({ hasText: text }).first().waitFor();
}

const live = (page) => shows(connection(page), /^Live$/);

async function change(page, id, label, message) {
  const service = page.locator(`#service-${id}`);
  await service.getByText('Change status').click();
  await service.getByLabel(label).check();
  await service.getByLabel('Message').fill(message);
  await service.getByRole('button', { name: 'Update' }).click();
}

/** A signed-in client without a browser. */
async function client(site, user) {
  const form = await fetch(`${site.url}/login`);
  const loginCookie = form.headers.get('set-cookie').split(';')[0];
  const csrf = /name="csrf" value="([0-9a-f]{64})"/.exec(await form.text())[1];
  const answer = await fetch(`${site.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: loginCookie },
    body: new URLSearchParams({ ...user, csrf, organization: 'lighthouse' }),
  });
  if (answer.status !== 303) return { status: answer.status };
  const cookie = answer.headers.get('set-cookie').split(';')[0];
  const dashboard = await fetch(site.url + answer.headers.get('location'), { headers: { cookie } });
  const token = /name="csrf-token" content="([0-9a-f]{64})"/.exec(await dashboard.text())[1];
  return {
    status: answer.status,
    location: answer.headers.get('location'),
    post: (id, fields, headers = {}) => fetch(`${site.url}/api/v1/services/${id}/status`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': token, cookie, ...headers },
      body: JSON.stringify(fields),
    }),
  };
}

test('a change on the dashboard reaches every open page without a reload', async (t) => {
  const site = await start(t);
  const visitor = await open(t, `${site.url}/status/lighthouse`);
  const elsewhere = await open(t, `${site.url}/status/paperplane`);
  const owner = await signIn(t, site, OWNER);
  for (const page of [visitor, elsewhere, owner]) await live(page);
  await shows(overall(visitor), 'All systems operational');
  const untouched = await elsewhere.locator('main').innerHTML();
  await visitor.screenshot({ path: path.join(SCREENSHOTS, 'status-light.png'), fullPage: true });

  const began = Date.now();
  await change(owner, API_SERVICE, 'Partial outage', 'Uploads are answered with 503. We are on it.');
  for (const page of [visitor, owner]) {
    await shows(pill(page), 'Partial outage');
    await shows(overall(page), 'Partial system outage');
    await shows(page.locator('#activity li').first(), 'Uploads are answered with 503.');
    await shows(page.locator('.toast'), 'Public API: partial outage');
    assert.equal(await page.evaluate(() => window.sameDocument), true, 'the page was loaded again');
  }
  t.diagnostic(`on both pages after ${Date.now() - began} ms`);
  assert.ok(Date.now() - began < 5000);
  await owner.screenshot({ path: path.join(SCREENSHOTS, 'dashboard-light.png') });
  await visitor.screenshot({ path: path.join(SCREENSHOTS, 'status-light-outage.png') });

  // The form is closed, empty and starts from the new status; names of people stay inside.
  await shows(owner.locator('#activity li').first(), 'Demo owner');
  assert.equal(await visitor.getByText('Demo owner').count(), 0);
  await change(owner, 2, 'Degraded performance', '');
  await shows(pill(visitor, 2), 'Degraded performance');
  await shows(overall(visitor), 'Partial system outage');
  assert.equal(await elsewhere.locator('main').innerHTML(), untouched);
});

test('pages look right in the dark and on a phone', async (t) => {
  const site = await start(t);
  const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true };
  const dark = { colorScheme: 'dark' };
  const owner = await client(site, OWNER);
  assert.equal((await owner.post(2, { status: 'degraded', message: 'Pages take some seconds.' })).status, 200);
  assert.equal((await owner.post(7, { status: 'maintenance', message: 'New routers until 14:00 UTC.' })).status, 200);
  const shots = {
    'start-light': await open(t, site.url),
    'start-dark-phone': await open(t, site.url, { ...dark, ...phone }),
    'status-dark': await open(t, `${site.url}/status/lighthouse`, dark),
    'status-phone': await open(t, `${site.url}/status/lighthouse`, phone),
    'login-light': await open(t, `${site.url}/login`),
    'dashboard-dark': await signIn(t, site, OWNER, dark),
    'dashboard-phone': await signIn(t, site, OWNER, phone),
  };
  await shots['dashboard-phone'].getByText('Change status').first().click();
  for (const [name, page] of Object.entries(shots)) {
    if (await connection(page).count()) await live(page);
    await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(inner <= outer, `${name}: ${inner} pixels wide in a window of ${outer}`);
  }
});

test('without scripts the page is complete and the dashboard works', async (t) => {
  const site = await start(t);
  const plain = { javaScriptEnabled: false };
  const owner = await signIn(t, site, OWNER, plain);
  await change(owner, API_SERVICE, 'Major outage', 'Nothing works.');
  await shows(pill(owner), 'Major outage');
  const visitor = await open(t, `${site.url}/status/lighthouse`, plain);
  await shows(overall(visitor), 'Major system outage');
  await shows(visitor.locator(`#service-${API_SERVICE}`), 'Nothing works.');
  assert.equal(await connection(visitor).isVisible(), false);
});

test('a restart is shown, and what was missed is caught up', async (t) => {
  const data = ['--data', path.join(scratch, 'restart.sqlite')];
  const first = await start(t, ...data);
  const visitor = await open(t, `${first.url}/status/lighthouse`);
  const owner = await signIn(t, first, OWNER);
  await live(visitor);
  await live(owner);
  await first.stop();
  await shows(connection(visitor), 'Reconnecting');
  await shows(connection(owner), 'Reconnecting');
  await visitor.screenshot({ path: path.join(SCREENSHOTS, 'status-reconnecting.png') });

  // A change that no page is told about.
  const between = await start(t, ...data);
  const answer = await (await client(between, OWNER)).post(API_SERVICE, { status: 'degraded', message: 'Missed' });
  assert.equal(answer.status, 200);
  await between.stop();
  await shows(pill(visitor), 'Operational');

  await start(t, ...data, '--port', first.port);
  for (const page of [visitor, owner]) {
    await live(page);
    await shows(pill(page), 'Degraded performance');
    await shows(page.locator('#activity li').first(), 'Missed');
    assert.equal(await page.evaluate(() => window.sameDocument), true, 'the page was loaded again');
  }
  // And the session is still good.
  await change(owner, API_SERVICE, 'Operational', 'Over');
  await shows(pill(visitor), 'Operational');
});

test('a page that gets no WebSocket asks by itself, and says so', async (t) => {
  const site = await start(t);
  const context = await browser.newContext();
  t.after(() => context.close());
  await context.routeWebSocket(/\/app\//, (socket) => socket.close());
  const visitor = await context.newPage();
  await visitor.goto(`${site.url}/status/lighthouse`);
  const answer = await (await client(site, OWNER)).post(API_SERVICE, { status: 'degraded', message: '' });
  assert.equal(answer.status, 200);
  await shows(pill(visitor), 'Degraded performance');
  assert.notEqual(await connection(visitor).textContent(), 'Live');
  await shows(connection(visitor), 'Polling');
});

test('text from people stays text', async (t) => {
  const site = await start(t);
  const visitor = await open(t, `${site.url}/status/lighthouse`);
  await live(visitor);
  const owner = await client(site, OWNER);
  const message = `<img src=x onerror="document.title='broken'"> & "quotes" 'too' {{name}} \u{1f980}`;
  assert.equal((await owner.post(API_SERVICE, { status: 'degraded', message })).status, 200);
  await shows(pill(visitor), 'Degraded performance');
  assert.equal(await visitor.locator('#activity li').first().locator('p').nth(1).textContent(), message);
  assert.match(await visitor.locator('.toast').textContent(), /<img src=x/);
  assert.equal(await visitor.locator('main img').count(), 0);
  const head = (await fetch(`${site.url}/status/lighthouse`)).headers;
  assert.match(head.get('content-security-policy'), /script-src 'self';/);
});

test('who may not change anything does not', async (t) => {
  const site = await start(t);
  const [owner, member, stranger] = await Promise.all([OWNER, MEMBER, STRANGER].map((user) => client(site, user)));
  const fields = { status: 'major_outage', message: '' };
  const status = async (answer) => (await answer).status;
  assert.equal(await status(owner.post(API_SERVICE, fields, { 'X-CSRF-Token': '' })), 403, 'no token');
  assert.equal(await status(owner.post(API_SERVICE, fields, { 'X-CSRF-Token': 'f'.repeat(64) })), 403, 'wrong token');
  assert.equal(await status(owner.post(API_SERVICE, fields, { cookie: '' })), 401, 'no session');
  assert.equal(await status(owner.post(API_SERVICE, { status: 'bad' })), 422, 'unknown status');
  assert.equal(await status(owner.post(API_SERVICE, { ...fields, message: 'x'.repeat(300) })), 422, 'long message');
  assert.equal(await status(owner.post(999, fields)), 404, 'no such service');
  assert.equal(await status(member.post(API_SERVICE, fields)), 403, 'a member');
  assert.equal(await status(stranger.post(API_SERVICE, fields)), 404, 'somebody of another organization');
  assert.equal(stranger.location, '/dashboard/paperplane');
  assert.equal((await client(site, { ...OWNER, password: 'wrong' })).status, 422);
  assert.equal((await client(site, { ...OWNER, email: 'nobody@lighthouse.example' })).status, 422);
  const { groups } = await (await fetch(`${site.url}/api/v1/organizations/lighthouse/services`)).json();
  assert.ok(groups.every(({ services }) => services.every((service) => service.status === 'operational')));
});

test('the page is drawn again only after a change', async (t) => {
  const site = await start(t);
  const page = `${site.url}/status/lighthouse`;
  const etag = (await fetch(page)).headers.get('etag');
  const again = () => fetch(page, { headers: { 'If-None-Match': etag } });
  assert.equal((await again()).status, 304);
  await (await client(site, OWNER)).post(API_SERVICE, { status: 'degraded', message: '' });
  assert.equal((await again()).status, 200);
});

test('health tells where the program listens and how many are connected', async (t) => {
  const site = await start(t);
  await live(await open(t, `${site.url}/status/lighthouse`));
  const health = await until(async () => {
    const answer = await (await fetch(`${site.url}/api/v1/websocket/health`)).json();
    return answer.connections === 1 && answer;
  });
  const { status, websocket, driver, host, port, timestamp } = health;
  assert.deepEqual({ status, websocket, driver, host, port },
    { status: 'ok', websocket: true, driver: 'local', host: '127.0.0.1', port: Number(site.port) });
  assert.ok(Math.abs(Date.now() - Date.parse(timestamp)) < 60000);
});
