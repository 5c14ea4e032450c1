'use strict';
// What the browser tests of the examples share: real pages of any example as a program.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before } = require('node:test');
const { chromium } = require('playwright-core');

const { killed, launch, signedIn, subscriber } = require('../integration/applications.js');
const { BUILD, until } = require('../integration/lib.js');

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

/** A request that was under way when its program was killed. */
const isCutOff = (message) => /ERR_(CONNECTION_(RESET|CLOSED)|EMPTY_RESPONSE)/.test(message.text()) 
  && [...killed].some((port) => message.location().url.includes(`:${port}/`));

/** Opens a page in a browser profile of its own; whatever it complains about fails the test. */
async function open(t, url, options = {}) {
  const context = await shared.browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    // A connection that is refused while the program is stopped, and pages that are refused to those who may not see
    // them or are not signed in any more, are what some tests are about.
    if (message.type() === 'error' && !/ERR_CONNECTION_REFUSED|ERR_FAILED|WebSocket (connection|is already in CLOSING)|status of 4(0[134]|22|29)/.test(message.text()) && !isCutOff(message))
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

module.exports = {
  PROMPT_MS, connection, isSame, launch, live, mark, open, screenshot, shared, shows, signInAt, signedIn, subscriber, toasted,
};
