'use strict';
// What the benchmarks of hosts in other languages share: starting a host, clients that ask for authorizations, tables.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const readline = require('node:readline');

/** A masked text frame; the mask is zero, which is as good as any other to a server. */
function frame(text) {
  const body = Buffer.from(text);
  const head = Buffer.alloc(body.length > 125 ? 8 : 6);
  head[0] = 0x81;
  head[1] = 0x80 | (body.length > 125 ? 126 : body.length);
  if (body.length > 125) head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}

/** Starts COMMAND and waits for its first line. `command` is a text of words. */
async function start(command) {
  const [file, ...args] = command.split(' ').filter(Boolean);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const host = { child, pid: child.pid, stderr: '' };
  child.stderr.on('data', (data) => { host.stderr += data; });
  const lines = readline.createInterface({ input: child.stdout });
  host.ended = new Promise((resolve) => { child.once('close', (code) => resolve(code)); });
  const first = await new Promise((resolve, reject) => {
    lines.once('line', resolve);
    host.ended.then(() => reject(new Error(`${command}: ${host.stderr}`)));
  });
  host.port = Number(first.split(':').pop());
  host.stop = async () => {
    child.kill('SIGTERM');
    if (await host.ended !== 0) throw new Error(`${command} did not end well: ${host.stderr}`);
  };
  return host;
}

/** CPU seconds of a process so far, all threads, user and kernel. */
function cpu(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/**
 * A client that subscribes to `channels` private channels in one write, waits for all, and gives them back. The parsing
 * is minimal, to leave the processors to the host.
 */
class Client {
  constructor(n, channels) {
    this.rest = '';
    this.left = 0;
    this.n = n;
    const names = Array.from({ length: channels }, (_, i) => `private-bench.${n}-${i}`);
    const all = (event) => Buffer.concat(names.map((name) => frame(`{"event":"pusher:${event}","data":{"channel":"${name}"}}`)));
    this.channels = channels;
    this.first = all('subscribe');
    this.again = Buffer.concat([all('unsubscribe'), this.first]);
  }

  async open(port) {
    await new Promise((resolve, reject) => {
      this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, resolve);
      this.socket.once('error', reject);
    });
    const established = new Promise((resolve) => { this.onEstablished = resolve; });
    this.socket.setEncoding('latin1').on('data', (text) => this.got(text)).on('close', () => this.onClose?.());
    this.socket.write(`GET /app/app-key?protocol=7&token=user-${this.n} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n`
      + 'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
    await established;
  }

  got(text) {
    const all = this.rest + text;
    let end = 0;
    if (this.onEstablished) {
      if (!all.includes('connection_established')) { this.rest = all; return; }
      this.onEstablished();
      this.onEstablished = null;
    }
    if (all.includes('subscription_error')) throw new Error(all);
    for (let at = all.indexOf('subscription_succeeded'); at >= 0; at = all.indexOf('subscription_succeeded', end)) {
      this.left--;
      end = at + 22;
    }
    this.rest = all.slice(Math.max(end, all.length - 21)); // may be the beginning of one
    if (this.left === 0) this.onDone?.();
  }

  /** One round: as many authorizations as it has channels. */
  ask() {
    return new Promise((resolve) => {
      this.left = this.channels;
      this.onDone = () => { this.onDone = null; resolve(); };
      this.socket.write(this.asked ? this.again : this.first);
      this.asked = true;
    });
  }

  close() { this.socket.destroy(); }
}

async function clients(port, count, channels) {
  const made = Array.from({ length: count }, (_, n) => new Client(n, channels));
  for (const client of made) await client.open(port);
  return made;
}

/** `count` authorizations in all, each client at its own pace. */
async function authorize(made, count) {
  let rounds = Math.ceil(count / made[0].channels);
  const total = rounds * made[0].channels;
  await Promise.all(made.map(async (client) => { while (rounds-- > 0) await client.ask(); }));
  return total;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** `--name N` and `--flag` of `defaults` come out; the rest are hosts, NAME=COMMAND. */
function options(defaults, usage) {
  const o = { ...defaults, hosts: [] };
  const words = process.argv.slice(2);
  while (words.length) {
    const word = words.shift();
    const name = word.replace(/^--/, '');
    if (word.startsWith('--') && name in defaults) o[name] = typeof defaults[name] === 'boolean' ? true : Number(words.shift());
    else if (/^[^-=][^=]*=/.test(word)) o.hosts.push({ name: word.split('=', 1)[0], command: word.slice(word.indexOf('=') + 1) });
    else { console.error(usage); process.exit(2); }
  }
  if (!o.hosts.length) { console.error(usage); process.exit(2); }
  return o;
}

module.exports = { authorize, clients, cpu, median, options, start };
