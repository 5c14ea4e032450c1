'use strict';
// `pusherc serve --laravel-redis` beside a real Redis: what Laravel's broadcaster publishes reaches the pages. What the real
// Laravel writes is tried in bindings/php/tests/laravel/redis.test.js.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const { APP, connect, request, startHost, startServe, trigger, until } = require('./lib.js');
const { noRedis, startRedis } = require('./redis.js');

const hears = (server) => server.stderr.split('\n').filter((line) => /hears Laravel's events in Redis/.test(line)).length;
const heard = (server, times = 1) => until(() => hears(server) >= times, () => `the subscription: ${server.stderr}`);

/** As PHP writes it: with the member, a list is an object. */
const envelope = (event, data, socket = null) => JSON.stringify({ event, data: { ...data, socket }, socket });

/** A server that is subscribed to Laravel's channels. */
async function serve(t, redis, { args = [], env, config = {} } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'laravel-redis-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'pusherc.json');
  fs.writeFileSync(file, JSON.stringify(config));
  const server = await startServe(['--config', file, '--metrics', 'on', '--metrics-port', '0', ...args], t, env);
  await heard(server);
  return server;
}

const by = (redis, query = '') => ['--laravel-redis', `${redis.url}${query}`];

async function metric(server, name) {
  const port = Number(server.lines.all.map((line) => /^metrics on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)).find(Boolean)[1]);
  const { text } = await request({ port }, 'GET', '/metrics');
  return Number(new RegExp(`^pusherc_${name}\\{app_id="app-id",port="\\d+"\\} (\\d+)$`, 'm').exec(text)[1]);
}

describe('laravel-redis', { skip: noRedis }, () => {
  test('an event reaches its subscribers as Laravel\'s drivers for Pusher send it', async (t) => {
    const redis = await startRedis(t);
    const server = await serve(t, redis, { args: by(redis) });
    const [a, b] = [await connect(server), await connect(server)];
    for (const client of [a, b]) await client.subscribe('orders');
    const rows = [
      [{ order: { id: 42, name: 'Zo\u00eb', socket: 1 } }, '{"order":{"id":42,"name":"Zo\u00eb","socket":1}}'],
      [[], '[]'],
      [['x', { y: 1.50 }], '["x",{"y":1.5}]'],
      [{ 1: 'x' }, '{"1":"x"}'],
    ];
    for (const [data, text] of rows) {
      await redis.call('PUBLISH', 'laravel_database_orders', envelope('App\\Events\\OrderShipped', data));
      for (const client of [a, b]) assert.deepEqual(await client.next(), { event: 'App\\Events\\OrderShipped', channel: 'orders', data: text });
    }
    // toOthers(), with the prefix of newer releases; and a socket of somebody else's
    await redis.call('PUBLISH', 'laravel-database-orders', envelope('x', { n: 1 }, a.socketId));
    assert.equal((await b.next()).data, '{"n":1}');
    await redis.call('PUBLISH', 'laravel-database-orders', envelope('y', { n: 2 }, 'x9ZkQ'));
    for (const client of [a, b]) assert.equal((await client.next()).event, 'y');
    assert.equal(await metric(server, 'laravel_redis_up'), 1);
    assert.equal(await metric(server, 'laravel_redis_events_total'), 6);
  });

  test('the prefix: of the URL, of an option, of the environment, and none; its characters are no pattern', async (t) => {
    const redis = await startRedis(t);
    const env = { BROADCAST_CONNECTION: 'redis', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port), REDIS_PASSWORD: 'null' };
    const servers = [
      [await serve(t, redis, { args: by(redis, '?prefix=a%2A%5Bb') }), ['a*[bnews'], ['axbnews', 'a*bnews']],
      [await serve(t, redis, { args: by(redis, '?prefix=z'), config: { laravel_redis_prefix: 'shop:' } }), ['shop:news'], ['znews', 'news']],
      [await serve(t, redis, { env: { ...env, APP_NAME: 'My Shop' } }), ['my-shop-database-news', 'my_shop_database_news'], ['my-shop_database_news', 'laravel_database_news']],
      [await serve(t, redis, { env: { ...env, REDIS_PREFIX: '' } }), ['news'], []],
      [await serve(t, redis, { env: { ...env, BROADCAST_CONNECTION: '', BROADCAST_DRIVER: 'redis' } }), ['laravel-database-news'], ['my-shop-database-news']],
    ];
    for (const [server, heardTopics, others] of servers) {
      const client = await connect(server);
      await client.subscribe('news');
      for (const topic of [...others, ...heardTopics]) await redis.call('PUBLISH', topic, envelope(topic, {}));
      for (const topic of heardTopics) assert.equal((await client.event(topic, 'news')).data, '[]');
      assert.deepEqual((await client.settle()).filter((f) => others.includes(f.event)), []);
    }
  });

  test('what is no such event does no harm, and is said once', async (t) => {
    const redis = await startRedis(t);
    const server = await serve(t, redis, { args: by(redis, '?prefix=') });
    const client = await connect(server);
    await client.subscribe('news');
    const texts = ['', 'x', '[]', '{}', '{"event":1,"data":{}}', '{"event":"x"}', '{"data":{}}', '{"event":"","data":{}}', '{"event":"pusher:x","data":{}}',
      '{"event":"x","data":"\\ud800"}', `{"event":"x","data":${'['.repeat(100)}${']'.repeat(100)}}`, `{"event":"x","data":"${'x'.repeat(200000)}"}`];
    for (const text of texts) await redis.call('PUBLISH', 'news', text);
    for (const topic of ['a b', 'n'.repeat(300), '\u0007\u009b']) await redis.call('PUBLISH', topic, envelope('x', {}));
    await redis.call('PUBLISH', 'news', envelope('good', { a: 1 }));
    assert.deepEqual(await client.next(), { event: 'good', channel: 'news', data: '{"a":1}' });
    assert.equal(await metric(server, 'laravel_redis_ignored_total'), texts.length + 3);
    const said = server.stderr.split('\n').filter((line) => /ignored a message on/.test(line));
    assert.ok(said.length >= 1 && said.length <= 3, said.join('\n')); // one of each kind in ten seconds
    assert.match(server.stderr, /ignored a message on news in Redis: it is no event as Laravel publishes it/);
  });

  test('a Redis that goes is found again, and the pages are served meanwhile', async (t) => {
    const redis = await startRedis(t);
    const server = await serve(t, redis, { args: by(redis) });
    const client = await connect(server);
    await client.subscribe('news');
    await redis.kill();
    await until(async () => await metric(server, 'laravel_redis_up') === 0, 'the loss');
    await trigger(server, 'news', 'over-http', '{}');
    await client.event('over-http');
    const again = await startRedis(t, [], redis.port);
    await heard(server, 2);
    assert.match(server.stderr, /tries again/);
    assert.match(server.stderr, /what was published since the connection was lost is missing/);
    await again.call('PUBLISH', 'laravel-database-news', envelope('back', {}));
    await client.event('back', 'news');
  });

  test('a message beyond all bounds ends the connection, not the server', async (t) => {
    const redis = await startRedis(t);
    const server = await serve(t, redis, { args: by(redis) });
    const client = await connect(server);
    await client.subscribe('news');
    await redis.call('PUBLISH', 'laravel-database-news', 'x'.repeat(9 << 20));
    await heard(server, 2);
    assert.match(server.stderr, /cannot be used: Redis broke the protocol/);
    await redis.call('PUBLISH', 'laravel-database-news', envelope('back', {}));
    await client.event('back', 'news');
  });

  test('many events come in order, and none is missing', async (t) => {
    const redis = await startRedis(t);
    const server = await serve(t, redis, { args: by(redis, '?prefix=') });
    const client = await connect(server);
    await client.subscribe('news');
    const COUNT = 20000; // a script publishes them faster than they can be read
    await redis.call('EVAL', `for i = 1, ${COUNT} do redis.call('publish', 'news', '{"event":"n","data":{"n":' .. i .. ',"socket":null},"socket":null}') end`, '0');
    await client.next((f) => f.data === `{"n":${COUNT}}`);
    assert.deepEqual(client.frames.filter((f) => f.event === 'n').map((f) => JSON.parse(f.data).n), Array.from({ length: COUNT }, (_, n) => n + 1));
  });

  test('a password that is wrong is said, and a user with the smallest rights will do', async (t) => {
    const redis = await startRedis(t, ['--user', 'default', 'off', '--user', 'ears', 'on', '>hush', '-@all', '+psubscribe', '+ping', 'resetchannels', '&laravel-database-*', '&laravel_database_*']);
    const wrong = await startServe(['--laravel-redis', `redis://ears:wrong@127.0.0.1:${redis.port}`], t);
    await until(() => /refuses the user or the password/.test(wrong.stderr), () => wrong.stderr);
    await serve(t, redis, { args: ['--laravel-redis', `redis://ears:hush@127.0.0.1:${redis.port}/3`] });
  });

  test('linked servers hear each event by themselves, and nobody gets it twice', async (t) => {
    const redis = await startRedis(t);
    const config = { redis: redis.url, apps: [{ id: APP.id, key: APP.key, secret: APP.secret, shaping: 'shaped window_ms=50' }] };
    const servers = [await serve(t, redis, { args: by(redis), config }), await serve(t, redis, { args: by(redis), config })];
    const clients = [];
    for (const server of servers) {
      await until(async () => (await request(server, 'GET', '/')).status === 200 && /linked with other servers/.test(server.stderr), () => server.stderr);
      const client = await connect(server);
      for (const channel of ['news', 'shaped']) await client.subscribe(channel);
      clients.push(client);
    }
    for (const channel of ['news', 'shaped']) await redis.call('PUBLISH', `laravel-database-${channel}`, envelope('once', {}));
    const has = (client, event) => client.frames.filter((f) => f.event === event).map((f) => f.channel).sort().join();
    for (const client of clients) await until(() => has(client, 'once') === 'news,shaped', 'the event on both channels');
    // what is published over HTTP goes to both, behind what the other one would have relayed
    for (const server of servers) for (const channel of ['news', 'shaped']) await trigger(server, channel, `last-${server.port}`, '{}');
    for (const client of clients) {
      for (const server of servers) await until(() => has(client, `last-${server.port}`) === 'news,shaped', 'what came last');
      assert.equal(has(client, 'once'), 'news,shaped');
    }
  });

  for (const mode of [{ mode: 'threads', options: { worker_count: 4 } }, { mode: 'attach' }, { mode: 'poll' }]) {
    test(`${mode.mode}: the hook on_publish sees, refuses and changes each event; encrypted channels`, async (t) => {
      const redis = await startRedis(t);
      const apps = [{ ...APP, encryption_master_key: Buffer.alloc(32, 7).toString('base64') }, { ...APP, id: 'bare', key: 'bare-key' }];
      const host = await startHost({ ...mode, apps, log_level: 3, hooks: ['on_publish'], laravel_redis: { url: `${redis.url}?prefix=`, app_id: APP.id } }, t);
      await heard(host);
      const client = await connect(host);
      for (const channel of ['news', 'private-encrypted-x']) await client.subscribe(channel);
      const publish = (channel, name, data = {}) => redis.call('PUBLISH', channel, envelope(name, data, client.socketId));
      await redis.call('PUBLISH', 'news', envelope('silent', {}));
      await redis.call('PUBLISH', 'news', envelope('passes', { a: 1 }));
      assert.deepEqual(await client.next(), { event: 'passes', channel: 'news', data: '{"a":1}' });
      const asked = [await host.event('incoming'), await host.event('incoming')];
      assert.deepEqual(asked.map(({ source, app, name, channel, channels }) => [source, app, name, channel, channels]), ['silent', 'passes'].map((name) => [2, APP.id, name, 'news', 1]));
      await publish('news', 'to-others');
      assert.equal((await host.event('incoming')).socket_id, client.socketId);
      // Laravel's Redis broadcaster encrypts nothing; who has done so already is believed.
      await redis.call('PUBLISH', 'private-encrypted-x', envelope('hidden', { a: 1 }));
      assert.deepEqual(Object.keys(JSON.parse((await client.event('hidden')).data)).sort(), ['ciphertext', 'nonce']);
      await redis.call('PUBLISH', 'private-encrypted-x', envelope('hidden', { nonce: 'n', ciphertext: 'c' }));
      assert.equal((await client.event('hidden')).data, '{"nonce":"n","ciphertext":"c"}');
      assert.match(host.stderr, /ignored a message on news in Redis: the host refused it/);
      assert.equal(client.frames.filter((f) => f.event === 'to-others').length, 0);
    });
  }

  test('rules ask the application, and take the answers of its Redis broadcaster', async (t) => {
    const redis = await startRedis(t);
    const asked = [];
    const site = http.createServer((req, res) => {
      let text = '';
      req.on('data', (data) => { text += data; });
      req.on('end', () => {
        const channel = new URLSearchParams(text).get('channel_name');
        asked.push(channel);
        res.end(channel.startsWith('private-') ? 'true' : '{"channel_data":{"user_id":7,"user_info":{"name":"Ada"}}}');
      });
    });
    await new Promise((resolve) => { site.listen(0, '127.0.0.1', resolve); });
    t.after(() => { site.closeAllConnections(); site.close(); });
    const url = `http://127.0.0.1:${site.address().port}/broadcasting/auth`;
    const server = await serve(t, redis, { args: by(redis), config: { apps: [{ id: APP.id, key: APP.key, secret: APP.secret, auth_mode: 'rules' }], rules: [{ pattern: 'orders.{id}', url }] } });
    assert.doesNotMatch(server.stderr, /signs no subscriptions/);
    const client = await connect(server);
    client.ask('private-orders.1');
    await client.event('pusher_internal:subscription_succeeded', 'private-orders.1');
    client.ask('presence-orders.1');
    const { presence } = JSON.parse((await client.event('pusher_internal:subscription_succeeded', 'presence-orders.1')).data);
    assert.deepEqual(presence, { count: 1, ids: ['7'], hash: { 7: { name: 'Ada' } } });
    await redis.call('PUBLISH', 'laravel-database-private-orders.1', envelope('x', { n: 1 }));
    assert.equal((await client.event('x', 'private-orders.1')).data, '{"n":1}');
  });
});
