'use strict';
// B.1: connection and handshake.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, connect, dial, refused, request, startHost, tcp, upgradeHead } = require('../integration/lib.js');

const DISABLED = { id: 'disabled', key: 'disabled-key', secret: 's', disabled: true };
const TLS = { id: 'tls', key: 'tls-key', secret: 's', tls_only: true };
const SMALL = { id: 'small', key: 'small-key', secret: 's', max_connections: 2 };
const ORIGINS = { id: 'origins', key: 'origins-key', secret: 's', allowed_origins: ['example.com', '*.example.org'] };
const LENIENT = { id: 'lenient', key: 'lenient-key', secret: 's', allow_missing_protocol: true };
const SLOW = { id: 'slow', key: 'slow-key', secret: 's', activity_timeout_ms: 7000 };
const MUTE = { id: 'mute', key: 'mute-key', secret: 's', activity_timeout_ms: 3600000 }; // its clients may say nothing

let host;
let prefixed;
before(async () => {
  host = await startHost({ apps: [APP, DISABLED, TLS, SMALL, ORIGINS, LENIENT, SLOW, MUTE] });
  prefixed = await startHost({ options: { path_prefix: '/ws/v1' } });
});

/** Every way of turning a client away before it is established looks the same. */
async function assertRefused(options, code) {
  const answer = await refused(host, options);
  assert.equal(answer.code, code);
  assert.ok(answer.reason.length > 0 && Buffer.byteLength(answer.reason) <= 123, answer.reason);
  assert.equal(answer.frames.length, 1, JSON.stringify(answer.frames));
  assert.equal(answer.error.event, 'pusher:error');
  assert.equal(answer.error.data.code, code);
  assert.equal(typeof answer.error.data.message, 'string');
  return answer;
}

test('#1 upgrades /app/{key} with the query that pusher-js sends', async () => {
  const raw = await tcp(host);
  raw.write(upgradeHead());
  await raw.has(/^HTTP\/1\.1 101 [^]*\r\n\r\n/);
  assert.match(raw.text, /^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/im); // RFC 6455, section 1.3
  raw.socket.destroy();
});

test('#2 upgrades below the configured prefix, and ignores unknown parameters', async () => {
  const client = await connect(prefixed, { target: `/ws/v1/app/${APP.key}?x=1&protocol=7&y&=z&protocol2=8&a=%ff` });
  await client.close();
  assert.equal((await refused(prefixed, {})).code, 4005, 'the bare path is not served');
  assert.equal((await refused(prefixed, { target: `/ws/v12/app/${APP.key}?protocol=7` })).code, 4005);
  const odd = await connect(host, { query: 'flash=true&unknown=%00&protocol=7' });
  await odd.close();
  const coded = await connect(host, { target: '/app/app%2Dkey?protocol=7' });
  await coded.close();
});

test('#3 sends pusher:connection_established first', async () => {
  const client = await dial(host);
  client.ask('orders');
  assert.equal((await client.next()).event, 'pusher:connection_established');
  await client.close();
});

test('#4 sends its data as a JSON-encoded string with socket_id and activity_timeout', async () => {
  const client = await connect(host);
  assert.equal(typeof client.established.data, 'string');
  assert.deepEqual(Object.keys(JSON.parse(client.established.data)).sort(), ['activity_timeout', 'socket_id']);
  await client.close();
});

test('#5 sends a socket_id of two integers', async () => {
  const client = await connect(host);
  assert.match(client.socketId, /^[1-9]\d*\.[1-9]\d*$/);
  await client.close();
});

test('#6 gives 10,000 live connections 10,000 socket ids', async () => {
  const all = [];
  for (let batch = 0; batch < 100; batch++) {
    const some = await Promise.all(Array.from({ length: 100 }, async () => {
      const raw = await tcp(host);
      raw.write(upgradeHead(MUTE));
      const [, id] = await raw.has(/socket_id\\":\\"(\d+\.\d+)/);
      return { raw, id };
    }));
    all.push(...some);
  }
  assert.equal(new Set(all.map(({ id }) => id)).size, 10000);
  assert.equal((await host.do('stats')).connections, 10000);
  for (const { raw } of all) raw.socket.destroy();
});

test('#7 sends an activity_timeout above 0, by default 30, for protocols 4 to 7', async () => {
  for (const protocol of [4, 5, 6, 7]) {
    const client = await connect(host, { query: `protocol=${protocol}` });
    assert.equal(JSON.parse(client.established.data).activity_timeout, 30);
    await client.close();
  }
  const slow = await connect(host, { app: SLOW });
  assert.equal(JSON.parse(slow.established.data).activity_timeout, 7);
  await slow.close();
});

test('#8 accepts protocols 5, 6 and 7, whatever the client calls itself', async () => {
  for (const query of ['protocol=5&client=java-client&version=2.4.4', 'protocol=6', 'protocol=7&version=%00odd',
    'client=pusher-websocket-swift&version=10.1&protocol=7']) {
    const client = await connect(host, { query });
    assert.equal((await client.subscribe('orders')).event, 'pusher_internal:subscription_succeeded');
    await client.close();
  }
});

test('#9 closes with 4007 for protocols 3 and 8', async () => {
  for (const version of [0, 1, 2, 3, 8, 4294967303, '18446744073709551615'])
    await assertRefused({ query: `protocol=${version}` }, 4007);
});

test('#10 closes with 4008 without a protocol, unless the app allows it', async () => {
  await assertRefused({ query: 'client=js&version=8.6.0' }, 4008);
  await assertRefused({ query: '' }, 4008);
  await assertRefused({ target: `/app/${APP.key}` }, 4008);
  const client = await connect(host, { app: LENIENT, query: 'client=js' });
  await client.close();
});

test('#11 closes with 4006 when the protocol is not an integer', async () => {
  for (const text of ['seven', '7.0', '-7', '7x', '+7', '0x7', '%37%00'])
    await assertRefused({ query: `protocol=${text}` }, 4006);
});

test('#12 closes with 4001 and a reason for an unknown key', async () => {
  const { reason } = await assertRefused({ app: { key: 'nope' } }, 4001);
  assert.match(reason, /nope/);
  await assertRefused({ app: { key: 'x'.repeat(200) } }, 4001);
  await assertRefused({ app: { key: '%22%0d%0a%ff' } }, 4001);
});

test('#13 closes with 4003 for a disabled app', () => assertRefused({ app: DISABLED }, 4003));

test('#14 closes with 4000 when a TLS-only app is reached over plain text', () => assertRefused({ app: TLS }, 4000));

test('#15 closes with 4004 at the quota, and accepts again after one connection left', async () => {
  const first = await connect(host, { app: SMALL });
  const second = await connect(host, { app: SMALL });
  await assertRefused({ app: SMALL }, 4004);
  await first.close();
  const third = await connect(host, { app: SMALL });
  await assertRefused({ app: SMALL }, 4004);
  await second.close();
  await third.close();
});

test('#16 closes with 4009 when the origin does not match the app', async () => {
  for (const origin of ['https://example.net', 'https://example.com.evil.net', 'https://notexample.com',
    'https://evil.net/example.com', 'null'])
    await assertRefused({ app: ORIGINS, origin }, 4009);
  await assertRefused({ app: ORIGINS }, 4009); // none at all
  for (const origin of ['https://example.com', 'http://example.com:8080', 'https://a.example.org', 'https://a.b.example.org']) {
    const client = await connect(host, { app: ORIGINS, origin });
    await client.close();
  }
  const anywhere = await connect(host, { origin: 'https://anything.example.net' });
  await anywhere.close();
});

test('#17 closes with 4005 on an upgrade of an unknown path', async () => {
  for (const target of ['/', '/app', '/app/', '/apps/app-id', `/app/${APP.key}/more`, `/App/${APP.key}?protocol=7`, `/x/app/${APP.key}?protocol=7`])
    await assertRefused({ target }, 4005);
});

test('#18 sends pusher:error with the same code before each of these closes', async () => {
  // assertRefused() holds the two codes against each other in all tests above; here is the order of the checks.
  await assertRefused({ target: '/nowhere?protocol=3' }, 4005);
  await assertRefused({ app: { key: 'nope' }, query: 'protocol=x' }, 4006);
  await assertRefused({ app: { key: 'nope' }, query: '' }, 4008);
  await assertRefused({ app: DISABLED, query: 'protocol=8' }, 4007);
});

test('#19 sends no connection_established on a refused connection', async () => {
  for (const options of [{ app: { key: 'nope' } }, { app: DISABLED }, { query: 'protocol=3' }, { target: '/' }]) {
    const { frames } = await refused(host, options);
    assert.ok(frames.every((f) => f.event !== 'pusher:connection_established'), JSON.stringify(frames));
  }
});

test('#20 echoes an offered pusher-channels-protocol-7, and names none that was not offered', async () => {
  const swift = await connect(host, { protocols: ['pusher-channels-protocol-7'] });
  assert.equal(swift.ws.protocol, 'pusher-channels-protocol-7');
  await swift.close();
  const second = await connect(host, { protocols: ['other', 'pusher-channels-protocol-7'] });
  assert.equal(second.ws.protocol, 'pusher-channels-protocol-7');
  await second.close();
  const none = await tcp(host);
  none.write(upgradeHead());
  await none.has(/\r\n\r\n/);
  assert.doesNotMatch(none.text, /sec-websocket-protocol/i);
  none.socket.destroy();
});

test('#21 answers a plain GET of /app/{key} with a 4xx and keeps serving', async () => {
  const answer = await request(host, 'GET', `/app/${APP.key}?protocol=7`);
  assert.equal(answer.status, 426);
  assert.ok(answer.text.length > 0);
  assert.equal(answer.headers.upgrade, 'websocket');
  assert.equal(answer.headers['sec-websocket-version'], '13');
  assert.deepEqual([(await request(host, 'HEAD', `/app/${APP.key}`)).status, (await request(host, 'POST', `/app/${APP.key}`)).headers.allow], [405, 'GET']);
  const client = await connect(host);
  await client.close();
});
