'use strict';
// A4: questions to the host count until the host has answered them. Whatever a stranger cancels, aborts or makes up,
// the host has a bounded number of its questions, and an honest client is answered all the time.

const assert = require('node:assert/strict');
const http = require('node:http');
const { test } = require('node:test');
const { APP, api, connect, dial, request, sleep, startHost, until } = require('./lib.js');

const NO_LIMIT = 4294967295;
const RULES = 1;
const LONG_MS = 600000; // no question is over before the test answers it
const HOSTILE = { localAddress: '127.0.0.2' }; // the honest client is 127.0.0.1

// Channels "late.*" are not answered before the test does; all others are allowed at once.
async function start(t, { hooks = [], app = {}, ...options } = {}) {
  const host = await startHost({
    apps: [{ ...APP, auth_mode: RULES, max_channels_per_connection: 100000, ...app }], hooks: ['on_denied', ...hooks],
    rules: [{ pattern: 'late.{id}' }, { pattern: 'tickets.{id}' }], options: { worker_count: 1, auth_timeout_ms: LONG_MS, identify_timeout_ms: LONG_MS, ...options },
  }, t);
  await host.do('answers', { rows: [{ channel: 'private-late.*', later: true }, { allow: true }] });
  return host;
}

// A client of another address (or of the same, where said) that asks all the time and must be answered.
async function startProbe(host, options) {
  const client = await connect(host, options);
  const probe = { rounds: 0, going: true };
  probe.run = (async () => {
    for (let i = 0; probe.going; i++) {
      const channel = `private-tickets.${i % 7}`;
      client.ask(channel);
      assert.equal((await client.event('pusher_internal:subscription_succeeded', channel)).channel, channel);
      await client.unsubscribe(channel);
      probe.rounds++;
    }
    await client.close();
  })();
  probe.run.catch(() => {});
  probe.end = async () => {
    const before = probe.rounds;
    await until(() => probe.rounds >= before + 3 || !probe.going, 'three more answers for the honest client');
    probe.going = false;
    await probe.run;
  };
  return probe;
}

const asked = (host, event) => host.events.all.filter((e) => e.event === event);

// The host answers all that it has, and then has nothing.
async function answerAll(host, event, command, args) {
  for (const { request: number } of asked(host, event)) await host.try(command, { request: number, ...args });
  await until(async () => (await host.do('stats')).questions === 0, 'no question is open');
}

test('A4: subscribing and unsubscribing without end has 100 questions asked', async (t) => {
  const host = await start(t, { app: { max_client_messages_per_s: NO_LIMIT } }); // as fast as it can
  const probe = await startProbe(host); // of the same address
  const hostile = await connect(host);
  for (let i = 0; i < 30000; i++) {
    hostile.send(`{"event":"pusher:subscribe","data":{"channel":"private-late.${i}"}}`);
    hostile.send(`{"event":"pusher:unsubscribe","data":{"channel":"private-late.${i}"}}`);
    if (i % 300 === 299) await hostile.settle();
  }
  hostile.ask('private-late.again');
  await hostile.settle();
  await until(async () => (await host.do('stats')).questions === 100, 'the questions, once none of the probe is open');
  assert.equal(asked(host, 'authorize').length, 100);
  await probe.end();
  // What it still wants is asked about when the host has answered one.
  assert.equal((await host.try('authorize', { request: asked(host, 'authorize')[0].request, allow: true })).rc, 'ECANCELED');
  const last = await host.events.next((e) => e.event === 'authorize' && e.channel === 'private-late.again');
  await host.do('authorize', { request: last.request, allow: true });
  await hostile.event('pusher_internal:subscription_succeeded', 'private-late.again');
  const rest = asked(host, 'authorize').filter((e) => e !== asked(host, 'authorize')[0] && e.request !== last.request);
  for (const { request: number } of rest) assert.equal((await host.try('authorize', { request: number, allow: true })).rc, 'ECANCELED');
  await until(async () => (await host.do('stats')).questions === 0);
  await hostile.close();
});

test('A4: a page with more channels than that is subscribed to all of them', async (t) => {
  const host = await start(t, { max_questions_per_connection: 10 });
  const page = await connect(host);
  for (let i = 0; i < 200; i++) page.ask(`private-late.${i}`);
  for (let i = 0; i < 200; i++) {
    const question = await host.event('authorize');
    assert.equal(question.channel, `private-late.${i}`);
    assert.ok((await host.do('stats')).questions <= 10);
    await host.do('authorize', { request: question.request, allow: true });
  }
  await until(() => page.frames.filter((f) => f.event === 'pusher_internal:subscription_succeeded').length === 200);
  await page.close();
});

test('A4: what waits for too long is refused, counted, and said', async (t) => {
  const host = await start(t, { max_questions_per_connection: 2, auth_timeout_ms: 500 });
  const client = await connect(host);
  for (let i = 0; i < 3; i++) client.ask(`private-late.${i}`);
  const error = await client.event('pusher:subscription_error', 'private-late.2');
  const data = typeof error.data === 'string' ? JSON.parse(error.data) : error.data;
  assert.equal(data.type, 'LimitReached');
  assert.equal(data.status, 503);
  assert.match(data.error, /Too many questions wait/);
  const denied = await host.events.next((e) => e.event === 'denied' && e.reason === 'LIMIT');
  assert.equal(denied.channel, 'private-late.2');
  const stats = await host.do('stats');
  assert.equal(stats.questions, 2);
  assert.equal(stats.questions_refused_total, 1);
  const { text } = await host.do('metrics');
  assert.match(text, /^pusherc_questions\{[^}]*\} 2$/m);
  assert.match(text, /^pusherc_questions_refused_total\{[^}]*\} 1$/m);
  await answerAll(host, 'authorize', 'authorize', { allow: true });
  await client.close();
});

test('A4: connecting again and again has no more asked', async (t) => {
  const host = await start(t, { max_questions_per_connection: 8, max_questions_per_ip: 20 });
  const probe = await startProbe(host);
  for (let i = 0; i < 40; i++) {
    const hostile = await connect(host, HOSTILE);
    for (let k = 0; k < 10; k++) hostile.ask(`private-late.${k}`);
    await hostile.settle();
    hostile.ws.terminate();
  }
  assert.equal((await host.do('stats')).questions, 20);
  assert.equal(asked(host, 'authorize').length, 20);
  await probe.end();
  await answerAll(host, 'authorize', 'authorize', { allow: true });
  const again = await connect(host, HOSTILE); // and now it has room again
  again.ask('private-late.x');
  await host.events.next((e) => e.event === 'authorize' && e.channel === 'private-late.x');
  await again.close();
});

// A request that is given up when `when` has come true.
async function abort(host, method, path, { body = '', headers = {}, when }) {
  const req = http.request({ host: '127.0.0.1', port: host.port, method, path, headers, agent: false, ...HOSTILE });
  const answer = new Promise((resolve) => {
    req.on('error', () => resolve(undefined));
    req.on('response', (res) => {
      let text = '';
      res.on('data', (chunk) => { text += chunk; });
      res.on('end', () => resolve({ status: res.statusCode, text }));
      res.on('error', () => resolve(undefined));
    });
  });
  req.end(body);
  await Promise.race([when, answer]);
  req.destroy();
  return Promise.race([answer, sleep(0)]);
}

test('A4: requests to an auth endpoint that are given up count until the rule has answered', async (t) => {
  const host = await start(t, { max_questions_per_ip: 20, auth_timeout_ms: 1000 });
  const probe = await startProbe(host);
  const post = (channel, when) => {
    const body = `socket_id=1.2&channel_name=${channel}`;
    return abort(host, 'POST', '/broadcasting/auth', {
      body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': body.length }, when,
    });
  };
  for (let i = 0; i < 20; i++) await post(`private-late.${i}`, until(() => asked(host, 'authorize').length > i));
  await Promise.all(Array.from({ length: 100 }, (_, i) => post(`private-late.more${i}`, sleep(50))));
  assert.equal((await host.do('stats')).questions, 20);
  assert.equal(asked(host, 'authorize').length, 20);
  const { status, text } = await post('private-late.last', sleep(20000));
  assert.deepEqual([status, /Too many questions wait/.test(text)], [503, true]);
  await probe.end();
  await answerAll(host, 'authorize', 'authorize', { allow: true });
});

test('A4: identify, for sockets and for auth endpoints that are given up', async (t) => {
  const host = await start(t, { hooks: ['identify'], max_questions_per_ip: 20 });
  const probe = await startProbe(host);
  for (let i = 0; i < 10; i++) {
    const socket = dial(host, { query: 'protocol=7&ask=1', ...HOSTILE });
    socket.catch(() => {});
    await until(() => asked(host, 'identify').length === 2 * i + 1);
    await abort(host, 'POST', '/broadcasting/auth?ask=1', {
      body: 'socket_id=1.2&channel_name=private-tickets.1',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': 44 },
      when: until(() => asked(host, 'identify').length === 2 * i + 2),
    });
  }
  const late = await dial(host, { query: 'protocol=7&ask=1', ...HOSTILE });
  assert.equal((await late.closed()).code, 4100);
  assert.equal(late.frames[0].data.message, 'Too many requests wait for the application');
  await host.events.next((e) => e.event === 'denied' && e.reason === 'LIMIT' && e.status === 4100);
  const refused = await abort(host, 'GET', '/broadcasting/auth?ask=1&socket_id=1.2&channel_name=private-tickets.1', { when: sleep(20000) });
  assert.equal(refused.status, 503);
  assert.equal(asked(host, 'identify').length, 20);
  await probe.end();
  await answerAll(host, 'identify', 'identify');
  assert.equal((await host.do('stats')).identities, 0);
});

test('A4: pages of the host that are given up', async (t) => {
  const host = await start(t, { hooks: ['on_http'], max_questions_per_ip: 10 });
  for (let i = 0; i < 10; i++) await abort(host, 'GET', '/ask', { when: until(() => asked(host, 'http').length > i) });
  const refused = await abort(host, 'GET', '/ask', { when: sleep(20000) });
  assert.deepEqual([refused.status, refused.text.trim()], [503, 'Too many requests wait for the application']);
  assert.equal((await request(host, 'GET', '/none')).status, 404, 'another address');
  assert.equal(asked(host, 'http').length, 10);
  await answerAll(host, 'http', 'http_answer');
  assert.equal((await abort(host, 'GET', '/none', { when: sleep(20000) })).status, 404);
});

test('A4: a stranger with made-up keys has a few of them asked', async (t) => {
  const found = { id: 'found', key: 'found-key', secret: 'found-secret' };
  const host = await start(t, { hooks: ['find_app'], max_unknown_apps_per_ip: 10, unknown_app_ms: 600000 });
  const probe = await startProbe(host);
  const answers = (async () => { // the host knows none of them
    for (let i = 0; i < 11; i++) await host.do('app_answer', { request: (await host.event('find_app', {}, LONG_MS)).request }); // the last one comes after 200 clients
  })();
  const codes = { 4001: 0, 4100: 0 };
  for (let i = 0; i < 200; i++) codes[(await (await dial(host, { app: { key: `ask-${i}` }, ...HOSTILE })).closed()).code]++;
  assert.deepEqual(codes, { 4001: 10, 4100: 190 });
  assert.equal(asked(host, 'find_app').length, 10);
  // The ones that were asked are remembered: there is no such app.
  assert.equal((await (await dial(host, { app: { key: 'ask-3' } })).closed()).code, 4001);
  const head = await abort(host, 'GET', '/apps/ask-other/channels', { when: sleep(20000) });
  assert.equal(head.status, 503);
  assert.equal(asked(host, 'find_app').length, 10);
  // Others are served, and an app that is put is there at once, also one that was unknown.
  assert.equal((await api(host, 'GET', '/channels', { app: { id: 'ask-else', key: 'k', secret: 's' } })).status, 404);
  await answers;
  await host.do('put_app', { app: { ...found, key: 'ask-3' } });
  const client = await connect(host, { app: { ...found, key: 'ask-3' }, ...HOSTILE });
  await client.close();
  await probe.end();
});

test('A4: an unknown app is asked about again after a while', async (t) => {
  const host = await start(t, { hooks: ['find_app'], max_unknown_apps_per_ip: 1, unknown_app_ms: 300 });
  const app = { id: 'ask-new', key: 'ask-new', secret: 's' };
  const first = dial(host, { app });
  await host.do('app_answer', { request: (await host.event('find_app')).request });
  assert.equal((await (await first).closed()).code, 4001);
  // It exists now, and is there as soon as the host is asked.
  let client;
  await until(async () => {
    client = dial(host, { app }); // an upgrade that is not answered before the host has answered
    await Promise.race([client, until(() => asked(host, 'find_app').length > 1)]);
    return asked(host, 'find_app').length > 1;
  }, 'the host is asked again');
  await host.do('app_answer', { request: asked(host, 'find_app')[1].request, app });
  const opened = await client;
  assert.equal((await opened.next()).event, 'pusher:connection_established');
  await opened.close();
});
