'use strict';
// Signing in after subscribing: stock clients subscribe as soon as they are connected, before their sign-in is through,
// also after each reconnection. A rule guards the public name guarded.{id} and wants a user.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, Inbox, sleep, startHost, until } = require('./lib.js');
const { PusherClient, clientOptions, connected, listen, pusher, startAuth } = require('./clients.js');

const REASON = 'Members only';
const SIGN_IN_FIRST = 'Sign in first: Members only: guarded.1';

async function start(t, { workers, app = {}, status = 401 }) {
  const host = await startHost({
    apps: [{ ...APP, ...app }], rules: [{ pattern: 'guarded.{id}', kinds: 1 }], options: { worker_count: workers },
  }, t);
  await host.do('answers', { rows: [{ user: '', status, reason: REASON }, { user: 'banned', status: 403 }, { allow: true }] });
  return { host, auth: await startAuth(t) };
}

const publish = (host, n) => host.do('publish', { channels: ['guarded.1'], name: 'news', data: JSON.stringify({ n }) });
const closeSocket = (host, client) => host.do('disconnect', { socket_id: client.connection.socket_id, code: 4200, reason: 'test' });
const about = (inbox, name) => inbox.all.filter((e) => e.event === name);

for (const workers of [1, 2, 4]) {
  test(`pusher-js, ${workers} workers: a sign-in subscribes what was refused before it, also after reconnections`, async (t) => {
    const { host, auth } = await start(t, { workers });
    const client = pusher(t, host, { auth });
    const channel = client.subscribe('guarded.1');
    const inbox = listen(channel);
    await client.errors.next((e) => e.data?.message === SIGN_IN_FIRST && e.data.code === null);
    client.signin();
    for (let round = 0; round < 4; round++) {
      await inbox.event('pusher:subscription_succeeded');
      await publish(host, round);
      assert.deepEqual((await inbox.event('news')).data, { n: round });
      assert.equal(about(inbox, 'news').length, round + 1);
      const before = client.connection.socket_id;
      await closeSocket(host, client);
      await until(() => client.connection.state === 'connected' && client.connection.socket_id !== before, 'the reconnection');
    }
    assert.deepEqual(about(inbox, 'pusher:subscription_error'), []);
  });
}

test('pusher-js: without a sign-in the refusal comes in the end, and a late sign-in subscribes all the same', async (t) => {
  const { host, auth } = await start(t, { workers: 2, app: { signin_wait_ms: 300 } });
  const client = pusher(t, host, { auth });
  const inbox = listen(client.subscribe('guarded.1'));
  await client.errors.next((e) => e.data?.message === SIGN_IN_FIRST);
  assert.deepEqual((await inbox.event('pusher:subscription_error')).data, { type: 'AuthError', error: `${REASON}: guarded.1`, status: 401 });
  client.signin();
  await inbox.event('pusher:subscription_succeeded');
  await publish(host, 1);
  assert.deepEqual((await inbox.event('news')).data, { n: 1 });
});

test('pusher-js: a channel that was left before the sign-in stays left', async (t) => {
  const { host, auth } = await start(t, { workers: 2 });
  const client = pusher(t, host, { auth });
  const inbox = listen(client.subscribe('guarded.1'));
  await client.errors.next((e) => e.data?.message === SIGN_IN_FIRST);
  client.unsubscribe('guarded.1'); // sends nothing while the subscription is pending
  client.signin();
  await client.user.signinDonePromise;
  const counted = async () => (await host.do('stats')).subscriptions;
  await until(async () => await counted() === 1, 'only the channel of the user');
  assert.deepEqual(about(inbox, 'pusher:subscription_succeeded'), []);
});

test('pusher-js: a user whom the rule refuses gets the refusal with the sign-in', async (t) => {
  const { host, auth } = await start(t, { workers: 2 });
  const client = pusher(t, host, { auth, user: 'banned' });
  const inbox = listen(client.subscribe('guarded.1'));
  client.signin();
  const { data } = await inbox.event('pusher:subscription_error');
  assert.deepEqual([data.type, data.status], ['AuthError', 403]);
});

test('pusher-js: a refusal with 403 is told at once, and a sign-in subscribes all the same', async (t) => {
  const { host, auth } = await start(t, { workers: 2, status: 403 });
  const client = pusher(t, host, { auth });
  const inbox = listen(client.subscribe('guarded.1'));
  await inbox.event('pusher:subscription_error');
  client.signin();
  await inbox.event('pusher:subscription_succeeded');
});

for (const [name, version] of [['laravel-echo', '2.5.0'], ['laravel-echo-2.0', '2.0.2']]) {
  test(`laravel-echo ${version}: a sign-in subscribes what was refused before it, also after reconnections; leave() leaves`, async (t) => {
    const { host, auth } = await start(t, { workers: 2 });
    const { default: Echo } = await import(name);
    const { channelAuthorization, ...options } = clientOptions(host, auth);
    const echo = new Echo({ ...options, broadcaster: 'reverb', key: APP.key, Pusher: PusherClient });
    t.after(() => echo.disconnect());
    const client = echo.connector.pusher;
    const news = new Inbox();
    let subscribed = 0;
    const errors = [];
    const channel = echo.channel('guarded.1');
    channel.subscribed(() => { subscribed++; }).error((e) => errors.push(e)).listen('.news', (e) => news.push(e));
    await connected(client);
    echo.signin ? echo.signin() : client.signin();
    for (let round = 0; round < 3; round++) {
      await until(() => subscribed === round + 1, 'the subscription');
      await publish(host, round);
      assert.deepEqual(await news.next(), { n: round });
      const before = client.connection.socket_id;
      await closeSocket(host, client);
      await until(() => client.connection.state === 'connected' && client.connection.socket_id !== before, 'the reconnection');
    }
    await until(() => subscribed === 4, 'the subscription');
    assert.deepEqual(errors, []);
    echo.leave('guarded.1');
    await until(async () => (await host.do('stats')).subscriptions === 1, 'only the channel of the user');
    await publish(host, 9);
    await sleep(100);
    assert.deepEqual(news.rest(), []);
  });
}
