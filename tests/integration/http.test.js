'use strict';
// HTTP as such: health pages, bodies in every form, what intermediaries and old clients send.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const vm = require('node:vm');
const { APP, api, connect, request, signedQuery, startHost, tcp, until, upgradeHead } = require('./lib.js');

let host;
before(async () => { host = await startHost({ options: { max_http_head_bytes: 4096, max_http_body_bytes: 5000 } }); });

const BODY = '{"name":"event","channel":"orders","data":"{}"}';
const target = (body = BODY) => `/apps/${APP.id}/events?${signedQuery(APP, 'POST', `/apps/${APP.id}/events`, { body })}`;

/** Sends this on a connection of its own and returns all that comes back. */
async function exchange(text) {
  const raw = await tcp(host);
  raw.write(text);
  await raw.over();
  return raw.text;
}

test('answers GET / and /ready', async () => {
  for (const path of ['/', '/ready']) {
    const answer = await request(host, 'GET', path);
    assert.deepEqual([answer.status, answer.text.trim()], [200, 'OK'], path);
    const head = await request(host, 'HEAD', path);
    assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', answer.headers['content-length']], path);
  }
});

test('answers /ready with 503 while it stops', async (t) => {
  const stopping = await startHost({}, t);
  const client = await connect(stopping);
  const [ready, publish] = [await tcp(stopping), await tcp(stopping)];
  const begun = ['GET /ready HTTP/1.1\r\nHost: ', 'POST /apps/app-id/events HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{}'];
  const { bytes_in_total: read } = await stopping.do('stats');
  ready.write(begun[0]);
  publish.write(begun[1]);
  await until(async () => (await stopping.do('stats')).bytes_in_total === read + begun.join('').length, 'both are read');
  await stopping.do('stop', { grace_ms: 60000 });
  ready.write('x\r\n\r\n'); // what was under way is answered, then ended
  publish.write('}');
  for (const raw of [ready, publish]) {
    await raw.over();
    assert.match(raw.text, /^HTTP\/1\.1 503 /);
    assert.match(raw.text, /^connection: close\r$/im);
    assert.match(raw.text, /^retry-after: 1\r$/im);
  }
  assert.equal((await stopping.try('stop', { grace_ms: 0 })).rc, 'ESTATE'); // but hurries it
  assert.equal((await client.closed()).code, 4200);
  await stopping.event('stopped');
});

test('takes a body in chunks, however cut', async () => {
  const client = await connect(host);
  await client.subscribe('orders');
  const head = `POST ${target()} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
  const chunks = (size) => BODY.match(new RegExp(`.{1,${size}}`, 'g')).map((part) => `${part.length.toString(16)};ext=1\r\n${part}\r\n`).join('');
  for (const text of [`${chunks(1000)}0\r\n\r\n`, `${chunks(1)}0\r\n\r\n`, `${chunks(7)}000\r\nTrailer: x\r\n\r\n`])
    assert.match(await exchange(head + text), /^HTTP\/1\.1 200 [^]*\r\n\r\n\{\}$/);
  const slow = await tcp(host);
  for (const byte of `${head}${chunks(20)}0\r\n\r\n`) slow.write(byte);
  await slow.over();
  assert.match(slow.text, /^HTTP\/1\.1 200 /);
  assert.equal((await client.settle()).length, 4);
  await client.close();
});

test('asks for the body when the client waits for that', async () => {
  const raw = await tcp(host);
  raw.write(`POST ${target()} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n`);
  await raw.has(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n$/);
  raw.write(BODY);
  await raw.over();
  assert.match(raw.text, /HTTP\/1\.1 200 /);
  assert.match(await exchange(`POST ${target()} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5001\r\n\r\n`), /^HTTP\/1\.1 413 /, 'and not for one that is too large');
});

test('serves HTTP/1.0 and clients that do not keep the connection', async () => {
  assert.match(await exchange('GET /ready HTTP/1.0\r\n\r\n'), /^HTTP\/1\.[01] 200 /);
  assert.match(await exchange('GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /connection: close/i);
  const kept = await tcp(host);
  kept.write('GET /ready HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  await kept.has(/ 200 [^]*OK/);
  kept.socket.destroy();
});

test('answers a client that has shut its half', async () => {
  const raw = await tcp(host);
  raw.socket.end(`POST ${target()} HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
  await raw.over();
  assert.match(raw.text, /^HTTP\/1\.1 200 /);
});

test('ends idle and slow connections in time', async (t) => {
  const hasty = await startHost({ options: { handshake_timeout_ms: 1500 }, constants: { keep_alive_ms: 400, request_timeout_ms: 600 } }, t);
  const start = Date.now();
  const idle = await tcp(hasty);
  idle.write('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n');
  const body = await tcp(hasty);
  body.write(`POST ${target()} HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY.length}\r\n\r\n{`);
  const silent = await tcp(hasty);
  const head = await tcp(hasty);
  head.write('GET /ready HTTP/1.1\r\n');
  const trickle = setInterval(() => head.write('X: y\r\n'), 100); // alive, but not getting anywhere
  await idle.over();
  const kept = Date.now() - start;
  assert.ok(kept >= 350, `${kept} ms`);
  await body.over();
  await silent.over();
  await head.over();
  clearInterval(trickle);
  const waited = Date.now() - start;
  assert.ok(waited >= 1400, `${waited} ms`);
  assert.match(body.text, /^(HTTP\/1\.1 408 |$)/);
  assert.match(head.text, /^(HTTP\/1\.1 408 |$)/);
});

test('refuses heads and bodies above the limits', async () => {
  assert.match(await exchange(`GET /${'x'.repeat(5000)} HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1\.1 (414|431) /);
  assert.match(await exchange(`GET / HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(1000)}\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await exchange(`POST ${target()} HTTP/1.1\r\nHost: x\r\nContent-Length: 5001\r\n\r\n`), /^HTTP\/1\.1 413 /);
  assert.match(await exchange(`POST ${target()} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${`3e8\r\n${'x'.repeat(1000)}\r\n`.repeat(6)}0\r\n\r\n`), /^HTTP\/1\.1 413 /);
});

test('refuses what can be read in two ways', async () => {
  const cases = {
    'two lengths': 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'length and chunks': 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'odd coding': 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n',
    'length no number': 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\na',
    'negative length': 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'huge length': 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n',
    'chunk size overflow': 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx',
    'chunk size sign': 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx',
    'chunk without end': 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n',
    'folded field': 'GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n',
    'space before colon': 'GET / HTTP/1.1\r\nHost : x\r\n\r\n',
    'NUL in a field': 'GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n',
    'bare CR': 'GET / HTTP/1.1\rHost: x\r\n\r\n',
    'no version': 'GET /\r\n\r\n',
    'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'HTTP/3.7': 'GET / HTTP/3.7\r\n\r\n',
    'TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'garbage': 'hello\r\n\r\n',
  };
  for (const [what, text] of Object.entries(cases)) assert.match(await exchange(text), /^HTTP\/1\.1 (400|413|501|505) [^]*connection: close/i, what);
});

test('answers broken WebSocket handshakes without upgrading', async () => {
  const good = upgradeHead();
  for (const [what, text, status] of [
    ['no key', good.replace(/Sec-WebSocket-Key.*\r\n/, ''), /400/],
    ['short key', good.replace('dGhlIHNhbXBsZSBub25jZQ==', 'c2hvcnQ='), /400/],
    ['no version', good.replace(/Sec-WebSocket-Version.*\r\n/, ''), /400|426/],
    ['version 12', good.replace('Version: 13', 'Version: 12'), /426/],
    ['POST', good.replace('GET', 'POST'), /400|404|405/],
  ]) {
    const raw = await tcp(host);
    raw.write(text);
    const [, got] = await raw.has(/^HTTP\/1\.1 (\d+) /);
    assert.match(got, status, `${what}: ${raw.text}`);
    if (got === '426') assert.match(raw.text, /sec-websocket-version: 13/i);
    raw.socket.destroy();
  }
});

test('finds the app under an escaped path, and signs the path as it was sent', async () => {
  const path = '/apps/app%2Did/channels/a%40b';
  const query = signedQuery(APP, 'GET', path);
  assert.deepEqual((await request(host, 'GET', `${path}?${query}`)).json, { occupied: false });
  assert.equal((await api(host, 'GET', '/channels/%zz')).status, 400);
});

test('says when each answer was made', async () => {
  const texts = [];
  for (const path of ['/', '/ready', '/nowhere', '/app/app-key', '/apps/nobody/channels', '/apps/app-id/channels'])
    texts.push(await exchange(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
  texts.push(await exchange('OPTIONS /apps/app-id/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), await exchange('hello\r\n\r\n'));
  for (const text of texts) {
    const dates = text.match(/^Date: (.*)\r$/gm);
    assert.equal(dates.length, 1, text);
    assert.match(dates[0], /^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$/);
    assert.ok(Math.abs(Date.parse(dates[0].slice(6)) - Date.now()) < 60000, dates[0]);
  }
});

test('leaves no connection behind', () => until(async () => (await host.do('stats')).sockets === 0));

test('says how long a body is that is too long', async () => {
  const text = 'The request body has 5001 bytes, the maximum is 5000 (max_http_body_bytes).';
  assert.ok((await exchange(`POST ${target()} HTTP/1.1\r\nHost: x\r\nContent-Length: 5001\r\n\r\n`)).endsWith(text));
  assert.match(await exchange(`POST ${target()} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1386\r\n`), /has 5001 bytes or more, the maximum is 5000 /);
});

test('writes errors as JSON if told to', async (t) => {
  const json = await startHost({ options: { http_error_format: 1, max_http_body_bytes: 1000 } }, t);
  const cases = [[() => request(json, 'GET', '/nowhere'), 404], [() => request(json, 'GET', '/apps/app-id/events'), 405], [() => request(json, 'GET', '/apps/app-id/channels'), 401],
    [() => api(json, 'POST', '/events', { body: { name: 'e', channel: 'a b', data: '' } }), 400], [() => api(json, 'POST', '/events', { body: 'x'.repeat(1001) }), 413]];
  for (const [ask, status] of cases) {
    const answer = await ask();
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.deepEqual(Object.keys(answer.json), ['error', 'code']);
    assert.equal(answer.json.code, status);
    assert.ok(answer.json.error.length > 5);
  }
  assert.equal((await api(json, 'POST', '/events', { body: { name: 'e', channel: 'orders', data: '' } })).text, '{}');
});

test('takes what pusher-js tells of its connections', async () => {
  const query = 'session=MTIz&bundle=MQ%3D%3D&key=YXBwLWtleQ%3D%3D&lib=anM%3D&version=OC42LjA%3D&cluster=&features=WyJ3cyJd&timeline=W10%3D';
  const script = await request(host, 'GET', `/timeline/v2/jsonp/1?${query}`);
  assert.deepEqual([script.status, script.headers['content-type']], [200, 'application/javascript']);
  vm.runInNewContext(script.text);
  assert.deepEqual((await request(host, 'GET', `/timeline/v2/xhr/2?${query}`)).json, {});
});

test('publishes once what is sent again with its idempotency key, on whichever worker', async (t) => {
  const many = await startHost({ options: { worker_count: 4 } }, t);
  const client = await connect(many);
  await client.subscribe('orders');
  const publish = (n, more) => api(many, 'POST', '/events', { body: { name: 'e', channel: 'orders', data: String(n), idempotency_key: `key ${n}` }, ...more });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => publish(i % 20)));
  for (const { status, json, headers } of answers) {
    if (status === 200) assert.deepEqual(json, {});
    else assert.deepEqual([status, headers['retry-after']], [503, '1']);
  }
  for (let n = 0; n < 20; n++) assert.equal((await publish(n)).status, 200);
  assert.deepEqual((await client.settle()).map((f) => Number(f.data)).sort((a, b) => a - b), Array.from({ length: 20 }, (_, n) => n));
  const header = { headers: { 'X-Idempotency-Key': 'key 1' } };
  assert.equal((await api(many, 'POST', '/events', { body: { name: 'e', channel: 'orders', data: 'other' }, ...header })).status, 409);
  assert.deepEqual(await client.settle(), []);
  await client.close();
});
