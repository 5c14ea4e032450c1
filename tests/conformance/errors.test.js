'use strict';
// B.3: errors, closing, robustness.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, channelAuth, connect, rawClient, sleep, startHost, userAuth, wsFrame } = require('../integration/lib.js');

const GONE = { id: 'gone', key: 'gone-key', secret: 's' };
const BIG = { id: 'big', key: 'big-key', secret: 's', max_event_payload_bytes: 60000 };

let host;
before(async () => {
  host = await startHost({ apps: [APP, BIG, GONE], options: { max_frame_bytes: 20000, out_hard_bytes: 262144, out_soft_bytes: 131072, out_soft_ms: 300 } });
});

const INVALID = ['', '{', 'nonsense', '{"event":"pusher:ping"', '{"event":"pusher:ping"} trailing', '{event:1}', "{'event':'pusher:ping'}",
  '{"event":"pusher:ping",}', '{"event":"\\x"}', '{"event":"\\ud800"}', '\u0000', '{"event":"pusher:ping","event":}'];
const NOT_OBJECTS = ['[]', '["pusher:ping"]', '17', '-1.5e300', '"pusher:ping"', 'null', 'true'];
const NO_EVENT = ['{}', '{"event":7}', '{"event":null}', '{"event":{}}', '{"data":{"channel":"orders"}}'];

async function assertPlainError(client) {
  const answer = await client.next();
  assert.equal(answer.event, 'pusher:error', answer.raw);
  assert.equal(answer.data.code, null);
  assert.equal(typeof answer.data.message, 'string');
  return answer.data.message;
}

test('#31 sends the data of pusher:error as an object with message and code', async () => {
  const client = await connect(host);
  client.send('nonsense');
  const error = await client.next();
  assert.deepEqual(Object.keys(error).sort(), ['data', 'event']);
  assert.deepEqual(Object.keys(error.data).sort(), ['code', 'message']);
  assert.equal(error.data.code, null);
  client.ask('private-x', { auth: `${APP.key}:bad` });
  assert.equal((await client.event('pusher:error')).data.code, null);
  await client.close();
});

test('#31 an error after which the connection stays has code null or 43xx', async () => {
  const few = { id: 'few', key: 'few-key', secret: 's', max_connections_per_user: 1, max_channels_per_connection: 2, max_presence_members: 1,
    client_events: true, max_client_events_per_s: 1, watchlist_events: true };
  await host.do('put_app', { app: few });
  const first = await connect(host, { app: few });
  await first.signin({ id: '7' });
  await first.subscribe('presence-full', { user_id: '7' });
  const signIn = (client, user_data) => client.send({ event: 'pusher:signin', data: { auth: userAuth(few, client.socketId, user_data), user_data } });
  const tries = {
    'no signature': (client) => client.ask('private-x'),
    'a bad signature': (client) => client.ask('private-x', { auth: `${few.key}:bad` }),
    'no member': (client) => client.ask('presence-x', { auth: channelAuth(few, client.socketId, 'presence-x') }),
    'a bad name': (client) => client.ask('a b'),
    'another user\'s channel': (client) => client.ask('#server-to-user-8'),
    'a full presence channel': (client) => client.ask('presence-full', { channel_data: '{"user_id":"9"}', auth: channelAuth(few, client.socketId, 'presence-full', '{"user_id":"9"}') }),
    'too many channels': (client) => ['a', 'b', 'c'].forEach((name) => client.ask(name)),
    'twice': (client) => { client.ask('a'); client.ask('a'); },
    'a sign-in with a bad signature': (client) => client.send({ event: 'pusher:signin', data: { auth: `${few.key}:bad`, user_data: '{"id":"8"}' } }),
    'a sign-in without an id': (client) => signIn(client, '{}'),
    'a user with too many connections': (client) => signIn(client, '{"id":"7"}'),
    'two users': (client) => { signIn(client, '{"id":"8"}'); signIn(client, '{"id":"9"}'); },
    'a long watchlist': (client) => signIn(client, JSON.stringify({ id: '8', watchlist: Array.from({ length: 101 }, (_, i) => `w${i}`) })),
    'a client event without a subscription': (client) => client.send({ event: 'client-x', channel: 'private-x', data: {} }),
    'a client event on a public channel': (client) => client.send({ event: 'client-x', channel: 'a', data: {} }),
    'nonsense': (client) => client.send('nonsense'),
    'an unknown event': (client) => client.send({ event: 'pusher:unknown' }),
  };
  for (const [what, attempt] of Object.entries(tries)) {
    const client = await connect(host, { app: few });
    attempt(client);
    const { data } = await client.event('pusher:error');
    assert.ok(data.code === null || (data.code >= 4300 && data.code <= 4399), `${what}: ${JSON.stringify(data)}`);
    client.send({ event: 'pusher:ping' });
    await client.event('pusher:pong');
    await client.close();
  }
  await first.close();
});

test('#32 closes with code and a reason of at most 123 bytes, whoever decides', async () => {
  const cases = [
    ['a binary frame', 1003, (client) => client.send(Buffer.from('{"event":"pusher:ping"}'))],
    ['a message above the limit', 1009, (client) => client.send('x'.repeat(20001))],
    ['invalid messages in a row', 4100, (client) => { for (let i = 0; i < 100; i++) client.send('x'); }],
    ['the host', 4242, (client) => host.do('disconnect', { socket_id: client.socketId, code: 4242, reason: 'é'.repeat(100) })],
    ['its user is terminated', 4009, async (client) => { await client.signin({ id: '7' }); await api(host, 'POST', '/users/7/terminate_connections', { body: {} }); }],
    ['its app is removed', 4001, () => host.do('remove_app', { app: GONE.id }), GONE],
  ];
  for (const [what, code, act, app] of cases) {
    const client = await connect(host, { app });
    await act(client);
    const closed = await client.closed();
    assert.equal(closed.code, code, what);
    assert.ok(closed.reason.length > 0 && Buffer.byteLength(closed.reason) <= 123, `${what}: ${closed.reason}`);
    assert.ok(!closed.reason.includes('\ufffd'), `${what}: ${closed.reason}`);
  }
});

test('#33 closes existing connections with 4200 on a graceful stop', async (t) => {
  const other = await startHost({}, t);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(other)));
  await other.do('stop', { grace_ms: 300 });
  for (const client of clients) {
    const { code, reason } = await client.closed();
    assert.deepEqual([code, reason.length > 0], [4200, true]);
  }
  await other.event('stopped');
  for (const client of clients) assert.equal(client.frames.length, 1, 'nothing but the close');
});

test('#34 sends pusher:error before it closes an established protocol 5 connection', async () => {
  for (const query of ['protocol=5', 'protocol=4']) {
    const client = await connect(host, { query });
    await host.do('disconnect', { socket_id: client.socketId, code: 4009, reason: 'You got disconnected by the app.' });
    assert.equal((await client.closed()).code, 4009);
    assert.deepEqual(client.frames.slice(1).map((f) => ({ ...f })),
      [{ event: 'pusher:error', data: { code: 4009, message: 'You got disconnected by the app.' } }]);
  }
});

test('#35 sends no pusher:error before it closes an established protocol 7 connection', async () => {
  for (const query of ['protocol=7', 'protocol=6']) {
    const client = await connect(host, { query });
    await host.do('disconnect', { socket_id: client.socketId, code: 4009, reason: 'Bye' });
    assert.deepEqual(await client.closed(), { code: 4009, reason: 'Bye' });
    assert.equal(client.frames.length, 1, JSON.stringify(client.frames));
  }
});

test('#36 answers invalid JSON with pusher:error, code null, and stays', async () => {
  const client = await connect(host);
  for (const text of INVALID) {
    client.send(text);
    await assertPlainError(client);
  }
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#37 stays after a JSON array, number or string, and after an object without event', async () => {
  const client = await connect(host);
  for (const text of [...NOT_OBJECTS, ...NO_EVENT]) {
    client.send(text);
    await assertPlainError(client);
  }
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#38 stays after an unknown pusher: event', async () => {
  const client = await connect(host);
  for (const event of ['pusher:', 'pusher:unknown', 'pusher:subscribed', 'Pusher:ping', 'pusher:connection_established', 'order.paid', '']) {
    client.send({ event, channel: 'orders', data: {} });
    await assertPlainError(client);
  }
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#39 does not act on pusher_internal: events of a client', async () => {
  const [one, two] = await Promise.all([connect(host), connect(host)]);
  await one.subscribe('presence-acted', { user_id: '1' });
  await two.subscribe('presence-acted', { user_id: '2' });
  await one.event('pusher_internal:member_added');
  for (const event of ['pusher_internal:member_removed', 'pusher_internal:member_added', 'pusher_internal:subscription_succeeded', 'pusher_internal:x']) {
    two.send({ event, channel: 'presence-acted', data: '{"user_id":"1"}' });
    await assertPlainError(two);
  }
  assert.deepEqual(await one.settle(), []);
  await one.close();
  await two.close();
});

test('#40 closes with 1003 on a binary frame and with 1007 on invalid UTF-8', async () => {
  const binary = await connect(host);
  binary.send(Buffer.from([1, 2, 3]));
  assert.equal((await binary.closed()).code, 1003);
  for (const bytes of ['c328', 'eda080', 'f8888080', 'c0af', '7b22ff22', 'f4908080']) {
    const raw = await rawClient(host);
    raw.write(wsFrame(1, Buffer.from(bytes, 'hex')));
    await raw.has(/\x88.\x03\xef/); // 1007
    await raw.over();
  }
});

test('#41 closes with 1009 on a message above the limit, however it is cut', async () => {
  const fits = await connect(host);
  fits.send(`{"event":"pusher:ping","data":"${'x'.repeat(20000 - 33)}"}`);
  assert.equal((await fits.next()).event, 'pusher:pong');
  const text = `{"event":"pusher:ping","data":"${'x'.repeat(20000 - 32)}"}`;
  assert.equal(text.length, 20001);
  fits.send(text);
  assert.equal((await fits.closed()).code, 1009);

  const cut = await rawClient(host);
  cut.write(wsFrame(1, 'x'.repeat(9000), { fin: false }));
  cut.write(wsFrame(0, 'x'.repeat(9000), { fin: false }));
  cut.write(wsFrame(0, 'x'.repeat(9000), { fin: false }));
  await cut.has(/\x88.\x03\xf1/); // 1009
  await cut.over();

  const declared = await rawClient(host);
  declared.write(wsFrame(1, 'x', { length: 2 ** 40 })); // the length and a first byte are enough
  await declared.has(/\x88.\x03\xf1/);
  await declared.over();
});

test('#42 accepts fragmented messages, with control frames between the fragments', async () => {
  const raw = await rawClient(host);
  raw.text = '';
  const text = '{"event":"pusher:subscribe","data":{"channel":"frag\\u006dents"}}';
  raw.write(wsFrame(1, text.slice(0, 1), { fin: false }));
  raw.write(wsFrame(9, 'between'));
  for (const letter of text.slice(1, -1)) raw.write(wsFrame(0, letter, { fin: false }));
  raw.write(wsFrame(0, '', { fin: false }));
  raw.write(wsFrame(10, 'unasked'));
  raw.write(wsFrame(0, '}'));
  await raw.has(/\x8a\x07between/);
  await raw.has(/subscription_succeeded","channel":"fragments"/);
  // and byte by byte on the wire
  raw.text = '';
  for (const byte of wsFrame(1, '{"event":"pusher:ping"}')) {
    raw.socket.write(Buffer.from([byte]));
    await sleep(1);
  }
  await raw.has(/pusher:pong/);
  raw.socket.destroy();
});

test('#43 accepts data as an object and as a JSON-encoded string', async () => {
  const client = await connect(host);
  const both = (data) => [data, JSON.stringify(data)];
  for (const data of both({ channel: 'orders', auth: null, channel_data: null })) {
    client.send({ event: 'pusher:subscribe', data });
    assert.equal((await client.next()).event, 'pusher_internal:subscription_succeeded');
    client.send({ event: 'pusher:unsubscribe', data: JSON.stringify({ channel: 'orders' }) });
    assert.deepEqual(await client.settle(), []);
  }
  const channelData = '{"user_id":"7"}';
  for (const data of both({ channel: 'presence-x', auth: channelAuth(APP, client.socketId, 'presence-x', channelData), channel_data: channelData })) {
    client.send({ event: 'pusher:subscribe', data });
    assert.equal((await client.next()).event, 'pusher_internal:subscription_succeeded');
    client.send({ event: 'pusher:unsubscribe', data: { channel: 'presence-x' } });
    assert.deepEqual(await client.settle(), []);
  }
  const userData = '{"id":"7"}';
  for (const data of both({ auth: userAuth(APP, client.socketId, userData), user_data: userData })) {
    client.send({ event: 'pusher:signin', data });
    assert.equal((await client.next()).event, 'pusher:signin_success');
  }
  await client.close();
});

test('#46 closes a connection whose send buffer overflows with 4100, and delays nobody', async () => {
  const slow = await connect(host, { app: BIG });
  const quick = await connect(host, { app: BIG });
  await slow.subscribe('flood');
  await quick.subscribe('flood');
  slow.ws.pause(); // its kernel buffers fill, then its queue in the server
  let n = 0;
  for (; n < 2000; n++) {
    await host.publish('flood', 'flood', JSON.stringify({ n, fill: 'x'.repeat(50000) }), { app: BIG.id });
    assert.equal(JSON.parse((await quick.next()).data).n, n); // every single one, in order, while the other one is stuck
    if ((await host.do('stats')).slow_closed_total) break;
  }
  assert.equal((await host.do('stats')).slow_closed_total, 1, `after ${n} events`);
  slow.ws.resume();
  const { code } = await slow.closed();
  // What it gets to see depends on what was written: the close, or an end in the middle of a frame.
  assert.ok(code === 4100 || code === 1006, String(code));
  await quick.close();
});
