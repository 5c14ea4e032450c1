'use strict';
// What the integration and conformance tests share: starting programs, talking WebSocket, HTTP and plain
// TCP to them, and Pusher's signatures written once more, independently of the library.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');
const { after } = require('node:test');
const WebSocket = require('ws');

const TOP = path.resolve(__dirname, '../..');
const BUILD = path.resolve(process.env.PUSHERC_BUILD_DIR || process.env.PUSHERC_BUILD || path.join(TOP, 'build'));
// Long enough for a sanitizer build on a busy machine; only a failure waits so long.
const PATIENCE_MS = 60000;

// With PUSHERC_TEST_DEFLATE=1 all hosts and clients compress what they send, whatever its length.
const DEFLATE = process.env.PUSHERC_TEST_DEFLATE === '1';

// A client over HTTP is missed after a while only; stock clients over HTTP (clients.js) are missed sooner than in 10 s.
const SOONER = (config) => process.env.PUSHERC_TEST_TRANSPORT && { constants: { fallback_absence_ms: 3000, ...config.constants } };

const APP = { id: 'app-id', key: 'app-key', secret: 'app-secret', client_events: true };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A promise that fails with `what` (or what it returns) when it takes too long. */
function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing after ${ms} ms: ${typeof what === 'function' ? what() : what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits until `condition` returns something true, and returns it. */
async function until(condition, what = String(condition), ms = PATIENCE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`nothing after ${ms} ms: ${typeof what === 'function' ? what() : what}`);
    await sleep(5);
  }
}

/** Things that arrive, in order, and are taken in order. */
class Inbox {
  constructor() {
    this.all = [];
    this.taken = 0;
    this.waiting = [];
    this.ended = null;
  }

  push(item) {
    this.all.push(item);
    this.wake();
  }

  wake() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Nothing more will come: whoever waits for something fails at once. */
  end(why) {
    this.ended = this.ended || why;
    this.wake();
  }

  /** The next item for which `wanted` is true; those before it are passed over. */
  async next(wanted = () => true, ms = PATIENCE_MS) {
    const first = this.taken;
    let late = false;
    const search = async () => {
      while (!late) {
        while (this.taken < this.all.length) {
          const item = this.all[this.taken++];
          if (wanted(item)) return item;
        }
        if (this.ended) throw new Error(`ended: ${this.ended}; had ${JSON.stringify(this.all.slice(first))}`);
        await new Promise((resolve) => { this.waiting.push(resolve); });
      }
      return undefined;
    };
    return within(search(), () => {
      late = true;
      return `waiting for ${wanted}; had ${JSON.stringify(this.all.slice(first)).slice(0, 2000)}`;
    }, ms);
  }

  /** What has arrived and was not taken yet, taken. */
  rest() {
    const items = this.all.slice(this.taken);
    this.taken = this.all.length;
    return items;
  }
}

// -- programs --

// Those that end with the file.
const programs = [];
after(() => Promise.all(programs.map((program) => program.end())));

function endsWith(t, program) {
  if (t) t.after(() => program.end());
  else programs.push(program);
}

class Program {
  constructor(file, args, options = {}) {
    this.stderr = '';
    this.lines = new Inbox();
    this.child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    this.child.stderr.on('data', (data) => { this.stderr += data; });
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => this.line(line));
    this.exited = new Promise((resolve) => {
      this.child.on('error', (error) => { this.stderr += error; this.lines.end(String(error)); resolve({ code: -1 }); });
      this.child.on('close', (code, signal) => {
        this.lines.end(`exit ${code} ${signal || ''} ${this.stderr}`);
        resolve({ code, signal });
      });
    });
  }

  line(line) { this.lines.push(line); }

  /** The port in the next line that says where the program listens. */
  async listening() {
    const line = await this.lines.next((l) => /listening on/.test(l));
    return Number(/:(\d+)(?!.*:\d)/.exec(line)[1]);
  }

  /** Sees to it that it ends, by itself if it can, and that it ended well. */
  async ends(ms = PATIENCE_MS) {
    const timer = setTimeout(() => { this.stderr += 'did not end by itself\n'; this.child.kill('SIGKILL'); }, ms);
    const { code, signal } = await this.exited;
    clearTimeout(timer);
    assert.equal(code, 0, `exit ${code} ${signal || ''}\n${this.stderr}`);
  }
}

/** The C program in host/: commands and events, see host/commands.c and host/hooks.c. */
class Host extends Program {
  constructor(config) {
    super(path.join(BUILD, 'tests/integration/host'), [JSON.stringify({ apps: [APP], ...config, ...SOONER(config), ...(DEFLATE && { options: { deflate_min_bytes: 1, ...config.options } }) })]);
    this.events = new Inbox();
    this.replies = new Map();
    this.lastId = 0;
    this.child.stdin.on('error', () => {});
    this.exited.then(() => {
      this.events.end(`the host ended: ${this.stderr}`);
      for (const { reject } of this.replies.values()) reject(new Error(`the host ended: ${this.stderr}`));
    });
  }

  line(line) {
    if (line[0] !== '{') {
      this.lines.push(line);
      return;
    }
    const message = JSON.parse(line);
    if (message.event) {
      this.events.push(message);
    } else {
      this.replies.get(message.id).resolve(message);
      this.replies.delete(message.id);
    }
  }

  /** Sends a command; its reply has `rc`. */
  try(command, args = {}) {
    const id = ++this.lastId;
    const reply = new Promise((resolve, reject) => this.replies.set(id, { resolve, reject }));
    this.child.stdin.write(`${JSON.stringify({ id, do: command, app: APP.id, ...args })}\n`);
    return within(reply, `reply to ${command}`, 60000);
  }

  /** The same, and it must succeed. */
  async do(command, args) {
    const reply = await this.try(command, args);
    assert.equal(reply.rc, 'OK', `${command}: ${JSON.stringify(reply)}`);
    return reply;
  }

  publish(channels, name, data = '{}', more = {}) {
    return this.do('publish', { channels: [].concat(channels), name, data, ...more });
  }

  /** The next event of that name for which all given fields are equal. */
  event(name, fields = {}, ms) {
    return this.events.next((e) => e.event === name && Object.keys(fields).every((k) => e[k] === fields[k]), ms);
  }

  end() {
    this.child.stdin.end();
    return this.ends();
  }
}

// With PUSHERC_TEST_REDIS=URL each host has a second one, linked with it: clients connect to the first, the HTTP API and what
// the host publishes go through the second.
const REDIS = process.env.PUSHERC_TEST_REDIS;

/** The node that a request, or a publication, goes through. */
const through = (server) => server.far || server;

async function startTwo(config, t) {
  const both = { ...config, redis: { url: REDIS, prefix: `test-${crypto.randomUUID()}:` } };
  const [near, far] = [await startOne(both, t), await startOne(both, t)];
  near.app = (config.apps || [APP])[0];
  for (const node of [near, far])
    await until(async () => /^OK/.test((await request(node, 'GET', `${config.options?.path_prefix || ''}/ready`)).text), () => `the link: ${node.stderr}`);
  near.far = far;
  near.try = (command, args) => Host.prototype.try.call(/^(publish|send_to_user)/.test(command) ? far : near, command, args);
  return near;
}

/** What was published through the second node before has arrived at the first: over Redis all of it keeps its order. */
async function crossed(near) {
  near.marks ||= (async () => {
    const client = await connect({ port: near.port }, { app: near.app });
    await client.subscribe('marks');
    return client;
  })();
  const [client, mark] = [await near.marks, crypto.randomUUID()];
  await trigger(near.far, 'marks', mark, '{}', { app: near.app });
  await until(() => client.frames.some((f) => f.event === mark), 'an event that has to cross');
}

/** Starts a host that ends with the test `t`, or with the file. `config.apps` defaults to [APP]. */
function startHost(config = {}, t = undefined) {
  return REDIS && !config.tls && !config.servers ? startTwo(config, t) : startOne(config, t);
}

async function startOne(config, t) {
  const host = new Host(config);
  endsWith(t, host);
  host.ports = [];
  for (let i = 0; i < (config.servers || 1); i++) host.ports.push(await host.listening());
  [host.port] = host.ports;
  return host;
}

/** Starts `pusherc serve` likewise. */
async function startServe(args = [], t = undefined, env = {}) {
  const app = ['--app', `${APP.id}:${APP.key}:${APP.secret}`, '--client-events'];
  const serve = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', ...app, ...args],
    { env: { ...process.env, ...env } });
  serve.end = () => { serve.child.kill('SIGTERM'); return serve.ends(); };
  endsWith(t, serve);
  serve.port = await serve.listening();
  return serve;
}

// -- signatures --

const hmac = (secret, text) => crypto.createHmac('sha256', secret).update(text).digest('hex');
const md5 = (text) => crypto.createHash('md5').update(text).digest('hex');

function channelAuth(app, socketId, channel, channelData) {
  return `${app.key}:${hmac(app.secret, [socketId, channel].concat(channelData ? [channelData] : []).join(':'))}`;
}

function userAuth(app, socketId, userData) {
  return `${app.key}:${hmac(app.secret, `${socketId}::user::${userData}`)}`;
}

const nowS = () => Math.floor(Date.now() / 1000);

/**
 * A signed query string. `query` has the parameters that belong to the request; `auth` replaces signing
 * parameters before signing (undefined leaves one out), `after` replaces them afterwards.
 */
function signedQuery(app, method, apiPath, { query = {}, body = '', auth = {}, signedPath = apiPath, after: late = {} } = {}) {
  const params = { auth_key: app.key, auth_timestamp: nowS(), auth_version: '1.0', ...query };
  if (body.length) params.body_md5 = md5(body);
  Object.assign(params, auth);
  const present = Object.entries(params).filter(([, value]) => value !== undefined);
  const canonical = present.map(([k, v]) => [k.toLowerCase(), v]).sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${v}`).join('&');
  const sent = { ...Object.fromEntries(present), auth_signature: hmac(app.secret, `${method}\n${signedPath}\n${canonical}`), ...late };
  return Object.entries(sent).filter(([, value]) => value !== undefined)
    .map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join('&');
}

// -- HTTP --

/** One request, by default on a connection of its own. Through TLS if the server has a `ca`. */
function request(server, method, target, { body = '', headers = {}, agent = false } = {}) {
  const done = new Promise((resolve, reject) => {
    const { request: send } = server.ca ? https : http;
    const req = send({ host: '127.0.0.1', port: server.port, ca: server.ca, method, path: target, headers, agent }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk) => { text += chunk; });
      res.on('error', reject);
      res.on('end', () => {
        let json;
        try { json = JSON.parse(text); } catch { /* not JSON */ }
        resolve({ status: res.statusCode, headers: res.headers, rawHeaders: res.rawHeaders, text, json });
      });
    });
    req.on('error', reject);
    req.end(body);
  });
  return within(done, `${method} ${target}`);
}

/** A signed request below /apps/{id}. `body` that is not a string is sent as JSON. */
function api(server, method, below, { app = APP, body, headers, agent, ...signing } = {}) {
  const apiPath = `/apps/${app.id}${below}`;
  const text = body === undefined ? '' : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const query = signedQuery(app, method, apiPath, { ...signing, body: text });
  return request(through(server), method, `${apiPath}?${query}`, {
    body: text, agent, headers: { ...(text.length ? { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) } : {}), ...headers },
  });
}

/** Publishes over HTTP and expects it to be taken. */
async function trigger(server, channels, name, data, more = {}) {
  const { app, ...fields } = more;
  const res = await api(server, 'POST', '/events', { app, body: { name, data, channels: [].concat(channels), ...fields } });
  assert.equal(res.status, 200, res.text);
  return res.json;
}

// -- WebSocket --

/** A client that shows every frame; see dial() and connect(). */
class Client {
  constructor(url, protocols, options) {
    this.inbox = new Inbox();
    this.ws = new WebSocket(url, protocols, { perMessageDeflate: DEFLATE && { threshold: 0 }, ...options });
    this.ws.on('message', (data, isBinary) => {
      const frame = isBinary ? { binary: data } : JSON.parse(data.toString());
      Object.defineProperty(frame, 'raw', { value: data.toString() });
      this.inbox.push(frame);
    });
    this.pongs = new Inbox();
    this.pings = new Inbox();
    this.ws.on('pong', (data) => this.pongs.push(data.toString()));
    this.ws.on('ping', (data) => this.pings.push(data.toString()));
    this.opened = new Promise((resolve, reject) => {
      this.ws.on('open', resolve);
      this.ws.on('error', (error) => { this.inbox.end(String(error)); reject(error); });
    });
    this.opened.catch(() => {});
    this.closing = new Promise((resolve) => {
      this.ws.on('close', (code, reason) => {
        this.inbox.end(`closed ${code} ${reason}`);
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  get frames() { return this.inbox.all; }

  get isOpen() { return this.ws.readyState === WebSocket.OPEN; }

  send(message) {
    this.ws.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  /** The same for several, which arrive together: none of them is late because this machine is busy. */
  sendAll(messages) {
    this.ws._socket.cork();
    for (const message of messages) this.send(message);
    this.ws._socket.uncork();
  }

  next(wanted, ms) { return this.inbox.next(wanted, ms); }

  /** The next frame of that event (and channel). */
  event(event, channel, ms) {
    return this.next((f) => f.event === event && (channel === undefined || f.channel === channel), ms);
  }

  /** How the server closed: {code, reason}. */
  closed(ms) { return within(this.closing, () => `a close; had ${JSON.stringify(this.frames)}`, ms); }

  /** Frames up to the answer of a ping sent now; twice, so that events posted before it are in. */
  async settle() {
    const frames = [];
    if (this.server?.far) await crossed(this.server);
    for (let i = 0; i < 2; i++) {
      this.send({ event: 'pusher:ping', data: {} });
      for (let f = await this.next(); f.event !== 'pusher:pong'; f = await this.next()) frames.push(f);
    }
    return frames;
  }

  /** pusher:subscribe without waiting. */
  ask(channel, { auth, channel_data } = {}) {
    this.send({ event: 'pusher:subscribe', data: { channel, auth, channel_data } });
  }

  /** Subscribes, signed as the name wants it, and waits for the success. `member` is channel_data. */
  async subscribe(channel, member) {
    const channelData = member === undefined || typeof member === 'string' ? member : JSON.stringify(member);
    const guarded = /^(private|presence)-/.test(channel);
    this.ask(channel, { auth: guarded ? channelAuth(this.app, this.socketId, channel, channelData) : '', channel_data: channelData });
    const answer = await this.next((f) => f.channel === channel && /subscription_(succeeded|error)$/.test(f.event));
    assert.equal(answer.event, 'pusher_internal:subscription_succeeded', answer.raw);
    return answer;
  }

  /** Unsubscribes, and waits until that was done. */
  async unsubscribe(channel) {
    this.send({ event: 'pusher:unsubscribe', data: { channel } });
    return this.settle();
  }

  async signin(user) {
    const userData = typeof user === 'string' ? user : JSON.stringify(user);
    this.send({ event: 'pusher:signin', data: { auth: userAuth(this.app, this.socketId, userData), user_data: userData } });
    return this.event('pusher:signin_success');
  }

  /** Ends from our side and waits for the end. */
  async close(code = 1000) {
    this.ws.close(code);
    return this.closed();
  }
}

const CLIENT_QUERY = 'protocol=7&client=js&version=8.6.0&flash=false';

/** A WebSocket client, once the upgrade was answered. */
async function dial(server, { app = APP, query = CLIENT_QUERY, target, protocols = [], ...options } = {}) {
  const where = `${server.ca ? 'wss' : 'ws'}://127.0.0.1:${server.port}`;
  const client = new Client(`${where}${target || `/app/${app.key}?${query}`}`, protocols, { ca: server.ca, ...options });
  client.app = app;
  client.server = server;
  await within(client.opened, 'the upgrade');
  return client;
}

/** The same, established: `socketId` is set. */
async function connect(server, options) {
  const client = await dial(server, options);
  const first = await client.next();
  assert.equal(first.event, 'pusher:connection_established', first.raw);
  client.established = first;
  client.socketId = JSON.parse(first.data).socket_id;
  return client;
}

/** Dials and expects to be turned away: {error, code, reason}. */
async function refused(server, options) {
  const client = await dial(server, options);
  const { code, reason } = await client.closed();
  return { error: client.frames[0], frames: client.frames, code, reason };
}

// -- TCP --

/** A plain connection: `text` is what came, `ended` settles when the server ends or resets it. */
class Tcp {
  constructor(port, options) {
    this.text = '';
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, ...options });
    this.socket.on('data', (data) => { this.text += data.toString('latin1'); });
    this.connected = new Promise((resolve, reject) => {
      this.socket.on('connect', resolve);
      this.socket.on('error', reject);
    });
    this.connected.catch(() => {});
    this.ended = new Promise((resolve) => {
      this.socket.on('end', () => resolve('end'));
      this.socket.on('error', (error) => resolve(error.code));
      this.socket.on('close', () => resolve('close'));
    });
  }

  write(data) { this.socket.write(data, 'latin1'); }

  async has(pattern, ms) {
    await until(() => pattern.test(this.text), `${pattern} in ${JSON.stringify(this.text.slice(0, 500))}`, ms);
    return pattern.exec(this.text);
  }

  /** Waits until the server ends the connection. */
  async over(ms) {
    const how = await within(this.ended, () => `the end; had ${JSON.stringify(this.text.slice(0, 500))}`, ms);
    this.socket.destroy();
    return how;
  }

  /** RST instead of FIN. */
  reset() { this.socket.resetAndDestroy(); }
}

/** `options` as of net.connect(), such as `localAddress`. */
async function tcp(server, options) {
  const connection = new Tcp(server.port, options);
  await within(connection.connected, 'a TCP connection');
  return connection;
}

/**
 * A port that no program has right now, for a program that cannot say which one the system picked. It is none of those
 * that the system picks (from 32768 on): otherwise a client of another test could get it before the program does. Tests that
 * run at the same time, which are processes of their own, look in different parts, and each takes one after the other.
 */
const PARTS = 64;
const PART = Math.floor((32768 - 20000) / PARTS);
let looked = crypto.randomInt(PART);
async function freePort() {
  for (;;) {
    const port = 20000 + (process.pid % PARTS) * PART + (looked++ % PART);
    const server = net.createServer().listen(port, '127.0.0.1');
    const free = await new Promise((resolve) => { server.on('listening', () => resolve(true)); server.on('error', () => resolve(false)); });
    if (!free) continue;
    await new Promise((resolve) => { server.close(resolve); });
    return port;
  }
}

const upgradeHead = (app = APP, query = CLIENT_QUERY) => `GET /app/${app.key}?${query} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n`
  + 'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

/** One WebSocket frame as bytes, with whatever is wrong with it. */
function wsFrame(opcode, payload = '', { fin = true, masked = true, rsv = 0, length, lengthBytes } = {}) {
  const body = Buffer.from(payload);
  const len = length === undefined ? body.length : length;
  const form = lengthBytes === undefined ? (len < 126 ? 0 : len < 65536 ? 2 : 8) : lengthBytes;
  const head = Buffer.alloc(2 + form + (masked ? 4 : 0));
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (form === 0 ? len : form === 2 ? 126 : 127);
  if (form === 2) head.writeUInt16BE(len, 2);
  if (form === 8) head.writeBigUInt64BE(BigInt(len), 2);
  if (masked) {
    const mask = crypto.randomBytes(4);
    mask.copy(head, 2 + form);
    for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3];
  }
  return Buffer.concat([head, body]);
}

/** A raw TCP connection that has been upgraded and established. */
async function rawClient(server, app) {
  const raw = await tcp(server);
  raw.write(upgradeHead(app));
  await raw.has(/connection_established.*activity_timeout[^}]*}/);
  return raw;
}

// A stock client that was told to reconnect while its server ended may keep timers for ever: once every test
// of the file is over, nothing is waited for.
after(() => { setTimeout(() => process.exit(), 500).unref(); });

module.exports = {
  APP, BUILD, CLIENT_QUERY, Client, PATIENCE_MS, TOP, Inbox, Program,
  api, channelAuth, connect, dial, freePort, hmac, md5, nowS, rawClient, refused, request, signedQuery, sleep, startHost, startServe,
  tcp, trigger, until, upgradeHead, userAuth, within, wsFrame,
};
