'use strict';
// The examples in which the host decides, driven by stock laravel-echo: helpdesk-rules and tenants.

const assert = require('node:assert/strict');
const http = require('node:http');
const path = require('node:path');
const { before, test } = require('node:test');
const { BUILD, Inbox, Program, connect, refused, request, until, within } = require('./lib.js');
const { PusherClient, clientOptions, sdk } = require('./clients.js');

let Echo;
before(async () => { ({ default: Echo } = await import('laravel-echo')); });

/** Every HTTP request of this process: pusher-js asks auth endpoints with Node's own client. */
const requests = [];
const { request: send } = http;
http.request = (options, ...rest) => {
  if (options.path?.startsWith('/broadcasting/')) requests.push(options.path);
  return send(options, ...rest);
};

async function start(t, name, workers) {
  const program = new Program(path.join(BUILD, 'examples', name), ['0', String(workers)]);
  program.end = () => { program.child.kill('SIGTERM'); return program.ends(); };
  t.after(() => program.end());
  program.port = await program.listening();
  return program;
}

/** An Echo with this token, as Laravel's documentation sets it up. */
function makeEcho(t, server, bearerToken, more = {}) {
  const url = `http://127.0.0.1:${server.port}/broadcasting`;
  const echo = new Echo({
    ...clientOptions(server), broadcaster: 'reverb', key: 'app-key', Pusher: PusherClient, bearerToken,
    authEndpoint: `${url}/auth`, auth: { headers: {} }, userAuthentication: { endpoint: `${url}/user-auth`, headers: {} }, ...more,
  });
  t.after(() => echo.disconnect());
  return echo;
}

/** No request to any endpoint: the connection is somebody, the rule knows who. */
const withoutToken = { authorizer: () => ({ authorize: (socketId, done) => done(null, { auth: '' }) }) };

/** The same, signed in: its connection has an identity. */
async function signedIn(t, server, bearerToken) {
  const echo = makeEcho(t, server, bearerToken, withoutToken);
  echo.connector.signin();
  await until(() => echo.connector.pusher.user.user_data, 'the sign-in');
  return echo;
}

/** 'subscribed', or the status that .error() was called with. To be called when the channel is made: what was answered before is missed. */
const answer = (channel) => within(new Promise((resolve) => {
  channel.subscribed(() => resolve('subscribed')).error((error) => resolve(error.status));
}), 'an answer');

function collect(register) {
  const inbox = new Inbox();
  register((...values) => inbox.push(values.length === 1 ? values[0] : values));
  return inbox;
}

const everything = (channel) => collect((cb) => channel.listenToAll(cb));

const move = (server, user, office, token = 'token-admin-1') => request(server, 'POST', `/move?user=${user}&office=${office}`, { headers: { Authorization: `Bearer ${token}` } });

for (const workers of [1, 4]) {
  const on = `on ${workers} worker${workers > 1 ? 's' : ''}`;

  // ticket-a: office 1, of customer-1; ticket-b: office 2, of customer-2; ticket-c: the same, assigned to agent-1;
  // ticket-d: office 2, created by agent-1; every other: office 1, of customer-2
  const cases = [
    ['customer-1', ['private-tickets.ticket-a', 'private-user.customer-1'], ['private-tickets.ticket-b', 'private-tickets.other', 'private-office.1', 'private-user.customer-2']],
    ['customer-2', ['private-tickets.ticket-b', 'private-tickets.other'], ['private-tickets.ticket-a', 'private-office.0']],
    ['agent-1', ['private-tickets.ticket-a', 'private-tickets.ticket-c', 'private-tickets.ticket-d', 'private-tickets.other', 'private-office.1', 'private-user.agent-1'], ['private-tickets.ticket-b', 'private-office.2', 'private-user.agent-2']],
    ['agent-2', ['private-tickets.ticket-b', 'private-tickets.ticket-c', 'private-office.2'], ['private-tickets.ticket-a', 'private-tickets.other', 'private-office.1']],
    ['admin-1', ['private-tickets.ticket-a', 'private-tickets.ticket-b', 'private-tickets.other', 'private-office.1', 'private-office.2'], ['private-user.agent-1', 'private-tickets.a.b', 'private-nothing']],
  ];
  const short = (name) => name.replace('private-', '');

  test(`helpdesk-rules ${on}: each role has its channels, through Echo's /broadcasting/auth`, async (t) => {
    const server = await start(t, 'helpdesk-rules', workers);
    await Promise.all(cases.map(async ([user, theirs, others]) => {
      const echo = makeEcho(t, server, `token-${user}`);
      for (const name of theirs) assert.equal(await answer(echo.private(short(name))), 'subscribed', `${user} ${name}`);
      for (const name of others) assert.equal(await answer(echo.private(short(name))), 403, `${user} ${name}`);
    }));
  });

  test(`helpdesk-rules ${on}: the same without a token, on a connection that has signed in`, async (t) => {
    const server = await start(t, 'helpdesk-rules', workers);
    await Promise.all(cases.map(async ([user, theirs, others]) => {
      const echo = await signedIn(t, server, `token-${user}`);
      for (const name of theirs) assert.equal(await answer(echo.private(short(name))), 'subscribed', `${user} ${name}`);
      for (const name of others) assert.equal(await answer(echo.private(short(name))), 403, `${user} ${name}`);
    }));
  });

  test(`helpdesk-rules ${on}: the token in the WebSocket's header or query; nobody; a wrong token`, async (t) => {
    const server = await start(t, 'helpdesk-rules', workers);
    const says = async (client, channel) => {
      client.ask(channel, { auth: '' });
      return (await client.next((f) => f.channel === channel && /subscription_(succeeded|error)$/.test(f.event))).event.split('_').pop();
    };
    const header = await connect(server, { headers: { Authorization: 'Bearer token-agent-1' } });
    const query = await connect(server, { query: 'protocol=7&client=js&version=8.6.0&token=token-agent-2' });
    const nobody = await connect(server);
    assert.equal(await says(header, 'private-tickets.ticket-a'), 'succeeded');
    assert.equal(await says(query, 'private-tickets.ticket-a'), 'error');
    assert.equal(await says(query, 'private-tickets.ticket-b'), 'succeeded');
    for (const [user, theirs] of cases) for (const name of theirs) assert.equal(await says(nobody, name), 'error', `${user} ${name}`);
    assert.equal(await says(nobody, 'news'), 'succeeded', 'public names stay public');
    assert.equal((await refused(server, { headers: { Authorization: 'Bearer token-nobody' } })).code, 4009);
    for (const client of [header, query, nobody]) await client.close();
  });

  test(`helpdesk-rules ${on}: an internal note reaches agents and never the customer`, async (t) => {
    const server = await start(t, 'helpdesk-rules', workers);
    const names = ['customer-1', 'agent-1', 'admin-1'];
    const channels = [makeEcho(t, server, 'token-customer-1'), makeEcho(t, server, 'token-agent-1'), await signedIn(t, server, 'token-admin-1')]
      .map((echo) => echo.private('tickets.ticket-a'));
    const inboxes = channels.map(everything);
    assert.deepEqual(await Promise.all(channels.map(answer)), ['subscribed', 'subscribed', 'subscribed']);
    const publish = (name, data) => sdk(server).trigger('private-tickets.ticket-a', name, data);
    await publish('note.internal', { text: 'always angry' });
    await publish('ticket.updated', { status: 'open', internal: { score: 3 } });
    await publish('ticket.text', 'no JSON that could be redacted');
    await publish('reply', { text: 'Dear customer' });
    const staff = [['.note.internal', { text: 'always angry' }], ['.ticket.updated', { status: 'open', internal: { score: 3 } }],
      ['.ticket.text', 'no JSON that could be redacted'], ['.reply', { text: 'Dear customer' }]];
    const expected = [[staff[1], staff[3]], staff, staff];
    expected[0][0] = ['.ticket.updated', { status: 'open' }];
    for (const [i, inbox] of inboxes.entries()) {
      await inbox.next(([event]) => event === '.reply');
      assert.deepEqual(inbox.all, expected[i], names[i]);
    }
  });

  test(`helpdesk-rules ${on}: bursts, while both audiences are many`, async (t) => {
    const server = await start(t, 'helpdesk-rules', workers);
    const users = Array.from({ length: 12 }, (_, i) => (i % 2 ? 'agent-1' : 'customer-1'));
    const clients = await Promise.all(users.map((user) => connect(server, { headers: { Authorization: `Bearer token-${user}` } })));
    for (const client of clients) {
      client.ask('private-tickets.ticket-a');
      await client.event('pusher_internal:subscription_succeeded');
    }
    for (let burst = 0; burst < 10; burst++) {
      await sdk(server).triggerBatch(Array.from({ length: 10 }, (_, i) => (
        { channel: 'private-tickets.ticket-a', name: i % 3 ? 'reply' : 'note.internal', data: { n: 10 * burst + i } })));
    }
    for (const [i, client] of clients.entries()) {
      const seen = (await client.settle()).map(({ data }) => JSON.parse(data).n);
      const wanted = Array.from({ length: 100 }, (_, n) => n).filter((n) => i % 2 || (n % 10) % 3);
      assert.deepEqual(seen, wanted, users[i]);
      await client.close();
    }
  });

  test(`helpdesk-rules ${on}: moving an agent to another office stops the feed at once`, async (t) => {
    const server = await start(t, 'helpdesk-rules', workers);
    const publisher = sdk(server);
    const echoes = [makeEcho(t, server, 'token-agent-1'), await signedIn(t, server, 'token-agent-1'), makeEcho(t, server, 'token-customer-1')];
    const [byEndpoint, bySignin, customer] = echoes.map((echo) => echo.private('tickets.ticket-a'));
    const [assigned, office] = ['tickets.ticket-c', 'office.1'].map((name) => echoes[0].private(name));
    const all = [byEndpoint, bySignin, customer, assigned, office];
    const inboxes = all.map(everything);
    const errors = all.map((channel) => collect((cb) => channel.error(cb)));
    for (const came of await Promise.all(all.map(answer))) assert.equal(came, 'subscribed');
    const tell = async (n) => {
      for (const name of ['private-tickets.ticket-a', 'private-tickets.ticket-c', 'private-office.1']) await publisher.trigger(name, 'update', { n });
    };
    await tell(1);
    for (const inbox of inboxes) assert.deepEqual(await inbox.next(), ['.update', { n: 1 }]);

    assert.equal((await move(server, 'agent-1', 2, 'token-agent-1')).status, 403, 'agents do not move themselves');
    const moved = await move(server, 'agent-1', 2);
    assert.deepEqual([moved.status, moved.text], [200, 'kept 1, revoked 3\n']);
    await tell(2);
    for (const i of [0, 1, 4]) {
      const { type, error, status } = await errors[i].next();
      assert.deepEqual([type, status], ['AuthError', 403]);
      assert.ok(error.length > 0);
    }
    assert.deepEqual([(await inboxes[2].next())[1], (await inboxes[3].next())[1]], [{ n: 2 }, { n: 2 }], 'who has the right keeps the feed');

    // Back again: the channels come to life without the page doing anything.
    const again = [0, 1, 4].map((i) => collect((cb) => all[i].subscribed(cb)));
    assert.equal((await move(server, 'agent-1', 1)).text, 'kept 4, revoked 0\n');
    for (const inbox of again) await inbox.next();
    await tell(3);
    for (const inbox of inboxes) assert.deepEqual(await inbox.next(), ['.update', { n: 3 }], 'nothing of what was published in between');
    for (const i of [2, 3]) assert.deepEqual(errors[i].all, []);
  });

  test(`helpdesk-rules ${on}: a 41st channel on a page causes no further HTTP request`, async (t) => {
    const server = await start(t, 'helpdesk-rules', workers);
    requests.length = 0;
    const echo = await signedIn(t, server, 'token-agent-1');
    assert.deepEqual(requests, ['/broadcasting/user-auth']);
    const channels = Array.from({ length: 40 }, (_, i) => echo.private(`tickets.ticket-${i + 1}`));
    for (const came of await Promise.all(channels.map(answer))) assert.equal(came, 'subscribed');
    const last = echo.private('tickets.ticket-41');
    const events = collect((cb) => last.listen('.update', (data) => cb(data)));
    assert.equal(await answer(last), 'subscribed');
    assert.deepEqual(requests, ['/broadcasting/user-auth']);
    await sdk(server).trigger('private-tickets.ticket-41', 'update', { n: 41 });
    assert.deepEqual(await events.next(), { n: 41 });
    assert.equal(await answer(makeEcho(t, server, 'token-agent-1').private('tickets.ticket-41')), 'subscribed');
    assert.deepEqual(requests, ['/broadcasting/user-auth', '/broadcasting/auth'], 'what a client asks without an identity on its connection');
  });

  test(`tenants ${on}: org 1 never sees org 2`, async (t) => {
    const server = await start(t, 'tenants', workers);
    const echoes = await Promise.all([1, 2, 3].map((n) => signedIn(t, server, `session-${n}`)));
    const guarded = echoes.map((echo, i) => echo.channel(`presence.org.${i < 2 ? 1 : 2}`));
    const inboxes = guarded.map(everything);
    for (const came of await Promise.all(guarded.map(answer))) assert.equal(came, 'subscribed');
    for (const [i, echo] of echoes.entries()) {
      const other = i < 2 ? 2 : 1;
      assert.equal(await answer(echo.channel(`presence.org.${other}`)), 403);
      assert.equal(await answer(echo.join(`org.${other}`)), 403);
    }
    for (const org of [1, 2, 1]) await sdk(server).trigger(`presence.org.${org}`, 'news', { org });
    assert.deepEqual([await inboxes[0].next(), await inboxes[0].next()], [['.news', { org: 1 }], ['.news', { org: 1 }]]);
    await inboxes[2].next();
    assert.deepEqual(inboxes[2].all, [['.news', { org: 2 }]]);

    const rooms = echoes.map((echo, i) => echo.join(`org.${i < 2 ? 1 : 2}`));
    const here = rooms.map((room) => collect((cb) => room.here(cb)));
    const joined = collect((cb) => rooms[2].joining(cb));
    for (const inbox of here) await inbox.next();
    const names = here.map(({ all }) => all[0].map(({ name }) => name).sort());
    assert.deepEqual(names[2], ['user 3 of org 2']);
    assert.deepEqual([...new Set([...names[0], ...names[1]])].sort(), ['user 1 of org 1', 'user 2 of org 1']);
    const done = collect((cb) => rooms[2].listen('.done', cb));
    await sdk(server).trigger('presence-org.2', 'done', {});
    await done.next();
    assert.deepEqual(joined.all, []);
  });

  test(`tenants ${on}: the name that looks public is not; the rest is`, async (t) => {
    const server = await start(t, 'tenants', workers);
    const echo = makeEcho(t, server, 'session-1');
    assert.equal(await answer(echo.channel('presence.org.1')), 403, 'nobody has signed in');
    assert.equal(await answer(echo.channel('presence.all')), 'subscribed');
    assert.equal(await answer(echo.join('org.1')), 'subscribed', 'whom the auth endpoint has seen');
    assert.equal(await answer(makeEcho(t, server, 'session-4').join('org.1')), 403, 'a session that there is not');
  });

  test(`tenants ${on}: a cookie of the same host identifies, a page of another host gets nothing from it`, async (t) => {
    const server = await start(t, 'tenants', workers);
    const from = (origin) => ({ headers: { Cookie: 'session=session-3', ...(origin && { Origin: origin }) } });
    for (const origin of [`http://127.0.0.1:${server.port}`, undefined]) {
      const client = await connect(server, from(origin));
      client.ask('presence.org.2');
      await client.event('pusher_internal:subscription_succeeded', 'presence.org.2');
      client.ask('presence.org.1');
      assert.match((await client.event('pusher:subscription_error', 'presence.org.1')).raw, /403/);
      await client.close();
    }
    assert.equal((await refused(server, from('http://evil.example'))).code, 4009);
  });
}
