'use strict';
// examples/status-page: what members of an organization can do, by its dashboard, its API and the command line.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');

const { BUILD, until } = require('../integration/lib.js');
const {
  ADMIN, API_SERVICE, MEMBER, OWNER, client, listener, live, open, organization, overall, pill, screenshot, shared, shows, signIn, start,
} = require('./site.js');

test('ST-5: writes are taken at the addresses and with the fields that the document has', async (t) => {
  const site = await start(t);
  const admin = await client(site, ADMIN);
  const page = await listener(site, 1);
  const send = (method, where, body) => admin.send(method, where, JSON.stringify(body), { 'Content-Type': 'application/json' });
  assert.equal((await send('PATCH', `/services/${API_SERVICE}/status`, { status: 'degraded', message: 'Slow' })).status, 200);
  assert.equal(JSON.parse((await page.event('service.status.changed')).data).service.status, 'degraded');
  assert.equal((await send('POST', '/incidents', { title: 'Trouble', description: 'One\n\nTwo', severity: 'minor', [`service_${API_SERVICE}`]: true })).status, 200);
  const created = JSON.parse((await page.event('incident.created')).data);
  assert.deepEqual([created.incident.title, created.incident.effect, created.message], ['Trouble', 'degraded', 'One\n\nTwo']);
  assert.deepEqual((await organization(site)).incidents.map(({ affects }) => affects), ['Public API']);
  assert.equal((await admin.send('PATCH', `/services/${API_SERVICE}/status`, new URLSearchParams({ status: 'operational' }))).status, 200, 'a form');

  for (const [where, allow] of [['/services/4/status', 'PATCH'], ['/api/v1/services/4/status', 'POST, PATCH']])
    assert.equal((await admin.send('GET', where)).headers.get('allow'), allow);

  const member = await client(site, MEMBER);
  assert.equal((await member.send('PATCH', `/services/${API_SERVICE}/status`, new URLSearchParams({ status: 'degraded' }))).status, 403);
  assert.equal((await member.send('POST', '/incidents', new URLSearchParams({ title: 'x', description: 'x', severity: 'minor' }))).status, 403);
  assert.equal((await fetch(`${site.url}/incidents`, { method: 'POST', headers: { Accept: 'application/json' } })).status, 401);
  for (const body of ['{', '[]', '{"title":7}', '{"title":"x","description":"x","severity":"none"}'])
    assert.equal((await admin.send('POST', '/incidents', body, { 'Content-Type': 'application/json' })).status, 422, body);
});

test('ST-16: texts have paragraphs and links; notices are corrected, moved and cancelled', async (t) => {
  const site = await start(t);
  const admin = await client(site, ADMIN);
  const page = await listener(site, 1);
  const names = async (count) => {
    const found = [];
    while (found.length < count) found.push(await page.next((frame) => /^(service|incident|maintenance)\./.test(frame.event)));
    return found.map(({ event }) => event);
  };
  const text = 'First.\r\n\r\nSee https://status.example/a?b=1&c=2. <b>Not bold</b> javascript:alert(1)';
  await admin.write('organizations/1/incidents', { title: 'Trouble', message: text, effect: 'degraded', [`service_${API_SERVICE}`]: '1' });
  assert.deepEqual(await names(2), ['incident.created', 'service.status.changed']);
  const html = await (await fetch(`${site.url}/status/lighthouse`)).text();
  assert.match(html, /First\.\n\nSee <a href="https:\/\/status\.example\/a\?b=1&amp;c=2" rel="[^"]*">https:[^<]*<\/a>\. &lt;b&gt;Not bold/);
  assert.doesNotMatch(html, /href="javascript/);

  // Another title, effect and service: the one that was wrong is operational again.
  const fixed = { title: 'Real trouble', effect: 'partial_outage', services: '1', service_6: '1' };
  await admin.write('incidents/4', fixed);
  assert.deepEqual((await names(3)).sort(), ['incident.updated', 'service.status.changed', 'service.status.changed']);
  const now = await organization(site);
  assert.deepEqual(now.incidents.map(({ title, affects, effect }) => [title, affects, effect]), [['Real trouble', 'Object storage', 'partial_outage']]);
  const statuses = now.groups.flatMap(({ services }) => services).filter(({ id }) => [4, 6].includes(id)).map(({ status }) => status);
  assert.deepEqual(statuses, ['operational', 'partial_outage']);
  assert.deepEqual(await (await admin.post('/api/v1/incidents/4', fixed)).json(), { ok: true, changed: false });

  const times = { title: 'Disks', starts_at: '2040-01-01T00:00', minutes: '30' };
  await admin.write('organizations/1/maintenances', { ...times, message: '' });
  assert.deepEqual(await (await admin.post('/api/v1/maintenances/5', times)).json(), { ok: true, changed: false });
  await admin.write('maintenances/5', { ...times, starts_at: '2040-01-02T00:00', minutes: '45' });
  await admin.write('maintenances/5/updates', { message: 'All is ready.' });
  await admin.write('maintenances/5/updates', { message: 'Among us.', internal: '1' });
  await admin.write('maintenances/5/state', { state: 'cancelled' });
  assert.deepEqual(await names(4), ['maintenance.scheduled', 'maintenance.updated', 'maintenance.updated', 'maintenance.cancelled']);
  for (const [where, fields] of [['5', times], ['5/updates', { message: 'x' }], ['5/state', { state: 'started' }], ['2', { ...times, starts_at: '2020-01-01T00:00' }]])
    assert.equal((await admin.post(`/api/v1/maintenances/${where}`, fields)).status, 422, where);
  await admin.write('maintenances/2/state', { state: 'started' });
  assert.equal((await admin.post('/api/v1/maintenances/2', times)).status, 422, 'moved after it has begun');
  const tooLong = await admin.post(`/api/v1/services/${API_SERVICE}/status`, { status: 'degraded', message: 'x'.repeat(2001) });
  assert.equal(tooLong.status, 422);
  await admin.write(`services/${API_SERVICE}/status`, { status: 'degraded', message: '\u{1f980}'.repeat(2000) });
  assert.deepEqual((await names(2)).slice(-1), ['service.status.changed'], 'the longest message is not published');
});

test('ST-17: what is over has a history, and each notice an address', async (t) => {
  const site = await start(t);
  const admin = await client(site, ADMIN);
  const get = async (where) => (await fetch(`${site.url}/status/lighthouse${where}`)).text();
  for (let i = 0; i < 25; i++) {
    await admin.write('organizations/1/incidents', { title: `Number ${i}.`, message: 'x', effect: 'degraded' });
    await admin.write(`incidents/${4 + i}/updates`, { state: 'identified', message: 'Among us', internal: '1' });
    await admin.write(`incidents/${4 + i}/updates`, { state: 'resolved', message: 'Over' });
  }
  await admin.write('maintenances/2/state', { state: 'started' });
  await admin.write('maintenances/2/state', { state: 'completed' });
  assert.match(await get(''), /Past incidents and maintenance[^]*Number 24\./);
  const first = await get('/history');
  assert.match(first, /Number 24\.[^]*Number 5\./);
  const older = /href="\/status\/lighthouse(\/history\?before=\d+)">Older/.exec(first)[1];
  const second = await get(older);
  assert.match(second, /Number 4\.[^]*Database upgrade[^]*Slow answers from the public API/);
  assert.doesNotMatch(first + second, /Among us|lock\.|Demo/);
  assert.match(await get('/incidents/28'), /<h1>Number 24\.<\/h1>[^]*Resolved/);
  assert.match(await get('/maintenances/2'), /<h1>Database upgrade<\/h1>/);
  for (const where of ['/incidents/2', '/incidents/3', '/incidents/999', '/maintenances/1'])
    assert.equal((await fetch(`${site.url}/status/lighthouse${where}`, { redirect: 'manual' })).status, 404, where);
  assert.equal((await fetch(`${site.url}/status/paperplane/incidents/3`, { redirect: 'manual' })).status, 303, 'of a private one');
});

test('ST-18: organizations and users are made on the command line, services on the dashboard', async (t) => {
  const data = ['--data', path.join(shared.scratch, 'own.sqlite')];
  const run = (...args) => execFileSync(path.join(BUILD, 'examples/status-page/status-page'), [...data, ...args], { encoding: 'utf8', stdio: 'pipe' });
  assert.match(run('--add-organization', 'acme', '--name', 'Acme & Sons'), /\/status\/acme/);
  const password = /password of olga@acme\.example: (\S{12})/.exec(run('--add-user', 'Olga@acme.example', '--name', 'Olga', '--organization', 'acme', '--role', 'owner').replace('Olga@', 'olga@'))[1];
  for (const wrong of [['--add-organization', 'acme'], ['--add-organization', 'A/b'], ['--add-user', 'x@y.example', '--organization', 'none'], ['--add-user', 'x@y.example', '--organization', 'acme', '--role', 'king']])
    assert.throws(() => run(...wrong), /status-page: /, wrong.join(' '));
  const site = await start(t, ...data);
  assert.doesNotMatch(await (await fetch(site.url)).text(), /Lighthouse|demo user/);
  const page = await open(t, `${site.url}/status/acme`);
  await live(page);
  await shows(overall(page), 'All systems operational');
  const owner = await client(site, { email: 'olga@acme.example', password }, 'acme');
  await owner.write('organizations/1/services', { group: 'Shop', name: 'Checkout', description: 'shop.acme.example' });
  await owner.write('organizations/1/services', { group: 'Shop', name: 'Stock', description: '', hidden: '1' });
  await shows(pill(page, 1), 'Operational');
  assert.equal(await page.getByText('Stock').count(), 0);
  await shows(page.locator('.service'), 'Checkout');
  assert.equal((await owner.post('/api/v1/organizations/1/services', { group: '', name: 'x' })).status, 422);
  await owner.write('services/1/status', { status: 'degraded', message: 'Slow' });
  await shows(pill(page, 1), 'Degraded performance');
});

test('ST-9, ST-15: what cannot be undone is confirmed, what was entered is meant in the zone of the visitor', async (t) => {
  const site = await start(t);
  const page = await signIn(t, site, OWNER, { timezoneId: 'Asia/Tokyo' });
  await live(page);
  // A member is removed in two steps, and can be added again.
  const people = page.locator('#people');
  await people.getByText('Remove Demo member', { exact: true }).click();
  await people.getByRole('button', { name: 'Yes, remove Demo member' }).click();
  await until(async () => !/Demo member/.test(await people.innerText()));
  await people.getByText('Add a member').click();
  await people.getByLabel('E-mail').fill('nobody@lighthouse.example');
  await people.getByRole('button', { name: 'Add', exact: true }).click();
  await shows(page.locator('.toast'), 'Nobody has an account with this address');
  await people.getByLabel('E-mail').fill(MEMBER.email);
  await people.getByRole('button', { name: 'Add', exact: true }).click();
  await shows(people, 'Demo member');
  assert.equal((await client(site, MEMBER)).location, '/dashboard/lighthouse');
  await people.getByText('Make the status page private').click();
  await page.screenshot({ path: screenshot('dashboard-confirm'), fullPage: true });
  assert.equal((await fetch(`${site.url}/status/lighthouse`, { redirect: 'manual' })).status, 200, 'on one click');

  await page.getByText('Schedule maintenance').click();
  const form = page.locator('#new-maintenance');
  await shows(form.locator('.zone'), '(your time, GMT+9)');
  await form.getByLabel('Title').fill('New disks');
  await form.getByLabel('Starts at').fill('2040-01-01T12:00');
  await form.getByRole('button', { name: 'Schedule' }).click();
  const card = page.locator('#maintenances section').filter({ hasText: 'New disks' });
  await shows(card, 'Jan 1, 2040, 12:00 PM to Jan 1, 2040, 1:00 PM');
  const stored = async () => (await organization(site)).maintenances.find(({ title }) => title === 'New disks').starts;
  assert.equal(await stored(), '2040-01-01T03:00:00Z');
  await card.getByText('Correct').click();
  await until(async () => (await card.getByLabel('Starts at').inputValue()) === '2040-01-01T12:00', 'the time in the zone of the visitor'); // a form that opens says so a moment later
  await card.getByLabel('Starts at').fill('2040-01-02T08:00');
  await card.getByRole('button', { name: 'Save' }).click();
  await shows(card, 'Jan 2, 2040, 8:00 AM');
  assert.equal(await stored(), '2040-01-01T23:00:00Z');
  await card.getByText('Cancel', { exact: true }).click();
  await card.getByRole('button', { name: 'Cancel this maintenance' }).click();
  await shows(page.locator('#past'), 'New disks');
});
