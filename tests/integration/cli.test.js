'use strict';
// The program `pusherc`, from its options to its last line.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, BUILD, Program, connect, refused, request, sleep, until, within } = require('./lib.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
// What the machine's own environment says about soketi or Laravel is not what is tested here.
const CLEAN = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SOKETI|REVERB|PUSHER|SOCKUDO)_/.test(name)));

/** Runs it to its end: {code, out, err}. */
async function run(args, env = {}) {
  const program = new Program(PUSHERC, args, { env: { ...CLEAN, ...env } });
  const { code } = await within(program.exited, () => `the end of pusherc ${args.join(' ')}`);
  return { code, out: program.lines.all.map((line) => `${line}\n`).join(''), err: program.stderr };
}

/** Starts `pusherc serve` on a port that the system picks, and sees to its end. */
async function serve(t, args = [], env = {}) {
  const program = new Program(PUSHERC, ['serve', '--port', '0', '--metrics', 'off', ...args], { env: { ...CLEAN, ...env } });
  t.after(async () => {
    program.child.kill('SIGTERM');
    await sleep(20);
    program.child.kill('SIGTERM');
    await program.ends();
  });
  program.port = await program.listening();
  return program;
}

/** One sentence, on standard error only. */
async function complains(args, sentence, { code = 2, env } = {}) {
  const result = await run(args, env);
  assert.deepEqual({ ...result, err: result.err.trimEnd() }, { code, out: '', err: `pusherc: ${sentence}` });
}

function file(t, content) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const name = path.join(folder, 'pusherc.json');
  const write = (text) => fs.writeFileSync(name, typeof text === 'string' ? text : JSON.stringify(text));
  write(content);
  return { name, write };
}

/** Waits for a line on standard error, which may arrive after a later one on standard output. */
const says = (server, pattern) => until(() => pattern.exec(server.stderr), `${pattern} on standard error`);

const isKnown = async (server, app) => {
  const client = await connect(server, { app });
  await client.close();
};
const isUnknown = async (server, app) => assert.equal((await refused(server, { app })).code, 4001);

test('--help and --version print and succeed', async () => {
  const help = await run(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.out, /usage: pusherc COMMAND/);
  assert.match(help.out, /serve +run a server/);
  const options = await run(['serve', '--help']);
  assert.equal(options.code, 0);
  for (const name of ['config', 'host', 'port', 'app', 'workers', 'client-events', 'tls-cert', 'tls-key', 'metrics', 'metrics-host', 'metrics-port', 'metrics-prefix', 'log-level']) assert.match(options.out, new RegExp(`--${name}\\b`));
  const { code, out, err } = await run(['--version']);
  assert.deepEqual({ code, err }, { code: 0, err: '' });
  assert.match(out, /^pusherc \d+\.\d+\.\d+( \([a-z ]+\))?\n$/);
});

test('wrong words get one sentence and exit 2', async () => {
  assert.equal((await run([])).code, 2);
  await complains(['sreve'], 'unknown command "sreve"; did you mean serve?');
  await complains(['serve', '--prot', '1'], 'unknown option --prot; did you mean --port?');
  await complains(['serve', '--port', 'x'], '--port must be a number from 0 to 65535, not "x"');
  await complains(['serve', '--port'], '--port needs a value: --port N');
  await complains(['serve', '6001'], 'unexpected argument "6001"; options begin with --');
  await complains(['serve', '--workers', '65'], '--workers must be a number from 1 to 64, or "auto", not "65"');
  await complains(['serve', '--app', 'a:b'], '--app must be ID:KEY:SECRET, three parts with a colon between');
  await complains(['serve', '--tls-key', 'x'], 'TLS needs both files: a certificate (--tls-cert) and its key (--tls-key)');
  await complains(['serve', '--config', '/nonexistent'], 'cannot read /nonexistent: No such file or directory');
  await complains(['serve'], 'SOKETI_PORT must be a number from 0 to 65535, not "tcp://10.0.0.1:80"', { env: { SOKETI_PORT: 'tcp://10.0.0.1:80' } });
});

test('nothing that could steer a terminal is printed as it is', async (t) => {
  const evil = 'a\u001b[2J\u009b1m\u202eb\u2066\u061c';
  const results = [await run([evil]), await run(['serve', `--${evil}`]), await run(['serve', '--host', evil]), await run(['serve', '--check'], { SOKETI_PATH_PREFIX: evil, SOKETI_DEFAULT_APP_ID: evil, SOKETI_DEFAULT_APP_SECRET: 's' })];
  for (const content of [{ [evil]: 1 }, { apps: [{ [evil]: 1 }] }, { apps: [{ id: evil }] }, { [`cors.${evil}`]: true }]) results.push(await run(['serve', '--check', '--config', file(t, content).name]));
  const server = await serve(t, ['--path-prefix', `/${evil}`]);
  results.push({ out: server.lines.all.join(''), err: server.stderr });
  for (const { out, err } of results) assert.doesNotMatch(`${out}${err}`, /[^\n -~]/);
  const shown = JSON.parse(results[3].out);
  assert.deepEqual([shown.path_prefix, shown.apps[0].id], [`/${evil}`, evil]);
});

test('a port that is taken is said, with exit 1', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { other.on('listening', resolve); });
  t.after(() => new Promise((resolve) => { other.close(resolve); }));
  const { code, out, err } = await run(['serve', '--port', String(other.address().port)]);
  assert.deepEqual({ code, out }, { code: 1, out: '' });
  assert.match(err, new RegExp(`^pusherc: .*127\\.0\\.0\\.1:${other.address().port}.*\n$`));
  assert.match(err, /address/i);
});

test('a certificate that cannot be used is said, with exit 1', async () => {
  const { code, out, err } = await run(['serve', '--port', '0', '--tls-cert', '/nonexistent', '--tls-key', '/nonexistent']);
  assert.deepEqual({ code, out }, { code: 1, out: '' });
  assert.match(err, /^pusherc: [^\n]+\n$/);
});

test('what the library refuses names the app or the setting, with exit 2', async (t) => {
  const refused = async (config) => {
    const { code, out, err } = await run(['serve', '--port', '0', '--config', file(t, config).name]);
    assert.equal(out, '');
    return `${code} ${err}`;
  };
  const app = { id: 'shop', key: 'shop-key' };
  assert.equal(await refused({ apps: [app] }), '2 pusherc: app shop: secret is missing\n');
  assert.equal(await refused({ apps: [{ ...app, secret: 's', activity_timeout_ms: 30 }] }), '2 pusherc: app shop: activity_timeout_ms must be 1000 or more\n');
  assert.match(await refused({ path_prefix: '/a b' }), /^2 pusherc: path_prefix must be a plain path, [^\n]+\n$/);
});

test('serves the default app on the loopback address, without a warning', async (t) => {
  const server = await serve(t);
  assert.deepEqual(server.lines.all, [`listening on http://127.0.0.1:${server.port}`]);
  await isKnown(server, APP);
  assert.equal((await request(server, 'GET', '/ready')).status, 200);
  assert.doesNotMatch(server.stderr, /warning/);
});

test('the default secret is for the default id and key only', async (t) => {
  for (const app of ['shop:app-key:app-secret', 'app-id:shop-key:app-secret']) {
    const named = await serve(t, ['--app', app]);
    await says(named, /warning: app ".*" has the default secret, which everybody knows/);
  }
  const env = { SOKETI_DEFAULT_APP_ID: 'shop', SOKETI_DEFAULT_APP_KEY: 'shop-key' };
  for (const [set, message] of [
    [{ SOKETI_DEFAULT_APP_ID: 'shop' }, 'app "shop" has no secret: set SOKETI_DEFAULT_APP_SECRET or SOKETI_DEFAULT_APP_SECRET_FILE'],
    [{ SOKETI_DEFAULT_APP_KEY: 'shop-key' }, 'app "app-id" has no secret: set SOKETI_DEFAULT_APP_SECRET or SOKETI_DEFAULT_APP_SECRET_FILE'],
    [{ REVERB_APP_ID: 'shop', PUSHER_APP_SECRET: 'of another family' }, 'app "shop" has no secret: set REVERB_APP_SECRET or REVERB_APP_SECRET_FILE'],
    [{ PUSHER_APP_ID: 'shop', PUSHER_APP_KEY: 'k' }, 'app "shop" has no secret: set PUSHER_APP_SECRET or PUSHER_APP_SECRET_FILE'],
    [{ SOCKUDO_DEFAULT_APP_KEY: 'k' }, 'app "app-id" has no secret: set SOCKUDO_DEFAULT_APP_SECRET or SOCKUDO_DEFAULT_APP_SECRET_FILE'],
  ]) {
    const { code, err } = await run(['serve'], set);
    assert.deepEqual([code, err], [2, `pusherc: ${message}\n`]);
  }
  // a secret from elsewhere will do
  assert.equal((await run(['serve', '--check', '--app', 'shop:k:s'], env)).code, 0);
  const config = file(t, { apps: [{ id: 'shop', key: 'k', secret: 's' }] });
  assert.equal((await run(['serve', '--check', '--config', config.name], env)).code, 0);
  assert.equal((await run(['serve', '--check'], { SOKETI_DEFAULT_APP_ID: 'app-id', SOKETI_DEFAULT_APP_KEY: 'app-key' })).code, 0);
});

test('a secret may have a file to itself', async (t) => {
  const secret = file(t, {});
  const app = { id: 'shop', key: 'shop-key', secret: 'of its own' };
  for (const [family, text] of [['SOKETI_DEFAULT', 'of its own'], ['REVERB', 'of its own\n'], ['SOCKUDO_DEFAULT', 'of its own\r\n'], ['PUSHER', 'of its own']]) {
    fs.writeFileSync(secret.name, text);
    const server = await serve(t, [], { [`${family}_APP_ID`]: app.id, [`${family}_APP_KEY`]: app.key, [`${family}_APP_SECRET_FILE`]: secret.name });
    await isKnown(server, app);
    assert.doesNotMatch(server.stderr, /warning/);
  }
  for (const [text, more, message] of [
    ['', {}, `SOKETI_DEFAULT_APP_SECRET_FILE: ${secret.name} must hold a secret and nothing else`],
    ['\n', {}, `SOKETI_DEFAULT_APP_SECRET_FILE: ${secret.name} must hold a secret and nothing else`],
    ['a\0b', {}, `SOKETI_DEFAULT_APP_SECRET_FILE: ${secret.name} must hold a secret and nothing else`],
    ['x'.repeat(4097), {}, `SOKETI_DEFAULT_APP_SECRET_FILE: ${secret.name} is longer than 4096 bytes`],
    ['a', { SOKETI_DEFAULT_APP_SECRET: 'b' }, 'SOKETI_DEFAULT_APP_SECRET and SOKETI_DEFAULT_APP_SECRET_FILE are both set'],
    ['a', { SOKETI_DEFAULT_APP_SECRET_FILE: '/nowhere' }, 'SOKETI_DEFAULT_APP_SECRET_FILE: cannot read /nowhere: No such file or directory'],
    ['a', { SOKETI_DEFAULT_APP_SECRET_FILE: '/' }, 'SOKETI_DEFAULT_APP_SECRET_FILE: cannot read /: Is a directory'],
  ]) {
    fs.writeFileSync(secret.name, text);
    const { code, err } = await run(['serve', '--check'], { SOKETI_DEFAULT_APP_SECRET_FILE: secret.name, ...more });
    assert.deepEqual([code, err], [2, `pusherc: ${message}\n`]);
  }
});

test('the default secret on other addresses is warned of', async (t) => {
  const open = await serve(t, ['--host', '0.0.0.0']);
  await says(open, /warning: app "app-id" has the default secret, and 0\.0\.0\.0 can be reached/);
  const own = await serve(t, ['--host', '0.0.0.0', '--app', 'a:b:c']);
  assert.doesNotMatch(own.stderr, /warning/);
});

test('a host name is looked up', async (t) => {
  const server = await serve(t, ['--host', 'localhost']);
  assert.match(server.lines.all[0], /^listening on http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/);
});

test('an option counts before the environment, that before the config file', async (t) => {
  const config = file(t, { path_prefix: '/file', log_level: 'warn', apps: [{ id: 'a', key: 'a-key', secret: 'file' }, { id: 'b', key: 'b-key', secret: 'file' }] });
  const server = await serve(t, ['--config', config.name, '--app', 'a:a-key:option'], {
    SOKETI_PATH_PREFIX: '/environment', SOKETI_PORT: '1', SOKETI_DEFAULT_APP_ID: 'c', SOKETI_DEFAULT_APP_KEY: 'c-key', SOKETI_DEFAULT_APP_SECRET: 'environment',
  });
  assert.match(server.lines.all[0], /\/environment$/);
  const keys = [['a', 'option'], ['b', 'file'], ['c', 'environment']];
  for (const [id, secret] of keys) {
    const app = { id, key: `${id}-key`, secret };
    const client = await connect(server, { app, target: `/environment/app/${app.key}?protocol=7` });
    await client.subscribe('private-x'); // signed with that secret
    await client.close();
  }
  await isUnknown(server, { key: 'nobody' }).catch(() => {}); // below no prefix: closed one way or another
});

test('the names of Reverb and Laravel are understood', async (t) => {
  const reverb = { id: 'r', key: 'r-key', secret: 'r-secret' };
  const server = await serve(t, [], {
    REVERB_APP_ID: 'r', REVERB_APP_KEY: 'r-key', REVERB_APP_SECRET: 'r-secret', REVERB_APP_ACTIVITY_TIMEOUT: '45',
    PUSHER_APP_ID: 'p', PUSHER_APP_KEY: 'p-key', PUSHER_APP_SECRET: 'p-secret', REVERB_APP_RATE_LIMITING_ENABLED: 'true', SOKETI_ADAPTER_DRIVER: 'local',
  });
  const client = await connect(server, { app: reverb });
  assert.equal(JSON.parse(client.established.data).activity_timeout, 45);
  await client.subscribe('private-x');
  await client.close();
  await says(server, /warning/);
  await isUnknown(server, { key: 'p-key' });
  await isUnknown(server, APP);
  assert.deepEqual(server.stderr.match(/.*warning.*/g), ['pusherc: warning: REVERB_APP_RATE_LIMITING_ENABLED is set, but not supported: client events have a limit of their own, max_client_events_per_s']);
  const laravel = { id: 'p', key: 'p-key', secret: 'p-secret' };
  await isKnown(await serve(t, [], { PUSHER_APP_ID: 'p', PUSHER_APP_KEY: 'p-key', PUSHER_APP_SECRET: 'p-secret' }), laravel);
});

test('log lines as JSON objects, with the same words', async (t) => {
  const server = await serve(t, ['--log-format', 'json', '--log-level', 'debug']);
  const client = await connect(server, { app: APP });
  client.ask('private-x', { auth: `${APP.key}:0000` });
  await client.event('pusher:subscription_error');
  await client.close();
  await until(() => server.stderr.includes('socket_id'), 'a line about a connection');
  const lines = server.stderr.trimEnd().split('\n').slice(0, -1).map((line) => JSON.parse(line));
  for (const { time, level, subject, message } of lines) {
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(level, /^(error|warn|info|debug)$/);
    assert.ok(subject && message);
  }
  assert.ok(lines.some((line) => line.app === APP.id && line.socket_id === client.socketId));
});

test('--client-events holds for every app', async (t) => {
  const config = file(t, { apps: [{ id: 'a', key: 'a-key', secret: 's' }] });
  const app = { id: 'a', key: 'a-key', secret: 's' };
  const server = await serve(t, ['--config', config.name, '--client-events']);
  const [one, two] = [await connect(server, { app }), await connect(server, { app })];
  await one.subscribe('private-x');
  await two.subscribe('private-x');
  one.send({ event: 'client-hello', channel: 'private-x', data: { n: 1 } });
  assert.equal((await two.event('client-hello')).channel, 'private-x');
  await one.close();
  await two.close();
});

test('a wrong config file is refused before anything listens', async (t) => {
  const config = file(t, '');
  for (const [content, sentence] of [
    ['{', 'is not valid JSON: look at line 1'],
    ['{"prot": 1}', ': unknown setting "prot"; did you mean "port"?'],
    ['{"port": "6001"}', ': port must be a number'],
  ]) {
    config.write(content);
    const { code, out, err } = await run(['serve', '--config', config.name]);
    assert.deepEqual({ code, out }, { code: 2, out: '' });
    assert.ok(err.includes(sentence), err);
  }
  config.write({ apps: [{ id: 'a', key: 'k', secret: 's', max_conections: 1 }] });
  assert.match((await run(['serve', '--config', config.name])).err, /max_conections.*max_connections/);
  config.write({ apps: [{ id: 'a', key: 'k', secret: 's' }, { id: 'b', key: 'k', secret: 's' }] });
  const twice = await run(['serve', '--port', '0', '--config', config.name]);
  assert.equal(twice.code, 2);
  assert.match(twice.err, /^pusherc: .*key.*\n$/);
});

test('--check says what would be used, and listens to nothing', async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { taken.on('listening', resolve); });
  t.after(() => new Promise((resolve) => { taken.close(resolve); }));
  const { port } = taken.address();
  const config = file(t, {
    port, workers: 'auto', log_level: 'off', tls_password: 'open sesame', max_cache_bytes: 1000, http_error_format: 'json',
    apps: [{ id: 'a"b', key: 'k', secret: 'very secret', encryption_master_key: Buffer.alloc(32).toString('base64'), allowed_origins: ['x', '*.y'],
      slow_policy: 'drop', offline_delay_ms: 0, max_client_events_per_s: -1 }, { id: 'c', key: 'ck', secret: 'very secret' }],
  });
  const check = () => run(['serve', '--check', '--config', config.name], { SOKETI_HOST: '0.0.0.0', SOKETI_DEFAULT_APP_ID: 'c', SOKETI_DEFAULT_APP_MAX_CONNS: '7' });
  const { code, out, err } = await check();
  assert.deepEqual({ code, err }, { code: 0, err: 'pusherc: the environment sets SOKETI_HOST (host), SOKETI_DEFAULT_APP_MAX_CONNS (max_connections), SOKETI_DEFAULT_APP_ID (id)\n' });
  for (const secret of ['very secret', 'open sesame', 'AAAA']) assert.ok(!out.includes(secret), out);
  const shown = JSON.parse(out);
  assert.deepEqual([shown.host, shown.port, shown.workers, shown.log_level, shown.tls_password, shown.max_cache_bytes, shown.http_error_format],
    ['0.0.0.0', port, 'auto', 'off', '(not shown)', 1000, 'json']);
  const [a, c] = shown.apps;
  assert.deepEqual([a.id, a.secret, a.allowed_origins, a.slow_policy, a.offline_delay_ms, a.max_client_events_per_s], ['a"b', '(not shown)', ['x', '*.y'], 'drop', 0, -1]);
  assert.deepEqual([c.allowed_origins, c.max_connections, c.activity_timeout_ms], [null, 7, 30000]);

  // It is a config file, all but for the secrets.
  a.encryption_master_key = Buffer.alloc(32).toString('base64');
  config.write(shown);
  assert.equal((await check()).out, out);
});

test('--check complains as a start would', async (t) => {
  const config = file(t, { apps: [{ id: 'a', key: 'k', secret: 's' }, { id: 'b', key: 'k', secret: 's' }] });
  await complains(['serve', '--check', '--config', config.name], 'app b: the key belongs to app a');
  await complains(['serve', '--check', '--host', 'no such host'], 'cannot listen on "no such host": Name or service not known', { code: 1 });
  const { code, out, err } = await run(['serve', '--check', '--tls-cert', '/nonexistent', '--tls-key', '/nonexistent']);
  assert.deepEqual({ code, out }, { code: 1, out: '' });
  assert.match(err, /^pusherc: [^\n]+\n$/);
});

test('SIGHUP reads the apps again', async (t) => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => ({ id, key: `${id}-key`, secret: 'old' }));
  const config = file(t, { apps: [a, b] });
  const server = await serve(t, ['--config', config.name]);
  const hangUp = async () => {
    server.child.kill('SIGHUP');
    return server.lines.next((line) => /apps read again/.test(line));
  };
  const stays = await connect(server, { app: a });
  const goes = await connect(server, { app: b });

  config.write({ apps: [{ ...a, secret: 'new' }, c] });
  assert.equal(await hangUp(), 'apps read again: 2 now, 1 added, 1 removed');
  assert.equal((await goes.closed()).code, 4001);
  await isUnknown(server, b);
  await isKnown(server, c);
  const changed = await connect(server, { app: { ...a, secret: 'new' } });
  await changed.subscribe('private-x');
  await changed.close();
  assert.ok(stays.isOpen);

  // A key may move from one app to another, whatever their order.
  config.write({ apps: [{ ...a, key: 'c-key' }, { ...c, key: 'z-key' }] });
  assert.equal(await hangUp(), 'apps read again: 2 now, 0 added, 0 removed');
  await isKnown(server, { ...c, key: 'z-key' });
  const moved = await connect(server, { app: { ...a, key: 'c-key' } });
  await moved.subscribe('private-x');
  await moved.close();

  // Two may swap theirs.
  config.write({ apps: [{ ...a, key: 'z-key' }, { ...c, key: 'c-key' }] });
  assert.equal(await hangUp(), 'apps read again: 2 now, 0 added, 0 removed');
  const swapped = await connect(server, { app: { ...c, key: 'c-key' } });
  await swapped.subscribe('private-x');
  await swapped.close();
  assert.doesNotMatch(server.stderr, /pusherc:| (warn|error) /);
  await stays.close();
});

test('SIGHUP with a broken file keeps the apps and says what is wrong', async (t) => {
  const a = { id: 'a', key: 'a-key', secret: 's' };
  const config = file(t, { apps: [a] });
  const server = await serve(t, ['--config', config.name]);
  const client = await connect(server, { app: a });
  for (const [content, sentence] of [
    ['{"apps": [', /apps stay as they were: .* is not valid JSON: look at line 1/],
    [{ apps: [{ ...a, colour: 1 }] }, /apps stay as they were: .*colour/],
    [{ apps: [a, { ...a, id: 'b' }] }, /apps stay as they were: .*key belongs to app a/],
    [{ apps: [{ ...a, max_batch_events: 99 }] }, /apps stay as they were: .*max_batch_events/],
  ]) {
    server.stderr = '';
    config.write(content);
    server.child.kill('SIGHUP');
    await says(server, sentence);
    await isKnown(server, a);
  }
  assert.ok(client.isOpen);
  await client.close();
});

test('SIGHUP without a config file is harmless', async (t) => {
  const server = await serve(t);
  server.child.kill('SIGHUP');
  await says(server, /no config file and no certificate/);
  await isKnown(server, APP);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} tells the clients over the grace period, and ends well`, async (t) => {
    const config = file(t, { grace_ms: 2000 });
    const server = await serve(t, ['--config', config.name]);
    const clients = [];
    for (let i = 0; i < 20; i++) clients.push(await connect(server));
    const start = Date.now();
    const times = clients.map((client) => client.closed().then(({ code }) => ({ code, ms: Date.now() - start })));
    server.child.kill(signal);
    const closed = await Promise.all(times);
    assert.ok(closed.every(({ code }) => code === 4200));
    const spread = Math.max(...closed.map(({ ms }) => ms)) - Math.min(...closed.map(({ ms }) => ms));
    assert.ok(spread >= 100, `all told within ${spread} ms`);
    await server.ends();
    assert.deepEqual(server.lines.all.slice(-2), ['stopping; a second signal stops at once', 'stopped']);
  });
}

test('a second signal stops at once', async (t) => {
  const config = file(t, { grace_ms: 60000 });
  const server = await serve(t, ['--config', config.name]);
  const client = await connect(server);
  server.child.kill('SIGTERM');
  await server.lines.next((line) => /^stopping/.test(line));
  await sleep(50);
  server.child.kill('SIGTERM');
  assert.equal((await client.closed()).code, 4200);
  await server.ends(); // long before the minute is over
});

test('goes on when whoever reads its output has gone', async (t) => {
  const server = await serve(t, ['--log-level', 'trace']);
  server.child.stdout.destroy();
  server.child.stderr.destroy();
  await isKnown(server, APP);
  server.child.kill('SIGHUP');
  await isKnown(server, APP);
});

test('takes as many clients as the hard limit of descriptors allows', async (t) => {
  const server = await serve(t);
  const limits = fs.readFileSync(`/proc/${server.child.pid}/limits`, 'utf8');
  const [, soft, hard] = /Max open files +(\S+) +(\S+)/.exec(limits);
  assert.equal(soft, hard);
});
