'use strict';
// pusherc:serve decides by routes/channels.php, in process: row by row the table "Laravel" of docs/authorization.md, and
// what Laravel's own /broadcasting/auth says to the same user about the same channel.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { before, test } = require('node:test');
const { api, APP, assemble, connect, log, pages, serve, trigger, until, Visitor } = require('./application.js');

const MAJOR = parseInt(execFileSync('php', ['-r', "error_reporting(0); require 'Illuminate/autoload.php'; echo Illuminate\\Foundation\\Application::VERSION;"]), 10);

let server;
let site;
let olga;
let bob;
let root; // an admin, who is no user
let nobody;
before(async () => {
  assemble();
  server = await serve(null, { config: { 'pusherc.serve.auth': 'rules' } });
  site = await pages({ server });
  olga = await new Visitor(site).login(1);
  bob = await new Visitor(site).login(2);
  root = await new Visitor(site).login(1, '?guard=admin');
  nobody = new Visitor(site);
  await nobody.get('/whoami');
});

/** A connection with the visitor's cookies. */
const join = (visitor, headers = {}) => connect(server, { app: APP, headers: { ...(visitor && { cookie: visitor.cookie }), ...headers } });

/** What comes of a subscribe: 'yes', or the member data of a presence channel, or the refusal's status. */
async function ask(client, channel) {
  client.ask(channel);
  const answer = await client.next((f) => f.channel === channel && /subscription_(succeeded|error)$/.test(f.event));
  const data = typeof answer.data === 'string' ? JSON.parse(answer.data) : answer.data;
  if (answer.event === 'pusher:subscription_error') return data.status;
  return channel.startsWith('presence-') ? data.presence.hash : 'yes';
}

/** What Laravel's own endpoint says: 'yes', the member, or the status. */
async function endpoint(visitor, channel, headers = {}) {
  const body = new URLSearchParams({ socket_id: '1.1', channel_name: channel });
  const { status, text } = await visitor.get('/broadcasting/auth', { method: 'POST', body, headers });
  if (status === 500) return 403; // an exception: in process it is refused as well, and no page to tell of it
  if (status !== 200) return status;
  const answer = JSON.parse(text);
  if (!channel.startsWith('presence-')) return 'yes';
  const member = JSON.parse(answer.channel_data);
  return { [member.user_id]: member.user_info };
}

/** Ends the connection, and waits until its member has gone: the next one is to be the only member. */
async function leave(client, channel) {
  await client.close();
  if (channel.startsWith('presence-'))
    await until(async () => (await api(server, 'GET', `/channels/${channel}/users`, { app: APP })).json.users.length === 0);
}

/** In both ways. */
async function both(visitor, channel, headers) {
  const client = await join(visitor, headers);
  const here = await ask(client, channel);
  await leave(client, channel);
  const there = await endpoint(visitor ?? new Visitor(site), channel, headers);
  assert.deepEqual(here, there, `${channel}: in process, and by the endpoint`);
  return here;
}

test('true is accepted, false is 403', async () => {
  assert.equal(await both(olga, 'private-yes'), 'yes');
  assert.equal(await both(olga, 'private-no'), 403);
  assert.equal(await both(olga, 'private-App.Models.User.1'), 'yes');
  assert.equal(await both(olga, 'private-App.Models.User.2'), 403);
  assert.equal(await both(bob, 'private-App.Models.User.2'), 'yes');
});

test('an array becomes the user_info of a presence member, with the auth identifier as user id; so does true', async () => {
  assert.deepEqual(await both(olga, 'presence-office.7'), { 1: { name: 'Olga', office: '7' } });
  assert.deepEqual(await both(bob, 'presence-office.7'), { 2: { name: 'Bob', office: '7' } });
  assert.deepEqual(await both(bob, 'presence-yes'), { 2: true });
});

test('members see each other', async () => {
  const [one, two] = [await join(olga), await join(bob)];
  await ask(one, 'presence-office.8');
  assert.deepEqual(Object.keys(await ask(two, 'presence-office.8')).sort(), ['1', '2']);
  const added = await one.event('pusher_internal:member_added', 'presence-office.8');
  assert.deepEqual(JSON.parse(added.data), { user_id: '2', user_info: { name: 'Bob', office: '8' } });
});

test('no pattern accepts: 403', async () => {
  assert.equal(await both(olga, 'private-unknown'), 403);
  assert.equal(await both(olga, 'presence-unknown.7'), 403);
  assert.equal(await both(olga, 'private-encrypted-unknown'), 403);
});

test('{name} is one or more characters', async () => {
  assert.deepEqual(await both(olga, 'presence-two.a.b'), { 1: { a: 'a', b: 'b' } });
  assert.equal(await both(olga, 'private-two.a'), 403);
  assert.equal(await both(olga, 'private-two..'), 403);
});

test('names that Laravel alone matches: dots in a parameter', async () => {
  await both(olga, 'presence-two.a.b.c');
  await both(olga, 'private-office.x.y');
  await both(olga, 'private-read.x');
});

test('one of the prefixes is taken off; "cache-" stays part of the name', async () => {
  assert.equal(await both(olga, 'private-cache-yes'), 403);
  assert.equal(await both(olga, 'private-encrypted-yes'), 'yes');
});

test('several patterns match: in the order of registration; null goes on, false as in this version', async () => {
  assert.equal(await both(olga, 'private-first.x'), 'yes');
  // Laravel 8 asks the next pattern, 10 and 13 do not.
  assert.equal(await both(olga, 'private-first.y'), MAJOR < 9 ? 'yes' : 403);
  assert.equal(await both(olga, 'private-first.z'), 403);
});

test('guards: those that the channel names find the user', async () => {
  assert.equal(await both(root, 'private-admins'), 'yes');
  assert.deepEqual(await both(root, 'presence-admins'), { 1: { name: 'Root' } });
  assert.equal(await both(olga, 'private-admins'), 403);
  assert.deepEqual(await both(root, 'presence-either'), { 1: { class: 'Admin', name: 'Root' } });
  assert.deepEqual(await both(olga, 'presence-either'), { 1: { class: 'User', name: 'Olga' } });
  assert.equal(await both(root, 'private-yes'), 403); // no user of the default guard
});

test('guards: an admin and a user with the same id are two, also while both ask at once', async () => {
  const clients = await Promise.all([olga, root, olga, root].map((visitor) => join(visitor)));
  for (let i = 0; i < 20; i++) {
    const answers = await Promise.all(clients.map((client) => ask(client, 'private-admins')));
    assert.deepEqual(answers, [403, 'yes', 403, 'yes']);
    for (const client of [clients[1], clients[3]]) await client.unsubscribe('private-admins');
  }
});

test('guards: a bearer token, for a channel that names its guard', async () => {
  const headers = { authorization: 'Bearer token-of-bob' };
  assert.deepEqual(await both(null, 'presence-either', headers), { 2: { class: 'User', name: 'Bob' } });
  assert.equal(await both(null, 'private-yes', headers), 403);
  assert.equal(await both(null, 'private-either', { authorization: 'Bearer wrong' }), 403);
});

test('model binding: a parameter becomes a model; not found is 403', async () => {
  assert.equal(await both(olga, 'private-orders.7'), 'yes');
  assert.equal(await both(olga, 'private-orders.8'), 403);
  assert.equal(await both(bob, 'private-orders.8'), 'yes');
  assert.equal(await both(olga, 'private-orders.99'), 403);
  assert.equal(await both(olga, 'private-orders.x'), 403);
});

test('channel classes', async () => {
  assert.deepEqual(await both(olga, 'presence-room.4'), { 1: { name: 'Olga', room: '4' } });
  assert.equal(await both(bob, 'private-room.4'), 403);
  assert.equal(await both(bob, 'private-room.lobby'), 'yes');
});

test('a guarded name without a user is 403 before any pattern', async () => {
  assert.equal(await both(nobody, 'private-yes'), 403);
  assert.equal(await both(null, 'private-yes'), 403);
  assert.equal(await both(null, 'presence-office.1'), 403);
});

test('a public name is never asked about', async () => {
  const client = await join(null);
  assert.equal(await ask(client, 'no'), 'yes');
});

test('auth(), request() and gates inside the function are the asking user\'s', async () => {
  assert.equal(await both(olga, 'private-helpers'), 'yes');
  assert.equal(await both(bob, 'private-helpers'), 'yes');
});

test('nothing of a visitor is left for the next one', async () => {
  for (const [visitor, name] of [[olga, 'Olga'], [nobody, null], [bob, 'Bob'], [null, null], [root, null], [olga, 'Olga']]) {
    const client = await join(visitor);
    assert.deepEqual(await ask(client, 'presence-office.1'), name ? { [name === 'Olga' ? 1 : 2]: { name, office: '1' } } : 403);
    await leave(client, 'presence-office.1');
  }
});

test('a cookie that was changed, and one of another key, belong to no user', async () => {
  const forged = new Visitor(site);
  for (const [name, value] of olga.jar) forged.jar.set(name, value.slice(0, -12) + 'AAAAAAAAAAAA');
  assert.equal(await ask(await join(forged), 'private-yes'), 403);
});

test('each decision rests on what the database says then, and re-authorization revokes', async () => {
  const client = await join(bob);
  assert.equal(await ask(client, 'private-fresh'), 'yes');
  await client.unsubscribe('private-fresh');
  await olga.get('/active/2/0');
  assert.equal(await ask(client, 'private-fresh'), 403);
  await olga.get('/active/2/1');
  assert.equal(await ask(client, 'private-fresh'), 'yes');
});

test('the remember-me cookie alone identifies, and the session is not touched', async () => {
  const visitor = await new Visitor(site).login(2, '?remember=1');
  visitor.jar.delete('test_session');
  assert.equal([...visitor.jar.keys()].filter((name) => name.startsWith('remember_')).length, 1);
  const client = await join(visitor);
  assert.deepEqual(await ask(client, 'presence-office.1'), { 2: { name: 'Bob', office: '1' } });
});

test('a connection takes no flash message from the page, and is no previous page', async () => {
  const visitor = await new Visitor(site).login(1);
  await visitor.get('/flashed');
  await visitor.get('/flash');
  const client = await join(visitor);
  assert.equal(await ask(client, 'private-yes'), 'yes');
  assert.equal((await visitor.get('/flashed')).text, 'saved');
  assert.match((await visitor.get('/previous')).text, /\/flashed$/);
});

test('a page of another origin is not identified by its cookies', async () => {
  const client = await join(olga, { origin: 'http://elsewhere.example' });
  assert.equal(await ask(client, 'private-yes'), 403);
  assert.equal(await ask(await join(olga, { origin: server.url }), 'private-yes'), 'yes');
});

test('an exception is reported and refused, and tells the client nothing', async () => {
  const client = await join(olga);
  assert.equal(await ask(client, 'private-throws'), 403);
  assert.equal(await ask(client, 'private-broken'), 403);
  assert.ok(!JSON.stringify(client.frames).includes('secret of the application'));
  await until(() => log().includes('a secret of the application') && log().includes('undefined_function'), log);
  assert.equal(await ask(client, 'private-yes'), 'yes'); // and it serves on
});

test('what Laravel answers with a status is refused with it', async () => {
  assert.equal(await both(olga, 'private-forbids'), 403);
  assert.equal(await both(olga, 'private-missing'), 404);
  const client = await join(olga);
  await ask(client, 'private-forbids');
  assert.match(JSON.stringify(client.frames), /Not for you/);
  assert.ok(!log().includes('Not for you')); // no error of the application
});

test('audiences: what the function grants says who sees what', async () => {
  const [agent, customer] = [await join(olga), await join(bob)];
  for (const client of [agent, customer]) assert.equal(await ask(client, 'private-tickets.5'), 'yes');
  const data = { text: 'hello', note: 'internal', customer: { name: 'x', email: 'x@example.com' } };
  await trigger(server, 'private-tickets.5', 'replied', JSON.stringify(data), { app: APP });
  assert.deepEqual(JSON.parse((await agent.event('replied')).data), data);
  assert.deepEqual(JSON.parse((await customer.event('replied')).data), { text: 'hello', customer: { name: 'x' } });
  assert.deepEqual(await ask(customer, 'presence-tickets.5'), { 2: { name: 'Bob' } });
});
