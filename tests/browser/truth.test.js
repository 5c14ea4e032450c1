'use strict';
// examples/status-page: what it asserts is so, and what changes nothing is neither written nor told.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { until } = require('../integration/lib.js');
const { API_SERVICE, HIDDEN_SERVICE, OWNER, client, listener, organization, start } = require('./site.js');

const service = async (site, id) => (await organization(site)).groups.flatMap(({ services }) => services).find((one) => one.id === id);

test('ST-1: the banner is the worst of services and open incidents', async (t) => {
  const site = await start(t);
  const owner = await client(site, OWNER);
  const banner = async () => (await organization(site)).overall.overall_status;
  assert.equal(await banner(), 'operational');
  await owner.write('organizations/1/incidents', { title: 'Everything is on fire', message: 'We look.', effect: 'major_outage' });
  assert.equal(await banner(), 'major_outage', 'an incident without services');
  assert.match(await (await fetch(`${site.url}/status/lighthouse`)).text(), /class="overall major_outage"[^]*Major system outage/);
  await owner.write('incidents/4/updates', { state: 'resolved', message: 'Over.' });
  assert.equal(await banner(), 'operational');

  await owner.write('organizations/1/incidents', { title: 'Slow', message: 'We look.', effect: 'degraded', [`service_${API_SERVICE}`]: '1' });
  await owner.write(`services/${API_SERVICE}/status`, { status: 'operational', message: '' });
  assert.equal(await banner(), 'degraded', 'a service set by hand while its incident is open');
  await owner.write(`services/${API_SERVICE}/status`, { status: 'partial_outage', message: '' });
  assert.equal(await banner(), 'partial_outage', 'and one that is worse than its incident');

  // What visitors do not hear of is not in their banner either.
  await owner.write('incidents/5/updates', { state: 'resolved', message: 'Over.' });
  await owner.write(`services/${API_SERVICE}/status`, { status: 'operational', message: '' });
  await owner.write('organizations/1/incidents', { title: 'Inside', message: 'x', effect: 'major_outage', [`service_${HIDDEN_SERVICE}`]: '1' });
  assert.equal(await banner(), 'operational');
  assert.match(await (await owner.get('/dashboard/lighthouse')).text(), /Major system outage/);
});

test('ST-7: what changes nothing is neither written nor told', async (t) => {
  const site = await start(t);
  const owner = await client(site, OWNER);
  const page = await listener(site, 1);
  const set = (status, message) => owner.post(`/api/v1/services/${API_SERVICE}/status`, { status, message });
  await set('degraded', 'Slow');
  const before = await organization(site);
  for (const again of [() => set('degraded', 'Slow'), () => set('degraded', ''), () => owner.post('/api/v1/organizations/1/visibility', { public: '1' })])
    assert.deepEqual(await (await again()).json(), { ok: true, changed: false });
  const after = await organization(site);
  assert.equal(after.revision, before.revision);
  assert.deepEqual(after.activity, before.activity);
  assert.equal((await service(site, API_SERVICE)).note, 'Slow');

  // Another explanation is news.
  await set('degraded', 'Still slow');
  assert.equal((await service(site, API_SERVICE)).note, 'Still slow');
  assert.equal((await organization(site)).activity[0].old_label, null, 'an arrow from a status to itself');
  await page.event('service.status.changed');
  assert.match((await page.event('service.status.changed')).data, /Still slow/);
});

test('ST-3: events carry what the page code of the document reads', async (t) => {
  const site = await start(t);
  const owner = await client(site, OWNER);
  const page = await listener(site, 1);
  const heard = async (name) => JSON.parse((await page.event(name)).data);
  await owner.write(`services/${API_SERVICE}/status`, { status: 'degraded', message: 'Slow' });
  const changed = await heard('service.status.changed');
  assert.deepEqual(changed.service, { id: API_SERVICE, name: 'Public API', status: 'degraded' });
  assert.deepEqual([changed.old_status, changed.new_status, changed.service_id, changed.v], ['operational', 'degraded', API_SERVICE, 2]);
  assert.ok(Date.parse(changed.timestamp));
  await owner.write('organizations/1/incidents', { title: 'Trouble', message: 'We look.', effect: 'degraded' });
  const incident = await heard('incident.created');
  assert.deepEqual(incident.incident, { id: incident.id, title: 'Trouble', state: 'investigating', effect: 'degraded' });
  assert.equal(incident.maintenance, undefined);
  await owner.write('organizations/1/maintenances', { title: 'Disks', message: '', starts_at: '2040-01-01T00:00', minutes: '5' });
  const { maintenance, id } = await heard('maintenance.scheduled');
  assert.deepEqual(maintenance, { id, title: 'Disks', state: 'scheduled', starts_at: '2040-01-01T00:00:00Z', ends_at: '2040-01-01T00:05:00Z' });
});

test('ST-8: a maintenance is scheduled for a time to come', async (t) => {
  const site = await start(t);
  const owner = await client(site, OWNER);
  const page = await listener(site, 1);
  for (const past of ['2020-01-01T00:00', new Date(Date.now() - 120000).toISOString().slice(0, 19)]) {
    const answer = await owner.post('/api/v1/organizations/1/maintenances', { title: 'Late', message: '', starts_at: past, minutes: '5' });
    assert.equal(answer.status, 422);
    assert.match((await answer.json()).error, /past/);
  }
  await owner.write('organizations/1/maintenances', { title: 'Soon', message: '', starts_at: '2040-01-01T00:00', minutes: '5' });
  assert.match((await page.event('maintenance.scheduled')).data, /Soon/);
  assert.equal((await organization(site)).maintenances.filter(({ title }) => title === 'Late').length, 0);
});

test('ST-13: the trace is switched as people write it', async (t) => {
  for (const [value, traced] of [['false', false], ['Off', false], ['no', false], ['0', false], ['', false], ['true', true], ['On', true], ['yes', true], ['1', true]]) {
    const site = await start(t, { BROADCAST_DEBUG: value });
    const page = await listener(site, 1);
    if (traced)
      await until(() => /^broadcast: organization\.1: for a visitor$/m.test(site.stderr), () => `${value}: ${site.stderr}`);
    page.ws.terminate();
    await site.stop();
    assert.equal(/^broadcast: /m.test(site.stderr), traced, `${value}: ${site.stderr}`);
  }
});
