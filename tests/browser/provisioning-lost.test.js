'use strict';
// examples/provisioning, its pages: what they show when events, answers, connections, the program or rights are lost.

const assert = require('node:assert/strict');
const path = require('node:path');

const { freePort, until } = require('../integration/lib.js');
const { IRIS, OMAR, STEPS, connection, isSame, live, owner, pages, setUp, shared, shows, signIn, start, step } = require('./cloud.js');

pages('PROV-9, PROV-10, PROV-A3: with events dropped, answers late and the line cut the page is right at the end', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  const page = await signIn(t, site);
  let wires = [];
  let dropped = 0;
  let seen = 0;
  await page.routeWebSocket(/.*/, (wire) => {
    const upstream = wire.connectToServer();
    wires.push(wire);
    upstream.onMessage((message) => {
      if (String(message).includes('ProvisionUpdated') && seen++ % 3 === 0) dropped++;
      else wire.send(message);
    });
  });
  let old;
  let answers = 0;
  await page.route(new RegExp(`api/v1/servers/${box.id}$`), async (route) => {
    try {
      const answer = await route.fetch();
      old ??= await answer.text(); // of the beginning
      const late = answers++ % 3 === 1;
      await route.fulfill(late ? { response: answer, body: old } : { response: answer });
    } catch {
      // the page has gone on meanwhile
    }
  });
  await page.goto(site.url + setUp(box));
  await live(page);
  for (let number = 1; number <= STEPS; number++) {
    await box.say(number);
    if (number % 2) continue;
    for (const wire of wires) await wire.close({ code: 1011, reason: 'cut' }).catch(() => {}); // it may be closed
    wires = [];
    await page.waitForTimeout(300);
  }
  await page.waitForURL(`**/servers/${box.id}`, { timeout: 60000 });
  assert.ok(dropped > 0);
});

pages('PROV-12, APP-7: without broadcasting the page follows by asking', async (t) => {
  const site = await start(t, { BROADCAST_CONNECTION: 'reverb', REVERB_APP_ID: 'x', REVERB_APP_KEY: 'x-key', REVERB_APP_SECRET: 'x-secret',
    REVERB_HOST: '127.0.0.1', REVERB_PORT: String(await freePort()), REVERB_SCHEME: 'http' });
  site.talks = true;
  const iris = await owner(site);
  const box = await iris.order();
  const page = await signIn(t, site, setUp(box));
  await live(page);
  await box.install(3);
  await shows(step(page, 4), 'in progress');
  await box.install();
  await page.waitForURL(`**/servers/${box.id}`);
});

pages('APP-4, APP-5: killed and started again, and without a WebSocket', async (t) => {
  const data = path.join(shared.scratch, 'cloud.db');
  const first = await start(t, '--data', data);
  const iris = await owner(first);
  const box = await iris.order('kept');
  const page = await signIn(t, first, setUp(box));
  await live(page);
  await first.kill();
  await shows(connection(page), /Reconnecting|Updating/);
  const second = await start(t, '--data', data, '--port', first.port);
  await box.install(2);
  await shows(step(page, 2), 'done');
  await live(page);
  assert.ok(await isSame(page));
  const blind = await page.context().newPage();
  let blocked = true;
  await blind.routeWebSocket(/.*/, (wire) => (blocked ? wire.close({ code: 1011, reason: 'blocked' }).catch(() => {}) : wire.connectToServer()));
  await blind.goto(second.url + setUp(box));
  await box.say(3);
  await shows(connection(blind), /Updating every/);
  await shows(step(blind, 3), 'done');
  blocked = false;
  await live(blind);
});

pages('PROV-17: live at each address of this machine, without a build in between', async (t) => {
  const site = await start(t);
  const further = await start(t, '--host', '127.0.0.2');
  for (const url of [site.url, site.url.replace('127.0.0.1', 'localhost'), further.url]) {
    const page = await signIn(t, { url });
    await live(page);
    assert.equal(new URL(page.url()).host, new URL(url).host);
  }
});

pages('PROV-13: a page on a slow line follows a flood, and ends where the log ends; others do not notice', async (t) => {
  const site = await start(t, '--simulate=1', '--speed', '2');
  const iris = await owner(site);
  const { id: busiest } = await iris.order();
  const page = await signIn(t, site, `/servers/${busiest}/provisioning`);
  await live(page);
  const other = await signIn(t, site, `/servers/${busiest}/provisioning`);
  await live(other);
  const line = await page.context().newCDPSession(page);
  await line.send('Network.emulateNetworkConditions', { offline: false, latency: 20, downloadThroughput: 100e3, uploadThroughput: 100e3 });
  let bytes = 0;
  page.on('response', async (answer) => {
    if (!/\/log\?/.test(answer.url())) return;
    const { from, next } = await answer.json().catch(() => ({ from: 0, next: 0 }));
    bytes += next - from;
  });
  const log = () => iris.json(`/api/v1/servers/${busiest}/log`);
  const before = (await log()).size;
  await iris.write('/demo/storm', { server: busiest });
  await shows(page.locator('#log'), 'storm: line');
  let size = 0;
  await until(async () => {
    const last = size;
    ({ size } = await log());
    await page.waitForTimeout(2000);
    return size === last;
  }, 'the flood is over');
  const lines = (await log()).text.trimEnd().split('\n');
  await until(async () => (await page.locator('#log').textContent()).endsWith(lines.at(-1)), 'the end of the log');
  const shown = (await page.locator('#log').textContent()).split('\n');
  assert.deepEqual(shown, lines.slice(-1000));
  assert.ok(bytes <= size - before + 3 * 65536, `${bytes} of ${size - before} bytes were asked for`);
  await until(async () => (await other.locator('#log').textContent()).endsWith(lines.at(-1)), 'the end of the log on the other page');
  for (const one of [page, other]) await live(one);
});

pages('APP-13, APP-14, PROV-18: who hands a server over sees that it is gone; names of people break and are text', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const name = `<img src=x>"'\u202e${'x'.repeat(80)}🙂`;
  const box = await iris.order(name);
  const page = await signIn(t, site, '/servers', IRIS, { viewport: { width: 320, height: 640 } });
  await live(page);
  await shows(page.locator('#servers li'), name);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no sideways scrolling');
  await page.goto(site.url + setUp(box));
  await live(page);
  await iris.write(`/api/v1/servers/${box.id}/owner`, { email: OMAR.email });
  await shows(page.getByRole('alert'), 'not here any more, or not yours');
  await shows(connection(page), 'Not live');
  const omar = await signIn(t, site, setUp(box), OMAR);
  await live(omar);
});
