'use strict';
// Receipts (docs/receipts.md): the host learns whom an event has reached, from unmodified pusher-js and laravel-echo, over every
// transport, with one worker, two and four; and when a client is slow, only when the kernel has the whole event.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, CLIENT_QUERY, connect, startHost, tcp, trigger, until, userAuth } = require('./lib.js');
const { PusherClient, clientOptions, connected, pusher, sdk, startAuth, subscribe } = require('./clients.js');
const { XhrClient } = require('./xhr.js');

const RULES = 'private-tickets.{uuid} event=reply.created id=/reply/id shown=client-read ; presence-room id=id shown=client-read ; news id=id shown=client-read';
const apps = [{ ...APP, client_events: false, receipts: RULES, max_event_payload_bytes: 1 << 20 }];
const options = (worker_count, more = {}) => ({ apps, metrics: true, hooks: ['on_receipt'], options: { worker_count, out_soft_bytes: 1 << 27, out_hard_bytes: 1 << 27 }, ...more });

const TICKET = 'private-tickets.7';
const reply = (id) => ({ reply: { id, message: `text of ${id}` } });

/** The receipts so far, as "written 7 ann", sorted. */
const told = (host, channel = TICKET) => host.events.all.filter((e) => e.event === 'receipt' && e.channel === channel).map((e) => `${e.kind} ${e.id} ${e.user}`).sort();

/** Waits until the host was told these, and nothing else; `after` what would have told too much has come back. */
async function isTold(host, expected, channel) {
  await until(() => told(host, channel).length >= expected.length, () => `${expected}: ${told(host, channel)}`);
  assert.deepEqual(told(host, channel), [...expected].sort());
}

/** A pusher-js client that is signed in, or not, and has subscribed. */
async function enter(t, host, auth, user, channel, more = {}) {
  const client = pusher(t, host, { auth, user: user || 'none', ...more });
  if (user) {
    await connected(client);
    client.signin();
    await client.user.signinDonePromise;
  }
  return subscribe(client, channel);
}

const metric = async (host, name) => Number(new RegExp(`^pusherc_${name}\\{[^}]*\\} (\\d+)`, 'm').exec((await host.do('metrics')).text)[1]);

for (const workers of [1, 2, 4]) {
  test(`${workers} workers: pusher-js: each user is told once, over every transport and all tabs`, async (t) => {
    const host = await startHost(options(workers), t);
    const auth = await startAuth(t);
    const tabs = await Promise.all([['ann', 'ws'], ['ann', 'xhr_streaming'], ['ann', 'ws'], ['bob', 'ws'], ['cid', 'xhr_streaming'], ['dan', 'xhr_polling'], ['', 'ws']]
      .map(([user, transport]) => enter(t, host, auth, user, TICKET, { enabledTransports: [transport] })));
    await sdk(host).trigger(TICKET, 'reply.created', reply(41)); // a server SDK as it is
    await host.do('publish', { app: APP.id, channels: [TICKET], name: 'reply.created', data: JSON.stringify(reply('r-42')) });
    await sdk(host).trigger(TICKET, 'reply.updated', reply(43));
    for (const tab of tabs) await tab.inbox.event('reply.updated');
    const written = ['ann', 'bob', 'cid', 'dan'].flatMap((user) => [`written 41 ${user}`, `written r-42 ${user}`]);
    await isTold(host, written);
    for (const tab of tabs) tab.trigger('client-read', { id: [41, 'r-42', 43] });
    tabs[3].trigger('client-read', { id: 41 });
    const shown = ['ann', 'bob', 'cid', 'dan'].flatMap((user) => [`shown 41 ${user}`, `shown r-42 ${user}`]);
    await isTold(host, [...written, ...shown]);
    await sdk(host).trigger(TICKET, 'last', {});
    for (const tab of tabs) {
      await tab.inbox.event('last');
      assert.deepEqual(tab.inbox.all.map((e) => e.event), ['pusher:subscription_succeeded', 'reply.created', 'reply.created', 'reply.updated', 'last'], 'it is for the server');
      assert.deepEqual(tab.pusher.errors.all, []);
    }
    assert.deepEqual(told(host), [...written, ...shown].sort());
    assert.equal(await metric(host, 'receipts_written_total'), 8);
    assert.equal(await metric(host, 'receipts_shown_total'), 8);
    const [first] = host.events.all.filter((e) => e.event === 'receipt');
    assert.ok(Math.abs(first.at_ms - Date.now()) < 600000 && /^\d+\.\d+$/.test(first.socket_id) && first.name === 'reply.created' && first.app === APP.id);
  });
}

for (const [name, version] of [['laravel-echo', '2.5.0'], ['laravel-echo-2.0', '2.0.2']]) {
  test(`laravel-echo ${version}: what docs/receipts.md shows`, async (t) => {
    const host = await startHost(options(2), t);
    const auth = await startAuth(t);
    const { default: Echo } = await import(name);
    const echo = new Echo({ ...clientOptions(host, auth, 'ann'), broadcaster: 'reverb', key: APP.key, Pusher: PusherClient });
    t.after(() => echo.disconnect());
    await connected(echo.connector.pusher);
    echo.connector.pusher.signin();
    await echo.connector.pusher.user.signinDonePromise;
    const ticket = echo.private('tickets.7');
    const show = (message) => message; // draws it, and says when it has come into view
    ticket.listen('.reply.created', ({ reply: { id, message } }) => {
      show(message);
      ticket.whisper('read', { id });
    });
    await new Promise((resolve) => { ticket.subscribed(resolve); });
    await sdk(host).trigger(TICKET, 'reply.created', reply(7));
    await isTold(host, ['written 7 ann', 'shown 7 ann']);
  });
}

test('the member of a presence channel is the user, and on public channels the one who has signed in', async (t) => {
  const host = await startHost(options(2), t);
  const auth = await startAuth(t);
  const [member, reader] = [await enter(t, host, auth, '', 'presence-room'), await enter(t, host, auth, 'eve', 'news')];
  await sdk(host).trigger(['presence-room', 'news'], 'e', { id: 1 });
  await Promise.all([member, reader].map((channel) => channel.inbox.event('e')));
  for (const channel of [member, reader]) channel.trigger('client-read', { id: 1 });
  await isTold(host, ['written 1 none', 'shown 1 none'], 'presence-room');
  await isTold(host, ['written 1 eve', 'shown 1 eve'], 'news');
});

test('a client over HTTP/1.0, whose lines have no chunks, gives receipts', async (t) => {
  const host = await startHost(options(1), t);
  const [client, raw] = [new XhrClient(host), await tcp(host)];
  raw.write(`POST /pusher/app/${APP.key}/${client.session}/xhr_streaming?${CLIENT_QUERY} HTTP/1.0\r\nContent-Length: 0\r\n\r\n`);
  const [, socketId] = await raw.has(/socket_id\W+([\d.]+)/);
  const user = '{"id":"fay"}';
  await client.send([{ event: 'pusher:signin', data: { auth: userAuth(APP, socketId, user), user_data: user } }, { event: 'pusher:subscribe', data: { channel: 'news' } }]);
  await raw.has(/subscription_succeeded/);
  await trigger(host, 'news', 'e', '{"id":1}');
  await isTold(host, ['written 1 fay'], 'news');
  await raw.has(/"e\\".*\n$/);
  raw.reset();
});

/** What the two next tests have in common: a client that does not read, and another that does. */
async function slowClient(t, host) {
  const [slow, fast] = [await connect(host), await connect(host)];
  await slow.signin({ id: 'slow' });
  await fast.signin({ id: 'fast' });
  for (const client of [slow, fast]) await client.subscribe('news');
  slow.ws._socket.pause();
  const events = 40, data = (id) => JSON.stringify({ id, text: 'x'.repeat(1000000) });
  for (let id = 1; id <= events; id++) await trigger(host, 'news', 'e', data(id));
  await until(() => fast.frames.filter((f) => f.event === 'e').length === events);
  await until(() => told(host, 'news').filter((line) => / fast$/.test(line)).length === events);
  const before = told(host, 'news').filter((line) => / slow$/.test(line)).length;
  assert.ok(before < events, `${before}: the kernel cannot have 40 MB`);
  slow.ws._socket.resume();
  await until(() => told(host, 'news').filter((line) => / slow$/.test(line)).length === events);
  await until(() => slow.frames.filter((f) => f.event === 'e').length === events);
  assert.equal(told(host, 'news').length, 2 * events);
}

test('a client that does not read gives no receipt until it does', async (t) => {
  await slowClient(t, await startHost(options(2), t));
});

test('the same through TLS', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-receipts-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const [cert, key] = ['cert', 'key'].map((name) => path.join(folder, `${name}.pem`));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'pipe' });
  const host = await startHost(options(2, { tls: { cert_file: cert, key_file: key } }), t);
  host.ca = fs.readFileSync(cert);
  await slowClient(t, host);
});
