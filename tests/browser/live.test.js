'use strict';
// examples/status-page while things happen: who hears of what and how fast, who does not, and what open pages do when the
// program is away.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const { connect, sleep, until } = require('../integration/lib.js');
const {
  ADMIN, API_SERVICE, HIDDEN_SERVICE, MEMBER, OWNER, PROMPT_MS, STRANGER, STRANGE_MEMBER,
  client, connection, isSame, listener, live, mark, open, overall, pill, screenshot, shared, shows, signIn, start,
} = require('./site.js');

/** Writes down what stock pusher-js hands to the page's channels. */
const eavesdrop = (page) => page.evaluate(() => {
  window.heard = [];
  window.statusPage.echo.connector.pusher.bind_global((name, data) => {
    if (/^(service|incident|maintenance)\./.test(name)) window.heard.push({ name, data, at: Date.now() });
  });
});
const heard = (page) => page.evaluate(() => window.heard);

test('every event is on every page that should have it, soon, and on no other', async (t) => {
  const site = await start(t);
  const status = `${site.url}/status/lighthouse`;
  const ours = {
    visitor: await open(t, status),
    'visitor on a phone': await open(t, status, { viewport: { width: 390, height: 844 } }),
    owner: await signIn(t, site, OWNER),
    member: await signIn(t, site, MEMBER),
  };
  const theirs = {
    'owner elsewhere': await signIn(t, site, STRANGER, {}, 'paperplane'),
    'member elsewhere': await signIn(t, site, STRANGE_MEMBER, {}, 'paperplane'),
  };
  for (const page of [...Object.values(ours), ...Object.values(theirs)]) {
    await live(page);
    await eavesdrop(page);
  }
  const admin = await client(site, ADMIN);
  let slowest = 0;

  /** One write, and the events that it must cause: on all our pages, or on those of members only. */
  async function check(where, fields, names, { membersOnly = false } = {}) {
    const at = Date.now();
    await admin.write(where, fields);
    for (const [who, page] of Object.entries(ours)) {
      const expected = membersOnly && who.startsWith('visitor') ? [] : names;
      await until(async () => (await heard(page)).length >= expected.length, `${names} for the ${who}`);
      const events = await page.evaluate(() => window.heard.splice(0));
      assert.deepEqual(events.map(({ name }) => name), expected, who);
      for (const { name, data, at: then } of events) {
        assert.equal(data.v, 2);
        assert.ok(Math.abs(Date.parse(data.timestamp) - at) < 60000, `${name} has no timestamp`);
        assert.ok(JSON.stringify(data).length < 1000, 'not small');
        assert.equal(data.by, who.startsWith('visitor') ? undefined : 'Demo admin', `${who}: ${JSON.stringify(data)}`);
        slowest = Math.max(slowest, then - at);
      }
    }
  }

  await check(`services/${API_SERVICE}/status`, { status: 'degraded', message: 'Slow' }, ['service.status.changed']);
  await check(`services/${HIDDEN_SERVICE}/status`, { status: 'major_outage', message: 'Fire' }, ['service.status.changed'], { membersOnly: true });
  await check('organizations/1/incidents', { title: 'Trouble', message: 'We look.', effect: 'partial_outage', service_4: '1' },
    ['incident.created', 'service.status.changed']);
  await check('incidents/4/updates', { state: 'identified', message: 'A note', internal: '1' }, ['incident.updated'], { membersOnly: true });
  await check('incidents/4/updates', { state: 'monitoring', message: 'We wait.' }, ['incident.updated']);
  await check('incidents/4/updates', { state: 'resolved', message: 'Over.' }, ['incident.resolved', 'service.status.changed']);
  await check('organizations/1/incidents', { title: 'Inside', message: 'Build farm', effect: 'degraded', [`service_${HIDDEN_SERVICE}`]: '1' },
    ['incident.created', 'service.status.changed'], { membersOnly: true });
  await check('organizations/1/maintenances', { title: 'Disks', message: '', starts_at: '2040-01-01T00:00', minutes: '5', service_6: '1' },
    ['maintenance.scheduled']);
  await check('maintenances/6/state', { state: 'started' }, ['maintenance.started', 'service.status.changed']);
  await check('maintenances/6/state', { state: 'completed' }, ['maintenance.completed', 'service.status.changed']);
  t.diagnostic(`from the write to the last page: at most ${slowest} ms`);
  assert.ok(slowest < PROMPT_MS);

  // Names, notes and what is hidden have not come by the page either.
  for (const who of ['visitor', 'visitor on a phone'])
    assert.doesNotMatch(await ours[who].locator('body').innerText(), /Demo|A note|Build farm|Inside|Fire/, who);
  await shows(ours.member.locator('#activity'), 'A note');

  // The other organization has heard nothing of all this; and the other way round.
  await (await client(site, STRANGER, 'paperplane')).write('services/8/status', { status: 'degraded', message: 'Slow' });
  for (const [who, page] of Object.entries(theirs)) {
    await shows(pill(page, 8), 'Degraded performance');
    assert.deepEqual((await heard(page)).map(({ data }) => data.service_id), [8], who);
  }
  for (const page of Object.values(ours)) assert.deepEqual(await heard(page), []);
});

test('who is there is shown to members, and who is not any more', async (t) => {
  const site = await start(t);
  const owner = await signIn(t, site, OWNER);
  const faces = owner.locator('#faces li');
  await shows(faces, 'Demo owner (you)');
  const member = await signIn(t, site, MEMBER);
  await shows(faces, 'Demo member');
  await shows(member.locator('#faces li'), 'Demo owner');
  const second = await signIn(t, site, MEMBER); // the same person once more is no further face
  await live(second);
  assert.equal(await faces.count(), 2);
  await second.context().close();
  await member.getByRole('button', { name: 'Sign out' }).click();
  await until(async () => (await faces.count()) === 1);
});

test('ST-15: a member who is removed hears nothing from then on', async (t) => {
  const site = await start(t);
  const owner = await signIn(t, site, OWNER);
  const member = await signIn(t, site, MEMBER);
  const cookie = (await client(site, MEMBER)).cookie;
  const feed = await listener(site, 1, cookie);
  const online = await listener(site, 1, cookie, 'presence-organization.1');
  assert.match(feed.answer.event, /succeeded/);
  assert.match(online.answer.event, /succeeded/);
  for (const page of [owner, member]) await live(page);
  await shows(owner.locator('#faces'), 'Demo member');

  await owner.getByText('Remove Demo member', { exact: true }).click();
  await owner.getByRole('button', { name: 'Yes, remove Demo member' }).click();
  await shows(member.locator('main'), 'You are no longer a member');
  await shows(member.locator('main'), 'An owner of Lighthouse Hosting has removed you');
  await online.event('pusher:subscription_error');
  await until(async () => !/Demo member/.test(await owner.locator('#faces').innerText()));
  await until(async () => !/Demo member/.test(await owner.locator('#people').innerText()));
  // The organization is public: what is left is what everybody gets.
  const admin = await client(site, ADMIN);
  await admin.write(`services/${HIDDEN_SERVICE}/status`, { status: 'degraded', message: 'Secret' });
  await admin.write('services/1/status', { status: 'degraded', message: 'For all' });
  const event = JSON.parse((await feed.event('service.status.changed')).data);
  assert.equal(event.message, 'For all');
  assert.equal(event.by, undefined);
  assert.deepEqual(online.inbox.rest().filter((frame) => /^(service|incident)/.test(frame.event)), []);

  // Of a private one, nothing is left.
  const paperplane = await client(site, STRANGER, 'paperplane');
  const lost = await listener(site, 2, (await client(site, STRANGE_MEMBER, 'paperplane')).cookie);
  assert.match(lost.answer.event, /succeeded/);
  await paperplane.write('organizations/2/members/5/remove', {});
  await paperplane.write('services/8/status', { status: 'degraded', message: 'Secret' });
  assert.match((await lost.event('pusher:subscription_error')).raw, /403/);
  await lost.settle();
  assert.ok(!lost.frames.some((frame) => frame.event === 'service.status.changed'), 'heard of it');
});

test('who signs out takes the session with him, from other windows too', async (t) => {
  const site = await start(t);
  const session = await client(site, OWNER);
  const other = await client(site, OWNER);
  const gone = await listener(site, 1, session.cookie);
  const stays = await listener(site, 1, other.cookie);
  assert.equal((await session.post('/logout', {})).status, 303);
  let by; // in what each hears of one write
  const change = async (status) => {
    await other.write('services/1/status', { status, message: 'x' });
    by = await Promise.all([gone, stays].map(async (socket) => JSON.parse((await socket.event('service.status.changed')).data).by));
  };
  await until(async () => { // a moment later
    for (const status of ['degraded', 'operational']) await change(status);
    return by[0] === undefined;
  }, 'the end of what members see');
  assert.equal(by[1], 'Demo owner');
  assert.equal((await session.get('/dashboard/lighthouse')).status, 303);
});

test('what is private stays private on the WebSocket', async (t) => {
  const site = await start(t);
  assert.match((await listener(site, 2)).answer.event, /error/, 'a visitor of a private organization');
  const owner = await client(site, OWNER);
  assert.match((await listener(site, 2, owner.cookie)).answer.event, /error/, 'an owner of another one');
  assert.match((await listener(site, 1, undefined, 'presence-organization.1')).answer.event, /error/, 'a visitor among members');
  assert.match((await listener(site, 1)).answer.event, /succeeded/);
  // A page of another origin brings the cookie along. It must not speak for its owner.
  const foreign = await connect({ port: site.port }, {
    app: { key: 'status-page-key' }, headers: { cookie: owner.cookie, origin: 'http://elsewhere.example' } }).then(() => 'let in', (error) => String(error));
  assert.match(foreign, /4009|error/i);

  // Made private while visitors look at it.
  const visitor = await open(t, `${site.url}/status/lighthouse`);
  await live(visitor);
  const socket = await listener(site, 1);
  await owner.write('organizations/1/visibility', { public: '0' });
  await socket.event('pusher:subscription_error');
  await shows(visitor.locator('main'), 'This page is private now');
  assert.equal(await visitor.locator('.service').count(), 0, 'what was shown is still there');
  await owner.write('organizations/1/visibility', { public: '1' });
  assert.equal((await fetch(`${site.url}/status/lighthouse`)).status, 200);
});

test('the program is killed and started again: pages say so, come back and catch up', async (t) => {
  const data = ['--data', path.join(shared.scratch, 'killed.sqlite')];
  const first = await start(t, ...data);
  const visitor = await open(t, `${first.url}/status/lighthouse`);
  const owner = await signIn(t, first, OWNER);
  for (const page of [visitor, owner]) await live(page);
  await first.kill();
  for (const page of [visitor, owner]) await shows(connection(page), 'Reconnecting');
  await visitor.screenshot({ path: screenshot('status-reconnecting') });

  // A change that no page is told about.
  const between = await start(t, ...data);
  await (await client(between, OWNER)).write(`services/${API_SERVICE}/status`, { status: 'degraded', message: 'Missed' });
  await between.stop();
  await shows(pill(visitor), 'Operational');

  await start(t, ...data, '--port', first.port);
  for (const page of [visitor, owner]) {
    await live(page);
    await shows(pill(page), 'Degraded performance');
    await shows(page.locator('#activity li').first(), 'Missed');
    assert.equal(await isSame(page), true, 'the page was loaded again');
  }
  // And the session is still good.
  const service = owner.locator(`#service-${API_SERVICE}`);
  await service.getByText('Change status').click();
  await service.getByLabel('Operational').check();
  await service.getByRole('button', { name: 'Update' }).click();
  await shows(pill(visitor), 'Operational');
});

test('ST-21: a page that gets no WebSocket asks by itself, says so, and stops when it is connected', async (t) => {
  const site = await start(t);
  const owner = await client(site, OWNER);
  // One whose connections are closed at once, and one whose connections hang: pusher-js calls the first
  // "unavailable" after a while, the second stays "connecting".
  for (const [what, hinder] of Object.entries({ closed: (socket) => socket.close(), hanging: () => {} })) {
    const context = await shared.browser.newContext();
    t.after(() => context.close());
    let hindered = true;
    await context.routeWebSocket(/\/app\//, (socket) => {
      if (hindered) hinder(socket);
      else socket.connectToServer();
    });
    const visitor = await context.newPage();
    await visitor.clock.install();
    let asked = 0;
    visitor.on('request', (request) => { if (request.resourceType() === 'fetch') asked++; });
    await visitor.goto(`${site.url}/status/lighthouse`);
    await mark(visitor);
    await shows(connection(visitor), 'Connecting');
    await owner.write(`services/${API_SERVICE}/status`, { status: 'degraded', message: what });
    await visitor.clock.fastForward(5000);
    await shows(pill(visitor), 'Degraded performance');
    await shows(connection(visitor), 'Updating every 10 s');
    await visitor.clock.fastForward(10000);
    await shows(connection(visitor), 'Updating every 30 s');
    hindered = false;
    await visitor.clock.fastForward(30000);
    await live(visitor);
    // It may be catching up; what asks by itself would in each of these half minutes.
    await until(async () => {
      const before = asked;
      await visitor.clock.fastForward(35000);
      await sleep(300);
      return asked === before;
    }, 'it still asks');
    assert.equal(await isSame(visitor), true, 'the page was loaded again');
    await owner.write(`services/${API_SERVICE}/status`, { status: 'operational', message: '' });
    await shows(pill(visitor), 'Operational');
  }
});

test('200 open pages follow', async (t) => {
  const site = await start(t);
  const status = `${site.url}/status/lighthouse`;
  const real = [await open(t, status), await open(t, status), await signIn(t, site, OWNER)];
  for (const page of real) await live(page);
  // The others do what a page does, without a browser around it.
  const others = [];
  for (let i = real.length; i < 200; i++) others.push(await listener(site, 1));
  const owner = await client(site, OWNER);
  const rounds = [['partial_outage', 'Partial system outage'], ['operational', 'All systems operational']];
  for (const [state, text] of rounds) {
    const began = Date.now();
    const told = [];
    const events = others.map((socket) => socket.event('service.status.changed').then(() => told.push(Date.now() - began)));
    await owner.write(`services/${API_SERVICE}/status`, { status: state, message: '' });
    await Promise.all(events);
    const asked = Date.now();
    await Promise.all(others.map(async () => assert.match(await (await fetch(status)).text(), new RegExp(text))));
    for (const page of real) await shows(overall(page), text);
    t.diagnostic(`200 pages: told within ${Math.max(...told)} ms, and all have asked after ${Date.now() - asked} ms more`);
    assert.ok(Math.max(...told) < PROMPT_MS);
  }
  const metrics = await (await owner.get('/api/v1/websocket/metrics')).json();
  assert.equal(metrics.connections, 200);
  assert.equal(metrics.slow_closed_total, 0);
  for (const socket of others) socket.ws.terminate();
});
