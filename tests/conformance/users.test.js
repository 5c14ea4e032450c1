'use strict';
// B.8: terminating a user's connections, and watchlists; of B.3, authorized connections. Sign-in and user channels
// are in kinds.test.js.

const assert = require('node:assert/strict');
const { before, describe, test } = require('node:test');
const { APP, api, connect, request, signedQuery, sleep, startHost } = require('../integration/lib.js');
const { sdk } = require('../integration/clients.js');

const REVERB = { id: 'reverb', key: 'reverb-key', secret: 's', terminate_matches_presence: true };
const NO_DELAY = 0xffffffff;
const WATCHED = { id: 'watched', key: 'watched-key', secret: 's', watchlist_events: true, offline_delay_ms: NO_DELAY };
const SLOW = { id: 'slow', key: 'slow-key', secret: 's', watchlist_events: true, offline_delay_ms: 3000 };
const STRICT = { id: 'strict', key: 'strict-key', secret: 's', user_authentication: true, user_authentication_timeout_ms: 6000 };

let host;
before(async () => { host = await startHost({ apps: [APP, REVERB, WATCHED, SLOW, STRICT], options: { worker_count: 3 } }); });

let number = 0;
const fresh = () => `user-${++number}`;
const closeAll = (...clients) => Promise.all(clients.map((client) => client.close()));
const terminate = (id, more) => api(host, 'POST', `/users/${encodeURIComponent(id)}/terminate_connections`, { body: {}, ...more });
const GONE = { code: 4009, reason: 'You got disconnected by the app.' };

/** `count` connections that are signed in as the user; the kernel spreads them over the workers. */
async function signedIn(id, count = 1, app = APP) {
  const clients = await Promise.all(Array.from({ length: count }, () => connect(host, { app })));
  for (const client of clients) await client.signin({ id });
  return clients;
}

test('#127 closes all connections signed in as the user', async () => {
  const id = fresh();
  const clients = await signedIn(id, 24);
  const [other] = await signedIn(fresh());
  const [elsewhere] = await signedIn(id, 1, REVERB);
  const res = await terminate(id);
  assert.equal(res.status, 200);
  assert.match(res.headers['content-type'], /^application\/json/);
  assert.equal(res.text, '{}');
  for (const client of clients) {
    assert.deepEqual(await client.closed(), GONE);
    assert.equal(client.frames.at(-1).event, 'pusher:signin_success', 'no frame announces it');
  }
  assert.deepEqual(await other.settle(), []);
  assert.deepEqual(await elsewhere.settle(), []);
  await closeAll(other, elsewhere);
});

test('#127 tells old clients by an error first', async () => {
  const id = fresh();
  const old = await connect(host, { query: 'protocol=5' });
  await old.signin({ id });
  await terminate(id);
  assert.deepEqual((await old.next()).data, { code: 4009, message: GONE.reason });
  assert.deepEqual(await old.closed(), GONE);
});

test('#127 takes ids that have to be encoded, and refuses what is no id', async () => {
  const [client] = await signedIn('a=b@c,d;e.f-g_1');
  assert.equal((await terminate('a=b@c,d;e.f-g_1')).text, '{}');
  assert.deepEqual(await client.closed(), GONE);
  for (const bad of ['a b', 'ä', 'a/b', 'x'.repeat(201)]) assert.equal((await terminate(bad)).status, 400, bad);
  assert.equal((await api(host, 'GET', '/users/7/terminate_connections')).status, 405);
  assert.equal((await terminate('7', { auth: { auth_key: 'nope' } })).status, 401);
});

test('#127 serves the path that the Python SDK signs', async () => {
  const id = fresh();
  const [client] = await signedIn(id);
  const [elsewhere] = await signedIn(id, 1, REVERB);
  const path = `/users/${id}/terminate_connections`;
  const post = (query) => request(host, 'POST', `${path}?${query}`, { body: '{}', headers: { 'Content-Type': 'application/json' } });
  const res = await post(signedQuery(APP, 'POST', path, { body: '{}' }));
  assert.deepEqual([res.status, res.text], [200, '{}']);
  assert.deepEqual(await client.closed(), GONE);
  assert.deepEqual(await elsewhere.settle(), [], 'the app is the one whose key signed');
  assert.equal((await post(signedQuery({ ...APP, key: 'nope' }, 'POST', path, { body: '{}' }))).status, 401);
  assert.equal((await post(signedQuery({ ...APP, secret: 'nope' }, 'POST', path, { body: '{}' }))).status, 401);
  await elsewhere.close();
});

test('#128 leaves connections that only carry the id in a presence channel', async () => {
  const id = fresh();
  const member = await connect(host);
  await member.subscribe('presence-terminate', { user_id: id });
  const [client] = await signedIn(id);
  await terminate(id);
  assert.deepEqual(await client.closed(), GONE);
  assert.deepEqual(await member.settle(), []);
  await member.close();
});

test('#128 closes those, too, if the app is to behave as under Reverb', async () => {
  const id = fresh();
  const member = await connect(host, { app: REVERB });
  await member.subscribe('presence-terminate', { user_id: id });
  const [client] = await signedIn(id, 1, REVERB);
  const other = await connect(host, { app: REVERB });
  await other.subscribe('presence-terminate', { user_id: fresh() });
  await terminate(id, { app: REVERB });
  assert.deepEqual(await client.closed(), GONE);
  assert.deepEqual(await member.closed(), GONE);
  assert.equal(JSON.parse((await other.event('pusher_internal:member_removed')).data).user_id, id);
  await other.close();
});

test('#129 answers {} when the user is not connected', async () => {
  for (const body of ['{}', '']) {
    const res = await terminate(fresh(), { body });
    assert.deepEqual([res.status, res.text], [200, '{}']);
  }
});

test('#130 lets a terminated user connect again', async () => {
  const id = fresh();
  for (let i = 0; i < 3; i++) {
    const [client] = await signedIn(id);
    await sdk(host).terminateUserConnections(id);
    assert.deepEqual(await client.closed(), GONE);
  }
  const [client] = await signedIn(id);
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

// -- the user channel on several workers --

test('#121 reaches every connection of a user, on whatever worker, and nobody else', async () => {
  const [id, other] = [fresh(), fresh()];
  const [theirs, others] = [await signedIn(id, 24), await signedIn(other, 8)];
  for (const client of theirs) await client.subscribe(`#server-to-user-${id}`);
  for (const client of others) await client.subscribe(`#server-to-user-${other}`);
  const [unsubscribed] = await signedIn(id);
  await sdk(host).sendToUser(id, 'greet', { by: 'http' });
  await host.do('send_to_user', { user: id, name: 'greet', data: '{"by":"host"}' });
  for (const client of theirs) {
    assert.deepEqual((await client.event('greet')).data, '{"by":"http"}');
    assert.deepEqual((await client.event('greet')).data, '{"by":"host"}');
    assert.deepEqual(await client.settle(), []);
  }
  for (const client of [...others, unsubscribed]) assert.deepEqual(await client.settle(), []);
  theirs[0].send({ event: 'client-e', channel: `#server-to-user-${id}`, data: {} });
  assert.equal((await theirs[0].next()).event, 'pusher:error');
  assert.deepEqual(await theirs[1].settle(), []);
  await closeAll(...theirs, ...others, unsubscribed);
});

test('#122 lists nothing of users, also where they are watched', async () => {
  const [id, watcher, client] = [fresh(), ...await Promise.all([1, 2].map(() => connect(host, { app: WATCHED })))];
  await watch(watcher, fresh(), [id]);
  await client.signin({ id });
  await client.subscribe(`#server-to-user-${id}`);
  assert.deepEqual(await news(watcher), { online: [id] });
  assert.deepEqual((await api(host, 'GET', '/channels', { app: WATCHED })).json, { channels: {} });
  await closeAll(watcher, client);
});

// -- watchlists --

/** Signs in with a watchlist; what the watchlist frame says, or undefined. */
async function watch(client, id, watchlist) {
  await client.signin({ id, watchlist });
  return watchlist.length ? news(client) : undefined;
}

/** The next watchlist frame, as { online: [...], offline: [...] }. */
async function news(client) {
  const frame = await client.next();
  assert.deepEqual({ ...frame, data: '' }, { event: 'pusher_internal:watchlist_events', data: '' });
  assert.equal(typeof frame.data, 'string');
  const { events, ...rest } = JSON.parse(frame.data);
  assert.deepEqual(rest, {});
  assert.ok(events.length === 1 || (events.length === 2 && events[0].name !== events[1].name));
  return Object.fromEntries(events.map(({ name, user_ids: ids, ...more }) => {
    assert.ok(['online', 'offline'].includes(name));
    assert.deepEqual(more, {});
    assert.ok(ids.length > 0 && ids.every((user) => typeof user === 'string'));
    return [name, ids];
  }));
}

const connectAll = (app, count) => Promise.all(Array.from({ length: count }, () => connect(host, { app })));

test('#123 sends the initial state of the watchlist', async () => {
  const [on, off, watcher, other] = [fresh(), fresh(), ...await connectAll(WATCHED, 2)];
  await other.signin({ id: on });
  assert.deepEqual(await watch(watcher, fresh(), [on, off]), { online: [on], offline: [off] });
  assert.deepEqual(await watch(watcher, JSON.parse(JSON.parse(watcher.frames[1].data).user_data).id, [off]), { offline: [off] });
  const [self, alone] = [fresh(), ...await connectAll(WATCHED, 1)];
  assert.deepEqual(await watch(alone, self, [self, on, on]), { online: [self, on] });
  await watch(alone, self, []);
  assert.deepEqual(await alone.settle(), [], 'an empty list is not answered');
  await closeAll(watcher, other, alone);
});

test('#124 #125 sends online and offline for the first and the last connection only', async () => {
  const [id, watchers, clients] = [fresh(), await connectAll(WATCHED, 4), await connectAll(WATCHED, 8)];
  for (const watcher of watchers) assert.deepEqual(await watch(watcher, fresh(), [id]), { offline: [id] });
  for (const client of clients) await client.signin({ id });
  for (const watcher of watchers) assert.deepEqual(await news(watcher), { online: [id] });
  const last = clients.pop();
  await closeAll(...clients);
  for (const watcher of watchers) assert.deepEqual(await watcher.settle(), []);
  await last.close();
  for (const watcher of watchers) assert.deepEqual(await news(watcher), { offline: [id] });
  await closeAll(...watchers);
});

test('#124 waits before it sends offline, so that a page may be loaded again', async () => {
  const [id, watcher] = [fresh(), ...await connectAll(SLOW, 1)];
  await watch(watcher, fresh(), [id]);
  for (let i = 0; i < 3; i++) {
    const [client] = await connectAll(SLOW, 1);
    await client.signin({ id });
    if (i === 0) assert.deepEqual(await news(watcher), { online: [id] });
    await client.close();
  }
  assert.deepEqual(await watcher.settle(), []);
  assert.deepEqual(await news(watcher), { offline: [id] });
  await watcher.close();
});

test('#126 keeps the first 100 ids of a longer watchlist', async () => {
  const [watcher, client] = await connectAll(WATCHED, 2);
  const ids = Array.from({ length: 101 }, fresh);
  await watcher.signin({ id: fresh(), watchlist: ids });
  const { event, data } = await watcher.next();
  assert.equal(event, 'pusher:error');
  assert.equal(data.code, 4302);
  assert.match(data.message, /\b100\b/);
  assert.deepEqual(await news(watcher), { offline: ids.slice(0, 100) });
  await client.signin({ id: ids[100] });
  assert.deepEqual(await watcher.settle(), []);
  await closeAll(watcher, client);
});

test('#123 watches nobody unless the app wants it, and never across apps', async () => {
  const id = fresh();
  const [elsewhere] = await signedIn(id);
  const [watcher] = await connectAll(WATCHED, 1);
  const unwatched = await connect(host);
  assert.deepEqual(await watch(watcher, fresh(), [id]), { offline: [id] });
  await unwatched.signin({ id: fresh(), watchlist: [id] });
  await elsewhere.close();
  assert.deepEqual(await unwatched.settle(), []);
  assert.deepEqual(await watcher.settle(), []);
  await closeAll(watcher, unwatched);
});

// Both wait for the same time limit.
describe('authorized connections', { concurrency: true }, () => {
  test('#44 closes who neither signed in nor got a private or presence channel in time', async () => {
    const [silent, reader, refused] = await connectAll(STRICT, 3);
    await reader.subscribe('news');
    refused.ask('private-x', { auth: `${STRICT.key}:${'0'.repeat(64)}` });
    await refused.event('pusher:subscription_error');
    for (const client of [silent, reader, refused])
      assert.deepEqual(await client.closed(), { code: 4009, reason: 'Connection not authorized within timeout' });
  });

  test('#45 does not close who did either', async () => {
    const [signed, subscriber, member, stranger] = await connectAll(STRICT, 4);
    await Promise.all([signed.signin({ id: fresh() }), subscriber.subscribe('private-x'), member.subscribe('presence-x', { user_id: '7' })]);
    await subscriber.unsubscribe('private-x');
    await stranger.closed(); // later than theirs would have been, and a little more
    await sleep(300);
    for (const client of [signed, subscriber, member]) assert.deepEqual((await client.settle()).filter((f) => f.event === 'pusher:error'), []);
    await closeAll(signed, subscriber, member);
  });
});
