'use strict';
// examples/status-page with TLS: its own, and that of nginx in front of it, with examples/status-page/nginx.conf as it is
// but for names and ports.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const { before, test } = require('node:test');

const { Program, TOP, freePort, until } = require('../integration/lib.js');
const { API_SERVICE, OWNER, client, live, open, pill, shared, shows, signIn, start } = require('./site.js');

const file = (name) => path.join(shared.scratch, name);

before(() => {
  // nobody's certificate but ours, for two days
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('key.pem'),
    '-out', file('cert.pem'), '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'], { stdio: 'pipe' });
});

/** As fetch(), with our certificate; enough for client(). */
function secureFetch(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const form = body === undefined ? undefined : body.toString();
    const extra = form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(form) };
    const request = https.request(url, { method, headers: { ...extra, ...headers }, ca: fs.readFileSync(file('cert.pem')), agent: false }, (answer) => {
      let text = '';
      answer.on('data', (data) => { text += data; });
      answer.on('end', () => resolve({
        status: answer.statusCode,
        headers: { get: (name) => (Array.isArray(answer.headers[name]) ? answer.headers[name].join(', ') : answer.headers[name] ?? null) },
        text: async () => text,
        json: async () => JSON.parse(text),
      }));
    });
    request.on('error', reject);
    request.end(form);
  });
}

/** A visitor and an owner on a site with TLS: live, told, and with cookies that stay on TLS. */
async function behaves(t, site) {
  const trusting = { ignoreHTTPSErrors: true };
  const visitor = await open(t, `${site.url}/status/lighthouse`, trusting);
  const owner = await signIn(t, site, OWNER, trusting);
  for (const page of [visitor, owner]) await live(page);
  await shows(owner.locator('#faces'), 'Demo owner (you)'); // the cookie was believed on the WebSocket
  const api = await client(site, OWNER, 'lighthouse', secureFetch);
  assert.match(api.setCookie, /; HttpOnly; Path=\/; SameSite=Lax; Max-Age=\d+; Secure$/);
  const [cookie] = (await owner.context().cookies()).filter(({ name }) => name === 'status_session');
  assert.deepEqual({ secure: cookie.secure, httpOnly: cookie.httpOnly, sameSite: cookie.sameSite }, { secure: true, httpOnly: true, sameSite: 'Lax' });
  await api.write(`services/${API_SERVICE}/status`, { status: 'degraded', message: 'By TLS' });
  for (const page of [visitor, owner]) {
    await shows(pill(page), 'Degraded performance');
    await page.context().close(); // before the program: nginx would say 502 to a page that catches up
  }
}

test('directly with TLS', async (t) => {
  const site = await start(t, '--tls-cert', file('cert.pem'), '--tls-key', file('key.pem'));
  assert.match(site.url, /^https:/);
  await behaves(t, site);
  const health = await (await secureFetch(`${site.url}/api/v1/websocket/health`)).json();
  assert.equal(health.tls, true);
});

test('behind nginx with TLS', async (t) => {
  const behind = await start(t, '--proxies', '1');
  const [plain, secure] = [await freePort(), await freePort()];
  const config = fs.readFileSync(path.join(TOP, 'examples/status-page/nginx.conf'), 'utf8')
    .replace('127.0.0.1:8080', `127.0.0.1:${behind.port}`)
    .replace('listen 80;', `listen 127.0.0.1:${plain};`)
    .replace('listen 443 ssl', `listen 127.0.0.1:${secure} ssl`)
    .replaceAll('status.example;', 'localhost 127.0.0.1;')
    .replace('/etc/ssl/certs/status.example.pem', file('cert.pem'))
    .replace('/etc/ssl/private/status.example.key', file('key.pem'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${file(what)};`);
  fs.writeFileSync(file('nginx.conf'), `daemon off; ${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1;
pid ${file('nginx.pid')}; error_log ${file('nginx.log')} notice;
events {}
http {
access_log off; ${temporary.join(' ')}
${config}
}
`);
  const nginx = new Program('/usr/sbin/nginx', ['-e', file('nginx.log'), '-c', file('nginx.conf')]);
  t.after(() => { nginx.child.kill('SIGQUIT'); return nginx.exited; });
  const site = { url: `https://127.0.0.1:${secure}` };
  await until(() => secureFetch(`${site.url}/api/v1/websocket/health`).then(({ status }) => status === 200, () => false),
    () => `${nginx.stderr} ${fs.readFileSync(file('nginx.log'))}`);
  await behaves(t, site);
  const redirected = await fetch(`http://127.0.0.1:${plain}/status/lighthouse`, { redirect: 'manual' });
  assert.equal(redirected.status, 301);
  assert.equal(redirected.headers.get('location'), 'https://127.0.0.1/status/lighthouse');
});
