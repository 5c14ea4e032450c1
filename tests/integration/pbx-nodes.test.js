'use strict';
// examples/pbx as two servers behind nginx, with examples/pbx/nginx.conf as it is but for names and ports, a Redis and
// publishers outside.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { describe, test } = require('node:test');

const { Program, TOP, api, freePort, sleep, until } = require('./lib.js');
const { PusherClient, listen } = require('./clients.js');
const { noRedis, startRedis } = require('./redis.js');
const { ADA, APP, BEN, CLEO, DAN, EVE, FINN, OPERATOR, ask, call, client, heard, listener, login, start } = require('./pbx.js');

const NGINX = '/usr/sbin/nginx';
const missing = noRedis || (spawnSync(NGINX, ['-v']).status !== 0 && 'no nginx');
const LONG = 120000;
const NAME = 'presence-org.1';

async function nginx(t, nodes) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pbx-nginx-'));
  const port = await freePort();
  const config = fs.readFileSync(path.join(TOP, 'examples/pbx/nginx.conf'), 'utf8')
    .replace('127.0.0.1:8081', `127.0.0.1:${nodes[0].port}`)
    .replace('127.0.0.1:8091', `127.0.0.1:${nodes[1].port}`)
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('pbx.example;', '127.0.0.1;');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/${what};`);
  fs.writeFileSync(`${folder}/nginx.conf`, `daemon off; ${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1;
pid ${folder}/nginx.pid; error_log ${folder}/nginx.log notice;
events {}
http {
access_log off; ${temporary.join(' ')}
${config}
}
`);
  const program = new Program(NGINX, ['-e', `${folder}/nginx.log`, '-c', `${folder}/nginx.conf`]);
  t.after(async () => { program.child.kill('SIGTERM'); await program.exited; fs.rmSync(folder, { recursive: true }); });
  const site = { url: `http://127.0.0.1:${port}`, port: String(port), app: APP };
  await until(() => fetch(`${site.url}/api/v1/websocket/health`).then(({ status }) => status === 200, () => false), () => fs.readFileSync(`${folder}/nginx.log`, 'utf8'), LONG);
  return site;
}

const health = async (node) => (await ask(node, 'GET', '/api/v1/websocket/health')).json;

/** Redis, two servers with one database, and nginx before them. */
async function two(t, lease = '3000') {
  const redis = await startRedis(t);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pbx-nodes-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const options = ['--data', path.join(folder, 'pbx.db'), '--proxies', '1', '--redis', `${redis.url}?prefix=pbx:`, '--laravel-redis', `${redis.url}?prefix=laravel-database-`, '--lease-ms', lease];
  const nodes = [await start(t, ...options), await start(t, ...options)];
  for (const node of nodes) await until(async () => (await health(node)).status === 'ok', () => `the link: ${node.stderr}`, LONG);
  return { redis, nodes, site: await nginx(t, nodes) };
}

const outside = (id) => ({ call_id: id, from_number: '+447700900123', to_number: '+442079460101', did_id: '1', status: 'initiated', initiated_at: '2024-01-01T12:00:00Z' });
const callsOf = (socket, id) => socket.frames.filter((f) => f.event.startsWith('call.') && heard(f).call_id === id).length;

/** A page with stock pusher-js behind nginx, which signs in as such pages do. */
function page(t, site, token) {
  const headers = { Authorization: `Bearer ${token}` };
  const pusher = new PusherClient(APP.key, {
    cluster: '', wsHost: '127.0.0.1', wsPort: Number(site.port), forceTLS: false, enabledTransports: ['ws'], activityTimeout: 5000, pongTimeout: 5000,
    channelAuthorization: { endpoint: `${site.url}/broadcasting/auth`, headers }, userAuthentication: { endpoint: `${site.url}/broadcasting/user-auth`, headers },
  });
  t.after(() => pusher.disconnect());
  pusher.connection.bind('error', () => {});
  pusher.signin();
  const channel = pusher.subscribe(NAME);
  const inbox = listen(channel);
  const live = () => channel.subscribed && pusher.connection.state === 'connected';
  return { pusher, channel, inbox, live, heard: (id) => inbox.all.filter(({ event, data }) => event === 'call.initiated' && data.call_id === id).length };
}

describe('two servers', { skip: missing }, () => {
  test('PBX-13, PBX-20: a call, by whatever way it is published, is on every page of both servers once; presence and counts are one', async (t) => {
    const { redis, nodes, site } = await two(t);
    const people = await Promise.all([ADA, BEN, CLEO, DAN].map((who) => login(site, who)));
    const pages = people.map(({ token }) => page(t, site, token)); // nginx decides where, and which server answers for whom
    const direct = [await listener(nodes[0], people[0].token, 'presence.org.1'), await listener(nodes[1], people[1].token, 'presence-presence.org.1')];
    await until(() => pages.every((one) => one.live()), () => `live: ${nodes.map(({ stderr }) => stderr)}`, LONG);
    for (const one of pages) await until(() => one.channel.members.count === 4, 'four members on each page', LONG);
    const connections = async (node) => (await ask(node, 'GET', '/api/v1/websocket/metrics', { token: people[0].token })).json.connections;
    for (const node of nodes) assert.ok(await connections(node) > 1, 'pages on both');
    for (const node of nodes) {
      const { json } = await ask(node, 'GET', '/api/v1/members', { token: people[1].token });
      assert.deepEqual(json.members.map(({ name }) => name), ['Ada', 'Ben', 'Cleo', 'Dan']);
    }
    const ways = {
      webhook: async (id) => call(site, { id }).initiate(),
      http: async (id) => assert.equal((await api(site, 'POST', '/events', { app: APP, body: { name: 'call.initiated', channels: ['presence.org.1'], data: JSON.stringify(outside(id)) } })).status, 200),
      laravel: async (id) => redis.call('PUBLISH', 'laravel-database-presence.org.1', JSON.stringify({ event: 'call.initiated', data: { ...outside(id), socket: null }, socket: null })),
    };
    const told = [];
    for (const [way, publish] of Object.entries(ways)) {
      for (let n = 0; n < 3; n++) {
        const id = crypto.randomUUID();
        await publish(id);
        told.push([way, id]);
      }
    }
    for (const [way, id] of told) {
      await until(() => pages.every((one) => one.heard(id)) && direct.every((one) => callsOf(one, id)), `${way} on all pages`, LONG);
    }
    await sleep(200); // for what would come twice
    for (const [way, id] of told) {
      for (const one of pages) assert.equal(one.heard(id), 1, `${way} once`);
      for (const one of direct) assert.equal(callsOf(one, id), 1, `${way} once`);
    }
    const lists = await Promise.all(nodes.map(async (node) => (await ask(node, 'GET', '/api/v1/calls?state=active', { token: people[0].token })).json));
    assert.equal(lists[0].calls.length, 9);
    assert.deepEqual(lists[0].calls, lists[1].calls);
  });

  test('PBX-A5, PBX-6 on two servers: who is deactivated by one hears nothing on the other after the answer; so with a token that ends', async (t) => {
    const { nodes } = await two(t);
    const [operator, ben, cleo] = [await login(nodes[0], OPERATOR), await login(nodes[0], BEN), await login(nodes[1], CLEO)];
    const hears = await listener(nodes[1], ben.token, NAME);
    const stays = await listener(nodes[1], cleo.token, NAME);
    assert.equal((await ask(nodes[0], 'POST', '/api/v1/people/2', { token: operator.token, body: { active: 0 } })).status, 204);
    const late = call(nodes[0], { extension: 5 });
    await late.initiate();
    await until(() => callsOf(stays, late.id), 'the call', LONG);
    await hears.settle();
    assert.equal(callsOf(hears, late.id), 0);
    assert.equal(await (await client(nodes[1], ben.token)).wants(NAME), false);
    assert.equal((await ask(nodes[0], 'POST', '/api/v1/logout', { token: cleo.token })).status, 204);
    await stays.next((f) => f.event === 'pusher:subscription_error', LONG);
  });

  test('PBX-14: a server is killed: its pages are live on the other, who returns has never left, ghosts go', async (t) => {
    const { nodes, site } = await two(t, '8000');
    const [ada, ghost, ...others] = await Promise.all([ADA, BEN, CLEO, DAN, EVE, FINN].map((who) => login(site, who)));
    const sees = await listener(nodes[0], ada.token, NAME);
    const pages = others.map(({ token }) => page(t, site, token));
    await until(() => pages.every((one) => one.live()), () => `live: ${nodes.map(({ stderr }) => stderr)}`, LONG);
    await listener(nodes[1], ghost.token, NAME); // it does not come back
    const members = async () => (await ask(nodes[0], 'GET', '/api/v1/members', { token: ada.token })).json.members.map(({ name }) => name).join();
    await until(async () => await members() === 'Ada,Ben,Cleo,Dan,Eve,Finn', 'all of them', LONG);
    const sockets = pages.map(({ pusher }) => pusher.connection.socket_id);
    await nodes[1].kill();
    await until(async () => {
      const next = call(site, { extension: 1 });
      await next.initiate();
      await sleep(200);
      return pages.every((one) => one.heard(next.id));
    }, 'a call on all pages', LONG);
    const moved = pages.filter(({ pusher }, i) => pusher.connection.socket_id !== sockets[i]).length;
    assert.ok(moved >= 1 && moved < pages.length, `${moved} pages were on it`);
    const gone = await sees.next((f) => f.event === 'pusher_internal:member_removed', LONG);
    assert.equal(heard(gone).user_id, '2', 'the ghost alone');
    await until(async () => await members() === 'Ada,Cleo,Dan,Eve,Finn', 'the others', LONG);
    await sees.settle();
    assert.deepEqual(sees.frames.filter((f) => f.event === 'pusher_internal:member_removed').length, 1);
  });

  test('PBX-14: Redis is away: a server\'s own pages go on hearing, health says degraded, and all is equal again afterwards', async (t) => {
    const { redis, nodes } = await two(t);
    const [ada, ben] = [await login(nodes[0], ADA), await login(nodes[1], BEN)];
    const [first, second] = [await listener(nodes[0], ada.token, NAME), await listener(nodes[1], ben.token, NAME)];
    await redis.kill();
    for (const node of nodes) await until(async () => (await health(node)).status === 'degraded', 'degraded', LONG);
    assert.equal((await ask(nodes[0], 'GET', '/api/v1/health')).status, 503);
    const alone = call(nodes[0], { extension: 5 });
    await alone.initiate();
    await until(() => callsOf(first, alone.id) === 1, 'the call on its own server', LONG);
    await startRedis(t, [], redis.port);
    for (const node of nodes) await until(async () => (await health(node)).status === 'ok', () => `the link again: ${node.stderr}`, LONG);
    const crosses = async (from, to) => {
      const ids = [];
      await until(async () => { const one = call(from, { extension: 5 }); await one.initiate(); ids.push(one.id); await sleep(50); return ids.some((id) => callsOf(to, id)); }, 'a call from one to the other', LONG);
    };
    await crosses(nodes[0], second);
    await crosses(nodes[1], first);
    assert.deepEqual([first, second].map((one) => one.frames.filter((f) => f.event === 'pusher_internal:member_removed').length), [0, 0]);
    for (const node of nodes) await until(async () => (await ask(node, 'GET', '/api/v1/members', { token: ben.token })).json.total === 2, 'two members', LONG);
  });
});
