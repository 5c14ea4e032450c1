'use strict';
// Laravel's own Redis broadcaster, a real Redis, and `pusherc serve --laravel-redis` beside the application: events of
// artisan and of pages, and rules that ask the application, whose /broadcasting/auth signs nothing with this driver.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { before, test } = require('node:test');
const { APP, Program, BUILD, Visitor, artisan, assemble, connect, file, log, pages, until } = require('./application.js');
const { noRedis, startRedis } = require('../../../../tests/integration/redis.js');
const path = require('node:path');

const skip = noRedis;
const config = (redis, prefix = 'pusherc_test_database_') => ({
  'broadcasting.default': 'redis',
  'broadcasting.connections.redis': { driver: 'redis', connection: 'default' },
  'database.redis': { client: 'phpredis', options: { prefix }, default: { host: '127.0.0.1', port: redis.port, database: 0 } },
});

/** `pusherc serve` that has the application's events, and asks it about channels. */
async function serve(t, redis, { args = [], site, env = {} } = {}) {
  const name = file(`redis-${redis.port}-${args.length}.json`);
  const rules = site ? [{ pattern: 'orders.{order}', url: `${site.url}/broadcasting/auth` }, { pattern: 'office.{id}', url: `${site.url}/broadcasting/auth` }] : [];
  fs.writeFileSync(name, JSON.stringify({ apps: [{ ...APP, auth_mode: site ? 'rules' : 'signature' }], rules, log_level: 'debug' }));
  const server = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', '--config', name, ...args], { env: { ...process.env, ...env } });
  t.after(async () => { server.child.kill('SIGTERM'); await server.ends(); });
  server.port = await server.listening();
  server.url = `http://127.0.0.1:${server.port}`;
  await until(() => /hears Laravel's events/.test(server.stderr), () => server.stderr);
  return server;
}

const shipped = (channel, note) => ({ event: 'App\\Events\\OrderShipped', channel, data: JSON.stringify({ order: 7, note }) });

before(() => { if (!skip) assemble(); });

test('events of artisan reach pages, with the prefix of either name and with none', { skip }, async (t) => {
  const redis = await startRedis(t);
  const server = await serve(t, redis, { env: { BROADCAST_CONNECTION: 'redis', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port), APP_NAME: 'pusherc test' } });
  const bare = await serve(t, redis, { args: ['--laravel-redis', `${redis.url}?prefix=`] });
  assert.match(server.stderr, /signs no subscriptions/);
  const [client, other] = [await connect(server, { app: APP }), await connect(bare, { app: APP })];
  await client.subscribe('shop');
  await other.subscribe('shop');
  for (const prefix of ['pusherc_test_database_', 'pusherc-test-database-']) {
    artisan('test:ship', '7', { TEST_CONFIG: JSON.stringify(config(redis, prefix)) });
    assert.deepEqual(await client.next(), shipped('shop', 'from artisan'));
  }
  artisan('test:ship', '7', { TEST_CONFIG: JSON.stringify(config(redis, '')) });
  assert.deepEqual(await other.next(), shipped('shop', 'from artisan'));
  // What has no names: an array in PHP.
  for (const [data, text] of [['[]', '[]'], ['["a","b"]', '["a","b"]'], ['{"1":"a"}', '{"1":"a"}'], ['{"a":{"socket":1}}', '{"a":{"socket":1}}']]) {
    artisan('test:send', 'shop', 'x', data, { TEST_CONFIG: JSON.stringify(config(redis)) });
    assert.deepEqual(await client.next(), { event: 'x', channel: 'shop', data: text });
  }
});

test('rules ask the application, and toOthers() leaves its page out', { skip }, async (t) => {
  const redis = await startRedis(t);
  const site = await pages({ config: config(redis) });
  const server = await serve(t, redis, { args: ['--laravel-redis', `${redis.url}?prefix=pusherc_test_database_`], site });
  assert.doesNotMatch(server.stderr, /signs no subscriptions/);
  const olga = await new Visitor(site).login(1), bob = await new Visitor(site).login(2);
  const as = (visitor) => connect(server, { app: APP, headers: { Cookie: visitor.cookie } });
  const [hers, second, his] = [await as(olga), await as(olga), await as(bob)];
  for (const client of [hers, second]) {
    client.ask('private-orders.7');
    await client.event('pusher_internal:subscription_succeeded');
  }
  his.ask('private-orders.7');
  await his.event('pusher:subscription_error');
  hers.ask('presence-office.1');
  const { presence } = JSON.parse((await hers.event('pusher_internal:subscription_succeeded', 'presence-office.1')).data);
  assert.deepEqual(presence.hash, { 1: { name: 'Olga', office: '1' } });
  assert.equal((await olga.get('/ship/7', { headers: { 'X-Socket-ID': hers.socketId } })).text, 'shipped', log());
  assert.deepEqual(await second.event('App\\Events\\OrderShipped'), shipped('private-orders.7', 'from FPM'));
  assert.deepEqual((await hers.settle()).filter((f) => /Shipped/.test(f.event)), []);
});
