'use strict';
// B.8: terminating a user's connections. Sign-in and user channels are in kinds.test.js.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, connect, request, signedQuery, startHost } = require('../integration/lib.js');
const { sdk } = require('../integration/clients.js');

const REVERB = { id: 'reverb', key: 'reverb-key', secret: 's', terminate_matches_presence: true };

let host;
before(async () => { host = await startHost({ apps: [APP, REVERB], options: { worker_count: 3 } }); });

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
