#!/usr/bin/env node
'use strict';
/*
 * What the ways to a client cost: tests/bench/transports.js BUILD [EVENTS]
 *
 * `pusherc serve` of a release build with one worker and 1,000 subscribers of one channel, who take messages plain or
 * compressed by WebSocket, or over HTTP (xhr_streaming). So many events (default 400) of 300, 2,000 and 8,000 bytes are
 * published, JSON of sensor readings. Printed for each: the server's CPU per event and per delivery, and the bytes that a
 * subscriber receives per event. The ways follow each other three times; the medians are printed. Then, in a server of its
 * own for each way, how much its resident memory grows for each of 1,000 clients that are subscribed and silent.
 */
const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const SUBSCRIBERS = 1000, ROUNDS = 3;
const WAYS = ['plain', 'compressed', 'xhr_streaming'];
const [build, events = '400'] = process.argv.slice(2);
const EVENTS = Number(events);
const HZ = 100; // of /proc/PID/stat

function readings(bytes) {
  const items = [];
  for (let i = 0; JSON.stringify(items).length < bytes; i++) items.push({ gateway: `gw-${(i * 7919) % 10000}`, temperature: (i * 37) % 400 / 10, humidity: (i * 53) % 100, status: i % 3 ? 'online' : 'degraded' });
  return JSON.stringify(items).slice(0, bytes);
}

function text(data) {
  const body = Buffer.from(JSON.stringify(data));
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

/** A subscriber that counts bytes and knows the last event by its name, which is short and thus plain. */
function subscriber(port, way) {
  return new Promise((resolve, reject) => {
    const client = { bytes: 0, ended: null };
    const session = `/app/key/1/${crypto.randomBytes(6).toString('hex')}`;
    const request = (action, body) => `POST ${session}/${action}?protocol=7 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const http = way === 'xhr_streaming';
    const subscribe = { event: 'pusher:subscribe', data: { channel: 'a' } };
    const socket = net.connect(port, '127.0.0.1', () => socket.write(http ? request('xhr_streaming', '') : `GET /app/key?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
      + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${way === 'compressed' ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''}\r\n`));
    client.close = () => socket.destroy();
    client.done = new Promise((ended) => { client.ended = ended; });
    socket.on('error', reject);
    socket.on('data', (data) => {
      client.bytes += data.length;
      const tail = data.subarray(-200);
      if (!tail.includes('connection_established')) {
        // nothing yet
      } else if (http) {
        const send = net.connect(port, '127.0.0.1', () => send.write(request('xhr_send', JSON.stringify([JSON.stringify(subscribe)]))));
        send.on('data', () => send.destroy());
      } else {
        socket.write(text(subscribe));
      }
      if (tail.includes('subscription_succeeded')) { client.bytes = 0; resolve(client); }
      if (tail.includes('the-end')) client.ended();
    });
  });
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
function publish(port, name, data) {
  const body = JSON.stringify({ name, channel: 'a', data });
  const query = `auth_key=key&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0&body_md5=${crypto.createHash('md5').update(body).digest('hex')}`;
  const signature = crypto.createHmac('sha256', 'secret').update(`POST\n/apps/id/events\n${query}`).digest('hex');
  return new Promise((resolve, reject) => {
    const req = http.request({ agent, port, host: '127.0.0.1', method: 'POST', path: `/apps/id/events?${query}&auth_signature=${signature}`, headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } }, (res) => {
      res.resume();
      res.on('end', () => (res.statusCode === 200 ? resolve() : reject(new Error(`HTTP ${res.statusCode}`))));
    });
    req.on('error', reject);
    req.end(body);
  });
}

function cpuMs(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 1000 / HZ;
}

async function connectAll(port, way) {
  const clients = [];
  for (let i = 0; i < SUBSCRIBERS; i += 50) clients.push(...await Promise.all(Array.from({ length: 50 }, () => subscriber(port, way))));
  return clients;
}

async function measure(port, pid, way, bytes) {
  const clients = await connectAll(port, way);
  const data = readings(bytes);
  const cpu = cpuMs(pid);
  for (let n = 0; n < EVENTS; n++) await publish(port, 'n', data);
  await publish(port, 'the-end', '{}');
  await Promise.all(clients.map((c) => c.done));
  const used = (cpuMs(pid) - cpu) * 1000;
  const got = clients.map((c) => c.bytes);
  for (const c of clients) c.close();
  if (new Set(got).size > 1) throw new Error('the subscribers did not get the same');
  return { perEvent: used / EVENTS, perDelivery: used / EVENTS / SUBSCRIBERS, bytes: got[0] / EVENTS };
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

async function start() {
  const config = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'transports-')), 'config.json');
  fs.writeFileSync(config, JSON.stringify({ deflate_min_bytes: 200 }));
  const server = spawn(path.join(build, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', '--app', 'id:key:secret', '--config', config], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise((resolve) => server.stdout.on('data', (line) => { const m = /:(\d+)/.exec(line); if (m) resolve(Number(m[1])); }));
  const stop = () => { server.kill('SIGTERM'); fs.rmSync(path.dirname(config), { recursive: true }); };
  return { port, pid: server.pid, stop };
}

const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) * 1024;

async function idle(way) {
  const server = await start();
  const first = await subscriber(server.port, way);
  const before = resident(server.pid);
  const clients = await connectAll(server.port, way);
  await new Promise((resolve) => { setTimeout(resolve, 500); });
  const bytes = (resident(server.pid) - before) / clients.length;
  for (const client of [first, ...clients]) client.close();
  server.stop();
  return bytes;
}

async function main() {
  const server = await start();
  console.log('| event | messages | server CPU us/event | us/delivery | bytes/delivery |\n|---|---|---|---|---|');
  for (const bytes of [300, 2000, 8000]) {
    const results = Object.fromEntries(WAYS.map((way) => [way, []]));
    for (let i = 0; i < ROUNDS; i++) for (const way of WAYS) results[way].push(await measure(server.port, server.pid, way, bytes));
    for (const way of WAYS) {
      const of = (name, digits) => median(results[way].map((r) => r[name])).toFixed(digits);
      console.log(`| ${bytes} B | ${way} | ${of('perEvent', 0)} | ${of('perDelivery', 2)} | ${of('bytes', 0)} |`);
    }
  }
  server.stop();
  console.log('\n| client | resident bytes, subscribed and silent |\n|---|---|');
  for (const way of ['plain', 'xhr_streaming']) console.log(`| ${way} | ${(await idle(way)).toFixed(0)} |`);
  agent.destroy();
}

main().catch((error) => { console.error(error); process.exit(1); });
