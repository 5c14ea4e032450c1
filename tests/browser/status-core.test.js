'use strict';
/*
 * The core of a status page, once in each language, in a real browser: one channel with two audiences, a rule, a publish,
 * and a revocation. What each of the programs has to do:
 *
 *   command    PROGRAM PORT PAGE     PORT 0: the system picks one; PAGE: the path of examples/status-core.html
 *   start      the first line of its standard output is "listening on http://127.0.0.1:PORT"
 *   end        SIGTERM and SIGINT end it with status 0; its standard error names no error (log lines are welcome)
 *   app        app-id, app-key, app-secret; rules decide (PUSHERC_AUTH_RULES)
 *   members    bearer tokens: token-olga is "olga", token-max is "max". `identify` gives a connection that user, for
 *              the stock endpoint /broadcasting/user-auth; other tokens and none are visitors, who may connect
 *   channel    "status.page", a public name with a rule (PUSHERC_RULE_PUBLIC). The grant's view is "member" for members,
 *              "visitor" for visitors; those are refused with 403 "This page is for members" while the page is private
 *   event      "changed", {"service":...,"status":...,"by":...}; in the view "visitor" without "by"
 *
 *   GET /              200, PAGE as text/html; charset=utf-8
 *   all others         401 "Who are you?\n" without a member's bearer token
 *   POST /services     form: service, status. Publishes the event; 200 "Told\n"
 *   POST /visibility   form: public=yes|no ("yes" at the start). Asks the rule again about the channel; answers when that
 *                      has ended: 200 "kept N, revoked N\n"
 *   what else          404 "Not here\n"
 *
 * The source has fewer than 150 lines.
 */
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { BUILD, PATIENCE_MS, Program, TOP, within } = require('../integration/lib.js');
const { shared, shows } = require('./site.js');

const PAGE = path.join(TOP, 'examples/status-core.html');
const PUSHER_JS = path.join(TOP, 'tests/node_modules/pusher-js/dist/web/pusher.min.js');

const built = (name) => path.join(BUILD, name);
const source = (name) => path.join(TOP, name);
const PYTHON = process.env.PUSHERC_PYTHON; // with the package; the stage `python` sets it
// An interpreter that is built without a sanitizer cannot load a library with one.
const LIBRARY = built(process.env.ASAN_OPTIONS ? 'nothing' : 'lib/libpusherc.so');

/** `command` is the program with its first arguments; without the file `needs` it is left out. */
const PROGRAMS = [
  { language: 'C++', source: 'examples/status-core.cpp', command: [built('examples/status-core')], needs: built('examples/status-core') },
  { language: 'PHP', source: 'examples/status-core.php', command: ['php', source('examples/status-core.php')], needs: LIBRARY, env: { PUSHERC_LIBRARY: LIBRARY } },
  { language: 'Python', source: 'examples/status_core.py', command: [PYTHON, source('examples/status_core.py')], needs: PYTHON },
];

async function start(t, { command: [file, ...args], env }) {
  const program = new Program(file, [...args, '0', PAGE], { cwd: TOP, env: { ...process.env, ...env } });
  t.after(() => { program.child.kill('SIGKILL'); });
  const line = await program.lines.next();
  assert.match(line, /^listening on http:\/\/127\.0\.0\.1:\d+$/);
  program.url = line.slice('listening on '.length);
  return program;
}

/** The page of a visitor, or of the member with the token, in a browser profile of its own. `frames`: what it was sent. */
async function open(t, { url }, token = '') {
  const context = await shared.browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.frames_ = [];
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => page.frames_.push(String(payload))));
  await context.route((to) => to.origin !== url, (route) => (new URL(route.request().url()).pathname.endsWith('/pusher.min.js')
    ? route.fulfill({ path: PUSHER_JS, contentType: 'text/javascript' }) : route.abort()));
  await page.goto(`${url}/#${token}`);
  return page;
}

const state = (page) => page.getByRole('status').first();
const service = (page, text) => page.locator('#services li').filter({ hasText: text });

async function tell(page, name, status) {
  await page.getByLabel('Service').fill(name);
  await page.getByLabel('Status').fill(status);
  await page.getByRole('button', { name: 'Tell' }).click();
}

async function setPublic(page, to, counts) {
  await page.getByLabel('All may see this page').setChecked(to);
  await shows(page.locator('output'), counts);
}

/** What a program answers to requests of clients that are no page. */
async function checkHttp({ url }) {
  const send = async (method, where, headers, form) => {
    const answer = await fetch(url + where, { method, headers, body: form && new URLSearchParams(form) });
    return [answer.status, await answer.text()];
  };
  const max = { Authorization: 'Bearer token-max' };
  const form = { service: 'db', status: 'down' };
  assert.deepEqual(await send('POST', '/services', {}, form), [401, 'Who are you?\n']);
  assert.deepEqual(await send('POST', '/services', { Authorization: 'Bearer token-eve' }, form), [401, 'Who are you?\n']);
  assert.deepEqual(await send('POST', '/visibility', {}, { public: 'no' }), [401, 'Who are you?\n']);
  assert.deepEqual(await send('GET', '/nothing', max), [404, 'Not here\n']);
  assert.deepEqual(await send('POST', '/services', max, form), [200, 'Told\n']);
  const page = await fetch(url);
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(await page.text(), fs.readFileSync(PAGE, 'utf8'));
}

for (const program of PROGRAMS) {
  const skip = !fs.existsSync(program.needs || '') && 'was not built';

  test(`${program.language}: two audiences of a status page, and a revocation`, { skip }, async (t) => {
    const server = await start(t, program);
    const visitor = await open(t, server);
    const olga = await open(t, server, 'token-olga');
    for (const page of [visitor, olga]) await shows(state(page), /^Live$/);
    assert.equal(await visitor.getByRole('button').count(), 0, 'visitors change nothing');

    await tell(olga, 'Database', 'down');
    await service(olga, /^Database: down by olga$/).waitFor();
    await service(visitor, /^Database: down$/).waitFor();
    await tell(olga, '<b>&"', 'žluťoučký\u{1f600}');
    await service(visitor, /^<b>&": žluťoučký\u{1f600}$/u).waitFor();

    await setPublic(olga, false, /^kept 1, revoked 1$/);
    await shows(state(visitor), /^This page is for members/);
    await tell(olga, 'Intranet', 'stolen');
    await service(olga, /^Intranet: stolen by olga$/).waitFor();
    const late = await open(t, server);
    await shows(state(late), /^This page is for members/);
    assert.equal(await visitor.locator('#services li').count(), 0, 'what was seen is gone');

    await setPublic(olga, true, /^kept 2, revoked 0$/);
    await shows(state(visitor), /^Live$/);
    const max = await open(t, server, 'token-max');
    await shows(state(max), /^Live$/);
    await tell(max, 'Database', 'up');
    await service(olga, /^Database: up by max$/).waitFor();
    await service(visitor, /^Database: up$/).waitFor();
    for (const frame of [...visitor.frames_, ...late.frames_])
      assert.doesNotMatch(frame, /olga|max|Intranet/, 'a visitor was sent what only members see');

    await checkHttp(server);
    for (const page of [visitor, late, olga, max]) await page.close();
    server.child.kill('SIGTERM');
    assert.deepEqual(await within(server.exited, 'end of the program'), { code: 0, signal: null });
    assert.doesNotMatch(server.stderr, /error|exception|traceback/i);
  });

  test(`${program.language}: the source has fewer than 150 lines`, () => {
    const lines = fs.readFileSync(path.join(TOP, program.source), 'utf8').split('\n').length - 1;
    assert.ok(lines < 150, `${program.source} has ${lines}`);
  });
}
