'use strict';
// The commands of `pusherc` that are clients: listen, channels, members, sign, bench, and what terminals get.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const WebSocket = require('ws');
const { APP, BUILD, Program, channelAuth, connect, hmac, md5, startServe, until, userAuth, within } = require('./lib.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const CLEAN = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SOKETI|REVERB|PUSHER|SOCKUDO|BROADCAST|NO_COLOR)_?/.test(name)));

let server;
let env;
before(async () => {
  server = await startServe();
  env = { ...CLEAN, BROADCAST_URL: `pusher://${APP.key}:${APP.secret}@127.0.0.1:${server.port}/${APP.id}?scheme=http` };
});

function start(args, more = {}) { return new Program(PUSHERC, args, { env: { ...env, ...more } }); }

async function run(args, { input, ...more } = {}) {
  const program = start(args, more);
  program.child.stdin.end(input);
  const { code } = await within(program.exited, () => `the end of pusherc ${args.join(' ')}: ${program.stderr}`, 60000);
  return { code, out: program.lines.all.join('\n'), err: program.stderr.trimEnd() };
}

/** One sentence on standard error, and nothing else. */
async function complains(args, code, pattern, more) {
  const result = await run(args, more);
  assert.match(result.err, pattern);
  assert.deepEqual([result.code, result.out, result.err.split('\n').length], [code, '', 1]);
}

const publish = (channels, event, data) => run(['publish', channels, event, data]);
const listening = (program, channel) => until(() => program.stderr.includes(`subscribed to ${channel}\n`), `a subscription to ${channel}`);

describe('listen', () => {
  test('prints events of public, private and presence channels, and ends after --count', async () => {
    const program = start(['listen', 'news', 'private-orders', 'presence-room', '--count', '3']);
    for (const channel of ['news', 'private-orders', 'presence-room']) await listening(program, channel);
    for (const channel of ['news', 'private-orders', 'presence-room']) await publish(channel, 'paid', '{"id":42}');
    assert.equal((await within(program.exited, 'the end')).code, 0);
    assert.deepEqual(program.lines.all.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3}Z/, 'T')),
      ['news', 'private-orders', 'presence-room'].map((channel) => `T  ${channel}  paid  {"id":42}`));
    assert.match(program.stderr, /^pusherc: connected, socket id \d+\.\d+\n/);
  });

  test('prints JSON lines with --json, of one event with --event, and members that come', async () => {
    const program = start(['listen', 'presence-lobby', '--json', '--count', '2', '--member', '{"user_id":"me","user_info":{"name":"x"}}']);
    await listening(program, 'presence-lobby');
    const other = start(['listen', 'presence-lobby', '--event', 'paid', '--count', '1']);
    await listening(other, 'presence-lobby');
    await publish('presence-lobby', 'other', '{}');
    await publish('presence-lobby', 'paid', 'plain text');
    await within(Promise.all([program.exited, other.exited]), 'both ends');
    const [member, event] = program.lines.all.map(JSON.parse);
    assert.deepEqual([member.channel, member.event, JSON.parse(member.data).user_id], ['presence-lobby', 'pusher_internal:member_added', 'pusherc-listen']);
    assert.deepEqual([event.event, event.data], ['other', '{}']);
    assert.ok(Math.abs(Date.parse(event.time) - Date.now()) < 60000);
    assert.match(other.lines.all.join(), /^\S+ {2}presence-lobby {2}paid {2}plain text$/);
  });

  test('says why it cannot', async () => {
    const bad = (key, secret) => ({ BROADCAST_URL: `pusher://${key}:${secret}@127.0.0.1:${server.port}/${APP.id}?scheme=http` });
    await complains(['listen'], 2, /a channel is needed/);
    await complains(['listen', 'a', '--url', 'http://127.0.0.1:1'], 1, /connect: Connection refused/);
    await complains(['listen', 'a'], 1, /closed the connection with 4001/, bad('other', 'x'));
    const { code, err } = await run(['listen', 'private-x'], bad(APP.key, 'x'));
    assert.equal(code, 1);
    assert.match(err, /^pusherc: connected.*\npusherc: (private-x|a subscription) is refused: .*Invalid signature.*pusherc doctor/);
    const away = await startServe();
    const program = start(['listen', 'news', '--url', `pusher://${APP.key}:${APP.secret}@127.0.0.1:${away.port}/${APP.id}?scheme=http`]);
    await listening(program, 'news');
    await away.end();
    assert.equal((await within(program.exited, 'the end')).code, 1);
    assert.match(program.stderr, /the server closed the connection with \d+/);
  });

  test('lets nothing through to the terminal that could steer it', async () => {
    const program = start(['listen', 'news', '--count', '1']);
    await listening(program, 'news');
    await publish('news', 'evil\u001b[2J', '"\u001b[31m\u202e"');
    await within(program.exited, 'the end');
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(program.lines.all.join(), /[^ -~]/);
  });
});

describe('channels and members', () => {
  test('list what there is, as text and as JSON', async () => {
    const client = await connect(server);
    await client.subscribe('tickets');
    await client.subscribe('presence-desk', { user_id: 'anna' });
    assert.match((await run(['channels'])).out, /^tickets$/m);
    assert.equal((await run(['channels', '--prefix', 'presence-desk'])).out, 'presence-desk  1');
    assert.deepEqual(JSON.parse((await run(['channels', '--prefix', 'tick', '--json'])).out), { channels: { tickets: {} } });
    assert.deepEqual(await run(['members', 'presence-desk']), { code: 0, out: 'anna', err: '' });
    assert.deepEqual(JSON.parse((await run(['members', 'presence-desk', '--json'])).out), { users: [{ id: 'anna' }] });
    assert.deepEqual(await run(['members', 'presence-empty']), { code: 0, out: '', err: '' });
    await client.close();
  });

  test('find the address of a name at which the server listens', async () => {
    const url = `http://${APP.key}:${APP.secret}@localhost:${server.port}/apps/${APP.id}`;
    assert.equal((await run(['members', 'presence-empty', '--url', url])).code, 0);
    assert.equal((await run(['bench', '--connections', '2', '--seconds', '1', '--url', url])).code, 0);
  });

  test('say why they cannot', async () => {
    await complains(['channels', 'x'], 2, /unexpected argument "x"; --prefix chooses channels/);
    await complains(['members', 'orders'], 2, /only presence channels have members/);
    await complains(['channels', '--app', `${APP.id}:${APP.key}:other`], 1, /HTTP 401: Invalid signature.*pusherc doctor/);
    await complains(['channels', '--app', `other:${APP.key}:${APP.secret}`], 1, /HTTP 404/);
    await complains(['channels', '--url', 'https://127.0.0.1:1'], 1, /Connection refused/);
    await complains(['channels', '--timeout-ms', '0'], 2, /--timeout-ms must be a number from 1/);
  });
});

describe('sign', () => {
  test('makes the signatures of the protocol', async () => {
    const line = async (...args) => (await run(['sign', ...args])).out;
    assert.equal(await line('channel', '1.2', 'private-x'), channelAuth(APP, '1.2', 'private-x'));
    assert.equal(await line('channel', '1.2', 'presence-x', '{"user_id":"7"}'), channelAuth(APP, '1.2', 'presence-x', '{"user_id":"7"}'));
    assert.equal(await line('user', '1.2', '{"id":"7"}'), userAuth(APP, '1.2', '{"id":"7"}'));
    assert.equal(await line('webhook', '{"time_ms":1}'), hmac(APP.secret, '{"time_ms":1}'));
    const query = `auth_key=${APP.key}&auth_timestamp=5&auth_version=1.0&body_md5=${md5('{}')}`;
    assert.equal(await line('request', 'POST', '/apps/1/events', '{}', '--time', '5'), `/apps/1/events?${query}&auth_signature=${hmac(APP.secret, `POST\n/apps/1/events\n${query}`)}`);
    assert.deepEqual(JSON.parse(await line('channel', '1.2', 'private-x', '--json')), { auth: channelAuth(APP, '1.2', 'private-x') });
    assert.equal((await run(['sign', 'webhook', '-'], { input: 'body' })).out, hmac(APP.secret, 'body'));
  });

  test('says what is wrong', async () => {
    await complains(['sign'], 2, /what is to be signed/);
    await complains(['sign', 'channel', '1.2'], 2, /usage: pusherc sign channel SOCKET-ID CHANNEL/);
    await complains(['sign', 'channel', 'x', 'private-a'], 2, /"x" is no socket id/);
    await complains(['sign', 'user', '1.2', 'no json', '--json'], 2, /USER-DATA must be a JSON object/);
    await complains(['sign', 'request', 'GET', 'x'], 2, /PATH begins with/);
  });
});

describe('explain', { skip: spawnSync(PUSHERC, ['explain', 'channel', '1.2', 'private-x', 'k:0'], { encoding: 'utf8' }).stderr.includes('without diagnosis') ? 'this build has no diagnosis' : false }, () => {
  test('says that a signature is right, or which mistake has made it', async () => {
    const wrong = (secret, text) => `${APP.key}:${hmac(secret, text)}`;
    for (const [args, code, pattern] of [
      [['channel', '1.2', 'private-x', channelAuth(APP, '1.2', 'private-x')], 0, /^the signature is right$/],
      [['channel', '1.2', 'private-x', wrong(`${APP.secret}\n`, '1.2:private-x')], 1, /line feed behind it; to be signed is "1\.2:private-x"$/],
      [['channel', '1.2', 'private-x', wrong(APP.secret, '1.2:x')], 1, /it was made for the name "x"/],
      [['channel', '1.2', 'presence-x', wrong(APP.secret, '1.2:presence-x'), '{"user_id":"7"}'], 1, /without the channel_data.*to be signed is "1\.2:presence-x:\{"user_id":"7"\}"/],
      [['channel', '1.2', 'private-x', wrong('another', '1.2:private-x')], 1, /none of the usual mistakes/],
      [['user', '1.2', userAuth(APP, '1.2', '{"id":"7"}'), '{"id":"7"}'], 0, /right/],
      [['user', '1.2', wrong(APP.secret, '1.2:{"id":"7"}'), '{"id":"7"}'], 1, /as for a subscription.*"1\.2::user::\{"id":"7"\}"/],
    ]) {
      const result = await run(['explain', ...args]);
      assert.deepEqual([result.code, result.err], [code, ''], args.join(' '));
      assert.match(result.out, pattern);
      assert.ok(!result.out.includes(APP.secret) && !result.out.includes(channelAuth(APP, '1.2', 'private-x')));
    }
  });

  test('explains a request of the HTTP API', async () => {
    const signed = (await run(['sign', 'request', 'POST', '/apps/1/events', '{}'])).out;
    assert.equal((await run(['explain', 'request', 'POST', signed, '{}'])).out, 'the signature is right');
    for (const [args, pattern] of [
      [['POST', signed, '{ }'], /Invalid body_md5.*: the body is not what body_md5 was made of/],
      [['GET', signed, '{}'], /Invalid signature.*: it was made for the method POST/],
      [['POST', signed.replace('/apps', '//apps'), '{}'], /Invalid signature/],
      [['POST', signed, '{}', '--time', '5'], /Timestamp expired.*: auth_timestamp is ahead by/],
      [['POST', signed, '{}', '--app', `1:${APP.key}:another`], /none of the usual mistakes/],
      [['GET', '/apps/1/channels?a=b'], /^Missing parameter: auth_key$/],
    ]) {
      const { code, out, err } = await run(['explain', 'request', ...args]);
      assert.deepEqual([code, err], [1, ''], args.join(' '));
      assert.match(out, pattern);
    }
    await complains(['explain'], 2, /what is refused/);
    await complains(['explain', 'user', '1.2'], 2, /usage: pusherc explain user/);
    await complains(['explain', 'request', 'GET', 'x'], 2, /begins with \//);
    await complains(['explain', 'channel', 'x', 'private-x', 'a'], 2, /is no socket id/);
  });
});

describe('bench', { concurrency: 4 }, () => {
  test('counts what arrives: connections, deliveries, latency, and nothing lost', async () => {
    await Promise.all(['public', 'private', 'presence'].map(async (kind) => {
      const { code, out, err } = await run(['bench', '--json', '--connections', '30', '--channels', '3', '--rate', '50', '--seconds', '1', '--size', '200', '--kind', kind]);
      assert.deepEqual([code, err], [0, '']);
      const r = JSON.parse(out);
      assert.deepEqual([r.connections, r.closed, r.refused, r.lost, r.doubled, r.misled], [30, 0, 0, 0, 0, 0]);
      assert.ok(r.published >= 10 && r.deliveries === r.published * 10, out);
      assert.ok(r.p50_ms > 0 && r.p50_ms <= r.p99_ms && r.p99_ms <= r.max_ms && r.deliveries_per_s > 0, out);
    }));
  });

  // Between the server and the subscribers stands one that loses, doubles or swaps.
  const through = async (t, pass) => {
    const front = new WebSocket.Server({ port: 0, host: '127.0.0.1' });
    t.after(() => { for (const client of front.clients) client.terminate(); front.close(); });
    await new Promise((resolve) => { front.on('listening', resolve); });
    front.on('connection', (client, q) => {
      const back = new WebSocket(`ws://127.0.0.1:${server.port}${q.url}`);
      client.on('message', (m) => { if (back.readyState === 1) back.send(m.toString()); });
      back.on('message', (m) => { for (const out of pass(m.toString())) client.send(out); });
      client.on('close', () => back.terminate());
    });
    // WebSockets to the one in between, the API to the server
    return run(['bench', '--json', '--connections', '4', '--rate', '40', '--seconds', '1', '--timeout-ms', '4000', '--url', `http://${APP.key}:${APP.secret}@127.0.0.1:${server.port}/apps/${APP.id}`, '--ws', `ws://127.0.0.1:${front.address().port}`]);
  };

  test('sees each event that is lost', async (t) => {
    let lost = 0;
    const { code, out, err } = await through(t, (m) => (m.includes('pcb:') && /pcb:(3|7):/.test(m) ? (lost++, []) : [m]));
    assert.equal(code, 1);
    assert.match(err, /not each event arrived once, in order/);
    const r = JSON.parse(out);
    assert.deepEqual([r.lost, r.doubled, lost], [8, 0, 8]);
  });

  test('sees each event that comes twice, or out of order', async (t) => {
    const { code, out } = await through(t, (m) => (/pcb:5:/.test(m) ? [m, m] : [m]));
    assert.deepEqual([code, JSON.parse(out).doubled, JSON.parse(out).lost], [1, 4, 0]);
  });

  test('says why load cannot be made', async () => {
    await complains(['bench', '--kind', 'x'], 2, /--kind must be public, private or presence/);
    await complains(['bench', '--connections', '0'], 2, /--connections must be a number from 1/);
    await complains(['bench', '--url', 'http://k:s@127.0.0.1:1/apps/1', '--connections', '2'], 1, /only 0 of 2 connections could subscribe: connect: Connection refused/);
    await complains(['bench', '--app', `${APP.id}:other:x`, '--connections', '2'], 1, /only 0 of 2 connections .*4001/);
    const { code, err } = await run(['bench', '--app', `${APP.id}:${APP.key}:wrong`, '--connections', '2', '--seconds', '1']);
    assert.equal(code, 1);
    assert.match(err, /events were not accepted: .*/);
  });
});

describe('a terminal', { skip: spawnSync('script', ['--version']).status !== 0 ? 'there is no script(1)' : false }, () => {
  const inTerminal = (args, more = {}) => spawnSync('script', ['-qec', `${PUSHERC} ${args}`, '/dev/null'], { env: { ...env, TERM: 'xterm', ...more }, timeout: 60000, encoding: 'utf8' }).stdout;
  // eslint-disable-next-line no-control-regex
  const COLOUR = /\u001b\[3[0-9]m/;

  test('gets colours and progress, and only a terminal gets them', async () => {
    assert.match(inTerminal('doctor'), COLOUR);
    assert.doesNotMatch(inTerminal('doctor', { NO_COLOR: '1' }), COLOUR);
    assert.doesNotMatch(inTerminal('doctor --json'), COLOUR);
    assert.doesNotMatch(inTerminal('doctor', { TERM: 'dumb' }), COLOUR);
    assert.doesNotMatch((await run(['doctor'])).out, COLOUR);
    assert.match(inTerminal('bench --connections 2 --seconds 2'), /\d of 2 connections, \d+ events/);
    assert.doesNotMatch((await run(['bench', '--connections', '2', '--seconds', '1'])).err, /connections,/);
  });
});

test('each command has --help, with all its options', async () => {
  const commands = JSON.parse((await run(['completion', 'json'])).out);
  assert.ok(commands.length >= 10);
  for (const { name, options } of commands) {
    const { code, out, err } = await run([name, '--help']);
    assert.deepEqual([code, err], [0, ''], name);
    assert.match(out, new RegExp(`^usage: pusherc ${name === 'trigger' ? 'publish' : name}`));
    for (const option of options) assert.match(out, new RegExp(`^ +--${option.name}\\b`, 'm'), `${name} --${option.name}`);
    await complains([name, '--hepl'], 2, /did you mean --help/);
  }
  await complains(['completion', 'tcsh'], 2, /a shell is needed/);
  await complains(['lisen'], 2, /did you mean listen/);
});
