'use strict';
// laravel-echo, unmodified, both pinned versions, as an application uses it with Reverb and with Pusher.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, Inbox, startHost, until } = require('./lib.js');
const { PusherClient, clientOptions, sdk, startAuth } = require('./clients.js');

let host;
let server;
before(async () => {
  host = await startHost({ options: { worker_count: 2 } });
  server = sdk(host);
});

/** An Echo that ends with the test. */
function makeEcho(t, Echo, broadcaster, auth, user = '7', more = {}) {
  const { channelAuthorization, userAuthentication, ...options } = clientOptions(host);
  const echo = new Echo({
    ...options, broadcaster, key: APP.key, Pusher: PusherClient, ...(broadcaster === 'pusher' && { cluster: 'mt1' }),
    authEndpoint: `${auth.url}/broadcasting/auth`, auth: { headers: { 'X-User': user } },
    userAuthentication: { endpoint: `${auth.url}/broadcasting/user-auth`, headers: { 'X-User': user } }, ...more,
  });
  t.after(() => echo.disconnect());
  return echo;
}

const subscribed = (channel) => new Promise((resolve, reject) => { channel.subscribed(resolve).error((e) => reject(new Error(JSON.stringify(e)))); });

/** Collects what a listener is called with: its first argument. */
function collect(register) {
  const inbox = new Inbox();
  register((value) => inbox.push(value));
  return inbox;
}

for (const [name, version] of [['laravel-echo', '2.5.0'], ['laravel-echo-2.0', '2.0.2']]) {
  for (const broadcaster of ['reverb', 'pusher']) {
    const what = `laravel-echo ${version} for ${broadcaster}`;
    let Echo;

    test(`#208 ${what}: is the version that is pinned`, async () => {
      ({ default: Echo } = await import(name));
      assert.equal(require(`../node_modules/${name}/package.json`).version, version);
    });

    test(`#208 ${what}: public channel, event names, leave`, async (t) => {
      const auth = await startAuth(t);
      const echo = makeEcho(t, Echo, broadcaster, auth);
      const channel = echo.channel('orders');
      const classes = collect((cb) => channel.listen('OrderShipped', cb));
      const nested = collect((cb) => channel.listen('Billing.InvoicePaid', cb));
      const literal = collect((cb) => channel.listen('.order.shipped', cb));
      const all = collect((cb) => channel.listenToAll((event, data) => cb([event, data])));
      await subscribed(channel);
      assert.match(echo.socketId(), /^\d+\.\d+$/);
      await server.trigger('orders', 'App\\Events\\OrderShipped', { id: 1 });
      await server.trigger('orders', 'App\\Events\\Billing\\InvoicePaid', { id: 2 });
      await server.trigger('orders', 'order.shipped', { id: 3 });
      assert.deepEqual([await classes.next(), await nested.next(), await literal.next()], [{ id: 1 }, { id: 2 }, { id: 3 }]);
      assert.equal((await all.next(([event]) => event === '.order.shipped'))[1].id, 3);
      echo.leave('orders');
      await until(async () => (await host.do('channel', { channel: 'orders' })).subscriptions === 0);
      assert.deepEqual(auth.asked, []);
    });

    test(`#208 ${what}: private channel, toOthers, whispers, notifications`, async (t) => {
      const auth = await startAuth(t);
      const [one, two] = ['1', '2'].map((user) => makeEcho(t, Echo, broadcaster, auth, user));
      const [a, b] = [one, two].map((echo) => echo.private('App.Models.User.7'));
      const [fromA, fromB] = [a, b].map((channel) => collect((cb) => channel.listen('.changed', cb)));
      const whispers = collect((cb) => b.listenForWhisper('typing', cb));
      const own = collect((cb) => a.listenForWhisper('typing', cb));
      const notifications = collect((cb) => a.notification(cb));
      await Promise.all([subscribed(a), subscribed(b)]);
      await server.trigger('private-App.Models.User.7', 'changed', { by: 'one' }, { socket_id: one.socketId() });
      assert.deepEqual(await fromB.next(), { by: 'one' });
      a.whisper('typing', { name: 'one' });
      assert.deepEqual(await whispers.next(), { name: 'one' });
      const notification = { id: 'x', type: 'App\\Notifications\\Paid', amount: 7 };
      await server.trigger('private-App.Models.User.7', 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated', notification);
      assert.deepEqual(await notifications.next(), notification);
      assert.deepEqual(fromA.all, [], 'not to the one who caused it');
      assert.deepEqual(own.all, [], 'no echo of a whisper');
      assert.deepEqual(auth.asked, ['private-App.Models.User.7', 'private-App.Models.User.7']);
    });

    test(`#208 ${what}: presence channel: here, joining, leaving, whispers`, async (t) => {
      const auth = await startAuth(t);
      const [one, two, tab] = ['1', '2', '2'].map((user) => makeEcho(t, Echo, broadcaster, auth, user));
      const room = one.join('room.1');
      const [here, joining, leaving, whispers] = ['here', 'joining', 'leaving'].map((method) => collect((cb) => room[method](cb)))
        .concat(collect((cb) => room.listenForWhisper('typing', cb)));
      assert.deepEqual(await here.next(), [{ name: 'user 1' }]);
      const other = two.join('room.1');
      const hereToo = await new Promise((resolve) => { other.here(resolve); });
      assert.deepEqual(hereToo.map((user) => user.name).sort(), ['user 1', 'user 2']);
      assert.deepEqual(await joining.next(), { name: 'user 2' });
      await new Promise((resolve) => { tab.join('room.1').here(resolve); });
      other.whisper('typing', { at: 'room' });
      assert.deepEqual(await whispers.next(), { at: 'room' });
      two.leave('room.1');
      await until(async () => (await host.do('channel', { channel: 'presence-room.1' })).subscriptions === 2);
      tab.disconnect();
      assert.deepEqual(await leaving.next(), { name: 'user 2' });
      assert.deepEqual([joining.all.length, leaving.all.length], [1, 1], 'a second tab neither comes nor goes');
    });

    test(`#208 ${what}: .error() tells what was refused`, async (t) => {
      const auth = await startAuth(t);
      const echo = makeEcho(t, Echo, broadcaster, auth);
      const refused = (channel) => new Promise((resolve) => { channel.error(resolve); });
      assert.equal((await refused(echo.private('forbidden'))).status, 403); // by the application
      const { type, status } = await refused(echo.private('forged')); // by the server
      assert.deepEqual([type, status], ['AuthError', 401]);
      assert.equal((await refused(echo.join('forged'))).status, 401);
      assert.equal((await refused(echo.channel('not a name'))).status, 400);
      await subscribed(echo.private('allowed'));
    });

    test(`#208 ${what}: encrypted private channel`, async (t) => {
      const auth = await startAuth(t);
      const channel = makeEcho(t, Echo, broadcaster, auth).encryptedPrivate('vault');
      const events = collect((cb) => channel.listen('.opened', cb));
      await subscribed(channel);
      await server.trigger('private-encrypted-vault', 'opened', { pin: 1234 });
      assert.deepEqual(await events.next(), { pin: 1234 });
    });

    test(`#208 ${what}: a component that mounts twice, in one go`, async (t) => {
      const auth = await startAuth(t);
      const echo = makeEcho(t, Echo, broadcaster, auth);
      // React's StrictMode: mounted, unmounted, mounted; once before there is a connection and once with one
      for (const name of ['twice.1', 'twice.2']) {
        for (const [method, prefix] of [['channel', ''], ['private', 'private-'], ['encryptedPrivate', 'private-encrypted-'], ['join', 'presence-']]) {
          const unmounted = () => assert.fail('this listener was unmounted');
          echo[method](name).listen('.event', unmounted).stopListening('.event', unmounted);
          echo.leave(name);
          const channel = echo[method](name);
          const events = collect((cb) => channel.listen('.event', cb));
          await subscribed(channel);
          await server.trigger(`${prefix}${name}`, 'event', { method });
          assert.deepEqual(await events.next(), { method });
          assert.equal((await host.do('channel', { channel: `${prefix}${name}` })).subscriptions, 1);
          assert.equal(events.all.length, 1);
        }
      }
    });

    test(`#208 ${what}: leaves one channel of a name, all of a name, or all`, async (t) => {
      const auth = await startAuth(t);
      const echo = makeEcho(t, Echo, broadcaster, auth);
      const names = ['leave', 'private-leave', 'private-encrypted-leave', 'presence-leave', 'other'];
      const open = () => Promise.all([echo.channel('leave'), echo.private('leave'), echo.encryptedPrivate('leave'), echo.join('leave')].map(subscribed));
      const left = (expected) => until(async () => {
        const counts = await Promise.all(names.map(async (channel) => (await host.do('channel', { channel })).subscriptions));
        return names.filter((_, i) => counts[i] > 0).join() === expected.join();
      });
      await Promise.all([open(), subscribed(echo.channel('other'))]);
      echo.leaveChannel('private-leave');
      await left(names.filter((name) => name !== 'private-leave'));
      echo.leave('leave');
      await left(['other']);
      await open();
      echo.leaveAllChannels();
      await left([]);
      assert.match(echo.socketId(), /^\d+\.\d+$/, 'and stays connected');
    });

    test(`#208 ${what}: comes back with its channels after the server closed it`, async (t) => {
      const auth = await startAuth(t);
      const echo = makeEcho(t, Echo, broadcaster, auth);
      const room = echo.join('room.2');
      const events = collect((cb) => room.listen('.event', cb));
      const here = collect((cb) => room.here(cb));
      await here.next();
      const socketId = echo.socketId();
      await host.do('disconnect', { socket_id: socketId, code: 4200, reason: 'test' });
      assert.deepEqual(await here.next(), [{ name: 'user 7' }]);
      assert.notEqual(echo.socketId(), socketId);
      await server.trigger('presence-room.2', 'event', { n: 1 });
      assert.deepEqual(await events.next(), { n: 1 });
    });
  }
}
