'use strict';
// examples/provisioning without pages: what is told to whom.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');

const { BUILD, freePort, sleep, until } = require('../integration/lib.js');
const { EVENTS, OMAR, STEPS, heard, owner, provision, shared, start, stateOf, subscriber } = require('./cloud.js');

const RUNS = Number(process.env.PUSHERC_RUNS ?? 40);
const APP = { REVERB_APP_ID: 'cloud', REVERB_APP_KEY: 'cloud-key', REVERB_APP_SECRET: 'cloud-secret' };
const there = (port) => ({ ...APP, BROADCAST_CONNECTION: 'reverb', REVERB_HOST: '127.0.0.1', REVERB_PORT: String(port), REVERB_SCHEME: 'http' });

test('PROV-1, PROV-20: an event says which server, when and nothing more; the resource says what', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order('box-1');
  const page = await iris.hears(provision(box.id));
  const before = await iris.server(box.id);
  assert.deepEqual(stateOf(before), Array(STEPS).fill('pending'));
  assert.deepEqual([before.provision_status, before.error, before.name], ['pending', '', 'box-1']);
  await box.say(1);
  const event = heard(await page.event(EVENTS.provision));
  assert.deepEqual(Object.keys(event).sort(), ['id', 'revision', 'server_id', 'timestamp', 'v']);
  assert.equal(event.server_id, box.id);
  const after = await iris.server(box.id);
  assert.equal(after.revision, event.revision);
  assert.deepEqual(stateOf(after), ['completed', 'installing', ...Array(8).fill('pending')]);
  assert.deepEqual(after.steps[4], { step: 5, name: 'Firewall', status: { isPending: true, isInstalling: false, isCompleted: false, isFailed: false } });
  assert.equal(after.steps[5].name, 'PHP');
});

test('PROV-11: whatever follows from a step, and wherever its word comes from, it is one event', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  await box.install(9);
  const page = await iris.hears(provision(box.id));
  const { revision } = await iris.server(box.id);
  await box.say(10, 'failed', 'No disk');
  assert.equal(heard(await page.event(EVENTS.provision)).revision, revision + 1);
  assert.equal((await iris.server(box.id)).provision_status, 'failed');
  await iris.write(`/servers/${box.id}/retry`);
  assert.equal(heard(await page.event(EVENTS.provision)).revision, revision + 2);
  await box.say(10, 'installing'); // it is
  await box.say(10);
  const last = heard(await page.event(EVENTS.provision));
  assert.equal(last.revision, revision + 3);
  assert.equal((await iris.server(box.id)).provision_status, 'completed');
  assert.deepEqual(await page.settle(), []);
});

test('PROV-5: fifty changes in a second are three events, and the last one is the last', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const box = await iris.order();
  const page = await iris.hears(provision(box.id));
  const began = Date.now();
  for (let i = 0; i < 25; i++) {
    await box.say(1, 'failed', `Attempt ${i}`);
    await iris.write(`/servers/${box.id}/retry`);
  }
  const most = Math.max(3, 2 + (Date.now() - began) / 500); // a slow machine makes pauses
  const { revision } = await iris.server(box.id);
  let events = 0;
  let last;
  do {
    last = heard(await page.event(EVENTS.provision));
    events++;
  } while (last.revision < revision);
  assert.ok(events <= most, `${events} events`);
});

test('PROV-7: now waits until the event is with the server, queued does not', async (t) => {
  for (const queue of ['sync', 'redis']) {
    let release;
    const requests = [];
    const receiver = http.createServer((request, response) => {
      request.resume().on('end', () => {
        requests.push(request.url);
        release = () => response.end('{}');
      });
    });
    await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', resolve); });
    t.after(() => { receiver.close(); receiver.closeAllConnections(); });
    const site = await start(t, { ...there(receiver.address().port), QUEUE_CONNECTION: queue });
    const iris = await owner(site);
    const box = await iris.order();
    await until(() => requests.length === 1, 'the list of servers is told'); // that is queued
    release();
    let answered = false;
    const word = box.say(1).then(() => { answered = true; });
    if (queue === 'redis') await word;
    await until(() => requests.length === 2, 'the event is under way');
    assert.equal(answered, queue === 'redis', queue);
    release();
    await word;
    await sleep(0);
  }
});

test('PROV-7: events that wait in the database are sent after a crash', async (t) => {
  const data = path.join(shared.scratch, `${t.name.length}-outbox.db`);
  const port = await freePort();
  const env = { ...there(port), QUEUE_CONNECTION: 'database' };
  const first = await start(t, '--data', data, env);
  first.talks = true; // the carrier is away
  const iris = await owner(first);
  const box = await iris.order();
  await box.say(1);
  await first.kill();
  const pages = await start(t, '--port', String(port), '--data', data, { ...APP, BROADCAST_CONNECTION: 'local' });
  const page = await subscriber(pages, provision(box.id), iris.cookie, APP.REVERB_APP_KEY);
  const second = await start(t, '--data', data, env);
  second.talks = true;
  assert.equal(heard(await page.event(EVENTS.provision)).server_id, box.id);
});

test('PROV-8: who hears of a change can read it', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  for (let run = 0; run < RUNS; run++) {
    const box = await iris.order();
    const page = await iris.hears(provision(box.id));
    const word = box.say(1);
    const { revision } = heard(await page.event(EVENTS.provision));
    const seen = await iris.server(box.id);
    assert.ok(seen.revision >= revision && seen.steps[0].status.isCompleted, `run ${run}`);
    await word;
    page.ws.terminate();
  }
});

test('PROV-12: without broadcasting a server is installed all the same', async (t) => {
  const site = await start(t, { ...there(await freePort()), QUEUE_CONNECTION: 'sync' });
  site.talks = true; // "events have to wait"
  const iris = await owner(site);
  const box = await iris.order();
  await box.install();
  const server = await iris.server(box.id);
  assert.deepEqual([server.provision_status, server.error], ['completed', '']);
  await until(async () => (await fetch(`${site.url}/api/v1/health`)).status === 503, 'health says so');
});

test('PROV-13: ten thousand lines a second are a few events, and the log can be read from anywhere', async (t) => {
  const site = await start(t, '--simulate=1', '--speed', '2');
  const iris = await owner(site);
  const { id: busiest } = await iris.order();
  const page = await iris.hears(`private-servers.${busiest}.logs`);
  await iris.write('/demo/storm', { server: busiest });
  const events = [];
  while (events.length < 8 || events.at(-1).size < 400000) events.push(heard(await page.event(EVENTS.logs)));
  assert.deepEqual(Object.keys(events[0]).sort(), ['id', 'log', 'server_id', 'size', 'timestamp', 'v']);
  const took = Date.parse(events.at(-1).timestamp) - Date.parse(events[0].timestamp);
  assert.ok((events.length - 2) * 250 <= took, `${events.length} events in ${took} ms`);
  let next = 0;
  for (let i = 0; i < 4; i++) {
    const piece = await iris.json(`/api/v1/servers/${busiest}/log?from=${next}`);
    assert.equal(piece.from, next);
    assert.ok(piece.text.endsWith('\n') && Buffer.byteLength(piece.text) === piece.next - piece.from && piece.next - next <= 65536);
    next = piece.next;
  }
  assert.ok(next > 150000);
});

test('PROV-14: packages, databases and deployments go on, and say so on their channels', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  for (const [what, where, channel] of [['packages', '/api/v1/servers/1/packages', 'private-servers.1.packages'],
    ['databases', '/api/v1/servers/1/databases', 'private-servers.1.databases'],
    ['deployment', '/api/v1/sites/1/deployment', 'private-sites.1.deployment']]) {
    const page = await iris.hears(channel);
    await iris.write(where, { name: 'thing' });
    const event = heard(await page.event(EVENTS[what]));
    assert.equal(event[what === 'deployment' ? 'site_id' : 'server_id'], 1);
    await page.event(EVENTS[what]); // it moves
    const { works } = await iris.json(where);
    assert.ok(works[0].progress > 0 && works[0].name === (what === 'deployment' ? 'harbour.example' : 'thing'), JSON.stringify(works[0]));
  }
});

test('PROV-15: a task that is done is told as a whole, in less than 1 KiB', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  await iris.write('/api/v1/servers/1/tasks', { name: 'Restart PHP' });
  const [{ id, completed }] = (await iris.server(1)).tasks;
  assert.equal(completed, false);
  const page = await iris.hears(`private-tasks.${id}`);
  const { task, ...rest } = heard(await page.event(EVENTS.task));
  assert.deepEqual({ ...task, completed_at: '' }, { id, name: 'Restart PHP', completed: true, completed_at: '' });
  assert.match(task.completed_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(Object.keys(rest).sort(), ['id', 'revision', 'v']);
  const long = await iris.post('/api/v1/servers/1/tasks', { name: '"'.repeat(500) });
  assert.equal(long.status, 422);
  assert.match((await long.json()).error, /1 KiB/);
  assert.equal((await iris.server(1)).tasks.length, 1);
});

test('PROV-16: the tab that has done it is not told', async (t) => {
  const site = await start(t);
  const iris = await owner(site);
  const [own, other] = [await iris.hears('private-sites.1.deployment'), await iris.hears('private-sites.1.deployment')];
  const deployed = (await iris.server(1)).revision + 1;
  await iris.write('/servers/1/deploy', {}, { 'X-Socket-ID': own.socketId });
  assert.ok(heard(await other.event(EVENTS.deployment)).revision >= deployed);
  assert.ok(heard(await own.event(EVENTS.deployment)).revision > deployed); // the job goes on
});

test('PROV-18, APP-12, APP-13: nothing crosses between owners, and a server that is handed over changes sides at once', async (t) => {
  const site = await start(t);
  const [iris, omar] = [await owner(site), await owner(site, OMAR)];
  const boxes = [];
  for (let i = 0; i < 10; i++) boxes.push({ box: await (i % 2 ? omar : iris).order(), whose: i % 2 ? omar : iris });
  for (const one of boxes) {
    one.own = await one.whose.hears(provision(one.box.id));
    one.foreign = await (one.whose === iris ? omar : iris).hears(provision(one.box.id));
    assert.match(one.own.answer.event, /succeeded/);
    assert.match(one.foreign.answer.event, /error/);
    assert.equal((await (one.whose === iris ? omar : iris).get(`/api/v1/servers/${one.box.id}`)).status, 404);
    assert.equal((await (one.whose === iris ? omar : iris).get(`/api/v1/servers/${one.box.id}/log`)).status, 404);
  }
  await Promise.all(boxes.map(({ box }) => box.install()));
  const foreign = await Promise.all(boxes.map((one) => one.foreign.settle()));
  assert.deepEqual(foreign.flat().filter(({ event }) => event.startsWith('App')), []);
  for (const { box, own } of boxes) {
    let event;
    do {
      event = heard(await own.event(EVENTS.provision));
      assert.equal(event.server_id, box.id);
    } while (event.revision < STEPS + 1);
  }
  const { box, own } = boxes[0];
  await iris.write(`/api/v1/servers/${box.id}/owner`, { email: OMAR.email });
  const taken = await own.next(({ event }) => /subscription_error|unsubscribed/.test(event));
  assert.equal(taken.channel, provision(box.id));
  const now = await omar.hears(provision(box.id));
  assert.match(now.answer.event, /succeeded/);
  assert.equal((await iris.get(`/api/v1/servers/${box.id}`)).status, 404);
  assert.equal((await omar.get(`/api/v1/servers/${box.id}`)).status, 200);
  assert.deepEqual((await own.settle()).filter(({ event: name }) => name.startsWith('App')), []);
});

test('PROV-19: the self-test walks from the settings to an event that arrives', async (t) => {
  const site = await start(t, { ...APP, BROADCAST_CONNECTION: 'local' });
  const file = path.join(shared.scratch, 'self-test.env');
  const run = (extra) => {
    const names = { ...there(site.port), ...extra };
    fs.writeFileSync(file, Object.entries(names).map(([name, value]) => `${name}=${value}\n`).join(''));
    return spawnSync(path.join(BUILD, 'examples/provisioning/provisioning'), ['--self-test', '--env', file], { encoding: 'utf8', timeout: 60000 });
  };
  const well = run({});
  assert.equal(well.status, 0, well.stdout + well.stderr);
  for (const line of [/^ok +receive /m, /^ok +rule .*private-servers\.1\.provision$/m, /^ok .*: App\\Events\\ServerProvisionUpdated$/m]) assert.match(well.stdout, line);
  for (const [extra, line] of [[{ REVERB_APP_KEY: 'other' }, /^fail +key /m], [{ REVERB_APP_SECRET: 'other' }, /^fail +secret /m],
    [{ VITE_REVERB_APP_KEY: 'other' }, /^fail +env .*key/m], [{ REVERB_PORT: String(await freePort()) }, /^fail +tcp /m]]) {
    const { status, stdout } = run(extra);
    assert.equal(status, 1, stdout);
    assert.match(stdout, line);
  }
});
