'use strict';
// examples/gateway-monitor as two servers with one database, linked over Redis, behind a balancer.

const assert = require('node:assert/strict');
const path = require('node:path');
const { before, test } = require('node:test');

const { until } = require('../integration/lib.js');
const { noRedis, startRedis } = require('../integration/redis.js');
const { behindNginx, makeCertificate, secureFetch } = require('./nginx.js');
const { live, shared, shows, signedIn } = require('./program.js');
const { ADA, BEN, EVE, USUAL, client, data, listen, page, poll, start } = require('./gateways.js');

const FEW = ['--gateways', '24'];
const SKIP = { skip: noRedis };
const PAGES = { skip: noRedis || (process.env.ASAN_OPTIONS ? 'pages: in the stage without sanitizers' : false) };

before(makeCertificate);

/** Two of them, with one file. */
async function two(t, ...args) {
  const redis = await startRedis(t);
  const file = path.join(shared.scratch, `linked-${redis.port}.db`);
  const first = await start(t, '--data', file, '--redis', redis.url, ...FEW, ...args);
  const second = await start(t, '--data', file, '--redis', redis.url, ...FEW, ...args);
  for (const site of [first, second]) site.talks = true; // Redis ends first, and its end is said
  return { redis, sites: [first, second] };
}

const shown = async (who) => (await (await who.get('/api/v1/dashboard')).json()).gateways.find(([id]) => id === 1);

test('GATE-17: readings that one server polls are on pages of both, once, and in what both answer', SKIP, async (t) => {
  const { sites } = await two(t);
  const here = await client(sites[0]);
  const there = { ...(await client(sites[1])), cookie: here.cookie }; // a session is one of both
  const sockets = [];
  for (const [nth, site] of sites.entries())
    sockets.push(await Promise.all(['readings', 'gateways', 'gateway.1'].map((channel) => listen(site, channel, [here, there][nth]))));
  await until(async () => { // the link may come after the start
    await poll(here, 2, [20 + Math.random() * 50, ...USUAL.slice(1)]);
    return sockets[1][0].frames.some(({ event }) => event === 'reading.batch');
  }, 'the link');

  await poll(here, 1, [31, ...USUAL.slice(1)]);
  for (const [, , own] of sockets) {
    const values = [];
    for (let i = 0; i < 5; i++) values.push(data(await own.event('reading.new')).reading.value);
    assert.deepEqual(values, [31, ...USUAL.slice(1)]);
  }
  for (const [readings] of sockets)
    await readings.next(({ event, data: text }) => event === 'reading.batch' && text.includes('"gateway_id":1'));
  await until(async () => (await shown(there))?.[3][0] === 31, 'the other server shows it');

  for (let i = 0; i < 3; i++) await poll(here, 1);
  for (const [, gateways, own] of sockets)
    for (const socket of [gateways, own]) assert.equal(data(await socket.event('gateway.status-changed')).current_status, 'inactive');
  await until(async () => (await shown(there))[1] === 0, 'it is inactive there, too');

  await poll(there, 1, [32, ...USUAL.slice(1)]); // another poller, by the other server
  for (const [, gateways] of sockets) assert.equal(data(await gateways.event('gateway.status-changed')).current_status, 'active');
  await until(async () => (await shown(here))[3][0] === 32 || (await shown(here))[1] === 0, 'what this one polled itself stays for a while');

  for (const [readings, , own] of sockets) {
    for (const socket of [readings, own]) {
      const texts = (await socket.settle(), socket.frames).filter(({ event }) => event === 'reading.batch' || event === 'reading.new').map(({ data: text }) => text);
      const ids = texts.filter((text) => socket === own || text.startsWith('{"readings"')).flatMap((text) => [...text.matchAll(/"reading":\{"id":(\d+)/g)].map(([, id]) => id));
      assert.equal(new Set(ids).size, ids.length, 'a reading came twice');
    }
  }
});

test('GATE-17, GATE-14: permissions and acknowledgements count on the pages of both servers', SKIP, async (t) => {
  const { sites } = await two(t);
  const ada = await client(sites[0]);
  const eve = await client(sites[1], EVE);
  const [ben, own] = [await listen(sites[1], 'private-user.2', await client(sites[1], BEN)), await listen(sites[1], 'gateway.3', eve)];
  assert.match(own.answer.event, /succeeded/);
  assert.equal((await ada.post('/api/v1/users/3/sites', { sites: '1' })).status, 204);
  await own.next(({ event, channel }) => event === 'pusher:subscription_error' && channel === 'gateway.3');
  await until(async () => { await poll(ada, 3, [21, 95, 230, 40, -70]); return ben.frames.some(({ event }) => event === 'gateway.alert'); }, 'an alert');
  const { alert } = data(ben.frames.find(({ event }) => event === 'gateway.alert'));
  assert.equal((await (await client(sites[1], ADA)).post(`/api/v1/alerts/${alert.id}/acknowledge`)).status, 204);
  assert.equal(data(await ben.event('gateway.alert-closed')).alert.acknowledged_by, 'Ada');
});

test('GATE-17: a page behind the balancer hears what any server polls, and is live again when its server dies', PAGES, async (t) => {
  const { sites } = await two(t, '--proxies', '1');
  // A user stays with a server: replays are played by the one that was asked.
  const balanced = await behindNginx(t, sites, 'hash $cookie_gateways_session consistent;');
  const dashboard = await page(t, balanced, ADA, { ignoreHTTPSErrors: true });
  dashboard.on('console', () => { dashboard.complaints.length = 0; }); // nginx says 502 while it finds out
  await live(dashboard);
  const pollers = await Promise.all(sites.map((site) => client(site)));
  const value = dashboard.locator('#p-1 b');
  for (const [nth, poller] of pollers.entries()) {
    await until(async () => { await poll(poller, 1, [41 + nth, ...USUAL.slice(1)]); await poll(poller, 1, [51 + nth, ...USUAL.slice(1)]); return (await value.innerText()) === `${51 + nth}.0`; }, `what server ${nth} polls`);
  }
  const ada = await signedIn(balanced, ADA, {}, secureFetch);
  assert.equal(ada.status, 303);
  const open = async (site) => (await (await fetch(`${site.url}/api/v1/websocket/health`)).json()).recent_attempts.length > 0;
  const nth = (await open(sites[0])) ? 0 : 1;
  await sites[nth].kill();
  await until(async () => {
    await poll(pollers[1 - nth], 1, [61, ...USUAL.slice(1)]);
    await poll(pollers[1 - nth], 1, [62, ...USUAL.slice(1)]);
    return /^Live$/.test(await dashboard.locator('#connection').innerText()) && (await value.innerText()) === '62.0';
  }, 'it is live by the other one', 120000);
  await shows(value, '62.0');
  await dashboard.context().close();
});
