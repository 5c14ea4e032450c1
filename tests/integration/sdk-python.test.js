'use strict';
// The Python server SDK from PyPI, unmodified, against `pusherc serve`, with pusher-js at the other end.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { before, test } = require('node:test');
const { Program, TOP, connect, hmac, startHost, startServe } = require('./lib.js');
const { MASTER_KEY, pusher, startAuth, subscribe } = require('./clients.js');
const { receiver } = require('./receiver.js');

// The SDK wants an app id of digits.
const APP = { id: '123456', key: 'python-key', secret: 'python-secret' };
const MODULES = path.join(TOP, 'tests/python_modules');

let serve;
before(async () => { serve = await startServe(['--app', `${APP.id}:${APP.key}:${APP.secret}`]); });

/** A client of the SDK, in a process of its own that ends with the test: its methods by name. */
function python(t, more = {}) {
  assert.ok(fs.existsSync(MODULES), 'tools/python-packages installs the SDK');
  const { ASAN_OPTIONS, ...env } = process.env;
  const program = new Program('python3', [path.join(__dirname, 'sdk_python.py')], { env: { ...env, PYTHONPATH: MODULES, PYTHONDONTWRITEBYTECODE: '1' } });
  const write = (value) => program.child.stdin.write(`${JSON.stringify(value)}\n`);
  program.end = () => { program.child.stdin.end(); return program.ends(); };
  t.after(() => program.end());
  write({ app_id: APP.id, key: APP.key, secret: APP.secret, ssl: false, host: '127.0.0.1', port: serve.port, encryption_master_key_base64: MASTER_KEY, ...more });
  return async (method, args = [], named = {}) => {
    write({ do: method, args, named });
    const answer = JSON.parse(await program.lines.next());
    if (answer.raised) throw Object.assign(new Error(answer.text), { name: answer.raised });
    return answer.returned;
  };
}

/** pusher-js as user 7 or 8 on a channel. */
async function member(t, user, channel) {
  const auth = await startAuth(t, APP);
  return subscribe(pusher(t, serve, { app: APP, auth, user }), channel);
}

test('#209 Python SDK 3.3.4: triggers on one and on 100 channels, and to others', async (t) => {
  assert.ok(fs.existsSync(path.join(MODULES, 'pusher-3.3.4.dist-info')), 'the version that is pinned');
  const call = python(t);
  const client = pusher(t, serve, { app: APP });
  const names = Array.from({ length: 100 }, (_, i) => `python-${i}`);
  const channels = await Promise.all(names.map((name) => subscribe(client, name)));
  assert.deepEqual(await call('trigger', [names[0], 'paid', { id: 42, name: 'Zoë "7"' }]), {});
  assert.deepEqual((await channels[0].inbox.event('paid')).data, { id: 42, name: 'Zoë "7"' });
  await call('trigger', [names, 'all', 'text']);
  for (const channel of channels) assert.equal((await channel.inbox.event('all')).data, 'text');
  await assert.rejects(call('trigger', [[...names, 'one-more'], 'all', '']), /Too many channels/); // the SDK's own limit
  const other = await subscribe(pusher(t, serve, { app: APP }), names[0]);
  await call('trigger', [names[0], 'first', {}, client.connection.socket_id]);
  await call('trigger', [names[0], 'second', {}]);
  await other.inbox.event('first');
  assert.equal((await channels[0].inbox.next()).event, 'second');
});

test('#209 Python SDK 3.3.4: triggers a batch', async (t) => {
  const call = python(t);
  const client = pusher(t, serve, { app: APP });
  const [a, b] = [await subscribe(client, 'batch-a'), await subscribe(client, 'batch-b')];
  const events = Array.from({ length: 10 }, (_, n) => ({ channel: n % 2 ? 'batch-b' : 'batch-a', name: 'n', data: { n } }));
  assert.deepEqual(await call('trigger_batch', [events]), {});
  for (let n = 0; n < 10; n++) assert.deepEqual((await (n % 2 ? b : a).inbox.event('n')).data, { n });
});

test('#209 Python SDK 3.3.4: lists channels, one channel, and its users', async (t) => {
  const call = python(t);
  await member(t, '7', 'presence-python');
  await member(t, '8', 'presence-python');
  await member(t, '8', 'presence-python');
  assert.deepEqual(await call('channels_info', ['presence-py', ['user_count']]), { channels: { 'presence-python': { user_count: 2 } } });
  assert.deepEqual(await call('channels_info', ['nothing-like-it']), { channels: {} });
  assert.deepEqual(await call('channel_info', ['presence-python', ['user_count', 'subscription_count']]), { occupied: true, user_count: 2, subscription_count: 3 });
  assert.deepEqual((await call('users_info', ['presence-python'])).users.map(({ id }) => id).sort(), ['7', '8']);
  assert.deepEqual(await call('channel_info', ['free']), { occupied: false });
});

test('#209 Python SDK 3.3.4: terminates the connections of a user', async (t) => {
  const call = python(t);
  const clients = [];
  for (const id of ['7', '7', '8']) {
    clients.push(await connect(serve, { app: APP }));
    await clients.at(-1).signin({ id });
  }
  assert.deepEqual(await call('terminate_user_connections', ['7']), {});
  for (const client of clients.slice(0, 2)) assert.equal((await client.closed()).code, 4009);
  await clients[2].settle();
  await clients[2].close();
  assert.deepEqual(await call('terminate_user_connections', ['nobody']), {});
});

test('#209 Python SDK 3.3.4: sends to a user, signs subscriptions and sign-ins', async (t) => {
  const call = python(t);
  const client = await connect(serve, { app: APP });
  t.after(() => client.close());
  const user = await call('authenticate_user', [client.socketId, { id: '7', user_info: { name: 'Zoë' } }]);
  client.send({ event: 'pusher:signin', data: user });
  await client.event('pusher:signin_success');
  for (const [channel, ...data] of [['private-python'], ['presence-python', { user_id: '7', user_info: { name: 'Zoë "7"' } }], ['private-encrypted-python']]) {
    client.ask(channel, await call('authenticate', [channel, client.socketId, ...data]));
    await client.event('pusher_internal:subscription_succeeded', channel);
  }
  client.ask('#server-to-user-7', { auth: '' });
  await client.event('pusher_internal:subscription_succeeded', '#server-to-user-7');
  await call('send_to_user', ['7', 'greet', { hi: 1 }]);
  assert.equal((await client.event('greet')).data, '{"hi": 1}');
});

test('#209 Python SDK 3.3.4: publishes end-to-end encrypted', async (t) => {
  const call = python(t);
  const channel = await member(t, '7', 'private-encrypted-python');
  await call('trigger', ['private-encrypted-python', 'secret', { pin: 1234 }]);
  await call('trigger_batch', [[{ channel: 'private-encrypted-python', name: 'secret', data: { pin: 5678 } }]]);
  assert.deepEqual((await channel.inbox.event('secret')).data, { pin: 1234 });
  assert.deepEqual((await channel.inbox.event('secret')).data, { pin: 5678 });
});

test('#209 Python SDK 3.3.4: checks the webhooks that the server sends', async (t) => {
  const call = python(t);
  const r = await receiver(t);
  const host = await startHost({ apps: [{ ...APP, webhooks: [{ url: r.url }] }], options: { webhook_batch_ms: 50 } }, t);
  const client = await connect(host, { app: APP });
  await client.subscribe('presence-hooked', { user_id: '7' });
  await r.event('member_added');
  await client.close();
  for (const { headers, text } of r.requests.all) {
    const key = headers['x-pusher-key'];
    assert.deepEqual(await call('validate_webhook', [key, headers['x-pusher-signature'], text]), JSON.parse(text));
    assert.equal(await call('validate_webhook', [key, hmac('other', text), text]), null);
  }
});

test('#209 Python SDK 3.3.4: tells why it was refused', async (t) => {
  const call = python(t);
  await assert.rejects(call('channels_info', [null, ['user_count']]), { name: 'PusherBadRequest' });
  await assert.rejects(python(t, { secret: 'wrong' })('trigger', ['orders', 'e', {}]), { name: 'PusherBadAuth' });
});
