'use strict';
// examples/common, through its smallest program, examples/board, and the status page: what all applications stand on.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { BUILD, sleep, until } = require('../integration/lib.js');
const { connection, launch, live, open, screenshot, shared, shows, signInAt, signedIn, subscriber, toasted } = require('./program.js');

const ADA = { email: 'ada@board.example', password: 'ada-demo' };
const BEN = { email: 'ben@board.example', password: 'ben-demo' };

// The stage with sanitizers has the tests of the program; those of its pages once are enough.
const PAGES = { skip: process.env.ASAN_OPTIONS ? 'pages: in the stage without sanitizers' : false };

const board = (t, ...args) => launch(t, 'board', ...args);
const json = (site, method, where, body, headers = {}) =>
  fetch(site.url + where, { method, headers: { 'Content-Type': 'application/json', ...headers }, body: body && JSON.stringify(body) });
const bearer = (token) => ({ Authorization: `Bearer ${token}` });
const heard = (frame) => JSON.parse(frame.data);

async function token(site, user = ADA) {
  const answer = await json(site, 'POST', '/api/v1/login', user);
  assert.equal(answer.status, 200);
  return answer.json();
}

test('start pages of the demos link each other', async (t) => {
  for (const [name, where] of [['status-page', '/'], ['pbx', '/login'], ['helpdesk', '/'], ['provisioning', '/'], ['gateway-monitor', '/login']]) {
    const args = name === 'provisioning' ? ['--simulate'] : [];
    const text = await (await fetch((await launch(t, name, ...args)).url + where)).text();
    const ports = [...text.matchAll(/href="http:\/\/127\.0\.0\.1:(\d+)\/"/g)].map(([, port]) => port);
    assert.deepEqual(ports, ['8080', '8081', '8082', '8083', '8084'], name);
  }
  assert.doesNotMatch(await (await fetch(`${(await launch(t, 'status-page', '--empty')).url}/`)).text(), /:808\d/, 'where it is no demo');
});

test('what one pins is on the pages of the others, and nothing is toasted to oneself', PAGES, async (t) => {
  const site = await board(t);
  const ada = await signInAt(t, site.url, ADA, `${site.url}/`);
  const ben = await signInAt(t, site.url, BEN, `${site.url}/`);
  for (const page of [ada, ben]) await live(page);
  await ada.getByLabel('New note').fill('Lunch at <noon>');
  await ada.getByRole('button', { name: 'Pin it' }).click();
  for (const page of [ada, ben]) await shows(page.locator('#notes li'), 'Lunch at <noon>');
  await toasted(ben, 'New note from Ada');
  assert.deepEqual(await ada.evaluate(() => window.toasted), []);
  await ada.screenshot({ path: screenshot('board') });
  await ada.getByRole('button', { name: 'Remove: Lunch' }).click();
  for (const page of [ada, ben]) await until(async () => (await page.locator('#notes li').count()) === 1);
  await ben.getByRole('button', { name: 'Sign out' }).click();
  await ben.waitForURL('**/login');
});

test('a token signs in until it expires or is given back, and is no cookie', async (t) => {
  const site = await board(t);
  for (const [fields, status] of [[{ ...ADA, password: 'wrong' }, 401], [{}, 401], [{ email: ADA.email }, 401], [{ ...ADA, password: { a: 1 } }, 401]])
    assert.equal((await json(site, 'POST', '/api/v1/login', fields)).status, status);
  const ada = await token(site);
  assert.match(ada.token, /^[0-9a-f]{64}$/);
  assert.deepEqual(ada.user, { id: '1', name: 'Ada' });
  const add = (headers) => json(site, 'POST', '/notes', { text: 'By a program' }, { Accept: 'application/json', ...headers });
  assert.equal((await add(bearer(ada.token))).status, 204); // it may write without the token of a form
  // Malformed, foreign and in the wrong place.
  for (const headers of [{}, bearer(''), bearer('x'), bearer('0'.repeat(64)), { Authorization: ada.token }, { Authorization: 'Basic YTpi' },
    { cookie: `board_session=${ada.token}` }, { cookie: `board_session=${ada.token}`, ...bearer('0'.repeat(64)) }])
    assert.equal((await add(headers)).status, 401, JSON.stringify(headers));
  const cookie = (await signedIn(site, BEN)).cookie;
  assert.equal((await add(bearer(cookie.split('=')[1]))).status, 401, 'the token of a cookie');
  assert.equal((await add({ cookie })).status, 403, 'a cookie without the token of a form');

  // A page that signed in by the token hears until it is given back.
  assert.equal((await json(site, 'POST', '/api/v1/logout', {}, { cookie })).status, 401, 'of a cookie');
  assert.equal((await json(site, 'POST', '/api/v1/logout', {}, bearer(ada.token))).status, 204);
  assert.equal((await add(bearer(ada.token))).status, 401, 'given back');
  const brief = await board(t, '--session-s', '5');
  const second = await token(brief);
  assert.ok(Math.abs(Date.parse(second.expires_at) - Date.now() - 5000) < 60000, second.expires_at);
  const addThere = async () => (await json(brief, 'POST', '/notes', { text: 'Soon over' }, { Accept: 'application/json', ...bearer(second.token) })).status;
  assert.equal(await addThere(), 204);
  await until(async () => await addThere() === 401, 'the token expires');
});

test('an address that guesses by the API has to wait as long as the answer says', async (t) => {
  const site = await board(t);
  let answer;
  do answer = await json(site, 'POST', '/api/v1/login', { ...ADA, password: 'guess' });
  while (answer.status === 401);
  assert.equal(answer.status, 429);
  assert.match(answer.headers.get('retry-after'), /^([1-9]|[1-5]\d|60)$/);
  assert.match((await answer.json()).error, /wait/);
});

test('an event has an id, goes to several channels, and leaves out the page that caused it', async (t) => {
  const site = await board(t);
  const ada = await signedIn(site, ADA);
  const all = await subscriber(site, 'board', ada.cookie);
  const own = await subscriber(site, 'private-user.1', ada.cookie);
  assert.match(own.answer.event, /succeeded/);
  const stranger = await subscriber(site, 'private-user.1', (await signedIn(site, BEN)).cookie);
  assert.match(stranger.answer.event, /error/);
  const add = (headers) => ada.post('/notes', { text: 'Hello' }, headers);
  assert.equal((await add()).status, 204);
  const first = heard(await all.event('note.added'));
  assert.deepEqual(heard(await own.event('note.added')), first);
  assert.deepEqual({ ...first, id: '' }, { note: 2, text: 'Hello', name: 'Ada', id: '', v: 1 });
  assert.equal((await add({ 'X-Socket-ID': all.socketId })).status, 204);
  const second = heard(await own.event('note.added'));
  assert.notEqual(second.id, first.id);
  assert.deepEqual(await all.settle(), [], 'the page that did it');
  for (const socketId of ['', 'x', '1.2', '9'.repeat(300)]) { // nonsense leaves out nobody
    assert.equal((await add({ 'X-Socket-ID': socketId })).status, 204);
    await all.event('note.added');
  }
});

test('methods, and bodies that are JSON', async (t) => {
  const site = await board(t);
  const ada = bearer((await token(site)).token);
  const ben = bearer((await token(site, BEN)).token);
  assert.equal((await json(site, 'DELETE', '/notes/1', undefined, ben)).status, 404, 'of somebody else');
  assert.equal((await json(site, 'DELETE', '/notes/1', undefined, { ...ada, Accept: 'application/json' })).status, 204);
  assert.equal((await json(site, 'DELETE', '/notes/1', undefined, ada)).status, 404);
  const wrong = await json(site, 'PUT', '/notes/1', {}, ada);
  assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'DELETE']);
  for (const body of ['', '{', '[]', 'null', '{"text":null}', '{"text":{}}', '{"text":"a\\nb"}', `{"text":"${'x'.repeat(201)}"}`, '{"text":"\\u0000"}'])
    assert.equal((await fetch(`${site.url}/notes`, { method: 'POST', headers: { ...ada, 'Content-Type': 'application/json' }, body })).status, 422, body);
});

test('a program that cannot publish goes on writing, says so once, and its health tells it', async (t) => {
  const nowhere = { BROADCAST_CONNECTION: 'reverb', REVERB_APP_ID: 'b', REVERB_APP_KEY: 'k', REVERB_APP_SECRET: 's', REVERB_HOST: '127.0.0.1', REVERB_PORT: '9', REVERB_SCHEME: 'http' };
  const site = await board(t, nowhere);
  site.talks = true;
  const ada = await signedIn(site, ADA);
  for (let i = 0; i < 20; i++) assert.equal((await ada.post('/notes', { text: `Note ${i}` })).status, 204);
  const health = async (where) => { const answer = await fetch(`${site.url}/api/v1/${where}`); return [answer.status, await answer.json()]; };
  await until(async () => (await health('health'))[0] === 503);
  const [, program] = await health('health');
  assert.deepEqual([program.status, program.database, program.websocket], ['degraded', 'ok', 'disconnected']);
  const [status, socket] = await health('websocket/health');
  assert.deepEqual([status, socket.status, socket.driver], [503, 'degraded', 'reverb']);
  assert.match(await (await ada.get('/')).text(), /Note 19/);
  await site.stop();
  assert.equal(site.stderr.match(/^board: .*not published/gm)?.length ?? 0, 1, site.stderr); // the library names each event
});

test('another program publishes for it, as the environment or a file says', async (t) => {
  const file = path.join(shared.scratch, 'app.env');
  const app = 'REVERB_APP_ID=shared-id\nREVERB_APP_KEY=shared-key\n# a comment\nREVERB_APP_SECRET="shared secret" # and one more\n';
  fs.writeFileSync(file, app);
  const pages = await board(t, '--env', file, { BROADCAST_CONNECTION: 'local' });
  fs.writeFileSync(file, `${app}HOSTNAME_OF_IT=127.0.0.1\nBROADCAST_CONNECTION=reverb\nexport REVERB_HOST="\${HOSTNAME_OF_IT}"\nREVERB_PORT=${pages.port}\nREVERB_SCHEME='http'\n`);
  const other = await board(t, '--env', file);
  const listener = await subscriber(pages, 'board', (await signedIn(pages, BEN)).cookie, 'shared-key');
  assert.match(listener.answer.event, /succeeded/);
  assert.equal((await (await signedIn(other, ADA)).post('/notes', { text: 'From elsewhere' })).status, 204);
  assert.equal(heard(await listener.event('note.added')).text, 'From elsewhere');
  await until(async () => (await fetch(`${other.url}/api/v1/health`)).status === 200);
  for (const wrong of ['NOT A LINE\n', 'A="open\n', 'A= b\n']) {
    fs.writeFileSync(file, wrong);
    const ended = spawnSync(path.join(BUILD, 'examples/board/board'), ['--env', file, '--port', '0'], { encoding: 'utf8', timeout: 30000 });
    assert.deepEqual([ended.status, ended.stderr], [2, `board: ${file}, line 1: this is not NAME=VALUE\n`]);
  }
});

/** Loads what live.js needs into a page that has none of it, and starts it there. */
async function startLive(page, options) {
  await page.evaluate(() => document.body.insertAdjacentHTML('beforeend', '<span id="connection"></span><span id="age"></span>'));
  for (const script of ['pusher', 'echo', 'live']) await page.addScriptTag({ url: `/static/${script}.js` });
  await page.evaluate(({ channels, ...rest }) => {
    window.heard = [];
    window.refused = [];
    window.states = [];
    window.refreshes = 0;
    const all = channels.map(([kind, name]) => ({ kind, name, events: { 'note.added': ({ text }, where) => window.heard.push([text, where]) } }));
    [window.first] = all;
    window.live = window.startLive({
      ...rest,
      channels: all,
      refresh: async (signal) => { window.refreshes++; return fetch('/api/v1/health', { signal }); },
      onRefused: (name) => window.refused.push(name),
      onState: (state) => window.states.push(state),
    });
  }, options);
}

test('a page that signs in by a token is live on guarded names, also after it was away', PAGES, async (t) => {
  const file = path.join(shared.scratch, 'bearer.sqlite');
  const site = await board(t, '--data', file);
  const ada = await token(site);
  const page = await open(t, `${site.url}/login`);
  await startLive(page, { key: 'board-key', bearer: ada.token, channels: [['public', 'board'], ['private', 'user.1']] });
  await live(page);
  const add = (where, text) => json(where, 'POST', '/notes', { text }, bearer(ada.token));
  await add(site, 'One');
  await until(() => page.evaluate(() => window.heard.length > 0));
  await site.kill();
  await shows(connection(page), 'Reconnecting');
  const again = await board(t, '--data', file, '--port', site.port);
  await live(page);
  await add(again, 'Two');
  await until(() => page.evaluate(() => window.heard.length > 1));
  // Both channels have the event; the page acts once.
  await sleep(200);
  assert.deepEqual((await page.evaluate(() => window.heard)).map(([text]) => text), ['One', 'Two']);
  assert.deepEqual(await page.evaluate(() => [window.refused, window.states]), [[], ['live', 'reconnecting', 'live']]);
  await json(again, 'POST', '/api/v1/logout', {}, bearer(ada.token));
  await shows(connection(page), 'Not live');
  assert.deepEqual((await page.evaluate(() => window.refused)).sort(), ['board', 'user.1']);
});

test('channels come and go while a page is live', PAGES, async (t) => {
  const site = await board(t);
  const ada = await token(site);
  const page = await open(t, `${site.url}/login`);
  const add = (text) => json(site, 'POST', '/notes', { text }, bearer(ada.token));
  await startLive(page, { key: 'board-key', bearer: ada.token, channels: [['private', 'user.1']] });
  await live(page);
  for (let round = 1; round <= 3; round++) {
    await page.evaluate(() => {
      window.more = { name: 'board', events: { 'note.added': ({ text }) => window.heard.push([text, 'board']) } };
      window.live.leave(window.first);
      window.live.add(window.more);
    });
    await until(() => page.evaluate(() => window.live.echo.connector.pusher.channel('board')?.subscribed));
    await add(`Round ${round}`);
    await until(() => page.evaluate((count) => window.heard.length === count, round));
    await page.evaluate(() => {
      window.live.add(window.first);
      window.live.leave(window.more);
    });
    await until(() => page.evaluate(() => window.live.echo.connector.pusher.allChannels().map(({ name }) => name).join() === 'private-user.1'));
  }
  await live(page);
  assert.deepEqual(await page.evaluate(() => window.heard), [1, 2, 3].map((round) => [`Round ${round}`, 'board']));
});

test('a question that gets no answer is given up and asked again, on a live page and on one that asks by itself', PAGES, async (t) => {
  const site = await board(t);
  const ada = await token(site);
  const page = await open(t, `${site.url}/login`);
  const hanging = [];
  let hangs = true;
  await page.route('**/api/v1/health', (route) => { if (hangs) hanging.push(route); else route.continue(); });
  await startLive(page, { key: 'board-key', bearer: ada.token, channels: [['public', 'board']] });
  await live(page);
  const answered = () => page.evaluate(() => window.live.refresh()); // of the question under way, if there is one
  await until(() => hanging.length === 1, 'the first question');
  await page.clock.install();
  const passes = (what, holds) => until(async () => { await page.clock.runFor(1000); return holds(); }, what);
  await passes('the second question', () => hanging.length === 2);
  await live(page);
  hangs = false;
  await passes('the answer', () => page.evaluate(() => window.refreshes === 3));
  assert.equal(await answered(), true);
  hangs = true;
  await page.evaluate(() => window.live.refresh() && undefined);
  await until(() => hanging.length === 3, 'a question on a page that is live');
  await site.kill(); // what asks meanwhile does not wait for it
  await passes('the question after it', () => hanging.length > 4);
});

test('a page whose token is worth nothing is not live, and says which channels are refused', PAGES, async (t) => {
  const site = await board(t);
  const page = await open(t, `${site.url}/login`);
  await startLive(page, { key: 'board-key', bearer: '0'.repeat(64), channels: [['public', 'board'], ['private', 'user.1']] });
  await shows(connection(page), 'Not live');
  assert.deepEqual((await page.evaluate(() => window.refused)).sort(), ['board', 'user.1']);
});

test('a refused channel is named, and the others go on', PAGES, async (t) => {
  const site = await board(t);
  const page = await open(t, `${site.url}/login`);
  const ada = await token(site);
  await startLive(page, { key: 'board-key', bearer: ada.token, channels: [['public', 'board'], ['private', 'user.2']] });
  await live(page);
  assert.deepEqual(await page.evaluate(() => window.refused), ['user.2']);
  await json(site, 'POST', '/notes', { text: 'Still here' }, bearer(ada.token));
  await until(() => page.evaluate(() => window.heard.length === 1));
  const stranger = await open(t, `${site.url}/login`);
  await startLive(stranger, { key: 'board-key', channels: [['public', 'board']] });
  await shows(connection(stranger), 'Not live');
  assert.deepEqual(await stranger.evaluate(() => window.refused), ['board']);
});

test('a program says what it can, and what it was told wrong', () => {
  const run = (...args) => spawnSync(path.join(BUILD, 'examples/board/board'), args, { encoding: 'utf8', timeout: 30000 });
  assert.match(run('--help').stdout, /^Usage: board [^]*--env FILE[^]*BROADCAST_CONNECTION/);
  for (const args of [['--port', 'x'], ['--nothing'], ['left over'], ['--env', '/nowhere']])
    assert.equal(run(...args).status, 2, args.join(' '));
});
