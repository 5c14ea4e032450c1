'use strict';
// examples/status-page: what an open page says of itself, and how it says what happens.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const { until } = require('../integration/lib.js');
const {
  API_SERVICE, OWNER, client, connection, live, open, overall, screenshot, shared, shows, signIn, start, toasted,
} = require('./site.js');

const PHONE = { viewport: { width: 320, height: 640 }, isMobile: true };

test('ST-2, ST-24: a page whose server is away says how old it is, and stops asserting after a minute', async (t) => {
  const data = ['--data', path.join(shared.scratch, 'away.sqlite')];
  const first = await start(t, ...data);
  const page = await open(t, `${first.url}/status/lighthouse`, { clock: true });
  await live(page);
  assert.equal(await page.locator('#age').isVisible(), false);
  await first.kill();
  await shows(connection(page), 'Reconnecting');
  await shows(page.locator('#age'), /^as of \d\d:\d\d:\d\d, \d+ s ago$/);
  assert.equal(await page.locator('html.stale').count(), 0);
  await page.clock.fastForward(61000);
  await page.locator('html.stale').waitFor();
  await shows(page.locator('#age'), /1 min ago$/);
  assert.match(await page.title(), /^\(as of \d\d:\d\d:\d\d\) /);
  const green = await page.evaluate(() => getComputedStyle(document.getElementById('overall')).backgroundColor);
  assert.equal(green, 'rgb(90, 99, 117)', 'the banner is as if nothing had happened');
  await page.screenshot({ path: screenshot('status-stale') });

  const second = await start(t, ...data, '--port', first.port);
  await (await client(second, OWNER)).write('organizations/1/incidents', { title: 'Fire', message: 'x', effect: 'major_outage' });
  await page.clock.fastForward(31000);
  await live(page);
  await shows(overall(page), 'Major system outage');
  assert.equal(await page.locator('html.stale').count(), 0);
  assert.equal(await page.locator('#age').isVisible(), false);
  assert.equal(await page.title(), '● Major system outage · Lighthouse Hosting · Status');
});

/** Buttons, fields with the focus and the badge that a toast lies on. */
const covered = (page) => page.evaluate(() => {
  const box = document.getElementById('toasts');
  const ours = box.getBoundingClientRect();
  return [...document.querySelectorAll('button, #connection, :focus')].filter((other) => {
    const theirs = other.getBoundingClientRect();
    return !box.contains(other) && other.checkVisibility() && theirs.bottom > ours.top && theirs.top < ours.bottom && theirs.right > ours.left && theirs.left < ours.right;
  }).map(({ outerHTML }) => outerHTML);
});

test('ST-10: toasts are few, wait for the reader, can be closed, and cover no button', async (t) => {
  const site = await start(t);
  const api = await client(site, OWNER);
  for (const [what, options, most] of [['wide', {}, 4], ['phone', PHONE, 2]]) {
    const page = await signIn(t, site, OWNER, { ...options, clock: true });
    await live(page);
    const toasts = page.locator('.toast');
    await page.locator(`#change-${API_SERVICE} summary`).click();
    for (let id = 1; id <= 7; id++)
      await api.write(`services/${id}/status`, { status: what === 'wide' ? 'degraded' : 'operational', message: `Service ${id}` });
    await shows(toasts, 'Edge network');
    await until(async () => (await toasts.count()) <= most);
    await shows(page.locator('#toasts .more'), /^and [3-6] more$/);
    await page.screenshot({ path: screenshot(`toasts-${what}`) });
    await until(async () => (await covered(page)).length === 0, async () => `${what}: ${await covered(page)}`);
    await page.evaluate((id) => document.querySelector(`#change-${id} .button`).scrollIntoView({ block: 'end' }), API_SERVICE);
    await until(async () => (await covered(page)).length === 0, async () => `${what}: ${await covered(page)}`);

    // The same subject takes the place of its older one.
    await api.write('services/7/status', { status: 'partial_outage', message: 'Worse' });
    await shows(toasts, 'Edge network: partial outage');
    assert.equal(await toasts.filter({ hasText: 'Edge network' }).count(), 1);
    // They wait for the pointer, and then go.
    await toasts.last().hover();
    await page.clock.fastForward(30000);
    assert.ok(await toasts.count() >= 1, `${what}: they do not wait`);
    await toasts.last().getByRole('button', { name: 'Close' }).click();
    await until(async () => (await toasts.filter({ hasText: 'Edge network' }).count()) === 0);
    await page.mouse.move(1, 1);
    await page.evaluate(() => document.activeElement.blur());
    await until(async () => { // the page hears of the pointer a moment later
      await page.clock.fastForward(7000);
      await page.clock.fastForward(1000);
      return (await toasts.count()) === 0;
    }, 'the end of the toasts');
    await api.write('services/7/status', { status: 'operational', message: '' });
    await page.context().close();
  }
});

test('ST-12: a failed write says in words what to do, until it is closed', async (t) => {
  const site = await start(t);
  const page = await signIn(t, site, OWNER, { clock: true });
  await live(page);
  await page.route('**/api/**', (route) => route.abort());
  await page.locator(`#change-${API_SERVICE} summary`).click();
  const form = page.locator(`#change-${API_SERVICE}`);
  await form.getByLabel('Message').fill('Kept');
  await form.getByRole('button', { name: 'Update' }).click();
  const toast = page.locator('.toast', { hasText: 'Not changed' });
  await shows(toast, 'The server does not answer.');
  await page.clock.fastForward(30000);
  assert.equal(await toast.count(), 1);
  assert.equal(await form.getByLabel('Message').inputValue(), 'Kept');
  await toast.getByRole('button', { name: 'Close' }).click();
  await until(async () => (await toast.count()) === 0);
});

test('ST-11, ST-14: text without a space fits a phone, and only what is new is highlighted', async (t) => {
  const site = await start(t);
  const api = await client(site, OWNER);
  const page = await open(t, `${site.url}/status/lighthouse`, PHONE);
  const dashboard = await signIn(t, site, OWNER, PHONE);
  for (const one of [page, dashboard]) await live(one);
  const word = 'x'.repeat(120);
  await api.write('organizations/1/incidents', { title: word, message: word, effect: 'degraded', service_4: '1' });
  await api.write('organizations/1/maintenances', { title: `${word.slice(4)} two`, message: word, starts_at: '2040-01-01T00:00', minutes: '5' });
  for (const one of [page, dashboard]) {
    await shows(one.locator('#maintenances'), 'two');
    await toasted(one, word);
    const [inner, outer] = await one.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(inner <= outer && outer === 320, `${inner} pixels wide in a window of ${outer}`);
  }
  await page.screenshot({ path: screenshot('status-long-words'), fullPage: true });

  await api.write('maintenances/2/state', { state: 'started' });
  await shows(page.locator('#notice-2'), 'Under way');
  const changed = () => page.locator('#maintenances .notice.changed').evaluateAll((all) => all.map(({ id }) => id));
  assert.deepEqual(await changed(), ['notice-2']);
  await api.write('maintenances/2/state', { state: 'completed' });
  await until(async () => (await page.locator('#notice-2').count()) === 0);
  assert.deepEqual(await changed(), [], 'the one that stays flashes');
});
