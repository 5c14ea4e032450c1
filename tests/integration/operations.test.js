'use strict';
// examples/operations: what is there for systemd, nginx and containers fits the program.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, BUILD, Program, TOP, connect, freePort, refused, request, startServe, trigger, until } = require('./lib.js');

const example = (name) => fs.readFileSync(path.join(TOP, 'examples/operations', name), 'utf8');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-operations-'));
test.after(() => fs.rmSync(folder, { recursive: true }));
const file = (name, content) => {
  if (content !== undefined) fs.writeFileSync(path.join(folder, name), content);
  return path.join(folder, name);
};

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const has = (program, ...args) => spawnSync(program, args).error === undefined;

test('the unit is one that systemd understands', { skip: !has('systemd-analyze', '--version') && 'no systemd' }, () => {
  const unit = example('pusherc.service');
  assert.match(unit, /^ExecStart=\/usr\/local\/bin\/pusherc serve --config/m);
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file('pusherc.service', unit.replaceAll('/usr/local/bin/pusherc', PUSHERC))]);
  // It also reads the machine's other units; what it says about them is not ours.
  const ours = `${stdout}${stderr}`.split('\n').filter((line) => /pusherc/.test(line));
  assert.deepEqual(ours, []);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('the container file builds and starts what there is', () => {
  const text = example('Containerfile');
  const env = { PATH: process.env.PATH };
  for (const [, defaults] of text.matchAll(/^ENV (.+)$/gm)) Object.assign(env, Object.fromEntries(defaults.split(' ').map((pair) => pair.split('='))));
  const secret = env.SOKETI_DEFAULT_APP_SECRET_FILE;
  assert.match(text, new RegExp(`--secret ${path.basename(secret)} `));
  const without = spawnSync(PUSHERC, ['serve', '--check'], { env });
  assert.equal(without.status, 2, 'it does not start without a secret');
  assert.match(String(without.stderr), new RegExp(`cannot read ${secret}`));
  env.SOKETI_DEFAULT_APP_SECRET_FILE = file('secret', 'of the container');
  const shown = JSON.parse(execFileSync(PUSHERC, ['serve', '--check'], { env, stdio: ['ignore', 'pipe', 'ignore'] }));
  assert.deepEqual([shown.host, shown.metrics_host], ['0.0.0.0', '0.0.0.0']);
  assert.match(text, new RegExp(`^EXPOSE ${shown.port} ${shown.metrics_port}$`, 'm'));
  assert.match(text, new RegExp(`"http://127\\.0\\.0\\.1:${shown.port}/ready"`));
  assert.match(text, /^ENTRYPOINT \["pusherc", "serve"\]$/m);
  assert.match(text, /^USER (?!root|0)/m);
  for (const [, option] of text.matchAll(/-D(\w+)=/g)) assert.match(fs.readFileSync(path.join(TOP, 'meson_options.txt'), 'utf8'), new RegExp(`'${option}'`));
});

test('every expression of the alert rules names metrics that a server really has', async (t) => {
  const text = example('alerts.yml');
  const serve = new Program(PUSHERC, ['serve', '--port', '0', '--metrics-port', '0']);
  t.after(() => { serve.child.kill('SIGTERM'); return serve.exited; });
  await serve.listening();
  const [, port] = /^metrics on \S+:(\d+)\/metrics$/m.exec(serve.lines.all.join('\n'));
  const metrics = (await request({ port: Number(port) }, 'GET', '/metrics')).text;
  const known = new Map([...metrics.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  const expressions = [...text.matchAll(/^ {8}expr: (.+)$/gm)].map(([, expression]) => expression);
  assert.equal(expressions.length, [...text.matchAll(/- alert: Pusherc\w+$/gm)].length);
  for (const expression of expressions) {
    for (const [name] of expression.matchAll(/pusherc_\w+/g)) {
      const type = known.get(name.replace(/_bucket$/, ''));
      assert.ok(type, `${name} of ${expression}`);
      assert.equal(name.endsWith('_bucket'), type === 'histogram', name);
    }
    for (const [, name] of expression.matchAll(/rate\((\w+?)(?:_bucket)?[{[]/g)) assert.match(known.get(name), /counter|histogram/, name);
  }
});

test('the files for compose and Supervisor name what there is', () => {
  const compose = example('compose.yaml');
  const options = [...compose.matchAll(/command: \[(--[^\]]+)\]/g)].flatMap(([, list]) => list.split(', ').map((word) => word.replaceAll('"', '')));
  assert.deepEqual(options, ['--redis', 'redis://redis:6379']);
  const env = { PATH: process.env.PATH, SOKETI_DEFAULT_APP_SECRET_FILE: file('compose-secret', 'of compose') };
  execFileSync(PUSHERC, ['serve', '--check', ...options], { env, stdio: 'ignore' });
  for (const [, name] of compose.matchAll(/\.\/([\w-]+\.conf)/g)) assert.ok(example(name));
  for (const [service] of example('compose-nginx.conf').matchAll(/pusherc-\d/g)) assert.match(compose, new RegExp(`^  ${service}:`, 'm'));
  const stanza = example('supervisor.conf');
  const [, command] = /^command=\/usr\/local\/bin\/pusherc (serve --config) \/etc\/pusherc\/pusherc\.json$/m.exec(stanza);
  execFileSync(PUSHERC, [...command.split(' '), file('supervised.json', JSON.stringify({ apps: [{ ...APP, client_events: undefined }] })), '--check'], { stdio: 'ignore' });
  assert.match(stanza, /^stopsignal=TERM$/m);
});

test('behind nginx with TLS, and addresses are those of the clients', { skip: !has('/usr/sbin/nginx', '-v') && 'no nginx' }, async (t) => {
  const app = { ...APP, client_events: undefined, max_connections_per_ip: 2 };
  const serve = await startServe(['--config', file('pusherc.json', JSON.stringify({ host: '127.0.0.1', proxy_count: 1, apps: [app] }))], t);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('key.pem'), '-out', file('cert.pem'),
    '-days', '2', '-subj', '/CN=x', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'pipe' });
  const port = await freePort();
  const config = example('nginx.conf').replace('127.0.0.1:6001', `127.0.0.1:${serve.port}`).replace('listen 443', `listen 127.0.0.1:${port}`)
    .replace(/\/etc\/ssl\/certs\S+pem/, file('cert.pem')).replace(/\/etc\/ssl\/private\S+key/, file('key.pem'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${file(kind)};`).join(' ');
  file('nginx.conf', `daemon off; ${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1; pid ${file('nginx.pid')}; error_log ${file('nginx.log')} notice;
    events { worker_connections 64; } http { access_log off; ${temporary} ${config} }`);
  const nginx = new Program('/usr/sbin/nginx', ['-e', file('nginx.log'), '-c', file('nginx.conf')]);
  t.after(() => { nginx.child.kill('SIGQUIT'); return nginx.exited; });
  const front = { port, ca: fs.readFileSync(file('cert.pem'), 'utf8') };
  await until(() => request(front, 'GET', '/ready').then(({ status }) => status === 200, () => false), () => `${nginx.stderr} ${fs.readFileSync(file('nginx.log'))}`);

  const client = await connect(front, { app });
  await client.subscribe('private-x');
  await trigger(front, 'private-x', 'large', 'x'.repeat(10000), { app });
  await client.event('large');
  // Whoever claims another address is believed nothing: the one that nginx saw counts.
  const second = await connect(front, { app, headers: { 'X-Forwarded-For': '192.0.2.1' } });
  assert.equal((await refused(front, { app, headers: { 'X-Forwarded-For': '192.0.2.2' } })).code, 4004);
  await client.close();
  await second.close();
});
