'use strict';
// Shaping, as unmodified pusher-js sees it: fewer events, and the last of each key. With one worker and with four, whose clients
// are on all of them; published from the host's threads and over HTTP; and set by a config file.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, api, connect, sleep, startHost, startServe, until } = require('./lib.js');
const { connected, listen, pusher, subscribe } = require('./clients.js');

const RULES = ['gateway.{id} conflate key=/sensor event=reading window_ms=200',
  'doc.{id} debounce window_ms=150 max_wait_ms=600 leading=yes',
  'log.{id} batch window_ms=150 max_events=50',
  'ticker conflate key=symbol max_per_s=20'].join(' ; ');

/** {in, out, merged, ...} of each rule, from the page for operators. */
async function counters(host) {
  const { text } = await host.do('metrics');
  const rules = {};
  for (const [, name, rule, value] of text.matchAll(/^pusherc_shaping_(\w+?)(?:_total)?\{[^}]*rule="([^"]*)"[^}]*\} (\d+)/gm)) (rules[rule] ??= {})[name] = Number(value);
  return rules;
}

const quiet = (host) => until(async () => Object.values(await counters(host)).every(({ waiting }) => waiting === 0));

for (const workers of [1, 4]) {
  const start = (t) => startHost({ apps: [{ ...APP, shaping: RULES }], metrics: true, options: { worker_count: workers } }, t);
  const clientsOf = async (t, host, channel, count = 2 * workers) => {
    const clients = Array.from({ length: count }, () => pusher(t, host));
    await Promise.all(clients.map(connected));
    return Promise.all(clients.map((client) => subscribe(client, channel)));
  };

  test(`${workers} workers: conflation: of many readings the newest of each sensor arrives, in order`, async (t) => {
    const host = await start(t);
    const channels = await clientsOf(t, host, 'gateway.7');
    const last = {};
    let published = 0;
    const began = Date.now();
    for (let n = 1; n <= 400; n++) {
      const reading = { sensor: `s${n % 5}`, value: n };
      last[reading.sensor] = n;
      published++;
      if (n % 4) await host.publish('gateway.7', 'reading', JSON.stringify(reading));
      else assert.equal((await api(host, 'POST', '/events', { body: { name: 'reading', channel: 'gateway.7', data: JSON.stringify(reading) } })).status, 200);
    }
    await quiet(host);
    const took = Date.now() - began;
    await host.publish('gateway.7', 'end', '{}');
    const seen = [];
    for (const channel of channels) {
      const events = [];
      for (let e = await channel.inbox.next(); e.event !== 'end'; e = await channel.inbox.next()) events.push(e);
      const newest = {};
      for (const { event, data } of events) {
        assert.equal(event, 'reading');
        assert.ok(data.value > (newest[data.sensor] || 0), 'in order');
        newest[data.sensor] = data.value;
      }
      assert.deepEqual(newest, last, 'the last value of every key');
      seen.push(events.length);
      assert.ok(events.length <= 5 * (2 + took / 200), `${events.length} events in ${took} ms`);
    }
    assert.deepEqual(seen, seen.map(() => seen[0]), 'all clients see the same');
    const { 'gateway.{id} reading': c } = await counters(host);
    assert.deepEqual([c.in, c.out, c.merged, c.waiting], [published, seen[0], published - seen[0], 0]);
  });

  test(`${workers} workers: debounce: first and last of a burst, and the longest wait`, async (t) => {
    const host = await start(t);
    const [channel] = await clientsOf(t, host, 'doc.1', workers);
    const began = Date.now();
    let n = 1;
    await host.publish('doc.1', 'changed', '1');
    assert.equal((await channel.inbox.event('changed')).data, 1, 'the leading edge');
    while (Date.now() < began + 1500 || n < 200) { // where each is a window later than the one before, all of them come
      await Promise.all(Array.from({ length: 5 }, () => host.publish('doc.1', 'changed', JSON.stringify(++n))));
      await sleep(30);
    }
    await quiet(host);
    await host.publish('doc.2', 'changed', '0');
    const values = channel.inbox.rest().map(({ data }) => data).filter((data) => typeof data === 'number');
    await until(() => { values.push(...channel.inbox.rest().map(({ data }) => data)); return values.at(-1) === n; });
    assert.ok(values.length >= 2, `steady events do not starve it: ${values}`);
    assert.ok(values.length < n / 2, `${values.length} of ${n}`);
    assert.deepEqual(values, [...values].sort((a, b) => a - b));
  });

  test(`${workers} workers: batch: every event once, in arrays`, async (t) => {
    const host = await start(t);
    const channels = await clientsOf(t, host, 'log.1');
    // All at once: on a busy machine one after the other may take a window each.
    await Promise.all(Array.from({ length: 120 }, (_, n) => host.publish('log.1', 'line', n % 2 ? JSON.stringify({ n }) : `text "${n}"`)));
    const wanted = Array.from({ length: 120 }, (_, n) => (n % 2 ? { n } : `text "${n}"`));
    for (const channel of channels) {
      const lines = [];
      let frames = 0;
      while (lines.length < 120) {
        const { data } = await channel.inbox.event('line');
        assert.ok(Array.isArray(data) && data.length <= 50);
        lines.push(...data);
        frames++;
      }
      assert.deepEqual(lines, wanted);
      assert.ok(frames < 60, String(frames));
    }
    await quiet(host);
    const { 'log.{id}': c } = await counters(host);
    assert.deepEqual([c.in, c.out + c.merged, c.refused], [120, 120, 0]);
  });

  test(`${workers} workers: the rate of a channel is kept, and what waits comes at last`, async (t) => {
    const host = await start(t);
    const [channel] = await clientsOf(t, host, 'ticker', workers);
    const began = Date.now();
    for (let n = 1; n <= 300; n++) await host.publish('ticker', 'price', JSON.stringify({ symbol: `S${n % 10}`, n }));
    await quiet(host);
    const took = Date.now() - began;
    const newest = {};
    await until(() => {
      for (const { event, data } of channel.inbox.rest()) if (event === 'price') (newest[data.symbol] ??= []).push(data.n);
      return Object.keys(newest).length === 10 && Object.entries(newest).every(([s, list]) => list.at(-1) === (s === 'S0' ? 300 : 290 + Number(s.slice(1))));
    });
    const count = Object.values(newest).flat().length;
    assert.ok(count <= 20 * (took / 1000 + 0.1) + 2, `${count} in ${took} ms`);
  });

  test(`${workers} workers: a stop sends what waits before it closes the clients`, async (t) => {
    const host = await start(t);
    const clients = [];
    for (let i = 0; i < 2 * workers; i++) {
      clients.push(await connect(host));
      await clients[i].subscribe('log.9');
      await clients[i].subscribe('gateway.9');
    }
    for (const client of clients) client.inbox.rest();
    await host.publish('gateway.9', 'reading', '{"sensor":1,"v":1}');
    for (const client of clients) await client.event('reading', 'gateway.9');
    await host.publish('gateway.9', 'reading', '{"sensor":1,"v":2}');
    await host.publish('log.9', 'line', '1');
    await host.do('stop', { grace_ms: 0 });
    for (const client of clients) {
      const frames = [];
      await client.closed();
      for (const frame of client.frames) if (frame.channel === 'log.9' || frame.channel === 'gateway.9') frames.push(`${frame.event} ${frame.data}`);
      assert.deepEqual(frames.filter((f) => !f.startsWith('pusher')).sort(), ['line [1]', 'reading {"sensor":1,"v":1}', 'reading {"sensor":1,"v":2}']);
    }
  });
}

test('a config file sets the rules of an app, and SIGHUP changes them', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const config = path.join(folder, 'config.json');
  const write = (shaping) => fs.writeFileSync(config, JSON.stringify({ apps: [{ id: 'shaped', key: 'shaped-key', secret: 'shaped-secret', shaping }] }));
  const app = { id: 'shaped', key: 'shaped-key', secret: 'shaped-secret' };
  write('room.{id} batch window_ms=100');
  const server = await startServe(['--config', config], t);
  const client = await connect(server, { app });
  await client.subscribe('room.1');
  const post = (data) => api(server, 'POST', '/events', { app, body: { name: 'e', channel: 'room.1', data } });
  const batch = ['1', '2'].map((data) => ({ name: 'e', channel: 'room.1', data })); // in one request: two could be a window apart
  assert.equal((await api(server, 'POST', '/batch_events', { app, body: { batch } })).status, 200);
  assert.equal((await client.event('e', 'room.1')).data, '[1,2]');
  write(null);
  server.child.kill('SIGHUP');
  await server.lines.next((line) => line.startsWith('apps read again'));
  for (const data of ['3', '4']) assert.equal((await post(data)).status, 200);
  assert.equal((await client.event('e', 'room.1')).data, '3');
  assert.equal((await client.event('e', 'room.1')).data, '4');
  write('room.{id} batch');
  server.child.kill('SIGHUP');
  await until(() => server.stderr.includes('apps stay as they were: '));
  assert.match(server.stderr, /shaping: rule 1: window_ms is missing/);
  await client.close();
});
