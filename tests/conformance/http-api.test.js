'use strict';
// B.11: HTTP endpoints.

const assert = require('node:assert/strict');
const http = require('node:http');
const { before, test } = require('node:test');
const { APP, api, connect, request, sleep, startHost, tcp, trigger, until } = require('../integration/lib.js');

const DISABLED = { id: 'disabled', key: 'disabled-key', secret: 's', disabled: true };
const WRITE_LIMIT = { id: 'writes', key: 'writes-key', secret: 's', max_backend_events_per_s: 5 };
const READ_LIMIT = { id: 'reads', key: 'reads-key', secret: 's', max_read_requests_per_s: 5 };

let host;
before(async () => { host = await startHost({ apps: [APP, DISABLED, WRITE_LIMIT, READ_LIMIT], options: { worker_count: 2 } }); });

const post = (body, more) => api(host, 'POST', '/events', { body, ...more });
const event = (more) => ({ name: 'event', channel: 'orders', data: '{}', ...more });

/** A failure: the status, and one line of text that says why. */
async function assertStatus(answer, status, what) {
  const got = await answer;
  assert.equal(got.status, status, `${what || ''} ${got.text}`);
  assert.match(got.headers['content-type'] || '', /^text\/plain/, what);
  assert.ok(got.text.length > 0 && !/\n./.test(got.text), got.text);
  return got;
}

async function assertOk(answer, body) {
  const got = await answer;
  assert.equal(got.status, 200, got.text);
  assert.match(got.headers['content-type'], /^application\/json/);
  assert.deepEqual(got.json, body);
  return got;
}

/** A connection with these subscriptions; presence names as the given user. */
async function subscriber(channels, user = '7') {
  const client = await connect(host);
  for (const channel of [].concat(channels)) await client.subscribe(channel, channel.startsWith('presence-') ? { user_id: user } : undefined);
  return client;
}

test('#146 answers POST /events with 200, application/json and {}', async () => {
  const { text } = await assertOk(post(event()), {});
  assert.equal(text, '{}');
  await assertOk(post(event(), { headers: { 'Content-Type': 'text/plain' } }), {});
  await assertOk(post(event({ unknown: 'field', socket_id: null, info: null })), {});
});

test('#147 accepts channel and channels, with up to 100 of them', async () => {
  const client = await subscriber(['one', 'two', 'c99']);
  await assertOk(post({ name: 'e', data: '1', channel: 'one' }), {});
  await assertOk(post({ name: 'e', data: '2', channels: ['one', 'two'] }), {});
  await assertOk(post({ name: 'e', data: '3', channels: Array.from({ length: 100 }, (_, i) => `c${i}`) }), {});
  await assertOk(post({ name: 'e', data: '4', channel: 'one', channels: ['two'] }), {}); // channels wins
  await assertOk(post({ name: 'e', data: '5', channels: ['one', 'one', 'one'] }), {});
  assert.deepEqual((await client.settle()).map((f) => f.channel + f.data).sort(), ['c993', 'one1', 'one2', 'one5', 'two2', 'two4']);
  await client.close();
});

test('#148 answers 400 for too many or invalid channels, or missing parts', async () => {
  const client = await subscriber('orders');
  for (const [what, body] of Object.entries({
    '101 channels': event({ channels: Array.from({ length: 101 }, (_, i) => `c${i}`) }),
    'no name': { channel: 'orders', data: 'x' },
    'empty name': event({ name: '' }),
    'name no string': event({ name: 7 }),
    'name too long': event({ name: 'n'.repeat(201) }),
    'no data': { name: 'event', channel: 'orders' },
    'data null': event({ data: null }),
    'no channel': { name: 'event', data: 'x' },
    'no channels': event({ channels: [] }),
    'channel no string': event({ channel: 7 }),
    'channels no array': event({ channels: 'orders' }),
    'channels of numbers': event({ channels: [7] }),
    'one bad among good': event({ channels: ['orders', 'bad name'] }),
    'newline': event({ channel: 'orders\n' }),
    'empty channel': event({ channel: '' }),
    'long channel': event({ channel: 'c'.repeat(201) }),
    'hash': event({ channel: '#orders' }),
    'no user': event({ channel: '#server-to-user-' }),
  }))
    await assertStatus(post(body), 400, what);
  assert.deepEqual(await client.settle(), [], 'nothing of it was sent');
  await client.close();
});

test('#149 accepts data of 10240 bytes and answers 413 for 10241', async () => {
  const client = await subscriber('orders');
  await assertOk(post(event({ data: 'x'.repeat(10240) })), {});
  await assertOk(post(event({ data: '\n'.repeat(10240) })), {}); // counted decoded
  await assertOk(post(event({ data: 'ë'.repeat(5120) })), {});
  assert.deepEqual((await client.settle()).map((f) => f.data.length), [10240, 10240, 5120]);
  await assertStatus(post(event({ data: 'x'.repeat(10241) })), 413);
  await assertStatus(post(event({ data: 'ë'.repeat(5121) })), 413);
  await assertStatus(post(event({ data: { x: 'x'.repeat(10240) } })), 413);
  await assertStatus(post('x'.repeat(1048577)), 413, 'a body above 1 MiB');
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#150 answers 400 for a malformed socket_id and 200 for an unknown one', async () => {
  for (const socket_id of ['x', '1', '1.', '.1', '1.2.3', '1.2 ', ' 1.2', '-1.2', '1.x', '', '1.2\n', 7])
    await assertStatus(post(event({ socket_id })), 400, JSON.stringify(socket_id));
  for (const socket_id of ['1.2', '0.0', '99999999999999999999.1', '007.1']) await assertOk(post(event({ socket_id })), {});
});

test('#151 returns what info asks for, leaving out what does not apply', async () => {
  const one = await subscriber(['presence-info', 'info']);
  const two = await subscriber('presence-info');
  const three = await subscriber('presence-info', '8');
  await assertOk(post({ name: 'e', data: '', channels: ['presence-info', 'info', 'empty', 'presence-empty'], info: 'user_count,subscription_count' }), {
    channels: { 'presence-info': { user_count: 2, subscription_count: 3 }, info: { subscription_count: 1 }, empty: { subscription_count: 0 },
      'presence-empty': { user_count: 0, subscription_count: 0 } },
  });
  await assertOk(post({ name: 'e', data: '', channels: ['presence-info', 'info', 'info'], info: 'user_count' }), { channels: { 'presence-info': { user_count: 2 }, info: {} } });
  await assertOk(post({ name: 'e', data: '', channel: 'info', info: 'subscription_count,unknown' }), { channels: { info: { subscription_count: 1 } } });
  await Promise.all([one, two, three].map((c) => c.close()));
});

test('#152 answers batch_events with {} or an index-aligned array', async () => {
  const client = await subscriber(['presence-batch', 'batch']);
  const batch = (items) => api(host, 'POST', '/batch_events', { body: { batch: items } });
  await assertOk(batch([event({ channel: 'batch' }), event({ channel: 'batch' })]), {});
  await assertOk(batch([event({ channel: 'presence-batch', info: 'user_count,subscription_count' }), event({ channel: 'batch' }), event({ channel: 'batch', info: 'subscription_count' })]),
    { batch: [{ user_count: 1, subscription_count: 1 }, {}, { subscription_count: 1 }] });
  await client.close();
});

test('#153 publishes a batch in order, and nothing of one that is wrong', async () => {
  const client = await subscriber(['first', 'second']);
  const batch = (items) => api(host, 'POST', '/batch_events', { body: { batch: items } });
  const good = Array.from({ length: 10 }, (_, n) => event({ channel: n % 3 ? 'first' : 'second', data: String(n) }));
  await assertOk(batch(good), {});
  assert.deepEqual((await client.settle()).map((f) => f.data), good.map((g) => g.data));
  await assertStatus(batch([...good, event({ channel: 'first' })]), 400, '11');
  for (const bad of [{ channel: 'first', data: '1' }, event({ channel: 'bad name' }), event({ data: null }), event({ socket_id: 'x' }), 7, null, [], event({ name: 'pusher:x' })])
    await assertStatus(batch([...good.slice(0, 5), bad]), 400, JSON.stringify(bad));
  await assertStatus(batch([...good.slice(0, 5), event({ data: 'x'.repeat(10241) })]), 413);
  await assertStatus(batch([]), 400);
  for (const body of [{}, { batch: null }, { batch: {} }, { batch: 'x' }]) await assertStatus(api(host, 'POST', '/batch_events', { body }), 400);
  assert.deepEqual(await client.settle(), []);
  const full = Array.from({ length: 10 }, (_, n) => event({ channel: 'first', data: '"'.repeat(10240 - n) })); // 200 KB as sent
  await assertOk(batch(full), {});
  assert.deepEqual((await client.settle()).map((f) => f.data.length), full.map((f) => f.data.length));
  const excluded = await subscriber('first');
  await assertOk(batch([event({ channel: 'first', data: 'not to you', socket_id: excluded.socketId }), event({ channel: 'first', data: 'to you' })]), {});
  assert.deepEqual((await excluded.settle()).map((f) => f.data), ['to you']);
  await client.close();
  await excluded.close();
});

test('#154 lists occupied channels only, by prefix, as an object even when empty', async () => {
  await assertOk(api(host, 'GET', '/channels', { query: { filter_by_prefix: 'listed-' } }), { channels: {} });
  // members of the tests before leave no sooner than 100 ms after they came
  await until(async () => Object.keys((await api(host, 'GET', '/channels', { query: { filter_by_prefix: 'presence-' } })).json.channels).length === 0);
  const client = await subscriber(['listed-1', 'listed-2', 'presence-listed', 'private-listed']);
  await assertOk(api(host, 'GET', '/channels', { query: { filter_by_prefix: 'listed-' } }), { channels: { 'listed-1': {}, 'listed-2': {} } });
  await assertOk(api(host, 'GET', '/channels', { query: { filter_by_prefix: 'presence-', info: 'user_count' } }), { channels: { 'presence-listed': { user_count: 1 } } });
  await assertOk(api(host, 'GET', '/channels', { query: { filter_by_prefix: 'listed-', info: 'subscription_count' } }),
    { channels: { 'listed-1': { subscription_count: 1 }, 'listed-2': { subscription_count: 1 } } });
  const { channels } = (await api(host, 'GET', '/channels')).json;
  assert.deepEqual(Object.keys(channels).sort(), ['listed-1', 'listed-2', 'presence-listed', 'private-listed']);
  await client.unsubscribe('listed-1');
  await assertOk(api(host, 'GET', '/channels', { query: { filter_by_prefix: 'listed-' } }), { channels: { 'listed-2': {} } });
  await client.close();
});

test('#155 answers 400 for info=user_count without a presence- prefix, and for unknown attributes', async () => {
  for (const query of [{ info: 'user_count' }, { info: 'user_count', filter_by_prefix: 'presence' }, { info: 'user_count', filter_by_prefix: 'private-' },
    { info: 'subscription_count,user_count' }, { info: 'unknown' }, { info: 'cache' }])
    await assertStatus(api(host, 'GET', '/channels', { query }), 400, JSON.stringify(query));
});

test('#156 always says whether one channel is occupied', async () => {
  const client = await subscriber(['occupied', 'presence-occupied']);
  await assertOk(api(host, 'GET', '/channels/occupied'), { occupied: true });
  await assertOk(api(host, 'GET', '/channels/free'), { occupied: false });
  await assertOk(api(host, 'GET', '/channels/presence-occupied', { query: { info: 'user_count,subscription_count' } }), { occupied: true, user_count: 1, subscription_count: 1 });
  await assertOk(api(host, 'GET', '/channels/presence-free', { query: { info: 'user_count,subscription_count' } }), { occupied: false, user_count: 0, subscription_count: 0 });
  await assertOk(api(host, 'GET', '/channels/occupied', { query: { info: 'subscription_count' } }), { occupied: true, subscription_count: 1 });
  await client.close();
  const odd = await subscriber('a@b,c.d;e=f');
  await assertOk(api(host, 'GET', '/channels/a%40b%2Cc.d%3be=f'), { occupied: true });
  await assertOk(api(host, 'GET', '/channels/a@b,c.d;e=f'), { occupied: true });
  await odd.close();
});

test('#157 answers 400 for an attribute that does not apply or is unknown', async () => {
  for (const [channel, info] of [['orders', 'user_count'], ['private-orders', 'user_count'], ['orders', 'unknown'], ['presence-x', 'user_count,unknown'], ['orders', 'cache']])
    await assertStatus(api(host, 'GET', `/channels/${channel}`, { query: { info } }), 400, `${channel} ${info}`);
  await assertStatus(api(host, 'GET', '/channels/bad%20name'), 400);
});

test('#159 returns distinct users with string ids', async () => {
  const clients = [await subscriber('presence-users', '1'), await subscriber('presence-users', '2'), await subscriber('presence-users', '1')];
  const number = await connect(host);
  await number.subscribe('presence-users', '{"user_id":3}');
  const odd = await subscriber('presence-users', 'ë"\\\n');
  const { json, status } = await api(host, 'GET', '/channels/presence-users/users');
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(json), ['users']);
  assert.deepEqual(json.users.map((u) => Object.keys(u)), [['id'], ['id'], ['id'], ['id']]);
  assert.deepEqual(json.users.map((u) => u.id).sort(), ['1', '2', '3', 'ë"\\\n']);
  await Promise.all([...clients, number, odd].map((c) => c.close()));
});

test('#160 answers 400 for users of another kind of channel and an empty list for an unoccupied one', async () => {
  for (const channel of ['orders', 'private-orders', 'presences', 'bad%20name']) await assertStatus(api(host, 'GET', `/channels/${channel}/users`), 400, channel);
  await assertOk(api(host, 'GET', '/channels/presence-nobody/users'), { users: [] });
});

test('#161 answers 404 for an unknown app or path, 405 for a wrong method, 403 for a disabled app', async () => {
  await assertStatus(api(host, 'GET', '/channels', { app: { ...APP, id: 'nope' } }), 404);
  await assertStatus(api(host, 'POST', '/events', { app: { ...APP, id: 'nope' }, body: event() }), 404);
  for (const path of ['/nowhere', '/apps', '/apps/', '/apps/app-id/nowhere', '/apps/app-id/channels/x/nowhere'])
    assert.equal((await request(host, 'GET', path)).status, 404, path);
  for (const [method, below, allowed] of [['GET', '/events', 'POST'], ['PUT', '/events', 'POST'], ['GET', '/batch_events', 'POST'], ['POST', '/channels', 'GET'],
    ['DELETE', '/channels/x', 'GET'], ['POST', '/channels/presence-x/users', 'GET']]) {
    const answer = await api(host, method, below);
    assert.equal(answer.status, 405, `${method} ${below}`);
    assert.ok(answer.headers.allow.split(/, */).includes(allowed), answer.headers.allow);
  }
  await assertStatus(api(host, 'POST', '/events', { app: DISABLED, body: event() }), 403);
  await assertStatus(api(host, 'GET', '/channels', { app: DISABLED }), 403);
});

test('#162 answers 400 for a body that is no JSON object', async () => {
  for (const body of ['x', '[]', '"x"', '7', 'null', '{', '{"name":"e",}', '{"name":"e","channel":"orders","data":"\xff"}', '{}}', '['.repeat(30000), '{"a":'.repeat(30000)])
    await assertStatus(post(Buffer.from(body, 'latin1')), 400, body.slice(0, 50));
  await assertStatus(post(''), 400, 'no body');
});

test('#163 keeps the connection alive for further requests', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  agent.on('free', (socket) => ports.add(socket.localPort));
  for (let i = 0; i < 3; i++) {
    await assertOk(post(event(), { agent }), {});
    await assertOk(api(host, 'GET', '/channels/x', { agent }), { occupied: false });
    await assertStatus(api(host, 'GET', '/channels/x', { agent, auth: { auth_key: 'nope' } }), 401);
    await assertStatus(post('no JSON', { agent }), 400);
  }
  assert.equal(ports.size, 1);
  agent.destroy();
});

test('#163 answers pipelined requests in their order', async () => {
  const raw = await tcp(host);
  raw.write('GET /ready HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n'
    + 'POST /apps/app-id/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}HEAD /ready HTTP/1.1\r\nHost: x\r\n\r\nGET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await raw.over();
  assert.deepEqual(raw.text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 200']);
});

test('#164 serves the deprecated endpoints', async () => {
  const client = await subscriber(['legacy', 'presence-legacy']);
  const publish = (body, query) => api(host, 'POST', '/channels/legacy/events', { body, query });
  const answer = await publish('not even { JSON', { name: 'old' });
  assert.deepEqual([answer.status, answer.text], [202, '']);
  assert.equal((await publish('not to you', { name: 'old', socket_id: client.socketId })).status, 202);
  const frames = await client.settle();
  assert.deepEqual(frames.map(({ event: name, data, channel }) => [name, data, channel]), [['old', 'not even { JSON', 'legacy']]);
  await assertStatus(publish('x'), 400, 'no name');
  await assertStatus(publish(Buffer.from([0xff]), { name: 'old' }), 400, 'no UTF-8');
  await assertStatus(publish('x'.repeat(10241), { name: 'old' }), 413);
  await assertOk(api(host, 'GET', '/channels/legacy/stats'), { occupied: true, connection_count: 1 });
  await assertOk(api(host, 'GET', '/channels/presence-legacy/stats'), { occupied: true, user_count: 1, connection_count: 1 });
  await assertOk(api(host, 'GET', '/channels/presence-free/stats'), { occupied: false, user_count: 0, connection_count: 0 });
  await client.close();
});

test('#165 serves connections and the health pages', async () => {
  const before = (await api(host, 'GET', '/connections')).json.connections;
  const clients = [await connect(host), await connect(host)];
  await assertOk(api(host, 'GET', '/connections'), { connections: before + 2 });
  await Promise.all(clients.map((c) => c.close()));
  await until(async () => (await api(host, 'GET', '/connections')).json.connections === before);
  await assertStatus(request(host, 'GET', '/apps/app-id/connections'), 401, 'without a signature');
  for (const path of ['/up', '/live']) await assertOk(request(host, 'GET', path), { health: 'OK' });
});

test('#166 answers 429 with Retry-After above the configured rates', async () => {
  // Five are let through at once, and five more in each second: so many others that they do not take seconds.
  const atOnce = (n, ask) => Promise.all(Array.from({ length: n }, ask));
  const answers = [];
  for (let i = 0; i < 5; i++) answers.push(await post(event(), { app: WRITE_LIMIT }));
  answers.push(...await atOnce(40, () => post(event(), { app: WRITE_LIMIT })));
  const statuses = answers.map((a) => a.status);
  assert.deepEqual(statuses.slice(0, 5), [200, 200, 200, 200, 200]);
  const refused = answers.filter((a) => a.status === 429);
  assert.ok(refused.length >= 1, String(statuses));
  for (const answer of refused) {
    assert.match(answer.headers['retry-after'], /^\d+$/);
    assert.equal(answer.headers['x-ratelimit-limit'], '5');
    assert.equal(answer.headers['x-ratelimit-remaining'], '0');
  }
  const reads = (await atOnce(45, () => api(host, 'GET', '/channels', { app: READ_LIMIT }))).map((a) => a.status);
  assert.ok(reads.includes(429), String(reads));
  assert.equal((await post(event(), { app: READ_LIMIT })).status, 200, 'the other kind is not limited');
  await sleep(1100);
  assert.equal((await post(event(), { app: WRITE_LIMIT })).status, 200);
  // A batch counts as its events.
  await sleep(1100);
  const batch = (n) => api(host, 'POST', '/batch_events', { app: WRITE_LIMIT, body: { batch: Array.from({ length: n }, () => event()) } });
  assert.equal((await batch(4)).status, 200);
  assert.ok((await atOnce(4, () => batch(4))).some((a) => a.status === 429));
});

test('#167 sends the CORS fields and answers OPTIONS with 204', async () => {
  const answers = [await request(host, 'GET', '/ready'), await request(host, 'GET', '/up'), await request(host, 'GET', '/nowhere'), await post(event()), await post('x'),
    await post('x'.repeat(1048577)), await request(host, 'OPTIONS', '/nowhere'), await request(host, 'OPTIONS', '/apps/app-id/events', { headers: { Origin: 'https://example.com', 'Access-Control-Request-Method': 'POST' } })];
  assert.equal(answers.at(-1).status, 204);
  assert.equal(answers.at(-1).text, '');
  for (const { headers } of answers) {
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.match(headers['access-control-allow-methods'], /GET.*POST/);
    assert.match(headers['access-control-allow-headers'], /Content-Type.*Authorization/);
  }
});

test('#168 refuses to publish names that begin with pusher: or pusher_internal:', async () => {
  const client = await subscriber('orders');
  for (const name of ['pusher:', 'pusher:error', 'pusher_internal:subscription_succeeded', 'pusher_internal:']) {
    await assertStatus(post(event({ name })), 400, name);
    assert.notEqual((await host.try('publish', { channels: ['orders'], name, data: '{}' })).rc, 'OK');
  }
  assert.deepEqual(await client.settle(), []);
  for (const name of ['pusherx', 'Pusher:x', 'client-x', 'pusher']) await assertOk(post(event({ name })), {});
  assert.equal((await client.settle()).length, 4);
  await client.close();
});
