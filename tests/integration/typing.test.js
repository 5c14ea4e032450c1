'use strict';
// Typing and other ephemeral states, as unmodified pusher-js and laravel-echo say and hear them (docs/typing.md). With one worker,
// two and four, whose clients are on all of them.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, startHost, startServe, until } = require('./lib.js');
const { PusherClient, clientOptions, pusher, startAuth, subscribe } = require('./clients.js');

const RULES = ['presence-room event=client-typing ttl_ms=1500', 'presence-room event=client-recording ttl_ms=600000', 'presence-room event=client-cell ttl_ms=600000 key=cell max_keys=2',
  'private-chat event=client-typing ttl_ms=600000'].join(' ; ');
const apps = [{ ...APP, client_events: true, user_events: true, ephemeral: RULES, max_client_events_per_s: 1000 }];
const options = (worker_count) => ({ apps, metrics: true, hooks: ['on_ephemeral_end'], options: { worker_count } });

/** Subscribes, and listens to what users do. */
function enter(client, name) {
  const said = [];
  const channel = client.subscribe(name);
  for (const event of ['client-typing', 'client-recording', 'client-cell']) channel.bind(event, (data, metadata) => said.push({ event, told: [metadata?.user_id, data] }));
  channel.said = said;
  return subscribe(client, name);
}

/** What the channel has heard of an event, each as [user, data]. */
const heard = (channel, name) => channel.said.filter(({ event }) => !name || event === name).map(({ told }) => told);

const metric = async (host, name) => Number(new RegExp(`^pusherc_${name}\\{[^}]*\\} (\\d+)`, 'm').exec((await host.do('metrics')).text)[1]);

for (const workers of [1, 2, 4]) {
  test(`${workers} workers: pusher-js: typing ends once, by time, by word and by leaving`, async (t) => {
    const host = await startHost(options(workers), t);
    const auth = await startAuth(t);
    const clients = ['ann', 'bob', 'cid', 'dan'].map((user) => pusher(t, host, { auth, user }));
    const [ann, bob, ...others] = await Promise.all(clients.map((client) => enter(client, 'presence-room')));
    assert.equal(await metric(host, 'users_online'), 4);
    ann.trigger('client-typing', { name: 'Ann' });
    const byTime = [['ann', { name: 'Ann' }], ['ann', { name: 'Ann', ended: true }]];
    await until(() => [bob, ...others].every((channel) => heard(channel).length === 2));
    for (const channel of [bob, ...others]) assert.deepEqual(heard(channel), byTime);
    for (const data of [{ n: 1 }, { ended: true }, { ended: true }, { n: 2 }]) bob.trigger('client-recording', data);
    await until(() => others.every((channel) => heard(channel).length === 5));
    clients[1].disconnect();
    await until(() => others.every((channel) => channel.inbox.all.some((e) => e.event === 'pusher:member_removed')));
    const all = [...byTime, ['bob', { n: 1 }], ['bob', { ended: true }], ['bob', { n: 2 }], ['bob', { n: 2, ended: true }]];
    for (const channel of others) assert.deepEqual(heard(channel), all);
    assert.deepEqual(heard(ann), all.slice(2), 'not its own');
    const left = others[0].inbox.all.map((e) => e.event);
    assert.ok(left.lastIndexOf('client-recording') < left.lastIndexOf('pusher:member_removed'), 'the end comes before the leave');
    await until(() => host.events.all.filter((e) => e.event === 'ephemeral_end').length >= 2);
    assert.deepEqual(host.events.all.filter((e) => e.event === 'ephemeral_end').map((e) => [e.reason, e.name, e.user, e.data]),
      [['time', 'client-typing', 'ann', '{"name":"Ann"}'], ['left', 'client-recording', 'bob', '{"n":2}']], 'not what the client has said');
    assert.equal(await metric(host, 'ephemeral_begun_total'), 3);
    assert.equal(await metric(host, 'ephemeral_ended_total'), 3);
    assert.equal(await metric(host, 'ephemeral_bytes'), 0);
  });

  test(`${workers} workers: a newcomer is told what the others do, after it has joined`, async (t) => {
    const host = await startHost(options(workers), t);
    const auth = await startAuth(t);
    const [ann, bob] = await Promise.all(['ann', 'bob'].map((user) => enter(pusher(t, host, { auth, user }), 'presence-room')));
    for (const cell of ['A1', 'A2', 'A3']) ann.trigger('client-cell', { cell });
    bob.trigger('client-cell', { cell: 'B1' });
    await until(() => heard(bob, 'client-cell').length === 2 && heard(ann, 'client-cell').length === 1);
    await until(() => ann.pusher.errors.all.some((e) => /max_keys/.test(e.data?.message) && e.data.code === 4301));
    const tab = await enter(pusher(t, host, { auth, user: 'ann' }), 'presence-room');
    const dan = await enter(pusher(t, host, { auth, user: 'dan' }), 'presence-room');
    await until(() => heard(dan, 'client-cell').length === 3 && heard(tab, 'client-cell').length === 1);
    assert.equal(dan.inbox.all[0].event, 'pusher:subscription_succeeded');
    assert.deepEqual(heard(dan, 'client-cell').sort(), [['ann', { cell: 'A1' }], ['ann', { cell: 'A2' }], ['bob', { cell: 'B1' }]]);
    assert.deepEqual(heard(tab, 'client-cell'), [['bob', { cell: 'B1' }]], 'not what its own user does');
    ann.pusher.unsubscribe('presence-room');
    await until(() => heard(dan, 'client-cell').length === 5);
    assert.deepEqual(heard(dan, 'client-cell').slice(3).map(([user, data]) => [user, data.ended]), [['ann', true], ['ann', true]]);
  });
}

for (const [name, version] of [['laravel-echo', '2.5.0'], ['laravel-echo-2.0', '2.0.2']]) {
  test(`laravel-echo ${version}: what docs/typing.md shows`, async (t) => {
    const host = await startHost(options(2), t);
    const auth = await startAuth(t);
    const { default: Echo } = await import(name);
    const open = (user) => {
      const echo = new Echo({ ...clientOptions(host, auth, user), broadcaster: 'reverb', key: APP.key, Pusher: PusherClient });
      t.after(() => echo.disconnect());
      return echo;
    };
    const typing = new Map();
    const seen = [];
    const listenTo = (room) => room.listenForWhisper('typing', ({ id, name: who, ended }) => {
      if (ended) typing.delete(id); else typing.set(id, who);
      seen.push([...typing.values()].join());
    });
    const subscribed = (room) => new Promise((resolve) => { room.subscribed(resolve); });
    const [ann, bob, cid] = ['ann', 'bob', 'cid'].map(open);
    for (const echo of [ann, bob]) await subscribed(echo.join('room'));
    await subscribed(listenTo(cid.join('room')));
    ann.join('room').whisper('typing', { id: 1, name: 'Ann' });
    await until(() => seen.length === 2);
    assert.deepEqual(seen, ['Ann', ''], 'by time');
    // on a private channel without a user the connection is who types
    for (const echo of [ann, bob]) await subscribed(echo.private('chat'));
    await subscribed(listenTo(cid.private('chat')));
    ann.private('chat').whisper('typing', { id: 1, name: 'Ann' });
    await until(() => seen.length === 3);
    bob.private('chat').whisper('typing', { id: 2, name: 'Bob' });
    await until(() => seen.length === 4);
    bob.private('chat').whisper('typing', { id: 2, ended: true });
    await until(() => seen.length === 5);
    ann.leave('chat');
    await until(() => seen.length === 6);
    assert.deepEqual(seen.slice(2), ['Ann', 'Ann,Bob', 'Ann', ''], 'by word and by leaving');
  });
}

test('the host begins, reads and ends states', async (t) => {
  const host = await startHost(options(2), t);
  const auth = await startAuth(t);
  const state = { app: APP.id, channel: 'presence-room', event: 'client-cell', user: 'bot', key: 'C1', data: '{"cell":"C1"}' };
  await host.do('set_state', state); // nobody is there yet
  const ann = await enter(pusher(t, host, { auth, user: 'ann' }), 'presence-room');
  await until(() => heard(ann, 'client-cell').length === 1);
  ann.trigger('client-cell', { cell: 7 });
  let states;
  await until(async () => { ({ states } = await host.do('states', { app: APP.id, channel: 'presence-room' })); return states.length === 2; });
  assert.deepEqual(states.map(({ event, user, key, data }) => [event, user, key, data]).sort(),
    [['client-cell', 'ann', '7', '{"cell":7}'], ['client-cell', 'bot', 'C1', '{"cell":"C1"}']]);
  assert.ok(states.every(({ ends_in_ms }) => ends_in_ms > 0 && ends_in_ms <= 600000));
  await host.do('end_state', state);
  await host.do('end_state', { ...state, user: 'ann', key: '7' });
  await until(() => heard(ann, 'client-cell').length === 3);
  assert.deepEqual(heard(ann, 'client-cell'), [['bot', { cell: 'C1' }], ['bot', { cell: 'C1', ended: true }], ['ann', { cell: 7, ended: true }]]);
  await assert.rejects(host.do('end_state', state), /ENOENT|not found|unknown/i);
  await assert.rejects(host.do('set_state', { ...state, event: 'client-other' }), /ENOENT|not found|unknown/i);
  await assert.rejects(host.do('set_state', { ...state, channel: 'no channel' }), /EINVAL|invalid/i);
});

test('serve takes the rules from its config file, and refuses those that make no sense', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-typing-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'config.json');
  const write = (ephemeral) => fs.writeFileSync(file, JSON.stringify({ apps: [{ ...APP, client_events: true, ephemeral }] }));
  write('private-chat event=client-typing ttl_ms=60000');
  const server = await startServe(['--config', file], t);
  const auth = await startAuth(t);
  const [one, two] = [await enter(pusher(t, server, { auth }), 'private-chat'), await enter(pusher(t, server, { auth }), 'private-chat')];
  one.trigger('client-typing', { id: 1 });
  await until(() => two.inbox.all.some((e) => e.data?.id === 1));
  one.pusher.disconnect();
  await until(() => two.inbox.all.some((e) => e.data?.id === 1 && e.data.ended));
  write('private-chat event=typing ttl_ms=60000');
  server.child.kill('SIGHUP');
  await until(() => server.stderr.includes('apps stay as they were: '));
  assert.match(server.stderr, /ephemeral: rule 1: "event=typing" must be a client event/);
});
