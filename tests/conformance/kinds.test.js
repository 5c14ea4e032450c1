'use strict';
// B.7 to B.9 as far as kinds of channels go: cache channels are channels, users sign in and have a channel of
// their own, and nothing says subscription_count unless it is enabled.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, channelAuth, connect, startHost, trigger, userAuth } = require('../integration/lib.js');

let host;
before(async () => { host = await startHost({ options: { worker_count: 2 } }); });

const closeAll = (...clients) => Promise.all(clients.map((client) => client.close()));

test('#112 requires authorization for the guarded cache channels', async () => {
  const client = await connect(host);
  for (const channel of ['private-cache-x', 'presence-cache-x', 'private-encrypted-cache-x']) {
    client.ask(channel, { auth: '', channel_data: '{"user_id":"7"}' });
    assert.equal(JSON.parse((await client.event('pusher:subscription_error', channel)).data).status, 401);
    assert.equal((await client.subscribe(channel, channel.startsWith('presence') ? { user_id: '7' } : undefined)).channel, channel);
  }
  await client.subscribe('cache-x');
  await client.close();
});

test('#114 caches nothing for channels without a cache prefix', async () => {
  const channels = ['orders', 'private-orders', 'presence-orders', 'private-encrypted-orders', 'xcache-orders', 'private-xcache-orders'];
  for (const channel of channels) await trigger(host, channel, 'event', 'early');
  const client = await connect(host);
  for (const channel of channels) await client.subscribe(channel, channel.startsWith('presence') ? { user_id: '7' } : undefined);
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

test('#116 answers a valid sign-in with the user_data as received', async () => {
  const client = await connect(host);
  for (const data of ['{"id":"7","user_info":{"name":"Zoë"},"watchlist":["8","9"]}', '{ "id" : "7" }', '{"id":"\\u0037"}']) {
    const success = await client.signin(data);
    assert.equal(typeof success.data, 'string');
    assert.deepEqual(JSON.parse(success.data), { user_data: data });
  }
  await client.close();
});

test('#117 refuses a sign-in with a bad signature, or without an id, with code null, and stays', async () => {
  const client = await connect(host);
  const good = '{"id":"7"}';
  const tries = [
    [undefined, good], ['', good], ['bad', good], [`${APP.key}:${'0'.repeat(64)}`, good], [userAuth(APP, '1.1', good), good],
    [userAuth(APP, client.socketId, '{"id":"8"}'), good], [channelAuth(APP, client.socketId, 'private-x', good), good],
    [userAuth({ ...APP, key: 'other' }, client.socketId, good), good],
    [`${APP.key}::user::${userAuth(APP, client.socketId, good).split(':')[1]}`, good], // a slip in the documentation
  ];
  for (const data of ['', '{}', '[]', '7', 'x', '{"id":""}', '{"id":null}', '{"id":{}}', '{"id":"a b"}', `{"id":"${'7'.repeat(201)}"}`, '{"user_id":"7"}'])
    tries.push([userAuth(APP, client.socketId, data), data]);
  for (const [auth, user_data] of tries) {
    client.send({ event: 'pusher:signin', data: { auth, user_data } });
    const error = await client.next();
    assert.equal(error.event, 'pusher:error', `${auth} ${user_data}: ${error.raw}`);
    assert.equal(error.data.code, null, error.raw);
  }
  assert.equal((await client.signin(good)).event, 'pusher:signin_success');
  await client.close();
});

test('#118 refuses signing in as another id, and keeps the first', async () => {
  const client = await connect(host);
  await client.signin({ id: '7', user_info: { name: 'first' } });
  const other = '{"id":"8"}';
  client.send({ event: 'pusher:signin', data: { auth: userAuth(APP, client.socketId, other), user_data: other } });
  assert.equal((await client.next()).data.code, null);
  await client.subscribe('#server-to-user-7');
  client.ask('#server-to-user-8');
  assert.equal((await client.event('pusher:subscription_error')).channel, '#server-to-user-8');
  await client.signin({ id: '7', user_info: { name: 'again' } }); // the same id: data replaced
  client.ask('presence-room', { auth: channelAuth(APP, client.socketId, 'presence-room') });
  assert.deepEqual(JSON.parse((await client.next()).data).presence.hash, { 7: { name: 'again' } });
  await client.close();
});

test('#119 #120 #121 lets a user, and nobody else, subscribe to and receive on the user channel', async () => {
  const [first, second, other, anonymous] = await Promise.all([1, 2, 3, 4].map(() => connect(host)));
  for (const [client, id] of [[first, '7'], [second, '7'], [other, '77']]) await client.signin({ id });
  for (const client of [first, second]) {
    client.ask('#server-to-user-7', { auth: '' });
    assert.deepEqual({ ...(await client.next()) }, { event: 'pusher_internal:subscription_succeeded', channel: '#server-to-user-7', data: '{}' });
  }
  for (const client of [other, anonymous]) {
    client.ask('#server-to-user-7', { auth: channelAuth(APP, client.socketId, '#server-to-user-7') });
    assert.equal((await client.next()).event, 'pusher:error');
    const refusal = await client.next();
    assert.equal(refusal.event, 'pusher:subscription_error');
    assert.equal(JSON.parse(refusal.data).status, 403);
  }
  await trigger(host, '#server-to-user-7', 'greet', '{"hi":1}');
  await host.do('send_to_user', { user: '7', name: 'greet', data: '{"hi":2}' });
  for (const client of [first, second])
    for (const data of ['{"hi":1}', '{"hi":2}'])
      assert.deepEqual({ ...(await client.next()) }, { event: 'greet', channel: '#server-to-user-7', data });
  for (const client of [other, anonymous]) assert.deepEqual(await client.settle(), []);
  await closeAll(first, second, other, anonymous);
});

test('#122 lists no user channels', async () => {
  const client = await connect(host);
  await client.signin({ id: '7' });
  await client.subscribe('#server-to-user-7');
  await client.subscribe('seen');
  const { channels } = (await api(host, 'GET', '/channels')).json;
  assert.ok(channels.seen);
  assert.deepEqual(Object.keys(channels).filter((name) => name.startsWith('#')), []);
  assert.ok(!(await host.do('channels')).channels.some(({ name }) => name.startsWith('#')));
  await client.close();
});

test('#131 sends no subscription_count unless it is enabled', async () => {
  const [one, two] = await Promise.all([connect(host), connect(host)]);
  for (const client of [one, two]) for (const channel of ['counted', 'private-counted']) await client.subscribe(channel);
  await two.unsubscribe('counted');
  await two.close();
  const frames = await one.settle();
  assert.deepEqual(frames, []);
  await one.close();
});
