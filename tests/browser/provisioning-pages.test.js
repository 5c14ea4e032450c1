'use strict';
// examples/provisioning, its pages: React and useEcho as npm has them.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { TOP, until } = require('../integration/lib.js');
const { IRIS, STEPS, asked, isSame, live, owner, pages, screenshot, setUp, shows, signIn, start, step } = require('./cloud.js');

const axe = fs.readFileSync(path.join(TOP, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');

pages('PROV-1, PROV-4: a server is set up before one\'s eyes, and then the page goes on unless one stays', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order('web-7');
  const page = await signIn(t, site, setUp(box));
  await live(page);
  for (let number = 1; number < STEPS; number++) {
    await box.say(number);
    await shows(step(page, number), 'done');
    await shows(step(page, number + 1), 'in progress');
    if (number !== 5) continue;
    await box.log('php: Unpacking php8.4-fpm (8.4.11-1) ...\nphp: Setting up php8.4-fpm (8.4.11-1) ...\nphp: <b>pool</b> www is listening');
    await shows(page.locator('#log'), '<b>pool</b> www');
    await page.screenshot({ path: screenshot('provisioning') });
  }
  const second = await signIn(t, site, setUp(box), IRIS, { clock: true });
  await live(second);
  await second.clock.pauseAt(Date.now() + 30000); // as long as it takes to press the button
  await box.say(10);
  await second.getByRole('button', { name: 'Stay here' }).click();
  await page.waitForURL(`**/servers/${box.id}`);
  await shows(page.locator('h1'), 'Ready');
  await second.clock.runFor(5000);
  assert.match(second.url(), /provisioning$/);
});

pages('PROV-4, PROV-A2: a failed step stays, says why with the last lines, and is tried again', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order('web');
  const page = await signIn(t, site, setUp(box));
  await live(page);
  await box.install(5);
  await box.log(Array.from({ length: 50 }, (_, i) => `line ${i + 1}`).join('\n'));
  await box.say(6, 'failed', 'apt ended with 100');
  await shows(page.getByRole('alert').first(), '“PHP” failed. apt ended with 100');
  await shows(page.locator('.last'), 'line 50');
  assert.equal((await page.locator('.last').textContent()).split('\n').length, 20);
  assert.equal(await page.title(), '● Failed: web');
  await page.screenshot({ path: screenshot('provisioning-failed') });
  await page.getByRole('button', { name: 'Try again' }).click();
  await shows(step(page, 6), 'in progress');
  assert.equal(await page.getByRole('alert').count(), 0);
});

pages('PROV-2: mounted and unmounted a hundred times under StrictMode it is one subscription, one event, one request', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  await box.install(); // so that the list does not ask by itself
  const page = await signIn(t, site, '/servers?debug');
  await live(page);
  const cookies = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const scripts = async (where) => /react-debug/.test(await (await fetch(site.url + where, { headers: { Cookie: cookies } })).text());
  assert.deepEqual([await scripts('/servers?debug'), await scripts('/servers')], [true, false]);
  await page.evaluate((id) => {
    const { createElement: h, StrictMode, useCallback } = React;
    window.heard = [];
    function Probe() {
      const heard = useCallback(({ revision }) => window.heard.push(revision), []);
      app.useLive(`servers.${id}.logs`, 'ServerLogAppended', heard);
      return null;
    }
    const root = ReactDOM.createRoot(document.createElement('div'));
    for (let i = 0; i <= 100; i++) ReactDOM.flushSync(() => root.render(h(StrictMode, null, i % 2 ? null : h(Probe, { key: i }))));
  }, box.id);
  const channels = () => page.evaluate(() => EchoReact.echo().connector.pusher.channels.all().filter(({ subscribed }) => subscribed).map(({ name }) => name));
  await until(async () => (await channels()).includes(`private-servers.${box.id}.logs`), 'subscribed');
  assert.equal((await channels()).filter((name) => name.endsWith('.logs')).length, 1);
  await live(page);
  const requests = asked(page, /api\/v1\/servers$/);
  await box.log('one');
  await until(async () => (await page.evaluate(() => window.heard.length)) > 0, 'heard');
  await iris.write(`/api/v1/servers/${box.id}/tasks`, { name: 'Run' }); // the list has one row of it
  await until(() => requests.length > 0, 'asked');
  await page.waitForTimeout(1500);
  assert.equal(await page.evaluate(() => window.heard.length), 1);
  assert.equal(requests.length, 1);
});

pages('PROV-3, PROV-15: only what has changed is asked for; what one reads and writes stays', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const page = await signIn(t, site, '/servers/1');
  await live(page);
  await page.locator('#owner summary').click();
  await page.getByLabel('E-mail address').fill('half@typ');
  await page.getByLabel('New task').focus();
  const row = page.locator('#tasks li').first();
  for (let attempt = 1; !/runs/.test(await page.locator('#tasks').innerText()) && attempt < 10; attempt++) { // it is seen before it is done
    await iris.write('/api/v1/servers/1/tasks', { name: `Renew ${attempt}` });
    await shows(row, `Renew ${attempt}`);
  }
  await live(page); // and the channel of the task is there
  await page.waitForLoadState('networkidle');
  const requests = asked(page, /api\/v1/);
  await shows(row, 'done at');
  assert.deepEqual(requests, [], 'the event has all of it');
  assert.equal(await page.locator('#owner').getAttribute('open'), '');
  assert.equal(await page.getByLabel('E-mail address').inputValue(), 'half@typ');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'name');
  assert.ok(await isSame(page));
});

pages('PROV-6, PROV-A4: while events keep coming the page moves', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  const page = await signIn(t, site, setUp(box));
  await live(page);
  let goes = true;
  const comes = (async () => { for (let i = 1; goes; i++) { await box.log(`tick ${i}`); await page.waitForTimeout(200); } })();
  for (const number of [3, 8, 15]) await shows(page.locator('#log'), `tick ${number}`); // nobody has stopped yet
  goes = false;
  await comes;
});

pages('PROV-A7: ten changes a second are one request a second at most', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  const page = await signIn(t, site, setUp(box));
  await live(page);
  await page.waitForLoadState('networkidle');
  const requests = asked(page, /servers\/\d+$/);
  const began = Date.now();
  for (let i = 0; i < 30; i++) {
    await box.say(1, 'failed', `Attempt ${i}`);
    await page.waitForTimeout(100);
    await iris.write(`/servers/${box.id}/retry`);
    await page.waitForTimeout(100);
  }
  await box.say(1);
  await shows(step(page, 2), 'in progress');
  assert.ok(requests.length <= 3 + (Date.now() - began) / 1000, `${requests.length} requests`);
});

pages('APP-16: each page is accessible, in both colours and on a phone', async (t) => {
  const site = await start(t, '--simulate=2');
  const iris = await owner(site);
  const box = await iris.order('web-7');
  await box.install(5);
  await box.log('unpacking');
  await box.say(6, 'failed', 'apt ended with 100');
  const page = await signIn(t, site);
  for (const [name, where] of [['start', '/'], ['list', '/servers'], ['steps', setUp(box)], ['server', '/servers/1'], ['deployment', '/sites/1/deployment']]) {
    await page.goto(site.url + where);
    if (name !== 'start') await live(page);
    await page.evaluate(axe);
    for (const [look, colorScheme, width] of [['light', 'light', 1280], ['dark', 'dark', 1280], ['phone', 'light', 320]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const { violations } = await page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), [], `${name}, ${look}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}, ${look}`);
      await page.screenshot({ path: screenshot(`provisioning-${name}-${look}`) });
    }
  }
});
