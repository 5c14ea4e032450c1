'use strict';
// Compressed messages in a real browser: stock pusher-js in Chromium, which offers permessage-deflate by itself.

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { chromium } = require('playwright-core');
const { TOP, startHost, until } = require('../integration/lib.js');

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
});
after(() => browser?.close());

test('a page hears and sends compressed messages', async (t) => {
  const host = await startHost({ options: { deflate_min_bytes: 100 } }, t);
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.addScriptTag({ path: path.join(TOP, 'tests/node_modules/pusher-js/dist/web/pusher.js') });
  const events = [];
  await page.exposeFunction('heard', (data) => events.push(data));
  await page.evaluate((port) => new Promise((resolve) => {
    const pusher = new Pusher('app-key', { cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false, enabledTransports: ['ws'] });
    const channel = pusher.subscribe('a');
    channel.bind('n', window.heard);
    channel.bind('pusher:subscription_succeeded', resolve);
  }), host.port);
  const sent = Array.from({ length: 5 }, (_, n) => ({ n, text: 'grüß '.repeat(100 * (n + 1)) }));
  for (const data of sent) await host.publish('a', 'n', JSON.stringify(data));
  await until(() => events.length >= sent.length, 'the events');
  assert.deepEqual(events, sent);
  // with connection_established, which is longer than that
  assert.equal((await host.do('stats')).compressed_total, sent.length + 1);
});
