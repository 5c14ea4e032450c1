'use strict';
// B.6: published and client events.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, connect, sleep, startHost, trigger } = require('../integration/lib.js');

const QUIET = { id: 'quiet', key: 'quiet-key', secret: 's' }; // client events are off by default
const MANY = { id: 'many', key: 'many-key', secret: 's', client_events: true, max_client_events_per_s: 4294967295 };

let host;
before(async () => { host = await startHost({ apps: [APP, QUIET, MANY], options: { worker_count: 2 } }); });

const closeAll = (...clients) => Promise.all(clients.map((client) => client.close()));

test('#87 relays the published data string byte for byte', async () => {
  const client = await connect(host);
  await client.subscribe('orders');
  const texts = ['', 'plain', '{"id":42}', '{ "id" : 42.0 }', '"quoted"', 'null', '123', '[1,]', '\\u0041 \\n', 'Zoë 李 👩‍👩‍👧 \u2028\u2029',
    '\u0000\u0001\u001f\u007f', '</script>', '"', '\\', '\ufeff', 'x'.repeat(10240), '"'.repeat(10240)];
  for (const data of texts) {
    await trigger(host, 'orders', 'event', data);
    assert.deepEqual({ ...(await client.next()) }, { event: 'event', channel: 'orders', data });
  }
  // and as written in the request body
  await api(host, 'POST', '/events', { body: '{"name":"event","channel":"orders","data":"\\u007a\\/\\ud83d\\ude00"}' });
  assert.equal((await client.next()).data, 'z/\ud83d\ude00');
  // from the host's own code
  for (const data of texts.slice(1, 10)) {
    await host.publish('orders', 'event', data);
    assert.equal((await client.next()).data, data);
  }
  await client.close();
});

test('#88 relays published data that is no string as its JSON text', async () => {
  const client = await connect(host);
  await client.subscribe('orders');
  for (const [sent, seen] of [['{"id": 42}', '{"id":42}'], ['[1,"a",null]', '[1,"a",null]'], ['17', '17'], ['true', 'true'], ['false', 'false'], ['0', '0'],
    ['12345678901234567890123', '12345678901234567890123'], ['{}', '{}']]) {
    const res = await api(host, 'POST', '/events', { body: `{"name":"event","channel":"orders","data":${sent}}` });
    assert.equal(res.status, 200, res.text);
    const { data } = await client.next();
    assert.equal(typeof data, 'string');
    assert.equal(data.replace(/\s/g, ''), seen);
  }
  await client.close();
});

test('#89 adds no user_id to published events', async () => {
  const client = await connect(host);
  await client.subscribe('presence-room', { user_id: '7' });
  await trigger(host, 'presence-room', 'event', 'x', { user_id: '8', socket_id: '1.1' });
  assert.deepEqual({ ...(await client.next()) }, { event: 'event', channel: 'presence-room', data: 'x' });
  await client.close();
});

test('#90 leaves out the connection named by socket_id, and only that', async () => {
  const [one, two, three] = await Promise.all([connect(host), connect(host), connect(host)]);
  for (const client of [one, two, three]) await client.subscribe('orders');
  await trigger(host, 'orders', 'event', 'http', { socket_id: two.socketId });
  await host.publish('orders', 'event', 'host', { except: two.socketId });
  for (const client of [one, three]) {
    assert.equal((await client.next()).data, 'http');
    assert.equal((await client.next()).data, 'host');
  }
  assert.deepEqual(await two.settle(), []);
  await closeAll(one, two, three);
});

test('#91 keeps the order of 1,000 events', async () => {
  const client = await connect(host);
  await client.subscribe('orders');
  await host.do('burst', { channels: ['orders'], name: 'event', count: 1000 });
  for (let n = 0; n < 1000; n++) assert.equal(JSON.parse((await client.next()).data).n, n);
  const sent = [];
  for (let n = 0; n < 100; n++) sent.push({ name: 'event', channel: 'orders', data: String(n) });
  for (let n = 0; n < 100; n += 10) assert.equal((await api(host, 'POST', '/batch_events', { body: { batch: sent.slice(n, n + 10) } })).status, 200);
  for (let n = 0; n < 100; n++) assert.equal((await client.next()).data, String(n));
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#92 delivers one frame per channel to a connection that has several of the targets', async () => {
  const client = await connect(host);
  for (const channel of ['a', 'b', 'c']) await client.subscribe(channel);
  await trigger(host, ['a', 'x', 'b', 'a'], 'event', 'data');
  const frames = await client.settle();
  assert.deepEqual(frames.map((f) => f.channel).sort(), ['a', 'b']);
  assert.ok(frames.every((f) => f.data === 'data' && f.event === 'event'));
  await client.close();
});

/** Two clients on one channel; the first sends. */
async function pair(channel, app = APP) {
  const clients = await Promise.all([connect(host, { app }), connect(host, { app })]);
  for (const [i, client] of clients.entries())
    await client.subscribe(channel, channel.startsWith('presence-') ? { user_id: `user ${i}` } : undefined);
  await clients[0].settle();
  return clients;
}

async function assertError(client, code) {
  const error = await client.next();
  assert.equal(error.event, 'pusher:error', error.raw);
  assert.equal(error.data.code, code, error.raw);
}

test('#93 refuses client events with 4301 when the app has them off', async () => {
  const [one, two] = await pair('private-x', QUIET);
  one.send({ event: 'client-typing', channel: 'private-x', data: {} });
  await assertError(one, 4301);
  assert.deepEqual(await two.settle(), []);
  await closeAll(one, two);
});

test('#94 delivers a client event to all other subscribers and not to the sender', async () => {
  for (const channel of ['private-x', 'private-cache-x', 'presence-x', 'presence-cache-x']) {
    const [one, two] = await pair(channel);
    const three = await connect(host);
    await three.subscribe(channel, channel.startsWith('presence-') ? { user_id: 'user 0' } : undefined); // another connection of the sender's user
    await two.settle();
    one.send({ event: 'client-typing', channel, data: { on: true } });
    for (const client of [two, three]) {
      const frame = await client.next((f) => f.event === 'client-typing');
      assert.equal(frame.channel, channel);
      assert.equal(frame.data, '{"on":true}');
    }
    assert.deepEqual((await one.settle()).filter((f) => f.event === 'client-typing'), []);
    await closeAll(one, two, three);
  }
});

test('#95 adds user_id as a string on presence channels, and not on private ones', async () => {
  const [one, two] = await Promise.all([connect(host), connect(host)]);
  await one.subscribe('presence-y', '{"user_id":42}');
  await two.subscribe('presence-y', { user_id: 'two' });
  one.send({ event: 'client-typing', channel: 'presence-y', data: {} });
  assert.deepEqual({ ...(await two.next()) }, { event: 'client-typing', channel: 'presence-y', data: '{}', user_id: '42' });
  await one.subscribe('private-y');
  await two.subscribe('private-y', '{"user_id":"signed into a private channel"}');
  two.send({ event: 'client-typing', channel: 'private-y', data: {} });
  assert.deepEqual({ ...(await one.event('client-typing')) }, { event: 'client-typing', channel: 'private-y', data: '{}' });
  await closeAll(one, two);
});

test('#96 relays no user_id or other key that the sender supplied', async () => {
  for (const channel of ['private-z', 'presence-z']) {
    const [one, two] = await pair(channel);
    one.send({ event: 'client-typing', channel, data: 1, user_id: 'somebody else', time: 7, socket_id: '1.1', extra: { a: 1 } });
    const frame = { ...(await two.next()) };
    assert.equal(frame.user_id, channel === 'presence-z' ? 'user 0' : undefined);
    assert.deepEqual(Object.keys(frame).sort(), channel === 'presence-z' ? ['channel', 'data', 'event', 'user_id'] : ['channel', 'data', 'event']);
    await closeAll(one, two);
  }
});

test('#97 refuses a client event on public, public cache, encrypted and # channels', async () => {
  for (const channel of ['orders', 'cache-orders', 'private-encrypted-x', 'private-encrypted-cache-x']) {
    const [one, two] = await pair(channel);
    one.send({ event: 'client-typing', channel, data: {} });
    assert.equal((await one.event('pusher:error')).data.code, null);
    assert.deepEqual((await two.settle()).filter((f) => f.event.startsWith('client-')), []);
    await closeAll(one, two);
  }
  const [one, two] = await Promise.all([connect(host), connect(host)]);
  for (const client of [one, two]) {
    await client.signin({ id: '7' });
    await client.subscribe('#server-to-user-7');
  }
  one.send({ event: 'client-typing', channel: '#server-to-user-7', data: {} });
  await assertError(one, null);
  assert.deepEqual(await two.settle(), []);
  await closeAll(one, two);
});

test('#98 refuses a client event on a channel that the sender has not subscribed to', async () => {
  const [one, two] = await pair('private-mine');
  await one.unsubscribe('private-mine');
  for (const channel of ['private-mine', 'private-other', 'presence-other']) {
    one.send({ event: 'client-typing', channel, data: {} });
    await assertError(one, null);
  }
  for (const channel of [undefined, null, 7, '', 'a b']) {
    one.send({ event: 'client-typing', channel, data: {} });
    await assertError(one, null);
  }
  assert.deepEqual(await two.settle(), []);
  await closeAll(one, two);
});

test('#99 relays no event whose name does not start with client-', async () => {
  const [one, two] = await pair('private-names');
  for (const event of ['typing', 'Client-typing', 'client_typing', ' client-typing', 'xclient-typing', 'pusher:typing', 'clientX', 'client']) {
    one.send({ event, channel: 'private-names', data: {} });
    await assertError(one, null);
  }
  assert.deepEqual(await two.settle(), []);
  await closeAll(one, two);
});

test('#100 #101 answers the 11th client event within a second with 4301, and accepts again in the next', async () => {
  const [one, two] = await pair('private-rate');
  one.sendAll(Array.from({ length: 15 }, (_, n) => ({ event: 'client-n', channel: 'private-rate', data: n })));
  for (let n = 10; n < 15; n++) await assertError(one, 4301);
  await sleep(1100);
  one.send({ event: 'client-n', channel: 'private-rate', data: 'later' });
  assert.deepEqual(await one.settle(), []);
  assert.deepEqual((await two.settle()).map((f) => f.data), ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'later']);
  await closeAll(one, two);
});

test('#102 relays object data as a JSON string and string data unchanged', async () => {
  const [one, two] = await pair('private-data', MANY);
  for (const [sent, seen] of [['{"on":true}', '{"on":true}'], ['[1,2]', '[1,2]'], ['7', '7'], ['1.50', '1.50'], ['12345678901234567890', '12345678901234567890'],
    ['true', 'true'], ['null', 'null'], ['"text"', 'text'], ['"{\\"a\\":1}"', '{"a":1}'], ['"Zo\\u00eb \\ud83d\\ude00"', 'Zoë 😀'], ['""', ''],
    ['{"a":"\\u00eb","b":{"c":[{}]}}', '{"a":"\\u00eb","b":{"c":[{}]}}']]) {
    one.send(`{"event":"client-data","channel":"private-data","data":${sent}}`);
    const { data } = await two.next();
    assert.ok(data === seen || (/^[{[]/.test(sent) && JSON.stringify(JSON.parse(data)) === JSON.stringify(JSON.parse(seen))), `${sent} as ${data}`);
  }
  one.send('{"event":"client-data","channel":"private-data"}');
  assert.equal((await two.next()).data, 'null');
  await closeAll(one, two);
});

test('#103 refuses client event data above the limit and names above 200 characters', async () => {
  const [one, two] = await pair('private-size', MANY);
  one.send({ event: 'client-size', channel: 'private-size', data: 'x'.repeat(10240) });
  assert.equal((await two.next()).data.length, 10240);
  one.send({ event: 'client-size', channel: 'private-size', data: 'x'.repeat(10241) });
  await assertError(one, 4301);
  one.send({ event: 'client-size', channel: 'private-size', data: 'ë'.repeat(5121) }); // bytes count
  await assertError(one, 4301);
  one.send({ event: 'client-size', channel: 'private-size', data: ['x'.repeat(10240)] });
  await assertError(one, 4301);
  const longest = `client-${'n'.repeat(193)}`;
  one.send({ event: longest, channel: 'private-size', data: 1 });
  assert.equal((await two.next()).event, longest);
  one.send({ event: `${longest}n`, channel: 'private-size', data: 1 });
  await assertError(one, 4301);
  assert.deepEqual(await two.settle(), []);
  await closeAll(one, two);
});

test('#104 relays client- events published through the HTTP API', async () => {
  for (const channel of ['orders', 'presence-http']) {
    const client = await connect(host, { app: QUIET });
    await client.subscribe(channel, channel.startsWith('presence-') ? { user_id: '7' } : undefined);
    await trigger(host, channel, 'client-typing', '{}', { app: QUIET });
    assert.deepEqual({ ...(await client.next()) }, { event: 'client-typing', channel, data: '{}' });
    await client.close();
  }
});

test('#105 relays names with backslashes, dots and Unicode unchanged', async () => {
  const [one, two] = await pair('private-names', MANY);
  const names = ['App\\Events\\OrderShipped', 'order.shipped', 'заказ 李 😀', '"quoted"', 'tab\there', '\u0001', ' ', 'n'.repeat(200), 'pusher', 'pusherx:y',
    'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated'];
  for (const name of names) {
    await trigger(host, 'private-names', name, 'x', { app: MANY });
    assert.equal((await one.next()).event, name);
    assert.equal((await two.next()).event, name);
  }
  for (const name of names.slice(0, 6)) {
    one.send({ event: `client-${name}`, channel: 'private-names', data: 'x' });
    assert.equal((await two.next()).event, `client-${name}`);
  }
  await closeAll(one, two);
});
