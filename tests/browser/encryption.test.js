'use strict';
// pusher-js's build for browsers with encryption, in a browser: the library's auth endpoint gives it the secret, the
// library encrypts, the page reads.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');

const { APP, TOP, startHost } = require('../integration/lib.js');
const { MASTER_KEY } = require('../integration/clients.js');
const { shared } = require('./site.js');

const FILES = { '/pusher.js': 'pusher-js/dist/web/pusher-with-encryption.min.js', '/echo.js': 'laravel-echo/dist/echo.iife.js' };
const read = (url) => FILES[url] && fs.readFileSync(path.join(TOP, 'tests/node_modules', FILES[url]));

/** A page of another origin than the server, with nothing but pusher-js and Echo in it. */
async function openPage(t, host) {
  const server = http.createServer((req, res) => {
    const script = read(req.url);
    res.writeHead(200, { 'Content-Type': script ? 'text/javascript' : 'text/html' })
      .end(script || '<script src="/pusher.js"></script><script src="/echo.js"></script>');
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }));
  const page = await shared.browser.newPage();
  t.after(() => page.close());
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(([key, port]) => {
    window.pusher = new window.Pusher(key, {
      cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false, enabledTransports: ['ws'],
      channelAuthorization: { endpoint: `http://127.0.0.1:${port}/broadcasting/auth?user=7` },
    });
    window.join = (name) => new Promise((resolve, reject) => {
      const channel = window.pusher.subscribe(name);
      channel.heard = [];
      channel.bind_global((event, data) => { if (!event.startsWith('pusher:sub')) channel.heard.push([event, data]); });
      channel.bind('pusher:subscription_succeeded', resolve);
      channel.bind('pusher:subscription_error', (error) => reject(new Error(JSON.stringify(error))));
    });
    window.heard = (name, count) => new Promise((resolve) => {
      const { heard } = window.pusher.channel(name);
      const timer = setInterval(() => { if (heard.length >= count) { clearInterval(timer); resolve(heard.splice(0)); } }, 10);
    });
  }, [APP.key, host.port]);
  return { page, join: (name) => page.evaluate((n) => window.join(n), name), heard: (name, count) => page.evaluate(([n, c]) => window.heard(n, c), [name, count]) };
}

const start = (t) => startHost({
  apps: [{ ...APP, encryption_master_key: MASTER_KEY }], rules: [{ pattern: 'vault' }], hooks: ['identify'],
}, t);

test('a page decrypts what the library has encrypted', async (t) => {
  const host = await start(t);
  await host.do('answers', { rows: [{ allow: true }] });
  const page = await openPage(t, host);
  await page.join('private-encrypted-vault');
  await host.publish('private-encrypted-vault', 'opened', '{"pin":1234,"name":"Zoë"}');
  await host.publish('private-encrypted-vault', 'opened', '"text"');
  assert.deepEqual(await page.heard('private-encrypted-vault', 2), [['opened', { pin: 1234, name: 'Zoë' }], ['opened', 'text']]);
});

test('a page decrypts the last event of an encrypted cache channel', async (t) => {
  const host = await start(t);
  await host.do('answers', { rows: [{ allow: true }] });
  const page = await openPage(t, host);
  const channel = 'private-encrypted-cache-vault';
  await host.publish(channel, 'opened', '{"n":1}');
  await host.publish(channel, 'opened', '{"n":2}');
  await page.join(channel);
  assert.deepEqual(await page.heard(channel, 1), [['opened', { n: 2 }]]);
  await host.publish(channel, 'opened', '{"n":3}');
  assert.deepEqual(await page.heard(channel, 1), [['opened', { n: 3 }]]);
});

test('#208 laravel-echo with that build: an encrypted private channel in a page', async (t) => {
  const host = await start(t);
  await host.do('answers', { rows: [{ allow: true }] });
  const { page } = await openPage(t, host);
  await page.evaluate(([key, port]) => new Promise((resolve, reject) => {
    const echo = new window.Echo.default({
      broadcaster: 'reverb', key, wsHost: '127.0.0.1', wsPort: port, wssPort: port, forceTLS: false, enabledTransports: ['ws', 'wss'],
      authEndpoint: `http://127.0.0.1:${port}/broadcasting/auth?user=7`,
    });
    window.opened = new Promise((heard) => { echo.encryptedPrivate('vault').listen('VaultOpened', heard).subscribed(resolve).error(reject); });
  }), [APP.key, host.port]);
  await host.publish('private-encrypted-vault', 'App\\Events\\VaultOpened', '{"pin":1234}');
  assert.deepEqual(await page.evaluate(() => window.opened), { pin: 1234 });
});
