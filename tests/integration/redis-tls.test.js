'use strict';
// Redis over TLS (rediss://): the link of servers, Laravel's events, and publishing; and each mistake by its name.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, describe, test } = require('node:test');
const { BUILD, Program, api, connect, freePort, startServe, trigger, until, within } = require('./lib.js');
const { noRedis, startRedis, startRedisCluster, startSentinel } = require('./redis.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const LONG = 60000;
const parts = execFileSync(PUSHERC, ['--version']).toString();
const skip = noRedis || (!/\btls\b/i.test(parts) && 'built without TLS');

const folder = mkdtempSync(path.join(os.tmpdir(), 'pusherc-redis-tls-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name) => path.join(folder, name);

function certify(name, issuer, more) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), '-days', '2', '-subj', `/CN=${name}`,
    ...(issuer ? ['-CA', file(`${issuer}.crt`), '-CAkey', file(`${issuer}.key`)] : []), ...more.flatMap((text) => ['-addext', text])], { stdio: 'pipe' });
}

if (!skip) {
  for (const root of ['root', 'stranger']) certify(root, null, ['basicConstraints=critical,CA:TRUE']);
  certify('redis', 'root', ['subjectAltName=IP:127.0.0.1,DNS:localhost', 'basicConstraints=CA:FALSE']);
  certify('elsewhere', 'root', ['subjectAltName=DNS:elsewhere.example', 'basicConstraints=CA:FALSE']);
  certify('node', 'root', ['basicConstraints=CA:FALSE']);
}

/** A Redis with a port in the clear, as any, and one for TLS. */
async function startTls(t, name, clients = 'no') {
  const tlsPort = await freePort();
  const redis = await startRedis(t, ['--tls-port', String(tlsPort), '--tls-cert-file', file(`${name}.crt`), '--tls-key-file', file(`${name}.key`), '--tls-ca-cert-file', file('root.crt'), '--tls-auth-clients', clients]);
  redis.url = (host = '127.0.0.1', query = '') => `rediss://${host}:${tlsPort}${query}`;
  redis.tlsPort = tlsPort;
  return redis;
}

async function serve(t, settings) {
  const config = path.join(mkdtempSync(path.join(folder, 'node-')), 'config.json');
  writeFileSync(config, JSON.stringify({ grace_ms: 50, redis_timeout_ms: 1500, ...settings }));
  return startServe(['--config', config], t);
}

async function publish(...args) {
  const program = new Program(PUSHERC, ['publish', ...args]);
  program.child.stdin.end();
  const { code } = await within(program.exited, () => `the end of pusherc publish: ${program.stderr}`, LONG);
  return { code, err: program.stderr };
}

describe('Redis over TLS', { skip }, () => {
  test('servers are linked, Laravel is heard, and events are published', async (t) => {
    const redis = await startTls(t, 'redis');
    const settings = { redis: redis.url('localhost'), laravel_redis: redis.url(), laravel_redis_prefix: 'shop:', redis_ca_file: file('root.crt') };
    const nodes = [await serve(t, settings), await serve(t, { ...settings, redis: redis.url('127.0.0.1', `?ca_file=${file('root.crt')}`), redis_ca_file: undefined, laravel_redis: undefined })];
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const client of clients) await client.subscribe('presence-room', { user_id: `u${clients.indexOf(client)}` });
    await clients[0].event('pusher_internal:member_added', 'presence-room', LONG);
    const data = JSON.stringify({ text: 'x'.repeat(9000) }); // more than one record
    for (let n = 0; n < 50; n++) await trigger(nodes[0], 'presence-room', `large-${n}`, data);
    for (let n = 0; n < 50; n++) assert.equal((await clients[1].event(`large-${n}`)).data, data);
    await clients[0].subscribe('news');
    await until(() => /hears Laravel's events/.test(nodes[0].stderr), 'the feed', LONG);
    assert.deepEqual(await publish('--url', redis.url('localhost', `?prefix=shop:&ca_file=${file('root.crt')}`), 'news', 'shipped', '{"id":1}'), { code: 0, err: '' });
    assert.match((await clients[0].event('shipped', 'news')).data, /"id":1/);
    assert.deepEqual(await publish('--ca-file', file('root.crt'), '--url', redis.url('127.0.0.1', '?prefix=shop:'), 'news', 'again', '{"id":2}'), { code: 0, err: '' });
    assert.match((await clients[0].event('again', 'news')).data, /"id":2/);
    for (const node of nodes) assert.doesNotMatch(node.stderr, /(error|warn) +cluster/);
  });

  test('a Sentinel and the Redis that it names, both over TLS', async (t) => {
    const redis = await startTls(t, 'redis');
    const port = await freePort();
    const sentinel = await startSentinel(t, { watched: redis.tlsPort, lines: [`tls-port ${port}`, `tls-cert-file ${file('redis.crt')}`, `tls-key-file ${file('redis.key')}`, `tls-ca-cert-file ${file('root.crt')}`, 'tls-auth-clients no', 'tls-replication yes'] });
    const node = await serve(t, { redis: `rediss+sentinel://localhost:${port}/mymaster`, redis_ca_file: file('root.crt') });
    await until(async () => (await api(node, 'GET', '/channels')).status === 200, () => node.stderr, LONG);
    assert.match(node.stderr, new RegExp(`linked with other servers by Redis \\S+ at 127.0.0.1:${redis.tlsPort}\n`));
    const plain = await serve(t, { redis: `rediss+sentinel://127.0.0.1:${sentinel.port}/mymaster`, redis_ca_file: file('root.crt') });
    await until(() => /(does not answer as a Sentinel|cannot be used: as a Sentinel: it)/.test(plain.stderr), () => plain.stderr, LONG);
  });

  test('a Redis Cluster over TLS, whose servers name each other by their ports for TLS', async (t) => {
    const cluster = await startRedisCluster(t, { replica: false, tls: ['--tls-cert-file', file('redis.crt'), '--tls-key-file', file('redis.key'), '--tls-ca-cert-file', file('root.crt'), '--tls-auth-clients', 'no'] });
    const settings = { redis: `rediss://localhost:${cluster.nodes[2].tlsPort}`, redis_ca_file: file('root.crt') };
    const nodes = [await serve(t, settings), await serve(t, settings)];
    for (const node of nodes) await until(async () => (await api(node, 'GET', '/channels')).status === 200, () => node.stderr, LONG);
    for (const { tlsPort } of cluster.nodes) assert.match(nodes[0].stderr, new RegExp(`linked with other servers by Redis \\S+ at 127\\.0\\.0\\.1:${tlsPort}, which has`));
    const clients = await Promise.all(nodes.map((node) => connect(node)));
    for (const client of clients) await client.subscribe('news');
    await trigger(nodes[0], 'news', 'hello', '{}');
    await clients[1].event('hello');
    for (const node of nodes) assert.doesNotMatch(node.stderr, /(error|warn) +cluster/);
  });

  test('the client shows a certificate if Redis asks for one', async (t) => {
    const redis = await startTls(t, 'redis', 'yes');
    const node = await serve(t, { redis: redis.url('127.0.0.1', `?cert_file=${file('node.crt')}&key_file=${file('node.key')}`), redis_ca_file: file('root.crt') });
    await until(async () => (await api(node, 'GET', '/channels')).status === 200, () => node.stderr, LONG);
    const without = await serve(t, { redis: redis.url(), redis_ca_file: file('root.crt') });
    await until(() => /Redis at \S+ cannot be used: it refuses TLS with this client; if it wants a certificate, set cert_file and key_file; tries again/.test(without.stderr), () => without.stderr, LONG);
  });

  test('each mistake is said, wherever the address stands', async (t) => {
    const redis = await startTls(t, 'redis'), elsewhere = await startTls(t, 'elsewhere');
    const plain = await startRedis(t);
    const mistakes = [
      [redis.url(), 'stranger', 'its certificate is of no authority that is trusted here \\(ca_file\\)'],
      [elsewhere.url(), 'root', 'its certificate is for another name'],
      [`redis://127.0.0.1:${redis.tlsPort}`, 'root', 'it ends the connection without an answer; its port may be one for TLS, for rediss://|its port is one for TLS, for rediss://'],
      [`rediss://127.0.0.1:${plain.port}`, 'root', 'its port may be one without TLS, for redis://|it answers without TLS: its port is one for redis://|it ends the connection before TLS has begun'],
    ];
    await Promise.all(mistakes.map(async ([url, ca, says]) => {
      const what = new RegExp(says);
      const node = await serve(t, { redis: url, laravel_redis: url, redis_ca_file: file(`${ca}.crt`) });
      for (const subject of ['cluster', 'laravel'])
        await until(() => node.stderr.split('\n').some((line) => line.includes(` ${subject}`) && what.test(line)), () => `${subject}: ${says} in ${node.stderr}`, LONG);
      const { code, err } = await publish('--timeout-ms', '14000', '--ca-file', file(`${ca}.crt`), '--url', url, 'a', 'x');
      assert.equal(code, 1);
      assert.match(err, what);
    }));
  });

  test('files that cannot be used are said at once', async (t) => {
    const says = async (url, more, what) => {
      const { code, err } = await publish('--url', url, ...more, 'a', 'x');
      assert.notEqual(code, 0);
      assert.match(err, what);
      const config = path.join(mkdtempSync(path.join(folder, 'bad-')), 'config.json');
      writeFileSync(config, JSON.stringify({ redis: url, ...(more.length ? { redis_ca_file: more[1] } : {}) }));
      const server = new Program(PUSHERC, ['serve', '--port', '0', '--metrics', 'off', '--config', config]);
      assert.notEqual((await within(server.exited, 'a server that cannot start', LONG)).code, 0);
      assert.match(server.stderr, what);
    };
    await says('rediss://127.0.0.1:1', ['--ca-file', file('nowhere.crt')], /ca_file: no such file or directory: \S+nowhere\.crt/);
    await says(`rediss://127.0.0.1:1?cert_file=${file('node.crt')}`, [], /cert_file and key_file are both needed/);
    await says(`rediss://127.0.0.1:1?cert_file=${file('node.crt')}&key_file=${file('redis.key')}`, [], /private key: not that of the first certificate/);
    await says('redis://127.0.0.1:1?ca_file=/x', [], /ca_file, cert_file and key_file belong to rediss:\/\//);
  });
});
