'use strict';
// Compressed WebSocket messages (permessage-deflate, RFC 7692): what clients that agreed on them get, and what the others do.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const zlib = require('node:zlib');
const { APP, connect, startHost, startServe, tcp, trigger, upgradeHead, wsFrame } = require('./lib.js');

const COMPRESSED = { perMessageDeflate: { threshold: 0 } };
const PLAIN = { perMessageDeflate: false };
const MIN = 200;
const RULES = 1; // auth_mode

const long = (n) => JSON.stringify({ n, readings: Array.from({ length: 100 }, (_, i) => ({ gateway: `gw-${i}`, ok: true })) });
const extensions = (client) => client.ws.extensions;

test('nothing is compressed unless the server is told to', async (t) => {
  const host = await startHost({ options: { deflate_min_bytes: 0 } }, t);
  const client = await connect(host, COMPRESSED);
  assert.equal(extensions(client), '');
  await client.subscribe('a');
  await host.publish('a', 'n', long(1));
  assert.equal((await client.event('n')).data, long(1));
  assert.equal((await host.do('stats')).compressed_total, 0);
});

test('an event is compressed once for all clients that take it so, and all get the same', async (t) => {
  for (const workers of [1, 2]) {
    const host = await startHost({ options: { worker_count: workers, deflate_min_bytes: MIN } }, t);
    const kinds = [COMPRESSED, PLAIN, COMPRESSED, { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 9 } }, COMPRESSED,
      { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 12, clientMaxWindowBits: 12 } }];
    const clients = await Promise.all(kinds.map((kind) => connect(host, kind)));
    assert.deepEqual(clients.map((c) => extensions(c) !== ''), kinds.map((kind) => kind !== PLAIN));
    for (const client of clients) await client.subscribe('a');
    const before = await host.do('stats');
    for (let n = 0; n < 50; n++) await host.publish('a', 'n', n % 5 ? long(n) : `{"n":${n}}`);
    for (const client of clients) {
      for (let n = 0; n < 50; n++) assert.equal((await client.event('n')).data, n % 5 ? long(n) : `{"n":${n}}`);
    }
    const stats = await host.do('stats');
    assert.equal(stats.compressed_total - before.compressed_total, 40, 'not the short ones');
    assert.ok(stats.compressed_to_bytes_total * 5 < stats.compressed_from_bytes_total, JSON.stringify(stats));
  }
});

test('clients send compressed messages, whole and in fragments', async (t) => {
  const host = await startHost({ options: { deflate_min_bytes: MIN } }, t);
  const [sender, other] = [await connect(host, COMPRESSED), await connect(host, PLAIN)];
  for (const client of [sender, other]) await client.subscribe('private-a');
  for (const size of [1, 100, 9000]) {
    const message = JSON.stringify({ event: 'client-n', channel: 'private-a', data: { text: 'x'.repeat(size) } });
    sender.send(message);
    assert.deepEqual(JSON.parse((await other.event('client-n')).data), { text: 'x'.repeat(size) });
    sender.ws.send(message.slice(0, 30), { fin: false });
    sender.ws.send(message.slice(30), { fin: true });
    assert.deepEqual(JSON.parse((await other.event('client-n')).data), { text: 'x'.repeat(size) });
  }
});

test('replies are compressed as well: rosters, kept events', async (t) => {
  const host = await startHost({ options: { deflate_min_bytes: MIN } }, t);
  await host.publish('cache-a', 'n', long(1));
  for (let i = 0; i < 20; i++) {
    await (await connect(host, PLAIN)).subscribe('presence-a', { user_id: `user ${i}`, user_info: { name: `The name of user ${i}` } });
  }
  const client = await connect(host, COMPRESSED);
  const first = (await host.do('stats')).compressed_total;
  await client.subscribe('cache-a');
  assert.equal((await client.event('n')).data, long(1));
  const { presence } = JSON.parse((await client.subscribe('presence-a', { user_id: 'me' })).data);
  assert.equal(presence.count, 21);
  assert.equal((await host.do('stats')).compressed_total, first + 2);
});

test('each view is compressed by itself', async (t) => {
  const views = ['agent', 'customer'];
  const host = await startHost({
    apps: [{ ...APP, auth_mode: RULES }], hooks: ['identify'], options: { deflate_min_bytes: MIN, worker_count: 2 },
    rules: [{ pattern: 'tickets.{id}', redactions: { agent: [], customer: ['note'] } }],
  }, t);
  await host.do('answers', { rows: views.map((view) => ({ user: view, allow: true, view })) });
  const clients = [];
  for (const view of views) {
    for (const kind of [COMPRESSED, PLAIN, COMPRESSED]) {
      const client = await connect(host, { ...kind, query: `protocol=7&user=${view}` });
      client.view = view;
      client.ask('private-tickets.1');
      await client.event('pusher_internal:subscription_succeeded');
      clients.push(client);
    }
  }
  const seen = { text: 'for all '.repeat(60) };
  await host.publish('private-tickets.1', 'n', JSON.stringify({ ...seen, note: 'internal '.repeat(60) }));
  for (const client of clients) {
    const data = JSON.parse((await client.event('n')).data);
    assert.deepEqual(data, client.view === 'agent' ? { ...seen, note: 'internal '.repeat(60) } : seen);
  }
  assert.equal((await host.do('stats')).compressed_total, 2);
});

test('a bomb is refused before it takes memory, and only its sender suffers', async (t) => {
  const host = await startHost({ options: { deflate_min_bytes: MIN, max_frame_bytes: 20000000 } }, t);
  const honest = await connect(host, COMPRESSED);
  await honest.subscribe('a');
  const residentBytes = () => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${host.child.pid}/status`, 'latin1'))[1]) * 1024;
  const before = residentBytes();
  for (const zeros of [19000000, 30000000]) { // above the ratio, and above max_frame_bytes as well
    const raw = await tcp(host);
    raw.write(upgradeHead().replace('\r\n\r\n', '\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n'));
    await raw.has(/connection_established/);
    const bomb = zlib.deflateRawSync(Buffer.alloc(zeros), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    raw.socket.write(wsFrame(1, bomb.subarray(0, -4), { rsv: 4 }));
    await raw.has(/\x03\xf1Message too large/); // 1009
    raw.reset();
  }
  if (!process.env.ASAN_OPTIONS) assert.ok(residentBytes() - before < 16000000, `${residentBytes() - before}`);
  await host.publish('a', 'n', long(1));
  assert.equal((await honest.event('n')).data, long(1));
});

test('pusherc serve compresses with deflate_min_bytes in its config file', async (t) => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'deflate-')), 'config.json');
  t.after(() => fs.rmSync(path.dirname(file), { recursive: true }));
  fs.writeFileSync(file, JSON.stringify({ deflate_min_bytes: MIN }));
  const serve = await startServe(['--config', file], t);
  const client = await connect(serve, COMPRESSED);
  assert.equal(extensions(client), 'permessage-deflate');
  await client.subscribe('a');
  await trigger(serve, 'a', 'n', long(1));
  assert.equal((await client.event('n')).data, long(1));
});
