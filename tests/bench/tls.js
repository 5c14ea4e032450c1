#!/usr/bin/env node
'use strict';
/*
 * What TLS costs: tests/bench/tls.js BUILD [CLIENTS] [HANDSHAKES]
 *
 * `pusherc serve` with one worker and an ECDSA key (P-256). First, how much its resident memory grows for each of so many
 * clients (default 1,000) that are subscribed and silent: without TLS, with TLS 1.2 and with TLS 1.3, in a server of its
 * own each. Then the CPU time of the server's process for each of so many handshakes (default 2,000), whole and resumed,
 * beside that of `openssl s_server` with the same certificate and client; both answer one small request. Three rounds in
 * turn; the medians are printed.
 */
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');

const [build, clients = '1000', handshakes = '2000'] = process.argv.slice(2);
const CLIENTS = Number(clients), HANDSHAKES = Number(handshakes), ROUNDS = 3, AT_ONCE = 10;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'];
const HZ = 100; // of /proc/PID/stat

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-tls-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true }));
const CERT = path.join(folder, 'cert.pem'), KEY = path.join(folder, 'key.pem');
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', KEY, '-out', CERT, '-days', '2',
  '-subj', '/CN=localhost'], { stdio: 'pipe' });
fs.writeFileSync(path.join(folder, 'ready'), 'OK\n');

const within = (version) => ({ minVersion: version, maxVersion: version, rejectUnauthorized: false });
const stat = (pid) => fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
const cpuMs = (pid) => (Number(stat(pid)[11]) + Number(stat(pid)[12])) * 1000 / HZ;
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) * 1024;
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

function started(child, pattern) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (data) => { const m = pattern.exec(text += data); if (m) resolve({ port: Number(m[1]), pid: child.pid, stop: () => child.kill() }); });
    child.on('exit', () => reject(new Error(`${child.spawnfile} ended`)));
  });
}

const pusherc = (...more) => started(spawn(path.join(build, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', '--app', 'id:key:secret', '--workers', '1',
  ...more], { stdio: ['ignore', 'pipe', 'inherit'] }), /:(\d+)/);
const withTls = () => pusherc('--tls-cert', CERT, '--tls-key', KEY);
const openssl = () => started(spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', '-cert', CERT, '-key', KEY, '-WWW', '-num_tickets', '1'],
  { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] }), /ACCEPT \S*:(\d+)/);

/** A client that has subscribed. */
function subscriber(port, version) {
  const message = Buffer.from('{"event":"pusher:subscribe","data":{"channel":"a"}}');
  const head = 'GET /app/key?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  return new Promise((resolve, reject) => {
    const begin = () => socket.write(head);
    const socket = version ? tls.connect({ host: '127.0.0.1', port, ...within(version) }, begin) : net.connect(port, '127.0.0.1', begin);
    socket.on('error', reject);
    socket.on('data', (data) => {
      if (data.includes('connection_established')) socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | message.length, 0, 0, 0, 0]), message]));
      if (data.includes('subscription_succeeded')) resolve(socket);
    });
  });
}

async function idle(version) {
  const server = await (version ? withTls() : pusherc());
  const sockets = [];
  for (let i = 0; i < 50; i++) sockets.push(await subscriber(server.port, version)); // what the first ones cost is not counted
  const before = resident(server.pid);
  for (let i = 0; i < CLIENTS; i += AT_ONCE) sockets.push(...await Promise.all(Array.from({ length: AT_ONCE }, () => subscriber(server.port, version))));
  await new Promise((resolve) => { setTimeout(resolve, 500); });
  const bytes = (resident(server.pid) - before) / CLIENTS;
  for (const socket of sockets) socket.destroy();
  server.stop();
  return bytes;
}

/** One connection and request; returns the latest ticket. */
function visit(port, version, session) {
  return new Promise((resolve, reject) => {
    let ticket;
    const socket = tls.connect({ host: '127.0.0.1', port, session, ...within(version) }, () => {
      if (session && !socket.isSessionReused()) reject(new Error('not resumed'));
      socket.write('GET /ready HTTP/1.0\r\n\r\n');
    });
    socket.on('session', (data) => { ticket = data; });
    socket.on('error', reject);
    socket.on('close', () => resolve(ticket));
    socket.resume();
  });
}

/** Microseconds of the server's CPU for each handshake and small request. */
async function handshake(server, version, resumed) {
  const ticket = resumed ? await visit(server.port, version) : undefined;
  const before = cpuMs(server.pid);
  let left = HANDSHAKES;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (left-- > 0) await visit(server.port, version, ticket); }));
  return (cpuMs(server.pid) - before) * 1000 / HANDSHAKES;
}

async function main() {
  console.log('| client | resident bytes, subscribed and silent |\n|---|---|');
  for (const version of [undefined, ...VERSIONS]) console.log(`| ${version ?? 'without TLS'} | ${(await idle(version)).toFixed(0)} |`);
  const ours = await withTls(), theirs = await openssl();
  console.log('\n| handshake, ECDSA P-256 | pusherc, CPU us | openssl s_server, CPU us | ratio |\n|---|---|---|---|');
  for (const version of VERSIONS)
    for (const resumed of [false, true]) {
      const rounds = [];
      for (let i = 0; i < ROUNDS; i++) rounds.push([await handshake(ours, version, resumed), await handshake(theirs, version, resumed)]);
      const [us, them, ratio] = [0, 1, 2].map((n) => median(rounds.map((r) => r[n] ?? r[0] / r[1])));
      console.log(`| ${version}, ${resumed ? 'resumed' : 'whole'} | ${us.toFixed(0)} | ${them.toFixed(0)} | ${ratio.toFixed(1)} |`);
    }
  ours.stop();
  theirs.stop();
}

main().catch((error) => { console.error(error); process.exit(1); });
