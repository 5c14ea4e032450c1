'use strict';
// Users: through the C interface the host says who a connection is, and closes all of somebody's; stock clients
// watch each other and are sent away; how many connections a user and an address may have.

const assert = require('node:assert/strict');
const { before, describe, test } = require('node:test');
const { APP, CLIENT_QUERY, Inbox, connect, dial, refused, startHost, until, userAuth } = require('./lib.js');
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

// -- limits --

const LIMITED = { id: 'limited', key: 'limited-key', secret: 's', max_connections_per_user: 2 };
const PER_IP = { id: 'per-ip', key: 'per-ip-key', secret: 's', max_connections_per_ip: 2 };
const OVER_USER = 'The user has too many connections';
const OVER_IP = 'Too many connections from this address';
const leave = (client) => client.close();

/** Once somebody has left, there is room: the server may hear of it a moment later. */
async function connectSoon(server, options) {
  return until(async () => {
    const client = await dial(server, options);
    const first = await client.next();
    client.socketId = first.event === 'pusher:connection_established' && JSON.parse(first.data).socket_id;
    return client.socketId && client;
  });
}

test('a user above its number of connections is closed, or not signed in', async (t) => {
  const limited = await startHost({ apps: [LIMITED], hooks: ['identify', 'on_denied'], options: { worker_count: 2 } }, t);
  const as = (user) => ({ app: LIMITED, query: `${CLIENT_QUERY}&user=${user}` });
  const [one, two] = [await connect(limited, as('7')), await connect(limited, { app: LIMITED })];
  await two.signin({ id: '7' });

  const { code, reason, frames } = await refused(limited, as('7'));
  assert.deepEqual([code, reason], [4004, OVER_USER]);
  assert.deepEqual(frames, [{ event: 'pusher:error', data: { code: 4004, message: OVER_USER } }], 'it is not established first');
  assert.equal((await limited.event('denied', { reason: 'LIMIT' })).status, 4004);

  const three = await connect(limited, { app: LIMITED });
  const userData = JSON.stringify({ id: '7' });
  const auth = userAuth(LIMITED, three.socketId, userData);
  three.send({ event: 'pusher:signin', data: { auth, user_data: userData } });
  assert.deepEqual((await three.next()).data, { code: null, message: `${OVER_USER}: 7` });
  three.ask('#server-to-user-7');
  assert.equal(JSON.parse((await three.event('pusher:subscription_error')).data).status, 403);

  await two.close();
  await until(async () => {
    three.send({ event: 'pusher:signin', data: { auth, user_data: userData } });
    return (await three.next()).event === 'pusher:signin_success';
  });
  for (const client of [one, three]) await leave(client);
  await leave(await connectSoon(limited, as('7')));
});

test('an address above its number of connections is turned away', async (t) => {
  const server = await startHost({ apps: [PER_IP, APP], options: { worker_count: 2 } }, t);
  const clients = [await connect(server, { app: PER_IP }), await connect(server, { app: PER_IP, headers: { 'X-Forwarded-For': '192.0.2.1' } })];
  for (const headers of [{}, { 'X-Forwarded-For': '192.0.2.2' }]) { // nobody is believed who says where it comes from
    const { code, reason } = await refused(server, { app: PER_IP, headers });
    assert.deepEqual([code, reason], [4004, OVER_IP]);
  }
  await leave(await connect(server, { app: APP }));
  await leave(clients.pop());
  clients.push(await connectSoon(server, { app: PER_IP }));
  for (const client of clients) await leave(client);
});

test('behind proxies an address is the one they name', async (t) => {
  const server = await startHost({ apps: [PER_IP], hooks: ['identify'], options: { worker_count: 2, proxy_count: 2 } }, t);
  const from = (forwarded, more = '') => ({ app: PER_IP, query: `${CLIENT_QUERY}${more}`, headers: forwarded ? { 'X-Forwarded-For': forwarded } : {} });
  const clients = [];
  for (const forwarded of ['192.0.2.1, 10.0.0.1', '6.6.6.6, 192.0.2.1, 10.0.0.2', '2001:db8::1, 10.0.0.1', '[2001:db8::2]:4711, 10.0.0.1', 'x, 10.0.0.1', '192.0.2.1'])
    clients.push(await connect(server, from(forwarded)));
  for (const forwarded of ['192.0.2.1:80, 10.0.0.9', '2001:db8:0:0:ffff::1, 10.0.0.1', undefined, '10.0.0.1']) {
    const { code, reason } = await refused(server, from(forwarded));
    assert.deepEqual([code, reason], [4004, OVER_IP], forwarded);
  }
  clients.push(await connect(server, from('192.0.2.3, 10.0.0.1')));

  const asking = dial(server, from('6.6.6.6, 192.0.2.4, 10.0.0.1', '&ask=1'));
  const asked = await server.event('identify');
  assert.equal(asked.client_ip, '192.0.2.4');
  assert.match(asked.peer, /^127\.0\.0\.1:\d+$/);
  await server.do('identify', { request: asked.request });
  clients.push(await asking);
  for (const client of clients) await leave(client);
});

test('who goes while the host is asked gives its place back', async (t) => {
  const server = await startHost({ apps: [PER_IP], hooks: ['identify'] }, t);
  for (let i = 0; i < 5; i++) {
    const clients = [0, 1].map(() => dial(server, { app: PER_IP, query: `${CLIENT_QUERY}&ask=1` }));
    const questions = [await server.event('identify'), await server.event('identify')];
    assert.equal((await refused(server, { app: PER_IP })).code, 4004);
    for (const { request: number } of questions) await server.do('identify', { request: number, reject: 4123 });
    for (const client of clients) assert.equal((await (await client).closed()).code, 4123);
  }
  await leave(await connectSoon(server, { app: PER_IP }));
});

describe('people', { concurrency: true }, () => { // each waits for the delays of its own server
  for (const workers of [1, 2, 4]) test(`people, ${workers} workers: the host is told who is online over connections and channels, and can ask`, async (t) => {
    const app = { ...APP, user_events: true, offline_delay_ms: 3000, presence_grace_ms: 200 };
    const server = await startHost({ apps: [app], hooks: ['identify', 'on_user'], options: { worker_count: workers } }, t);
    const next = async () => {
      const { user, online, sequence } = await server.events.next((e) => e.event === 'user');
      return [user, online, sequence];
    };
    const as = (user) => connect(server, { query: `${CLIENT_QUERY}&user=${user}` });
    const first = await as('7');
    assert.deepEqual(await next(), ['7', true, 1]);
    const second = await as('7');
    const member = await connect(server);
    await member.subscribe('presence-room', { user_id: '8' });
    assert.deepEqual(await next(), ['8', true, 2]);
    const signed = await connect(server);
    await signed.signin({ id: '9' });
    assert.deepEqual(await next(), ['9', true, 3]);
    await signed.subscribe('presence-room', { user_id: '9' });

    const { users, sequence } = await server.do('users');
    const { members } = await server.do('members', { channel: 'presence-room' });
    assert.equal(sequence, 3);
    assert.deepEqual(users.map((u) => [u.user, u.online, u.connections, u.channels, u.away_ms]).sort(),
      [['7', true, 2, 0, 0], ['8', true, 0, 1, 0], ['9', true, 1, 1, 0]]);
    for (const { user } of members) assert.ok(users.some((u) => u.user === user && u.online));

    await first.close();
    await second.close();
    const third = await as('7'); // a reload
    await member.close(); // absent, then removed, then offline
    assert.deepEqual(await next(), ['8', false, 4]);
    const eight = await server.do('user', { user: '8' });
    assert.deepEqual([eight.online, eight.channels, eight.number], [false, 0, 4]);
    assert.ok(eight.away_ms >= 2900, `${eight.away_ms}`);
    assert.deepEqual((await server.do('users')).users.map((u) => u.user).sort(), ['7', '9']);
    assert.deepEqual((await server.do('users', { away_too: 1 })).users.map((u) => u.user).sort(), ['7', '8', '9']);
    await server.do('disconnect_user', { user: '9', code: 4009 });
    assert.deepEqual(await next(), ['9', false, 5]); // at once, though absent members have a grace
    assert.equal((await server.try('user', { user: 'never' })).rc, 'ENOENT');
    assert.equal((await server.try('user', { user: '' })).rc, 'EINVAL');
    assert.equal((await server.try('users', { app: 'nope' })).rc, 'ENOENT');
    await third.close();
    assert.deepEqual(await next(), ['7', false, 6]);
  });
});
