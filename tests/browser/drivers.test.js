'use strict';
// examples/status-page: how its events get to pages, as the environment says.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');

const Pusher = require('pusher');

const { BUILD, TOP, freePort, until } = require('../integration/lib.js');
const { noRedis, startRedis } = require('../integration/redis.js');
const { API_SERVICE, OWNER, client, start, subscriber } = require('./site.js');

const APP = { REVERB_APP_ID: 'shop', REVERB_APP_KEY: 'shop-key', REVERB_APP_SECRET: 'shop-secret' };
const there = (port) => ({ ...APP, REVERB_HOST: '127.0.0.1', REVERB_PORT: String(port), REVERB_SCHEME: 'http' });
const heard = (frame) => JSON.parse(frame.data);
const change = (owner, status, message) => owner.write(`services/${API_SERVICE}/status`, { status, message });
const health = async (site) => {
  const answer = await fetch(`${site.url}/api/v1/websocket/health`);
  return { code: answer.status, ...(await answer.json()) };
};

test('ST-4: without a word events go through the server in the program, and nobody knows a secret', async (t) => {
  const site = await start(t);
  assert.deepEqual((({ code, driver }) => [code, driver])(await health(site)), [200, 'local']);
  for (const secret of ['', 'status-page-secret', 'status-page-key']) {
    const outside = new Pusher({ appId: 'status-page', key: 'status-page-key', secret: secret || 'x', host: '127.0.0.1', port: site.port });
    await assert.rejects(outside.trigger('organization.1', 'x', {}), ({ status }) => status === 401);
  }
});

test('ST-4: a publisher outside has the key of the environment, and its events are rendered like others', async (t) => {
  const site = await start(t, { ...APP, BROADCAST_CONNECTION: 'local' });
  const visitor = await subscriber(site, 'organization.1', null, APP.REVERB_APP_KEY);
  const owner = await subscriber(site, 'organization.1', (await client(site, OWNER)).cookie, APP.REVERB_APP_KEY);
  const outside = new Pusher({ appId: 'shop', key: 'shop-key', secret: 'shop-secret', host: '127.0.0.1', port: site.port });
  await outside.trigger('organization.1', 'note', { public: 0, by: 'Somebody' });
  await outside.trigger('organization.1', 'note', { public: 1, by: 'Somebody', text: 'Hello' });
  assert.deepEqual(heard(await visitor.event('note')), { public: 1, text: 'Hello' });
  assert.deepEqual(heard(await owner.event('note')), { public: 0, by: 'Somebody' });
});

test('ST-4: pages of one program hear what another one writes, by reverb and by pusher', async (t) => {
  for (const family of ['reverb', 'pusher']) {
    const named = (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.replace('REVERB', family.toUpperCase()), value]));
    const pages = await start(t, { ...named(APP), BROADCAST_CONNECTION: 'local' });
    const writer = await start(t, { ...named(there(pages.port)), BROADCAST_CONNECTION: family });
    const page = await subscriber(pages, 'organization.1', null, APP.REVERB_APP_KEY);
    await change(await client(writer, OWNER), 'degraded', family);
    const { service, by, message } = heard(await page.event('service.status.changed'));
    assert.deepEqual([service.id, by, message], [API_SERVICE, undefined, family]);
    assert.deepEqual((({ code, driver }) => [code, driver])(await health(writer)), [200, family]);
    page.ws.terminate();
  }
});

test('ST-4: what cannot be sent waits in order, and nobody who writes waits for it', async (t) => {
  const port = await freePort();
  const writer = await start(t, { ...there(port), BROADCAST_CONNECTION: 'reverb' });
  writer.talks = true; // "events have to wait"
  const owner = await client(writer, OWNER);
  for (let i = 0; i < 10; i++) await change(owner, i % 2 ? 'operational' : 'degraded', `Number ${i}`);
  await until(async () => (await health(writer)).code === 503);
  const pages = await start(t, '--port', String(port), { ...APP, BROADCAST_CONNECTION: 'local' });
  const page = await subscriber(pages, 'organization.1', null, APP.REVERB_APP_KEY);
  await until(async () => (await health(writer)).code === 200, 'events are accepted again');
  await change(owner, 'degraded', 'The last');
  const messages = [];
  while (messages.at(-1) !== 'The last') messages.push(heard(await page.event('service.status.changed')).message);
  const waited = messages.slice(0, -1); // the page may have come while the first ones arrived
  assert.deepEqual(waited, Array.from({ length: 10 }, (_, i) => `Number ${i}`).slice(10 - waited.length));
});

test('ST-4: log and null', async (t) => {
  for (const driver of ['log', 'null']) {
    const site = await start(t, { BROADCAST_CONNECTION: driver });
    const page = await subscriber(site, 'organization.1');
    await change(await client(site, OWNER), 'degraded', 'Slow');
    if (driver === 'log') {
      site.talks = true;
      await until(() => /organization\.1[^]*service\.status\.changed|service\.status\.changed[^]*organization\.1/.test(site.stderr), () => site.stderr);
    }
    assert.equal((await health(site)).driver, driver);
    assert.deepEqual(await page.settle(), [], 'it is published here all the same');
    page.ws.terminate();
  }
});

test('ST-4: redis, in the form of Laravel', { skip: noRedis }, async (t) => {
  const { port } = await startRedis(t);
  const listener = net.connect(port, '127.0.0.1', () => listener.write('PSUBSCRIBE *\r\n'));
  t.after(() => listener.destroy());
  let text = '';
  listener.on('data', (data) => { text += data; });
  listener.on('error', () => {}); // Redis ends first
  await until(() => /psubscribe/.test(text));
  const site = await start(t, { BROADCAST_CONNECTION: 'redis', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), APP_NAME: 'My Shop' });
  site.talks = true; // of Redis' end
  await change(await client(site, OWNER), 'degraded', 'Slow');
  await until(() => /^my-shop-database-organization\.1\r\n\$\d+\r\n\{.*"event":"service\.status\.changed".*\}\r$/m.test(text), () => text);
  await until(async () => (await health(site)).code === 200);
});

test('ST-4: a driver that lacks something is said, and the program does not start', () => {
  for (const [env, said] of [
    [{ BROADCAST_CONNECTION: 'reverb' }, /^status-page: cannot publish: .*REVERB_APP_KEY/],
    [{ BROADCAST_CONNECTION: 'carrier-pigeon' }, /^status-page: cannot publish: .*carrier-pigeon/],
  ]) {
    const ended = spawnSync(path.join(BUILD, 'examples/status-page/status-page'),
      ['--port', '0', '--node-modules', path.join(TOP, 'tests/node_modules')], { encoding: 'utf8', timeout: 30000, env: { ...process.env, ...env } });
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, said);
  }
});
