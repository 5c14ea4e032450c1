'use strict';
// Examples behind nginx, and TLS with a certificate of ours: what those tests share.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');

const { Program, TOP, freePort, until } = require('../integration/lib.js');
const { shared } = require('./program.js');

const file = (name) => path.join(shared.scratch, name);

/** A certificate for localhost that is not signed by an authority, valid for two days. */
const certificate = { get key() { return file('key.pem'); }, get cert() { return file('cert.pem'); } };

function makeCertificate() {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', certificate.key,
    '-out', certificate.cert, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'], { stdio: 'pipe' });
}

/** As fetch(), with our certificate; enough for signedIn(). */
function secureFetch(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const form = body === undefined ? undefined : body.toString();
    const extra = form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(form) };
    const request = https.request(url, { method, headers: { ...extra, ...headers }, ca: fs.readFileSync(certificate.cert), agent: false }, (answer) => {
      let text = '';
      answer.on('data', (data) => { text += data; });
      answer.on('end', () => resolve({
        ok: answer.statusCode >= 200 && answer.statusCode < 300,
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

/** nginx with these lines of its "http" block. It ends with the test. */
function nginx(t, lines) {
  const name = `nginx-${Math.random().toString(36).slice(2)}`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${file(`${name}-${what}`)};`);
  fs.writeFileSync(file(`${name}.conf`), `daemon off; ${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1;
pid ${file(`${name}.pid`)}; error_log ${file(`${name}.log`)} notice;
events {}
http {
access_log off; ${temporary.join(' ')}
${lines}
}
`);
  const program = new Program('/usr/sbin/nginx', ['-e', file(`${name}.log`), '-c', file(`${name}.conf`)]);
  t.after(() => { program.child.kill('SIGQUIT'); return program.exited; });
  return () => `${program.stderr} ${fs.readFileSync(file(`${name}.log`))}`;
}

/**
 * examples/status-page/nginx.conf as it is but for names and ports, before programs of the examples. `balance`: how one of
 * several is chosen. Its `url`, by TLS, and `plain`, its other port.
 */
async function behindNginx(t, sites, balance = '') {
  const [plain, secure] = [await freePort(), await freePort()];
  const config = fs.readFileSync(path.join(TOP, 'examples/status-page/nginx.conf'), 'utf8')
    .replace('server 127.0.0.1:8080;', `${balance} ${sites.map(({ port }) => `server 127.0.0.1:${port} max_fails=1 fail_timeout=600s;`).join(' ')}`)
    .replace('listen 80;', `listen 127.0.0.1:${plain};`)
    .replace('listen 443 ssl', `listen 127.0.0.1:${secure} ssl`)
    .replaceAll('status.example;', 'localhost 127.0.0.1;')
    .replace('/etc/ssl/certs/status.example.pem', certificate.cert)
    .replace('/etc/ssl/private/status.example.key', certificate.key);
  const log = nginx(t, config);
  const site = { name: sites[0].name, url: `https://127.0.0.1:${secure}`, port: String(secure), plain };
  await until(() => secureFetch(`${site.url}/api/v1/websocket/health`).then(({ status }) => status === 200, () => false), log);
  return site;
}

module.exports = { behindNginx, certificate, makeCertificate, secureFetch };
