'use strict';
// What the browser tests share: the status page's program, real pages, and clients without a browser.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { after, before } = require('node:test');
const { chromium } = require('playwright-core');

const { BUILD, TOP, connect, within } = require('../integration/lib.js');

const SCREENSHOTS = path.join(BUILD, 'screenshots');
const OWNER = { email: 'owner@lighthouse.example', password: 'lighthouse-demo' };
const ADMIN = { email: 'admin@lighthouse.example', password: 'lighthouse-demo' };
const MEMBER = { email: 'member@lighthouse.example', password: 'lighthouse-demo' };
const STRANGER = { email: 'owner@paperplane.example', password: 'paperplane-demo' };
const STRANGE_MEMBER = { email: 'member@paperplane.example', password: 'paperplane-demo' };
const API_SERVICE = 4; // "Public API" of sql/demo.sql
const HIDDEN_SERVICE = 13; // "Build farm", which only members see
// Within a second, says the README; what a busy machine with sanitizers takes says nothing about the program.
const PROMPT_MS = process.env.ASAN_OPTIONS ? 10000 : 5000;

const shared = { browser: null, scratch: null };

before(async () => {
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  shared.scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'status-page-'));
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

/** Starts the program; it ends with the test, and has to end well. `env` as its last argument if it is an object. */
async function start(t, ...args) {
  const env = typeof args.at(-1) === 'object' ? args.pop() : {};
  const child = spawn(path.join(BUILD, 'examples/status-page/status-page'),
    ['--port', '0', '--node-modules', path.join(TOP, 'tests/node_modules'), ...args], { env: { ...process.env, ...env } });
  const site = { stderr: '', stdout: '', killed: false };
  child.stderr.on('data', (data) => { site.stderr += data; });
  const exited = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  site.stop = async () => {
    if (child.exitCode === null && !site.killed) child.kill('SIGTERM');
    assert.equal(await within(exited, 'end of the program'), site.killed ? 'SIGKILL' : 0, site.stderr);
    if (!('BROADCAST_DEBUG' in env)) assert.equal(site.stderr, ''); // a normal start says nothing
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
  if (options.clock) await page.clock.install();
  await page.goto(url);
  await mark(page);
  return page;
}

/** Remembers this document: see isSame(). */
const mark = (page) => page.evaluate(() => { window.sameDocument = true; }).catch(() => {});
const isSame = (page) => page.evaluate(() => window.sameDocument === true);

async function signIn(t, site, user, options = {}, slug = 'lighthouse') {
  const page = await open(t, `${site.url}/dashboard/${slug}`, options);
  await page.getByLabel('E-mail').fill(user.email);
  await page.getByLabel('Password').fill(user.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/dashboard/*');
  await mark(page);
  return page;
}

const connection = (page) => page.locator('#connection');
const pill = (page, id = API_SERVICE) => page.locator(`#service-${id}-state .pill`);
const overall = (page) => page.locator('#overall strong');

const shows = (locator, text) => locator.filter({ hasText: text }).first().waitFor();

const live = (page) => shows(connection(page), /^Live$/);

/** A signed-in client without a browser. `send` is fetch() with the right agent where that is needed. */
async function client(site, user, slug = 'lighthouse', send = fetch) {
  const form = await send(`${site.url}/login`);
  const loginCookie = form.headers.get('set-cookie').split(';')[0];
  const csrf = /name="csrf" value="([0-9a-f]{64})"/.exec(await form.text())[1];
  const answer = await send(`${site.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: loginCookie },
    body: new URLSearchParams({ ...user, csrf, organization: slug }),
  });
  if (answer.status !== 303) return { status: answer.status };
  const setCookie = answer.headers.get('set-cookie');
  const cookie = setCookie.split(';')[0];
  const dashboard = await send(site.url + answer.headers.get('location'), { headers: { cookie } });
  const token = /name="csrf-token" content="([0-9a-f]{64})"/.exec(await dashboard.text())[1];
  const write = (method, where, body, headers = {}) => send(`${site.url}${where}`, {
    method,
    redirect: 'manual',
    headers: { Accept: 'application/json', 'X-CSRF-Token': token, cookie, ...headers },
    body,
  });
  const post = (where, fields, headers) => write('POST', where, new URLSearchParams(fields), headers);
  return {
    status: answer.status,
    location: answer.headers.get('location'),
    cookie,
    setCookie,
    get: (where) => send(`${site.url}${where}`, { headers: { cookie }, redirect: 'manual' }),
    post,
    send: write,
    /** A write that has to succeed. */
    async write(where, fields) {
      const done = await post(`/api/v1/${where}`, fields);
      assert.equal(done.status, 200, await done.text());
    },
  };
}

/** A WebSocket client that wants organization.{id}, with the cookie of a session or without. */
async function listener(site, organization, cookie, channel = `organization.${organization}`) {
  const headers = cookie ? { cookie, origin: site.url } : {};
  const socket = await connect({ port: site.port }, { app: { key: 'status-page-key' }, headers });
  socket.ask(channel);
  socket.answer = await socket.next((frame) => /subscription_(succeeded|error)$/.test(frame.event));
  return socket;
}

/** What the API shows of an organization. */
const organization = async (site, slug = 'lighthouse') => (await fetch(`${site.url}/api/v1/organizations/${slug}`)).json();

module.exports = {
  ADMIN, API_SERVICE, HIDDEN_SERVICE, MEMBER, OWNER, PROMPT_MS, STRANGER, STRANGE_MEMBER,
  client, connection, isSame, listener, live, mark, open, organization, overall, pill, screenshot, shared, shows, signIn, start,
};
