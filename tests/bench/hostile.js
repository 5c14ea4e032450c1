#!/usr/bin/env node
'use strict';
/*
 * What clients notice while others attack: tests/bench/hostile.js BUILD [SECONDS [KIND...]]
 *
 * For each kind of attack it starts `pusherc serve` of a release build with one worker, 20 hostile connections in
 * another process, and a client that pings every 5 ms. Printed: the client's round trips (p50, p99, the longest), in
 * ms, and the share of the worker's turns above 5 and 20 ms, from its metrics. "nothing" is the comparison of the same
 * run. Two processors are needed at least.
 */
const { fork, spawn } = require('node:child_process');
const crypto = require('node:crypto');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');

const HOSTILE = 20;

function head(port, key) {
  return `GET /app/${key}?protocol=7 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
}

function frame(opcode, text) {
  const body = Buffer.from(text);
  const length = body.length < 126 ? Buffer.from([0x80 | body.length]) : Buffer.from([0xfe, body.length >> 8, body.length & 255]);
  return Buffer.concat([Buffer.from([0x80 | opcode]), length, Buffer.alloc(4), body]);
}

function signedChannels(port) {
  const query = `auth_key=key&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0`;
  const signature = crypto.createHmac('sha256', 'secret').update(`GET\n/apps/id/channels\n${query}`).digest('hex');
  return `GET /apps/id/channels?${query}&auth_signature=${signature} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
}

const say = (data) => frame(1, JSON.stringify(data));

/* What a hostile connection sends, again and again: over a WebSocket (`ws`) or at once; `reads`: it reads answers. */
const KINDS = {
  nothing: null,
  'PINGs': { ws: true, reads: true, bytes: () => frame(9, 'x') },
  'PINGs, answers unread': { ws: true, bytes: () => frame(9, 'x') },
  'pusher:ping, answers unread': { ws: true, bytes: () => say({ event: 'pusher:ping' }) },
  'invalid messages': { ws: true, reads: true, again: true, bytes: () => frame(1, '{"event":') },
  'subscribe, unsubscribe': { ws: true, reads: true, bytes: () => Buffer.concat([say({ event: 'pusher:subscribe', data: { channel: 'busy' } }), say({ event: 'pusher:unsubscribe', data: { channel: 'busy' } })]) },
  'fragments of one byte': { ws: true, reads: true, bytes: () => Buffer.from([0x01, 0x81, 0, 0, 0, 0, 0x20, ...Array.from({ length: 50 }, () => [0x00, 0x81, 0, 0, 0, 0, 0x20]).flat(), 0x80, 0x80, 0, 0, 0, 0]) },
  'GET /accept-traffic': { reads: true, bytes: (port) => Buffer.from(`GET /accept-traffic HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`) },
  'GET /apps/id/channels, signed': { reads: true, bytes: (port) => Buffer.from(signedChannels(port)) },
  'GET of nothing, answers unread': { bytes: (port) => Buffer.from(`GET /nothing HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`) },
  'connections that come and go': { reads: true, again: true, once: true, bytes: (port) => Buffer.from(head(port, 'key')) },
};

function attack(port, kind) {
  const piece = kind.bytes(port);
  const block = Buffer.concat(Array.from({ length: kind.once ? 1 : Math.ceil(65536 / piece.length) }, () => piece));
  const socket = net.connect(port, '127.0.0.1');
  const send = () => { while (socket.writable && socket.write(block) && !kind.once); };
  socket.on('error', () => {});
  socket.on('connect', () => (kind.ws ? socket.write(head(port, 'key')) : send()));
  socket.once('data', () => {
    if (kind.ws) send();
    if (!kind.reads) socket.pause();
    if (kind.once) socket.destroy();
  });
  if (kind.reads) socket.on('data', () => {});
  socket.on('drain', send);
  socket.on('close', () => kind.again && setImmediate(attack, port, kind));
}

function probe(port, ms) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(head(port, 'key')));
    const times = [];
    let sent;
    const end = Date.now() + ms;
    const ping = () => { sent = process.hrtime.bigint(); socket.write(say({ event: 'pusher:ping' })); };
    socket.setNoDelay();
    socket.on('error', reject);
    socket.on('data', (data) => {
      if (!data.includes('pong') && !data.includes('established')) return;
      if (sent) times.push(Number(process.hrtime.bigint() - sent) / 1e6);
      if (Date.now() < end) setTimeout(ping, 5);
      else { socket.destroy(); resolve(times.sort((a, b) => a - b)); }
    });
  });
}

function metrics(port) {
  return new Promise((resolve, reject) => http.get({ port, path: '/metrics' }, (answer) => {
    let text = '';
    answer.on('data', (data) => { text += data; });
    answer.on('end', () => resolve(text));
  }).on('error', reject));
}

/* The share of turns above `seconds`, in percent. */
function above(text, seconds) {
  const rows = [...text.matchAll(/pusherc_loop_lag_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\d+)/g)];
  const of = (le) => Number(rows.find((row) => Number(row[1]) >= le)?.[2] ?? 0);
  const all = Number(rows.at(-1)?.[2] ?? 0);
  return all ? (100 * (all - of(seconds))) / all : 0;
}

async function measure(build, name, ms) {
  const server = spawn(path.join(build, 'cli/pusherc'), ['serve', '--host', '127.0.0.1', '--port', '0', '--metrics-port', '0', '--workers', '1', '--app', 'id:key:secret', '--log-level', 'off'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ports = await new Promise((resolve, reject) => {
    let text = '';
    server.on('exit', () => reject(new Error(`the server ended: ${text}`)));
    server.stdout.on('data', (data) => {
      text += data;
      const found = ['listening', 'metrics'].map((what) => text.match(`${what} on http://127.0.0.1:(\\d+)`)?.[1]);
      if (found.every(Boolean)) resolve(found.map(Number));
    });
  });
  const hostile = KINDS[name] ? fork(__filename, ['--attack', String(ports[0]), name]) : null;
  await new Promise((resolve) => { setTimeout(resolve, 500); });
  const times = await probe(ports[0], ms);
  const text = await metrics(ports[1]);
  hostile?.kill('SIGKILL');
  server.removeAllListeners('exit');
  server.kill('SIGTERM');
  await new Promise((resolve) => { server.on('exit', resolve); });
  const at = (part) => (times[Math.min(times.length - 1, Math.floor(times.length * part))]?.toFixed(2) ?? 'none').padStart(8);
  console.log(`${name.padEnd(34)}${at(0.5)}${at(0.99)}${at(1)}   ${above(text, 0.005).toFixed(2)} %   ${above(text, 0.02).toFixed(2)} %`);
}

async function main() {
  const [, , build, seconds, ...kinds] = process.argv;
  if (!build) throw new Error('tests/bench/hostile.js BUILD [SECONDS [KIND...]]');
  console.log(`${''.padEnd(34)}     p50     p99     max   > 5 ms    > 20 ms`);
  for (const name of Object.keys(KINDS))
    if (!kinds.length || kinds.some((kind) => name.includes(kind))) await measure(path.resolve(build), name, 1000 * Number(seconds || 3));
}

if (process.argv[2] === '--attack')
  for (let i = 0; i < HOSTILE; i++) attack(Number(process.argv[3]), KINDS[process.argv[4]]);
else
  main().catch((error) => { console.error(error); process.exitCode = 1; });
