'use strict';
// Rules, the built-in auth endpoints and changes of mind, driven by stock clients where they have a say.
// The host's rules answer from a table: host/rules.c. Numbers are of protocol.md, checks B.12.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { test } = require('node:test');
const vm = require('node:vm');
const { APP, Inbox, api, channelAuth, connect, dial, request, sleep, startHost, until, userAuth, within } = require('./lib.js');
const { MASTER_KEY, PusherClient, clientOptions, connected, listen, pusher, subscribe } = require('./clients.js');

const SIGNATURE = 0;
const RULES = 1;
const EITHER = 2;
const DEFAULT_RULES = [{ pattern: 'tickets.{id}', kinds: 14 }, { pattern: 'guarded.{id}', kinds: 1 }];

async function start(t, { mode = SIGNATURE, app = {}, rules = DEFAULT_RULES, answers = [{ allow: true }], workers = 2, hooks = [], ...more } = {}) {
  const host = await startHost({
    apps: [{ ...APP, auth_mode: mode, encryption_master_key: MASTER_KEY, ...app }], rules, hooks: ['identify', 'on_denied', ...hooks],
    ...more, options: { worker_count: workers, ...more.options },
  }, t);
  host.url = `http://127.0.0.1:${host.port}`;
  await host.do('answers', { rows: answers });
  return host;
}

function post(host, path, fields, { headers = {}, json = false, method = 'POST' } = {}) {
  const body = json ? JSON.stringify(fields) : new URLSearchParams(fields).toString();
  return request(host, method, path, {
    body, headers: { 'Content-Type': json ? 'application/json' : 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body), ...headers },
  });
}

const AUTH = '/broadcasting/auth';
const USER_AUTH = '/broadcasting/user-auth';

// -- the endpoints, as any HTTP client sees them --

test('a body with a byte order mark is read as one without', async (t) => {
  const host = await start(t, { mode: RULES });
  for (const [type, body] of [['application/json', JSON.stringify({ socket_id: '1.2', channel_name: 'private-tickets.1' })], ['application/x-www-form-urlencoded', 'socket_id=1.2&channel_name=private-tickets.1']]) {
    const answer = await request(host, 'POST', AUTH, { body: `\ufeff${body}`, headers: { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) + 3 } });
    assert.equal(answer.status, 200, answer.text);
  }
});

test('#170 #173 channel auth from form, JSON and query', async (t) => {
  const host = await start(t);
  const fields = { socket_id: '123.456', channel_name: 'private-tickets.1' };
  const expected = { auth: channelAuth(APP, '123.456', 'private-tickets.1') };
  for (const res of [
    await post(host, AUTH, fields),
    await post(host, AUTH, fields, { json: true }),
    await request(host, 'GET', `${AUTH}?${new URLSearchParams(fields)}`),
    await post(host, `${AUTH}?user=7`, { ...fields, extra: 'x', 'nested[a]': 'b' }),
  ]) {
    assert.equal(res.status, 200, res.text);
    assert.deepEqual(res.json, expected);
    assert.match(res.headers['content-type'], /^application\/json/);
  }
});

test('a guarded public name is decided by its rule at the endpoint, too', async (t) => {
  const host = await start(t, { answers: [{ channel: 'guarded.2', reason: 'not yours' }, { allow: true }] });
  const ask = (channel) => post(host, `${AUTH}?user=7`, { socket_id: '123.456', channel_name: channel });
  assert.deepEqual((await ask('guarded.1')).json, { auth: channelAuth(APP, '123.456', 'guarded.1') });
  const no = await ask('guarded.2');
  assert.deepEqual([no.status, no.json], [403, { message: 'not yours' }]);
  const open = await ask('open');
  assert.deepEqual([open.status, open.json], [403, { message: 'This channel needs no authorization' }]);
});

test('#170 #179 presence answers carry channel_data with a string id', async (t) => {
  const host = await start(t, { answers: [{ user: '8', allow: true, user_id: 'eight', info: '{"a":"ü\\"","b":[1]}' }, { allow: true }] });
  const fields = { socket_id: '123.456', channel_name: 'presence-tickets.1' };
  let { json } = await post(host, `${AUTH}?user=7`, fields);
  assert.equal(json.channel_data, '{"user_id":"7"}');
  assert.equal(json.auth, channelAuth(APP, '123.456', 'presence-tickets.1', json.channel_data));
  ({ json } = await post(host, `${AUTH}?user=7&info=${encodeURIComponent('{"n":1}')}`, fields));
  assert.deepEqual(JSON.parse(json.channel_data), { user_id: '7', user_info: { n: 1 } });
  ({ json } = await post(host, `${AUTH}?user=8`, fields));
  assert.deepEqual(JSON.parse(json.channel_data), { user_id: 'eight', user_info: { a: 'ü"', b: [1] } });
  assert.equal(json.auth, channelAuth(APP, '123.456', 'presence-tickets.1', json.channel_data));
});

test('#171 encrypted answers carry the shared secret', async (t) => {
  const host = await start(t);
  const channel = 'private-encrypted-tickets.1';
  const { json } = await post(host, AUTH, { socket_id: '1.2', channel_name: channel });
  const secret = crypto.createHash('sha256').update(channel).update(Buffer.from(MASTER_KEY, 'base64')).digest('base64');
  assert.deepEqual(json, { auth: channelAuth(APP, '1.2', channel), shared_secret: secret });
  const without = await start(t, { app: { encryption_master_key: undefined } });
  const res = await post(without, AUTH, { socket_id: '1.2', channel_name: channel });
  assert.equal(res.status, 403);
  assert.match(res.json.message, /encryption_master_key/);
});

test('#173 #174 #175 what is refused, with a JSON reason', async (t) => {
  const host = await start(t, {
    answers: [{ channel: '*.1', allow: true }, { channel: 'private-tickets.pay', status: 402, reason: 'Pay "first"' }],
  });
  const cases = [
    [{ socket_id: '1.2' }, 403, /channel_name/],
    [{ socket_id: '1.2', channel_name: '' }, 403, /channel_name/],
    [{ socket_id: '1.2', channel_name: 'private-tickets.9' }, 403, /^Forbidden$/],
    [{ socket_id: '1.2', channel_name: 'private-tickets.pay' }, 402, /^Pay "first"$/],
    [{ socket_id: '1.2', channel_name: 'private-unknown' }, 403, /No rule/],
    [{ socket_id: '1.2', channel_name: 'orders' }, 403, /no authorization/],
    [{ socket_id: '1.2', channel_name: 'private-a b' }, 400, /Invalid channel_name/],
    [{ socket_id: '1.2\n', channel_name: 'private-tickets.1' }, 400, /Invalid socket_id/],
    [{ socket_id: 'x', channel_name: 'private-tickets.1' }, 400, /Invalid socket_id/],
    [{ channel_name: 'private-tickets.1' }, 400, /Invalid socket_id/],
    [{ socket_id: '1.2', channel_name: 'private-tickets.1', app_key: 'other' }, 404, /app does not exist/],
  ];
  for (const json of [false, true]) {
    for (const [fields, status, message] of cases) {
      const res = await post(host, AUTH, fields, { json });
      assert.equal(res.status, status, `${JSON.stringify(fields)}: ${res.text}`);
      assert.match(res.json.message, message);
      assert.match(res.headers['content-type'], /^application\/json/);
    }
  }
  const presence = await post(host, AUTH, { socket_id: '1.2', channel_name: 'presence-tickets.1' });
  assert.equal(presence.status, 403);
  assert.match(presence.json.message, /user id/);
  assert.equal((await post(host, AUTH, 'x', { json: true })).status, 400);
  assert.equal((await request(host, 'PUT', AUTH)).status, 405);
  const denied = await host.event('denied', { channel: 'private-tickets.pay' });
  assert.deepEqual([denied.reason, denied.pattern, denied.status], ['BY_RULE', 'tickets.{id}', 402]);
  const shown = JSON.stringify(host.events.all);
  assert.ok(!shown.includes(APP.secret) && !shown.includes(MASTER_KEY));
});

test('#180 user auth', async (t) => {
  const host = await start(t);
  const res = await post(host, `${USER_AUTH}?user=7&info=${encodeURIComponent('{"n":1}')}`, { socket_id: '1.2' });
  assert.equal(res.status, 200);
  assert.deepEqual(JSON.parse(res.json.user_data), { id: '7', user_info: { n: 1 } });
  assert.equal(res.json.auth, userAuth(APP, '1.2', res.json.user_data));
  const anonymous = await post(host, USER_AUTH, { socket_id: '1.2' });
  assert.equal(anonymous.status, 403);
  assert.ok(anonymous.json.message);
});

test('paths are the host\'s, and below its prefix', async (t) => {
  const host = await start(t, { options: { auth_path: '/api/ws-auth', path_prefix: '/ws' } });
  const fields = { socket_id: '1.2', channel_name: 'private-tickets.1' };
  assert.equal((await post(host, '/ws/api/ws-auth', fields)).status, 200);
  assert.equal((await post(host, `/ws${AUTH}`, fields)).status, 404);
  assert.equal((await post(host, '/api/ws-auth', fields)).status, 404);
});

test('an endpoint may have several paths', async (t) => {
  const host = await start(t, { options: { auth_path: '/api/v1/broadcasting/auth, /broadcasting/auth', user_auth_path: '/a,/b' } });
  const fields = { socket_id: '1.2', channel_name: 'private-tickets.1' };
  for (const where of ['/api/v1/broadcasting/auth', AUTH]) assert.equal((await post(host, where, fields)).status, 200, where);
  for (const where of ['/a', '/b']) assert.equal((await post(host, `${where}?user=7`, fields)).status, 200, where);
  for (const where of ['/api/v1/broadcasting/auth,', '/broadcasting', USER_AUTH]) assert.equal((await post(host, where, fields)).status, 404, where);
});

test('several apps: the request names one', async (t) => {
  const other = { id: 'two', key: 'key-two', secret: 'secret-two' };
  const host = await start(t, { apps: [APP, other] });
  const fields = { socket_id: '1.2', channel_name: 'private-tickets.1' };
  assert.equal((await post(host, AUTH, fields)).status, 404);
  const { json } = await post(host, AUTH, { ...fields, app_key: 'key-two' });
  assert.equal(json.auth, channelAuth(other, '1.2', 'private-tickets.1'));
});

test('one connection serves request after request, answered now and later', async (t) => {
  const host = await start(t, { answers: [{ channel: '*.later', later: true }, { allow: true }] });
  const http = require('node:http');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const one = (channel) => {
    const body = `socket_id=1.2&channel_name=${channel}`;
    return request(host, 'POST', AUTH, { body, agent, headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': body.length } });
  };
  for (let i = 0; i < 3; i++) {
    assert.equal((await one('private-tickets.now')).status, 200);
    const later = one('private-tickets.later');
    const asked = await host.event('authorize');
    await host.do('authorize', { request: asked.request, allow: i !== 1 });
    assert.equal((await later).status, i === 1 ? 403 : 200);
  }
});

test('a client that goes while the host thinks leaves nothing behind', async (t) => {
  const host = await start(t, { answers: [{ later: true }], workers: 4 });
  const http = require('node:http');
  const body = 'socket_id=1.2&channel_name=private-tickets.1';
  for (let i = 0; i < 8; i++) {
    const req = http.request({ host: '127.0.0.1', port: host.port, method: 'POST', path: AUTH, headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': body.length } });
    req.on('error', () => {});
    req.end(body);
    const asked = await host.event('authorize');
    req.socket.resetAndDestroy(); // a half-closed client would still get its answer
    if (i % 2) { // the answer and the end together
      await host.try('authorize', { request: asked.request, allow: true });
    } else {
      await until(async () => (await host.do('stats')).sockets === 0);
      assert.equal((await host.try('authorize', { request: asked.request, allow: true })).rc, 'ECANCELED');
    }
  }
});

test('silence of the host is a 403 of its own', async (t) => {
  const host = await start(t, { answers: [{ later: true }], options: { auth_timeout_ms: 200 } });
  const res = await post(host, AUTH, { socket_id: '1.2', channel_name: 'private-tickets.1' });
  assert.equal(res.status, 403);
  assert.match(res.json.message, /did not answer in time/);
  assert.equal((await host.event('denied')).reason, 'TIMEOUT');
  const asked = await host.events.all.find((e) => e.event === 'authorize');
  assert.equal((await host.try('authorize', { request: asked.request, allow: true })).rc, 'ETIMEDOUT');
});

// -- browsers --

test('CORS with credentials, preflight, and origins that may not', async (t) => {
  const host = await start(t, { app: { allowed_origins: ['app.example'] } });
  const fields = { socket_id: '1.2', channel_name: 'private-tickets.1' };
  const good = { Origin: 'https://app.example' };
  const preflight = await request(host, 'OPTIONS', AUTH, { headers: { ...good, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-csrf-token, authorization' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], 'https://app.example');
  assert.equal(preflight.headers['access-control-allow-credentials'], 'true');
  assert.match(preflight.headers['access-control-allow-methods'], /POST/);
  assert.match(preflight.headers['access-control-allow-headers'], /authorization/i);
  assert.match(preflight.headers['access-control-allow-headers'], /x-csrf-token/i);
  const res = await post(host, AUTH, fields, { headers: good });
  assert.equal(res.status, 200);
  assert.equal(res.headers['access-control-allow-origin'], 'https://app.example');
  assert.equal(res.headers['access-control-allow-credentials'], 'true');
  assert.match(res.headers.vary, /Origin/);
  const bad = await post(host, AUTH, fields, { headers: { Origin: 'https://evil.example' } });
  assert.equal(bad.status, 403);
  assert.notEqual(bad.headers['access-control-allow-origin'], 'https://evil.example');
  assert.equal(bad.headers['access-control-allow-credentials'], undefined);
  assert.deepEqual(Object.keys(bad.json), ['message']);
});

/** What a script element does with the answer: the page's functions that it called, with what. */
function runScript({ text, headers, status }) {
  const called = [];
  if (status === 200 && /javascript/.test(headers['content-type'])) {
    const call = (name) => (data) => called.push([name, data]);
    vm.runInNewContext(text, { Pusher: { auth_callbacks: { 3: call('three') } }, jQuery1_2: call('jQuery'), a: { b: [call('zero')] } });
  }
  return called;
}

test('#183 JSONP: answers that are scripts', async (t) => {
  const host = await start(t, { app: { jsonp: true }, answers: [{ channel: '*.no', allow: false }, { allow: true }] });
  const client = await connect(host);
  const script = (query, path = AUTH) => request(host, 'GET', `${path}?${query}`);
  // as pusher-js asks
  const res = await script(`callback=Pusher.auth_callbacks%5B'3'%5D&socket_id=${client.socketId}&channel_name=private-tickets.1`);
  assert.equal(res.headers['content-type'], 'application/javascript');
  assert.equal(res.headers['x-content-type-options'], 'nosniff');
  assert.equal(res.headers['cache-control'], 'no-store');
  assert.match(res.text, /^Pusher\.auth_callbacks\['3'\]\(\{.*\}\);$/);
  const [[name, answer]] = runScript(res);
  assert.equal(name, 'three');
  client.ask('private-tickets.1', answer);
  assert.equal((await client.next()).event, 'pusher_internal:subscription_succeeded');
  // presence, with what would end a line of an old engine's string
  const info = JSON.stringify({ name: 'a\u2028b\u2029c' });
  const presence = await script(`callback=jQuery1_2&socket_id=${client.socketId}&channel_name=presence-tickets.1&user=7&info=${encodeURIComponent(info)}`);
  assert.ok(!/[\u2028\u2029]/.test(presence.text));
  const [[, member]] = runScript(presence);
  assert.deepEqual(JSON.parse(member.channel_data), { user_id: '7', user_info: JSON.parse(info) });
  client.ask('presence-tickets.1', member);
  assert.equal((await client.next()).event, 'pusher_internal:subscription_succeeded');
  const [[, user]] = runScript(await script(`callback=a.b%5B0%5D&socket_id=1.2&user=7`, USER_AUTH));
  assert.equal(user.auth, userAuth(APP, '1.2', user.user_data));
  // what is refused is no script
  for (const [query, status] of [['callback=jQuery1_2&socket_id=1.2&channel_name=private-tickets.no', 403], ['callback=jQuery1_2&socket_id=1.2&channel_name=orders', 403],
    ['callback=alert(1)&socket_id=1.2&channel_name=private-tickets.1', 400], ["callback=a%5B'b'%5D&socket_id=1.2&channel_name=private-tickets.1", 400],
    ['callback=a;b&socket_id=1.2&channel_name=private-tickets.1', 400], ['callback=%3Cscript%3E&socket_id=1.2&channel_name=private-tickets.1', 400]]) {
    const refusal = await script(query);
    assert.equal(refusal.status, status, query);
    assert.match(refusal.headers['content-type'], /^application\/json/);
    assert.equal(refusal.headers['x-content-type-options'], 'nosniff');
    assert.deepEqual(runScript(refusal), []);
  }
  // without the parameter, or posted, it is what it always was
  for (const plain of [await script('socket_id=1.2&channel_name=private-tickets.1'), await post(host, AUTH, { callback: 'a', socket_id: '1.2', channel_name: 'private-tickets.1' })])
    assert.deepEqual(plain.json, { auth: channelAuth(APP, '1.2', 'private-tickets.1') });
  await client.close();
});

test('#183 JSONP: off by default, and no cookies but those of the page\'s own host', async (t) => {
  const off = await start(t);
  const target = `${AUTH}?callback=jQuery1_2&socket_id=1.2&channel_name=private-tickets.1`;
  const res = await request(off, 'GET', target);
  assert.equal(res.status, 403);
  assert.match(res.json.message, /JSONP is not enabled/);
  const host = await start(t, { app: { jsonp: true, allowed_origins: ['example.com'] } });
  for (const [headers, status] of [
    [{}, 403], // an old browser does not say whose page it is
    [{ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'script' }, 403],
    [{ 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Dest': 'script' }, 403],
    [{ 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Dest': 'document' }, 403], // a link in a message
    [{ 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Dest': 'image' }, 403], // of another user's words on our page
    [{ 'Sec-Fetch-Site': 'same-origin' }, 403],
    [{ 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Dest': 'script' }, 200],
    [{ Origin: 'https://example.com', 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'script' }, 200], // <script crossorigin="use-credentials">
    [{ Origin: 'https://evil.example' }, 403],
  ]) {
    const answer = await request(host, 'GET', target, { headers: { Cookie: 'user=7', ...headers } });
    assert.equal(answer.status, status, `${JSON.stringify(headers)} ${answer.text}`);
    assert.equal(runScript(answer).length, status === 200 ? 1 : 0);
  }
  await host.event('denied', { reason: 'COOKIE_IDENTITY', channel: 'private-tickets.1' });
  assert.equal((await request(host, 'GET', `${target}&user=7`)).status, 200, 'a parameter is no cookie');
});

test('a page that an auth endpoint turns away is logged with its Origin', async (t) => {
  const host = await start(t, { app: { allowed_origins: ['app.example'] }, log_level: 3 });
  const fields = { socket_id: '1.2', channel_name: 'private-tickets.1' };
  assert.equal((await post(host, AUTH, fields, { headers: { Origin: 'https://evil.example' } })).status, 403);
  await until(() => host.stderr.includes(' auth app=app-id: POST "/broadcasting/auth" refused, 403 Origin not allowed; its Origin is "https://evil.example"'), () => host.stderr);
  assert.equal((await post(host, AUTH, { ...fields, app_key: 'nobody' })).status, 404);
  await until(() => host.stderr.includes('refused, 404 The app does not exist; its app_key is "nobody"; it has no Origin'), () => host.stderr);
});

test('a cookie is nobody\'s identity across origins', async (t) => {
  const open = await start(t);
  const restricted = await start(t, { app: { allowed_origins: ['app.example'] } });
  const behind = await start(t, { options: { proxy_count: 1 } });
  const fields = { socket_id: '1.2', channel_name: 'presence-tickets.1' };
  const https = (host) => `https://127.0.0.1:${host.port}`;
  const cases = [
    [open, { Origin: https(open) }, 403], // of the same host, but of another scheme
    [open, { Origin: https(open), 'X-Forwarded-Proto': 'https' }, 403], // no proxy is said to be there
    [behind, { Origin: https(behind), 'X-Forwarded-Proto': 'https' }, 200],
    [behind, { Origin: behind.url, 'X-Forwarded-Proto': 'https' }, 403], // a page that came without TLS
    [behind, { Origin: behind.url, 'X-Forwarded-Proto': 'http' }, 200],
    [behind, { Origin: https(behind) }, 403],
    [open, {}, 200], // no browser
    [open, { Origin: open.url }, 200], // the host's own pages
    [open, { Origin: 'https://evil.example' }, 403],
    [open, { Origin: `https://evil-127.0.0.1:${open.port}` }, 403],
    [restricted, { Origin: 'https://app.example' }, 200],
    [restricted, { Origin: 'https://evil.example' }, 403],
    // a link or an image of another page
    [open, { 'Sec-Fetch-Site': 'same-origin' }, 200],
    [open, { 'Sec-Fetch-Site': 'cross-site' }, 403],
  ];
  for (const [host, headers, status] of cases) {
    const res = await post(host, AUTH, fields, { headers: { Cookie: 'user=7', ...headers } });
    assert.equal(res.status, status, `${JSON.stringify(headers)} ${res.text}`);
    const query = status === 200 ? {} : { expected: 4009 };
    const client = await dial(host, { headers: { Cookie: 'user=7', ...headers } });
    const first = await client.next();
    assert.equal(first.event, query.expected ? 'pusher:error' : 'pusher:connection_established', `${JSON.stringify(headers)} ${first.raw}`);
    await client.close();
  }
  await open.event('denied', { reason: 'COOKIE_IDENTITY', channel: 'presence-tickets.1' });
  await open.event('denied', { reason: 'COOKIE_IDENTITY', channel: '' });
  assert.match((await post(open, AUTH, fields, { headers: { Cookie: 'user=7', Origin: https(open) } })).json.message, /proxy_count/);
  const link = await request(restricted, 'GET', `${AUTH}?${new URLSearchParams(fields)}`, { headers: { Cookie: 'user=7', 'Sec-Fetch-Site': 'cross-site' } });
  assert.equal(link.status, 403);
  // a token that a page has to know is another matter
  const token = await post(open, AUTH, fields, { headers: { Authorization: 'Bearer user-7', Origin: 'https://other.example' } });
  assert.equal(token.status, 200);
});

test('a cookie is no identity in a GET, from wherever', async (t) => {
  const host = await start(t);
  const target = `${AUTH}?socket_id=1.2&channel_name=presence-tickets.1`;
  for (const headers of [{}, { 'Sec-Fetch-Site': 'same-origin' }, { 'Sec-Fetch-Site': 'none' }, { Origin: host.url }, { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Dest': 'script' }]) {
    for (const credentials of [{ Cookie: 'user=7' }, { Authorization: 'Basic dXNlci03Og==' }]) {
      const res = await request(host, 'GET', target, { headers: { ...credentials, ...headers } });
      assert.equal(res.status, 403, `${JSON.stringify(headers)} ${res.text}`);
      assert.match(res.json.message, /POST/);
      assert.equal((await request(host, 'GET', `${USER_AUTH}?socket_id=1.2`, { headers: { ...credentials, ...headers } })).status, 403);
    }
  }
  const res = await request(host, 'GET', target, { headers: { Authorization: 'Bearer user-7' } });
  assert.equal(res.status, 200, 'a token is no cookie');
});

test('what a browser sends by itself is no identity across origins, be it a cookie or a password', async (t) => {
  const host = await start(t);
  const fields = { socket_id: '1.2', channel_name: 'presence-tickets.1' };
  for (const [Authorization, status] of [['Basic dXNlci03Og==', 403], ['basic dXNlci03Og==', 403], ['Bearer user-7', 200]]) {
    const res = await post(host, AUTH, fields, { headers: { Authorization, Origin: 'https://evil.example' } });
    assert.equal(res.status, status, `${Authorization} ${res.text}`);
  }
  const res = await post(host, AUTH, fields, { headers: { Authorization: 'Basic dXNlci03Og==', Origin: host.url } });
  assert.equal(res.status, 200, res.text);
  assert.equal((await dial(host, { headers: { Authorization: 'Basic dXNlci03Og==', Origin: 'https://evil.example' } }).then((client) => client.next())).data.code, 4009);
});

for (const mode of [SIGNATURE, EITHER, RULES]) {
  test(`a socket for which two users have asked hears neither's view (mode ${mode})`, async (t) => {
    const host = await start(t, { mode, rules: [{ pattern: 'tickets.{id}', kinds: 6, views: true }],
      answers: [{ user: 'agent', allow: true, view: 'agent' }, { allow: true, view: 'customer' }] });
    const channel = 'private-tickets.1';
    const ask = (client, cookie) => post(host, AUTH, { socket_id: client.socketId, channel_name: channel }, { headers: { Cookie: `user=${cookie}`, Origin: host.url } });
    const hears = async (client, answer) => {
      client.ask(channel, answer);
      assert.equal((await client.next()).event, 'pusher_internal:subscription_succeeded');
      await host.publish([channel], 'news', '{"secret":1}');
      return (await client.settle()).map(({ event, data }) => [event, data]);
    };
    const honest = await connect(host);
    const expected = await hears(honest, (await ask(honest, 'customer')).json);
    assert.equal(expected.length, 1);
    const agent = await connect(host);
    const privileged = await hears(agent, (await ask(agent, 'agent')).json);
    assert.notDeepEqual(privileged, expected);
    // the customer has an agent's browser ask for the customer's own socket, by a POST that the page of the host may send
    for (const order of [['customer', 'agent'], ['agent', 'customer'], ['agent', 'customer', 'agent']]) {
      const client = await connect(host);
      const answers = {};
      for (const who of order) answers[who] = (await ask(client, who)).json;
      const heard = await hears(client, answers.customer);
      // the rule sees someone without a name, who is a customer to this host; where signatures decide there is no view
      assert.deepEqual(heard, mode === RULES ? expected : [], order.join());
      await client.close();
    }
    await Promise.all([honest, agent].map((client) => client.close()));
  });
}

// -- who is this --

test('identify is asked for each purpose, and answers now, later, never or no', async (t) => {
  const host = await start(t);
  const hasty = await start(t, { options: { identify_timeout_ms: 400 } }); // is not answered
  const fields = { socket_id: '1.2', channel_name: 'presence-tickets.1' };
  for (const [purpose, path] of [[1, AUTH], [2, USER_AUTH]]) {
    assert.equal((await post(host, `${path}?user=7`, fields)).status, 200);
    const no = await post(host, `${path}?reject=4001`, fields);
    assert.equal(no.status, 403);
    assert.deepEqual(no.json, { message: 'rejected by the host' });
    let waiting = post(host, `${path}?ask=1`, fields);
    let asked = await host.event('identify');
    assert.equal(asked.purpose, purpose);
    await host.do('identify', { request: asked.request, user: '9' });
    const { status, json } = await waiting;
    assert.equal(status, 200);
    assert.match(json.channel_data || json.user_data, /"9"/);
    waiting = post(hasty, `${path}?ask=1`, fields);
    asked = await hasty.event('identify');
    const never = await waiting;
    assert.ok(never.status >= 403 && never.status < 600, never.text);
    assert.equal((await hasty.try('identify', { request: asked.request, user: '9' })).rc, 'ECANCELED');
  }
  const client = await dial(host, { query: 'protocol=7&reject=4123' });
  assert.equal((await client.closed()).code, 4123);
  const denied = await host.event('denied', { channel: '', status: 4123 });
  assert.equal(denied.reason, 'BY_RULE');
  const late = await dial(hasty, { query: 'protocol=7&ask=1' }).catch((e) => e);
  assert.equal((await late.closed()).code, 4009);
  await hasty.event('denied', { channel: '', reason: 'TIMEOUT' });
  for (const one of [host, hasty]) await until(async () => (await one.do('stats')).identities === 0);
});

// -- without a token --

for (const workers of [1, 4]) {
  test(`${workers} workers: subscribing without a token where rules decide`, async (t) => {
    const host = await start(t, { mode: RULES, workers, answers: [{ user: '7', allow: true }, { user: '8', channel: '*.1', allow: true }] });
    const [seven, eight, nobody] = await Promise.all(['7', '8', ''].map((user) => connect(host, { query: `protocol=7&user=${user}` })));
    const outcome = async (client, channel) => {
      client.ask(channel);
      const answer = await client.next((f) => f.channel === channel && /subscription_/.test(f.event));
      return answer.event.includes('succeeded') || JSON.parse(answer.data);
    };
    for (const channel of ['private-tickets.1', 'presence-tickets.1', 'private-encrypted-tickets.1', 'guarded.1']) {
      assert.equal(await outcome(seven, channel), true);
      assert.equal(await outcome(eight, channel), true);
      assert.deepEqual(await outcome(nobody, channel), { type: 'AuthError', error: `Forbidden: ${channel}`, status: 403 });
    }
    assert.equal(await outcome(seven, 'private-tickets.2'), true);
    assert.equal((await outcome(eight, 'private-tickets.2')).status, 403);
    assert.equal((await outcome(seven, 'private-other')).status, 403);
    assert.equal(await outcome(nobody, 'open'), true);
    await host.publish(['private-tickets.1', 'guarded.1'], 'news', '{}');
    for (const client of [seven, eight]) await client.event('news', 'guarded.1');
    assert.deepEqual((await nobody.settle()).filter((f) => f.event === 'news'), []);
    for (const client of [seven, eight, nobody]) await client.close();
  });

  test(`F7: ${workers} workers: 40 channels of a page with stock pusher-js are one question, or a few`, async (t) => {
    const host = await start(t, { mode: RULES, workers, rules: [{ pattern: 'row.{id}', kinds: 1, batch: true, gather_ms: 1000 }] });
    const client = pusher(t, host);
    const rows = Array.from({ length: 40 }, (_, i) => client.subscribe(`row.${i}`));
    await Promise.all(rows.map((channel) => within(new Promise((resolve) => { channel.bind('pusher:subscription_succeeded', resolve); }), channel.name, 20000)));
    const batches = [];
    while (batches.reduce((sum, b) => sum + b.count, 0) < 40) batches.push(await host.event('batch'));
    assert.ok(batches.length <= 2, `${batches.length} calls`); // 2: this process was held up for 1 s
    assert.equal((await host.do('stats')).http_requests_total, 1); // the upgrade
  });

  test(`${workers} workers: 40 channels of a page are one question, and no HTTP request`, async (t) => {
    const host = await start(t, { mode: RULES, workers, rules: [{ pattern: 'tickets.{id}', batch: true }] });
    const client = await connect(host, { query: 'protocol=7&user=7' });
    client.ws._socket.cork(); // as one write
    for (let i = 0; i < 40; i++) client.ask(`private-tickets.${i}`);
    client.ws._socket.uncork();
    for (let i = 0; i < 40; i++) await client.event('pusher_internal:subscription_succeeded');
    const batches = [];
    while (batches.reduce((sum, b) => sum + b.count, 0) < 40) batches.push(await host.event('batch'));
    assert.ok(batches.length <= 4, `${batches.length} calls`);
    assert.equal((await host.do('stats')).http_requests_total, 1); // the upgrade
    await client.close();
  });

  test(`${workers} workers: a revoked channel is silent from the call's return on, and comes back`, async (t) => {
    const host = await start(t, { mode: RULES, workers, answers: [{ allow: true }] });
    const clients = await Promise.all(Array.from({ length: 8 }, (_, i) => connect(host, { query: `protocol=7&user=${i % 2 ? 'odd' : 'even'}` })));
    for (const client of clients) {
      client.ask('presence-tickets.1');
      await client.event('pusher_internal:subscription_succeeded');
    }
    await host.do('answers', { rows: [{ user: 'odd', reason: 'moved' }, { allow: true }] });
    await host.do('reauthorize', { user: 'odd', pattern: 'tickets.1' });
    await host.publish('presence-tickets.1', 'early', '{}');
    const done = await host.event('reauthorized');
    assert.deepEqual([done.kept, done.revoked], [0, 4]);
    await host.publish('presence-tickets.1', 'news', '{}');
    for (const [i, client] of clients.entries()) {
      if (i % 2) {
        const error = await client.event('pusher:subscription_error', 'presence-tickets.1');
        assert.deepEqual(JSON.parse(error.data), { type: 'AuthError', error: 'moved: presence-tickets.1', status: 403 });
        assert.deepEqual((await client.settle()).filter((f) => ['early', 'news'].includes(f.event)), []);
      } else {
        await client.event('early'); // before or behind the member_removed
        await client.event('news');
      }
    }
    await host.do('answers', { rows: [{ allow: true }] });
    await host.do('reauthorize', {});
    assert.equal((await host.event('reauthorized')).kept, 8);
    for (const client of clients.filter((_, i) => i % 2)) await client.event('pusher_internal:subscription_succeeded');
    await host.publish('presence-tickets.1', 'more', '{}');
    for (const client of clients) await client.event('more');
    for (const client of clients) await client.close();
  });

  test(`${workers} workers: an application in another process has grants asked again over HTTP`, async (t) => {
    const host = await start(t, { mode: RULES, workers, answers: [{ allow: true }] });
    const clients = await Promise.all(Array.from({ length: 4 }, (_, i) => connect(host, { query: `protocol=7&user=${i % 2 ? 'odd' : 'even'}` })));
    for (const client of clients) {
      for (const channel of ['private-tickets.1', 'presence-tickets.2']) {
        client.ask(channel);
        await client.event('pusher_internal:subscription_succeeded', channel);
      }
    }
    const reauthorize = async (body) => {
      const answer = await api(host, 'POST', '/reauthorize', { body });
      return answer.status === 200 ? answer.json : [answer.status, answer.text];
    };
    assert.deepEqual(await reauthorize({}), { kept: 8, revoked: 0 });
    await host.do('answers', { rows: [{ user: 'odd', reason: 'moved' }, { allow: true }] });
    assert.deepEqual(await reauthorize({ user_id: 'even' }), { kept: 4, revoked: 0 });
    assert.deepEqual(await reauthorize({ user_id: 'odd', channel: 'private-tickets.1' }), { kept: 0, revoked: 2 });
    for (const client of [clients[1], clients[3]]) {
      const error = JSON.parse((await client.event('pusher:subscription_error', 'private-tickets.1')).data);
      assert.deepEqual(error, { type: 'AuthError', error: 'moved: private-tickets.1', status: 403 });
    }
    const last = { socket_id: clients[3].socketId };
    assert.deepEqual(await reauthorize({ matches: [{ ...last, channel: 'tickets.{id}' }, { user_id: 'even', channel: 'tickets.2' }, last] }),
      { kept: 2, revoked: 2 }); // what was lost before is asked about, too
    await host.publish('presence-tickets.2', 'news', '{}');
    for (const client of clients.slice(0, 3)) await client.event('news');
    assert.deepEqual((await clients[3].settle()).filter((frame) => frame.event === 'news'), []);
    assert.deepEqual(await reauthorize({ anonymous: true }), { kept: 0, revoked: 0 });
    // A request that names something wrong never concerns more than it meant to.
    for (const [body, text] of [
      ['', /^The body is not valid JSON/], ['[]', /not a JSON object/], ['{"user":"7"}', /"user" is none of user_id, channel/],
      ['{"user_id":7}', /"user_id" must be a string/], ['{"user_id":""}', /1 to 200 bytes/], ['{"channel":"a{"}', /"a{" is neither a channel name nor a pattern/],
      ['{"socket_id":"7"}', /"7" is not a socket id/], ['{"anonymous":1}', /must be true or false/], ['{"anonymous":true,"user_id":"7"}', /cannot have a user_id/],
      ['{"matches":[]}', /matches is empty/], ['{"matches":{}}', /must be an array/], ['{"matches":[1]}', /array of objects/],
      ['{"matches":[{}],"user_id":"7"}', /cannot have other members/], [JSON.stringify({ matches: Array(101).fill({ user_id: '7' }) }), /more than 100/],
    ]) {
      const [status, said] = await reauthorize(body);
      assert.equal(status, 400, body);
      assert.match(said, text);
    }
    assert.equal((await request(host, 'POST', `/apps/${APP.id}/reauthorize`, { body: '{}', headers: { 'Content-Length': 2 } })).status, 401);
    for (const client of clients) await client.close();
  });

  test(`12.5: ${workers} workers: views without a function, over every way in`, async (t) => {
    const host = await start(t, {
      mode: RULES, workers, rules: [{ pattern: 'tickets.{id}', kinds: 6, redactions: { agent: [], customer: ['note', '/from/email', '/items/price'], guest: null } }],
      answers: ['agent', 'customer', 'guest', 'other'].map((view) => ({ user: view, allow: true, view })).concat({ allow: true }),
    });
    const { sdk } = require('./clients.js');
    const whole = { id: 7, note: 'internal', from: { name: 'Ada', email: 'ada@example.org' }, items: [{ name: 'x', price: 1 }, { name: 'y', price: 2 }] };
    const less = { id: 7, from: { name: 'Ada' }, items: [{ name: 'x' }, { name: 'y' }] };
    const who = {};
    for (const name of ['agent', 'customer', 'guest', 'other', 'none']) {
      who[name] = await connect(host, { query: `protocol=7&user=${name}&info=${encodeURIComponent('{"name":"N","note":"internal"}')}` });
      who[name].ask('presence-tickets.1');
      who[name].members = JSON.parse((await who[name].event('pusher_internal:subscription_succeeded')).data).presence;
    }
    assert.deepEqual(who.customer.members.hash, { agent: { name: 'N' }, customer: { name: 'N' } });
    assert.deepEqual(who.other.members.hash, { agent: {}, customer: {}, guest: {}, other: {} });
    await host.publish('presence-tickets.1', 'by-host', JSON.stringify(whole));
    await host.publish('presence-tickets.1', 'text', 'the note');
    await sdk(host).trigger('presence-tickets.1', 'by-api', whole);
    who.guest.send({ event: 'client-x', channel: 'presence-tickets.1', data: whole });
    const own = (frames) => frames.filter(({ event }) => !/^pusher/.test(event)).map(({ event, data }) => [event, typeof data === 'string' && data[0] === '{' ? JSON.parse(data) : data]);
    const seen = { guest: own(await who.guest.settle()) }; // its event is on its way to all workers
    for (const name of ['agent', 'customer', 'other', 'none']) seen[name] = own(await who[name].settle());
    assert.deepEqual(seen, {
      agent: [['by-host', whole], ['text', 'the note'], ['by-api', whole], ['client-x', whole]],
      customer: [['by-host', less], ['by-api', less], ['client-x', less]], guest: [], other: [], none: [],
    });
    assert.equal((await host.do('stats')).rendered, 0);
  });

  test(`${workers} workers: views over every way in`, async (t) => {
    const host = await start(t, {
      mode: RULES, workers, rules: [{ pattern: 'tickets.{id}', kinds: 6, views: true }],
      answers: [{ user: 'a*', allow: true, view: 'agent' }, { user: 'c*', allow: true, view: 'customer' }, { allow: true }],
    });
    const { sdk } = require('./clients.js');
    const api = sdk(host);
    const names = ['a1', 'a2', 'c1', 'c2', 'none'];
    const who = {};
    for (const name of names) {
      who[name] = await connect(host, { query: `protocol=7&user=${name}&info=${encodeURIComponent('{"full":"name"}')}` });
      who[name].ask('presence-tickets.1');
      who[name].members = JSON.parse((await who[name].event('pusher_internal:subscription_succeeded')).data).presence;
    }
    assert.deepEqual(who.a2.members.hash, { a1: { full: 'name' }, a2: { full: 'name' } });
    assert.deepEqual(who.c2.members.hash, Object.fromEntries(['a1', 'a2', 'c1', 'c2'].map((name) => [name, { redacted: true }])));
    assert.deepEqual(who.none.members.ids, ['none']);
    assert.deepEqual(JSON.parse((await who.a1.event('pusher_internal:member_added')).data), { user_id: 'a2', user_info: { full: 'name' } });
    assert.deepEqual(JSON.parse((await who.c1.event('pusher_internal:member_added')).data), { user_id: 'c2', user_info: { redacted: true } });
    await host.publish('presence-tickets.1', 'note', '"internal"');
    await host.publish('presence-tickets.1', 'hidden', '"nobody"');
    await api.trigger('presence-tickets.1', 'reply', { text: 'secret' });
    who.c1.send({ event: 'client-typing', channel: 'presence-tickets.1', data: { by: 'c1' } });
    const seen = {};
    for (const name of names) {
      await (name === 'none' ? sleep(100) : name === 'c1' ? who[name].event('reply') : who[name].event('client-typing'));
      await who[name].settle();
      seen[name] = who[name].frames.filter((f) => !f.event.startsWith('pusher')).map((f) => [f.event, f.data]);
    }
    const redacted = '{"redacted":true}';
    const agent = [['note', '"internal"'], ['reply', '{"text":"secret"}'], ['client-typing', '{"by":"c1"}']];
    assert.deepEqual(seen.a1.map(([e, d]) => [e, typeof d === 'string' ? d : JSON.stringify(d)]), agent);
    assert.deepEqual(seen.a2, seen.a1);
    assert.deepEqual(seen.c1, [['reply', redacted]]);
    assert.deepEqual(seen.c2, [['reply', redacted], ['client-typing', redacted]]);
    assert.deepEqual(seen.none, []);
    for (const name of names) await who[name].close();
  });

  test(`${workers} workers: newcomers of a cache channel see what their audience may`, async (t) => {
    const host = await start(t, {
      mode: RULES, workers, rules: [{ pattern: 'tickets.{id}', kinds: 6, views: true }],
      answers: [{ user: 'a', allow: true, view: 'agent' }, { user: 'c', allow: true, view: 'customer' }, { allow: true }],
    });
    const channel = 'private-cache-tickets.1';
    const comes = async (user) => {
      const client = await connect(host, { query: `protocol=7&user=${user}` });
      client.ask(channel);
      await client.event('pusher_internal:subscription_succeeded');
      const heard = (await client.settle()).map((f) => [f.event, f.data]);
      await client.close();
      return heard;
    };
    assert.deepEqual(await comes('c'), [['pusher:cache_miss', '{}']]);
    await host.publish(channel, 'reply', '"secret"');
    assert.deepEqual(await comes('a'), [['reply', '"secret"']]);
    assert.deepEqual(await comes('c'), [['reply', '{"redacted":true}']]);
    assert.deepEqual(await comes('none'), []);
    await host.publish(channel, 'note', '"internal"');
    assert.deepEqual(await comes('a'), [['note', '"internal"']]);
    assert.deepEqual(await comes('c'), []);
  });
}

test('a grant with an end, a channel taken away, an explanation', async (t) => {
  const host = await start(t, { mode: EITHER, answers: [{ allow: true, expires_in_ms: 300 }] });
  const client = await connect(host, { query: 'protocol=7&user=7' });
  client.ask('private-tickets.1');
  await client.event('pusher_internal:subscription_succeeded');
  await host.do('answers', { rows: [] });
  await client.event('pusher:subscription_error', 'private-tickets.1');
  await host.do('answers', { rows: [{ allow: true }] });
  for (const by of [{ socket_id: client.socketId }, { user: '7' }]) {
    client.ask('private-tickets.2');
    await client.event('pusher_internal:subscription_succeeded', 'private-tickets.2');
    await host.do('unsubscribe', { ...by, channel: 'private-tickets.2', reason: 'enough' });
    const error = await client.event('pusher:subscription_error', 'private-tickets.2');
    assert.deepEqual(JSON.parse(error.data), { type: 'AuthError', error: 'enough: private-tickets.2', status: 403 });
  }
  const { explained } = await host.do('explain', { channel: 'private-tickets.42', user: '7' });
  assert.deepEqual(explained, {
    app: 'app-id', channel: 'private-tickets.42', name: 'tickets.42', kind: 'private', mode: 'either', user_id: '7',
    tried: [{ pattern: 'tickets.{id}', kinds: ['private', 'presence', 'private-encrypted'], matches: true }, { pattern: 'guarded.{id}', kinds: ['public'], matches: false }],
    rule: 'tickets.{id}', params: { id: '42' }, outcome: 'signature or rule', reason: 'a signature if the client sends one, else the rule',
  });
  const outcome = async (channel, user = '') => (await host.do('explain', { channel, user })).explained.outcome;
  assert.equal(await outcome('guarded.1'), 'ask rule');
  assert.equal(await outcome('open'), 'public');
  assert.equal(await outcome('private-open'), 'signature');
  assert.equal(await outcome('a b'), 'denied');
  assert.equal(await outcome('#server-to-user-7', '7'), 'public');
  assert.equal(await outcome('#server-to-user-7', '8'), 'denied');
  assert.equal((await host.try('explain', { channel: 'a', app: 'none' })).rc, 'ENOENT');
  assert.equal((await host.try('reauthorize', { pattern: 'a{' })).rc, 'EINVAL');
  assert.equal((await host.try('reauthorize', { app: 'none' })).rc, 'ENOENT');
  assert.equal((await host.try('unsubscribe', { channel: 'private-tickets.1' })).rc, 'EINVAL');
  await client.close();
});

test('what was answered before a channel was taken away brings nobody back', async (t) => {
  const host = await start(t, { mode: RULES, rules: [{ pattern: 'tickets.{id}', kinds: 14, cache_ms: 60000 }] });
  const client = await connect(host, { query: 'protocol=7&user=7' });
  for (const by of [{ socket_id: client.socketId }, { user: '7' }]) {
    await host.do('answers', { rows: [{ allow: true }] });
    client.ask('private-tickets.1');
    await client.event('pusher_internal:subscription_succeeded');
    await host.do('answers', { rows: [] });
    await host.do('unsubscribe', { ...by, channel: 'private-tickets.1', reason: 'enough' });
    await client.event('pusher:subscription_error');
    client.ask('private-tickets.1');
    const error = await client.event('pusher:subscription_error');
    assert.doesNotMatch(error.data, /enough/);
    await host.do('reauthorize', {});
    await host.event('reauthorized'); // until then the answer of before may still serve
  }
  await client.close();
});

test('who was being identified when the app was removed is closed, too', async (t) => {
  const host = await start(t);
  const dialled = dial(host, { query: 'protocol=7&ask=1' });
  const asked = await host.event('identify');
  await host.do('remove_app');
  await host.do('identify', { request: asked.request, user: '9' });
  assert.equal((await (await dialled).closed()).code, 4001);
});

test('who was being identified when the app was disabled is closed, too', async (t) => {
  const host = await start(t);
  const dialled = dial(host, { query: 'protocol=7&ask=1' });
  const asked = await host.event('identify');
  await host.do('put_app', { app: { ...APP, disabled: true } });
  await host.do('identify', { request: asked.request, user: '9' });
  assert.equal((await (await dialled).closed()).code, 4003);
});

// -- a secret that changes --

test('a new secret counts at once, also on connections that are open, and the old one as long as it is given', async (t) => {
  const host = await start(t);
  const client = await connect(host);
  let n = 0;
  /** Does a signature with this secret let this client in, sign it in, and let its backend publish? */
  const counts = async (secret, key = APP.key) => {
    const app = { ...APP, key, secret }, channel = `private-x.${++n}`, userData = '{"id":"7"}';
    client.ask(channel, { auth: channelAuth(app, client.socketId, channel) });
    const subscribed = (await client.next((f) => f.channel === channel && /subscription_/.test(f.event))).event === 'pusher_internal:subscription_succeeded';
    client.send({ event: 'pusher:signin', data: { auth: userAuth(app, client.socketId, userData), user_data: userData } });
    const signedIn = (await client.next((f) => f.event === 'pusher:signin_success' || (f.event === 'pusher:error' && / 7|: 7$/.test(f.data.message)))).event === 'pusher:signin_success';
    const { status } = await api(host, 'GET', '/channels', { app });
    assert.deepEqual([signedIn, status], [subscribed, subscribed ? 200 : 401], secret);
    return subscribed;
  };
  const put = (secret, more = {}) => host.do('put_app', { app: { ...APP, secret, ...more } });
  const all = async (...secrets) => {
    const counted = [];
    for (const secret of secrets) counted.push(await counts(secret));
    return counted;
  };
  assert.deepEqual(await all(APP.secret, 'two'), [true, false]);
  await put('two');
  assert.deepEqual(await all(APP.secret, 'two'), [false, true]);
  await put('three', { secret_grace_ms: 60000 });
  assert.deepEqual(await all('two', 'three', APP.secret), [true, true, false]);
  await put('three', { secret_grace_ms: 60000 }); // the file is read again
  assert.deepEqual(await all('two', 'three'), [true, true]);
  await put('three'); // enough
  assert.deepEqual(await all('two', 'three'), [false, true]);
  await put('four', { secret_grace_ms: 1 });
  await sleep(20);
  assert.deepEqual(await all('three', 'four'), [false, true]);
  await put('four', { key: 'new-key', secret_grace_ms: 60000 }); // the key, too
  assert.deepEqual([await counts('four'), await counts('four', 'new-key'), await counts('three', 'new-key')], [true, true, false]);
  // an app that comes after another one with its id has nothing of it
  await host.do('remove_app');
  await client.closed();
  await put('five', { secret_grace_ms: 60000 });
  assert.equal((await api(host, 'GET', '/channels', { app: { ...APP, secret: 'four' } })).status, 401);
});

// -- stock clients --

const endpoints = (host, user) => ({ auth: { url: host.url }, user });

/** pusher-js that shows a token to the endpoints, and nothing to the WebSocket. */
function stock(t, host, user) {
  const headers = { Authorization: `Bearer user-${user}` };
  return pusher(t, host, {
    ...endpoints(host, user), channelAuthorization: { endpoint: `${host.url}${AUTH}`, headers }, userAuthentication: { endpoint: `${host.url}${USER_AUTH}`, headers },
  });
}

for (const workers of [1, 4]) {
  test(`${workers} workers: pusher-js with the built-in endpoints`, async (t) => {
    const host = await start(t, { workers, answers: [{ channel: '*.no', reason: 'not yours' }, { user: '7', allow: true }, { user: '8', allow: true }] });
    const [one, two] = [stock(t, host, '7'), stock(t, host, '8')];
    await Promise.all([connected(one), connected(two)]);
    const priv = await subscribe(one, 'private-tickets.1');
    const here = await subscribe(one, 'presence-tickets.1');
    await subscribe(two, 'presence-tickets.1');
    assert.equal((await here.inbox.event('pusher:member_added')).data.id, '8');
    assert.equal(here.members.me.id, '7');
    await host.publish('private-tickets.1', 'news', '{"n":1}');
    assert.deepEqual((await priv.inbox.event('news')).data, { n: 1 });
    const no = one.subscribe('private-tickets.no');
    const inbox = listen(no);
    const error = (await inbox.event('pusher:subscription_error')).data;
    assert.equal(error.status, 403);
    one.signin();
    await until(() => one.user.user_data && one.user.user_data.id === '7', 'the sign-in');
    // its user is known by what it showed to the endpoint: the host changes its mind about 7 alone
    await host.do('answers', { rows: [{ user: '7', reason: 'moved' }, { allow: true }] });
    await host.do('reauthorize', { user: '7', pattern: 'tickets.1' });
    assert.deepEqual((({ kept, revoked }) => [kept, revoked])(await host.event('reauthorized')), [0, 2]);
    const lost = (await priv.inbox.event('pusher:subscription_error')).data;
    assert.deepEqual([lost.type, lost.error, lost.status], ['AuthError', 'moved: private-tickets.1', 403]);
    await host.publish('private-tickets.1', 'news', '{"n":2}');
    await sleep(50);
    assert.deepEqual(priv.inbox.rest().filter((e) => e.event === 'news'), []);
  });
}

test('pusher-js reads an encrypted channel with the secret of the endpoint', async (t) => {
  const host = await start(t);
  const { sdk } = require('./clients.js');
  const client = pusher(t, host, { channelAuthorization: { endpoint: `${host.url}${AUTH}` } });
  const channel = await subscribe(client, 'private-encrypted-tickets.1');
  await sdk(host).trigger('private-encrypted-tickets.1', 'news', { secret: 1 });
  assert.deepEqual((await channel.inbox.event('news')).data, { secret: 1 });
});

for (const workers of [1, 4]) {
  for (const mode of [SIGNATURE, RULES, EITHER]) {
    test(`${workers} workers, mode ${mode}: laravel-echo 2.5, and .error() when the host changes its mind`, async (t) => {
      const { default: Echo } = await import('laravel-echo');
      const host = await start(t, { mode, workers, answers: [{ user: '7', allow: true }] });
      const headers = { Authorization: 'Bearer user-7' };
      const { channelAuthorization, userAuthentication, ...options } = clientOptions(host);
      const echo = new Echo({
        ...options, broadcaster: 'reverb', key: APP.key, Pusher: PusherClient, authEndpoint: `${host.url}${AUTH}`, auth: { headers },
        userAuthentication: { endpoint: `${host.url}${USER_AUTH}`, headers },
      });
      t.after(() => echo.disconnect());
      const errors = new Inbox();
      const news = new Inbox();
      const successes = new Inbox();
      echo.private('tickets.1').subscribed(() => successes.push(1)).error((e) => errors.push(e)).listen('.news', (e) => news.push(e));
      await successes.next();
      await host.publish('private-tickets.1', 'news', '{"n":1}');
      assert.deepEqual(await news.next(), { n: 1 });
      await host.do('answers', { rows: [{ user: '7', reason: 'moved' }] });
      await host.do('reauthorize', { user: '7' });
      await host.event('reauthorized', { revoked: 1 });
      const error = await errors.next();
      assert.equal(error.status, 403);
      assert.equal(error.error, 'moved: private-tickets.1');
      await host.publish('private-tickets.1', 'news', '{"n":2}');
      await host.do('answers', { rows: [{ user: '7', allow: true }] });
      await host.do('reauthorize', { user: '7' });
      await successes.next();
      await host.publish('private-tickets.1', 'news', '{"n":3}');
      assert.deepEqual(await news.next(), { n: 3 });
      const present = echo.join('tickets.2');
      const here = await new Promise((resolve) => { present.here(resolve); });
      assert.equal(here.length, 1);
    });
  }
}
