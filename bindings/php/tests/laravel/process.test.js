'use strict';
// The process of pusherc:serve: how it starts, restarts, stops, and what a function that ends PHP does to it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { before, test } = require('node:test');
const { APP, artisan, assemble, connect, env, freePort, pages, Program, root, serve, until, Visitor, within } = require('./application.js');

let olga;
before(async () => {
  assemble();
  const site = await pages({ workers: 1 });
  olga = await new Visitor(site).login(1);
  await site.end();
});

const join = (server) => connect(server, { app: APP, headers: { cookie: olga.cookie } });

async function ask(client, channel) {
  client.ask(channel);
  return (await client.next((f) => f.channel === channel && /subscription_(succeeded|error)$/.test(f.event))).event.replace(/.*_/, '');
}

test('exit() in a function is an ordinary end of PHP: its status, clients are closed, the port is free', async () => {
  for (const [channel, status] of [['private-exits', 7], ['private-dumps', 1]]) {
    const server = await serve(null, { ends: status, port: await freePort() });
    const [asking, other] = [await join(server), await join(server)];
    asking.ask(channel);
    const { code, signal } = await within(server.exited, 'the end');
    assert.deepEqual([code, signal], [status, null], server.stderr);
    for (const client of [asking, other]) await client.closed();
    if (channel === 'private-dumps') assert.match(server.lines.all.join(), /dumped/);
    // A supervisor starts it anew.
    const again = await serve(null, { port: server.port });
    assert.equal(await ask(await join(again), 'private-yes'), 'succeeded');
    await again.end();
  }
});

test('SIGTERM and SIGINT let clients go within the grace, and the status is 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const server = await serve(null, { config: { 'pusherc.serve.grace': 0.5 } });
    const clients = await Promise.all([1, 2, 3].map(() => join(server)));
    server.child.kill(signal);
    for (const client of clients) assert.equal((await client.closed()).code, 4200); // come back at once
    assert.deepEqual(await within(server.exited, 'the end'), { code: 0, signal: null });
    assert.equal(server.lines.all.at(-1), 'stopped');
  }
});

test('a second signal cuts them off', async () => {
  const server = await serve(null, { config: { 'pusherc.serve.grace': 600 } });
  const clients = await Promise.all([1, 2, 3, 4, 5].map(() => join(server)));
  server.child.kill('SIGTERM');
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  server.child.kill('SIGTERM');
  for (const client of clients) await client.closed();
  assert.deepEqual(await within(server.exited, 'the end'), { code: 0, signal: null });
});

test('pusherc:restart: every server drains and exits with 0; one started afterwards stays', async () => {
  const servers = [await serve(null, { config: { 'pusherc.serve.grace': 0.2 } }), await serve(null, { config: { 'pusherc.serve.grace': 0.2 } })];
  const client = await join(servers[0]);
  assert.match(artisan('pusherc:restart'), /will restart/);
  assert.equal((await client.closed()).code, 4200);
  for (const server of servers) assert.deepEqual(await within(server.exited, 'the end'), { code: 0, signal: null });
  const later = await serve(null);
  await new Promise((resolve) => { setTimeout(resolve, 2500); }); // it looks once a second
  assert.equal(await ask(await join(later), 'private-yes'), 'succeeded');
  await later.end();
});

test('a cache that does not answer stops nothing', async (t) => {
  const server = await serve(t, { config: { 'pusherc.cache': 'missing' } });
  assert.equal(await ask(await join(server), 'private-yes'), 'succeeded');
});

/** What a start that fails says. */
async function fails({ config = {}, args = [], more = {} }) {
  const program = new Program('php', ['artisan', 'pusherc:serve', '--port=0', ...args], { cwd: root, env: { ...env, TEST_CONFIG: JSON.stringify(config), ...more } });
  const { code } = await within(program.exited, 'the end');
  assert.notEqual(code, 0);
  return program.lines.all.join('\n') + program.stderr;
}

test('a start that cannot be says why in a sentence', async (t) => {
  const server = await serve(t);
  assert.match(await fails({ args: [`--port=${server.port}`] }), /address in use: 127\.0\.0\.1:\d+/);
  assert.match(await fails({ more: { PUSHERC_LIBRARY: '/nowhere/libpusherc.so.0' } }), /\/nowhere\/libpusherc\.so\.0 cannot be loaded/);
  assert.match(await fails({ config: { 'pusherc.connection': 'log' } }), /"log" is not of the driver "pusherc"/);
  assert.match(await fails({ config: { 'pusherc.serve.app_settings': { no_such: 1 } } }), /no_such/);
  assert.match(await fails({ more: { PUSHERC_APP_SECRET: '' } }), /has no secret: set PUSHERC_APP_ID/);
});

test('without credentials the application still boots, as in a build', () => {
  assert.match(artisan('list', { PUSHERC_APP_ID: '', PUSHERC_APP_KEY: '', PUSHERC_APP_SECRET: '' }), /pusherc:serve/);
});

test('channels that are registered elsewhere are warned of', async () => {
  const server = await serve(null, { more: { BROADCAST_CONNECTION: 'log' } });
  assert.match(server.lines.all.join('\n') + server.stderr, /No channel is registered at the connection "pusherc".*"log"/);
  await server.end();
});

test('a start without opcache says how to start with it', async () => {
  const slow = await serve(null, { php: ['-d', 'opcache.enable_cli=0'] });
  assert.match(slow.lines.all.join('\n') + slow.stderr, /opcache is off .*php -d opcache\.enable_cli=1 artisan pusherc:serve/);
  assert.equal(await ask(await join(slow), 'private-yes'), 'succeeded');
  await slow.end();
  const fast = await serve(null);
  assert.doesNotMatch(fast.lines.all.join('\n') + fast.stderr, /opcache/);
  await fast.end();
});

test('the names of Reverb and Pusher in .env are enough', async () => {
  for (const prefix of ['REVERB', 'PUSHER']) {
    const server = await serve(null, { more: { PUSHERC_APP_ID: undefined, PUSHERC_APP_KEY: undefined, PUSHERC_APP_SECRET: undefined, [`${prefix}_APP_ID`]: 'their-id', [`${prefix}_APP_KEY`]: 'their-key', [`${prefix}_APP_SECRET`]: 'their-secret' } });
    await connect(server, { app: { key: 'their-key' } });
    await server.end();
  }
});

test('a unix socket for publishers of the machine, and a cached configuration', async () => {
  const socket = `${root}/storage/socket`;
  artisan('config:cache', { PUSHERC_UNIX_SOCKET: socket, PUSHERC_URL: `unix:${socket}` });
  try {
    const server = await serve(null);
    assert.match(await server.lines.next(), /listening on unix:.*storage\/socket/);
    const client = await join(server);
    assert.equal(await ask(client, 'shop'), 'succeeded');
    artisan('test:ship', '7');
    await client.event('App\\Events\\OrderShipped', 'shop');
    await server.end();
    assert.ok(!fs.existsSync(socket));
  } finally {
    artisan('config:clear');
  }
});

test('15,000 decisions and 3,000 connections take no memory', async (t) => {
  const server = await serve(t);
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]);
  const names = ['private-yes', 'private-orders.7', 'presence-office.1', 'private-no', 'private-orders.99', 'private-helpers', 'private-unknown'];
  /** Each channel once in a round trip. */
  async function round(client) {
    for (const name of names) client.ask(name);
    const answered = new Set();
    while (answered.size < names.length) answered.add((await client.next((f) => /subscription_(succeeded|error)$/.test(f.event))).channel);
    for (const channel of names) client.send({ event: 'pusher:unsubscribe', data: { channel } });
  }
  async function some(decisions, connections) {
    const clients = [];
    for (let i = 0; i < 10; i++) clients.push(await join(server));
    await Promise.all(clients.map(async (client) => {
      for (let i = 0; i < decisions / clients.length / names.length; i++) await round(client);
      await client.close();
    }));
    for (let i = 0; i < connections / 20; i++) await Promise.all((await Promise.all(Array.from({ length: 20 }, () => join(server)))).map((client) => client.close()));
  }
  await some(5000, 1000);
  const before = resident();
  await some(5000, 1000);
  await some(5000, 1000);
  const grown = resident() - before;
  t.diagnostic(`resident: ${before} KB, grown by ${grown} KB`);
  assert.ok(grown < 1024, `grown by ${grown} KB from ${before} KB`);
});
