'use strict';
// examples/pbx and stock clients: Laravel Echo and pusher-js as npm has them, and the list of calls that its page keeps.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const PusherClient = require('pusher-js');

const { TOP, Inbox, sleep, until } = require('./lib.js');
const { ADA, APP, BEN, CLEO, DAN, ask, call, client, heard, listener, login, start } = require('./pbx.js');
const { CallList } = require(path.join(TOP, 'examples/pbx/static/calls.js'));

/** Echo as an application of this kind makes it: with a token, and the endpoint of its API. */
async function echo(t, site, token, more = {}) {
  const { default: Echo } = await import('laravel-echo');
  const one = new Echo({
    broadcaster: 'pusher', key: APP.key, Pusher: PusherClient, cluster: 'mt1', wsHost: '127.0.0.1', wsPort: Number(site.port), wssPort: Number(site.port), forceTLS: false,
    enabledTransports: ['ws', 'wss'], disableStats: true, authEndpoint: `${site.url}/api/v1/broadcasting/auth`, bearerToken: token,
    auth: { headers: { Authorization: `Bearer ${token}`, Accept: 'application/json' } }, ...more,
  });
  t.after(() => one.disconnect());
  return one;
}

test('PBX-A2: an application\'s own page code, unchanged, shows calls and members', async (t) => {
  const site = await start(t);
  const { token } = await login(site, BEN);
  const page = { here: new Inbox(), joined: new Inbox(), left: new Inbox(), calls: new Inbox() };
  (await echo(t, site, token)).join('presence.org.1')
    .here((members) => page.here.push(members))
    .joining((member) => page.joined.push(member))
    .leaving((member) => page.left.push(member))
    .listen('.call.initiated', (data) => page.calls.push(['initiated', data]))
    .listen('.call.answered', (data) => page.calls.push(['answered', data]))
    .listen('.call.ended', (data) => page.calls.push(['ended', data]));
  assert.deepEqual(await page.here.next(), [{ id: '2', name: 'Ben', role: 'member' }]);
  const other = await echo(t, site, (await login(site, ADA)).token);
  other.join('presence.org.1');
  assert.deepEqual(await page.joined.next(), { id: '1', name: 'Ada', role: 'admin' });
  const one = call(site);
  await one.initiate();
  await one.answer();
  await one.end();
  for (const word of ['initiated', 'answered', 'ended']) {
    const [what, data] = await page.calls.next();
    assert.deepEqual([what, data.call_id], [word, one.id]);
  }
  other.disconnect();
  assert.equal((await page.left.next()).id, '1');
});

test('PBX-9: a page on the public name is live after the first connect and after each reconnect, signing in when stock clients do', async (t) => {
  const site = await start(t, 'quiet');
  const { token } = await login(site, BEN);
  const one = await echo(t, site, token, { userAuthentication: { endpoint: `${site.url}/broadcasting/user-auth`, headers: { Authorization: `Bearer ${token}` } } });
  const { pusher } = one.connector;
  const calls = new Inbox();
  let subscribed = 0;
  const errors = [];
  one.channel('presence.org.1').subscribed(() => { subscribed++; }).error((error) => errors.push(error)).listen('.call.initiated', (data) => calls.push(data));
  pusher.signin();
  for (let round = 1; round <= 3; round++) {
    await until(() => subscribed === round, () => `live in round ${round}: ${JSON.stringify(errors)}`);
    const next = call(site);
    await next.initiate();
    assert.equal((await calls.next()).call_id, next.id);
    const before = pusher.connection.socket_id;
    pusher.connection.connection.close(); // as if the network had gone
    await until(() => pusher.connection.state === 'connected' && pusher.connection.socket_id !== before, 'another connection');
  }
  assert.deepEqual(errors, []);
});

test('PBX-8: a token that expires ends its channels, and the client is told why', async (t) => {
  const site = await start(t, '--session-s', '3');
  const { token, expires_at: until_ } = await login(site, BEN);
  const socket = await listener(site, token, 'presence-org.1');
  const { data } = await socket.event('pusher:subscription_error', 'presence-org.1');
  assert.ok(Date.now() >= Date.parse(until_) - 50, 'not before it expires');
  assert.match(JSON.stringify(data), /expired/);
  const late = call(site);
  await late.initiate();
  assert.deepEqual((await socket.settle()).filter((f) => /^call/.test(f.event)), []);
});

test('PBX-6: signing out by one client cuts off the others of that token at once', async (t) => {
  const site = await start(t);
  const [mine, others] = [await login(site, BEN), await login(site, BEN)];
  const clients = [await listener(site, mine.token, 'presence-org.1'), await listener(site, mine.token, 'presence.org.1')];
  const stays = await listener(site, others.token, 'presence-org.1');
  assert.equal((await ask(site, 'POST', '/api/v1/logout', { token: mine.token })).status, 204);
  const late = call(site);
  await late.initiate();
  await stays.event('call.initiated');
  for (const socket of clients) {
    const frames = await socket.settle();
    assert.deepEqual(frames.filter((f) => /^call/.test(f.event)), []);
    assert.ok(socket.frames.some((f) => f.event === 'pusher:subscription_error'));
  }
});

test('PBX-11: a reload is no leave and no join for the others', async (t) => {
  const site = await start(t);
  const [ben, cleo, dan] = await Promise.all([BEN, CLEO, DAN].map((one) => login(site, one)));
  const sees = await listener(site, ben.token, 'presence-org.1');
  const page = await listener(site, cleo.token, 'presence-org.1');
  await sees.event('pusher_internal:member_added');
  await page.close();
  await listener(site, cleo.token, 'presence-org.1');
  const leaves = await listener(site, dan.token, 'presence-org.1');
  assert.equal(heard(await sees.event('pusher_internal:member_added')).user_id, '4', 'the next who comes is another one');
  await leaves.close();
  assert.equal(heard(await sees.event('pusher_internal:member_removed')).user_id, '4', 'who does not come back has left');
  assert.deepEqual(sees.frames.filter((f) => f.event === 'pusher_internal:member_removed').length, 1);
});

// The list

const AT = '2024-01-01T12:00:00.000Z';
const snapshot = (revision, calls = [], ahead = 0) => ({ revision, now_ms: Date.parse(AT) + ahead, calls, extensions: [] });
const running = (id, revision, more = {}) => ({ call_id: id, from_number: '+1', to_number: '+2', status: 'initiated', initiated_at: AT, revision, ...more });
const begins = (id, revision) => ['call.initiated', running(id, revision)];
const answers = (id, revision) => ['call.answered', { call_id: id, status: 'answered', answered_at: AT, extension_id: '1', revision }];
const ends = (id, revision) => ['call.ended', { call_id: id, status: 'completed', ended_at: AT, duration: 1, revision }];
const states = (list) => Object.fromEntries(list.active.map((one) => [one.call_id, one.status]));

/** All orders of some things. */
const orders = (items) => (items.length < 2 ? [items] : items.flatMap((item, i) => orders([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest])));

test('PBX-4: snapshot and events end in the same list, in whatever order they come', () => {
  const all = [begins('a', 11), answers('a', 12), begins('b', 13), ends('a', 14)];
  for (const order of orders([...all, snapshot(12, [running('a', 12, { status: 'answered' })])])) {
    let asked = 0;
    const list = new CallList({ ask: () => { asked++; } });
    list.take(snapshot(10));
    for (const step of order) {
      if (Array.isArray(step)) list.heard(...step);
      else list.take(step);
    }
    // What was missed is asked for, and the answer settles it.
    if (asked > 0) list.take(snapshot(14, [running('b', 13)]));
    assert.deepEqual(states(list), { b: 'initiated' }, JSON.stringify(order));
  }
});

test('PBX-4: an event of an unknown call asks, an older snapshot is thrown away, a repeated event changes nothing', () => {
  let asked = 0;
  const list = new CallList({ ask: () => { asked++; } });
  list.take(snapshot(20, [running('a', 20)]));
  list.heard(...answers('x', 21));
  assert.equal(asked, 1);
  assert.equal(list.take(snapshot(19)), false);
  assert.deepEqual(states(list), { a: 'initiated' });
  list.heard(...answers('a', 22));
  list.heard(...answers('a', 22));
  list.heard(...begins('a', 20));
  assert.deepEqual(states(list), { a: 'answered' });
  assert.equal(asked, 1);
});

test('PBX-A8: an end that never came is gone after the next catch-up, which the next event asks for; so does one of four hours', () => {
  let asked = 0;
  const list = new CallList({ ask: () => { asked++; } });
  list.take(snapshot(30, [running('a', 29), running('b', 30)]));
  list.heard(...begins('c', 32)); // 31 was the end of "a"
  assert.equal(asked, 1);
  list.take(snapshot(32, [running('b', 30), running('c', 32)]));
  assert.deepEqual(Object.keys(states(list)), ['b', 'c']);
  const now = Date.parse(AT);
  list.take(snapshot(33, [running('b', 30)]), now);
  assert.equal(list.isOdd(now), false);
  assert.equal(list.isOdd(now + 4 * 3600000 + 1000), true);
});

test('PBX-3: durations are right within a second with a clock that is an hour off', () => {
  for (const off of [-3600000, 0, 3600000]) {
    const list = new CallList();
    const visitors = Date.parse(AT) + off;
    list.take(snapshot(1, [running('a', 1)], 7000), visitors); // the server says that seven seconds have passed
    assert.equal(list.seconds(list.active[0], visitors), 7);
    assert.equal(list.seconds(list.active[0], visitors + 5000), 12);
  }
});

test('PBX-4: what a page asks and what it hears are one list, while calls come and go', async (t) => {
  const site = await start(t);
  const { token } = await login(site, BEN);
  const snap = async () => (await ask(site, 'GET', '/api/v1/calls?state=active', { token })).json;
  const old = Array.from({ length: 10 }, () => call(site));
  for (const one of old) await one.initiate();
  const lists = [];
  for (let page = 0; page < 3; page++) {
    const list = new CallList({ ask: async () => list.take(await snap()) });
    const socket = await client(site, token);
    socket.ws.on('message', (text) => {
      const { event, data } = JSON.parse(text);
      if (/^call/.test(event)) list.heard(event, JSON.parse(data));
    });
    await socket.wants('presence-org.1');
    lists.push(list);
    const done = snap().then((answer) => list.take(answer));
    await old[page].answer();
    await old[page + 5].end('busy');
    await done;
  }
  const last = call(site);
  await last.initiate();
  for (const list of lists) {
    await until(() => list.calls.has(last.id), 'the last call');
    const wanted = Object.fromEntries((await snap()).calls.map((one) => [one.call_id, one.status]));
    await until(() => JSON.stringify(Object.entries(states(list)).sort()) === JSON.stringify(Object.entries(wanted).sort()), 'the same list');
  }
  assert.equal(lists[0].active.length, 8);
  await sleep(0);
});
