'use strict';
// examples/status-page: signing in. Where it leads, who has to wait, and who learns that something private exists.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');

const { BUILD, TOP } = require('../integration/lib.js');
const { MEMBER, OWNER, STRANGER, STRANGE_MEMBER, client, live, open, organization, shared, shows, start } = require('./site.js');

/** fetch() from another address of this machine; enough for client(). */
const from = (localAddress, extra = {}) => (url, { method = 'GET', headers = {}, body } = {}) => new Promise((resolve, reject) => {
  const form = body?.toString();
  const fields = form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(form) };
  const request = http.request(url, { method, localAddress, agent: false, headers: { ...fields, ...extra, ...headers } }, (answer) => {
    let text = '';
    answer.on('data', (data) => { text += data; });
    answer.on('end', () => resolve({
      status: answer.statusCode,
      headers: { get: (name) => (Array.isArray(answer.headers[name]) ? answer.headers[name].join(', ') : answer.headers[name] ?? null) },
      text: async () => text,
    }));
  });
  request.on('error', reject);
  request.end(form);
});

/** Signs in with what is wrong or right, and returns the answer. */
async function attempt(site, send, fields) {
  const form = await send(`${site.url}/login`);
  const csrf = /name="csrf" value="([0-9a-f]{64})"/.exec(await form.text())[1];
  return send(`${site.url}/login`, { method: 'POST', headers: { cookie: form.headers.get('set-cookie').split(';')[0] }, body: new URLSearchParams({ csrf, ...fields }) });
}

test('ST-25: an address that guesses has to wait, and the others sign in meanwhile', async (t) => {
  for (const [what, args, guesser, other] of [
    ['directly', [], from('127.0.0.1'), from('127.0.0.2')],
    ['behind a proxy', ['--proxies', '1'], from('127.0.0.1', { 'X-Forwarded-For': '192.0.2.1' }), from('127.0.0.1', { 'X-Forwarded-For': '192.0.2.2' })],
  ]) {
    const site = await start(t, ...args);
    // All at once: some are refused since so many of this address are under way, and none costs the other address its turn.
    const flood = Promise.all(Array.from({ length: 40 }, () => attempt(site, guesser, { ...OWNER, password: 'guess' })));
    assert.equal((await client(site, MEMBER, 'lighthouse', other)).status, 303, `${what}: kept out`);
    const statuses = (await flood).map(({ status }) => status);
    assert.deepEqual([...new Set(statuses)].sort(), [422, 429], `${what}: ${statuses}`);
    while ((await attempt(site, guesser, { ...OWNER, password: 'guess' })).status === 422);
    const refused = await attempt(site, guesser, OWNER);
    assert.equal(refused.status, 429, `${what}: goes on guessing`);
    assert.ok(refused.headers.get('retry-after') > 0 && refused.headers.get('retry-after') <= 60);
    assert.match(await refused.text(), /Please wait a minute/);
    assert.equal((await client(site, STRANGER, 'paperplane', other)).status, 303, `${what}: the other address`);
  }
});

test('ST-20, ST-24: signing in leads where one wanted to go', async (t) => {
  const site = await start(t);
  const anonymous = (where) => fetch(`${site.url}${where}`, { redirect: 'manual' });
  assert.equal((await anonymous('/dashboard/lighthouse')).headers.get('location'), '/login?organization=lighthouse');
  assert.equal((await anonymous('/status/paperplane')).headers.get('location'), '/login?organization=paperplane&page=status');

  const page = await open(t, `${site.url}/status/paperplane`);
  await shows(page.locator('main'), 'This status page is for members');
  await page.getByRole('button', { name: 'Member of a private organization' }).click();
  await page.waitForURL('**/status/paperplane');
  await live(page);
  // Who is signed in is not asked again.
  await page.goto(`${site.url}/login`);
  await page.waitForURL('**/dashboard/paperplane');
  await page.goto(`${site.url}/login?organization=lighthouse&page=status`);
  await page.waitForURL('**/status/lighthouse');
  const member = await client(site, STRANGE_MEMBER, 'paperplane');
  assert.equal((await member.get('/login?organization=lighthouse')).headers.get('location'), '/dashboard/paperplane', 'a dashboard of others');
});

test('ST-6: the demo of "make demo" keeps what was changed and who is signed in', async (t) => {
  const command = execFileSync('make', ['-n', '-C', TOP, 'demo', 'PORT=0', `BUILD=${BUILD}`], { encoding: 'utf8' })
    .split('\n').find((line) => /status-page --port 0/.test(line)).split(' ');
  assert.equal(command[command.indexOf('--data') + 1], `${BUILD}/demo/status-page.db`);
  assert.match(await (await fetch((await start(t)).url)).text(), /Data are in memory/);
  const data = ['--data', path.join(shared.scratch, 'kept.sqlite')];
  const first = await start(t, ...data);
  assert.doesNotMatch(await (await fetch(first.url)).text(), /Data are in memory/);
  const owner = await client(first, OWNER);
  await owner.write('organizations/1/incidents', { title: 'Of step 3', message: 'x', effect: 'degraded' });
  await first.stop();
  const second = await start(t, ...data, '--port', first.port);
  assert.deepEqual((await organization(second)).incidents.map(({ title }) => title), ['Of step 3']);
  assert.equal((await owner.get('/dashboard/lighthouse')).status, 200);
});

test('a private organization is named to its members only', async (t) => {
  const site = await start(t);
  const owner = await client(site, OWNER);
  const stranger = await client(site, STRANGER, 'paperplane');
  for (const where of ['/', '/login', '/login?organization=lighthouse', '/api/v1/organizations/paperplane', '/dashboard/lighthouse'])
    assert.doesNotMatch(await (await fetch(site.url + where)).text(), /Paperplane Mail|\/paperplane/, where);
  assert.doesNotMatch(await (await owner.get('/')).text(), /Paperplane/);
  assert.match(await (await stranger.get('/')).text(), /Paperplane Mail/);
  assert.match(await (await stranger.get('/')).text(), /Lighthouse Hosting/);
});
