'use strict';
// A real Redis for a test, on a port that the system picked.

const { execFileSync, spawnSync } = require('node:child_process');
const net = require('node:net');
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
  redis.program = new Program('redis-server', ['--port', String(redis.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...args]);
  redis.signal = (name) => redis.program.child.kill(name);
  redis.kill = async () => { redis.signal('SIGKILL'); await redis.program.exited; };
  redis.call = (...words) => call(redis.port, words);
  t.after(redis.kill);
  await redis.program.lines.next((line) => /ready to accept connections/i.test(line));
  return redis;
}

/** One command on a connection of its own; the answer as Redis writes it. */
function call(port, words) {
  const done = new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      for (const command of [words, ['QUIT']]) socket.write(`*${command.length}\r\n${command.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`);
    });
    let text = '';
    socket.on('data', (data) => { text += data; });
    socket.on('error', reject);
    socket.on('close', () => resolve(text.replace(/\+OK\r\n$/, '')));
  });
  return within(done, `the answer to ${words.join(' ')}`);
}

module.exports = { noRedis, startRedis };
