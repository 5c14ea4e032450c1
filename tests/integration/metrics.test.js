'use strict';
// The pages for operators: what a listener for metrics serves, whether it is strictly Prometheus' text format, and
// whether docs/metrics.md and the example dashboard name what is there.

const assert = require('node:assert/strict');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, BUILD, Program, TOP, api, channelAuth, connect, refused, request, startHost, startServe, tcp, trigger, until, upgradeHead } = require('./lib.js');

const redisBuilt = /\bredis\b/.test(execFileSync(path.join(BUILD, 'cli/pusherc'), ['--version']).toString());

// -- Prometheus' text format 0.0.4, and nothing else --

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';

/** name -> {type, help, samples: [{name, labels, value}]}; throws where the text is not strictly valid. */
function parse(text) {
  const families = new Map();
  const series = new Set();
  let family;
  assert.ok(text.endsWith('\n'), 'the last line ends');
  for (const line of text.slice(0, -1).split('\n')) {
    const meta = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line);
    if (meta) {
      const [, what, name, rest] = meta;
      if (what === 'HELP') {
        assert.ok(!families.has(name), `${name} is there twice`);
        family = { name, help: rest, samples: [] };
        families.set(name, family);
        assert.doesNotMatch(rest, /\\(?![\\n])/);
      } else {
        assert.equal(family.name, name, 'TYPE follows HELP');
        assert.ok(!family.type && family.samples.length === 0, line);
        assert.match(rest, /^(counter|gauge|histogram)$/);
        family.type = rest;
      }
      continue;
    }
    const [, name, labelText, value] = new RegExp(`^(${NAME})\\{(.*)\\} (\\S+)$`).exec(line) || assert.fail(line);
    const labels = {};
    let rest = labelText;
    while (rest) {
      const [whole, label, quoted] = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)/.exec(rest) || assert.fail(line);
      assert.ok(!(label in labels), line);
      labels[label] = quoted.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
      rest = rest.slice(whole.length);
    }
    const suffix = name.slice(family.name.length);
    assert.ok(name.startsWith(family.name), `${line} is in the family ${family.name}`);
    assert.match(suffix, family.type === 'histogram' ? /^_(bucket|sum|count)$/ : /^$/, line);
    assert.match(value, /^\d+(\.\d+)?$/);
    const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    assert.ok(!series.has(key), `${line} is there twice`);
    series.add(key);
    family.samples.push({ name, suffix, labels, value: Number(value) });
  }
  for (const each of families.values()) {
    assert.ok(each.type, `${each.name} has a type`);
    if (each.type === 'histogram') checkHistogram(each);
  }
  return families;
}

/** Buckets go up in both senses, the last one is the count. */
function checkHistogram({ name, samples }) {
  const groups = new Map();
  for (const { suffix, labels: { le, ...labels }, value } of samples) {
    const key = JSON.stringify(labels);
    if (!groups.has(key)) groups.set(key, { buckets: [] });
    const group = groups.get(key);
    if (suffix === '_bucket') group.buckets.push([le === '+Inf' ? Infinity : Number(le), value]);
    else group[suffix] = value;
    assert.equal(le === undefined, suffix !== '_bucket', name);
  }
  for (const { buckets, _sum: sum, _count: count } of groups.values()) {
    assert.ok(sum !== undefined, name);
    for (let i = 1; i < buckets.length; i++) assert.ok(buckets[i][0] > buckets[i - 1][0] && buckets[i][1] >= buckets[i - 1][1], name);
    assert.deepEqual(buckets.at(-1), [Infinity, count], name);
  }
}

/** The value of a sample, 0 if there is none. */
function valueOf(families, name, labels = {}) {
  const { samples } = families.get(name) || assert.fail(`no ${name}`);
  return samples.filter((s) => s.suffix === '' && Object.keys(labels).every((l) => s.labels[l] === labels[l]))
    .reduce((sum, s) => sum + s.value, 0);
}

async function scrape(port) {
  const res = await request({ port }, 'GET', '/metrics');
  assert.equal(res.status, 200);
  assert.equal(res.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  return parse(res.text);
}

// -- docs/metrics.md --

/** name -> {type, labels}. */
function documented() {
  const found = new Map();
  let labels;
  for (const line of fs.readFileSync(path.join(TOP, 'docs/metrics.md'), 'utf8').split('\n')) {
    if (/^Labels? /.test(line)) labels = [...line.split('.')[0].matchAll(/`(\w+)`/g)].map(([, name]) => name);
    const row = /^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|/.exec(line);
    if (!row) continue;
    assert.ok(!found.has(row[1]), `${row[1]} is there twice`);
    found.set(row[1], { type: row[2], labels: [...labels, ...[...row[3].matchAll(/`(\w+)`/g)].map(([, name]) => name)].sort() });
  }
  return found;
}

// -- tests --

const LIMITED = { ...APP, id: 'limited', key: 'limited-key', max_backend_events_per_s: 1, max_read_requests_per_s: 1, max_connections: 1, max_channels_per_connection: 1, shaping: 'gateway.{id} window_ms=100 event=reading', ephemeral: 'private-a event=client-typing ttl_ms=60000', receipts: 'private-a event=message id=id', user_events: true };
const CLOSED = { ...APP, id: 'closed', key: 'closed-key', disabled: true };
const ODD = { ...APP, id: 'o"d\\d\n', key: 'odd-key' };

/** One of everything that can be made to happen without waiting. */
async function makeThingsHappen(host) {
  const client = await connect(host);
  await client.subscribe('news');
  await client.subscribe('private-a');
  await client.subscribe('private-encrypted-b', undefined);
  await client.subscribe('presence-c', { user_id: '1' });
  await client.signin({ id: 'u' });
  await client.subscribe('#server-to-user-u');
  client.ask('private-x');
  client.ask('private-x', { auth: 'x:y' });
  client.ask('presence-x', { auth: channelAuth(APP, client.socketId, 'presence-x', '{}'), channel_data: '{}' });
  client.ask('n'.repeat(300));
  client.send({ event: 'client-x', channel: 'private-a', data: 'd' });
  client.send({ event: 'client-x', channel: 'news', data: 'd' });
  client.sendAll(Array.from({ length: 12 }, () => ({ event: 'client-y', channel: 'private-a', data: 'd' })));
  await client.settle();
  await trigger(host, ['news', 'nobody-here'], 'e', 'data');
  await client.event('e', 'news');
  await host.publish('news', 'f');
  await client.event('f', 'news');

  const limited = await connect(host, { app: LIMITED });
  assert.equal((await refused(host, { app: LIMITED })).code, 4004);
  await limited.subscribe('a');
  limited.ask('b');
  await limited.settle();
  // One in a second: both at the same time.
  const both = async (ask) => (await Promise.all([ask(), ask()])).map(({ status }) => status).sort();
  assert.deepEqual(await both(() => api(host, 'GET', '/channels', { app: LIMITED })), [200, 429]);
  const event = { name: 'e', data: 'd', channel: 'a' };
  assert.deepEqual(await both(() => api(host, 'POST', '/events', { app: LIMITED, body: event })), [200, 429]);

  assert.equal((await refused(host, { app: CLOSED })).code, 4003);
  assert.equal((await refused(host, { app: { key: 'nobody' } })).code, 4001);
  assert.equal((await refused(host, { target: '/nowhere' })).code, 4005);
  const gone = await connect(host);
  await gone.subscribe('news');
  await gone.close();
  return client;
}

const promtool = spawnSync('promtool', ['--version']).status === 0;

test('docs/metrics.md has every metric, and nothing else, when one of everything has happened', async (t) => {
  const laravel = redisBuilt ? { laravel_redis: { url: 'redis://127.0.0.1:1', app_id: APP.id } } : {}; // it is not there
  const host = await startHost({ apps: [APP, LIMITED, CLOSED, ODD], metrics: true, options: { worker_count: 2 }, ...laravel }, t);
  await makeThingsHappen(host);
  const { port, text } = await host.do('metrics');
  const families = parse(text);
  const docs = documented();
  const plain = (name) => name.replace(/^pusherc_/, '');
  assert.deepEqual([...families.keys()].map(plain).sort(), [...docs.keys()].sort());
  for (const [name, { type, samples }] of families) {
    const wanted = docs.get(plain(name));
    assert.equal(type, wanted.type, name);
    for (const { labels: { le, ...labels } } of samples) assert.deepEqual(Object.keys(labels).sort(), wanted.labels, name);
    if (/cluster_/.test(name)) assert.equal(samples.length, 0, name); // see cluster.test.js
    else assert.ok(samples.length > 0 || (!redisBuilt && /laravel_redis/.test(name)), `${name} has happened`);
  }
  assert.deepEqual([...(await scrape(port)).keys()], [...families.keys()]);
});

test('the numbers are what happened', async (t) => {
  const host = await startHost({ apps: [APP, LIMITED, CLOSED, ODD], metrics: true, options: { worker_count: 2 } }, t);
  const client = await makeThingsHappen(host);
  const { port } = await host.do('metrics');
  const now = await until(async () => {
    const families = await scrape(port);
    return valueOf(families, 'pusherc_new_disconnections_total') === 1 && families;
  });
  const app = (name, labels) => valueOf(now, `pusherc_${name}`, { app_id: APP.id, ...labels });
  assert.equal(app('connected'), 1);
  assert.equal(app('new_connections_total'), 2);
  assert.equal(app('active_channels'), 5);
  assert.equal(app('active_channels', { channel_type: 'presence' }), 1);
  assert.equal(app('subscriptions'), 5);
  assert.equal(app('channel_subscriptions_total', { channel_type: 'public' }), 2);
  assert.equal(app('channel_unsubscriptions_total', { channel_type: 'public' }), 1);
  assert.equal(app('http_calls_received_total'), 1);
  assert.equal(app('publishes_unmatched_total'), 1);
  assert.equal(app('client_events_total'), 10);
  assert.equal(app('publishes_total'), 3 + 10);
  assert.equal(app('client_events_refused_total'), 4);
  assert.equal(app('rate_limit_checks_total', { limiter_type: 'client_events' }), 13);
  assert.equal(app('rate_limit_triggered_total', { limiter_type: 'client_events' }), 3);
  assert.equal(app('limit_refusals_total', { limit: 'max_client_events_per_s' }), 3);
  assert.equal(app('denials_total', { reason: 'no_signature' }), 1);
  assert.equal(app('denials_total', { reason: 'bad_signature' }), 1);
  assert.equal(app('denials_total', { reason: 'bad_name' }), 1);
  assert.equal(app('denials_total', { reason: 'bad_member' }), 1);
  const bytes = client.frames.reduce((sum, frame) => sum + Buffer.byteLength(frame.raw), 0);
  assert.ok(app('ws_messages_sent_total') >= client.frames.length);
  assert.ok(app('socket_transmitted_bytes') >= bytes);

  const limited = (name, labels) => valueOf(now, `pusherc_${name}`, { app_id: LIMITED.id, ...labels });
  for (const limit of ['max_connections', 'max_channels_per_connection', 'max_backend_events_per_s', 'max_read_requests_per_s']) {
    assert.equal(limited('limit_refusals_total', { limit }), 1, limit);
  }
  assert.equal(limited('rate_limit_checks_total'), 4 + 0);
  assert.equal(limited('rate_limit_triggered_total'), 2);
  assert.equal(limited('connection_errors_total', { error_type: 'over_quota' }), 1);
  assert.equal(valueOf(now, 'pusherc_connection_errors_total', { app_id: CLOSED.id, error_type: 'app_disabled' }), 1);
  assert.equal(valueOf(now, 'pusherc_connection_errors_total', { app_id: '', error_type: 'unknown_app' }), 1);
  assert.equal(valueOf(now, 'pusherc_connection_errors_total', { app_id: '', error_type: 'path_not_found' }), 1);
  assert.equal(valueOf(now, 'pusherc_connected', { app_id: ODD.id }), 0);

  const count = (name, labels) => now.get(name).samples.filter((s) => s.suffix === '_count' && (!labels || s.labels.app_id === labels)).reduce((sum, s) => sum + s.value, 0);
  // of the publishes above, those that had a subscriber and were written: each on the one worker that has one
  assert.ok(count('pusherc_broadcast_latency_ms', APP.id) >= 2);
  assert.equal(count('pusherc_publish_to_write_seconds'), count('pusherc_broadcast_latency_ms'));
  assert.ok(count('pusherc_loop_lag_seconds') > 10);
  assert.ok(valueOf(now, 'pusherc_process_resident_memory_bytes') > 1e6);
  assert.ok(valueOf(now, 'pusherc_process_open_fds') > 5);
  assert.ok(valueOf(now, 'pusherc_process_max_fds') >= 64);
  assert.ok(Math.abs(valueOf(now, 'pusherc_process_start_time_seconds') - Date.now() / 1000) < 120);
  assert.ok(valueOf(now, 'pusherc_process_cpu_seconds_total') > 0);
});

test('promtool reads it', { skip: promtool ? false : 'promtool is not here' }, async (t) => {
  const host = await startHost({ apps: [APP, LIMITED, CLOSED, ODD], metrics: true }, t);
  await makeThingsHappen(host);
  const { text } = await host.do('metrics');
  const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  // 3: its opinions about names, which soketi's and sockudo's are not of
  assert.ok(status === 0 || status === 3, stderr);
  for (const line of stderr.trim().split('\n').filter(Boolean)) assert.match(line, /_bytes counter metrics should have "_total" suffix|broadcast_latency_ms/);
});

test('?json=1 is the same in the form of prom-client', async (t) => {
  const host = await startHost({ metrics: true }, t);
  await connect(host);
  const { port, text } = await host.do('metrics');
  const { json, headers } = await request({ port }, 'GET', '/metrics?json=1');
  assert.equal(headers['content-type'], 'application/json');
  const families = parse(text);
  assert.deepEqual(json.map((f) => f.name), [...families.keys()]);
  for (const { name, help, type, values, aggregator } of json) {
    const family = families.get(name);
    assert.deepEqual({ help, type, aggregator }, { help: family.help, type: family.type, aggregator: 'sum' });
    assert.equal(values.length, family.samples.length, name);
    values.forEach((value, i) => {
      const sample = family.samples[i];
      const labels = Object.fromEntries(Object.entries(value.labels).map(([label, v]) => [label, String(v)]));
      assert.deepEqual(labels, sample.labels);
      assert.equal(typeof value.value, 'number');
      assert.equal(value.metricName, type === 'histogram' ? sample.name : undefined);
    });
  }
});

test('the port has the pages for operators and nothing else', async (t) => {
  const host = await startHost({ metrics: true, mode: 'attach' }, t);
  const { port } = await host.do('metrics');
  const get = (target, method = 'GET') => request({ port }, method, target);
  const { memory } = (await get('/usage')).json;
  assert.deepEqual(Object.keys(memory), ['free', 'used', 'total', 'percent']);
  assert.equal(memory.free + memory.used, memory.total);
  assert.ok(memory.used > 1e6 && memory.percent > 0 && memory.percent < 100);
  for (const page of ['/', '/ready']) assert.deepEqual({ text: (await get(page)).text, page }, { text: 'OK', page });
  for (const page of ['/up', '/live']) assert.deepEqual((await get(page)).json, { health: 'OK' });
  for (const page of ['/accept-traffic', `/apps/${APP.id}/channels`, `/app/${APP.key}`, '/broadcasting/auth', '/metrics/', '/favicon.ico']) {
    assert.equal((await get(page)).status, 404, page);
  }
  assert.equal((await get('/metrics', 'POST')).status, 405);
  assert.equal((await api({ port }, 'POST', '/events', { body: { name: 'e', data: 'd', channel: 'a' } })).status, 404);
  const head = await get('/metrics', 'HEAD');
  assert.deepEqual({ status: head.status, text: head.text }, { status: 200, text: '' });
  // nothing for scripts of other sites
  assert.ok(Object.keys((await get('/metrics')).headers).every((name) => !name.startsWith('access-control-')));
  const upgrade = await tcp({ port });
  upgrade.write(upgradeHead());
  await upgrade.has(/^HTTP\/1\.1 404 .*Connection: close/s);
  await upgrade.over();
  assert.equal((await request(host, 'GET', '/metrics')).status, 404);
});

test('the port does not answer to the name of a web site', async (t) => {
  const host = await startHost({ metrics: true }, t);
  const { port } = await host.do('metrics');
  const get = async (name) => (await request({ port }, 'GET', '/metrics', { headers: { Host: name } }));
  assert.equal((await get('evil.example')).status, 403);
  assert.match((await get('evil.example')).text, /metrics_names/);
  for (const name of ['localhost', 'pusherc:9601', `127.0.0.1:${port}`]) assert.equal((await get(name)).status, 200, name);
});

test('/accept-traffic is on the ordinary port', async (t) => {
  const host = await startHost({}, t);
  const { status, json } = await request(host, 'GET', '/accept-traffic');
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(json.memory), ['usedSize', 'totalSize', 'percentUsage']);
  assert.ok(json.memory.usedSize > 1e6 && json.memory.usedSize < json.memory.totalSize);
});

// -- pusherc serve --

const metricsPort = (program) => Number(/^metrics on http:\/\/127\.0\.0\.1:(\d+)\/metrics$/.exec(program.lines.all.find((l) => l.startsWith('metrics on')))[1]);

const SOKETI = {
  connected: 'gauge', new_connections_total: 'counter', new_disconnections_total: 'counter', socket_received_bytes: 'counter',
  socket_transmitted_bytes: 'counter', ws_messages_received_total: 'counter', ws_messages_sent_total: 'counter',
  http_received_bytes: 'counter', http_transmitted_bytes: 'counter', http_calls_received_total: 'counter',
};

test('#212 with the prefix soketi_, soketi\'s metrics have its names and the labels app_id and port', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const config = path.join(folder, 'soketi.json');
  fs.writeFileSync(config, JSON.stringify({ metrics: { enabled: true, driver: 'prometheus', host: '127.0.0.1', port: 0, prometheus: { prefix: 'soketi_' } } }));
  for (const [args, env] of [
    [['--metrics', 'on', '--metrics-port', '0', '--metrics-prefix', 'soketi_'], {}],
    [[], { SOKETI_METRICS_ENABLED: 'true', SOKETI_METRICS_HOST: '127.0.0.1', SOKETI_METRICS_SERVER_PORT: '0', SOKETI_METRICS_PROMETHEUS_PREFIX: 'soketi_', SOKETI_METRICS_DRIVER: 'prometheus' }],
    [['--config', config], {}],
  ]) {
    const serve = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', ...args], { env: { ...process.env, ...env } });
    serve.end = () => { serve.child.kill('SIGTERM'); return serve.ends(); };
    t.after(() => serve.end());
    serve.port = await serve.listening();
    const client = await connect(serve);
    await client.subscribe('a');
    await trigger(serve, 'a', 'e', 'd');
    await client.event('e');
    const families = await scrape(metricsPort(serve));
    for (const [name, type] of Object.entries(SOKETI)) {
      const { type: is, samples } = families.get(`soketi_${name}`);
      assert.equal(is, type, name);
      assert.deepEqual(samples.map((s) => s.labels), [{ app_id: APP.id, port: String(serve.port) }], name);
      assert.ok(samples[0].value > 0 || name === 'new_disconnections_total', name);
    }
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_open_fds']) {
      assert.deepEqual(families.get(`soketi_${name}`).samples.map((s) => s.labels), [{ port: String(serve.port) }], name);
    }
    assert.doesNotMatch(serve.stderr, /warning/);
  }
});

test('a port that was asked for must be free; the default one need not be', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { other.on('listening', resolve); });
  t.after(() => new Promise((resolve) => { other.close(resolve); }));
  const taken = other.address().port;
  const asked = new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--metrics-port', String(taken)]);
  assert.equal((await asked.exited).code, 1);
  assert.match(asked.stderr, new RegExp(`^pusherc: address in use: 127\\.0\\.0\\.1:${taken}\n$`));

  // Whoever has 9601 first: the second one goes on without.
  const first = await startServe(['--metrics', 'on'], t);
  const second = await startServe(['--metrics', 'on'], t);
  await until(() => /^pusherc: warning: no metrics are served: address in use: 127\.0\.0\.1:9601$/m.test(second.stderr + first.stderr));
  assert.equal((await request(second, 'GET', '/ready')).status, 200);
});

test('metrics can be switched off', async (t) => {
  const serve = await startServe(['--metrics', 'off'], t);
  assert.deepEqual(serve.lines.all.length, 1);
});

test('a prefix that is no name is refused with one sentence', async () => {
  const child = spawn(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--metrics-port', '0', '--metrics-prefix', 'a-b']);
  let err = '';
  child.stderr.on('data', (data) => { err += data; });
  assert.equal(await new Promise((resolve) => { child.on('close', resolve); }), 2);
  assert.match(err, /^pusherc: metrics_prefix: at most 64 [^\n]+\n$/);
});

// -- the dashboard --

test('every expression of the example dashboard names metrics that are documented', () => {
  const dashboard = JSON.parse(fs.readFileSync(path.join(TOP, 'examples/operations/grafana-dashboard.json'), 'utf8'));
  const docs = documented();
  const words = new Set(['sum', 'rate', 'increase', 'max', 'histogram_quantile', 'by', 'le', 'clamp_min', 'label_values', 'topk']);
  const expressions = [];
  (function walk(value) {
    if (!value || typeof value !== 'object') return;
    if (typeof value.expr === 'string') expressions.push(value.expr);
    if (typeof value.query === 'string' && value.type === 'query') expressions.push(value.query);
    Object.values(value).forEach(walk);
  }(dashboard));
  assert.ok(expressions.length > 10);
  const named = new Set();
  for (const expr of expressions) {
    const text = expr.replace(/"[^"]*"/g, '""');
    assert.match(text, /pusherc_/, expr);
    for (const [name] of text.matchAll(/[a-zA-Z_:][a-zA-Z0-9_:]*/g)) {
      if (!name.startsWith('pusherc_')) continue;
      const known = name.replace(/^pusherc_/, '').replace(/_(bucket|sum|count)$/, (suffix, _, at, whole) => (docs.has(whole) ? suffix : ''));
      assert.ok(docs.has(known), `${name} in ${expr}`);
      if (/_bucket$/.test(name)) assert.equal(docs.get(known).type, 'histogram', expr);
      named.add(known);
    }
    // labels, functions and nothing else
    const labels = new Set([...docs.values()].flatMap((d) => d.labels));
    for (const [name] of text.replace(/\[[^\]]*\]|\$\w+/g, '').matchAll(/[a-zA-Z_:][a-zA-Z0-9_:]*/g)) {
      if (!name.startsWith('pusherc_')) assert.ok(words.has(name) || labels.has(name), `${name} in ${expr}`);
    }
    for (const [, counter] of text.matchAll(/rate\((\w+)/g)) {
      const { type } = docs.get(counter.replace(/^pusherc_/, '').replace(/_(bucket|sum|count)$/, '')) || docs.get(counter.replace(/^pusherc_/, ''));
      assert.notEqual(type, 'gauge', expr);
    }
  }
  assert.ok(named.size > 15);
});
