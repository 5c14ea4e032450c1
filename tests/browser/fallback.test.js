'use strict';
// Stock pusher-js in Chromium where no WebSocket gets through: over the HTTP fallback transports, from a page of another origin.

const assert = require('node:assert/strict');
const http = require('node:http');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { chromium } = require('playwright-core');
const { TOP, startHost, until } = require('../integration/lib.js');

let browser, pages;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  pages = http.createServer((req, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>page</title>'));
  await new Promise((resolve) => { pages.listen(0, '127.0.0.1', resolve); });
});
after(async () => {
  await browser?.close();
  pages.close();
});

for (const [transport, enabled] of [['xhr_streaming', ['xhr_streaming']], ['xhr_polling', ['xhr_polling']], ['sockjs', ['sockjs']], ['after a WebSocket that fails', ['ws', 'xhr_streaming', 'xhr_polling']]]) {
  test(`a page is live by ${transport}`, async (t) => {
    const host = await startHost({ apps: [{ id: 'app-id', key: 'app-key', secret: 'app-secret', client_events: true }], options: { worker_count: 2 } }, t);
    const page = await browser.newPage();
    t.after(() => page.close());
    await page.goto(`http://127.0.0.1:${pages.address().port}/`);
    await page.addScriptTag({ path: path.join(TOP, 'tests/node_modules/pusher-js/dist/web/pusher.js') });
    // pusher-js would load it from its own site
    if (transport === 'sockjs') await page.addScriptTag({ path: path.join(TOP, 'tests/node_modules/sockjs-client/dist/sockjs.js') });
    const events = [];
    await page.exposeFunction('heard', (data) => events.push(data));
    await page.evaluate(([port, transports]) => new Promise((resolve) => {
      // a network that eats WebSockets: the port answers nothing of the kind
      const pusher = window.pusher = new Pusher('app-key', { cluster: '', wsHost: '127.0.0.1', wsPort: 1, httpHost: '127.0.0.1', httpPort: port, forceTLS: false, enabledTransports: transports });
      const channel = pusher.subscribe('a');
      channel.bind('n', window.heard);
      channel.bind('pusher:subscription_succeeded', resolve);
    }), [host.port, enabled]);
    const sent = Array.from({ length: 20 }, (_, n) => ({ n, text: 'grüß '.repeat(n) }));
    for (const data of sent) await host.publish('a', 'n', JSON.stringify(data));
    await until(() => events.length >= sent.length, 'the events');
    assert.deepEqual(events, sent);
    if (transport === 'xhr_streaming' || transport === 'sockjs') {
      // pusher-js opens the stream again after 256 KiB, SockJS when the server ends it after 128 KiB
      const fill = 'x'.repeat(9000);
      for (let n = 0; n < 60; n++) {
        await host.publish('a', 'n', JSON.stringify({ n, fill }));
        await until(() => events.length === sent.length + n + 1, `event ${n}`);
      }
      assert.deepEqual(events.slice(sent.length).map(({ n }) => n), Array.from({ length: 60 }, (_, n) => n));
    }
    assert.equal(await page.evaluate(() => window.pusher.connection.state), 'connected');
    await page.evaluate(() => window.pusher.disconnect());
  });
}
