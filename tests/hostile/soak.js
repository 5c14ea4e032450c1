#!/usr/bin/env node
'use strict';
/*
 * Churn of all kinds for a long time, while the server's memory stays: tests/hostile/soak.js BUILD SECONDS [SVG]
 *
 * `pusherc serve` with two workers and TLS. Clients over WebSocket, TLS and HTTP come, subscribe to public and presence
 * channels, hear events and leave, in order or with a reset; others send garbage, stop in mid-request or never read; events
 * are published. The resident memory is read all the time and written as a picture. Fails if a client that should be
 * served is not, or if memory is more than a tenth and 4 MB larger in the last quarter than in the second.
 */
const { execFileSync, spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const https = require('node:https');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');

const [build, seconds, picture] = process.argv.slice(2);
const SECONDS = Number(seconds), LANES = 12;
// The address sanitizer keeps freed memory, 256 MB by default, and the call stack of each allocation; stacks through Mbed TLS,
// which has no frame pointers, never repeat. So for hours nothing would be flat.
const FREED = 'quarantine_size_mb=8:thread_local_quarantine_size_kb=64:malloc_context_size=1';
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-soak-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true }));
const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost'], { stdio: 'pipe' });

const pick = (list) => list[crypto.randomInt(list.length)];
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const hmac = (text) => crypto.createHmac('sha256', 'secret').update(text).digest('hex');

function frame(data) {
  const body = Buffer.from(JSON.stringify(data));
  const head = body.length < 126 ? Buffer.from([0x81, 0x80 | body.length]) : Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), body]);
}

function start(args) {
  const child = spawn(path.join(build, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', '--app', 'id:key:secret', '--workers', '2', '--log-level', 'error', ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: { ASAN_OPTIONS: FREED, ...process.env } });
  return new Promise((resolve) => { child.stdout.on('data', (data) => { const m = /:(\d+)/.exec(data); if (m) resolve({ port: Number(m[1]), child }); }); });
}

/** A socket whose text can be waited for. */
function dial(server) {
  const socket = server.secure ? tls.connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false }) : net.connect(server.port, '127.0.0.1');
  socket.text = '';
  socket.on('data', (data) => { socket.text += data.toString('latin1'); });
  socket.on('error', () => {});
  socket.has = async (text) => {
    for (const until = Date.now() + 60000; !socket.text.includes(text);) {
      if (Date.now() > until || socket.destroyed) throw new Error(`no ${text} in ${socket.text.slice(0, 300)}`);
      await pause(10);
    }
  };
  return socket;
}

const HEAD = 'GET /app/key?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

async function overWebSocket(server) {
  const socket = dial(server);
  socket.write(HEAD);
  await socket.has('connection_established');
  const id = /socket_id\\":\\"([\d.]+)/.exec(socket.text)[1];
  const user = JSON.stringify({ user_id: String(crypto.randomInt(100)) });
  for (const data of [{ channel: `c${crypto.randomInt(20)}` }, { channel: 'presence-p', channel_data: user, auth: `key:${hmac(`${id}:presence-p:${user}`)}` }])
    socket.write(frame({ event: 'pusher:subscribe', data }));
  await socket.has('presence-p');
  await pause(crypto.randomInt(1000));
  if (pick([true, false]) && !server.secure) socket.resetAndDestroy();
  else socket.destroy();
}

async function overHttp(server) {
  const session = `/app/key/1/${crypto.randomBytes(8).toString('hex')}`;
  const post = (action, body) => { const s = dial(server); s.write(`POST ${session}/${action}?protocol=7 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`); return s; };
  const receiver = post('xhr_streaming', '');
  await receiver.has('connection_established');
  const sender = post('xhr_send', JSON.stringify([JSON.stringify({ event: 'pusher:subscribe', data: { channel: `c${crypto.randomInt(20)}` } })]));
  await receiver.has('subscription_succeeded');
  await pause(crypto.randomInt(500));
  sender.destroy();
  receiver.destroy();
}

async function hostile(server) {
  const socket = dial(server);
  socket.write(pick([HEAD.slice(0, crypto.randomInt(HEAD.length)), crypto.randomBytes(500), `${HEAD}${'\x81\xff'.repeat(50)}`, 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(200), '']));
  if (pick([true, false])) socket.pause();
  await pause(crypto.randomInt(1000));
  socket.destroy();
}

const agents = new Map();
async function publish(server) {
  const body = JSON.stringify({ name: 'n', channel: pick([`c${crypto.randomInt(20)}`, 'presence-p']), data: 'x'.repeat(crypto.randomInt(9000)) });
  const query = `auth_key=key&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0&body_md5=${crypto.createHash('md5').update(body).digest('hex')}`;
  const target = `/apps/id/events?${query}&auth_signature=${hmac(`POST\n/apps/id/events\n${query}`)}`;
  const { request, Agent } = server.secure ? https : require('node:http');
  if (!agents.has(server)) agents.set(server, new Agent({ keepAlive: true, maxSockets: 4 }));
  await new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port: server.port, method: 'POST', path: target, agent: agents.get(server), rejectUnauthorized: false, headers: { 'Content-Length': Buffer.byteLength(body) } }, (res) => {
      res.resume();
      res.on('end', () => (res.statusCode === 200 ? resolve() : reject(new Error(`HTTP ${res.statusCode}`))));
    });
    req.on('error', (error) => (error.code === 'ECONNRESET' ? resolve() : reject(error))); // an idle connection made room
    req.end(body);
  });
}

const resident = (child) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'latin1'))[1]) / 1024;
const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];

function draw(servers, file) {
  const width = 800, height = 240, left = 60, top = 20;
  const most = Math.max(...servers.flatMap((s) => s.samples.map((p) => p.mb))) * 1.1;
  const x = (s) => left + (s / SECONDS) * (width - left - 20), y = (mb) => top + (1 - mb / most) * (height - top - 40);
  const text = (tx, ty, what, more = '') => `<text x="${tx.toFixed(0)}" y="${ty.toFixed(0)}" ${more}>${what}</text>`;
  const lines = servers.map((s, i) => `<polyline fill="none" stroke="${['#1f6feb', '#d29922'][i]}" points="${s.samples.map((p) => `${x(p.s).toFixed(1)},${y(p.mb).toFixed(1)}`).join(' ')}"/>`
    + text(left + 10 + i * 120, height - 6, s.secure ? 'TLS' : 'plain', `fill="${['#1f6feb', '#d29922'][i]}"`));
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => text(4, y(most * part) + 4, `${(most * part).toFixed(1)} MB`) + text(x(SECONDS * part), height - 24, `${(SECONDS * part).toFixed(0)} s`, 'text-anchor="middle"')
    + `<line x1="${left}" x2="${width - 20}" y1="${y(most * part)}" y2="${y(most * part)}" stroke="#ddd"/>`);
  fs.writeFileSync(file, `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11"><title>Resident memory under churn</title>${grid.join('')}${lines.join('')}</svg>\n`);
}

async function main() {
  const servers = [await start([]), { ...await start(['--tls-cert', cert, '--tls-key', key]), secure: true }];
  const begin = Date.now(), ends = begin + SECONDS * 1000;
  const counts = {};
  let failure;
  const lane = async (server) => {
    while (Date.now() < ends && !failure) {
      const act = pick([overWebSocket, overWebSocket, overHttp, hostile, publish, publish]);
      counts[act.name] = (counts[act.name] || 0) + 1;
      await act(server).catch((error) => { failure = error; });
    }
  };
  for (const server of servers) server.samples = [];
  const sampling = setInterval(() => { for (const s of servers) s.samples.push({ s: (Date.now() - begin) / 1000, mb: resident(s.child) }); }, Math.max(200, SECONDS));
  await Promise.all(servers.flatMap((server) => Array.from({ length: LANES }, () => lane(server))));
  clearInterval(sampling);
  if (failure) {
    for (const server of servers) server.child.kill('SIGKILL');
    throw failure;
  }
  for (const agent of agents.values()) agent.destroy();
  if (picture) draw(servers, picture);
  for (const server of servers) {
    const quarter = (n) => median(server.samples.filter((p) => p.s >= (SECONDS * n) / 4 && p.s < (SECONDS * (n + 1)) / 4).map((p) => p.mb));
    const [early, late] = [quarter(1), quarter(3)];
    console.log(`${server.secure ? 'TLS' : 'plain'}: ${early.toFixed(1)} MB in the second quarter, ${late.toFixed(1)} MB in the last`);
    if (late > early * 1.1 + 4) failure = failure || new Error('memory grows');
    const over = new Promise((resolve) => { server.child.on('exit', resolve); });
    server.child.kill('SIGTERM');
    const status = await over;
    if (status !== 0) failure = failure || new Error(`exit ${status}`);
  }
  console.log(`in ${SECONDS} s: ${Object.entries(counts).map(([name, n]) => `${name} ${n}`).join(', ')}`);
  if (failure) throw failure;
}

main().catch((error) => { console.error(error); process.exit(1); });
