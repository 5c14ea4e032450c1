'use strict';
// What the browser tests of the examples share: any example as a program, real pages, and clients without a browser.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { after, before } = require('node:test');
const { chromium } = require('playwright-core');

const { BUILD, TOP, connect, freePort, until, within } = require('../integration/lib.js');

const SCREENSHOTS = path.join(BUILD, 'screenshots');
// Within a second, says the README; what a busy machine takes says nothing about the program.
const PROMPT_MS = 20000;

const shared = { browser: null, scratch: null };

before(async () => {
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  shared.scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'example-'));
  shared.browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
});

after(async () => {
  await shared.browser?.close();
  fs.rmSync(shared.scratch, { recursive: true, force: true });
});

const screenshot = (name) => path.join(SCREENSHOTS, `${name}.png`);

/**
 * Starts the example of that name; it ends with the test, and has to end well. `env` as its last argument if it is an object.
 * A normal start says nothing; set `site.talks` where something else is expected.
 */
async function launch(t, name, ...args) {
  const env = typeof args.at(-1) === 'object' ? args.pop() : {};
  const port = String(await freePort()); // which it can have again after an end
  const child = spawn(path.join(BUILD, 'examples', name, name),
    ['--port', port, '--node-modules', path.join(TOP, 'tests/node_modules'), ...args], { env: { ...process.env, ...env } });
  const site = { name, stderr: '', stdout: '', killed: false, talks: 'BROADCAST_DEBUG' in env };
  child.stderr.on('data', (data) => { site.stderr += data; });
  const exited = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  site.stop = async () => {
    if (child.exitCode === null && !site.killed) child.kill('SIGTERM');
    assert.equal(await within(exited, 'end of the program'), site.killed ? 'SIGKILL' : 0, site.stderr);
    if (!site.talks) assert.equal(site.stderr, '');
  };
  site.kill = async () => {
    site.killed = true;
    child.kill('SIGKILL');
    await exited;
  };
  t.after(() => site.stop());
  for await (const line of readline.createInterface({ input: child.stdout })) {
    site.stdout += `${line}\n`; // up to that one
    const found = /^listening on (https?:\/\/\S+)$/.exec(line);
    if (found) {
      [, site.url] = found;
      site.port = new URL(site.url).port;
      child.stdout.resume();
      return site;
    }
  }
  throw new Error(`no "listening on": ${site.stderr}`);
}

/** Opens a page in a browser profile of its own; whatever it complains about fails the test. */
async function open(t, url, options = {}) {
  const context = await shared.browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    // A connection that is refused while the program is stopped, and pages that are refused to those who may not see
    // them, are what some tests are about.
    if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|ERR_FAILED|WebSocket (connection|is already in CLOSING)|status of 4(0[34]|22)/.test(message.text()))
      page.complaints.push(message.text());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(page.complaints, []);
  });
  page.setDefaultTimeout(20000);
  await page.addInitScript(() => {
    window.toasted = [];
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes)
        for (const node of addedNodes) if (node.matches?.('.toast')) window.toasted.push(node.textContent);
    }).observe(document, { childList: true, subtree: true });
  });
  if (options.clock) await page.clock.install();
  await page.goto(url);
  await mark(page);
  return page;
}

/** Remembers this document: see isSame(). */
const mark = (page) => page.evaluate(() => { window.sameDocument = true; }).catch(() => {});
const isSame = (page) => page.evaluate(() => window.sameDocument === true);

/** Opens a page that leads to the sign-in form, and signs in there; `after` is the address that follows. */
async function signInAt(t, url, user, after, options = {}) {
  const page = await open(t, url, options);
  await page.getByLabel('E-mail').fill(user.email);
  await page.getByLabel('Password').fill(user.password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.waitForURL(after);
  await mark(page);
  return page;
}

/** Such a toast was shown. It stays for some seconds only: on a busy machine it may be gone before a test looks. */
const toasted = (page, text) => until(() => page.evaluate((wanted) => window.toasted.some((shown) => shown.includes(wanted)), text), `the toast "${text}"`);

const connection = (page) => page.locator('#connection');
const shows = (locator, text) => locator.filter({ hasText: text }).first().waitFor();
const live = (page) => shows(connection(page), /^Live$/);

/**
 * A client without a browser that has signed in by the form. `fields` go with it. `send` is fetch() with the right agent
 * where that is needed.
 */
async function signedIn(site, user, fields = {}, send = fetch) {
  const form = await send(`${site.url}/login`);
  const loginCookie = form.headers.get('set-cookie').split(';')[0];
  const csrf = /name="csrf" value="([0-9a-f]{64})"/.exec(await form.text())[1];
  const answer = await send(`${site.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: loginCookie },
    body: new URLSearchParams({ ...user, csrf, ...fields }),
  });
  if (answer.status !== 303) return { status: answer.status };
  const setCookie = answer.headers.get('set-cookie');
  const cookie = setCookie.split(';')[0];
  const page = await send(site.url + answer.headers.get('location'), { headers: { cookie } });
  const token = /name="csrf-token" content="([0-9a-f]{64})"/.exec(await page.text())[1];
  const write = (method, where, body, headers = {}) => send(`${site.url}${where}`, {
    method,
    redirect: 'manual',
    headers: { Accept: 'application/json', 'X-CSRF-Token': token, cookie, ...headers },
    body,
  });
  return {
    status: answer.status,
    location: answer.headers.get('location'),
    cookie,
    setCookie,
    get: (where) => send(`${site.url}${where}`, { headers: { cookie }, redirect: 'manual' }),
    post: (where, fields_, headers) => write('POST', where, new URLSearchParams(fields_), headers),
    send: write,
  };
}

/** A raw WebSocket client that wants a channel, with the cookie of a session or without. */
async function subscriber(site, channel, cookie, key = `${site.name}-key`) {
  const headers = cookie ? { cookie, origin: site.url } : {};
  const socket = await connect({ port: site.port }, { app: { key }, headers });
  socket.ask(channel);
  socket.answer = await socket.next((frame) => /subscription_(succeeded|error)$/.test(frame.event));
  return socket;
}

module.exports = {
  PROMPT_MS, connection, isSame, launch, live, mark, open, screenshot, shared, shows, signInAt, signedIn, subscriber, toasted,
};
