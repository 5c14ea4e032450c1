'use strict';
// The inspector in Chromium: what it shows of a server that runs, its test event, its guards, and that it can be read in
// light and dark, by keyboard and on a phone.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const Pusher = require('pusher-js');

const { APP, TOP, connect, refused, request, startHost, trigger, until, within } = require('../integration/lib.js');
const { receiver } = require('../integration/receiver.js');
const { open, screenshot, shows } = require('./program.js');

const axe = fs.readFileSync(path.join(TOP, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');
const TOKEN = 'a-token-of-the-inspector';
// The stage with sanitizers has unit/test_inspector.c; pages once are enough.
const PAGES = { skip: process.env.ASAN_OPTIONS ? 'pages: in the stage without sanitizers' : false };

/** A host with an inspector: `host.port` for clients, `host.operators` for its page. */
async function start(t, { apps = [APP], ...options } = {}) {
  const host = await startHost({ apps, metrics: true, options: { worker_count: 2, inspector_token: TOKEN, ...options } }, t);
  host.operators = (await host.do('metrics')).port;
  return host;
}

async function signIn(t, host, options) {
  const page = await open(t, `http://127.0.0.1:${host.operators}/inspector`, options);
  await page.getByLabel('Token of this server').fill(TOKEN);
  await page.keyboard.press('Enter');
  await shows(page.locator('#live'), /^Live$/);
  return page;
}

const state = (host, query = '', token = TOKEN) =>
  request({ port: host.operators }, 'GET', `/inspector/state${query}`, { headers: { Authorization: `Bearer ${token}` } });

test('a client, its channels, members, events, refusals and webhooks are on the page while they happen', PAGES, async (t) => {
  const hook = await receiver(t, () => ({ status: 500 }));
  const app = { ...APP, webhooks: [{ url: hook.url.replace('/hook', '/secret-path?key=secret-query'), events: 1 }] };
  const host = await start(t, { apps: [app], webhook_batch_ms: 20 });
  const page = await signIn(t, host);
  await shows(page.locator('#connections'), 'No client is connected.');
  await shows(page.locator('#nodes'), 'One node with 2 workers');

  const client = await connect(host);
  await client.subscribe('presence-room.1', { user_id: 'ada', user_info: { email: 'secret-info' } });
  await client.subscribe('private-orders.42');
  await shows(page.locator('#connections li'), client.socketId);
  await shows(page.locator('#channels li'), /presence-room\.1.*1 subscription.*1 member/);
  await page.getByRole('button', { name: 'presence-room.1' }).click();
  await shows(page.locator('#members li'), 'ada');

  // Each way in.
  await trigger(host, 'private-orders.42', 'by.api', { payload: 'secret-payload' });
  await host.publish('presence-room.1', 'by.host');
  client.send({ event: 'client-typing', channel: 'private-orders.42', data: {} });
  await shows(page.locator('#events li'), /by\.api\s*private-orders\.42\s*HTTP API\s*28 bytes/);
  await shows(page.locator('#events li'), /by\.host\s*presence-room\.1\s*host/);
  await shows(page.locator('#events li'), /client-typing\s*private-orders\.42\s*client event/);
  await page.getByLabel('Show only those with').fill('typing');
  await until(async () => (await page.locator('#events li').count()) === 1);
  await page.getByLabel('Show only those with').fill('');

  // What went wrong.
  client.ask('private-closed', { auth: `${APP.key}:${'0'.repeat(64)}` });
  await shows(page.locator('#denials li'), /signature\s*private-closed/i);
  const { code } = await refused(host, { app: { ...APP, key: 'no-such-key' } });
  await shows(page.locator('#denials li'), new RegExp(`connection\\s*${code}`));
  assert.equal((await request(host, 'POST', `/apps/${APP.id}/events?auth_key=${APP.key}&auth_signature=x`, { body: '{}' })).status, 401);
  await shows(page.locator('#denials li'), /http_api\s*401/);
  client.send({ event: 'client-lost', channel: 'private-nowhere', data: {} });
  await shows(page.locator('#denials li'), /client_event[^]*subscribed channels/);
  await trigger(host, 'orders.42', 'order.paid', {});
  await shows(page.locator('#events li'), /order\.paid\s*orders\.42[^]*no subscriber/);
  await shows(page.locator('#misses li'), /order\.paid\s*orders\.42[^]*"private-orders\.42"/);
  await shows(page.locator('#failed li'), new RegExp(`${new URL(hook.url).host}\\s*500`));

  // Nothing of it is a secret.
  const shown = (await state(host, '?channel=presence-room.1')).text + await page.content();
  assert.match(shown, /presence-room\.1/);
  for (const secret of [APP.key, APP.secret, TOKEN, 'secret-payload', 'secret-info', 'secret-path', 'secret-query'])
    assert.ok(!shown.includes(secret), secret);
  await client.close();
  await shows(page.locator('#connections'), 'No client is connected.');
});

test('a test event gets to a stock client, and what cannot be sent is said', PAGES, async (t) => {
  const host = await start(t);
  const pusher = new Pusher(APP.key, { wsHost: '127.0.0.1', wsPort: host.port, cluster: '', forceTLS: false, enabledTransports: ['ws'] });
  t.after(() => pusher.disconnect());
  const channel = pusher.subscribe('news');
  await within(new Promise((resolve) => { channel.bind('pusher:subscription_succeeded', resolve); }), 'a subscription');
  const heard = new Promise((resolve) => { channel.bind('greeting', resolve); });
  const page = await signIn(t, host);
  await page.getByRole('button', { name: 'news' }).click();
  assert.equal(await page.getByLabel('Channel', { exact: true }).inputValue(), 'news', 'a channel that is opened is that of the test');
  await page.getByLabel('Event', { exact: true }).fill('greeting');
  await page.getByLabel('Data').fill('{"hello":"<b>you</b>"}');
  await page.getByRole('button', { name: 'Send' }).click();
  assert.deepEqual(await within(heard, 'the test event'), { hello: '<b>you</b>' });
  await shows(page.locator('#test-result'), 'Sent.');
  await shows(page.locator('#events li'), /greeting\s*news\s*this page/);
  const fails = async (name, event, why) => {
    await page.getByLabel('Channel', { exact: true }).fill(name);
    await page.getByLabel('Event', { exact: true }).fill(event);
    await page.getByRole('button', { name: 'Send' }).click();
    await shows(page.locator('#test-result'), why);
  };
  await fails('no name', 'x', 'Invalid channel name: no name');
  await fails('private-encrypted-a', 'x', 'does not encrypt');
  await fails('news', 'pusher:x', 'reserved');
  page.complaints = page.complaints.filter((text) => !/status of 400/.test(text));
});

test('without the token nothing is shown, and a page that was open is signed out', PAGES, async (t) => {
  const host = await start(t);
  const page = await open(t, `http://127.0.0.1:${host.operators}/inspector`);
  assert.equal(await page.locator('#panels').isVisible(), false);
  await page.getByLabel('Token of this server').fill('a-token-that-is-wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await shows(page.locator('#token-error'), 'This is not the token.');
  assert.equal(await page.locator('#panels').isVisible(), false);
  page.complaints = page.complaints.filter((text) => !/status of 401/.test(text));
  await page.getByLabel('Token of this server').fill(TOKEN);
  await page.keyboard.press('Enter');
  await shows(page.locator('#live'), 'Live');
  await page.reload(); // the tab keeps it
  await shows(page.locator('#live'), 'Live');
  assert.ok(!page.url().includes(TOKEN));
  await page.getByRole('button', { name: 'Sign out' }).click();
  assert.equal(await page.locator('#panels').isVisible(), false);
  await page.reload();
  await page.getByLabel('Token of this server').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test('names that are HTML are text', PAGES, async (t) => {
  const host = await start(t);
  const page = await signIn(t, host);
  await host.publish('a', '<img src=x onerror="document.title=1">');
  await shows(page.locator('#events li'), '<img src=x');
  assert.equal(await page.locator('#panels img').count(), 0);
  assert.equal(await page.title(), 'Inspector');
});

test('it can be read in light and dark, on a phone and by keyboard', PAGES, async (t) => {
  const host = await start(t, { apps: [APP, { ...APP, id: 'shop', key: 'shop-key-2' }] });
  const clients = [];
  for (let i = 0; i < 12; i++) {
    const client = await connect(host);
    clients.push(client);
    await client.subscribe('presence-room.1', { user_id: `user-${i}` });
    await client.subscribe(`private-a-rather-long-name-of-a-channel-that-has-to-be-wrapped-on-a-phone.${i}`);
  }
  for (let i = 0; i < 20; i++) await trigger(host, i % 3 ? 'presence-room.1' : 'room.1', 'order.paid', { i });
  clients[0].ask('private-closed', { auth: `${APP.key}:${'0'.repeat(64)}` });
  const looks = {
    inspector: {},
    'inspector-dark': { colorScheme: 'dark' },
    'inspector-phone': { viewport: { width: 320, height: 640 }, isMobile: true },
  };
  for (const [name, options] of Object.entries(looks)) {
    const page = await signIn(t, host, options);
    await page.getByRole('button', { name: 'presence-room.1' }).click();
    await shows(page.locator('#members li'), 'user-11');
    await shows(page.locator('#denials li'), 'private-closed');
    await page.screenshot({ path: screenshot(name), fullPage: true });
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(inner <= outer, `${name}: ${inner} pixels wide in a window of ${outer}`);
    // Through the protocol, past the page's own policy, which allows no foreign script.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ''}`).join('\n  ')}`);
    assert.deepEqual(found, [], name);
    await page.context().close();
  }
  const page = await signIn(t, host);
  await page.getByRole('button', { name: 'presence-room.1' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('#members').waitFor();
  await host.publish('presence-room.1', 'later');
  await clients[1].close(); // the list is made anew
  await shows(page.locator('#channels li'), /presence-room\.1.*11 subscriptions/);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'presence-room.1', 'the focus stays');
  await page.getByLabel('Name begins with').fill('presence-');
  await until(async () => (await page.locator('#channels li').count()) === 1);
  await page.getByLabel('App').selectOption('shop');
  await shows(page.locator('#channels'), 'No channel has a subscriber.');
});
