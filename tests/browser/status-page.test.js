'use strict';
// examples/status-page in a real browser: what a visitor sees, what a member can do, and what nobody may.
// What the pages look like is left in BUILD/screenshots/.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { TOP, until } = require('../integration/lib.js');
const {
  ADMIN, API_SERVICE, HIDDEN_SERVICE, MEMBER, OWNER, STRANGER,
  client, connection, isSame, live, open, overall, pill, screenshot, shows, signIn, start, toasted,
} = require('./site.js');

const axe = fs.readFileSync(path.join(TOP, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');

async function change(page, id, label, message) {
  const service = page.locator(`#service-${id}`);
  await service.getByText('Change status').click();
  await service.getByLabel(label).check();
  await service.getByLabel('Message').fill(message);
  await service.getByRole('button', { name: 'Update' }).click();
}

test('an incident, from the dashboard to every page and back to normal', async (t) => {
  const site = await start(t);
  const visitor = await open(t, `${site.url}/status/lighthouse`);
  const owner = await signIn(t, site, OWNER);
  for (const page of [visitor, owner]) await live(page);
  await shows(overall(visitor), 'All systems operational');
  await visitor.screenshot({ path: screenshot('status-light'), fullPage: true });

  await owner.getByText('Open an incident').click();
  const form = owner.locator('#new-incident');
  await form.getByLabel('Title').fill('Requests fail');
  await form.getByLabel('What do people need').fill('One in ten requests is answered with 503.');
  await form.getByLabel('What does it do').selectOption('Partial outage');
  await form.getByLabel('Public API').check();
  await form.getByLabel('Build farm').check();
  await owner.screenshot({ path: screenshot('dashboard-form') });
  await form.getByRole('button', { name: 'Open incident' }).click();

  for (const page of [visitor, owner]) {
    await shows(page.locator('#incidents h2'), 'Requests fail');
    await shows(page.locator('#incidents .pill'), 'Investigating');
    await shows(pill(page), 'Partial outage');
    await shows(overall(page), 'Partial system outage');
    await shows(page.locator('#activity li').first(), 'One in ten requests');
    await toasted(page, 'New incident: Requests fail');
    assert.equal(await isSame(page), true, 'the page was loaded again');
  }
  await shows(pill(owner, HIDDEN_SERVICE), 'Partial outage');
  await shows(owner.locator('#incidents'), 'Build farm');
  assert.equal(await visitor.getByText('Build farm').count(), 0, 'a service that is not public');

  // What somebody is writing stays while the page follows.
  await owner.getByText('Post an update').click();
  const update = owner.locator('#incidents details');
  await update.getByLabel('What is new?').fill('Rack 4 has lost a power sup');
  await (await client(site, ADMIN)).write('services/2/status', { status: 'degraded', message: 'Slow as well.' });
  await shows(pill(owner, 2), 'Degraded performance');
  await update.getByLabel('What is new?').pressSequentially('ply.');
  await update.getByLabel('Identified').check();
  await update.getByLabel('Internal note').check();
  await update.getByRole('button', { name: 'Post' }).click();
  await shows(owner.locator('.story .internal'), 'Rack 4 has lost a power supply.');
  await owner.getByText('Post an update').click();
  await update.getByLabel('What is new?').fill('A faulty power supply is being replaced.');
  await update.getByLabel('Monitoring').check();
  await update.getByRole('button', { name: 'Post' }).click();
  for (const page of [visitor, owner]) await shows(page.locator('#incidents .story'), 'is being replaced');
  assert.equal(await visitor.getByText('Rack 4').count(), 0, 'an internal note');
  assert.equal(await visitor.getByText('Demo owner').count(), 0, 'a name');
  await shows(owner.locator('#activity li').first(), 'Demo owner');
  await visitor.screenshot({ path: screenshot('status-light-incident'), fullPage: true });
  await owner.screenshot({ path: screenshot('dashboard-light'), fullPage: true });

  await owner.getByText('Post an update').click();
  await update.getByLabel('What is new?').fill('Everything is answered again.');
  await update.getByLabel('Resolved').check();
  await update.getByRole('button', { name: 'Post' }).click();
  for (const page of [visitor, owner]) {
    await shows(pill(page), 'Operational');
    await shows(overall(page), 'Some systems are slow'); // the other one, set by hand
    await shows(page.locator('#past'), 'Requests fail');
    await until(async () => (await page.locator('#incidents section').count()) === 0);
  }
});

test('a maintenance starts and ends by itself, and by hand', async (t) => {
  const site = await start(t);
  const visitor = await open(t, `${site.url}/status/lighthouse`);
  const owner = await signIn(t, site, OWNER);
  for (const page of [visitor, owner]) await live(page);
  await owner.getByText('Schedule maintenance').click();
  const form = owner.locator('#new-maintenance');
  await form.getByLabel('Title').fill('New disks');
  await form.getByLabel('Minutes').fill('30');
  await form.getByLabel('Object storage').check();
  await form.getByRole('button', { name: 'Schedule' }).click(); // in an hour, says the form
  for (const page of [visitor, owner]) {
    await toasted(page, 'Maintenance scheduled: New disks');
    await shows(page.locator('#maintenances'), 'Scheduled');
  }
  await owner.locator('#maintenances section').filter({ hasText: 'New disks' }).getByRole('button', { name: 'Start now' }).click();
  for (const page of [visitor, owner]) {
    await shows(pill(page, 6), 'Maintenance');
    await toasted(page, 'Maintenance started: New disks');
    await shows(overall(page), 'Maintenance under way');
  }
  await owner.getByRole('button', { name: 'Complete now' }).click();
  for (const page of [visitor, owner]) {
    await shows(pill(page, 6), 'Operational');
    await toasted(page, 'Maintenance completed: New disks');
  }

  const api = await client(site, OWNER);
  const startsAt = new Date(Date.now() + 3000).toISOString().slice(0, 19);
  await api.write('organizations/1/maintenances', { title: 'By itself', message: '', starts_at: startsAt, minutes: '1', service_6: '1' });
  for (const page of [visitor, owner]) {
    await toasted(page, 'Maintenance started: By itself');
    await shows(pill(page, 6), 'Maintenance');
  }
  t.diagnostic(`started ${Date.now() - Date.parse(`${startsAt}Z`)} ms after its time`);
  assert.ok(Date.now() >= Date.parse(`${startsAt}Z`), 'it began too early');
  // Those that are due already begin at the next tick, and those that are over by then end.
  const now = new Date(Date.now() - 50000).toISOString().slice(0, 19);
  await api.write('organizations/1/maintenances', { title: 'Late', message: '', starts_at: now, minutes: '1' });
  await toasted(visitor, 'Maintenance completed: Late');
});

test('pages look right in the dark and on a phone, and everybody can use them', async (t) => {
  const site = await start(t);
  const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true };
  const dark = { colorScheme: 'dark' };
  const owner = await client(site, OWNER);
  await owner.write('services/7/status', { status: 'maintenance', message: 'New routers until 14:00 UTC.' });
  await owner.write('organizations/1/incidents', {
    title: 'Control panel is slow', message: 'Pages take some seconds.', effect: 'degraded', service_2: '1' });
  await owner.write('incidents/4/updates', { state: 'identified', message: 'It is the session store.', internal: '1' });
  await owner.write('incidents/4/updates', { state: 'identified', message: 'We know why, and work on it.' });
  const shots = {
    'start-light': await open(t, site.url),
    'start-dark-phone': await open(t, site.url, { ...dark, ...phone }),
    'status-dark': await open(t, `${site.url}/status/lighthouse`, dark),
    'status-phone': await open(t, `${site.url}/status/lighthouse`, phone),
    'login-light': await open(t, `${site.url}/login`),
    'error-light': await open(t, `${site.url}/status/nobody-has-this/one`),
    'dashboard-dark': await signIn(t, site, OWNER, dark),
    'dashboard-phone': await signIn(t, site, OWNER, phone),
    'dashboard-member': await signIn(t, site, MEMBER),
    'status-readme': await open(t, `${site.url}/status/lighthouse`, { viewport: { width: 960, height: 1000 } }),
  };
  await shots['dashboard-phone'].locator('#new-maintenance summary').click();
  await shots['dashboard-dark'].locator('.service .change summary').first().click();
  for (const [name, page] of Object.entries(shots)) {
    if (await connection(page).count()) await live(page);
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({ path: screenshot(name), fullPage: name !== 'status-readme' });
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(inner <= outer, `${name}: ${inner} pixels wide in a window of ${outer}`);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    // Through the protocol, past the page's own policy, which allows no foreign script.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ''}`).join('\n  ')}`);
    assert.deepEqual(found, [], name);
  }
});

test('without scripts the page is complete and the dashboard works', async (t) => {
  const site = await start(t);
  const plain = { javaScriptEnabled: false };
  const owner = await signIn(t, site, OWNER, plain);
  await change(owner, API_SERVICE, 'Major outage', 'Nothing works.');
  await shows(pill(owner), 'Major outage');
  await owner.getByText('Open an incident').click();
  await owner.locator('#new-incident').getByLabel('Title').fill('It burns');
  await owner.locator('#new-incident').getByLabel('What do people need').fill('We are out.');
  await owner.getByRole('button', { name: 'Open incident' }).click();
  const visitor = await open(t, `${site.url}/status/lighthouse`, plain);
  await shows(overall(visitor), 'Major system outage');
  await shows(visitor.locator(`#service-${API_SERVICE}`), 'Nothing works.');
  await shows(visitor.locator('#incidents'), 'It burns');
  assert.equal(await connection(visitor).isVisible(), false);
});

test('text from people stays text', async (t) => {
  const site = await start(t);
  const visitor = await open(t, `${site.url}/status/lighthouse`);
  await live(visitor);
  const owner = await client(site, OWNER);
  const message = `<img src=x onerror="document.title='broken'"> & "quotes" 'too' {{name}} \u{1f980}`;
  await owner.write(`services/${API_SERVICE}/status`, { status: 'degraded', message });
  await shows(pill(visitor), 'Degraded performance');
  assert.equal(await visitor.locator('#activity li').first().locator('p').nth(1).textContent(), message);
  await toasted(visitor, '<img src=x');
  assert.equal(await visitor.locator('main img').count(), 0);
  const head = (await fetch(`${site.url}/status/lighthouse`)).headers;
  assert.match(head.get('content-security-policy'), /script-src 'self';/);
});

test('who may not change anything does not', async (t) => {
  const site = await start(t);
  const [owner, admin, member] = await Promise.all([OWNER, ADMIN, MEMBER].map((user) => client(site, user)));
  const stranger = await client(site, STRANGER);
  const nobody = { cookie: '' };
  // What, who may at least, and fields that would be right.
  const writes = [
    [`services/${API_SERVICE}/status`, admin, { status: 'major_outage', message: '' }],
    ['organizations/1/incidents', admin, { title: 'x', message: 'x', effect: 'degraded' }],
    ['incidents/1', admin, { title: 'x', effect: 'degraded' }],
    ['maintenances/2', admin, { title: 'x', starts_at: '2040-01-01T00:00', minutes: '5' }],
    ['maintenances/2/updates', admin, { message: 'x' }],
    ['organizations/1/services', admin, { name: 'x', group: 'x' }],
    ['organizations/1/members', owner, { email: 'member@paperplane.example', role: 'member' }],
    ['incidents/1/updates', admin, { state: 'identified', message: 'x' }],
    ['organizations/1/maintenances', admin, { title: 'x', message: 'x', starts_at: '2030-01-01T00:00', minutes: '5' }],
    ['maintenances/2/state', admin, { state: 'started' }],
    ['organizations/1/members/3/remove', owner, {}],
    ['organizations/1/visibility', owner, { public: '0' }],
  ];
  const before = await (await fetch(`${site.url}/api/v1/organizations/lighthouse`)).json();
  for (const [what, least, fields] of writes) {
    const status = async (who, headers) => (await who.post(`/api/v1/${what}`, fields, headers)).status;
    assert.equal(await status(owner, { 'X-CSRF-Token': '' }), 403, `${what}: no token`);
    assert.equal(await status(owner, { 'X-CSRF-Token': 'f'.repeat(64) }), 403, `${what}: wrong token`);
    assert.equal(await status(owner, nobody), 401, `${what}: no session`);
    assert.equal(await status(member), 403, `${what}: a member`);
    if (least === owner) assert.equal(await status(admin), 403, `${what}: an admin`);
    assert.equal(await status(stranger), 404, `${what}: somebody of another organization`);
  }
  const refused = [
    [`services/${API_SERVICE}/status`, { status: 'bad' }],
    [`services/${API_SERVICE}/status`, { status: 'resolved' }],
    [`services/${API_SERVICE}/status`, { status: 'degraded', message: 'x'.repeat(2001) }],
    [`services/${API_SERVICE}/status`, { status: 'degraded', message: 'a bell \u0007' }],
    ['organizations/1/incidents', { title: '', message: 'x', effect: 'degraded' }],
    ['organizations/1/incidents', { title: 'x', message: 'x', effect: 'operational' }],
    ['incidents/1/updates', { state: 'identified', message: 'It is over already' }],
    ['organizations/1/maintenances', { title: 'x', message: 'x', starts_at: 'now', minutes: '5' }],
    ['organizations/1/maintenances', { title: 'x', message: 'x', starts_at: '2030-01-01T00:00', minutes: '0' }],
    ['maintenances/2/state', { state: 'scheduled' }],
    ['maintenances/2/state', { state: 'completed' }],
    ['organizations/1/members/1/remove', {}],
    ['organizations/1/members/4/remove', {}],
  ];
  for (const [what, fields] of refused)
    assert.equal((await owner.post(`/api/v1/${what}`, fields)).status, 422, `${what} ${JSON.stringify(fields).slice(0, 80)}`);
  assert.equal((await owner.post('/api/v1/services/999/status', { status: 'degraded' })).status, 404);
  assert.equal((await owner.post('/api/v1/maintenances/1/state', { state: 'started' })).status, 404, 'an incident');
  assert.equal(stranger.location, '/dashboard/paperplane');
  assert.equal((await client(site, { ...OWNER, password: 'wrong' })).status, 422);
  assert.equal((await client(site, { ...OWNER, email: 'nobody@lighthouse.example' })).status, 422);
  const { revision, groups } = await (await fetch(`${site.url}/api/v1/organizations/lighthouse`)).json();
  assert.equal(revision, before.revision);
  assert.deepEqual(groups.map(({ services }) => services.map(({ status }) => status)),
    before.groups.map(({ services }) => services.map(({ status }) => status)));
});

test('what is private is shown to members only', async (t) => {
  const site = await start(t);
  const stranger = await client(site, STRANGER, 'paperplane');
  const owner = await client(site, OWNER);
  const anonymous = await fetch(`${site.url}/status/paperplane`, { redirect: 'manual' });
  assert.equal(anonymous.status, 303);
  assert.equal(anonymous.headers.get('location'), '/login?organization=paperplane&page=status');
  assert.equal((await fetch(`${site.url}/api/v1/organizations/paperplane`)).status, 404);
  assert.equal((await owner.get('/status/paperplane')).status, 404);
  assert.equal((await owner.get('/dashboard/paperplane')).status, 404);
  assert.equal((await owner.get('/api/v1/organizations/paperplane')).status, 404);
  assert.equal((await stranger.get('/status/paperplane')).status, 200);
  assert.equal((await stranger.get('/dashboard/lighthouse')).status, 404);

  // And of a public one, visitors get the public part.
  const seen = await (await fetch(`${site.url}/api/v1/organizations/lighthouse`)).text();
  assert.doesNotMatch(seen, /Build farm|Demo owner|holds a lock|@lighthouse/);
  assert.match(await (await owner.get('/api/v1/organizations/lighthouse')).text(), /Build farm.*holds a lock.*@lighthouse/s);
});

test('the page is drawn again only after a change', async (t) => {
  const site = await start(t);
  const page = `${site.url}/status/lighthouse`;
  let etag;
  await until(async () => { // it is drawn again each minute, too
    etag = (await fetch(page)).headers.get('etag');
    return (await fetch(page, { headers: { 'If-None-Match': etag } })).status === 304;
  });
  await (await client(site, OWNER)).write(`services/${API_SERVICE}/status`, { status: 'degraded', message: '' });
  assert.equal((await fetch(page, { headers: { 'If-None-Match': etag } })).status, 200);
});

test('metrics and the trace tell what the program does', async (t) => {
  const site = await start(t, { BROADCAST_DEBUG: '1' });
  await live(await open(t, `${site.url}/status/lighthouse`));
  const owner = await client(site, OWNER);
  await owner.write(`services/${API_SERVICE}/status`, { status: 'degraded', message: 'Slow' });
  const metrics = async () => (await owner.get('/api/v1/websocket/metrics')).json();
  await until(async () => (await metrics()).connections === 1);
  await until(async () => (await metrics()).publishes_total === 1);
  await until(() => /^broadcast: organization\.1: for a visitor$/m.test(site.stderr), () => site.stderr);
  await until(() => /^broadcast: organization\.1 service\.status\.changed \{.*"by":"Demo owner".*\}$/m.test(site.stderr), () => site.stderr);
});
