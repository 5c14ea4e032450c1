'use strict';
// What the server asks its host and tells it (hooks.h), answered now or later, from this thread or another.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, api, connect, dial, refused, request, sleep, startHost, tcp, trigger, until, upgradeHead } = require('./lib.js');

const query = (more) => `protocol=7&${more}`;

// In each of the three ways to run a server.
for (const mode of ['threads', 'attach', 'poll']) {
  const start = (t, config) => startHost({ mode, ...config }, t);

  test(`${mode}: identify accepts or rejects at once`, async (t) => {
    const host = await start(t, { hooks: ['identify', 'on_open', 'on_close'] });
    const anonymous = await connect(host);
    assert.deepEqual(await host.event('open'), { event: 'open', socket_id: anonymous.socketId, app: APP.id, user: '', client_ip: '127.0.0.1', attached: '' });
    const known = await connect(host, { query: query('user=7') });
    assert.deepEqual(await host.event('open'), { event: 'open', socket_id: known.socketId, app: APP.id, user: '7', client_ip: '127.0.0.1', attached: 'data of 7' });
    for (const code of [4000, 4123, 4999]) {
      const answer = await refused(host, { query: query(`reject=${code}`) });
      assert.deepEqual([answer.code, answer.reason, answer.frames.length], [code, 'rejected by the host', 1]);
      assert.deepEqual(answer.error.data, { code, message: 'rejected by the host' });
    }
    assert.equal((await refused(host, { query: query('reject=1000') })).code, 4009, 'no code for it');
    await known.close(1000);
    assert.deepEqual(await host.event('close'), { event: 'close', socket_id: known.socketId, app: APP.id, user: '7', client_ip: '127.0.0.1', attached: 'data of 7', code: 1000 });
    anonymous.ws.terminate();
    assert.equal((await host.event('close')).code, 1006);
    await until(async () => (await host.do('stats')).identities === 0);
  });

  test(`${mode}: identify is answered later, from another thread`, async (t) => {
    const host = await start(t, { hooks: ['identify'] });
    const clients = [];
    const asked = [];
    for (let i = 0; i < 4; i++) {
      clients.push(await tcp(host));
      clients[i].write(upgradeHead(APP, query(`ask=1&token=a%20b${i}`)).replace('Host: test', 'Host: test\r\nX-TEST: field\r\nCookie: a=b; session=s%20id; c=d'));
      asked.push(await host.event('identify'));
    }
    for (const [i, { app, path, header, cookie, query: token, absent, peer }] of asked.entries()) {
      assert.deepEqual({ app, path, header, token, absent }, { app: APP.id, path: `/app/${APP.key}`, header: 'field', token: `a b${i}`, absent: '' });
      assert.match(cookie, /^s(%20| )id$/);
      assert.match(peer, /^127\.0\.0\.1:\d+$/);
      assert.equal(clients[i].text, '', 'no answer yet');
    }
    await host.do('identify', { request: asked[2].request, user: '8', info: '{"name":"Ann"}' });
    await clients[2].has(/connection_established/);
    await host.do('identify', { request: asked[0].request });
    await clients[0].has(/connection_established/);
    await host.do('identify', { request: asked[1].request, reject: 4150, reason: 'é'.repeat(100) });
    await clients[1].has(/"code":4150/);
    assert.equal(clients[3].text, '');
    clients[3].socket.destroy(); // gone before the answer
    await until(async () => (await host.do('stats')).sockets === 3);
    assert.equal((await host.try('identify', { request: asked[3].request, user: '9' })).rc, 'ECANCELED');
    for (const client of clients) client.socket.destroy();
    await until(async () => (await host.do('stats')).identities === 0);
  });

  test(`${mode}: identify never answered ends with 4009, and the late answer is refused`, async (t) => {
    const host = await start(t, { hooks: ['identify'], options: { identify_timeout_ms: 200 } });
    const client = await dial(host, { query: query('ask=1') });
    assert.equal((await client.closed()).code, 4009);
    assert.equal(client.frames.length, 1);
    assert.equal(client.frames[0].data.code, 4009);
    const { request: number } = await host.event('identify');
    assert.equal((await host.try('identify', { request: number, user: '7' })).rc, 'ECANCELED');
    assert.equal((await host.do('stats')).identities, 0);
    const raw = await tcp(host);
    raw.write(upgradeHead(APP, query('ask=1')));
    await host.event('identify'); // not answered at all before the host ends
    raw.socket.destroy();
  });

  test(`${mode}: what arrives while the host thinks is not lost`, async (t) => {
    const host = await start(t, { hooks: ['identify'] });
    const raw = await tcp(host);
    const subscribe = '{"event":"pusher:subscribe","data":{"channel":"early"}}';
    const frame = Buffer.concat([Buffer.from([0x81, 0x80 | subscribe.length, 0, 0, 0, 0]), Buffer.from(subscribe)]);
    raw.socket.write(Buffer.concat([Buffer.from(upgradeHead(APP, query('ask=1'))), frame])); // impolite, but possible
    const { request: number } = await host.event('identify');
    raw.socket.write(frame);
    await sleep(50);
    await host.do('identify', { request: number });
    await raw.has(/connection_established.*subscription_succeeded.*Existing subscription/s);
    raw.socket.destroy();
  });

  test(`${mode}: find_app answers now, later, and not at all`, async (t) => {
    const found = { id: 'found', key: 'found-key', secret: 'found-secret' };
    const host = await start(t, { hooks: ['find_app', 'identify'], find_apps: [found] });
    const client = await connect(host, { app: found });
    await client.subscribe('private-x');
    assert.equal((await api(host, 'GET', '/channels', { app: found })).status, 200);
    assert.equal((await refused(host, { app: { key: 'nobody' } })).code, 4001);
    assert.equal((await api(host, 'GET', '/channels', { app: { id: 'nobody', key: 'k', secret: 's' } })).status, 404);

    const later = { id: 'ask-id', key: 'ask-key', secret: 'later-secret' };
    const waiting = [dial(host, { app: later }), dial(host, { app: later })];
    const questions = [await host.event('find_app'), await host.event('find_app')];
    for (const { id, key, request: number } of questions) {
      assert.deepEqual([id, key], ['', 'ask-key']);
      await host.do('app_answer', { request: number, app: later });
    }
    for (const one of await Promise.all(waiting)) assert.equal((await one.next()).event, 'pusher:connection_established');
    await trigger(host, 'orders', 'e', '', { app: later });

    const http = api(host, 'GET', '/channels', { app: { id: 'ask-http', key: 'ask-http-key', secret: 's' } });
    const byId = await host.event('find_app');
    assert.deepEqual([byId.id, byId.key], ['ask-http', '']);
    await host.do('app_answer', { request: byId.request, app: { id: 'ask-http', key: 'ask-http-key', secret: 's' } });
    assert.equal((await http).status, 200);

    const none = api(host, 'GET', '/channels', { app: { id: 'ask-none', key: 'k', secret: 's' } });
    await host.do('app_answer', { request: (await host.event('find_app')).request });
    assert.equal((await none).status, 404);

    const wrong = dial(host, { app: { key: 'ask-wrong' } });
    const { request: number } = await host.event('find_app');
    assert.equal((await host.try('app_answer', { request: number, app: { id: '', key: 'ask-wrong', secret: 's' } })).rc, 'EINVAL');
    assert.equal((await (await wrong).closed()).code, 4001);

    const hasty = await start(t, { hooks: ['find_app'], options: { identify_timeout_ms: 300 } });
    const silent = await dial(hasty, { app: { key: 'ask-silence' } });
    const { code } = await silent.closed();
    assert.ok(code >= 4000 && code < 4100, String(code));
    await hasty.event('find_app');
    await client.close();
  });

  test(`${mode}: an answer goes on being sent to whoever has shut its half and asked for more`, async (t) => {
    const MiB = 1 << 20;
    const host = await start(t, { hooks: ['on_http'], options: { out_soft_bytes: 64 * MiB, out_hard_bytes: 64 * MiB } });
    const raw = await tcp(host);
    raw.socket.pause();
    raw.write('GET /ask HTTP/1.1\r\nHost: x\r\n\r\n');
    await host.do('http_answer', { request: (await host.event('http')).request, body: 'x'.repeat(24 * MiB) }); // more than the kernel takes
    raw.socket.end('GET /ask HTTP/1.1\r\nHost: x\r\n\r\n');
    const { request: later } = await host.event('http');
    for (let i = 0; i < 20; i++) await host.do('stats'); // the end of its half is seen
    raw.socket.resume();
    await until(() => raw.text.length > 24 * MiB, 'the whole answer');
    await host.do('http_answer', { request: later, body: 'and more' });
    await raw.over();
    assert.match(raw.text.slice(24 * MiB), /and more$/);
  });

  test(`${mode}: on_http serves the host's pages beside the library's`, async (t) => {
    const host = await start(t, { hooks: ['on_http'], options: { path_prefix: '/ws' } });
    const shown = (await request(host, 'POST', '/pages/%C3%A4%20b?q=1%2B1&q=2', { body: 'the body', headers: { 'X-Test': 'field', Cookie: 'session=s1' } })).json;
    assert.match(shown.peer, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual({ ...shown, peer: '' }, { event: 'http', method: 'POST', path: '/pages/ä b', query: '1+1', header: 'field', cookie: 's1', body: 'the body', peer: '' });
    assert.equal((await request(host, 'GET', '/')).json.path, '/', 'the root is the host\'s');
    const none = await request(host, 'GET', '/none');
    assert.deepEqual([none.status, none.text], [404, 'not here']);
    assert.equal((await request(host, 'HEAD', '/page')).text, '');
    const bad = await request(host, 'GET', '/bad');
    assert.equal(bad.status, 500);
    assert.ok(!('x-forged' in bad.headers));
    assert.equal((await request(host, 'DELETE', '/page')).json.method, 'DELETE');

    const waiting = request(host, 'GET', '/ask?q=later');
    const asked = await host.event('http');
    assert.equal(asked.query, 'later');
    await host.do('http_answer', { request: asked.request, status: 201, fields: { 'X-Answer': 'yes', 'Content-Type': 'text/x-test' }, body: 'ä later' });
    const answer = await waiting;
    assert.deepEqual([answer.status, answer.headers['x-answer'], answer.headers['content-type'], answer.text], [201, 'yes', 'text/x-test', 'ä later']);

    assert.match(answer.headers.date, / GMT$/);
    const dated = request(host, 'GET', '/ask');
    assert.equal((await host.try('http_answer', { request: (await host.event('http')).request, fields: { date: answer.headers.date } })).rc, 'EINVAL', 'the date is the library\'s to tell');
    assert.equal((await dated).status, 500);

    const gone = await tcp(host);
    gone.write('GET /ask HTTP/1.1\r\nHost: x\r\n\r\n');
    const { request: number } = await host.event('http');
    gone.reset();
    await until(async () => (await host.do('stats')).sockets === 0);
    assert.equal((await host.try('http_answer', { request: number })).rc, 'ECANCELED');
    const half = await tcp(host);
    half.socket.end('GET /ask HTTP/1.1\r\nHost: x\r\n\r\n'); // says no more, and still listens
    await host.do('http_answer', { request: (await host.event('http')).request, body: 'to the other half' });
    await half.over();
    assert.match(half.text, /to the other half$/);

    const pipelined = await tcp(host);
    pipelined.write('GET /ask HTTP/1.1\r\nHost: x\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const first = await host.event('http');
    await sleep(50);
    assert.equal(pipelined.text, '', 'answers keep their order');
    await host.do('http_answer', { request: first.request, body: 'first' });
    await pipelined.over();
    assert.match(pipelined.text, /first.*\/after/s);
    const client = await connect(host, { target: `/ws/app/${APP.key}?protocol=7` });
    await client.close();
  });

  test(`${mode}: on_channel tells what becomes of channels`, async (t) => {
    const host = await start(t, { hooks: ['on_channel'] });
    const [one, two] = [await connect(host), await connect(host)];
    await one.subscribe('presence-room', { user_id: '1' });
    await two.subscribe('presence-room', { user_id: '1' });
    await one.unsubscribe('presence-room');
    two.ws.terminate();
    const told = [];
    for (let event; event?.type !== 'vacated'; told.push(event)) event = await host.event('channel');
    assert.deepEqual(told.map(({ type, user, subscriptions }) => [type, user, subscriptions]), [
      ['occupied', '', 1], ['member_added', '1', 1], ['subscription_count', '', 1],
      ['subscription_count', '', 2],
      ['subscription_count', '', 1],
      ['member_removed', '1', 0], ['subscription_count', '', 0], ['vacated', '', 0],
    ]);
    assert.ok(told.every((e) => e.app === APP.id && e.channel === 'presence-room'));
    assert.ok(told.every((e, i) => i === 0 || e.sequence >= told[i - 1].sequence), JSON.stringify(told));
    await one.signin({ id: '7' });
    await one.subscribe('#server-to-user-7');
    await one.subscribe('orders');
    assert.equal((await host.event('channel')).channel, 'orders', 'user channels are nobody\'s business');
    await one.close();
  });

  test(`${mode}: on_client_event sees, refuses, and publishes from inside`, async (t) => {
    const host = await start(t, { hooks: ['on_client_event', 'identify'] });
    const [one, two] = [await connect(host, { query: query('user=u1') }), await connect(host)];
    await one.subscribe('presence-x', { user_id: 'm1' });
    await two.subscribe('presence-x', { user_id: 'm2' });
    await one.settle();
    one.send({ event: 'client-typing', channel: 'presence-x', data: { on: true } });
    assert.deepEqual(await host.event('client_event'), { event: 'client_event', socket_id: one.socketId, app: APP.id, user: 'u1', client_ip: '127.0.0.1', attached: 'data of u1', data: '{"on":true}', channel: 'presence-x', name: 'client-typing', member: 'm1' });
    assert.equal((await two.next()).event, 'client-typing');
    one.send({ event: 'client-refused', channel: 'presence-x', data: {} });
    const error = await one.next();
    assert.deepEqual([error.event, error.data.code], ['pusher:error', 4301]);
    one.send({ event: 'client-answered', channel: 'presence-x', data: 'x' });
    assert.deepEqual({ ...(await one.next()) }, { event: 'answer', channel: 'presence-x', data: 'x' });
    assert.deepEqual((await two.settle()).map((f) => f.event).sort(), ['answer', 'client-answered']);
    // what the library refuses does not reach the host
    one.send({ event: 'client-x', channel: 'private-y', data: {} });
    await one.settle();
    assert.ok(!host.events.rest().some((e) => e.name === 'client-x' || e.name === 'client-typing'));
    await one.close();
    await two.close();
  });

  test(`${mode}: on_publish sees, refuses and changes events of the HTTP API`, async (t) => {
    const host = await start(t, { hooks: ['on_publish'], options: { idempotency_ms: 60000 } });
    const client = await connect(host);
    for (const channel of ['orders', 'audit', 'other']) await client.subscribe(channel);
    const events = (names) => ({ batch: names.map((name) => ({ name, channel: 'other', data: 'd' })) });
    const post = (name, channel) => api(host, 'POST', '/events', { body: { name, channel, data: 'd', socket_id: '1.2' } });
    assert.equal((await post('plain', 'other')).status, 200);
    assert.deepEqual(await host.event('incoming'), { event: 'incoming', source: 1, app: APP.id, name: 'plain', data: 'd', channel: 'other', channels: 1, socket_id: '1.2' });
    const refusal = await post('refused', 'other');
    assert.deepEqual([refusal.status, refusal.text], [403, 'The event was refused: not at this hour']);
    assert.deepEqual([(await post('silent', 'other')).status, (await api(host, 'POST', '/batch_events', { body: events(['one', 'refused', 'two']) })).status], [403, 403]);
    assert.equal((await post('old', 'other')).status, 200);
    assert.equal((await post('secret', 'orders')).status, 200);
    assert.equal((await api(host, 'POST', '/batch_events', { body: events(['one', 'two']) })).status, 200);
    const seen = (await client.settle()).map((f) => `${f.event} ${f.channel} ${f.data}`);
    assert.deepEqual(seen, ['plain other d', 'new other d', 'secret orders ***', 'secret audit ***', 'one other d', 'two other d']);
    await host.publish('other', 'refused', 'own');
    assert.equal((await client.next()).event, 'refused', 'what the host publishes itself is not asked about');
    await client.close();
  });

  test(`${mode}: questions may outlive the server`, async (t) => {
    const host = await start(t, { hooks: ['identify', 'find_app', 'on_http'], options: { close_timeout_ms: 200 } });
    const waiting = await Promise.all([0, 1, 2].map(() => tcp(host)));
    waiting[0].write(upgradeHead(APP, query('ask=1')));
    waiting[1].write(upgradeHead({ key: 'ask-for-me' }));
    waiting[2].write(`POST /ask HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n${'b'.repeat(5000)}`);
    for (let i = 0; i < waiting.length; i++) await host.events.next((e) => e.request);
    await host.end();
    assert.deepEqual(host.events.rest(), Array.from({ length: 3 }, () => ({ event: 'late', rc: 'ECANCELED' })));
    for (const client of waiting) client.socket.destroy();
  });
}

test('on_publish decides on each of four workers', async (t) => {
  const host = await startHost({ mode: 'threads', hooks: ['on_publish'], options: { worker_count: 4 } }, t);
  const client = await connect(host);
  await client.subscribe('audit');
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => api(host, 'POST', '/events', { body: { name: i % 2 ? 'refused' : `e${i}`, channel: 'orders', data: 'd' } })));
  assert.deepEqual(answers.map((a) => a.status), answers.map((_, i) => (i % 2 ? 403 : 200)));
  assert.deepEqual((await client.settle()).map((f) => f.event).sort(), answers.map((_, i) => `e${i}`).filter((_, i) => i % 2 === 0).sort());
  await client.close();
});
