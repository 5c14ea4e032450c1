'use strict';
// examples/gateway-monitor on the wire: who hears of what, and how few events many readings become. Pages are in
// gateway-monitor.test.js.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const WebSocket = require('ws');

const { until, within } = require('../integration/lib.js');
require('./program.js');
const { ADA, BEN, EVE, USUAL, client, data, listen, poll, start } = require('./gateways.js');

const timeOf = (frame) => Date.parse(data(frame).timestamp);

test('GATE-2, GATE-A2: two events on three names, for who may see the gateway; addresses for admins only', async (t) => {
  const site = await start(t);
  const [ada, ben, eve] = await Promise.all([ADA, BEN, EVE].map((who) => client(site, who)));
  const names = ['readings', 'gateways', 'gateway.1'];
  const sockets = { ada: [], ben: [], eve: [] };
  for (const [name, who] of Object.entries({ ada, ben, eve }))
    for (const channel of names) sockets[name].push(await listen(site, channel, who));
  assert.match(sockets.eve[2].answer.event, /error/, 'a gateway of another site');
  await poll(ada, 1, USUAL);
  for (const [readings, , own] of [sockets.ada, sockets.ben]) {
    const { readings: all, timestamp } = data(await readings.event('reading.batch'));
    assert.deepEqual(all.map(({ data_point: { label } }) => label), ['Temperature', 'Level', 'Voltage', 'Flow', 'Signal']);
    assert.ok(Date.parse(timestamp) > 0);
    const { reading, data_point: point, ...rest } = data(await own.event('reading.new'));
    assert.deepEqual({ ...reading, id: 0, read_at: '' }, { id: 0, value: 21, quality: 'good', read_at: '' });
    assert.match(reading.read_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(point, { id: 1, gateway_id: 1, gateway: 'Reservoir 1', group: 'climate', label: 'Temperature', unit: '°C' });
    assert.deepEqual(Object.keys(rest), ['timestamp']);
  }
  for (let i = 0; i < 3; i++) await poll(ada, 1);
  for (const [name, address] of [['ada', '10.2.0.3'], ['ben', undefined]]) {
    for (const socket of sockets[name].slice(1)) {
      const { gateway, previous_status: previous, current_status: current, timestamp } = data(await socket.event('gateway.status-changed'));
      assert.deepEqual([gateway.id, gateway.name, gateway.ip_address, gateway.success_count, gateway.failure_count], [1, 'Reservoir 1', address, 1, 3], name);
      assert.deepEqual([previous, current], ['active', 'inactive']);
      assert.ok(Date.parse(gateway.last_seen_at) > 0 && Date.parse(timestamp) > 0);
    }
  }
  for (const socket of sockets.eve) assert.deepEqual((await socket.settle()).filter(({ event }) => !/^pusher/.test(event)), [], 'a user of other sites');
  // Nothing that a viewer is sent or may ask for has an address.
  for (const socket of sockets.ben) assert.doesNotMatch(JSON.stringify(socket.frames), /10\.\d+\.\d+\.\d+|ip_address/);
  for (const where of ['/', '/gateways/1', '/alerts', '/api/v1/dashboard', '/api/v1/gateways/1', '/api/v1/gateways/1/readings'])
    assert.doesNotMatch(await (await ben.get(where)).text(), /10\.\d+\.\d+\.\d+|ip_address/, where);
  assert.match(await (await ada.get('/api/v1/gateways/1')).text(), /"ip_address":"10\.2\.0\.3"/);
});

test('GATE-A1, APP-15: nothing for who is not signed in, for pages of other origins, after signing out, and for others', async (t) => {
  const site = await start(t);
  const [ada, ben] = [await client(site), await client(site, BEN)];
  const refused = async (channel, headers) => {
    const socket = await connectWith(site, headers);
    socket.send(channel);
    return /error/.test(await socket.answer);
  };
  const names = ['readings', 'gateways', 'private-user.1', 'private-replay.1', ...Array.from({ length: 200 }, (_, i) => `gateway.${i + 1}`)];
  const stranger = await listen(site, 'readings');
  for (const channel of names) {
    stranger.ask(channel);
    await stranger.next((frame) => frame.event === 'pusher:subscription_error' && frame.channel === channel);
  }
  assert.equal(await refused('readings', { cookie: ada.cookie, origin: 'https://evil.example' }), true, 'of another origin');
  const own = await listen(site, 'readings', ben);
  await ben.post('/logout');
  await own.next(({ event, channel }) => event === 'pusher:subscription_error' && channel === 'readings');
  assert.match((await listen(site, 'readings', ben)).answer.event, /error/, 'after signing out');
  const witness = await listen(site, 'readings', ada);
  await poll(ada, 1, USUAL);
  await witness.event('reading.batch');
  for (const socket of [stranger, own]) assert.doesNotMatch(JSON.stringify(await socket.settle()), /reading\./);
  const eve = await client(site, EVE);
  for (const channel of ['gateway.1', 'private-user.1', 'gateway.0', 'gateway.x', 'gateway.1.2', 'gateway.99999999999999999999'])
    assert.match((await listen(site, channel, eve)).answer.event, /error|succeeded/, channel);
  for (const [where, method, forNobody, forEve] of [
    ['/api/v1/dashboard', 'GET', 401, 200], ['/api/v1/gateways/1', 'GET', 401, 404], ['/api/v1/gateways/1/readings', 'GET', 401, 404], ['/gateways/1', 'GET', 303, 404],
    ['/api/v1/gateways/1/poll', 'POST', 401, 403], ['/api/v1/gateways/1/replay', 'POST', 401, 404], ['/api/v1/gateways/1/replay', 'DELETE', 401, 404],
    ['/api/v1/alerts/1/acknowledge', 'POST', 401, 404], ['/api/v1/users/3/sites', 'POST', 401, 403], ['/api/v1/demo/gateways', 'POST', 401, 403],
  ]) {
    assert.equal((await fetch(site.url + where, { method, redirect: 'manual' })).status, forNobody, `${method} ${where}`);
    assert.equal((await (method === 'GET' ? eve.get(where) : eve.send(method, where))).status, forEve, `${method} ${where} of Eve`);
    if (method !== 'GET') assert.equal((await fetch(site.url + where, { method, headers: { cookie: eve.cookie } })).status, 403, `${where} without the token`);
  }
});

/** A connection of `ws`, with these header fields: its frames as they come, and the bytes of its socket. */
async function connectWith(site, headers, options = {}) {
  const socket = new WebSocket(`${site.url.replace('http', 'ws')}/app/gateway-monitor-key?protocol=7`, { headers, perMessageDeflate: false, ...options });
  const heard = [];
  let say;
  const answer = new Promise((resolve) => { say = resolve; });
  socket.on('message', (text) => {
    const frame = JSON.parse(text);
    heard.push(frame);
    if (/subscription_(succeeded|error)$/.test(frame.event)) say(frame.event);
  });
  socket.on('close', () => say('closed: error'));
  await within(new Promise((resolve, reject) => { socket.on('open', resolve); socket.on('error', reject); }), 'a connection');
  return { heard, answer, socket, send: (channel) => socket.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel } })) };
}

test('GATE-3, GATE-A7: a gateway is inactive after three failures, active with the first answer, and each is told once', async (t) => {
  const site = await start(t);
  const ada = await client(site);
  const socket = await listen(site, 'gateways', ada);
  const status = async () => (await (await ada.get('/api/v1/gateways/2')).json());
  await poll(ada, 2, USUAL);
  for (let i = 0; i < 2; i++) await poll(ada, 2);
  assert.equal((await status()).status, 'active');
  for (let i = 0; i < 98; i++) await poll(ada, 2);
  assert.deepEqual([(await status()).status, (await status()).success_count, (await status()).failure_count], ['inactive', 1, 100]);
  await poll(ada, 2, USUAL);
  for (let i = 0; i < 2; i++) await poll(ada, 2);
  await poll(ada, 2, USUAL);
  const told = (await socket.settle()).filter(({ event }) => event === 'gateway.status-changed').map((frame) => data(frame).current_status);
  assert.deepEqual(told, ['inactive', 'active']);
  const wrong = await ada.post('/api/v1/gateways/2/poll', { values: '1,2' });
  assert.equal(wrong.status, 422);
});

test('GATE-5: a value within the dead band of its point is no news', async (t) => {
  const site = await start(t);
  const ada = await client(site);
  const socket = await listen(site, 'gateway.2', ada);
  await poll(ada, 2, USUAL);
  await poll(ada, 2, [21.05, 55.3, 230.2, 40.4, -70.5]);
  await poll(ada, 2, [21.05, 55.3, 230.2, 40.4, -68]);
  await poll(ada, 2, [21.2, 55.3, 230.2, 40.4, -68]);
  await poll(ada, 2, [21.2, 55.3, 230.2, 40.4, -68], 'bad'); // all of them are
  const told = (await socket.settle()).filter(({ event }) => event === 'reading.new').map((frame) => data(frame).reading);
  assert.deepEqual(told.map(({ value }) => value), [...USUAL, -68, 21.2, 21.2, 55.3, 230.2, 40.4, -68]);
  assert.deepEqual(told.map(({ quality }) => quality), [...Array(7).fill('good'), ...Array(5).fill('bad')]);
});

test('GATE-5: a value that stays is sent again when the time of the full picture is over', async (t) => {
  const site = await start(t, '--full-picture', '1');
  const ada = await client(site);
  const socket = await listen(site, 'gateway.2', ada);
  const told = () => socket.frames.filter(({ event }) => event === 'reading.new').length;
  await poll(ada, 2, USUAL);
  const first = data(await socket.event('reading.new')).reading.read_at;
  await until(async () => { await poll(ada, 2, USUAL); return told() >= 10; }, 'all five again');
  const again = data(socket.frames.filter(({ event }) => event === 'reading.new')[5]).reading.read_at;
  assert.ok(Date.parse(again) - Date.parse(first) >= 1000, `${first}, ${again}`);
});

for (const gateways of process.env.ASAN_OPTIONS ? [200] : [200, 2000]) {
  test(`GATE-4, GATE-6: ${gateways * 5} readings a second are at most five frames of each name a second, and none is lost`, async (t) => {
    const site = await start(t, '--simulate=7', '--every-value', '--gateways', String(gateways));
    const ada = await client(site);
    const socket = await connectWith(site, { cookie: ada.cookie, origin: site.url });
    socket.send('readings');
    assert.match(await socket.answer, /succeeded/);
    const batches = () => socket.heard.filter(({ event }) => event === 'reading.batch');
    const seen = new Set();
    await until(() => {
      batches().forEach((frame) => frame.counted || data(frame).readings.forEach(({ data_point: { id } }) => seen.add(id)));
      batches().forEach((frame) => { frame.counted = true; });
      return seen.size >= gateways * 4.5 && batches().length >= 4; // some gateways do not answer
    }, () => `${seen.size} points in ${batches().length} batches`);
    for (const name of ['reading.batch', 'reading.new']) {
      const frames = socket.heard.filter(({ event }) => event === name);
      const took = (name === 'reading.batch' ? timeOf(frames.at(-1)) - timeOf(frames[0]) : timeOf(batches().at(-1)) - timeOf(batches()[0])) / 1000;
      assert.ok(frames.length - 3 <= took * 5, `${frames.length} of ${name} in ${took} s`);
    }
    const ids = batches().flatMap((frame) => data(frame).readings.map(({ reading: { id } }) => id));
    ids.forEach((id, nth) => assert.ok(nth === 0 || id === ids[nth - 1] + 1, 'a reading is missing'));
    for (const frame of batches()) assert.ok(frame.data.length < 1024 * 1024, `${frame.data.length}`);
    socket.socket.close();
  });
}

test('GATE-7: compressed, the same batches are at most a third', async (t) => {
  const site = await start(t, '--simulate=7', '--every-value');
  const ada = await client(site);
  const bytes = async (perMessageDeflate) => {
    const socket = await connectWith(site, { cookie: ada.cookie, origin: site.url }, { perMessageDeflate });
    socket.send('readings');
    await until(() => socket.heard.filter(({ event }) => event === 'reading.batch').length >= 10, 'batches');
    const plain = socket.heard.reduce((sum, frame) => sum + JSON.stringify(frame).length, 0);
    const read = socket.socket._socket.bytesRead; // eslint-disable-line no-underscore-dangle
    socket.socket.close();
    return read / plain;
  };
  const [without, compressed] = [await bytes(false), await bytes(true)];
  t.diagnostic(`${(without / compressed).toFixed(1)} times fewer bytes`);
  assert.ok(without / compressed >= 3, `${without} to ${compressed}`);
});

test('GATE-14, APP-13: pages see the sites of their user, and a change has effect before its answer', async (t) => {
  const site = await start(t);
  const [ada, eve] = [await client(site), await client(site, EVE)];
  const [readings, own] = [await listen(site, 'readings', eve), await listen(site, 'gateway.3', eve)];
  assert.match(own.answer.event, /succeeded/);
  const allowed = async (sites) => assert.equal((await ada.post('/api/v1/users/3/sites', { sites })).status, 204);
  const shown = async () => (await (await eve.get('/api/v1/dashboard')).json()).gateways.length;
  assert.equal(await shown(), 66);
  await poll(ada, 3, USUAL);
  assert.equal(data(await readings.event('reading.batch')).readings[0].data_point.gateway_id, 3);
  await own.event('reading.new');
  await allowed('1');
  await poll(ada, 3, USUAL.map((value) => value + 5));
  await poll(ada, 1, USUAL);
  await own.next(({ event, channel }) => event === 'pusher:subscription_error' && channel === 'gateway.3');
  const { readings: all } = data(await readings.event('reading.batch'));
  assert.deepEqual([...new Set(all.map(({ data_point: { gateway_id: id } }) => id))], [1]);
  assert.doesNotMatch(JSON.stringify(await own.settle()), /reading\.new/);
  assert.equal(await shown(), 34);
  await allowed('');
  const witness = await listen(site, 'readings', ada);
  await poll(ada, 1, USUAL.map((value) => value + 5));
  await witness.event('reading.batch');
  // What was read before may still be on its way.
  assert.doesNotMatch(JSON.stringify(await readings.settle()), /"value\\?":(26|60|235|45|-65)/);
  assert.equal(await shown(), 0);
  assert.equal((await ada.post('/api/v1/users/99/sites', { sites: '1' })).status, 422);
});
