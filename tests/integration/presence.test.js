'use strict';
// What comes and goes: a client that toggles costs the others what time allows, and with a grace no member sees that a page
// was loaded again.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, Inbox, api, channelAuth, connect, sleep, startHost, until } = require('./lib.js');
const { connected, pusher, sdk, startAuth, subscribe } = require('./clients.js');

// Without the limit of a client's messages: whatever one may send, the others get what time allows.
const COUNTED = { ...APP, subscription_count_events: true, max_client_messages_per_s: 0xffffffff };
const FOREVER_MS = 600000;
const PATIENT = { id: 'patient', key: 'patient-key', secret: 'patient-secret', presence_grace_ms: FOREVER_MS };
const SHORT = { id: 'short', key: 'short-key', secret: 'short-secret', presence_grace_ms: 1500 };

let host;
before(async () => { host = await startHost({ options: { worker_count: 2 }, apps: [COUNTED, PATIENT, SHORT], hooks: ['on_channel'] }); });

const HONEST = 98;
const ROUNDS = 20000;
const GATHER_MS = 100;

/** Bytes and frames of these events that the clients got since the last call. */
function taken(clients, wanted) {
  const sum = { frames: [], bytes: 0 };
  for (const client of clients) {
    const mine = client.frames.slice(client.seen).filter((f) => wanted.test(f.event));
    client.seen = client.frames.length;
    sum.frames.push(mine.length);
    for (const f of mine) sum.bytes += f.raw.length;
    client.latest = mine.length ? mine.at(-1) : client.latest;
  }
  return sum;
}

/** The client sends both messages, over and over, as fast as the server reads them, and goes. Returns what it sent, in bytes. */
async function toggle(client, first, second) {
  const pair = [first, second].map((m) => JSON.stringify(m));
  const end = Date.now() + 10000; // a server may read slowly, or close, who does that
  let sent = 0;
  for (let n = 0; n < ROUNDS && client.isOpen && Date.now() < end; n += 1) {
    for (const text of pair) {
      client.send(text);
      sent += text.length;
    }
    if (client.ws.bufferedAmount > 65536) await until(() => client.ws.bufferedAmount < 32768 || !client.isOpen || Date.now() > end);
  }
  await client.settle().catch(() => {});
  client.ws.terminate();
  return sent;
}

/** Tells what was measured, and holds it against what may be told in that time. */
function judge(t, what, clients, wanted, since, sent, perInterval) {
  const passed = Date.now() - since;
  const { frames, bytes } = taken(clients, wanted);
  t.diagnostic(`${what}: ${sent} bytes in ${passed} ms; ${clients.length} honest clients got ${bytes} bytes, at most ${Math.max(...frames)} frames each`);
  assert.ok(Math.max(...frames) <= perInterval * (passed / GATHER_MS + 2), `${Math.max(...frames)} frames in ${passed} ms`);
  assert.ok(Math.min(...frames) >= 1, 'some hear of it');
}

test('A3: who toggles a public channel costs the others ten counts a second', async (t) => {
  const honest = await Promise.all(Array.from({ length: HONEST }, () => connect(host)));
  const hostile = await connect(host);
  for (const client of honest) await client.subscribe('lobby');
  await until(() => { taken(honest, /subscription_count$/); return honest.every((c) => JSON.parse(c.latest?.data || '{}').subscription_count === HONEST); });
  const since = Date.now();
  const [join, leave] = ['subscribe', 'unsubscribe'].map((what) => ({ event: `pusher:${what}`, data: { channel: 'lobby' } }));
  const sent = await toggle(hostile, join, leave);
  judge(t, 'counts', honest, /subscription_count$/, since, sent, 1);
  await connect(host).then(async (last) => {
    await last.subscribe('lobby');
    await until(() => { taken(honest, /subscription_count$/); return honest.every((c) => JSON.parse(c.latest.data).subscription_count === HONEST + 1); }, 'the last count, at all');
    await last.close();
  });
  await Promise.all(honest.map((client) => client.close()));
});

test('A3: who toggles as a member of a presence channel costs the others twenty messages a second', async (t) => {
  const honest = await Promise.all(Array.from({ length: HONEST }, () => connect(host)));
  const hostile = await connect(host);
  const member = (i) => ({ user_id: `u${i}` });
  for (const [i, client] of honest.entries()) await client.subscribe('presence-lobby', member(i));
  await sleep(GATHER_MS);
  for (const client of honest) await client.settle();
  taken(honest, /member_/);
  const since = Date.now();
  const data = JSON.stringify(member('x'));
  const join = { event: 'pusher:subscribe', data: { channel: 'presence-lobby', auth: channelAuth(APP, hostile.socketId, 'presence-lobby', data), channel_data: data } };
  const sent = await toggle(hostile, join, { event: 'pusher:unsubscribe', data: { channel: 'presence-lobby' } });
  judge(t, 'members', honest, /member_/, since, sent, 2);
  // at the end all know that it is gone
  await until(() => { taken(honest, /member_/); return honest.every((c) => /member_removed$/.test(c.latest.event)); }, 'the last removal, at all');
  const newcomer = await connect(host);
  const roster = JSON.parse((await newcomer.subscribe('presence-lobby', member('new'))).data).presence;
  assert.equal(roster.count, HONEST + 1);
  assert.ok(!roster.ids.includes('ux'));
  await Promise.all([...honest, newcomer].map((client) => client.close()));
});

/** A pusher-js client in a presence channel; `news` has the members that come and go, as "+7". */
async function member(t, app, auth, user, name) {
  const client = pusher(t, host, { app, auth, user });
  const channel = await subscribe(client, name);
  client.room = channel;
  client.news = new Inbox();
  channel.bind('pusher:member_added', ({ id }) => client.news.push(`+${id}`));
  channel.bind('pusher:member_removed', ({ id }) => client.news.push(`-${id}`));
  return client;
}

const ids = (client) => Object.keys(client.room.members.members).sort();

test('grace: a page that is loaded again in pusher-js has neither left nor joined, for anybody', async (t) => {
  const auth = await startAuth(t, PATIENT);
  const name = 'presence-reload';
  const watcher = await member(t, PATIENT, auth, 'watcher', name);
  let page = await member(t, PATIENT, auth, 'ann', name);
  assert.equal(await watcher.news.next(), '+ann');
  for (let n = 0; n < 6; n += 1) { // connections go to either worker
    page.disconnect();
    await until(() => page.connection.state === 'disconnected');
    const newcomer = await member(t, PATIENT, auth, `new${n}`, name);
    assert.ok(ids(newcomer).includes('ann'), 'a newcomer sees who is away for a moment');
    assert.equal(await watcher.news.next(), `+new${n}`);
    assert.equal((await api(host, 'GET', `/channels/${name}`, { app: PATIENT, query: { info: 'user_count' } })).json.user_count, 3 + n);
    page = await member(t, PATIENT, auth, 'ann', name);
    assert.equal(page.room.members.count, 3 + n);
    newcomer.disconnect();
  }
  assert.deepEqual(watcher.news.rest(), []);
  assert.deepEqual(host.events.all.filter((e) => e.channel === name && e.user === 'ann').map((e) => e.type), ['member_added']);
  const users = (await api(host, 'GET', `/channels/${name}/users`, { app: PATIENT })).json.users.map((u) => u.id).sort();
  assert.deepEqual(users, ['ann', 'new0', 'new1', 'new2', 'new3', 'new4', 'new5', 'watcher']);
});

test('grace: who does not come back is removed once, and the channel is vacated after its last member', async (t) => {
  const auth = await startAuth(t, SHORT);
  const name = 'presence-gone';
  const watcher = await member(t, SHORT, auth, 'watcher', name);
  const page = await member(t, SHORT, auth, 'ann', name);
  assert.equal(await watcher.news.next(), '+ann');
  const since = Date.now();
  page.disconnect();
  assert.equal(await watcher.news.next(), '-ann');
  assert.ok(Date.now() - since >= 1400, 'not before its time');
  assert.deepEqual(ids(watcher), ['watcher']);
  watcher.disconnect();
  await until(() => host.events.all.some((e) => e.channel === name && e.type === 'vacated'));
  assert.deepEqual(host.events.all.filter((e) => e.channel === name && e.type !== 'subscription_count').map((e) => e.type), ['occupied', 'member_added', 'member_added', 'member_removed', 'member_removed', 'vacated']);
});

test('grace: a user whose connections are terminated leaves at once', async (t) => {
  const auth = await startAuth(t, PATIENT);
  const name = 'presence-banned';
  const watcher = await member(t, PATIENT, auth, 'watcher', name);
  const page = await member(t, PATIENT, auth, 'bob', name);
  page.signin();
  await page.user.signinDonePromise;
  assert.equal(await watcher.news.next(), '+bob');
  await sdk(host, PATIENT).terminateUserConnections('bob');
  assert.equal(await watcher.news.next(), '-bob');
  // and so does one who is away already
  const away = await member(t, PATIENT, auth, 'cat', name);
  assert.equal(await watcher.news.next(), '+cat');
  away.disconnect();
  await until(() => away.connection.state === 'disconnected');
  await sleep(50);
  await sdk(host, PATIENT).terminateUserConnections('cat');
  assert.equal(await watcher.news.next(), '-cat');
  await connected(watcher);
});
