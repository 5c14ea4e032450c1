'use strict';
// Channels with a history, for stock clients: a page that was away misses nothing and sees nothing twice, or is told that
// events may be missing.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, api, sleep, startHost, startServe, until } = require('./lib.js');
const { PusherClient, clientOptions, connected, listen, pusher, sdk, startAuth, subscribe } = require('./clients.js');

const history = [
  { pattern: 'log.{rest...}' },
  { pattern: 'few.{id}', max_events: 3 },
  { pattern: 'load.{id}', max_events: 100000, max_bytes: 1 << 26, max_age_s: 600 },
  { pattern: 'private-log.{id}', max_age_s: 60 },
  { pattern: 'presence-log.{id}' },
  { pattern: 'private-encrypted-log.{id}' },
];
const apps = [{ ...APP, history }];

// What docs/history.md shows: the lines that a page has.
function resumes(client) {
  const was = { channels: {} };
  client.connection.bind('state_change', ({ current }) => {
    if (current !== 'connected') return;
    client.send_event('pusher:resume', was);
    was.socket_id = client.connection.socket_id;
    client.connection.connection.transport.bind('message', ({ data }) => {
      const { channel, event_id } = JSON.parse(data);
      if (event_id) was.channels[channel] = event_id;
    });
  });
  return was;
}

/** Ends the connection as a network does: without a word. pusher-js comes back by itself after a second. */
const cut = (client) => client.connection.connection.transport.socket._stream.destroy();

/** The numbers of the events "n" that a channel has seen. */
const numbers = (channel) => channel.inbox.all.filter((e) => e.event === 'n').map((e) => e.data);

async function away(client, what) {
  client.disconnect();
  await what();
  client.connect();
  await connected(client);
}

for (const transport of ['ws', 'xhr_streaming', 'xhr_polling']) {
  test(`pusher-js over ${transport}: a page that was away gets what it has missed, once and in order`, async (t) => {
    const host = await startHost({ apps, options: { worker_count: 2 } }, t);
    const client = pusher(t, host, { enabledTransports: [transport] });
    const was = resumes(client);
    const channel = await subscribe(client, 'log.a');
    const send = (...all) => all.reduce((before, n) => before.then(() => host.publish('log.a', 'n', String(n))), Promise.resolve());
    await send(1, 2);
    await until(() => numbers(channel).length === 2);
    await away(client, () => send(3, 4));
    await channel.inbox.event('pusher:resumed');
    await send(5);
    await until(() => numbers(channel).includes(5));
    assert.deepEqual(numbers(channel), [1, 2, 3, 4, 5]);
    const seen = was.channels['log.a'];
    await away(client, () => {});
    assert.deepEqual((await channel.inbox.event('pusher:resumed')).data, { events: 0 });
    assert.ok(was.channels['log.a'] > seen, 'its position moves on');
    assert.equal(channel.inbox.all.some((e) => e.event === 'pusher:history_lost'), false);
  });
}

test('private, presence and encrypted channels are resumed by pusher-js, too', async (t) => {
  const host = await startHost({ apps: [{ ...apps[0], encryption_master_key: require('./clients.js').MASTER_KEY }] }, t);
  const auth = await startAuth(t);
  const client = pusher(t, host, { auth, nacl: require('tweetnacl') });
  resumes(client);
  const names = ['private-log.1', 'presence-log.1', 'private-encrypted-log.1'];
  const channels = [];
  for (const name of names) channels.push(await subscribe(client, name));
  for (const name of names) await host.publish(name, 'n', '1');
  await until(() => channels.every((channel) => numbers(channel).length === 1));
  await away(client, async () => { for (const name of names) await host.publish(name, 'n', '2'); });
  for (const channel of channels) {
    await channel.inbox.event('pusher:resumed');
    assert.deepEqual(numbers(channel), [1, 2]);
  }
});

test('a page hears of a gap on the channel, before what is left', async (t) => {
  const host = await startHost({ apps }, t);
  const client = pusher(t, host);
  resumes(client);
  const channel = await subscribe(client, 'few.a');
  await away(client, async () => { for (const n of [1, 2, 3, 4, 5]) await host.publish('few.a', 'n', String(n)); });
  await channel.inbox.event('pusher:resumed');
  const order = channel.inbox.all.map((e) => (e.event === 'n' ? e.data : e.event));
  assert.deepEqual(order.slice(order.indexOf('pusher:history_lost')), ['pusher:history_lost', 3, 4, 5, 'pusher:resumed']);
});

test('a page hears of a gap when the server was started anew', async (t) => {
  const first = await startHost({ apps }, t);
  const client = pusher(t, first);
  const was = resumes(client);
  await subscribe(client, 'log.a');
  const second = await startHost({ apps }, t);
  const later = pusher(t, second);
  Object.assign(resumes(later), was);
  const channel = listen(later.subscribe('log.a'));
  await channel.event('pusher:history_lost');
});

test('a client that was excluded by its socket id does not get the event when it comes back', async (t) => {
  const host = await startHost({ apps }, t);
  const client = pusher(t, host);
  resumes(client);
  const channel = await subscribe(client, 'log.a');
  await sdk(host).trigger('log.a', 'n', 1, { socket_id: client.connection.socket_id });
  await away(client, () => host.publish('log.a', 'n', '2'));
  await channel.inbox.event('pusher:resumed');
  assert.deepEqual(numbers(channel), [2]);
});

for (const [name, version] of [['laravel-echo', '2.5.0'], ['laravel-echo-2.0', '2.0.2']]) {
  test(`laravel-echo ${version} resumes with the same lines`, async (t) => {
    const host = await startHost({ apps }, t);
    const { default: Echo } = await import(name);
    const { channelAuthorization, userAuthentication, ...options } = clientOptions(host);
    const echo = new Echo({ ...options, broadcaster: 'reverb', key: APP.key, Pusher: PusherClient });
    t.after(() => echo.disconnect());
    resumes(echo.connector.pusher);
    const seen = [];
    const channel = echo.channel('few.echo').listen('.n', (n) => seen.push(n)).on('pusher:history_lost', () => seen.push('lost'));
    await new Promise((resolve) => { channel.subscribed(resolve); });
    await host.publish('few.echo', 'n', '1');
    await until(() => seen.length === 1);
    await away(echo.connector.pusher, () => host.publish('few.echo', 'n', '2'));
    await until(() => seen.length === 2);
    await away(echo.connector.pusher, async () => { for (const n of [3, 4, 5, 6]) await host.publish('few.echo', 'n', String(n)); });
    await until(() => seen.at(-1) === 6);
    assert.deepEqual(seen, [1, 2, 'lost', 4, 5, 6]);
  });
}

test('the HTTP API tells what a channel keeps', async (t) => {
  const serve = await startServe(['--config', configFile(t)], t);
  const server = sdk(serve);
  const read = async (channel, params = {}) => {
    const res = await server.get({ path: `/channels/${channel}/history`, params });
    return res.json();
  };
  for (const n of [1, 2, 3]) await server.trigger('log.a', 'n', { n });
  const all = await read('log.a');
  assert.deepEqual(all.events.map((e) => [e.name, e.data]), [1, 2, 3].map((n) => ['n', `{"n":${n}}`]));
  assert.ok(all.events.every((e) => e.age_ms >= 0 && /^[0-9a-f]{8}-[0-9a-f]{12}$/.test(e.event_id)));
  assert.equal(all.complete, true);
  const rest = await read('log.a', { after: all.events[0].event_id });
  assert.deepEqual(rest, { ...all, events: rest.events });
  assert.deepEqual(rest.events.map((e) => e.event_id), all.events.slice(1).map((e) => e.event_id));
  const one = await read('log.a', { after: all.events[0].event_id, limit: '1' });
  assert.deepEqual(one.events.map((e) => e.data), ['{"n":2}']);
  assert.equal(one.event_id, all.events[1].event_id);
  assert.deepEqual((await read('log.a', { after: all.event_id })).events, []);
  assert.equal((await read('log.a', { after: '00000000-000000000001' })).complete, false);
  for (const [channel, params] of [['plain', {}], ['log.a', { limit: '0' }], ['in%20valid', {}]]) {
    await assert.rejects(read(channel, params), { status: 400 });
  }
  const { status } = await api(serve, 'GET', '/channels/log.a/history', { app: { ...APP, secret: 'wrong' } });
  assert.equal(status, 401);
});

function configFile(t) {
  const fs = require('node:fs');
  const dir = fs.mkdtempSync(require('node:path').join(require('node:os').tmpdir(), 'history-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  fs.writeFileSync(`${dir}/c.json`, JSON.stringify({ max_history_bytes: 1 << 20, apps: [{ ...APP, history: [{ pattern: 'log.{id}', max_events: 10, max_bytes: 10000, max_age_s: 60 }] }] }));
  return `${dir}/c.json`;
}

// -- the test, with shorter absences than 10 s so that there are many of them --

const PAGES = 200;
const CHANNELS = 10;
const LOAD_MS = 4000;
const AWAY_MS = [20, 400];

const random = (from, to) => from + Math.floor(Math.random() * (to - from));

/** Comes and goes until `ended`, half of the time without a word. */
async function comeAndGo(client, ended) {
  while (!ended()) {
    await sleep(random(100, 1500));
    if (client.connection.state !== 'connected') continue;
    if (random(0, 2)) cut(client);
    client.disconnect();
    await sleep(random(...AWAY_MS));
    client.connect();
    await connected(client);
  }
}

for (const workers of [1, 4]) {
  test(`${PAGES} pages that are cut off at random under load miss nothing and see nothing twice: ${workers} workers`, async (t) => {
    const host = await startHost({ apps, options: { worker_count: workers } }, t);
    const pages = [];
    for (let i = 0; i < PAGES; i++) {
      const client = pusher(t, host);
      resumes(client);
      pages.push({ client, channels: [`load.${i % CHANNELS}`, `load.${(i * 7 + 3) % CHANNELS}`].filter((name, k, all) => all.indexOf(name) === k) });
    }
    for (const page of pages) page.channels = await Promise.all(page.channels.map((name) => subscribe(page.client, name)));
    let ended = false, sent = 0, absences = 0;
    for (const { client } of pages) client.connection.bind('connected', () => { absences++; });
    const movers = pages.map(({ client }) => comeAndGo(client, () => ended));
    for (const end = Date.now() + LOAD_MS; Date.now() < end || absences <= PAGES; await sleep(10)) { // longer on a busy machine
      sent++;
      await host.publish(Array.from({ length: CHANNELS }, (_, c) => `load.${c}`), 'n', String(sent));
    }
    ended = true;
    await Promise.all(movers);
    await until(() => pages.every((page) => page.channels.every((channel) => numbers(channel).at(-1) === sent)));
    const expected = Array.from({ length: sent }, (_, i) => i + 1);
    for (const { channels } of pages) {
      for (const channel of channels) {
        assert.deepEqual(numbers(channel), expected, channel.name);
        assert.equal(channel.inbox.all.some((e) => e.event === 'pusher:history_lost'), false);
      }
    }
    t.diagnostic(`${sent} events on each channel, ${absences} absences`);
  });
}
