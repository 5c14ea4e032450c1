'use strict';
// examples/provisioning: machines that lie, and what nobody may have.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { OMAR, STEPS, heard, machine, owner, provision, start, stateOf, subscriber } = require('./cloud.js');

test('PROV-A1: a callback needs the token of its machine, a step, a word, and the right order', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const [box, other] = [await iris.order(), await iris.order()];
  const page = await iris.hears(provision(box.id));
  const word = { step: 1, status: 'completed' };
  const tries = [
    [401, word, {}], [401, word, { Authorization: 'Bearer x' }], [401, word, { Authorization: `Basic ${box.token}` }],
    [401, word, { cookie: iris.cookie }],
    [403, word, { Authorization: `Bearer ${other.token}` }], [403, word, { Authorization: `Bearer ${'0'.repeat(64)}` }],
    [403, word, { Authorization: `Bearer ${iris.cookie.split('=')[1]}` }],
    ...[0, 11, -1, 1.5, '1e0', '', ' 1', null, [1], 99999999999].map((step) => [422, { ...word, step }]),
    ...['done', '', 'pending', 'COMPLETED', null].map((status) => [422, { ...word, status }]),
    [409, { step: 9, status: 'completed' }], [409, { step: 2, status: 'installing' }],
  ];
  for (const [status, fields, headers] of tries)
    assert.equal((await box.ask(fields, headers)).status, status, JSON.stringify([fields, headers]));
  assert.equal((await machine(site, 99999, box.token).ask(word)).status, 403, 'no such server');
  assert.deepEqual(await page.settle(), [], 'nothing was told');
  await box.say(1);
  await box.say(1); // the answer was lost: said twice, done once
  assert.equal((await box.ask({ step: 1, status: 'installing' })).status, 409, 'no way back');
  assert.equal((await box.ask({ step: 1, status: 'failed' })).status, 409, 'no way back');
  await box.install();
  const { revision } = await iris.server(box.id);
  assert.equal((await box.ask({ step: 10, status: 'completed' })).status, 409, 'after completion');
  assert.equal((await box.ask({ step: 3, status: 'failed' })).status, 409, 'after completion');
  assert.equal((await iris.server(box.id)).revision, revision);
});

test('PROV-A2: each step may fail, says why, and is tried again', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  for (let step = 1; step <= STEPS; step++) {
    await box.say(step, 'failed', `Reason ${step}`);
    const failed = await iris.server(box.id);
    assert.deepEqual([failed.provision_status, failed.error, stateOf(failed)[step - 1]], ['failed', `Reason ${step}`, 'failed']);
    assert.equal((await box.ask({ step, status: 'completed' })).status, 409, 'it has failed');
    await iris.write(`/servers/${box.id}/retry`);
    assert.equal((await iris.post(`/servers/${box.id}/retry`)).status, 409, 'once');
    const again = await iris.server(box.id);
    assert.deepEqual([again.provision_status, again.error], ['installing', '']);
    await box.say(step);
  }
  assert.equal((await iris.server(box.id)).provision_status, 'completed');
});

test('PROV-A5, PROV-A6: a channel is for the owner of what is there, and a name without a rule for nobody', async (t) => {
  const site = await start(t, { BROADCAST_DEBUG: 'on' });
  const [iris, omar] = [await owner(site), await owner(site, OMAR)];
  const gone = await iris.order();
  await iris.send('DELETE', `/api/v1/servers/${gone.id}`);
  await iris.write('/api/v1/servers/1/tasks', { name: 'Run' });
  const [{ id: task }] = (await iris.server(1)).tasks;
  const table = ['private-servers.1.provision', 'private-servers.1.packages', 'private-servers.1.databases', 'private-servers.1.logs',
    'private-sites.1.deployment', `private-tasks.${task}`, 'private-users.1.servers'];
  const refused = async (channel, cookie) => {
    const socket = await subscriber(site, channel, cookie);
    assert.match(socket.answer.event, /error/, `${channel} ${cookie}`);
    socket.ws.terminate();
    return heard(socket.answer).status;
  };
  for (const channel of table) {
    assert.match((await iris.hears(channel)).answer.event, /succeeded/, channel);
    for (const cookie of [omar.cookie, undefined, `${iris.cookie}0`]) assert.equal(await refused(channel, cookie), 403);
  }
  for (const id of ['0', '-1', '1e3', '99999', '01', '1_', '', gone.id, '1.provision.x'])
    for (const cookie of [iris.cookie, undefined]) await refused(provision(id), cookie);
  for (const name of ['private-servers.1', 'private-servers.1.backups', 'presence-servers.1.provision', 'private-x']) await refused(name, iris.cookie);
  assert.match(site.stderr, /denied NO_RULE private-servers\.1\.backups 403/);
});

test('PROV-A8: a log has a name of the list and an offset that is there', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  await box.log('one\ntwo');
  const ask = (query) => iris.get(`/api/v1/servers/${box.id}/log?${query}`);
  for (const name of ['..%2F..%2Fetc%2Fpasswd', '../', '/etc/passwd', 'provision%00', 'PROVISION', 'x'.repeat(3000)])
    assert.equal((await ask(`log=${name}`)).status, 404, name);
  for (const from of ['-1', '1e3', '0x1', '%20', 'a', '1'.repeat(40)]) assert.equal((await ask(`from=${from}`)).status, 422, from);
  for (const from of ['9', '99999999999999999999']) assert.equal((await ask(`from=${from}`)).status, 416, from);
  assert.deepEqual(await (await ask('log=provision&from=0')).json(), { log: 'provision', from: 0, next: 8, size: 8, text: 'one\ntwo\n' });
  assert.deepEqual(await (await ask('from=1')).json(), { log: 'provision', from: 4, next: 8, size: 8, text: 'two\n' });
  assert.equal((await (await ask('from=8')).json()).text, '');
});

test('APP-15: anonymous, foreign, expired and forged requests to each endpoint', async (t) => {
  const site = await start(t);
  const [iris, omar] = [await owner(site), await owner(site, OMAR)];
  const nobody = (method, where) => fetch(site.url + where, { method, redirect: 'manual', headers: { Accept: 'application/json' } });
  for (const where of ['/servers', '/servers/1', '/servers/1/provisioning', '/servers/1/packages', '/servers/1/databases', '/sites/1/deployment']) {
    assert.equal((await nobody('GET', where)).status, 303, where);
    if (where !== '/servers') assert.equal((await omar.get(where)).status, 404, where);
  }
  for (const where of ['/api/v1/servers/1', '/api/v1/servers/1/log', '/api/v1/servers/1/packages', '/api/v1/servers/1/databases', '/api/v1/sites/1/deployment']) {
    assert.equal((await nobody('GET', where)).status, 401, where);
    assert.equal((await omar.get(where)).status, 404, where);
    assert.equal((await iris.get(where.replace('/1', '/0'))).status, 404, 'server or site 0');
  }
  assert.equal((await nobody('GET', '/api/v1/servers')).status, 401);
  for (const where of ['/api/v1/servers/1/retry', '/servers/1/retry', '/api/v1/servers/1/owner', '/api/v1/servers/1/deploy', '/servers/1/deploy',
    '/api/v1/servers/1/tasks', '/api/v1/servers/1/packages', '/api/v1/servers/1/databases', '/api/v1/sites/1/deployment', '/servers/1/remove']) {
    assert.equal((await nobody('POST', where)).status, 401, where);
    assert.equal((await omar.post(where, { name: 'x', email: OMAR.email })).status, 404, where);
    assert.equal((await iris.post(where, { name: 'x' }, { 'X-CSRF-Token': 'f'.repeat(64) })).status, 403, `${where}: forged`);
  }
  assert.equal((await iris.post('/demo/order')).status, 404, 'nothing is simulated');
  assert.equal((await iris.server(1)).provision_status, 'completed');
});
