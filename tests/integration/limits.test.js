'use strict';
// Limits of the server and of apps, and what happens at them.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, api, channelAuth, connect, refused, request, sleep, startHost, tcp, until } = require('./lib.js');

const NO_LIMIT = 4294967295;

test('a full mailbox refuses events and loses none that it took', async (t) => {
  for (const workers of [1, 2]) {
    const host = await startHost({ options: { worker_count: workers }, constants: { mailbox_max_events: 2 } }, t);
    const clients = await Promise.all(Array.from({ length: 6 }, () => connect(host)));
    for (const client of clients) await client.subscribe('a');
    // A host that is told so tries again: an event may then come twice, but never out of order.
    const { backlogs } = await host.do('burst', { threads: 1, count: 3000, channels: ['a'], name: 'n' });
    const stats = await host.do('stats');
    assert.ok(backlogs > 0, 'the mailbox was never full');
    assert.ok(stats.mailbox_refused_total >= backlogs, `${stats.mailbox_refused_total} ${backlogs}`);
    for (const client of clients) {
      let seen = -1;
      while (seen < 2999) {
        const { n } = JSON.parse((await client.next()).data);
        assert.ok(n === seen || n === seen + 1, `${n} after ${seen}`);
        seen = n;
      }
      client.ws.terminate();
    }
  }
});

test('a slow client is kept and misses events where the app says so', async (t) => {
  const app = { ...APP, slow_policy: 1, max_event_payload_bytes: 60000 };
  const host = await startHost({ apps: [app], options: { out_hard_bytes: 262144, out_soft_bytes: 65536, out_soft_ms: 100 } }, t);
  const [slow, quick] = await Promise.all([connect(host), connect(host)]);
  for (const client of [slow, quick]) await client.subscribe('a');
  slow.ws.pause();
  let n = 0;
  for (; n < 3000 && !(await host.do('stats')).slow_dropped_total; n++) {
    await host.publish('a', 'n', JSON.stringify({ n, fill: 'x'.repeat(50000) }));
    assert.equal(JSON.parse((await quick.next()).data).n, n);
  }
  assert.ok((await host.do('stats')).slow_dropped_total > 0);
  slow.ws.resume();
  await slow.settle(); // what it got until here
  const seen = slow.frames.filter((f) => f.event === 'n').map((f) => JSON.parse(f.data).n);
  assert.ok(seen.every((value, i) => i === 0 || value > seen[i - 1]), 'in order, with gaps');
  await host.publish('a', 'n', '{"n":"again"}');
  assert.equal((await slow.next()).data, '{"n":"again"}');
  assert.equal((await host.do('stats')).slow_closed_total, 0);
  await slow.close();
  await quick.close();
});

test('a client above the soft limit for too long is closed', async (t) => {
  const app = { ...APP, max_event_payload_bytes: 60000 };
  const host = await startHost({ apps: [app], options: { out_hard_bytes: 1 << 26, out_soft_bytes: 65536, out_soft_ms: 200 } }, t);
  const slow = await connect(host);
  await slow.subscribe('a');
  slow.ws.pause();
  await until(async () => {
    await host.publish('a', 'n', 'x'.repeat(50000));
    return (await host.do('stats')).slow_closed_total;
  });
  assert.ok((await host.do('stats')).out_queued_bytes < 1 << 26);
  slow.ws.terminate();
});

test('the server has a greatest number of connections', async (t) => {
  const host = await startHost({ options: { max_connections: 3 } }, t);
  const clients = [await connect(host), await connect(host), await connect(host)];
  const answer = await refused(host);
  assert.equal(answer.code, 4100);
  assert.equal(answer.error.data.code, 4100);
  await clients.pop().close();
  await until(async () => (await host.do('stats')).sockets === 2);
  clients.push(await connect(host));
  for (const client of clients) await client.close();
});

test('names and numbers have the limits of their app', async (t) => {
  const app = { ...APP, max_event_name_bytes: 10, max_event_channels: 2, max_batch_events: 2, max_channels_per_connection: 2, max_presence_members: NO_LIMIT, max_user_info_bytes: 20,
    max_client_events_per_s: 2, max_event_payload_bytes: 100, max_channel_name_bytes: 15 };
  const host = await startHost({ apps: [app] }, t);
  const post = async (body, path = '/events') => (await api(host, 'POST', path, { body })).status;
  const event = { name: 'n'.repeat(10), channel: 'c'.repeat(15), data: 'd'.repeat(100) };
  assert.equal(await post(event), 200);
  assert.equal(await post({ ...event, name: 'n'.repeat(11) }), 400);
  assert.equal(await post({ ...event, channel: 'c'.repeat(16) }), 400);
  assert.equal(await post({ ...event, data: 'd'.repeat(101) }), 413);
  assert.equal(await post({ ...event, channels: ['a', 'b'] }), 200);
  assert.equal(await post({ ...event, channels: ['a', 'b', 'c'] }), 400);
  assert.equal(await post({ batch: [event, event] }, '/batch_events'), 200);
  assert.equal(await post({ batch: [event, event, event] }, '/batch_events'), 400);
  const client = await connect(host);
  await client.subscribe('private-a');
  await client.subscribe('presence-b', { user_id: '7', user_info: { a: 'xxxxxxxxxxxx' } }); // 20 bytes
  client.ask('c');
  assert.equal(JSON.parse((await client.event('pusher:subscription_error', 'c')).data).type, 'LimitReached');
  await client.unsubscribe('presence-b');
  const data = '{"user_id":"7","user_info":{"a":"xxxxxxxxxxxxx"}}';
  client.ask('presence-b', { auth: channelAuth(APP, client.socketId, 'presence-b', data), channel_data: data });
  assert.equal(JSON.parse((await client.event('pusher:subscription_error', 'presence-b')).data).status, 413);
  for (let i = 0; i < 3; i++) client.send({ event: 'client-x', channel: 'private-a', data: i });
  assert.deepEqual((await client.settle()).map((f) => f.data.code), [4301]);
  await client.close();
  const crowd = await Promise.all(Array.from({ length: 120 }, () => connect(host)));
  for (const [i, one] of crowd.entries()) await one.subscribe('presence-b', { user_id: String(i) });
  assert.equal((await host.do('channel', { channel: 'presence-b' })).users, 120);
  for (const one of crowd) one.ws.terminate();
});

test('a place is given back whatever becomes of a handshake', async (t) => {
  const app = { ...APP, max_connections: 2 };
  const host = await startHost({ apps: [app], hooks: ['identify'], options: { identify_timeout_ms: 300 } }, t);
  for (let i = 0; i < 5; i++) {
    assert.equal((await refused(host, { query: 'protocol=7&reject=4123' })).code, 4123);
    const raw = await tcp(host);
    raw.write(`GET /app/${APP.key}?protocol=7&ask=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`);
    const { request: number } = await host.event('identify');
    if (i % 2) raw.reset();
    else await raw.has(/4009/);
    await host.try('identify', { request: number });
    raw.socket.destroy();
    await request(host, 'GET', `/app/${APP.key}?protocol=7`);
  }
  await until(async () => (await host.do('stats')).sockets === 0);
  const clients = [await connect(host), await connect(host)];
  assert.equal((await refused(host)).code, 4004);
  for (const client of clients) await client.close();
});

for (const [limit, value, messages] of [
  ['max_received_messages_per_s', 50, Array.from({ length: 60 }, () => '{"event":"pusher:ping"}')],
  ['max_received_bytes_per_s', 20000, Array.from({ length: 3 }, () => `{"event":"client-x","channel":"private-x","data":"${'x'.repeat(9000)}"}`)],
]) {
  test(`clients that send more than ${limit} are told and closed, again and again, while another one notices nothing`, async (t) => {
    const app = { ...APP, [limit]: value, max_client_events_per_s: NO_LIMIT };
    const host = await startHost({ apps: [app], metrics: true, options: { worker_count: 2 } }, t);
    const honest = await connect(host);
    await honest.subscribe('news');
    let flooding = true;
    let floods = 0;
    const flood = async () => {
      for (let round = 0; round < 5; round++) {
        const hostile = await connect(host);
        for (const message of messages) hostile.send(message);
        const { data } = await hostile.next((f) => f.event === 'pusher:error' && f.data.code !== null);
        assert.equal(data.code, 4100);
        assert.match(data.message, new RegExp(limit));
        assert.deepEqual(await hostile.closed(), { code: 4100, reason: data.message });
        floods++;
      }
    };
    const floodAll = Promise.all(Array.from({ length: 8 }, flood)).finally(() => { flooding = false; });
    for (let n = 0; flooding; n++) {
      await host.publish('news', 'n', String(n));
      assert.equal((await honest.next()).data, String(n));
      honest.send({ event: 'pusher:ping', data: {} });
      assert.equal((await honest.next()).event, 'pusher:pong');
      await sleep(50); // below the limit
    }
    await floodAll;
    assert.ok(honest.isOpen);
    const { port } = await host.do('metrics');
    const page = (await request({ port }, 'GET', '/metrics')).text;
    assert.match(page, new RegExp(`limit_refusals_total{[^}]*limit="${limit}"} ${floods}\\b`));
    await honest.close();
  });
}

test('pings of the WebSocket count as messages', async (t) => {
  const host = await startHost({ apps: [{ ...APP, max_received_messages_per_s: 5 }] }, t);
  const client = await connect(host);
  for (let n = 0; n < 6; n++) client.ws.ping();
  assert.equal((await client.closed()).code, 4100);
  assert.ok(client.pongs.all.length <= 5);
});
