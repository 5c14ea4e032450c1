'use strict';
// Publishing through a real Redis, in the form of Laravel's broadcaster.

const assert = require('node:assert/strict');
const net = require('node:net');
const path = require('node:path');
const { describe, test } = require('node:test');
const { BUILD, Inbox, Program, connect, sleep, startServe, until, within } = require('./lib.js');
const { noRedis, startRedis, startSentinel } = require('./redis.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const CLEAN = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SOKETI|REVERB|PUSHER|SOCKUDO|BROADCAST|REDIS|APP)_/.test(name)));
const skip = noRedis;

/** What is published on channels that fit the pattern: {channel, message}. */
async function subscribe(t, redis, pattern, before = []) {
  const inbox = new Inbox();
  const socket = net.connect(redis.port, '127.0.0.1');
  t.after(() => socket.destroy());
  let text = Buffer.alloc(0);
  let heard = () => {};
  const subscribed = new Promise((resolve) => { heard = resolve; });
  socket.on('error', () => {});
  socket.on('data', (data) => {
    text = Buffer.concat([text, data]);
    for (;;) {
      const found = take(text);
      if (!found) return;
      text = text.subarray(found.length);
      if (found.items[0] === 'pmessage') inbox.push({ channel: found.items[2], message: found.items[3] });
      if (found.items[0] === 'psubscribe') heard();
    }
  });
  for (const words of [...before, ['PSUBSCRIBE', pattern]]) socket.write(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
  await within(subscribed, 'the subscription');
  return inbox;
}

/** One array of texts and numbers, or a line, at the beginning of the bytes; undefined: not whole yet. */
function take(bytes) {
  let at = 0;
  const line = () => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const text = bytes.toString('utf8', at, end);
    at = end + 2;
    return text;
  };
  const head = line();
  if (head === undefined) return undefined;
  if (head[0] !== '*') return { items: [head], length: at };
  const items = [];
  for (let n = Number(head.slice(1)); n > 0; n--) {
    const size = line();
    if (size === undefined) return undefined;
    if (size[0] === ':') { items.push(Number(size.slice(1))); continue; }
    const len = Number(size.slice(1));
    if (bytes.length < at + len + 2) return undefined;
    items.push(bytes.toString('utf8', at, at + len));
    at += len + 2;
  }
  return { items, length: at };
}

async function publish(args, { env = {}, input } = {}) {
  const program = new Program(PUSHERC, ['publish', ...args], { env: { ...CLEAN, ...env } });
  program.child.stdin.on('error', () => {});
  program.child.stdin.end(input || '');
  const { code } = await within(program.exited, () => `the end of pusherc publish ${args.join(' ')}: ${program.stderr}`, 60000);
  return { code, err: program.stderr };
}

const publishes = async (args, options) => assert.deepEqual(await publish(args, options), { code: 0, err: '' });

describe('redis', { skip }, () => {
  test('the envelope and the prefix are those of Laravel', async (t) => {
    const redis = await startRedis(t);
    const inbox = await subscribe(t, redis, '*');
    const env = { BROADCAST_CONNECTION: 'redis', APP_NAME: 'My Shop', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port), REDIS_PASSWORD: 'null' };
    await publishes(['private-orders.42,b', 'App\\Events\\OrderShipped', '{"id":42,"name":"Zoë"}', '--except', '1234.5678'], { env });
    // What Laravel 13 writes for this event: json_encode(['event' => ..., 'data' => payload with its socket, 'socket' => ...]).
    const written = '{"event":"App\\\\Events\\\\OrderShipped","data":{"id":42,"name":"Zo\\u00eb","socket":"1234.5678"},"socket":"1234.5678"}';
    for (const channel of ['private-orders.42', 'b']) {
      const heard = await inbox.next();
      assert.equal(heard.channel, `my-shop-database-${channel}`);
      assert.deepEqual(JSON.parse(heard.message), JSON.parse(written));
      assert.deepEqual(Object.keys(JSON.parse(heard.message)), ['event', 'data', 'socket']);
    }
    await publishes(['a', 'x', '{}'], { env: { ...env, REDIS_PREFIX: 'my_shop_database_' } }); // as older ones
    assert.deepEqual(await inbox.next(), { channel: 'my_shop_database_a', message: '{"event":"x","data":{"socket":null},"socket":null}' });
    await publishes(['a', 'x', '{}'], { env: { ...env, REDIS_PREFIX: '' } });
    assert.equal((await inbox.next()).channel, 'a');
  });

  test('many events keep their order', async (t) => {
    const redis = await startRedis(t);
    const inbox = await subscribe(t, redis, '*');
    await publishes(['--url', `redis://127.0.0.1:${redis.port}`, '--lines'], { input: Array.from({ length: 5000 }, (_, n) => `${'ab'[n % 2]} n ${n}\n`).join('') });
    const heard = { a: [], b: [] };
    for (let i = 0; i < 5000; i++) {
      const { channel, message } = await inbox.next();
      heard[channel].push(JSON.parse(message).data);
    }
    for (const [i, channel] of ['a', 'b'].entries()) assert.deepEqual(heard[channel], Array.from({ length: 2500 }, (_, n) => 2 * n + i));
  });

  test('a password, a user and a database', async (t) => {
    const redis = await startRedis(t, ['--requirepass', 'a:b/c', '--user', 'shop', 'on', '>hush', '+@all', 'allchannels', 'allkeys']);
    const inbox = await subscribe(t, redis, '*', [['AUTH', 'a:b/c']]);
    const url = (user, more = '') => `redis://${user}127.0.0.1:${redis.port}/${more}`;
    await publishes(['--url', url(':a%3Ab%2Fc@', '3'), 'a', 'x', '1']);
    await publishes(['--url', url('shop:hush@'), 'a', 'x', '2']);
    for (const data of [1, 2]) assert.equal(JSON.parse((await inbox.next()).message).data, data);
    for (const [user, reason] of [['', /NOAUTH/], [':wrong@', /WRONGPASS/]]) {
      const { code, err } = await publish(['--url', url(user), 'a', 'x']);
      assert.equal(code, 1);
      assert.match(err, /^pusherc: not accepted: signature or permission check failed: /);
      assert.match(err, reason);
    }
    const { code, err } = await publish(['--timeout-ms', '3000', '--url', url(':a%3Ab%2Fc@', '99'), 'a', 'x']);
    assert.equal(code, 1);
    assert.match(err, /DB index is out of range/);
  });

  test('a Redis that goes and comes back loses nothing, and nothing is out of order', async (t) => {
    const redis = await startRedis(t);
    let inbox = await subscribe(t, redis, '*');
    const program = new Program(PUSHERC, ['publish', '--timeout-ms', '30000', '--url', `redis://127.0.0.1:${redis.port}`, '--lines'], { env: CLEAN });
    const write = (from, to) => { for (let n = from; n < to; n++) program.child.stdin.write(`a n ${n}\n`); };
    write(0, 100);
    const heard = [];
    const take = async (until_) => { while (heard.at(-1) !== until_) heard.push(JSON.parse((await inbox.next()).message).data); };
    await take(99);
    await sleep(100); // its answers have arrived
    await redis.kill();
    write(100, 200);
    await sleep(300);
    // The subscriber has to be there before the publisher is back: Redis keeps nothing for those who come later.
    const again = await startRedis(t, ['--requirepass', 'later'], redis.port);
    inbox = await subscribe(t, again, '*', [['AUTH', 'later'], ['CONFIG', 'SET', 'requirepass', '']]);
    write(200, 300);
    program.child.stdin.end();
    const { code } = await within(program.exited, () => program.stderr, 60000);
    if (code === 0) await take(299);
    // Events that met the password were refused and told; none is missing without a word.
    const told = (program.stderr.match(/^pusherc: n on a: /gm) || []).length;
    while (inbox.taken < inbox.all.length) heard.push(JSON.parse((await inbox.next()).message).data);
    assert.equal(new Set(heard).size + told, 300, program.stderr);
    assert.deepEqual(heard, [...heard].sort((a, b) => a - b));
  });

  test('a host that cannot be reached is passed over', async (t) => {
    const redis = await startRedis(t);
    const inbox = await subscribe(t, redis, '*');
    await publishes(['--url', `redis://127.0.0.1:1,127.0.0.1:${redis.port}`, 'a', 'x', '1']);
    assert.equal(JSON.parse((await inbox.next()).message).data, 1);
    const nowhere = await publish(['--timeout-ms', '3000', '--url', 'redis://127.0.0.1:1', 'a', 'x']);
    assert.match(nowhere.err, /^pusherc: not accepted: no answer in time: Redis cannot be reached: ECONNREFUSED\n$/);
  });

  test('a Sentinel is asked where to publish, and where Laravel publishes', async (t) => {
    const sentinel = await startSentinel(t);
    const inbox = await subscribe(t, sentinel.master, '*');
    await publishes(['--url', `${sentinel.url}?prefix=shop:`, 'a', 'x', '1']);
    assert.equal((await inbox.next()).channel, 'shop:a');
    const refused = await publish(['--timeout-ms', '3000', '--url', sentinel.url.replace('mymaster', 'other'), 'a', 'x']);
    assert.equal(refused.err, 'pusherc: not accepted: no answer in time: the Sentinel knows no master named other\n');
    const server = await startServe(['--laravel-redis', `${sentinel.url}?prefix=shop:`], t);
    const client = await connect(server);
    await client.subscribe('a');
    await until(() => server.stderr.includes("hears Laravel's events"), () => server.stderr);
    await publishes(['--url', `${sentinel.url}?prefix=shop:`, 'a', 'heard', '2']);
    assert.equal((await client.event('heard')).data, '2');
  });

  test('one that answers something else, or nothing, is given up', async (t) => {
    await Promise.all([['HTTP/1.1 400 Bad Request\r\n\r\n', /broke the protocol/], ['*1000000000\r\n', /broke the protocol/], ['', /no answer in time/]].map(async ([answer, reason]) => {
      const server = net.createServer((socket) => { socket.on('error', () => {}); socket.on('data', () => socket.write(answer)); }).listen(0, '127.0.0.1');
      await new Promise((resolve) => { server.on('listening', resolve); });
      t.after(() => server.close());
      const { code, err } = await publish(['--timeout-ms', '3000', '--url', `redis://127.0.0.1:${server.address().port}`, 'a', 'x']);
      assert.equal(code, 1);
      assert.match(err, reason);
    }));
  });
});
