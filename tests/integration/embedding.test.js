'use strict';
// The library from its host's side: the ways to run it, publishing from threads, asking, stopping.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { APP, api, connect, refused, request, signedQuery, sleep, startHost, tcp, until, upgradeHead } = require('./lib.js');

const MODES = [
  { mode: 'threads' }, { mode: 'threads', options: { worker_count: 4 } }, { mode: 'attach' },
  { mode: 'attach-epoll' }, { mode: 'poll' }, { mode: 'poll-epoll' },
];
const nameOf = ({ mode, options }) => `${mode}${options ? ` x ${options.worker_count}` : ''}`;

for (const config of MODES) {
  const name = nameOf(config);

  test(`${name}: publishes from several threads, in the order of each`, async (t) => {
    const host = await startHost(config, t);
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(host)));
    for (const client of clients) for (const channel of ['a', 'b']) await client.subscribe(channel);
    await host.do('burst', { threads: 4, count: 500, channels: ['a', 'b'], name: 'n' });
    for (const client of clients) {
      const next = {};
      for (let i = 0; i < 4 * 500 * 2; i++) {
        const { channel, data, event } = await client.next();
        assert.equal(event, 'n');
        const { t: thread, n } = JSON.parse(data);
        const key = `${channel} ${thread}`;
        assert.equal(n, next[key] || 0, key);
        next[key] = n + 1;
      }
      assert.equal(Object.keys(next).length, 8);
    }
    for (const client of clients) client.ws.terminate();
  });

  test(`${name}: publishes, batches and excludes`, async (t) => {
    const host = await startHost(config, t);
    const [one, two] = await Promise.all([connect(host), connect(host)]);
    for (const client of [one, two]) for (const channel of ['a', 'b']) await client.subscribe(channel);
    await host.publish(['a', 'b', 'a', 'nobody'], 'first', '1', { except: one.socketId });
    await host.do('batch', { batch: [{ name: 'x', channels: ['a'], data: '2' }, { name: 'y', channels: ['b'], data: '3' }] });
    assert.deepEqual((await two.settle()).map((f) => f.channel + f.event + f.data).sort(), ['afirst1', 'ax2', 'bfirst1', 'by3']);
    assert.deepEqual((await one.settle()).map((f) => f.data).sort(), ['2', '3']);
    await one.close();
    await two.close();
  });

  test(`${name}: refuses what breaks a rule, and sends nothing of it`, async (t) => {
    const host = await startHost(config, t);
    const client = await connect(host);
    await client.subscribe('a');
    const event = { name: 'n', channels: ['a'], data: '{}' };
    for (const [rc, more] of [['ENOENT', { app: 'nope' }], ['EINVAL', { name: '' }], ['EINVAL', { name: 'pusher:x' }], ['EINVAL', { channels: [] }],
      ['EINVAL', { channels: ['a', 'bad name'] }], ['EINVAL', { channels: Array.from({ length: 101 }, (_, i) => `c${i}`) }], ['EINVAL', { data_hex: 'ff' }],
      ['ELIMIT', { data: 'x'.repeat(10241) }], ['EINVAL', { name: 'n'.repeat(201) }]])
      assert.equal((await host.try('publish', { ...event, ...more })).rc, rc, JSON.stringify(more).slice(0, 80));
    for (const [rc, batch] of [['EINVAL', []], ['EINVAL', Array.from({ length: 11 }, () => event)], ['EINVAL', [event, { ...event, name: '' }]], ['ELIMIT', [event, { ...event, data: 'x'.repeat(10241) }]]])
      assert.equal((await host.try('batch', { batch })).rc, rc);
    for (const [rc, user] of [['EINVAL', ''], ['EINVAL', 'a b'], ['EINVAL', 'u'.repeat(201)]])
      assert.equal((await host.try('send_to_user', { user, name: 'n', data: '' })).rc, rc, user);
    assert.deepEqual(await client.settle(), []);
    await client.close();
  });

  test(`${name}: tells its channels, members and numbers`, async (t) => {
    const host = await startHost(config, t);
    assert.deepEqual((await host.do('channels')).channels, []);
    const clients = await Promise.all([connect(host), connect(host), connect(host)]);
    for (const [i, client] of clients.entries()) {
      await client.subscribe('orders');
      await client.subscribe('presence-cache-room', { user_id: String(i % 2), user_info: { n: i } });
    }
    const { channels } = await host.do('channels', { prefix: '' });
    assert.deepEqual(channels.sort((a, b) => a.name.localeCompare(b.name)), [
      { name: 'orders', kind: 0, cache: false, subscriptions: 3, users: 0 },
      { name: 'presence-cache-room', kind: 3, cache: true, subscriptions: 3, users: 2 },
    ]);
    assert.deepEqual((await host.do('channels', { prefix: 'ord' })).channels.map((c) => c.name), ['orders']);
    const { members } = await host.do('members', { channel: 'presence-cache-room' });
    assert.deepEqual(members.map(({ user, info }) => [user, JSON.parse(info)]).sort(), [['0', { n: 0 }], ['1', { n: 1 }]]);
    const one = await host.do('channel', { channel: 'orders' });
    assert.deepEqual([one.kind, one.subscriptions, one.users], [0, 3, 0]);
    assert.equal((await host.do('channel', { channel: 'free' })).subscriptions, 0);
    assert.deepEqual((await host.do('members', { channel: 'presence-free' })).members, []);
    for (const [command, args, rc] of [['channels', { app: 'nope' }, 'ENOENT'], ['channel', { channel: 'a b' }, 'EINVAL'], ['members', { channel: 'orders' }, 'EINVAL'],
      ['members', { channel: 'presence-x', app: 'nope' }, 'ENOENT'], ['disconnect', { app: 'nope', socket_id: '1.1', code: 4000 }, 'ENOENT'],
      ['disconnect', { socket_id: '1.1', code: 3999 }, 'EINVAL'], ['remove_app', { app: 'nope' }, 'ENOENT']])
      assert.equal((await host.try(command, args)).rc, rc, `${command} ${JSON.stringify(args)}`);
    await host.do('disconnect', { socket_id: '1.1', code: 4000 }); // nobody: no error

    await host.publish('orders', 'e', '1');
    await host.publish('nobody', 'e', '1');
    for (const client of clients) await client.settle();
    const stats = await host.do('stats');
    assert.deepEqual([stats.connections, stats.connections_total, stats.sockets, stats.subscriptions, stats.channels], [3, 3, 3, 6, 2]);
    assert.deepEqual([stats.publishes_unmatched_total, stats.slow_closed_total, stats.slow_dropped_total, stats.mailbox_refused_total], [1, 0, 0, 0]);
    assert.ok(stats.publishes_total >= 2 && stats.messages_in_total >= 12 && stats.messages_out_total >= 12 && stats.write_calls_total > 0);
    assert.ok(stats.bytes_in_total > 500 && stats.bytes_out_total > 500);
    for (const client of clients) client.ws.terminate();
    await until(async () => {
      const now = await host.do('stats');
      return now.connections + now.sockets + now.subscriptions + now.channels + now.out_queued_bytes === 0;
    }, 'nothing is left');
  });

  test(`${name}: replaces and removes apps while it runs`, async (t) => {
    const host = await startHost(config, t);
    const old = await connect(host);
    await old.subscribe('private-x');
    // new settings hold for new clients; open connections keep theirs
    await host.do('put_app', { app: { ...APP, secret: 'new-secret', client_events: false } });
    old.send({ event: 'client-x', channel: 'private-x', data: '' });
    assert.deepEqual(await old.settle(), []);
    const fresh = await connect(host, { app: { ...APP, secret: 'new-secret' } });
    await fresh.subscribe('private-x');
    fresh.send({ event: 'client-x', channel: 'private-x', data: '' });
    assert.equal((await fresh.next()).data.code, 4301);
    assert.equal((await api(host, 'GET', '/channels')).status, 401);
    assert.deepEqual((await api(host, 'GET', '/channels/private-x', { app: { ...APP, secret: 'new-secret' }, query: { info: 'subscription_count' } })).json,
      { occupied: true, subscription_count: 2 }, 'both are in the same channel');
    // disabled: its connections end, those of others do not
    await host.do('put_app', { app: { id: 'off', key: 'off-key', secret: 's' } });
    const off = await connect(host, { app: { key: 'off-key' } });
    await host.do('put_app', { app: { id: 'off', key: 'off-key', secret: 's', disabled: true } });
    assert.deepEqual(await off.closed(), { code: 4003, reason: 'The app is not enabled' });
    assert.equal((await refused(host, { app: { key: 'off-key' } })).code, 4003);
    await host.do('put_app', { app: { id: 'off', key: 'off-key', secret: 's' } });
    await (await connect(host, { app: { key: 'off-key' } })).close();
    await host.do('put_app', { app: { id: 'second', key: 'second-key', secret: 's' } });
    const second = await connect(host, { app: { key: 'second-key' } });
    assert.equal((await host.try('put_app', { app: { id: 'third', key: 'second-key', secret: 's' } })).rc, 'EEXIST');
    assert.equal((await host.try('put_app', { app: { id: '', key: 'k', secret: 's' } })).rc, 'EINVAL');
    assert.equal((await host.try('put_app', { app: { id: 'x', key: 'a:b', secret: 's' } })).rc, 'EINVAL');
    // another key for the same app
    await host.do('put_app', { app: { id: 'second', key: 'other-key', secret: 's' } });
    assert.equal((await refused(host, { app: { key: 'second-key' } })).code, 4001);
    const other = await connect(host, { app: { key: 'other-key' } });
    await host.do('remove_app', { app: 'second' });
    assert.equal((await second.closed()).code, 4001);
    assert.equal((await other.closed()).code, 4001);
    assert.equal((await refused(host, { app: { key: 'other-key' } })).code, 4001);
    assert.equal((await host.try('publish', { app: 'second', channels: ['a'], name: 'n' })).rc, 'ENOENT');
    for (const client of [old, fresh]) {
      assert.deepEqual(await client.settle(), []);
      await client.close();
    }
  });

  test(`${name}: stops over the grace period, and tells when it has`, async (t) => {
    const host = await startHost({ ...config, options: { ...config.options, close_timeout_ms: 300 } }, t);
    const clients = await Promise.all(Array.from({ length: 40 }, () => connect(host)));
    for (const client of clients) await client.subscribe('orders');
    const idle = await tcp(host);
    idle.write('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n');
    await idle.has(/ 200 /);
    const start = Date.now();
    const closed = clients.map(async (client) => ({ ...(await client.closed()), after: Date.now() - start }));
    await host.do('stop', { grace_ms: 2000 });
    assert.equal((await host.try('stop', { grace_ms: 2000 })).rc, 'ESTATE');
    await host.publish('orders', 'last', '1').catch(() => {});
    const ends = await Promise.all(closed);
    await host.event('stopped');
    assert.ok(ends.every(({ code }) => code === 4200), JSON.stringify(ends[0]));
    const times = ends.map(({ after }) => after).sort((a, b) => a - b);
    assert.ok(times.at(-1) - times[0] > 300, `not all at once: ${times}`);
    await idle.over();
    await assert.rejects(request(host, 'GET', '/ready'), /ECONNREFUSED|ECONNRESET|hang up/);
    for (const [command, args] of [['publish', { channels: ['a'], name: 'n', data: '' }], ['disconnect', { socket_id: '1.1', code: 4000 }]])
      assert.equal((await host.try(command, args)).rc, 'ESTATE', command);
    assert.equal((await host.try('stop')).rc, 'ESTATE');
    await host.end();
    assert.deepEqual(host.events.all.filter((e) => e.event === 'stopped').length, 1);
  });

  test(`${name}: cuts off who does not go when it stops`, async (t) => {
    const host = await startHost({ ...config, options: { ...config.options, close_timeout_ms: 200 } }, t);
    const deaf = await tcp(host); // never answers the close
    deaf.write(upgradeHead());
    await deaf.has(/established/);
    const half = await tcp(host); // never finishes its request
    half.write('GET /ready HTTP/1.1\r\nHo');
    await sleep(50);
    await host.do('stop', { grace_ms: 0 });
    await host.event('stopped');
    assert.match(deaf.text, /\x88.\x10\x68/); // 4200
    await deaf.over();
    await half.over();
  });

  test(`${name}: takes over sockets with what was read of them`, async (t) => {
    const host = await startHost(config, t);
    const head = upgradeHead();
    const tail = Buffer.from([0x81, 0x80 | 22, 0, 0, 0, 0]).toString('latin1') + '{"event":"pusher:ping"';
    for (const [read, what] of [[0, ''], [1, ''], [head.length - 5, ''], [head.length, ''], [head.length + tail.length, tail]]) {
      const adopted = host.try('adopt', { read });
      const { port } = await host.event('adopting');
      const raw = await tcp({ port });
      raw.write(head + what);
      assert.equal((await adopted).rc, 'OK');
      await raw.has(/connection_established/);
      if (what) await raw.has(/pusher:error/);
      raw.write(Buffer.from([0x81, 0x80 | 23, 0, 0, 0, 0]).toString('latin1') + '{"event":"pusher:ping"}');
      await raw.has(/pusher:pong/);
      raw.socket.destroy();
    }
    const http = host.try('adopt', { read: 3 });
    const { port } = await host.event('adopting');
    const answer = request({ port }, 'GET', '/ready');
    assert.equal((await http).rc, 'OK');
    assert.equal((await answer).status, 200);
  });

  test(`${name}: ends while clients are busy`, async (t) => {
    const host = await startHost(config, t);
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(host)));
    for (const client of clients) await client.subscribe('a');
    const burst = host.try('burst', { threads: 2, count: 300, channels: ['a'], name: 'n', pause_us: 100 });
    await clients[0].event('n');
    const end = host.end(); // frees a running server, with its threads; attached, stops it first
    await burst.catch(() => {});
    await end;
    for (const client of clients) await client.closed();
  });
}

for (const mode of ['threads', 'attach', 'attach-epoll', 'poll', 'poll-epoll']) {
  test(`${mode}: 50 events of one turn reach 100 subscribers with 100 writes`, async (t) => {
    const host = await startHost({ mode }, t);
    const clients = await Promise.all(Array.from({ length: 100 }, () => connect(host)));
    await Promise.all(clients.map((client) => client.subscribe('a')));
    // Five batches in one packet: the server reads them at once.
    const path = `/apps/${APP.id}/batch_events`;
    let packet = '';
    for (let n = 0; n < 50; n += 10) {
      const body = JSON.stringify({ batch: Array.from({ length: 10 }, (_, i) => ({ channel: 'a', name: 'n', data: String(n + i) })) });
      packet += `POST ${path}?${signedQuery(APP, 'POST', path, { body })} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    }
    const writesOfOnePacket = async () => {
      const publisher = await tcp(host);
      const before = await host.do('stats');
      publisher.write(packet);
      for (const client of clients) for (let n = 0; n < 50; n++) assert.equal((await client.next()).data, String(n));
      await publisher.has(/(200 OK[^]*){5}/);
      publisher.socket.destroy();
      const after = await host.do('stats');
      assert.equal(after.messages_out_total - before.messages_out_total, 5000);
      return after.write_calls_total - before.write_calls_total;
    };
    // One each and one for the answers; twice that if the packet was read in two pieces. While the machine is busy each request
    // of the packet may take a share of its own, and with it a turn; in a sanitizer's build each event may.
    const turns = 'ASAN_OPTIONS' in process.env ? 50 : 5;
    const all = [];
    do all.push(await writesOfOnePacket());
    while (all.at(-1) > 2 * 101 && all.length < 20);
    assert.ok(all.every((writes) => writes >= 101 && writes <= turns * 101), String(all));
    if (!('ASAN_OPTIONS' in process.env)) assert.ok(all.at(-1) <= 2 * 101, String(all));
    for (const client of clients) client.ws.terminate();
  });
}

for (const mode of ['threads', 'attach', 'attach-epoll', 'poll', 'poll-epoll']) {
  test(`${mode}: runs several servers in one process, apart from each other`, async (t) => {
    const host = await startHost({ mode, servers: 3 }, t);
    const clients = await Promise.all(host.ports.map((port) => connect({ port })));
    for (const client of clients) await client.subscribe('a');
    await host.publish('a', 'n', 'to the second', { server: 1 });
    assert.equal((await clients[1].next()).data, 'to the second');
    for (const i of [0, 2]) assert.deepEqual(await clients[i].settle(), []);
    await host.do('stop', { server: 0 });
    await host.event('stopped', { server: 0 });
    await clients[0].closed();
    await host.publish('a', 'n', 'still', { server: 2 });
    assert.equal((await clients[2].next()).data, 'still');
    for (const i of [1, 2]) await clients[i].close();
  });
}
