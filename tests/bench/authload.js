#!/usr/bin/env node
'use strict';
/*
 * How long 1,000 clients need until all of their 40 channels are subscribed, in three ways:
 *
 *   in process   the connection is somebody, each channel is asked for without a token, a rule decides
 *   endpoint     each channel is authorized at the server's own /broadcasting/auth first, as stock clients do
 *   application  the same, but at another process (here: Node, which only signs, and asks no database)
 *
 *   tools/node tests/bench/authload.js BUILD [--clients N] [--channels N] [--rounds N] [--workers N]
 *
 * Everything is on this machine, without any latency of a network. A client has its WebSocket and, where it
 * needs one, one kept-alive HTTP connection. Both are opened before the clock runs. The parsing is minimal, to
 * leave the processors to the server. Output: medians of the rounds.
 */
const { fork, spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');

const sign = (text) => `app-key:${crypto.createHmac('sha256', 'app-secret').update(text).digest('hex')}`;

/** The application's auth endpoint, in a process of its own. */
function application() {
  const server = http.createServer((req, res) => {
    let body = '';
    req.on('data', (data) => { body += data; });
    req.on('end', () => {
      const form = new URLSearchParams(body);
      const answer = JSON.stringify({ auth: sign(`${form.get('socket_id')}:${form.get('channel_name')}`) });
      res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length }).end(answer);
    });
  });
  server.keepAliveTimeout = 60000;
  server.listen(0, '127.0.0.1', 4096, () => process.send(server.address().port));
  process.on('disconnect', () => process.exit());
}

/** A masked text frame; the mask is zero, which is as good as any other to a server. */
function frame(text) {
  const long = text.length > 125;
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x81;
  head[1] = 0x80 | (long ? 126 : text.length);
  if (long) head.writeUInt16BE(text.length, 2);
  return Buffer.concat([head, Buffer.from(text)]);
}

/** A TCP connection that hands on what it gets as text. */
function dial(port, onText) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
    socket.setEncoding('latin1');
    socket.on('data', (text) => onText(text));
    socket.on('error', reject);
  });
}

class Client {
  constructor(n) { this.n = n; this.rest = ''; this.left = 0; this.auths = ''; }

  async open(port, authPort) {
    const established = new Promise((resolve) => { this.onSocketId = resolve; });
    this.ws = await dial(port, (text) => this.onWs(text));
    this.ws.write(`GET /app/app-key?protocol=7&client=js&version=8.6.0${authPort ? '' : `&token=user-${this.n}`} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n`
      + 'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
    this.socketId = await established;
    if (authPort) this.http = await dial(authPort, (text) => this.onHttp(text));
  }

  onWs(text) {
    const all = this.rest + text;
    this.rest = all.slice(-80); // what may be the beginning of something
    if (this.onSocketId) {
      const id = /socket_id\\":\\"([\d.]+)\\"/.exec(all);
      if (!id) return;
      this.rest = '';
      this.onSocketId(id[1]);
      this.onSocketId = null;
      return;
    }
    if (all.includes('subscription_error')) throw new Error(all);
    // count the event's end mark, which is whole in exactly one of the pieces
    let at = all.indexOf('subscription_succeeded');
    for (; at >= 0; at = all.indexOf('subscription_succeeded', at + 22)) {
      this.left--;
      this.rest = all.slice(at + 22);
    }
    if (this.left === 0) this.onDone();
  }

  onHttp(text) {
    this.auths += text;
    for (;;) {
      const found = /"auth":"([^"]+)"\}/.exec(this.auths);
      if (!found) return;
      this.auths = this.auths.slice(found.index + found[0].length);
      this.subscribe(this.asked.shift(), found[1]);
    }
  }

  subscribe(channel, auth) {
    this.ws.write(frame(`{"event":"pusher:subscribe","data":{"channel":"${channel}","auth":"${auth}"}}`));
  }

  /** All of a page's channels at once, as pusher-js does when its connection is there. */
  run(channels) {
    this.left = channels;
    const names = Array.from({ length: channels }, (_, i) => `private-bench.${this.n}-${i}`);
    const done = new Promise((resolve) => { this.onDone = resolve; });
    this.asked = [...names];
    for (const name of names) {
      if (!this.http) { this.subscribe(name, ''); continue; }
      const body = `socket_id=${this.socketId}&channel_name=${name}`;
      this.http.write(`POST /broadcasting/auth HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer user-${this.n}\r\n`
        + `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }
    return done;
  }

  close() { for (const socket of [this.ws, this.http]) socket?.destroy(); }
}

/** CPU seconds of a process so far. */
function cpu(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const firstLine = (child) => new Promise((resolve) => { child.stdout.once('data', (data) => resolve(String(data))); });

async function measure(way, { build, clients: count, channels, workers }) {
  const server = spawn(path.join(build, 'tests/bench/bench-server'), ['0', String(workers), 'rules'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number((await firstLine(server)).split(':').pop());
  const app = way === 'application' ? fork(__filename, ['--application']) : null;
  const appPort = app ? await new Promise((resolve) => { app.once('message', resolve); }) : port;
  const clients = Array.from({ length: count }, (_, n) => new Client(n));
  for (let i = 0; i < count; i += 100) await Promise.all(clients.slice(i, i + 100).map((c) => c.open(port, way === 'in process' ? 0 : appPort)));
  const before = [cpu(server.pid), app ? cpu(app.pid) : 0, process.cpuUsage(), process.hrtime.bigint()];
  await Promise.all(clients.map((client) => client.run(channels)));
  const seconds = Number(process.hrtime.bigint() - before[3]) / 1e9;
  const load = process.cpuUsage(before[2]);
  const result = { seconds, server: cpu(server.pid) - before[0], app: app ? cpu(app.pid) - before[1] : 0, load: (load.user + load.system) / 1e6 };
  for (const client of clients) client.close();
  const ended = new Promise((resolve) => { server.once('close', resolve); });
  server.kill('SIGTERM');
  if (app) app.disconnect();
  if (await ended !== 0) throw new Error('the server did not end well');
  return result;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function main() {
  const [build, ...rest] = process.argv.slice(2);
  const o = { build, clients: 1000, channels: 40, rounds: 5, workers: 1 };
  for (let i = 0; i + 1 < rest.length; i += 2) o[rest[i].slice(2)] = Number(rest[i + 1]);
  const ways = ['in process', 'endpoint', 'application'];
  const results = Object.fromEntries(ways.map((way) => [way, []]));
  for (let i = 0; i < o.rounds; i++) for (const way of i % 2 ? [...ways].reverse() : ways) results[way].push(await measure(way, o));
  console.log(`| ${o.clients} clients x ${o.channels} channels, ${o.workers} worker(s) | HTTP requests | seconds | of rounds | server CPU s | application CPU s | load generator CPU s |`);
  console.log('|---|---|---|---|---|---|---|');
  for (const way of ways) {
    const column = (name) => results[way].map((r) => r[name]);
    const number = (value) => value.toFixed(2);
    console.log(`| ${way} | ${(way === 'in process' ? 0 : o.clients * o.channels).toLocaleString('en')} | ${number(median(column('seconds')))} | `
      + `${number(Math.min(...column('seconds')))} to ${number(Math.max(...column('seconds')))} | ${['server', 'app', 'load'].map((name) => number(median(column(name)))).join(' | ')} |`);
  }
}

if (process.argv[2] === '--application') application();
else main().catch((error) => { console.error(error); process.exit(1); });
