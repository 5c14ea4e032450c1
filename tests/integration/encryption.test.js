'use strict';
// End-to-end encrypted channels: what the host publishes, the stock client decrypts, and what is on the wire.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const nacl = require('tweetnacl');
const { APP, api, connect, startHost, trigger } = require('./lib.js');
const { MASTER_KEY, pusher, sdk, startAuth, subscribe } = require('./clients.js');

const KEYLESS = { ...APP, id: 'keyless', key: 'keyless-key' };
const WITH_KEY = { ...APP, encryption_master_key: MASTER_KEY };
const CHANNEL = 'private-encrypted-vault';

let host;
before(async () => { host = await startHost({ apps: [WITH_KEY, KEYLESS], options: { worker_count: 2 } }); });

const open = (server, channel, data) => {
  const { nonce, ciphertext } = JSON.parse(data);
  const secret = Buffer.from(sdk(server).authorizeChannel('1.1', channel).shared_secret, 'base64');
  const plain = nacl.secretbox.open(Buffer.from(ciphertext, 'base64'), Buffer.from(nonce, 'base64'), secret);
  return plain && Buffer.from(plain).toString();
};

test('what the host publishes, pusher-js decrypts', async (t) => {
  const channel = await subscribe(pusher(t, host, { auth: await startAuth(t) }), CHANNEL);
  const payloads = [{ pin: 1234 }, 'text', '', { name: 'Zoë "7" \u2028' }, ['x'.repeat(7000)], 7, null];
  for (const data of payloads) await host.publish(CHANNEL, 'opened', JSON.stringify(data));
  for (const data of payloads) assert.deepEqual((await channel.inbox.event('opened')).data, data);
  await host.publish(CHANNEL, 'opened', 'no JSON');
  assert.equal((await channel.inbox.event('opened')).data, 'no JSON');
});

test('nothing of the data is on the wire, and another channel\'s secret does not open it', async () => {
  const client = await connect(host);
  await client.subscribe(CHANNEL);
  await host.publish(CHANNEL, 'opened', '{"pin":"s3cr3t"}');
  const { raw, data } = await client.event('opened');
  assert.ok(!raw.includes('s3cr3t') && !raw.includes('pin'));
  assert.deepEqual(Object.keys(JSON.parse(data)).sort(), ['ciphertext', 'nonce']);
  assert.equal(open(host, CHANNEL, data), '{"pin":"s3cr3t"}');
  assert.equal(open(host, 'private-encrypted-other', data), null);
  await client.close();
});

test('#182 each message has a fresh nonce of 24 bytes', async () => {
  const client = await connect(host);
  await client.subscribe(CHANNEL);
  for (let i = 0; i < 50; i++) await host.publish(CHANNEL, 'same', '{}');
  const nonces = new Set();
  for (let i = 0; i < 50; i++) {
    const { nonce } = JSON.parse((await client.event('same')).data);
    assert.equal(Buffer.from(nonce, 'base64').length, 24);
    nonces.add(nonce);
  }
  assert.equal(nonces.size, 50);
  await client.close();
});

test('#181 an encrypted channel is published to alone', async () => {
  const client = await connect(host);
  await client.subscribe(CHANNEL);
  await client.subscribe('orders');
  const publish = (channels, more) => host.try('publish', { channels, name: 'e', data: '{}', ...more });
  assert.equal((await publish([CHANNEL, 'orders'])).rc, 'EINVAL');
  assert.equal((await publish(['orders', CHANNEL])).rc, 'EINVAL');
  assert.equal((await publish([CHANNEL, 'private-encrypted-other'])).rc, 'EINVAL');
  const batch = [{ channels: ['orders'], name: 'e', data: '{}' }, { channels: [CHANNEL, 'orders'], name: 'e', data: '{}' }];
  assert.equal((await host.try('batch', { batch })).rc, 'EINVAL');
  assert.deepEqual(await client.settle(), [], 'nothing of it was sent');
  assert.equal((await publish([CHANNEL, CHANNEL])).rc, 'OK'); // one channel, named twice
  assert.equal((await client.settle()).length, 1);
  // what is not encrypted here may go anywhere
  assert.equal((await publish([CHANNEL, 'orders'], { encrypted: true })).rc, 'OK');
  assert.equal((await publish([CHANNEL, 'orders'], { app: KEYLESS.id })).rc, 'OK');
  await client.close();
});

test('a batch encrypts each event for its own channel', async (t) => {
  const auth = await startAuth(t);
  const client = pusher(t, host, { auth });
  const names = [CHANNEL, 'private-encrypted-b', 'orders'];
  const channels = [];
  for (const name of names) channels.push(await subscribe(client, name));
  await host.do('batch', { batch: names.map((name, n) => ({ channels: [name], name: 'e', data: JSON.stringify({ n }) })) });
  for (const [n, channel] of channels.entries()) assert.deepEqual((await channel.inbox.event('e')).data, { n });
});

test('data that is encrypted already is relayed as it is, as is all of an app without master key', async () => {
  const [client, keyless] = [await connect(host), await connect(host, { app: KEYLESS })];
  for (const one of [client, keyless]) await one.subscribe(CHANNEL);
  const data = '{"nonce":"n","ciphertext":"c"}';
  await host.publish(CHANNEL, 'ready', data, { encrypted: true });
  assert.equal((await client.event('ready')).data, data);
  await host.publish(CHANNEL, 'plain', '{"pin":1}', { app: KEYLESS.id });
  assert.equal((await keyless.event('plain')).data, '{"pin":1}');
  await trigger(host, CHANNEL, 'http', '{"pin":2}'); // SDKs have encrypted what they send
  assert.equal((await client.event('http')).data, '{"pin":2}');
  await Promise.all([client.close(), keyless.close()]);
});

test('the size limit counts the encrypted text', async () => {
  const client = await connect(host);
  await client.subscribe(CHANNEL);
  const head = '{"nonce":"","ciphertext":""}'.length + 32;
  const most = Math.floor((10240 - head) / 4) * 3 - 16; // the longest data whose encrypted text still fits
  const publish = (length, more) => host.try('publish', { channels: [CHANNEL], name: 'e', data: 'x'.repeat(length), ...more });
  assert.equal((await publish(most)).rc, 'OK');
  assert.equal(open(host, CHANNEL, (await client.event('e')).data).length, most);
  assert.equal((await publish(most + 1)).rc, 'ELIMIT');
  assert.equal((await publish(most + 1, { encrypted: true })).rc, 'OK');
  assert.equal((await host.try('publish', { channels: [CHANNEL], name: 'e', data_hex: 'ff' })).rc, 'EINVAL', 'data is UTF-8');
  await client.close();
});

test('the SDK refuses to mix encrypted channels, and so does the server nothing that it need not', async () => {
  assert.throws(() => sdk(host).trigger([CHANNEL, 'orders'], 'e', {}), /encrypted/);
  const answer = await api(host, 'POST', '/events', { body: { name: 'e', data: '{}', channels: [CHANNEL, 'orders'] } });
  assert.equal(answer.status, 200, 'over HTTP nothing is encrypted here');
});
