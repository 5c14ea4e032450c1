'use strict';
// examples/pbx without pages: what is told to whom, and what it lets in. Its README has each point.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { test } = require('node:test');

const { api, request, sleep, until } = require('./lib.js');
const { ADA, APP, BEN, CLEO, IRIS, JON, NAMES, NUMBER, OPERATOR, ask, call, callEvents, client, heard, listener, login, start, webhook } = require('./pbx.js');

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const PHONE = /^\+[0-9]{7,15}$/;

/** Exactly these members: a value, or a pattern that its text has to fit. */
function matches(data, schema) {
  assert.deepEqual(Object.keys(data).sort(), [...Object.keys(schema), 'id', 'revision', 'v'].sort());
  for (const [name, wanted] of Object.entries(schema)) {
    if (wanted instanceof RegExp) assert.match(data[name], wanted, name);
    else assert.equal(data[name], wanted, name);
  }
  assert.equal(data.v, 1);
  assert.match(data.id, /^[\w-]+$/);
  assert.ok(Number.isInteger(data.revision) && data.revision > 0);
}

test('PBX-1: three events, with exactly their payloads, under each of the three names', async (t) => {
  const site = await start(t, 'quiet');
  const { token } = await login(site, BEN);
  const clients = await Promise.all(NAMES().map((name) => listener(site, token, name)));
  const one = call(site, { extension: 2 });
  await one.initiate();
  await one.answer();
  await one.end();
  let revision = 0;
  for (const [i, socket] of clients.entries()) {
    const [begun, answered, ended] = [await socket.event('call.initiated', NAMES()[i]), await socket.event('call.answered'), await socket.event('call.ended')].map(heard);
    matches(begun, { call_id: one.id, from_number: PHONE, to_number: NUMBER(2), did_id: '2', status: 'initiated', initiated_at: TIME });
    matches(answered, { call_id: one.id, status: 'answered', answered_at: TIME, extension_id: '2' });
    matches(ended, { call_id: one.id, status: 'completed', ended_at: TIME, duration: 0 });
    assert.match(begun.call_id, UUID);
    assert.deepEqual([answered.revision, ended.revision], [begun.revision + 1, begun.revision + 2]);
    revision = ended.revision;
    assert.deepEqual(callEvents(await socket.settle()), []);
  }
  for (const status of ['no_answer', 'busy', 'failed', 'canceled']) {
    const other = call(site);
    await other.initiate();
    await other.end(status);
    const ended = heard(await clients[0].event('call.ended'));
    matches(ended, { call_id: other.id, status, ended_at: TIME, duration: 0 });
    revision += 2;
    assert.equal(ended.revision, revision);
  }
});

test('PBX-1, PBX-5: the person whose extension rings is told on a channel of his own, and no other is', async (t) => {
  const site = await start(t);
  const [ben, cleo] = [await login(site, BEN), await login(site, CLEO)];
  const [his, hers] = [await listener(site, ben.token, 'private-user.2'), await listener(site, cleo.token, 'private-user.3')];
  assert.equal(await (await client(site, cleo.token)).wants('private-user.2'), false);
  const one = call(site, { extension: 2 });
  await one.initiate();
  const event = heard(await his.event('call.initiated', 'private-user.2'));
  matches(event, { call_id: one.id, from_number: PHONE, to_number: NUMBER(2), did_id: '2', status: 'initiated', initiated_at: TIME });
  await one.answer();
  assert.deepEqual([...callEvents(await his.settle()), ...callEvents(await hers.settle())], []);
});

test('PBX-1: what publishers outside send is checked, completed, written, and published under all names', async (t) => {
  const site = await start(t);
  const { token } = await login(site, BEN);
  const clients = await Promise.all(NAMES().map((name) => listener(site, token, name)));
  const publish = (name, data, channels = ['presence.org.1']) => api(site, 'POST', '/events', { app: APP, body: { name, channels, data: JSON.stringify(data) } });
  const id = crypto.randomUUID();
  const begun = { call_id: id, from_number: '+447700900123', to_number: '+442079460101', did_id: 'abc-123', status: 'initiated', initiated_at: '2024-01-01T12:00:00Z' };
  assert.equal((await publish('call.initiated', begun)).status, 200);
  for (const [i, socket] of clients.entries()) matches(heard(await socket.event('call.initiated', NAMES()[i])), begun);
  const { json: { calls: [known] } } = await ask(site, 'GET', '/api/v1/calls?state=active', { token });
  assert.deepEqual([known.call_id, known.did_id, known.initiated_at], [id, 'abc-123', '2024-01-01T12:00:00.000Z']);
  const wrong = [
    ['call.initiated', { ...begun, api_key: 'secret' }], ['call.initiated', { ...begun, status: 'answered' }], ['call.initiated', { ...begun, from_number: '0800' }],
    ['call.initiated', {}], ['call.initiated', [1]], ['call.answered', { call_id: id, status: 'answered', answered_at: 'now', extension_id: '1' }],
    ['call.ended', { call_id: id, status: 'answered', ended_at: begun.initiated_at, duration: 1 }], ['call.ended', { call_id: id, status: 'busy', ended_at: begun.initiated_at, duration: '1' }],
    ['call.moved', begun], ['anything', {}],
  ];
  for (const [name, data] of wrong) assert.equal((await publish(name, data)).status, 403, `${name} ${JSON.stringify(data)}`);
  assert.equal((await publish('call.initiated', begun, ['presence.org.1', 'presence-org.2'])).status, 403, 'two organizations');
  assert.equal((await publish('call.initiated', begun, ['presence.org.99'])).status, 403, 'no organization');
  assert.equal((await publish('anything', {}, ['news'])).status, 200, 'a channel of nobody here');
  for (const socket of clients) assert.deepEqual(callEvents(await socket.settle()), []);
});

test('PBX-7: tokens that are expired, revoked, foreign or malformed get 403 with a reason, and the log says the cause', async (t) => {
  const site = await start(t, '--session-s', '2');
  const short = await login(site, BEN);
  const auth = (token, channel = 'presence-org.1', where = '/broadcasting/auth') => ask(site, 'POST', where, { token, body: { socket_id: '1.2', channel_name: channel } });
  for (const where of ['/broadcasting/auth', '/api/v1/broadcasting/auth']) {
    const granted = await auth(short.token, 'presence-org.1', where);
    assert.equal(granted.status, 200, granted.text);
    assert.match(granted.json.auth, new RegExp(`^${APP.key}:`));
    assert.deepEqual(JSON.parse(granted.json.channel_data).user_id, '2');
  }
  assert.equal((await auth(short.token, 'presence-org.2')).status, 403);
  assert.equal((await auth(short.token, 'private-user.3')).status, 403);
  assert.equal((await auth(short.token, 'private-other.3')).status, 403);
  await until(async () => (await auth(short.token)).status === 403, 'the end of the token');
  const refusals = [['expired', await auth(short.token)]];
  const gone = await login(site, BEN);
  await ask(site, 'POST', '/api/v1/logout', { token: gone.token });
  refusals.push(['unknown or revoked', await auth(gone.token)], ['unknown or revoked', await auth('0123456789abcdef'.repeat(4))], ['malformed', await auth('x')]);
  for (const [why, { status, text }] of refusals) {
    assert.equal(status, 403);
    assert.match(text, new RegExp(why));
  }
  const none = await auth(undefined);
  assert.ok([401, 403].includes(none.status), none.text);
  await until(() => ['wrong organization: presence-org.2', 'the rule said no: private-user.3', 'the token is expired', 'the token is malformed', 'not signed in']
    .every((cause) => site.stderr.includes(cause)), () => site.stderr);
});

test('PBX-A1: strangers are refused on all three names, by whatever way, and hear nothing of a thousand calls', async (t) => {
  const site = await start(t);
  const { token: foreign } = await login(site, IRIS);
  const mine = await login(site, BEN);
  const hears = await listener(site, mine.token, 'presence.org.1');
  const expired = await login(site, BEN);
  const strangers = [await client(site), await client(site, foreign), await client(site, expired.token)];
  await ask(site, 'POST', '/api/v1/logout', { token: expired.token });
  const other = await ask(site, 'POST', '/broadcasting/auth', { token: mine.token, body: { socket_id: strangers[1].socketId, channel_name: 'private-user.2' } });
  for (const socket of strangers) {
    for (const name of NAMES()) {
      const data = JSON.stringify({ user_id: '2' });
      for (const extra of [{}, { auth: other.json.auth }, { auth: other.json.auth, channel_data: data }, { auth: `${APP.key}:${'0'.repeat(64)}`, channel_data: data }]) {
        socket.send({ event: 'pusher:unsubscribe', data: { channel: name } });
        socket.ask(name, extra);
      }
      for (const where of ['/broadcasting/auth', '/api/v1/broadcasting/auth']) {
        const answer = await ask(site, 'POST', where, { token: socket.token, body: { socket_id: socket.socketId, channel_name: name } });
        assert.ok([401, 403].includes(answer.status), `${name} ${answer.status}`);
      }
      const jsonp = await ask(site, 'GET', `/broadcasting/auth?callback=x&socket_id=${socket.socketId}&channel_name=${name}`, { token: socket.token });
      assert.ok(jsonp.status >= 400, String(jsonp.status));
      for (const query of ['', '?auth_key=pbxappkey&auth_signature=00&auth_version=1.0&auth_timestamp=1']) {
        const users = await request(site, 'GET', `/apps/${APP.id}/channels/${name}/users${query}`);
        assert.equal(users.status, 401);
      }
    }
    for (const where of ['/api/v1/members', '/api/v1/calls', '/api/v1/calls?state=active'])
      assert.ok(socket.token === foreign || (await ask(site, 'GET', where, { token: socket.token })).status === 401, where);
  }
  const calls = Array.from({ length: 1000 }, () => call(site));
  for (let i = 0; i < calls.length; i += 50) await Promise.all(calls.slice(i, i + 50).map((one) => one.initiate()));
  await until(() => callEvents(hears.frames).length === 1000, () => `${callEvents(hears.frames).length} calls`);
  for (const socket of strangers) {
    await socket.settle();
    assert.deepEqual(socket.frames.filter((f) => /succeeded$|^call|\+44/.test(f.event + (f.data ?? ''))), []);
  }
  assert.deepEqual((await ask(site, 'GET', '/api/v1/calls?state=active', { token: foreign })).json.calls, []);
});

test('PBX-A4: the e-mail address of a member is for admins, in rosters, joins and the list; after a demotion no more', async (t) => {
  const site = await start(t);
  const [ada, ben, cleo] = [await login(site, ADA), await login(site, BEN), await login(site, CLEO)];
  const operator = await login(site, OPERATOR);
  const name = 'presence-org.1';
  const [admin, member] = [await listener(site, ada.token, name), await listener(site, ben.token, name)];
  const joins = await listener(site, cleo.token, name);
  const added = heard(await admin.next((f) => f.event === 'pusher_internal:member_added' && f.data.includes('Cleo')));
  assert.deepEqual(added, { user_id: '3', user_info: { id: '3', name: 'Cleo', role: 'member', email: CLEO.email } });
  const seen = heard(await member.next((f) => f.event === 'pusher_internal:member_added' && f.data.includes('Cleo')));
  assert.deepEqual(seen, { user_id: '3', user_info: { id: '3', name: 'Cleo', role: 'member' } });
  assert.match(JSON.stringify(admin.frames), /@kestrel/);
  const list = async (token) => (await ask(site, 'GET', '/api/v1/members', { token })).json;
  assert.deepEqual(await list(ben.token), { total: 3, members: [{ id: '1', name: 'Ada', role: 'admin' }, { id: '2', name: 'Ben', role: 'member' }, { id: '3', name: 'Cleo', role: 'member' }] });
  assert.equal((await list(ada.token)).members[0].email, ADA.email);
  for (const socket of [member, joins]) assert.doesNotMatch(socket.frames.map((f) => f.raw).join(), /@/);
  assert.equal((await ask(site, 'POST', '/api/v1/people/1', { token: operator.token, body: { role: 'member' } })).status, 204);
  const again = await listener(site, ada.token, name);
  assert.doesNotMatch(again.frames.map((f) => f.raw).join(), /@/);
  assert.doesNotMatch(JSON.stringify(await list(ada.token)), /@/);
  const before = admin.frames.length;
  await (await listener(site, (await login(site, { ...BEN, email: 'eve@kestrel.example' })).token, name)).settle();
  await admin.next((f) => f.event === 'pusher_internal:member_added' && f.data.includes('Eve'));
  assert.doesNotMatch(admin.frames.slice(before).map((f) => f.raw).join(), /@/);
});

test('PBX-A5: who is moved, deactivated or demoted hears nothing of the old after the answer', async (t) => {
  const site = await start(t);
  const operator = await login(site, OPERATOR);
  const change = async (id, body, token = operator.token) => (await ask(site, 'POST', `/api/v1/people/${id}`, { token, body })).status;
  for (const [person, what] of [[BEN, { organization_id: '2' }], [CLEO, { active: 0 }]]) {
    const { token } = await login(site, person);
    const clients = await Promise.all(NAMES().map((name) => listener(site, token, name)));
    assert.equal(await change(person.id, what), 204);
    const late = call(site, { extension: 4 });
    await late.initiate();
    for (const socket of clients) {
      const frames = await socket.settle();
      assert.deepEqual(callEvents(frames), [], JSON.stringify(what));
      assert.ok(socket.frames.some((f) => f.event === 'pusher:subscription_error'), socket.frames.map((f) => f.raw).join('\n'));
    }
    await late.end();
    const again = await client(site, token);
    for (const name of NAMES()) assert.equal(await again.wants(name), false);
    assert.equal(await again.wants('presence-org.2'), person === BEN);
  }
  const admin = await login(site, IRIS);
  assert.equal(await change(10, { role: 'admin' }, admin.token), 204, 'one of hers');
  assert.equal(await change(3, { active: 1 }, admin.token), 403, 'of another organization');
  assert.equal(await change(9, { role: 'member' }, admin.token), 403, 'herself');
  assert.equal(await change(11, { organization_id: '1' }, admin.token), 403, 'moving is for operators');
  assert.equal(await change(11, { role: 'operator' }, operator.token), 422);
  assert.equal(await change(11, { role: 'member' }, (await login(site, JON)).token), 204, 'an admin by now');
  assert.equal(await change(11, { active: 1 }, null), 401);
});

test('PBX-A9: a webhook that is unsigned, old, repeated or of another organization', async (t) => {
  const site = await start(t);
  const { token } = await login(site, BEN);
  const hears = await listener(site, token, 'presence.org.1');
  const said = { type: 'call.initiated', call_id: crypto.randomUUID(), from: '+447700900123', to: NUMBER(1) };
  const now = Math.floor(Date.now() / 1000);
  const rows = [
    [401, said, { signature: '' }], [401, said, { signature: '0'.repeat(64) }], [401, said, { secret: 'another' }], [401, said, { at: now - 3600 }], [401, said, { at: now + 3600 }], [401, said, { at: '' }],
    [403, { ...said, organization_id: '2' }, {}], [403, { ...said, organization_id: '99' }, {}], [403, { ...said, to: NUMBER(9) }, {}], [403, { ...said, to: '+15550100000' }, {}],
    [422, { ...said, from: 'anonymous' }, {}], [422, { ...said, call_id: 'abc' }, {}], [422, { ...said, type: 'call.moved' }, {}], [422, { ...said, event_id: '' }, {}],
    [404, { type: 'call.answered', call_id: crypto.randomUUID(), extension: '101' }, {}],
  ];
  for (const [status, what, how] of rows) assert.equal((await webhook(site, what, how)).status, status, JSON.stringify([what, how]));
  assert.deepEqual(callEvents(await hears.settle()), []);
  const once = { ...said, event_id: 'the-same' };
  assert.equal((await webhook(site, once)).status, 202);
  await hears.event('call.initiated');
  for (const again of [once, { ...said, event_id: 'another-of-it' }]) assert.equal((await webhook(site, again)).status, 200);
  assert.equal((await webhook(site, { type: 'call.answered', call_id: said.call_id, extension: '101', organization_id: '2' })).status, 403, 'a call of another organization');
  assert.equal((await webhook(site, { type: 'call.answered', call_id: said.call_id, extension: '999' })).status, 403, 'no extension of it');
  assert.deepEqual(callEvents(await hears.settle()), []);
  await sleep(0);
});

test('APP-12: two organizations with random traffic: not one event, member or count crosses', async (t) => {
  const site = await start(t);
  const people = [{ who: BEN, organization: 1, extension: 2 }, { who: JON, organization: 2, extension: 10 }];
  for (const one of people) {
    one.token = (await login(site, one.who)).token;
    one.sockets = await Promise.all(NAMES(one.organization).map((name) => listener(site, one.token, name)));
    one.calls = [];
  }
  const traffic = async (one) => {
    for (let i = 0; i < 40; i++) {
      const next = call(site, one);
      one.calls.push(next.id);
      await next.initiate();
      if (Math.random() < 0.5) await next.answer();
      if (Math.random() < 0.5) await next.end();
      if (Math.random() < 0.2) await (await listener(site, one.token, NAMES(one.organization)[2])).close();
    }
  };
  await Promise.all(people.flatMap((one) => [traffic(one), traffic(one)]));
  for (const one of people) {
    for (const socket of one.sockets) {
      await until(() => callEvents(socket.frames).filter((f) => f.event === 'call.initiated').length === 80, 'its calls');
      await socket.settle();
      assert.deepEqual(callEvents(socket.frames).filter((f) => !one.calls.includes(heard(f).call_id)), []);
      assert.deepEqual(socket.frames.filter((f) => f.event === 'pusher_internal:member_added' && heard(f).user_id !== one.who.id), []);
    }
    const { json } = await ask(site, 'GET', '/api/v1/members', { token: one.token });
    assert.deepEqual(json.members.map(({ id }) => id), [one.who.id]);
    const { json: active } = await ask(site, 'GET', '/api/v1/calls?state=active', { token: one.token });
    assert.ok(active.calls.every(({ call_id: id }) => one.calls.includes(id)));
  }
});
