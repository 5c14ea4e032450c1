'use strict';
// Server SDKs and Laravel's broadcaster that no package registry of ours has: every request that they made when they were
// run against `pusherc serve`, as they made it (../vectors/sdks/), sent again. A signature holds for ten minutes, so it
// is made anew: the same string, first shown to give the SDK's own signature.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { before, test } = require('node:test');
const nacl = require('tweetnacl');
const { connect, hmac, md5, nowS, request, startHost } = require('./lib.js');
const { MASTER_KEY, sdk } = require('./clients.js');

const APP = { id: '123456', key: 'app-key', secret: 'app-secret' };
const MANY = Array.from({ length: 101 }, (_, i) => `ch-${i}`);
const CHANNELS = ['orders', 'private-orders', 'private-App.Models.User.7', 'presence-room', 'private-encrypted-vault'];

let server;
before(async () => { server = await startHost({ apps: [APP], options: { worker_count: 2 } }); });

const recorded = (name) => JSON.parse(fs.readFileSync(path.join(__dirname, '../vectors/sdks', `${name}.json`), 'utf8'));

/** The query of a recording, signed as its SDK signs. */
function signed({ method, path: target, query, sign }, { timestamp, body }) {
  const fill = (text, signature) => text.replace('{timestamp}', timestamp).replace('{md5}', md5(body)).replace('{signature}', signature);
  const signature = hmac(APP.secret, `${method}\n${target}\n${fill(sign)}`);
  return { signature, query: fill(query, signature) };
}

/** Two signed-in members on every channel that is recorded; `members[0]` is the one that is left out. */
async function members(t, channels) {
  const clients = [];
  for (const id of ['7', '8']) {
    const client = await connect(server, { app: APP });
    t.after(() => client.close());
    await client.signin({ id });
    client.ask(`#server-to-user-${id}`, { auth: '' });
    await client.event('pusher_internal:subscription_succeeded');
    client.channels = [...channels, `#server-to-user-${id}`];
    for (const channel of channels) await client.subscribe(channel, channel.startsWith('presence-') ? { user_id: id } : undefined);
    clients.push(client);
  }
  for (const client of clients) await client.settle();
  return clients;
}

/** The frames that a request has to cause at a client, in order. */
function expected(body, client) {
  const { batch = [body] } = body;
  return batch.filter((event) => event.name && event.socket_id !== client.socketId)
    .flatMap(({ name, data, channel, channels = [channel] }) => channels.filter((one) => client.channels.includes(one)).map((one) => ({ event: name, channel: one, data })));
}

/** Users are listed as they came; those of the test before may leave late. */
const inOrder = (answer) => (answer.users ? { ...answer, users: answer.users.toSorted((a, b) => a.id.localeCompare(b.id)) } : answer);

/** Sends one of them again; what comes of it is what came then, and what its body says. */
async function replay(one, clients) {
  assert.equal(signed(one, { timestamp: one.recorded.timestamp, body: one.body.replace('{socket}', one.recorded.socket) }).signature, one.recorded.signature);
  const body = one.body.replace('{socket}', clients[0].socketId);
  const { query } = signed(one, { timestamp: nowS(), body });
  const answer = await request(server, one.method, `${one.path}?${query}`, { body, headers: { ...one.headers, ...(body && { 'Content-Length': Buffer.byteLength(body) }) } });
  assert.equal(answer.status, 200, answer.text); // nothing else will do for PHP
  assert.match(answer.headers['content-type'], /^application\/json/);
  if (one.answer.channels && one.path.endsWith('/channels')) // there were others then
    for (const name of Object.keys(one.answer.channels)) assert.deepEqual(answer.json.channels[name], name === 'ch-100' ? undefined : one.answer.channels[name]);
  else assert.deepEqual(inOrder(answer.json), inOrder(one.answer));
  for (const client of clients) assert.deepEqual(await client.settle(), one.path.endsWith('events') ? expected(JSON.parse(body), client) : []);
  return body && JSON.parse(body);
}

/** What the SDK encrypted, as a client reads it. */
function decrypted(data) {
  const { nonce, ciphertext } = JSON.parse(data);
  const secret = Buffer.from(sdk(server).authorizeChannel('1.1', 'private-encrypted-vault').shared_secret, 'base64');
  return JSON.parse(Buffer.from(nacl.secretbox.open(Buffer.from(ciphertext, 'base64'), Buffer.from(nonce, 'base64'), secret)).toString());
}

const NEEDED = ['trigger', 'trigger several', 'encrypted', 'batch', 'channels', 'channels filter', 'channel', 'users', 'send to user'];

for (const [name, more] of [['php', ['trigger array of one', 'channels array info', 'terminate', 'async']], ['ruby', ['terminate', 'resource users']], ['go', []]]) {
  const { sdk: what, requests } = recorded(name);
  test(`#209 ${what}: events, batches, channels, users`, async (t) => {
    const clients = await members(t, CHANNELS);
    assert.deepEqual([...new Set(requests.map(({ call }) => call))].sort(), [...NEEDED, ...more].sort());
    const leaver = await connect(server, { app: APP });
    await leaver.signin({ id: '9' });
    for (const one of requests) {
      const body = await t.test(one.call, () => replay(one, clients)) || JSON.parse(one.body || 'null');
      if (one.call === 'encrypted') assert.deepEqual(decrypted(body.data), { pin: 1234 });
      if (one.call === 'terminate') assert.equal((await leaver.closed()).code, 4009);
      if (one.call === 'batch') assert.deepEqual(decrypted(body.batch[2].data), { n: 3 });
    }
    await leaver.close();
  });
}

test(`#210 ${recorded('laravel').sdk}`, async (t) => {
  const clients = await members(t, [...CHANNELS, ...MANY]);
  const { requests } = recorded('laravel');
  for (const driver of ['pusher', 'reverb']) {
    const calls = (call) => requests.filter((one) => one.call === `${driver} ${call}`);
    await t.test(`${driver}: an event, to others, a notification`, async () => {
      for (const call of ['one', 'toOthers', 'notification']) {
        assert.equal(calls(call).length, 1);
        await replay(calls(call)[0], clients);
      }
      assert.ok(calls('toOthers')[0].body.includes('"socket_id":"{socket}"'));
    });
    await t.test(`${driver}: an encrypted event`, async () => {
      assert.deepEqual(decrypted(JSON.parse(calls('encrypted')[0].body).data), { pin: 1 });
      await replay(calls('encrypted')[0], clients);
    });
    await t.test(`${driver}: 101 channels, in two requests`, async () => {
      assert.deepEqual(calls('101').map(({ body }) => { const { channel, channels = [channel] } = JSON.parse(body); return channels.length; }), [100, 1]);
      for (const one of calls('101')) await replay(one, clients);
    });
  }
});
