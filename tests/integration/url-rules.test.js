'use strict';
// Rules of `pusherc serve` that ask a URL, as stock clients ask Laravel's /broadcasting/auth.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, BUILD, Program, api, connect, dial, trigger, until, within } = require('./lib.js');
const { connected, pusher, subscribe } = require('./clients.js');

const PUSHERC = path.join(BUILD, 'cli/pusherc');
const skip = !execFileSync(PUSHERC, ['--version']).toString().includes('webhooks') && 'built without libcurl';

/** The application: people by their cookie, and what they may have. `decide` is the test's. */
async function application(t, decide) {
  const asked = [];
  const server = http.createServer((req, res) => {
    let text = '';
    req.on('data', (data) => { text += data; });
    req.on('end', () => {
      const form = new URLSearchParams(text);
      const question = { method: req.method, path: req.url, headers: req.headers, socket: form.get('socket_id'), channel: form.get('channel_name') };
      asked.push(question);
      const { status = 200, body = {}, raw, never } = decide(question);
      if (never) return;
      res.writeHead(status, { 'Content-Type': 'application/json', 'Set-Cookie': 'session=renewed' });
      res.end(raw ?? JSON.stringify(body));
    });
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { server.closeAllConnections(); server.close(); });
  return { asked, url: `http://127.0.0.1:${server.address().port}/broadcasting/auth`, close: () => { server.closeAllConnections(); return new Promise((resolve) => { server.close(resolve); }); } };
}

function config(t, content) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'url-rules-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const name = path.join(folder, 'pusherc.json');
  fs.writeFileSync(name, JSON.stringify(content));
  return name;
}

const app = (more = {}) => ({ id: APP.id, key: APP.key, secret: APP.secret, auth_mode: 'rules', ...more });

async function start(t, content, args = []) {
  const server = new Program(PUSHERC,
    ['serve', '--port', '0', '--metrics', 'off', '--config', config(t, { apps: [app()], ...content }), ...args]);
  t.after(async () => { server.child.kill('SIGTERM'); await server.ends(); });
  server.port = await server.listening();
  return server;
}

const as = (name, more = {}) => ({ headers: { Cookie: `session=${name}`, ...more } });
const nameOf = (question) => /session=(\w+)/.exec(question.headers.cookie ?? '')?.[1];
const member = (id, info) => ({ auth: 'is:ignored', channel_data: JSON.stringify({ user_id: id, user_info: info }) });
const yes = { body: { auth: 'is:ignored' } };
const no = { status: 403, body: { message: 'Not yours' } };

for (const workers of ['1', '4']) {
  test(`${workers} workers: the application decides about private, presence and public names`, { skip }, async (t) => {
    const site = await application(t, (q) => {
      if (nameOf(q) !== 'ada') return no;
      return q.channel.startsWith('private') ? yes : { body: member(7, { name: 'Ada' }) };
    });
    const server = await start(t, { workers: Number(workers), rules: [{ pattern: 'tickets.{id}', kinds: ['public', 'private', 'presence'], url: site.url, headers: { 'X-From': 'pusherc' } }] });
    const ada = await connect(server, as('ada', { 'User-Agent': 'page/1', Authorization: 'Bearer t' }));
    for (const channel of ['private-tickets.1', 'presence-tickets.1', 'tickets.1', 'open']) {
      ada.ask(channel);
      await ada.event('pusher_internal:subscription_succeeded', channel);
    }
    const [first] = site.asked;
    assert.deepEqual([first.method, first.path, first.socket, first.channel], ['POST', '/broadcasting/auth', ada.socketId, 'private-tickets.1']);
    const { headers } = first;
    assert.deepEqual([headers.cookie, headers.authorization, headers['user-agent'], headers.accept, headers['x-requested-with'], headers['x-from'], headers['x-forwarded-for'], headers['content-type']],
      ['session=ada', 'Bearer t', 'page/1', 'application/json', 'XMLHttpRequest', 'pusherc', '127.0.0.1', 'application/x-www-form-urlencoded']);
    assert.equal(site.asked.length, 3, 'the name without a rule is not asked about');
    const eve = await connect(server, as('eve'));
    for (const channel of ['private-tickets.1', 'tickets.1']) {
      eve.ask(channel);
      const error = JSON.parse((await eve.event('pusher:subscription_error', channel)).data);
      assert.deepEqual([error.type, error.status, error.error], ['AuthError', 403, `Not yours: ${channel}`]);
    }
    await trigger(server, 'tickets.1', 'news', '{}');
    await ada.event('news');
    assert.deepEqual((await eve.settle()).filter((frame) => frame.event === 'news'), []);
    const users = (await api(server, 'GET', '/channels/presence-tickets.1/users', {})).json.users;
    assert.deepEqual(users, [{ id: '7' }]);
    await ada.close();
    await eve.close();
  });
}

test('stock pusher-js, with no endpoint to ask, subscribes where the application allows', { skip }, async (t) => {
  const site = await application(t, (q) => (q.channel.endsWith('.1') ? { body: member('ada', { name: 'Ada' }) } : no));
  const server = await start(t, { rules: [{ pattern: 'room.{id}', kinds: ['public', 'private', 'presence'], url: site.url }] });
  const client = pusher(t, server, { channelAuthorization: { customHandler: (params, done) => done(null, { auth: '', channel_data: '{}' }) } });
  await connected(client);
  for (const channel of ['presence-room.1', 'private-room.1', 'room.1']) await subscribe(client, channel);
  assert.deepEqual(client.channel('presence-room.1').members.get('ada'), { id: 'ada', info: { name: 'Ada' } });
  const refused = new Promise((resolve) => { client.subscribe('private-room.2').bind('pusher:subscription_error', resolve); });
  const { type, status, error } = await within(refused, 'the refusal');
  assert.deepEqual([type, status, error], ['AuthError', 403, 'Not yours: private-room.2']);
});

test('an answer is kept for cache_ms, one question serves the pages of one session, and reauthorize asks anew', { skip }, async (t) => {
  let allowed = true;
  const site = await application(t, () => (allowed ? yes : no));
  const server = await start(t, { rules: [{ pattern: 'tickets.{id}', url: site.url, cache_ms: 3600000 }] });
  const pages = [await connect(server, as('ada')), await connect(server, as('ada'))];
  for (const page of pages) {
    page.ask('private-tickets.1');
    await page.event('pusher_internal:subscription_succeeded');
  }
  assert.equal(site.asked.length, 1);
  const other = await connect(server, as('bob'));
  other.ask('private-tickets.1');
  await other.event('pusher_internal:subscription_succeeded');
  assert.equal(site.asked.length, 2, 'another session is another question');
  const nameless = await connect(server);
  nameless.ask('private-tickets.1');
  await nameless.event('pusher_internal:subscription_succeeded');
  assert.equal(site.asked.length, 3);
  allowed = false;
  assert.deepEqual((await api(server, 'POST', '/reauthorize', { body: { channel: 'private-tickets.1' } })).json, { kept: 0, revoked: 4 });
  for (const client of [...pages, other, nameless]) {
    await client.event('pusher:subscription_error');
    await client.close();
  }
});

test('views by a field of the answer: each audience sees its own', { skip }, async (t) => {
  const site = await application(t, (q) => {
    const role = nameOf(q);
    return q.channel.startsWith('private') ? { body: { auth: 'x', role } } : { body: member(role, { role }) };
  });
  const server = await start(t, { rules: [{ pattern: 'tickets.{id}', kinds: ['public', 'private'], url: site.url, view_field: 'role',
    views: { agent: [], customer: ['note'], guest: null } }] });
  const clients = {};
  for (const role of ['agent', 'customer', 'guest', 'stranger']) {
    clients[role] = await connect(server, as(role));
    for (const channel of ['private-tickets.1', 'tickets.1']) {
      clients[role].ask(channel);
      await clients[role].event('pusher_internal:subscription_succeeded', channel);
    }
  }
  await trigger(server, ['private-tickets.1', 'tickets.1'], 'news', '{"id":1,"note":"internal"}');
  const seen = {};
  for (const [role, client] of Object.entries(clients)) seen[role] = (await client.settle()).filter((frame) => frame.event === 'news').map((frame) => frame.data);
  const customer = '{"id":1}';
  const agent = '{"id":1,"note":"internal"}';
  assert.deepEqual(seen, { agent: [agent, agent], customer: [customer, customer], guest: [], stranger: [] });
  for (const client of Object.values(clients)) await client.close();
});

test('what fails refuses, says so once, and lets the other channels be', { skip }, async (t) => {
  const answers = {
    html: { raw: '<html>login</html>' }, list: { raw: '[]' }, moved: { status: 302, raw: '' }, broken: { status: 500, raw: 'oops' }, busy: { status: 429 },
    long: { raw: `{"auth":"${'x'.repeat(70000)}"}` }, never: { never: true }, big: { body: { auth: 'x', channel_data: '{"user_id":9007199254740993}' } },
    anonymous: yes, fraction: { body: member(1.5, {}) }, unauthorized: { status: 401, body: { message: 'Unauthenticated.' } }, gone: { status: 404, raw: 'no JSON' },
  };
  const site = await application(t, (q) => answers[q.channel.split('.')[1]] ?? yes);
  const server = await start(t, { rules: [{ pattern: 'ask.{what}', url: `${site.url}?token=hidden`, timeout_ms: 500 }] });
  const client = await connect(server, as('ada'));
  const refusal = async (channel) => {
    client.ask(channel);
    const { status, error } = JSON.parse((await client.event('pusher:subscription_error', channel)).data);
    return [status, error];
  };
  for (const what of ['html', 'list', 'moved', 'broken', 'busy', 'long', 'never'])
    assert.deepEqual(await refusal(`private-ask.${what}`), [403, `The application could not be asked: private-ask.${what}`], what);
  for (const what of ['big', 'anonymous', 'fraction'])
    assert.deepEqual(await refusal(`presence-ask.${what}`), [403, `The application could not be asked: presence-ask.${what}`], what);
  assert.deepEqual(await refusal('private-ask.unauthorized'), [401, 'Unauthenticated.: private-ask.unauthorized']);
  assert.deepEqual((await refusal('private-ask.gone'))[0], 404);
  client.ask('private-ask.fine');
  await client.event('pusher_internal:subscription_succeeded');
  const warnings = server.stderr.split('\n').filter((line) => line.includes('warning: rule'));
  assert.ok(warnings.length >= 1 && warnings.length < 6, server.stderr);
  assert.match(warnings[0], /^pusherc: warning: rule "ask\.\{what\}": "http:\/\/127\.0\.0\.1:\d+\/broadcasting\/auth\?\(not shown\)" answered with something that is no JSON object$/);
  await site.close();
  assert.deepEqual(await refusal('private-ask.again'), [403, 'The application could not be asked: private-ask.again']);
  await client.close();
});

test('without credentials a 401 of the application says "sign in first"; other apps know nothing of the rules', { skip }, async (t) => {
  const site = await application(t, () => ({ status: 401, body: { message: 'Unauthenticated.' } }));
  const other = { id: 'other', key: 'other-key', secret: 'other-secret', auth_mode: 'signature', client_events: false };
  const server = await start(t, { apps: [app({ signin_wait_ms: 200 }), other], rules: [{ app_id: APP.id, pattern: 'ask.{what}', url: site.url }] });
  const client = await connect(server);
  client.ask('private-ask.1');
  assert.match(JSON.parse((await client.event('pusher:error')).raw).data.message, /^Sign in first/);
  assert.equal(JSON.parse((await client.event('pusher:subscription_error')).data).status, 401);
  const foreign = as('ada', { Origin: 'https://elsewhere.example' });
  const stranger = await dial(server, foreign);
  assert.equal((await stranger.closed()).code, 4009, 'a cookie from another origin counts for no app with rules');
  const visitor = await connect(server, { app: other, ...foreign });
  await visitor.subscribe('ask.1');
  await visitor.close();
  await client.close();
});

test('the server stops while the application thinks', { skip }, async (t) => {
  const site = await application(t, () => ({ never: true }));
  const server = await start(t, { rules: [{ pattern: 'ask.{what}', url: site.url }] }, ['--grace-ms', '0']);
  const client = await connect(server, as('ada'));
  client.ask('private-ask.1');
  await until(() => site.asked.length === 1, 'the question');
  server.child.kill('SIGTERM');
  assert.equal((await within(server.exited, 'the end')).code, 0);
});

test('mistakes in the rules are said with their place', { skip }, async (t) => {
  const url = 'http://127.0.0.1:9/auth';
  for (const [rules, text] of [
    [{}, 'rules must be an array'], [[1], 'rule 1: must be an object'], [[{ pattern: 'a' }], 'rule 1: url is missing'], [[{ url }], 'rule 1: pattern is missing'],
    [[{ pattern: 'a', url: 'ftp://x' }], 'rule 1: url must begin with http:// or https://, not "ftp://x"'],
    [[{ pattern: 'a', url, kind: ['public'] }], 'rule 1: unknown member "kind"; did you mean "kinds"?'],
    [[{ pattern: 'a', url, kinds: ['encrypted'] }], 'rule 1: kinds must be an array of "public", "private", "presence"'],
    [[{ pattern: 'a', url, cache_ms: -1 }], 'rule 1: cache_ms must be a number from 0 to 86400000'],
    [[{ pattern: 'a', url, views: { a: [] } }], 'rule 1: views need a view_field'], [[{ pattern: 'a', url, view_field: 'v', views: { a: 1 } }], 'rule 1: views: "a" must be an array of members, or null'],
    [[{ pattern: 'a', url, headers: { 'X Y': '1' } }], 'rule 1: headers: "X Y" must be one line of text'], [[{ pattern: 'a', url, headers: { X: '1\r\nY: 2' } }], 'rule 1: headers: "X" must be one line of text'],
  ]) {
    const name = config(t, { apps: [app()], rules });
    const program = new Program(PUSHERC, ['serve', '--check', '--config', name]);
    assert.equal((await within(program.exited, 'the end')).code, 2);
    assert.equal(program.stderr.trimEnd(), `pusherc: ${name}: ${text}`);
  }
  for (const [pattern, text] of [['private-a', /^pusherc: rule 1: .*private-/], ['a.{b', /^pusherc: rule 1: /]]) {
    const program = new Program(PUSHERC, ['serve', '--check', '--config', config(t, { apps: [app()], rules: [{ pattern, url }] })]);
    assert.equal((await within(program.exited, 'the end')).code, 2);
    assert.match(program.stderr, text);
  }
  const shown = new Program(PUSHERC, ['serve', '--check', '--config', config(t, { apps: [app()], rules: [{ pattern: 'a.{b}', url: 'https://me:pass@example.test/auth?k=v', headers: { 'X-Key': 'hidden' }, view_field: 'role', views: { agent: [], customer: ['note', '/a/b'], guest: null } }] })]);
  assert.equal((await within(shown.exited, 'the end')).code, 0, shown.stderr);
  const all = shown.lines.all.join('\n');
  assert.deepEqual(JSON.parse(all).rules, [{ pattern: 'a.{b}', kinds: ['private', 'presence'], url: 'https://(not shown)@example.test/auth?(not shown)', headers: { 'X-Key': '(not shown)' }, timeout_ms: 5000, cache_ms: 0, expires_ms: 0, view_field: 'role', views: { agent: [], customer: ['note', '/a/b'], guest: null } }]);
  assert.doesNotMatch(all, /me:pass|hidden|k=v/);
});
