'use strict';
// A real Redis for a test, on a port that the system picked.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { BUILD, Program, freePort, until, within } = require('./lib.js');

const SERVER = process.env.PUSHERC_REDIS_SERVER || 'redis-server'; // or valkey-server
const built = /\bredis\b/.test(execFileSync(path.join(BUILD, 'cli/pusherc'), ['--version']).toString());
const installed = spawnSync(SERVER, ['--version']).status === 0;
/** Why tests with Redis cannot run, or false. */
const noRedis = (!built && 'built without hiredis') || (!installed && `no ${SERVER}`);

/** Starts one that ends with the test: `url`, `kill()`, `signal(name)`, and `call(...words)` for a command. */
async function startRedis(t, args = [], port = undefined) {
  const redis = { port: port || await freePort() };
  redis.url = `redis://127.0.0.1:${redis.port}`;
  redis.program = new Program(SERVER, ['--port', String(redis.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--repl-diskless-sync', 'yes', '--repl-diskless-load', 'swapdb', ...args]);
  redis.signal = (name) => redis.program.child.kill(name);
  redis.kill = async () => { redis.signal('SIGKILL'); await redis.program.exited; };
  redis.call = (...words) => call(redis.port, words);
  t.after(redis.kill);
  await redis.program.lines.next((line) => /ready to accept connections/i.test(line));
  return redis;
}

/** One command on a connection of its own; the answer as Redis writes it. */
function call(port, words, ends = [['QUIT']]) {
  const done = new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      for (const command of [words, ...ends]) socket.write(`*${command.length}\r\n${command.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`);
      if (ends.length === 0) socket.end();
    });
    let text = '';
    socket.on('data', (data) => { text += data; });
    socket.on('error', reject);
    socket.on('close', () => resolve(text.replace(/\+OK\r\n$/, '')));
  });
  return within(done, `the answer to ${words.join(' ')}`);
}

/** A Redis, a replica of it, and a Sentinel that watches them: `url` by the Sentinel, `master`, `replica`. `watched`: a
 *  port, then there are neither. */
async function startSentinel(t, { name = 'mymaster', lines = [], watched = 0 } = {}) {
  const master = watched ? { port: watched } : await startRedis(t, ['--repl-diskless-sync-delay', '0']);
  const replica = watched ? undefined : await startRedis(t, ['--replicaof', `127.0.0.1 ${master.port}`]);
  const sentinel = { port: await freePort(), master, replica };
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pusherc-sentinel-'));
  const file = path.join(folder, 'sentinel.conf');
  writeFileSync(file, [`port ${sentinel.port}`, 'bind 127.0.0.1', `dir ${folder}`, `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`, `sentinel down-after-milliseconds ${name} 1000`,
    `sentinel failover-timeout ${name} 10000`, ...lines, ''].join('\n'));
  sentinel.program = new Program(SERVER, [file, '--sentinel']);
  sentinel.url = `redis+sentinel://127.0.0.1:${sentinel.port}/${name}`;
  sentinel.call = (...words) => call(sentinel.port, words, []); // it knows no QUIT
  t.after(async () => { sentinel.program.child.kill('SIGKILL'); await sentinel.program.exited; rmSync(folder, { recursive: true }); });
  await sentinel.program.lines.next((line) => /Sentinel ID is/.test(line));
  return sentinel;
}

const SLOTS = 16384;

/** A Redis Cluster of masters, each with an equal share of the slots, and for the first one a replica: `nodes`, the replica
 *  last; `url`, of one that has no replica; `slotOf(channel)`, `move(slot, from, to)`. `tls`: arguments with which each
 *  server has a port for TLS, `tlsPort`, that the others name. */
async function startRedisCluster(t, { masters = 3, replica = true, tls = [] } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pusherc-shards-'));
  const start = async () => {
    const [port, bus, tlsPort] = [await freePort(), await freePort(), tls.length ? await freePort() : 0];
    const node = await startRedis(t, ['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-config-file', path.join(folder, `${port}.conf`), '--dir', folder,
      '--cluster-node-timeout', '1500', '--repl-diskless-sync-delay', '0', ...tls.length ? ['--tls-port', String(tlsPort), '--tls-cluster', 'yes', ...tls] : []], port);
    Object.assign(node, { bus, tlsPort });
    node.id = (await node.call('CLUSTER', 'MYID')).split('\r\n')[1];
    return node;
  };
  const nodes = await Promise.all(Array.from({ length: masters + Number(replica) }, start));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const all = (check, what) => until(async () => (await Promise.all(nodes.map(check))).every(Boolean), what, 60000);
  for (const [i, node] of nodes.entries()) {
    await node.call('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
    if (i < masters) await node.call('CLUSTER', 'ADDSLOTSRANGE', String(Math.ceil(i * SLOTS / masters)), String(Math.ceil((i + 1) * SLOTS / masters) - 1));
    if (i > 0) await node.call('CLUSTER', 'MEET', '127.0.0.1', String(nodes[0].tlsPort || nodes[0].port), String(nodes[0].bus));
  }
  await all(async (node) => new RegExp(`cluster_known_nodes:${nodes.length}\r`).test(await node.call('CLUSTER', 'INFO')), 'all servers know each other');
  if (replica) await nodes.at(-1).call('CLUSTER', 'REPLICATE', nodes[0].id);
  await all(async (node) => /cluster_state:ok/.test(await node.call('CLUSTER', 'INFO')), 'the cluster is up');
  if (replica) await until(async () => /master_link_status:up/.test(await nodes.at(-1).call('INFO', 'replication')), 'the replica follows', 60000);
  const cluster = { nodes, url: `redis://127.0.0.1:${nodes[1].port}` };
  /** The slot of a channel that has subscribers, and who has it. */
  cluster.slotOf = async (channel) => {
    for (const node of nodes) {
      const topic = (await node.call('PUBSUB', 'SHARDCHANNELS', `*}t/*/${channel}`)).split('\r\n').find((line) => line.endsWith(`/${channel}`));
      if (topic) return { slot: Number((await node.call('CLUSTER', 'KEYSLOT', topic)).slice(1)), topic, node };
    }
    return undefined;
  };
  /** Moves a slot with all its keys as `redis-cli --cluster reshard` does. `halfway`: called when a part of the keys has moved. */
  cluster.move = async (slot, from, to, halfway = async () => {}) => {
    const ok = async (node, ...words) => assert.match(await node.call(...words), /^\+/, words.join(' '));
    const keys = async (count) => (await from.call('CLUSTER', 'GETKEYSINSLOT', String(slot), String(count))).split('\r\n').filter((line) => line && !/^[*$]/.test(line));
    const migrate = async (names) => ok(from, 'MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...names);
    await ok(to, 'CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', from.id);
    await ok(from, 'CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', to.id);
    await migrate(await keys(2));
    await halfway();
    for (let left = await keys(100); left.length > 0; left = await keys(100)) await migrate(left);
    for (const node of [to, from]) await ok(node, 'CLUSTER', 'SETSLOT', String(slot), 'NODE', to.id); // the others hear of it
  };
  return cluster;
}

module.exports = { noRedis, startRedis, startRedisCluster, startSentinel };
