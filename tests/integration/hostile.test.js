'use strict';
// Hostile input: only its sender suffers. While each of these goes on, another client receives a steady
// stream of events, and must get every one of them, in order and in time.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, connect, dial, rawClient, request, sleep, startHost, tcp, until, upgradeHead, wsFrame } = require('./lib.js');

const OPTIONS = {
  max_frame_bytes: 65536, handshake_timeout_ms: 1500, close_timeout_ms: 500, pong_timeout_ms: 1000,
  out_hard_bytes: 262144, out_soft_bytes: 65536, out_soft_ms: 1000,
};
const QUICK = { id: 'quick', key: 'quick-key', secret: 's', activity_timeout_ms: 1000 };
const FLOOD = { id: 'flood', key: 'flood-key', secret: 's', max_event_payload_bytes: 60000, client_events: true };

let host;
let witness;
let publishing = true;
let published = 0;
let publisher;

async function publish() {
  while (publishing) {
    await host.publish('steady', 'tick', String(published++));
    await witness.next((f) => f.event === 'tick' && Number(f.data) === published - 1);
    await sleep(5);
  }
}

before(async () => {
  host = await startHost({ apps: [{ ...APP, max_channels_per_connection: 1000 }, QUICK, FLOOD], options: OPTIONS, constants: { request_timeout_ms: 1500, keep_alive_ms: 1500 } });
  witness = await connect(host);
  await witness.subscribe('steady');
  publisher = publish();
});

// Events go on arriving, each once and in order.
async function assertSteady() {
  const from = published;
  await until(() => published >= from + 3, 'three more events');
  const ticks = witness.frames.filter((f) => f.event === 'tick');
  ticks.forEach((f, i) => assert.equal(f.data, String(i)));
  assert.ok(witness.isOpen);
}

const hostile = (name, act) => test(name, async () => {
  await act();
  await assertSteady();
});

const CLOSE = (code) => new RegExp(`\\x88[\\x02-\\x7d]${[code >> 8, code & 255].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('')}`);

hostile('30,000 open brackets', async () => {
  const client = await connect(host);
  for (const text of ['['.repeat(30000), '{"a":'.repeat(10000), `{"event":"pusher:subscribe","data":${'['.repeat(30000)}`, `{"event":"pusher:subscribe","data":"${'['.repeat(30000)}"}`,
    `{"event":"client-x","channel":"private-x","data":${'['.repeat(15000)}${']'.repeat(15000)}}`, `{"data":${'{"a":'.repeat(8000)}1${'}'.repeat(8000)},"event":"pusher:ping"}`,
    `[${'{},'.repeat(20000)}{}]`, '"'.repeat(60000), '\\'.repeat(60000), `{"event":"${'\\u0041'.repeat(10000)}"}`]) {
    client.send(text);
    const { event } = await client.next();
    assert.ok(event === 'pusher:error' || event === 'pusher:pong', event);
  }
  assert.deepEqual(await client.settle(), []);
  await client.close();
  for (const body of ['['.repeat(30000), `{"name":"x","channel":"x","data":${'['.repeat(200000)}`, '{"batch":'.repeat(50000)])
    assert.equal((await request(host, 'POST', '/apps/app-id/events?auth_key=app-key', { body })).status, 401);
});

hostile('known events without their data, or with data of any other shape', async () => {
  const client = await connect(host);
  const values = [undefined, null, 7, -1e308, true, '', 'x', '[]', '{', [], [[]], {}, { channel: {} }, { channel: [] }, { channel: null }, { channel: 'c', auth: {} }, { channel: 'private-c', auth: [] },
    { channel: 'presence-c', auth: 'x:y', channel_data: {} }, { channel: 'presence-c', channel_data: 7 }, { auth: 7, user_data: [] }, { auth: 'x', user_data: '{' }, '{"channel":7}', '"{}"'];
  let answers = 0;
  for (const event of ['pusher:subscribe', 'pusher:unsubscribe', 'pusher:signin', 'pusher:ping', 'pusher:pong', 'client-x', 'pusher_internal:member_added', 'pusher:cache_miss'])
    for (const data of values) {
      client.send({ event, data });
      client.send({ event, data, channel: data });
      answers += event === 'pusher:pong' ? 0 : 2;
      if (event.startsWith('pusher:sub')) client.send('{"event":"pusher:ping"}'); // never a hundred bad ones in a row
    }
  assert.ok(answers > 100);
  await client.settle();
  assert.ok(client.isOpen);
  await client.close();
});

hostile('events and channels with names of every kind', async () => {
  const client = await connect(host);
  const names = ['', '\u0001', '\u2028', '%s%n%x', '../../etc/passwd', '__proto__', 'a'.repeat(20000), '😀'.repeat(4000), "'; DROP TABLE x; --", '<script>', '#server-to-user-', '#', '-'.repeat(200)];
  for (const name of names) {
    client.ask(name, { auth: name, channel_data: name });
    client.ask(`private-${name}`, { auth: `app-key:${name}` });
    client.send({ event: name, channel: name, data: name });
    client.send({ event: `client-${name}`, channel: `private-${name}`, data: name });
    client.send({ event: 'pusher:unsubscribe', data: { channel: name } });
  }
  await client.settle();
  await client.close();
});

hostile('100 invalid messages in a row end the connection, 99 do not', async () => {
  const patient = await connect(host);
  for (let i = 0; i < 3; i++) {
    for (let n = 0; n < 99; n++) patient.send('x');
    patient.send({ event: 'pusher:ping' });
  }
  await patient.settle();
  await patient.close();
  const rude = await connect(host);
  for (let n = 0; n < 1000; n++) rude.send('x');
  assert.equal((await rude.closed()).code, 4100);
});

hostile('broken WebSocket frames of every kind', async () => {
  const cases = [
    ['not masked', wsFrame(1, '{}', { masked: false }), 1002],
    ['reserved bit', wsFrame(1, '{}', { rsv: 4 }), 1002],
    ['reserved opcode', wsFrame(3, 'x'), 1002],
    ['reserved control opcode', wsFrame(11, 'x'), 1002],
    ['fragmented ping', wsFrame(9, 'x', { fin: false }), 1002],
    ['fragmented close', wsFrame(8, '\x03\xe8', { fin: false }), 1002],
    ['ping of 126 bytes', wsFrame(9, 'x'.repeat(126)), 1002],
    ['continuation of nothing', wsFrame(0, 'x'), 1002],
    ['message inside a message', Buffer.concat([wsFrame(1, 'x', { fin: false }), wsFrame(1, 'y')]), 1002],
    ['length longer than needed', wsFrame(1, 'x', { lengthBytes: 2 }), 1002],
    ['length much longer than needed', wsFrame(1, 'x', { lengthBytes: 8 }), 1002],
    ['negative length', Buffer.concat([wsFrame(1, '', { length: 2 ** 53, lengthBytes: 8 }).fill(0xff, 2, 3), Buffer.from('x')]), 1002],
    ['length of an exabyte', wsFrame(1, 'x', { length: 2 ** 52 }), 1009],
    ['above the limit', wsFrame(1, 'x'.repeat(65537)), 1009],
    ['close with one byte', wsFrame(8, 'x'), 1002],
    ['close with a bad code', wsFrame(8, Buffer.from([0x03, 0xed])), 1002], // 1005
    ['close with bad UTF-8', wsFrame(8, Buffer.from([0x03, 0xe8, 0xff])), 1007],
    ['binary', wsFrame(2, '{}'), 1003],
    ['bad UTF-8', wsFrame(1, Buffer.from([0xff])), 1007],
  ];
  for (const [what, bytes, code] of cases) {
    const raw = await rawClient(host);
    raw.text = '';
    raw.write(bytes);
    try {
      await raw.has(CLOSE(code));
    } catch {
      assert.fail(`${what}: ${Buffer.from(raw.text, 'latin1').toString('hex')}`);
    }
    await raw.over();
  }
});

hostile('1,000 pieces of noise after the handshake', async () => {
  // a generator of its own, so that a failure can be repeated
  let seed = 12345;
  const random = (n) => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return (seed >> 8) % n; };
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, async () => {
      const raw = await tcp(host);
      const noise = Buffer.from(Array.from({ length: 1 + random(200) }, () => random(256)));
      if (random(2)) noise[0] = 0x81; // looks like text at first
      if (random(2)) noise[1 % noise.length] |= 0x80; // and masked
      raw.socket.write(Buffer.concat([Buffer.from(upgradeHead()), noise]));
      await raw.has(/established/);
      if (random(2)) raw.reset();
      else raw.socket.destroy();
    }));
  }
});

hostile('1,000 malformed HTTP requests', async () => {
  const line = ['GET / HTTP/1.1', 'GET', ' / HTTP/1.1', 'GET  HTTP/1.1', 'GET / HTTP/9', 'G\0T / HTTP/1.1', '\r\n\r\nGET / HTTP/1.1', 'POST /apps/app-id/events HTTP/1.1', 'get / HTTP/1.1', 'GET /\x7f\xff HTTP/1.1'];
  const fields = ['Host: x', ': x', 'Host', 'Content-Length: -5', 'Content-Length: 99999999999999999999', 'Transfer-Encoding: chunked', 'Upgrade: websocket', 'A: \0', 'X'.repeat(300), 'Connection: upgrade, close'];
  let n = 0;
  for (const a of line) {
    await Promise.all(fields.flatMap((b) => fields.map(async (c) => {
      n++;
      const raw = await tcp(host);
      raw.write(`${a}\r\n${b}\r\n${c}\r\n\r\n${n % 3 ? 'fffffffffffffffffff\r\n\r\n' : ''}`);
      if (n % 5 === 0) raw.reset();
      else if (n % 2) raw.socket.end();
      await Promise.race([raw.over(), sleep(100)]);
      raw.socket.destroy();
    })));
  }
  assert.equal(n, 1000);
});

hostile('endless heads, lines and fields', async () => {
  const floods = await Promise.all([
    ['GET /', 'x'.repeat(1000)], ['GET / HTTP/1.1\r\n', 'X-Field: value\r\n'], ['GET / HTTP/1.1\r\nX: ', 'y'.repeat(1000)], ['', 'A'.repeat(1000)], ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;', 'e'.repeat(1000)],
    ['POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', 'T: t\r\n'], ['', '\r\n'],
  ].map(async ([start, more]) => {
    const raw = await tcp(host);
    let over = false;
    raw.ended.then(() => { over = true; });
    raw.write(start);
    for (let i = 0; i < 2000 && !over; i++) {
      raw.write(more);
      if (i % 50 === 49) await sleep(1);
    }
    await raw.over();
    return raw.text;
  }));
  for (const text of floods) assert.match(text, /^(HTTP\/1\.1 (400|408|413|414|431|501) |$)/);
});

hostile('pipelined requests in masses, with garbage behind them', async () => {
  const raw = await tcp(host);
  raw.write(`${'GET /ready HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2000)}garbage garbage\r\n\r\n`);
  await raw.over();
  assert.equal(raw.text.match(/HTTP\/1\.1 200/g).length, 2000);
  assert.match(raw.text, /HTTP\/1\.1 (400|501) [^]*$/);
  const deaf = await tcp(host); // asks, and never reads an answer
  deaf.socket.pause();
  for (let i = 0; i < 40; i++) {
    deaf.write('GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000));
    await sleep(10);
  }
  assert.ok((await host.do('stats')).out_queued_bytes < 4 * 1024 * 1024, 'what it did not read does not pile up');
  deaf.socket.destroy();
});

hostile('slow lorises do not hold places for ever', async () => {
  const all = await Promise.all(Array.from({ length: 100 }, () => tcp(host)));
  const timers = all.map((raw, i) => {
    const text = i % 2 ? upgradeHead() : 'POST /apps/app-id/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n';
    let at = 0;
    return setInterval(() => { if (!raw.socket.destroyed) raw.write(text[at++] || 'x'); }, 100);
  });
  await Promise.all(all.map((raw) => raw.over()));
  timers.forEach(clearInterval);
});

hostile('a PING flood whose PONGs nobody reads', async () => {
  const raw = await rawClient(host);
  raw.socket.pause();
  const pings = Buffer.concat(Array.from({ length: 500 }, () => wsFrame(9, 'p'.repeat(125))));
  let over = false;
  raw.socket.on('close', () => { over = true; });
  raw.socket.on('error', () => { over = true; });
  for (let i = 0; i < 200 && !over; i++) {
    raw.socket.write(pings);
    await sleep(2);
  }
  assert.ok((await host.do('stats')).out_queued_bytes < 1024 * 1024);
  raw.socket.destroy();
});

hostile('clients that never read are closed, one by one', async () => {
  const slow = await Promise.all(Array.from({ length: 5 }, () => connect(host, { app: FLOOD })));
  for (const client of slow) {
    await client.subscribe('flood');
    client.ws.pause();
  }
  const before = (await host.do('stats')).slow_closed_total;
  for (let n = 0; n < 3000; n++) {
    await host.publish('flood', 'flood', 'x'.repeat(50000), { app: FLOOD.id });
    const { slow_closed_total: closed } = await host.do('stats');
    if (closed === before + 5) break;
  }
  assert.equal((await host.do('stats')).slow_closed_total, before + 5);
  for (const client of slow) client.ws.terminate();
});

hostile('half-closed and reset connections at every stage', async () => {
  const stages = [
    async () => tcp(host),
    async () => { const raw = await tcp(host); raw.write('GET /rea'); return raw; },
    async () => { const raw = await tcp(host); raw.write(upgradeHead().slice(0, 60)); return raw; },
    async () => { const raw = await tcp(host); raw.write(upgradeHead()); return raw; },
    async () => rawClient(host),
    async () => { const raw = await rawClient(host); raw.write(wsFrame(1, '{"event":"pusher:subscribe","data":{"channel":"steady"}}')); return raw; },
    async () => { const raw = await rawClient(host); raw.write(wsFrame(1, '{"event":"pus', { fin: false })); return raw; },
    async () => { const raw = await rawClient(host); raw.write(wsFrame(1, 'x'.repeat(1000)).subarray(0, 500)); return raw; },
    async () => { const raw = await rawClient(host); raw.write(wsFrame(8, Buffer.from([0x03, 0xe8]))); return raw; },
  ];
  for (let round = 0; round < 5; round++)
    await Promise.all(stages.flatMap((stage) => [
      stage().then(async (raw) => { raw.socket.end(); await raw.over(); }),
      stage().then((raw) => raw.reset()),
      stage().then(async (raw) => { await sleep(20); raw.reset(); }),
    ]));
});

hostile('connections in masses that do nothing, or come and go', async () => {
  const idle = await Promise.all(Array.from({ length: 300 }, () => tcp(host)));
  for (let i = 0; i < 10; i++) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => dial(host)));
    for (const client of clients) {
      client.ask('steady');
      client.ws.terminate();
    }
  }
  for (const raw of idle) raw.socket.destroy();
});

hostile('subscriptions in masses are limited', async () => {
  const client = await connect(host);
  for (let i = 0; i < 1100; i++) client.ask(`mass-${i}`);
  const frames = await client.settle();
  assert.equal(frames.filter((f) => f.event === 'pusher_internal:subscription_succeeded').length, 1000);
  const refusals = frames.filter((f) => f.event === 'pusher:subscription_error').map((f) => JSON.parse(f.data));
  assert.ok(refusals.length === 100 && refusals.every((r) => r.type === 'LimitReached' && r.status === 403));
  client.ws.terminate();
  await until(async () => (await host.do('channels', { prefix: 'mass-' })).channels.length === 0);
});

hostile('a message that never ends is ended by its deadline', async () => {
  const raw = await rawClient(host);
  raw.write(wsFrame(1, 'x', { fin: false }));
  await raw.has(/The message took too long/);
  await raw.over();
});

test('in the end nothing was lost and nothing is left', async () => {
  await assertSteady();
  publishing = false;
  await publisher;
  assert.equal(witness.frames.filter((f) => f.event === 'tick').length, published);
  await until(async () => (await host.do('stats')).sockets === 1, 'the other sockets are gone');
});
