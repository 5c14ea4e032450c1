'use strict';
// A client of the HTTP fallback transports that shows every line; stock clients are in clients.js.

const assert = require('node:assert/strict');
const http = require('node:http');
const https = require('node:https');
const { APP, Inbox, channelAuth, within } = require('./lib.js');

const QUERY = 'protocol=7&client=js&version=8.6.0';

let last = 0;
/** A name for a session as pusher-js makes one. */
const fresh = () => `${last % 1000}/s${String(Date.now()).slice(-6)}${last++}`.slice(0, 40);

/** Requests of one session, by hand. */
class XhrClient {
  constructor(server, { app = APP, session = fresh(), prefix = '/pusher', query = QUERY, agent } = {}) {
    Object.assign(this, { server, app, session, prefix, query, agent });
    this.lines = new Inbox();
    this.frames = new Inbox();
  }

  /** `number`: of the request, as pusher-js adds it to each. */
  request(action, { method = 'POST', body = '', headers = {}, number } = {}) {
    const query = [action === 'xhr_send' ? '' : this.query, number === undefined ? '' : `t=${Date.now()}&n=${number}`].filter(Boolean).join('&');
    return new Promise((resolve, reject) => {
      const req = (this.server.ca ? https : http).request({
        host: '127.0.0.1', port: this.server.port, ca: this.server.ca, method, agent: this.agent,
        path: `${this.prefix}/app/${this.app.key}/${this.session}/${action}${query && `?${query}`}`,
        headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...headers },
      }, resolve);
      req.on('error', reject);
      req.end(body);
    });
  }

  line(line) {
    this.lines.push(line);
    if (line[0] === 'a') for (const text of JSON.parse(line.slice(1))) this.frames.push(JSON.parse(text));
  }

  /** Begins to receive; what comes goes to `lines` and `frames`. `ended` settles when the answer ends. */
  async receive(action, options) {
    const res = await this.request(action, options);
    this.res = res;
    let text = '';
    res.setEncoding('utf8');
    res.on('data', (data) => {
      const parts = (text + data).split('\n');
      text = parts.pop();
      for (const part of parts) this.line(part);
    });
    this.ended = new Promise((resolve) => { res.on('end', () => resolve('end')); res.on('error', () => resolve('error')); res.on('close', () => resolve('close')); });
    return this;
  }

  stream(options) { return this.receive('xhr_streaming', options); }

  /** One poll, to its end: its lines. */
  async poll() {
    const first = this.lines.all.length;
    await this.receive('xhr');
    await within(this.ended, 'the end of the poll');
    return this.lines.all.slice(first);
  }

  abort() { this.res.destroy(); }

  async send(messages, { number } = {}) {
    const body = typeof messages === 'string' ? messages : JSON.stringify(messages.map((m) => (typeof m === 'string' ? m : JSON.stringify(m))));
    const res = await this.request('xhr_send', { body, number });
    let text = '';
    for await (const data of res) text += data;
    return { status: res.statusCode, text, headers: res.headers };
  }

  event(event) { return this.frames.next((f) => f.event === event); }

  async established() {
    const frame = await this.event('pusher:connection_established');
    this.socketId = JSON.parse(frame.data).socket_id;
    return this;
  }

  async subscribe(channel, member) {
    const channel_data = member && JSON.stringify(member);
    const auth = /^(private|presence)-/.test(channel) ? channelAuth(this.app, this.socketId, channel, channel_data) : '';
    assert.equal((await this.send([{ event: 'pusher:subscribe', data: { channel, auth, channel_data } }])).status, 204);
    return this.frames.next((f) => f.channel === channel && f.event === 'pusher_internal:subscription_succeeded');
  }

  /** The same for a client that only polls. */
  async subscribeByPolls(channel) {
    await this.send([{ event: 'pusher:subscribe', data: { channel } }]);
    const done = () => this.frames.all.some((f) => f.channel === channel && f.event === 'pusher_internal:subscription_succeeded');
    while (!done()) await this.poll();
  }
}

module.exports = { QUERY, XhrClient };
