'use strict';
// Users: through the C interface the host says who a connection is, and closes all of somebody's; stock clients
// watch each other and are sent away.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, CLIENT_QUERY, Inbox, connect, startHost, until } = require('./lib.js');
const { connected, pusher, sdk, startAuth, subscribe } = require('./clients.js');

const WATCHED = { id: 'watched', key: 'watched-key', secret: 'watched-secret', watchlist_events: true, offline_delay_ms: 0xffffffff };

let host;
before(async () => { host = await startHost({ apps: [APP, WATCHED], hooks: ['identify'], options: { worker_count: 2 } }); });

const identified = (id) => connect(host, { query: `${CLIENT_QUERY}&user=${id}` });

test('closes all connections of a user, whoever said that they are the user\'s', async () => {
  const signedIn = await connect(host);
  await signedIn.signin({ id: '7' });
  const [said, both, other, member] = await Promise.all([identified('7'), identified('7'), identified('8'), connect(host)]);
  await both.signin({ id: '9' });
  await member.subscribe('presence-room', { user_id: '7' });
  await host.do('disconnect_user', { user: '7', code: 4321, reason: 'moved' });
  for (const client of [signedIn, said, both]) assert.deepEqual(await client.closed(), { code: 4321, reason: 'moved' });
  for (const client of [other, member]) {
    assert.deepEqual(await client.settle(), []);
    await client.close();
  }
});

test('refuses what names no user', async () => {
  for (const [rc, args] of Object.entries({ EINVAL: { user: '' }, ENOENT: { user: '7', app: 'nope' } }))
    assert.equal((await host.try('disconnect_user', args)).rc, rc);
  assert.equal((await host.try('disconnect_user', { user: 'x'.repeat(201) })).rc, 'EINVAL');
  assert.equal((await host.try('disconnect_user', { user: '7', code: 3999 })).rc, 'EINVAL');
  assert.equal((await host.try('disconnect', { socket_id: '0.0' })).rc, 'EINVAL');
  await host.do('disconnect_user', { user: 'nobody' });
});

/** A pusher-js client that is signed in; `news` has what its watchlist emits, as "online 8". */
async function signedIn(t, user, { auth, app = WATCHED, ...options } = {}) {
  const client = pusher(t, host, { app, auth, user, ...options });
  client.news = new Inbox();
  for (const event of ['online', 'offline'])
    client.user.watchlist.bind(event, ({ name, user_ids: ids }) => client.news.push(`${name} ${ids.join(' ')}`));
  await connected(client);
  client.signin();
  await client.user.signinDonePromise;
  return client;
}

test('pusher-js tells who of a watchlist comes and goes', async (t) => {
  const auth = await startAuth(t, WATCHED);
  const [early] = await Promise.all([signedIn(t, 'early', { auth })]);
  const watcher = await signedIn(t, 'watcher', { auth, watchlist: ['early', 'late', 'never'] });
  assert.equal(await watcher.news.next(), 'online early');
  assert.equal(await watcher.news.next(), 'offline late never');
  const [first, second] = [await signedIn(t, 'late', { auth }), await signedIn(t, 'late', { auth })];
  assert.equal(await watcher.news.next(), 'online late');
  first.disconnect();
  second.disconnect();
  assert.equal(await watcher.news.next(), 'offline late');
  early.disconnect();
  assert.equal(await watcher.news.next(), 'offline early');
  assert.deepEqual(watcher.news.rest(), []);
});

test('pusher-js does not come back by itself after the server SDK has terminated its user', async (t) => {
  const auth = await startAuth(t, WATCHED);
  const clients = [await signedIn(t, 'gone', { auth }), await signedIn(t, 'gone', { auth })];
  const other = await signedIn(t, 'other', { auth });
  const presence = pusher(t, host, { app: WATCHED, auth, user: 'gone' });
  await subscribe(presence, 'presence-room');
  await sdk(host, WATCHED).terminateUserConnections('gone');
  for (const client of clients) {
    await until(() => client.connection.state === 'disconnected');
    assert.equal((await client.errors.next()).data.code, 4009);
  }
  for (const client of [other, presence]) assert.equal(client.connection.state, 'connected');
  // it may, if its page wants to
  clients[0].connect();
  await connected(clients[0]);
  await until(() => clients[0].user.user_data?.id === 'gone');
});
