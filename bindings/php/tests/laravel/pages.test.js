'use strict';
// A Laravel application with pages: events from its other processes, stock clients with its own /broadcasting/auth, and a
// real browser that needs no endpoint.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, artisan, assemble, connect, log, npm, pages, refused, request, serve, signedQuery, until, Visitor } = require('./application.js');

const { chromium } = npm('playwright-core');
const nacl = npm('tweetnacl'); // what pusher-js/with-encryption has inside

let server;
let site;
let olga;
before(async () => {
  assemble();
  server = await serve(null, { args: ['--workers=2'], config: { 'pusherc.serve.proxies': 1 } });
  site = await pages({ server });
  olga = await new Visitor(site).login(1);
});

const join = (visitor) => connect(server, { app: APP, headers: { ...(visitor && { cookie: visitor.cookie }) } });

/** A page of the application in a browser of its own, logged in, with a stock client that connects to `port`. */
async function browse(t, port, options = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  t.after(() => browser.close());
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20000);
  page.asked = [];
  page.on('request', (request) => page.asked.push(new URL(request.url()).pathname));
  await page.goto(`${site.url}/login/1`);
  await page.goto(`${site.url}/page`);
  await page.evaluate(([key, wsPort, custom]) => {
    window.got = [];
    window.pusher = new window.Pusher(key, {
      cluster: '', wsHost: '127.0.0.1', wsPort, forceTLS: false, enabledTransports: ['ws'],
      channelAuthorization: custom ? { customHandler: ({ channelName }, done) => done(null, { auth: '', ...(/^presence/.test(channelName) && { channel_data: '{"user_id":"1"}' }) }) }
        : { endpoint: '/broadcasting/auth' },
      userAuthentication: { endpoint: '/broadcasting/user-auth' },
    });
    for (const name of ['private-orders.7', 'presence-office.1', 'private-orders.8'])
      window.pusher.subscribe(name).bind_global((event, data) => window.got.push([name, event, data]));
  }, [APP.key, port, options.custom]);
  page.got = (name, event) => page.waitForFunction(([n, e]) => window.got.find((g) => g[0] === n && g[1] === e)?.[2], [name, event])
    .then((handle) => handle.jsonValue(), async () => assert.fail(`no ${event} on ${name}: ${JSON.stringify(await page.evaluate(() => [window.pusher.connection.state, window.got]))}`));
  return page;
}

/** What every such page sees. */
async function seesItsChannels(page) {
  await page.got('private-orders.7', 'pusher:subscription_succeeded');
  assert.deepEqual((await page.got('presence-office.1', 'pusher:subscription_succeeded')).members, { 1: { name: 'Olga', office: '1' } });
  assert.equal((await page.got('private-orders.8', 'pusher:subscription_error')).status, 403);
  await olga.get('/ship/7');
  assert.equal((await page.got('private-orders.7', 'App\\Events\\OrderShipped')).note, 'from FPM');
}

/** Subscribes a plain client that has an identity. */
async function hear(client, channel) {
  client.ask(channel);
  await client.event('pusher_internal:subscription_succeeded', channel);
}

test('event() of PHP-FPM, of artisan and of pusherc:serve itself', async () => {
  const client = await join(olga);
  for (const channel of ['private-orders.7', 'shop']) await hear(client, channel);
  for (const [send, note] of [[() => olga.get('/ship/7'), 'from FPM'], [() => artisan('test:ship', '7', { PUSHERC_URL: server.url }), 'from artisan'],
    [() => client.ask('private-tells.7'), 'from a channel']]) {
    await send();
    for (const channel of ['private-orders.7', 'shop']) {
      const { data } = await client.event('App\\Events\\OrderShipped', channel);
      assert.deepEqual(JSON.parse(data), { order: 7, note });
    }
  }
});

test('facts that change in PHP-FPM: a channel is revoked at once, and given again', async () => {
  const bob = await new Visitor(site).login(2);
  const both = new Visitor(site);
  await both.login(2);
  await both.get('/login/1?guard=admin'); // two users in one browser
  const clients = [await join(bob), await join(both)];
  for (const client of clients) for (const channel of ['private-fresh', 'private-yes', 'private-orders.8']) await hear(client, channel);
  await olga.get('/active/2/0');
  for (const query of ['', '?channel=fresh', '?channel=orders.{order}', '?all=1']) {
    const had = clients.map((client) => client.frames.length);
    assert.equal((await olga.get(`/reauthorize/2${query}`)).text, 'told');
    for (const [i, client] of clients.entries()) {
      await client.settle(); // its worker has asked the application
      client.ask('private-no'); // which answers this after what it was asked before
      await client.event('pusher:subscription_error', 'private-no');
      const refused = client.frames.slice(had[i]).filter((f) => f.event === 'pusher:subscription_error');
      assert.deepEqual(refused.map((f) => f.channel), [...query === '' ? ['private-fresh'] : [], 'private-no'], query);
    }
  }
  await olga.get('/active/2/1');
  await olga.get('/reauthorize/2');
  for (const client of clients) await client.event('pusher_internal:subscription_succeeded', 'private-fresh');
});

test('a user\'s connections are closed from PHP-FPM, and may come back', async () => {
  const both = new Visitor(site);
  await both.login(2);
  await both.get('/login/1?guard=admin');
  const [own, other, admin] = [await join(await new Visitor(site).login(2)), await join(olga), await join(both)];
  await olga.get('/disconnect/1?guard=admin');
  assert.deepEqual(await admin.closed(), { code: 4200, reason: 'logged out' });
  await olga.get('/disconnect/2');
  assert.equal((await own.closed()).code, 4200);
  await other.settle();
});

test('what is not signed is not obeyed', async () => {
  for (const order of ['reauthorize', 'disconnect']) {
    assert.equal((await request(server, 'POST', `/pusherc/${order}`, { body: '{"user":"1"}' })).status, 401);
    assert.equal((await request(server, 'GET', `/pusherc/${order}`)).status, 405);
    const signed = (body) => `/pusherc/${order}?${signedQuery(APP, 'POST', `/pusherc/${order}`, { body })}`;
    assert.equal((await request(server, 'POST', signed('{"user":"1"}'), { body: '{"user":"2"}' })).status, 401);
    assert.equal((await request(server, 'POST', signed('[[]]'), { body: '[[]]' })).status, order === 'disconnect' ? 400 : 200);
    for (const body of ['{"user":{}}', 'x', '{"user":"7","code":1,"channel":"{"}']) assert.equal((await request(server, 'POST', signed(body), { body })).status, 400, body);
  }
  assert.equal((await request(server, 'GET', '/elsewhere')).status, 404);
});

test('toOthers(): the socket of the page that caused it is left out', async () => {
  const [own, other] = [await join(olga), await join(olga)];
  for (const client of [own, other]) await hear(client, 'shop');
  await olga.get('/ship/7', { headers: { 'X-Socket-ID': own.socketId } });
  await other.event('App\\Events\\OrderShipped', 'shop');
  assert.ok(!(await own.settle()).some((frame) => frame.event.includes('OrderShipped')));
});

test('an event that cannot be sent is an error with the server\'s text', async () => {
  assert.throws(() => artisan('test:ship', '7', { PUSHERC_URL: server.url, PUSHERC_APP_SECRET: 'wrong' }), /Invalid signature/);
  assert.throws(() => artisan('test:ship', '7', { PUSHERC_URL: 'http://127.0.0.1:1' }), /Connection refused/);
});

test('a stock client with Laravel\'s own /broadcasting/auth: the server is at another port, and reads no cookie', async (t) => {
  const page = await browse(t, server.port);
  await seesItsChannels(page);
  assert.equal(page.asked.filter((path) => path === '/broadcasting/auth').length, 3);
  assert.match(log(), /Cookies of pages at http:\/\/127\.0\.0\.1:\d+ are not read.*allowed_origins/);
});

test('in a browser: the page\'s cookie identifies, and no request is made for a channel', async (t) => {
  const page = await browse(t, site.port, { custom: true });
  await seesItsChannels(page);
  assert.deepEqual(page.asked.filter((path) => path.startsWith('/broadcasting')), []);
});

test('the same at another port, if the server allows the page\'s origin', async (t) => {
  const own = await serve(t, { config: { 'pusherc.serve.allowed_origins': [site.url], 'pusherc.serve.auth': 'rules' } });
  const page = await browse(t, own.port, { custom: true });
  await page.got('private-orders.7', 'pusher:subscription_succeeded');
});

test('an end-to-end encrypted channel: the endpoint gives the shared secret, the driver encrypts', async () => {
  const secret = Buffer.from(JSON.parse((await olga.get('/broadcasting/auth', { method: 'POST', body: new URLSearchParams({ socket_id: '1.1', channel_name: 'private-encrypted-yes' }) })).text).shared_secret, 'base64');
  assert.equal(secret.length, 32);
  const plain = await join(olga);
  await hear(plain, 'private-encrypted-yes');
  artisan('test:send', 'private-encrypted-yes', 'hello', '{"a":1}', { PUSHERC_URL: server.url });
  const { nonce, ciphertext } = JSON.parse((await plain.event('hello')).data);
  const opened = nacl.secretbox.open(Buffer.from(ciphertext, 'base64'), Buffer.from(nonce, 'base64'), secret);
  assert.equal(Buffer.from(opened).toString(), '{"a":1}');
});

test('JSONP of the endpoint is answered as by Laravel', async () => {
  const { text } = await olga.get('/broadcasting/auth?socket_id=1.1&channel_name=private-yes&callback=Pusher.done');
  assert.match(text, /^\/\*\*\/Pusher\.done\(\{"auth":"shop-key:[0-9a-f]{64}"\}\);$/);
});

test('pusher.signin() with Laravel\'s /broadcasting/user-auth (Laravel 9 and later)', async (t) => {
  const { status } = await olga.get('/broadcasting/user-auth', { method: 'POST', body: new URLSearchParams({ socket_id: '1.1' }) });
  if (status === 404) return t.skip('this Laravel has none');
  const own = await serve(t, { config: { 'pusherc.serve.app_settings': { user_authentication: true } } });
  const page = await browse(t, own.port);
  await page.evaluate(() => window.pusher.signin());
  await page.waitForFunction(() => window.pusher.user.user_data?.id === '1');
});

test('a signed-in user is the application\'s if pusherc.signin_guard says so', async (t) => {
  for (const [guard, answer] of [['web', 'pusher_internal:subscription_succeeded'], [null, 'pusher:subscription_error']]) {
    const own = await serve(t, { config: { 'pusherc.signin_guard': guard, 'pusherc.serve.auth': 'rules', 'pusherc.serve.app_settings': { user_authentication: true } } });
    const client = await connect(own, { app: APP });
    await client.signin({ id: '1' });
    client.ask('private-orders.7');
    await client.event(answer, 'private-orders.7');
  }
});

test('guards and middleware of an application with tokens: the token is the user of every channel', async (t) => {
  for (const config of [{ 'pusherc.guards': ['api'], 'pusherc.middleware': [] }, { 'pusherc.middleware': ['bare', 'auth:api'] }]) {
    const own = await serve(t, { config: { 'pusherc.serve.auth': 'rules', ...config } });
    for (const [token, answer] of [['token-of-olga', 'pusher_internal:subscription_succeeded'], ['token-of-bob', 'pusher:subscription_error'], ['none', 'pusher:subscription_error']]) {
      const client = await connect(own, { app: APP, headers: { authorization: `Bearer ${token}` } });
      client.ask('private-orders.7');
      assert.equal((await client.next((f) => f.event !== 'pusher:error')).event, answer, JSON.stringify([config, token]));
    }
  }
});

test('sessions in cookies', async (t) => {
  const own = await serve(t, { config: { 'session.driver': 'cookie', 'pusherc.serve.auth': 'rules' } });
  const pagesOfIts = await pages({ server: own, config: { 'session.driver': 'cookie' }, workers: 1 });
  const visitor = await new Visitor(pagesOfIts).login(1);
  const client = await connect(own, { app: APP, headers: { cookie: visitor.cookie } });
  client.ask('private-orders.7');
  await client.event('pusher_internal:subscription_succeeded', 'private-orders.7');
});

test('an application that fails to identify lets the client come back, and says why in its log', async (t) => {
  const own = await serve(t, { config: { 'pusherc.serve.auth': 'rules', 'pusherc.middleware': ['web', 'App\\Missing'] } });
  assert.equal((await refused(own, { app: APP, headers: { cookie: olga.cookie } })).code, 4100);
  await until(() => log().includes('App\\\\Missing'), log);
  await connect(own, { app: APP }); // who has no cookie is not asked about
});
