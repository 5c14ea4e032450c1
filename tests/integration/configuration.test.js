'use strict';
// Every name of other servers in the protocol's section 11 does something or is said to do nothing, and
// docs/configuration.md says what `pusherc serve` knows. `--check` shows what would be used.

const assert = require('node:assert/strict');
const { execFile, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { test } = require('node:test');
const { APP, BUILD, Program, connect, refused, request, signedQuery, sleep, trigger } = require('./lib.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const PAGE = fs.readFileSync(path.join(__dirname, '../../docs/configuration.md'), 'utf8');
const OURS = { LC_ALL: 'C', PATH: process.env.PATH, ...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: process.env.ASAN_OPTIONS } : {}) };

// -- every name of section 11 --

// What is honoured: [name, value, where `--check` shows it, what it shows there, names that must be set beside it].
// "app." is the first app, "every." each of two.
const SOCKUDO = { SOCKUDO_DEFAULT_APP_ID: 'a', SOCKUDO_DEFAULT_APP_SECRET: 's' };
const WEBHOOKS = [{ url: 'https://example.org/hook', event_types: ['channel_occupied'], filter: { channel_name_starts_with: 'presence-' }, headers: { 'X-Custom': '1' } }];
const LINKED = { SOKETI: { SOKETI_ADAPTER_DRIVER: 'redis' }, REVERB: { REVERB_SCALING_ENABLED: 'true' }, LARAVEL: { BROADCAST_CONNECTION: 'redis' }, SOCKUDO: { ...SOCKUDO, ADAPTER_DRIVER: 'redis' }, CLUSTER: { ...SOCKUDO, ADAPTER_DRIVER: 'redis-cluster' } };
// The URL holds a password, so it is not shown; tests/unit/test_cli.c holds it against the names.
const PARTS = { HOST: 'x', PORT: '6380', USERNAME: 'u', PASSWORD: 'p', DB: '3' };
const parts = (prefix, beside, sets = 'redis') => Object.entries(PARTS).map(([part, value]) => [`${prefix}${part}`, value, sets, '(not shown)', beside]);
const HONOURED = [
  ['SOKETI_ADAPTER_DRIVER', 'redis', 'redis', '(not shown)'],
  ...parts('SOKETI_DB_REDIS_', LINKED.SOKETI),
  ['SOKETI_ADAPTER_REDIS_PREFIX', 'mine:', 'redis_prefix', 'mine:', LINKED.SOKETI],
  ['SOKETI_DB_REDIS_SENTINELS', '[{"host":"s","port":26379}]', 'redis', '(not shown)', LINKED.SOKETI],
  ...['SENTINEL_PASSWORD', 'INSTANCE_NAME'].map((part) => [`SOKETI_DB_REDIS_${part}`, 'x', 'redis', '(not shown)', LINKED.SOKETI]),
  ['SOKETI_DB_REDIS_CLUSTER_NODES', '[{"host":"s","port":7000}]', 'redis', '(not shown)', { ...LINKED.SOKETI, SOKETI_ADAPTER_REDIS_CLUSTER_MODE: 'true' }],
  ['SOKETI_ADAPTER_REDIS_CLUSTER_MODE', 'true', 'redis', '(not shown)', LINKED.SOKETI],
  ['REVERB_SCALING_ENABLED', 'true', 'redis', '(not shown)'],
  ['REDIS_URL', 'redis://x:6380/3', 'redis', '(not shown)', LINKED.REVERB],
  ...parts('REDIS_', LINKED.REVERB),
  ['REVERB_SCALING_CHANNEL', 'reverb', 'redis_prefix', 'reverb', LINKED.REVERB],
  ['ADAPTER_DRIVER', 'redis', 'redis', '(not shown)', SOCKUDO],
  ...parts('DATABASE_REDIS_', LINKED.SOCKUDO),
  ['DATABASE_REDIS_KEY_PREFIX', 'mine:', 'redis_prefix', 'mine:', LINKED.SOCKUDO],
  ['DATABASE_REDIS_SENTINELS', 's:26379,t', 'redis', '(not shown)', LINKED.SOCKUDO],
  ...['USERNAME', 'PASSWORD', 'MASTER'].map((part) => [`DATABASE_REDIS_SENTINEL_${part}`, 'x', 'redis', '(not shown)', LINKED.SOCKUDO]),
  ...['REDIS_CLUSTER_NODES', 'DATABASE_REDIS_CLUSTER_NODES'].map((name) => [name, 's:7000,t', 'redis', '(not shown)', LINKED.CLUSTER]),
  ...['USERNAME', 'PASSWORD'].map((part) => [`DATABASE_REDIS_CLUSTER_${part}`, 'x', 'redis', '(not shown)', LINKED.CLUSTER]),
  ['BROADCAST_CONNECTION', 'redis', 'laravel_redis', '(not shown)'],
  ['BROADCAST_DRIVER', 'redis', 'laravel_redis', '(not shown)'],
  ['REDIS_URL', 'redis://x:6380/3', 'laravel_redis', '(not shown)', LINKED.LARAVEL],
  ...parts('REDIS_', LINKED.LARAVEL, 'laravel_redis'),
  ['REDIS_PREFIX', 'shop:', 'laravel_redis_prefix', 'shop:', LINKED.LARAVEL],
  ['APP_NAME', 'My App', 'laravel_app_name', 'My App', LINKED.LARAVEL],
  ['SOKETI_HOST', '0.0.0.0', 'host', '0.0.0.0'],
  ['SOKETI_PORT', '7001', 'port', 7001],
  ['SOKETI_PATH_PREFIX', 'ws', 'path_prefix', '/ws'],
  ['SOKETI_DEBUG', '1', 'log_level', 'debug'],
  ['BROADCAST_DEBUG', 'yes', 'log_level', 'trace'],
  ['SOKETI_SHUTDOWN_GRACE_PERIOD', '10', 'grace_ms', 10],
  ['SOKETI_SSL_CERT', 'CERT', 'tls_cert', 'CERT', { SOKETI_SSL_KEY: 'KEY' }],
  ['SOKETI_SSL_KEY', 'KEY', 'tls_key', 'KEY', { SOKETI_SSL_CERT: 'CERT' }],
  ['SOKETI_SSL_PASS', 'secret', 'tls_password', '(not shown)'],
  ['SOKETI_METRICS_ENABLED', 'false', 'metrics', false],
  ['SOKETI_METRICS_HOST', '0.0.0.0', 'metrics_host', '0.0.0.0'],
  ['SOKETI_METRICS_SERVER_PORT', '7002', 'metrics_port', 7002],
  ['SOKETI_METRICS_PROMETHEUS_PREFIX', 'soketi_', 'metrics_prefix', 'soketi_'],
  ['SOKETI_HTTP_ACCEPT_TRAFFIC_MEMORY_THRESHOLD', '70', 'accept_traffic_percent', 70],
  ['SOKETI_WEBHOOKS_BATCHING', 'false', 'webhook_batching', false],
  ['SOKETI_WEBHOOKS_BATCHING_DURATION', '50', 'webhook_batch_ms', 50],
  ['SOKETI_DEFAULT_APP_ID', 'x', 'app.id', 'x', { SOKETI_DEFAULT_APP_SECRET: 's' }],
  ['SOKETI_DEFAULT_APP_KEY', 'x', 'app.key', 'x', { SOKETI_DEFAULT_APP_SECRET: 's' }],
  ['SOKETI_DEFAULT_APP_SECRET', 'x', 'app.secret', '(not shown)'],
  ['SOKETI_DEFAULT_APP_ENABLED', 'false', 'app.disabled', true],
  ['SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES', 'true', 'app.client_events', true],
  ['SOKETI_DEFAULT_APP_USER_AUTHENTICATION', 'true', 'app.user_authentication', true],
  ['SOKETI_DEFAULT_APP_MAX_CONNS', '5', 'app.max_connections', 5],
  ['SOKETI_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC', '5', 'app.max_backend_events_per_s', 5],
  ['SOKETI_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC', '-1', 'app.max_client_events_per_s', -1],
  ['SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC', '5', 'app.max_read_requests_per_s', 5],
  ['SOKETI_DEFAULT_APP_WEBHOOKS', JSON.stringify(WEBHOOKS), 'app.webhooks', [{ ...WEBHOOKS[0], headers: { 'X-Custom': '(not shown)' } }]],
  ['SOKETI_USER_AUTHENTICATION_TIMEOUT', '5', 'every.user_authentication_timeout_ms', 5],
  ['SOKETI_CHANNEL_LIMITS_MAX_NAME_LENGTH', '50', 'every.max_channel_name_bytes', 50],
  ['SOKETI_CHANNEL_CACHE_TTL', '5', 'every.cache_ttl_s', 5],
  ['SOKETI_EVENT_MAX_BATCH_SIZE', '5', 'every.max_batch_events', 5],
  ['SOKETI_EVENT_MAX_CHANNELS_AT_ONCE', '5', 'every.max_event_channels', 5],
  ['SOKETI_EVENT_MAX_NAME_LENGTH', '50', 'every.max_event_name_bytes', 50],
  ['SOKETI_EVENT_MAX_SIZE_IN_KB', '100', 'every.max_event_payload_bytes', 102400],
  ['SOKETI_PRESENCE_MAX_MEMBERS', '5', 'every.max_presence_members', 5],
  ['SOKETI_PRESENCE_MAX_MEMBER_SIZE', '3', 'every.max_user_info_bytes', 3072],

  ['REVERB_SERVER_HOST', '0.0.0.0', 'host', '0.0.0.0'],
  ['REVERB_SERVER_PORT', '8080', 'port', 8080],
  ['REVERB_SERVER_PATH', '/ws/', 'path_prefix', '/ws'],
  ['REVERB_MAX_REQUEST_SIZE', '10000', 'max_http_body_bytes', 10000],
  ['REVERB_APP_MAX_MESSAGE_SIZE', '10000', 'max_frame_bytes', 10000],
  ['REVERB_APP_ID', 'x', 'app.id', 'x', { REVERB_APP_SECRET: 's' }],
  ['REVERB_APP_KEY', 'x', 'app.key', 'x', { REVERB_APP_SECRET: 's' }],
  ['REVERB_APP_SECRET', 'x', 'app.secret', '(not shown)'],
  ['REVERB_APP_MAX_CONNECTIONS', '5', 'app.max_connections', 5],
  ['REVERB_APP_PING_INTERVAL', '60', 'app.activity_timeout_ms', 60000],
  ['REVERB_APP_ACTIVITY_TIMEOUT', '45', 'app.activity_timeout_ms', 45000],
  ['REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM', 'members', 'app.client_events', true],

  ['PUSHER_APP_ID', 'x', 'app.id', 'x', { PUSHER_APP_SECRET: 's' }],
  ['PUSHER_APP_KEY', 'x', 'app.key', 'x', { PUSHER_APP_SECRET: 's' }],
  ['PUSHER_APP_SECRET', 'x', 'app.secret', '(not shown)'],
  ['PUSHER_URL', 'https://k:s@api.example/apps/x', 'app.id', 'x'],

  ['HOST', '0.0.0.0', 'host', '0.0.0.0', SOCKUDO],
  ['PORT', '7001', 'port', 7001, SOCKUDO],
  ['METRICS_PORT', '7002', 'metrics_port', 7002, SOCKUDO],
  ['SHUTDOWN_GRACE_PERIOD', '10', 'grace_ms', 10000, SOCKUDO],
  ['WEBSOCKET_MAX_PAYLOAD_KB', '10', 'max_frame_bytes', 10240, SOCKUDO],
  ['SSL_ENABLED', 'true', 'tls_cert', 'CERT', { ...SOCKUDO, SSL_CERT_PATH: 'CERT', SSL_KEY_PATH: 'KEY' }],
  ['SSL_CERT_PATH', 'CERT', 'tls_cert', 'CERT', { ...SOCKUDO, SSL_ENABLED: 'true', SSL_KEY_PATH: 'KEY' }],
  ['UNIX_SOCKET_ENABLED', 'true', 'unix_socket', '/var/run/sockudo/sockudo.sock', SOCKUDO],
  ['UNIX_SOCKET_PATH', '/x', 'unix_socket', '/x', { ...SOCKUDO, UNIX_SOCKET_ENABLED: 'true' }],
  ['UNIX_SOCKET_PERMISSION_MODE', '600', 'unix_socket_mode', '600', { ...SOCKUDO, UNIX_SOCKET_ENABLED: 'true' }],
  ['SSL_KEY_PATH', 'KEY', 'tls_key', 'KEY', { ...SOCKUDO, SSL_ENABLED: 'true', SSL_CERT_PATH: 'CERT' }],
  ['ACTIVITY_TIMEOUT', '45', 'every.activity_timeout_ms', 45000, SOCKUDO],
  ['USER_AUTHENTICATION_TIMEOUT', '5', 'every.user_authentication_timeout_ms', 5000, SOCKUDO],
  ['SOCKUDO_DEFAULT_APP_ID', 'x', 'app.id', 'x', { SOCKUDO_DEFAULT_APP_SECRET: 's' }],
  ['SOCKUDO_DEFAULT_APP_KEY', 'x', 'app.key', 'x', { SOCKUDO_DEFAULT_APP_SECRET: 's' }],
  ['SOCKUDO_DEFAULT_APP_SECRET', 'x', 'app.secret', '(not shown)'],
  ['SOCKUDO_DEFAULT_APP_ENABLED', 'false', 'app.disabled', true],
  ['SOCKUDO_DEFAULT_APP_ALLOWED_ORIGINS', 'https://a.example,*.b.example', 'app.allowed_origins', ['https://a.example', '*.b.example']],
  ['SOCKUDO_DEFAULT_APP_ENABLE_CLIENT_MESSAGES', 'true', 'app.client_events', true],
  ['SOCKUDO_ENABLE_CLIENT_MESSAGES', 'true', 'app.client_events', true],
  ['SOCKUDO_DEFAULT_APP_ENABLE_USER_AUTHENTICATION', 'true', 'app.user_authentication', true],
  ['SOCKUDO_DEFAULT_APP_ENABLE_WATCHLIST_EVENTS', 'true', 'app.watchlist_events', true],
  ['SOCKUDO_DEFAULT_APP_MAX_CONNECTIONS', '5', 'app.max_connections', 5],
  ['SOCKUDO_DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SECOND', '5', 'app.max_backend_events_per_s', 5],
  ['SOCKUDO_DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SECOND', '5', 'app.max_client_events_per_s', 5],
  ['SOCKUDO_DEFAULT_APP_MAX_READ_REQUESTS_PER_SECOND', '5', 'app.max_read_requests_per_s', 5],
  ['SOCKUDO_DEFAULT_APP_MAX_PRESENCE_MEMBERS_PER_CHANNEL', '5', 'app.max_presence_members', 5],
  ['SOCKUDO_DEFAULT_APP_MAX_PRESENCE_MEMBER_SIZE_IN_KB', '5', 'app.max_user_info_bytes', 5120],
  ['SOCKUDO_DEFAULT_APP_MAX_CHANNEL_NAME_LENGTH', '50', 'app.max_channel_name_bytes', 50],
  ['SOCKUDO_DEFAULT_APP_MAX_EVENT_CHANNELS_AT_ONCE', '5', 'app.max_event_channels', 5],
  ['SOCKUDO_DEFAULT_APP_MAX_EVENT_NAME_LENGTH', '50', 'app.max_event_name_bytes', 50],
  ['SOCKUDO_DEFAULT_APP_MAX_EVENT_PAYLOAD_IN_KB', '5', 'app.max_event_payload_bytes', 5120],
  ['SOCKUDO_DEFAULT_APP_MAX_EVENT_BATCH_SIZE', '5', 'app.max_batch_events', 5],
];

// What has no counterpart: [name, a value that asks for something, one that does not, names beside it].
const NAMED = [
  ['SOKETI_MODE', 'worker', 'full'],
  ['SOKETI_METRICS_DRIVER', 'other', 'prometheus'],
  ['SOKETI_SSL_CA', '/ca.pem', ''],
  ['SOKETI_APP_MANAGER_DRIVER', 'mysql', 'array'],
  ['SOKETI_APP_MANAGER_CACHE_ENABLED', 'true', 'false'],
  ['SOKETI_APP_MANAGER_CACHE_TTL', '60', '-1'],
  ...['MYSQL_TABLE', 'MYSQL_VERSION', 'MYSQL_USE_V2', 'POSTGRES_TABLE', 'POSTGRES_VERSION', 'DYNAMODB_TABLE', 'DYNAMODB_REGION', 'DYNAMODB_ENDPOINT']
    .map((name) => [`SOKETI_APP_MANAGER_${name}`, 'x', '']),
  ['SOKETI_ADAPTER_DRIVER', 'nats', 'local'],
  ...['REDIS_PREFIX', 'REDIS_REQUESTS_TIMEOUT', 'REDIS_CLUSTER_MODE', 'REDIS_SUB_OPTIONS', 'REDIS_PUB_OPTIONS', 'NATS_SERVERS', 'NATS_PREFIX', 'NATS_USER',
    'NATS_PASSWORD', 'NATS_TOKEN', 'NATS_TIMEOUT', 'NATS_REQUESTS_TIMEOUT', 'NATS_NODES_NUMBER', 'CLUSTER_REQUESTS_TIMEOUT'].map((name) => [`SOKETI_ADAPTER_${name}`, 'x', '']),
  ...['PORT', 'HOST', 'PREFIX', 'BROADCAST_ADDRESS', 'MULTICAST_ADDRESS', 'UNICAST_ADDRESSES', 'CHECK_INTERVAL', 'KEEPALIVE_INTERVAL', 'NODE_TIMEOUT', 'MASTER_TIMEOUT',
    'IGNORE_PROCESS'].map((name) => [`SOKETI_CLUSTER_${name}`, 'x', '']),
  ...['HOST', 'PORT', 'DB', 'USERNAME', 'PASSWORD', 'KEY_PREFIX', 'SENTINELS', 'SENTINEL_PASSWORD', 'CLUSTER_NODES', 'INSTANCE_NAME'].map((name) => [`SOKETI_DB_REDIS_${name}`, 'x', '']),
  ...['MYSQL', 'POSTGRES'].flatMap((db) => ['HOST', 'PORT', 'USERNAME', 'PASSWORD', 'DATABASE'].map((name) => [`SOKETI_DB_${db}_${name}`, 'x', ''])),
  ['SOKETI_DB_POOLING_ENABLED', 'true', 'false'],
  ['SOKETI_DB_POOLING_MIN', '1', ''],
  ['SOKETI_DB_POOLING_MAX', '7', ''],
  ['SOKETI_CACHE_DRIVER', 'redis', 'memory'],
  ['SOKETI_CACHE_REDIS_CLUSTER_MODE', 'true', ''],
  ['SOKETI_CACHE_REDIS_OPTIONS', '{}', ''],
  ['SOKETI_QUEUE_DRIVER', 'redis', 'sync'],
  ['SOKETI_QUEUE_REDIS_CONCURRENCY', '2', ''],
  ['SOKETI_QUEUE_SQS_URL', 'x', ''],
  ['SOKETI_RATE_LIMITER_DRIVER', 'redis', 'local'],
  ['SOKETI_RATE_LIMITER_REDIS_OPTIONS', '{}', ''],

  ['REVERB_SERVER', 'other', 'reverb'],
  ['REVERB_APP_RATE_LIMITING_ENABLED', 'true', 'false'],
  ['REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS', '60', ''],
  ['REVERB_APP_RATE_LIMIT_DECAY_SECONDS', '60', ''],
  ['REVERB_APP_RATE_LIMIT_TERMINATE', 'true', 'false'],
  ['REVERB_PULSE_INGEST_INTERVAL', '15', ''],
  ['REVERB_TELESCOPE_INGEST_INTERVAL', '15', ''],
  ['REDIS_TIMEOUT', '60', '', { REVERB_SCALING_ENABLED: 'true' }],

  ['ADAPTER_DRIVER', 'nats', 'local', SOCKUDO],
  ['CACHE_DRIVER', 'redis', 'memory', SOCKUDO],
  ['QUEUE_DRIVER', 'redis', 'memory', SOCKUDO],
  ['APP_MANAGER_DRIVER', 'mysql', 'memory', SOCKUDO],
  ['RATE_LIMITER_DRIVER', 'redis', 'memory', SOCKUDO],
  ['DATABASE_REDIS_HOST', 'x', '', SOCKUDO],
];

// What is for the application, its publishers and its pages: passed over. So is what anybody may have set.
const PASSED_OVER = ['BROADCAST_CONNECTION', 'BROADCAST_DRIVER', 'REVERB_HOST', 'REVERB_PORT', 'REVERB_SCHEME', 'PUSHER_HOST', 'PUSHER_PORT', 'PUSHER_SCHEME',
  'PUSHER_APP_CLUSTER', 'VITE_PUSHER_APP_KEY', 'VITE_PUSHER_HOST', 'VITE_REVERB_APP_KEY', 'VITE_REVERB_HOST', 'REDIS_HOST', 'HOST', 'PORT', 'METRICS_PORT',
  'ACTIVITY_TIMEOUT', 'SHUTDOWN_GRACE_PERIOD', 'USER_AUTHENTICATION_TIMEOUT', 'WEBSOCKET_MAX_PAYLOAD_KB', 'SSL_ENABLED', 'SSL_CERT_PATH', 'UNIX_SOCKET_PATH', 'CACHE_DRIVER'];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-configuration-'));
const file = (name, content) => {
  fs.writeFileSync(path.join(folder, name), content);
  return path.join(folder, name);
};
test.after(() => fs.rmSync(folder, { recursive: true }));

/** What was compiled in. */
const features = execFileSync(PUSHERC, ['--version']).toString().match(/[a-z]+/g);

/** What `--check` says in that environment: {shown, warnings}. */
async function check(env, args = []) {
  const { stdout, stderr } = await promisify(execFile)(PUSHERC, ['serve', '--check', ...args], { env: { ...OURS, ...env } });
  const lines = stderr.split('\n').filter(Boolean);
  const told = lines.filter((line) => line.startsWith('pusherc: the environment sets '));
  return { shown: JSON.parse(stdout), warnings: lines.filter((line) => !told.includes(line)), told };
}

function at({ shown }, where) {
  const [whose, name] = where.split('.');
  if (!name) return [shown[whose]];
  return (whose === 'app' ? shown.apps.slice(0, 1) : shown.apps).map((app) => app[name]);
}

let certificate;
/** The paths of a certificate and its key. */
async function certify() {
  if (!certificate) {
    const [CERT, KEY] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    await promisify(execFile)('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', KEY, '-out', CERT, '-days', '2', '-subj', '/CN=x']);
    certificate = { CERT, KEY };
  }
  return certificate;
}

const TWO_APPS = file('two.json', JSON.stringify({ apps: [{ id: 'a', key: 'a', secret: 's' }, { id: 'b', key: 'b', secret: 's' }] }));

test('#211 every name of soketi, Reverb, Laravel and sockudo that is honoured has its effect', async () => {
  const files = await certify();
  const real = (text) => files[text] || text;
  const [one, two] = [await check({}), await check({}, ['--config', TWO_APPS])];
  const lacks = (where) => (/^tls_(cert|key)/.test(where) && !features.includes('tls')) || (where === 'app.webhooks' && !features.includes('webhooks')) || (/redis|^laravel_/.test(where) && !features.includes('redis'));
  for (const [name, value, where, expected, beside = {}] of HONOURED) {
    if (lacks(where)) continue;
    const env = Object.fromEntries(Object.entries({ ...beside, [name]: value }).map(([n, v]) => [n, real(v)]));
    // Credentials are of the only app; what is for every app needs two of them.
    const args = where.startsWith('every.') ? ['--config', TWO_APPS] : [];
    const before = args.length ? two : one;
    const after = await check(env, args);
    assert.deepEqual(after.warnings, [], name);
    assert.equal(after.told.length, 1, name);
    if (name !== 'SSL_ENABLED') assert.match(after.told[0], new RegExp(`[ ,]${name} \\([a-z_, ]+\\)`), name);
    for (const shown of at(after, where)) assert.deepEqual(shown, real(expected), name);
    if (expected !== '(not shown)' || name === 'SOKETI_SSL_PASS') assert.notDeepEqual(at(before, where), at(after, where), name);
  }
});

test('#211 every name without a counterpart is named once, unless it asks for nothing', async () => {
  const all = (which) => NAMED.reduce((env, row) => ({ ...row[3], ...env, [row[0]]: row[which] }), {});
  const { warnings } = await check(all(1));
  for (const [name] of NAMED) assert.equal(warnings.filter((line) => line.startsWith(`pusherc: warning: ${name} is set, but not supported`)).length, 1, name);
  assert.equal(warnings.length, NAMED.length);
  assert.deepEqual((await check(all(2))).warnings, []);
});

test('#211 names that are meant for others are passed over', async () => {
  const { shown, warnings } = await check(Object.fromEntries(PASSED_OVER.map((name) => [name, 'x'])));
  assert.deepEqual(warnings, []);
  assert.deepEqual(shown, (await check({})).shown);
});

test('a name that is not known is said with the known one that was probably meant', async () => {
  const meant = {
    DEFAULT_APP_KEY: 'SOKETI_DEFAULT_APP_KEY', SOKETI_APP_KEY: 'SOKETI_DEFAULT_APP_KEY', SOKETI_METRICS_PORT: 'SOKETI_METRICS_SERVER_PORT', SOKETI_PROT: 'SOKETI_PORT',
    REVERB_MAX_MESSAGE_SIZE: 'REVERB_APP_MAX_MESSAGE_SIZE', PUSHER_SECRET: 'PUSHER_APP_SECRET', SOCKUDO_DEFAULT_APP_KEYS: 'SOCKUDO_DEFAULT_APP_KEY',
  };
  for (const [name, known] of Object.entries(meant)) {
    const { warnings, told } = await check({ [name]: 'x' });
    assert.deepEqual([warnings, told], [[`pusherc: warning: ${name} is not known, and has no effect; did you mean ${known}?`], []]);
  }
  assert.deepEqual((await check({ PUSHER_BEAMS_INSTANCE_ID: 'x' })).warnings, ['pusherc: warning: PUSHER_BEAMS_INSTANCE_ID is not known, and has no effect']);
  assert.deepEqual((await check({ SOKETI_APP_KEY: '' })).warnings, []);
  for (const family of ['SOKETI_DEFAULT', 'REVERB', 'SOCKUDO_DEFAULT', 'PUSHER']) assert.deepEqual((await check({ [`${family}_APP_SECRET_FILE`]: TWO_APPS })).warnings, [], family);
  assert.deepEqual((await check({ 'SOKETI_\u001b[2J\u202e': 'x' })).warnings.map((line) => /[^ -~]/.test(line)), [false]);
});

test('the names that count are told in one line, without those that others go before', async () => {
  const { told } = await check({ SOKETI_PORT: '7001', REVERB_SERVER_PORT: '7002', REVERB_APP_KEY: 'r', REVERB_APP_SECRET: 's', PUSHER_APP_KEY: 'p', PUSHER_APP_SECRET: 'p', SOKETI_HOST: '' });
  assert.deepEqual(told, ['pusherc: the environment sets SOKETI_PORT (port), REVERB_APP_KEY (key), REVERB_APP_SECRET (secret)']);
});

test('quotes and white space around a value of the environment are taken off and said', async () => {
  const said = (name) => `pusherc: warning: the value of ${name} has quotes or white space around it, which are taken off`;
  for (const value of ['"my-key"', "'my-key'", 'my-key\r', ' "my-key"\r\n']) {
    const { shown, warnings } = await check({ SOKETI_DEFAULT_APP_KEY: value, SOKETI_DEFAULT_APP_SECRET: 's' });
    assert.deepEqual([shown.apps[0].key, warnings], ['my-key', [said('SOKETI_DEFAULT_APP_KEY')]], value);
  }
  for (const value of ['"', '"my-key', 'my "key"', '"my-key\'']) assert.deepEqual((await check({ SOKETI_DEFAULT_APP_KEY: value, SOKETI_DEFAULT_APP_SECRET: 's' })).shown.apps[0].key, value);
  const sockudo = await check({ ...SOCKUDO, PORT: '"7001"' });
  assert.deepEqual([sockudo.shown.port, sockudo.warnings], [7001, [said('PORT')]]);
  assert.deepEqual((await check({ PORT: '"7001"', EDITOR: '"x"' })).warnings, []);
});

test('what sends applications elsewhere is said', async () => {
  const says = async (env, args) => (await check(env, args)).warnings.map((line) => line.replace('pusherc: warning: ', ''));
  const port = (name, number, own, ours) => `${name}=${number} tells applications where the server is, and this one listens on ${own}: set ${ours} or --port`;
  assert.deepEqual(await says({ REVERB_PORT: '8080' }), [port('REVERB_PORT', 8080, 6001, 'REVERB_SERVER_PORT')]);
  assert.deepEqual(await says({ PUSHER_PORT: '"6002"' }, ['--port', '7001']), [
    'the value of PUSHER_PORT has quotes or white space around it, which are taken off', port('PUSHER_PORT', 6002, 7001, 'SOKETI_PORT')]);
  assert.deepEqual(await says({ REVERB_PORT: '8080', PUSHER_PORT: '6001', BROADCAST_CONNECTION: 'pusher' }), []);
  for (const [number, more] of [['443'], ['6001'], ['8080', { REVERB_SERVER_PORT: '9000' }], ['x']]) assert.deepEqual(await says({ REVERB_PORT: number, ...more }), []);
  assert.deepEqual(await says({ BROADCAST_CONNECTION: 'ably' }),
    ['BROADCAST_CONNECTION=ably: the application does not publish to this server; "reverb" and "pusher" do']);
  for (const connection of ['reverb', 'pusher', 'own']) assert.deepEqual(await says({ BROADCAST_CONNECTION: connection }), []);
});

test('#211 a wrong value is refused with the name and what it must be', async () => {
  for (const [name, value, where, , beside = {}] of HONOURED) {
    if (!/^\d+$|^(true|false|-1)$/.test(value) || name === 'SSL_ENABLED') continue;
    const { code, stderr } = await promisify(execFile)(PUSHERC, ['serve', '--check'], { env: { ...OURS, ...beside, [name]: 'nonsense' } }).catch((error) => error);
    assert.equal(code, 2, `${name} ${where}`);
    assert.match(stderr, new RegExp(`^pusherc: ${name} must be [^\\n]+, not "nonsense"\\n$`));
  }
});

// -- a server that is started so --

async function serve(t, env, args = []) {
  const server = new Program(PUSHERC, ['serve', ...args], { env: { ...OURS, SOKETI_PORT: '0', SOKETI_METRICS_ENABLED: 'false', ...env } });
  t.after(async () => {
    server.child.kill('SIGTERM');
    await sleep(20);
    server.child.kill('SIGTERM');
    await server.ends();
  });
  server.port = await server.listening();
  return server;
}

test('#211 a soketi environment works as it is', async (t) => {
  const app = { id: 'shop', key: 'shop-key', secret: 'shop-secret' };
  const server = await serve(t, {
    SOKETI_PATH_PREFIX: '/ws', SOKETI_DEFAULT_APP_ID: app.id, SOKETI_DEFAULT_APP_KEY: app.key, SOKETI_DEFAULT_APP_SECRET: app.secret,
    SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES: '1', SOKETI_DEFAULT_APP_MAX_CONNS: '2', SOKETI_DEFAULT_APP_MAX_READ_REQ_PER_SEC: '1', SOKETI_EVENT_MAX_SIZE_IN_KB: '20',
  });
  const target = `/ws/app/${app.key}?protocol=7&client=js&version=8.6.0`;
  const [one, two] = [await connect(server, { app, target }), await connect(server, { app, target })];
  assert.equal((await refused(server, { app, target })).code, 4004);
  for (const client of [one, two]) await client.subscribe('private-x');
  one.send({ event: 'client-hello', channel: 'private-x', data: {} });
  await two.event('client-hello');
  const below = (method, what, body = '') => request(server, method, `/ws/apps/${app.id}${what}?${signedQuery(app, method, `/ws/apps/${app.id}${what}`, { body })}`, { body });
  assert.equal((await below('POST', '/events', JSON.stringify({ name: 'large', channel: 'private-x', data: 'x'.repeat(20000) }))).status, 200);
  await one.event('large');
  const read = () => below('GET', '/channels');
  assert.equal((await read()).status, 200);
  assert.ok([(await read()).status, (await read()).status].includes(429));
  for (const client of [one, two]) await client.close();
});

test('#211 a Reverb environment works as it is', async (t) => {
  const app = { id: '1', key: 'reverb-key', secret: 'reverb-secret' };
  const server = await serve(t, {
    SOKETI_PORT: '', REVERB_SERVER_PORT: '0', REVERB_SERVER_HOST: '127.0.0.1', REVERB_APP_ID: app.id, REVERB_APP_KEY: app.key, REVERB_APP_SECRET: app.secret,
    REVERB_APP_ACTIVITY_TIMEOUT: '45', REVERB_APP_PING_INTERVAL: '60', REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM: 'members', REVERB_APP_MAX_MESSAGE_SIZE: '10000',
    REVERB_HOST: 'ws.example.org', REVERB_PORT: '443', REVERB_SCHEME: 'https',
  });
  const client = await connect(server, { app });
  assert.equal(JSON.parse(client.established.data).activity_timeout, 45);
  client.send(`{"event":"pusher:ping","data":"${'x'.repeat(10000)}"}`);
  assert.equal((await client.closed()).code, 1009);
  assert.doesNotMatch(server.stderr, /warning/);
});

test('limits that must move together do: what an app may publish fits into messages and requests', async (t) => {
  const app = { ...APP, client_events: true };
  const credentials = { SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES: 'true' };
  for (const env of [{ SOKETI_EVENT_MAX_SIZE_IN_KB: '250' }, { REVERB_MAX_REQUEST_SIZE: '250000', REVERB_APP_MAX_MESSAGE_SIZE: '250000' }, { SOCKUDO_DEFAULT_APP_MAX_EVENT_PAYLOAD_IN_KB: '250' }]) {
    const server = await serve(t, { ...credentials, ...env });
    const [one, two] = [await connect(server, { app }), await connect(server, { app })];
    for (const client of [one, two]) await client.subscribe('private-x');
    const large = 'x'.repeat(240000);
    one.send({ event: 'client-large', channel: 'private-x', data: large });
    assert.equal((await two.event('client-large')).data, large);
    await trigger(server, 'private-x', 'large', large, { app });
    assert.equal((await two.event('large')).data, large);
    await one.close();
    await two.close();
  }
  const plain = (await check({})).shown;
  assert.deepEqual([plain.max_frame_bytes, plain.max_http_body_bytes], [null, null]);
});

test('a message that is too long is told which setting says so', async (t) => {
  const server = await serve(t, { SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES: 'true' });
  const client = await connect(server);
  await client.subscribe('private-x');
  client.send({ event: 'client-large', channel: 'private-x', data: 'x'.repeat(20000) });
  assert.match((await client.event('pusher:error')).data.message, /20000 bytes, the maximum is 10240 \(max_event_payload_bytes\)/);
  client.send({ event: 'client-large', channel: 'private-x', data: 'x'.repeat(70000) });
  assert.deepEqual(await client.closed(), { code: 1009, reason: 'Message too large (max_frame_bytes)' });
  const body = JSON.stringify({ name: 'large', channel: 'x', data: 'x'.repeat(20000) });
  const answer = await request(server, 'POST', `/apps/app-id/events?${signedQuery(APP, 'POST', '/apps/app-id/events', { body })}`, { body });
  assert.match(`${answer.status} ${answer.text}`, /^413 .* it has 20000 bytes, see max_event_payload_bytes/);
});

test('a config file of soketi works as it is', async (t) => {
  const config = file('soketi.json', JSON.stringify({
    debug: false, port: 0, shutdownGracePeriod: 100, 'metrics.enabled': false, 'adapter.driver': 'local', eventLimits: { maxPayloadInKb: '20' },
    'appManager.array.apps': [{ id: 'app-id', key: 'app-key', secret: 'app-secret', enableClientMessages: true, maxConnections: -1, webhooks: [] }],
  }));
  const server = await serve(t, { SOKETI_PORT: '', SOKETI_METRICS_ENABLED: '' }, ['--config', config]);
  const client = await connect(server, { app: APP });
  await client.subscribe('x');
  await trigger(server, 'x', 'large', 'x'.repeat(20000));
  await client.event('large');
  await client.close();
  assert.equal((await request(server, 'GET', '/ready')).status, 200);
  assert.doesNotMatch(server.stderr, /warning/);
});

test('webhooks come from the option, the environment and the file', { skip: !features.includes('webhooks') && 'not compiled in' }, async () => {
  const config = file('webhooks.json', JSON.stringify({ apps: [
    { id: 'a', key: 'a', secret: 's', webhooks: [{ url: 'http://name:password@a.example/1?token=t#u', headers: { Authorization: 'Bearer token' } }, { url: 'https://a.example?token=t' }] }, { id: 'b', key: 'b', secret: 's' }] }));
  const { shown: { apps: [a, b] } } = await check({}, ['--config', config, '--webhook', 'http://c.example/', '--webhook=http://d.example/']);
  // Nothing of it that may be secret is shown.
  assert.deepEqual(a.webhooks, [{ url: 'http://(not shown)@a.example/1?(not shown)', headers: { Authorization: '(not shown)' } }, { url: 'https://a.example?(not shown)' }, { url: 'http://c.example/' }, { url: 'http://d.example/' }]);
  assert.deepEqual(b.webhooks, a.webhooks.slice(2));
  const ofEnvironment = { url: 'https://e.example/', event_types: ['channel_vacated', 'member_added'], filter: { channel_name_starts_with: 'x', channel_name_ends_with: '"y' } };
  assert.deepEqual((await check({ SOKETI_DEFAULT_APP_WEBHOOKS: JSON.stringify([ofEnvironment]) }, ['--config', config])).shown.apps.map((app) => app.webhooks), [[ofEnvironment], []]);

  const complaint = async (env, args = []) => (await promisify(execFile)(PUSHERC, ['serve', '--check', ...args], { env: { ...OURS, ...env } }).catch((error) => error)).stderr;
  assert.match(await complaint({ SOKETI_DEFAULT_APP_WEBHOOKS: '[' }), /^pusherc: SOKETI_DEFAULT_APP_WEBHOOKS must be a JSON array\n$/);
  assert.match(await complaint({ SOKETI_DEFAULT_APP_WEBHOOKS: '[{"url":"http://x","evnt_types":[]}]' }), /^pusherc: SOKETI_DEFAULT_APP_WEBHOOKS: .*evnt_types.*\n$/);
  assert.match(await complaint({ SOKETI_DEFAULT_APP_WEBHOOKS: '[], "secret": "x"' }), /^pusherc: SOKETI_DEFAULT_APP_WEBHOOKS/);
  assert.match(await complaint({}, ['--webhook', 'ftp://x']), /^pusherc: app app-id: .*\n$/);
});

// -- docs/configuration.md --

/** The rows of the tables below a heading: arrays of cells. */
function rowsOf(heading) {
  const [, section] = new RegExp(`\n## ${heading}\n([\\s\\S]*?)(?=\n## |$)`).exec(PAGE) || assert.fail(`no "## ${heading}"`);
  return section.split('\n').filter((line) => /^\| `/.test(line)).map((line) => line.slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim()));
}

const code = (cell) => /^`([^`]*)`$/.exec(cell)?.[1];
const namesIn = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name.replaceAll('\\|', '|'));

/** A default as the page has it. */
const written = (value) => (value === null ? 'none' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``);

test('docs/configuration.md has every setting of the server, its option and its default', async () => {
  const { apps, rules, ...shown } = (await check({})).shown; // arrays, with tables of their own
  const rows = rowsOf('The server');
  assert.deepEqual(rows.map(([name]) => code(name)), [...Object.keys(shown), 'apps']);
  for (const [name, , value] of rows.slice(0, -1)) assert.equal(value, written(shown[code(name)]), name);

  const { stdout } = await promisify(execFile)(PUSHERC, ['serve', '--help']);
  assert.ok(stdout.split('\n').length <= 36 && stdout.split('\n').every((line) => line.length <= 100), 'one screen');
  const offered = [...stdout.matchAll(/^ {2}(--[a-z-]+(?: [^ ]+)?)  /gm)].map(([, option]) => option);
  assert.deepEqual([...rows.flatMap(([, option]) => namesIn(option)), ...rowsOf('Other options').map(([option]) => code(option))].sort(), offered.sort());
});

test('docs/configuration.md has every setting of an app and its default', async () => {
  const [app] = (await check({})).shown.apps;
  const rows = rowsOf('An app');
  assert.deepEqual(rows.map(([name]) => code(name)), Object.keys(app));
  for (const [name, value] of rows.slice(3)) assert.equal(value, written(app[code(name)]), name);
  // The other spellings are read, too.
  for (const [name, , spellings] of rows) {
    for (const spelling of namesIn(spellings)) {
      const required = { id: 'i', key: 'k', secret: 's' };
      delete required[code(name)];
      const config = file('spelling.json', JSON.stringify({ apps: [{ ...required, [spelling]: null }] }));
      const { stderr } = await promisify(execFile)(PUSHERC, ['serve', '--check', '--config', config], { env: OURS }).catch((error) => error);
      assert.doesNotMatch(stderr, /unknown field/, spelling);
    }
  }
});

test('docs/configuration.md has every name of other servers', () => {
  const rows = [...rowsOf("soketi's environment"), ...rowsOf("Reverb's environment"), ...rowsOf("Laravel's and Pusher's environment"), ...rowsOf("sockudo's environment")];
  const onPage = new Map(rows.map(([names, setting]) => [namesIn(names), setting]).flatMap(([names, setting]) => names.map((name) => [name, setting])));
  for (const [name, , where] of HONOURED) {
    const setting = where.replace(/^(app|every)\./, '');
    assert.ok(onPage.has(name), `${name} is not on the page`);
    assert.ok(namesIn(onPage.get(name)).includes(setting) || name === 'PUSHER_URL' || name === 'SSL_ENABLED', `${name} sets ${setting}, not ${onPage.get(name)}`);
  }
  const tested = new Set(HONOURED.map(([name]) => name));
  assert.deepEqual([...onPage.keys()].filter((name) => !tested.has(name)), [], 'on the page, but not tested');
  const vain = rowsOf('Names without a counterpart').flatMap(([names]) => namesIn(names));
  const patterns = vain.map((name) => new RegExp(`^${name.replaceAll('*', '.*')}$`));
  for (const [name] of NAMED) assert.ok(patterns.some((pattern) => pattern.test(name)), `${name} is not on the page`);
  for (const pattern of patterns) assert.ok(NAMED.some(([name]) => pattern.test(name)), `${pattern} is on the page, but not tested`);
});

test('docs/migrating.md speaks of settings that there are', async () => {
  const { apps: [app], ...server } = (await check({})).shown;
  const known = new Set([...Object.keys(server), ...Object.keys(app), ...HONOURED.map(([name]) => name), ...NAMED.map(([name]) => name), ...PASSED_OVER, 'webhooks', 'apps']);
  // Words of the wire and of others, which are not settings here.
  const others = /^(channel_occupied|channel_vacated|member_removed|event_types|activity_timeout|socket_id|subscription_count|terminate_connections|lambda_function|idempotency_key|allowed_origins|find_app|active_channels|channel_\w+_total|connection_errors_total|xhr_(?:streaming|polling)|broadcast_latency_ms|VITE_\w+)$/;
  const page = fs.readFileSync(path.join(__dirname, '../../docs/migrating.md'), 'utf8');
  for (const [, name] of page.matchAll(/`([A-Za-z]+(?:_[A-Za-z]+)+)(?:=[^`]*)?`/g)) assert.ok(known.has(name) || others.test(name), name);
});

test('the manual page has every option, every setting and every honoured name', async () => {
  const page = fs.readFileSync(path.join(__dirname, '../../docs/man/pusherc.1'), 'utf8');
  const { apps: [app], ...server } = (await check({})).shown;
  const { stdout } = await promisify(execFile)(PUSHERC, ['serve', '--help']);
  for (const [, option] of stdout.matchAll(/^ {2}-(-[a-z-]+)/gm)) assert.match(page, new RegExp(`^\\.(It .*|Op )Fl ${option}\\b`, 'm'));
  for (const name of [...Object.keys(server), ...Object.keys(app), ...HONOURED.map(([n]) => n)]) assert.match(page, new RegExp(`\\b${name}\\b`));
});

test("docs/configuration.md has soketi's keys, and they set what it says", async () => {
  for (const [key, setting, example] of rowsOf("soketi's config file")) {
    const config = file('key.json', JSON.stringify({ [code(key)]: JSON.parse(code(example)), apps: [{ id: 'a', key: 'a', secret: 's' }] }));
    const [plain, set] = [await check({}), await check({ ...OURS }, ['--config', config]).catch((error) => assert.fail(`${key}: ${error.stderr}`))];
    assert.deepEqual(set.warnings, [], key);
    const where = code(setting) in plain.shown ? code(setting) : `app.${code(setting)}`;
    assert.notDeepEqual(at(set, where), at(plain, where), `${key} does not set ${setting}`);
    assert.notEqual(at(set, where)[0], undefined, key);
  }
});
