'use strict';
// An endpoint of webhooks: shows every request, and behaves as it is told to.

const assert = require('node:assert/strict');
const http = require('node:http');
const https = require('node:https');
const Pusher = require('pusher');
const { APP, Inbox, hmac, until } = require('./lib.js');

class Receiver {
  constructor(tls) {
    this.requests = new Inbox(); // {headers, text, body, at}
    this.events = new Inbox(); // of requests that were accepted
    this.behave = () => ({ status: 200 });
    this.sockets = new Set();
    this.open = 0;
    this.most = 0; // requests at a time
    const take = (req, res) => this.take(req, res);
    this.server = tls ? https.createServer(tls, take) : http.createServer(take);
    this.server.on('connection', (socket) => { this.sockets.add(socket); socket.on('close', () => this.sockets.delete(socket)); });
  }

  take(req, res) {
    let text = '';
    this.most = Math.max(this.most, ++this.open);
    res.on('close', () => { this.open--; });
    req.setEncoding('utf8');
    req.on('error', () => {});
    req.on('data', (chunk) => { text += chunk; });
    req.on('end', async () => {
      const request = { method: req.method, url: req.url, headers: req.headers, rawHeaders: req.rawHeaders, text, body: JSON.parse(text), at: Date.now() };
      this.requests.push(request);
      const { status, headers = {}, reset, hang, delay, answer = '' } = await this.behave(request, this.requests.all.length);
      if (hang) return;
      if (reset) { for (const socket of this.sockets) socket.resetAndDestroy(); return; } // below TLS, if there is any
      if (delay) await new Promise((resolve) => { setTimeout(resolve, delay); });
      if (status >= 200 && status <= 299) for (const event of request.body.events || []) this.events.push(event);
      res.writeHead(status, headers);
      res.end(answer);
    });
  }

  get url() { return `${this.server.cert ? 'https' : 'http'}://127.0.0.1:${this.server.address().port}/hook`; }

  /** The next accepted event of that kind (and with these fields). */
  event(name, fields = {}) {
    return this.events.next((e) => e.name === name && Object.keys(fields).every((k) => e[k] === fields[k]));
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

/** Starts one that ends with the test. */
async function receiver(t, behave, tls) {
  const r = new Receiver(tls);
  if (behave) r.behave = behave;
  await new Promise((resolve) => { r.server.listen(0, '127.0.0.1', resolve); });
  r.server.cert = tls && tls.cert;
  t.after(() => r.close());
  return r;
}

/** The request is one that stock receivers accept, from this app. */
function verify(request, app = APP) {
  const { headers, text } = request;
  assert.equal(request.method, 'POST');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['x-pusher-key'], app.key);
  assert.equal(headers['x-pusher-signature'], hmac(app.secret, text));
  assert.ok(!('expect' in headers));
  const webhook = new Pusher({ appId: app.id, key: app.key, secret: app.secret, cluster: 'mt1' }).webhook({ headers, rawBody: text });
  assert.ok(webhook.isValid(), 'pusher of npm takes it for forged');
  assert.deepEqual(webhook.getEvents(), request.body.events);
  assert.ok(Math.abs(Date.now() - request.body.time_ms) < 300000);
}

module.exports = { receiver, until, verify };
