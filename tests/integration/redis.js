'use strict';
// A real Redis for a test, on a port that the system picked.

const { execFileSync, spawnSync } = require('node:child_process');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { BUILD, Program, freePort, within } = require('./lib.js');

const built = /\bredis\b/.test(execFileSync(path.join(BUILD, 'cli/pusherc'), ['--version']).toString());
const installed = spawnSync('redis-server', ['--version']).status === 0;
/** Why tests with Redis cannot run, or false. */
const noRedis = (!built && 'built without hiredis') || (!installed && 'no redis-server');

/** Starts one that ends with the test: `url`, `kill()`, `signal(name)`, and `call(...words)` for a command. */
async function startRedis(t, args = [], port = undefined) {
  const redis = { port: port || await freePort() };
  redis.url = `redis://127.0.0.1:${redis.port}`;
  redis.program = new Program('redis-server', ['--port', String(redis.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--repl-diskless-sync', 'yes', '--repl-diskless-load', 'swapdb', ...args]);
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
  sentinel.program = new Program('redis-server', [file, '--sentinel']);
  sentinel.url = `redis+sentinel://127.0.0.1:${sentinel.port}/${name}`;
  sentinel.call = (...words) => call(sentinel.port, words, []); // it knows no QUIT
  t.after(async () => { sentinel.program.child.kill('SIGKILL'); await sentinel.program.exited; rmSync(folder, { recursive: true }); });
  await sentinel.program.lines.next((line) => /Sentinel ID is/.test(line));
  return sentinel;
}

module.exports = { noRedis, startRedis, startSentinel };
