'use strict';
// What the tests of the applications in examples/ share, with a browser or without: any of them as a program, and clients
// that have signed in.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const path = require('node:path');
const readline = require('node:readline');

const { BUILD, TOP, connect, freePort, within } = require('./lib.js');

/** The ports of programs that were killed: what was under way there was cut off. */
const killed = new Set();

/**
 * Starts the example of that name; it ends with the test, and has to end well. `env` as its last argument if it is an object.
 * A normal start says nothing; set `site.talks` where something else is expected.
 */
async function launch(t, name, ...args) {
  const env = typeof args.at(-1) === 'object' ? args.pop() : {};
  const port = String(await freePort()); // which it can have again after an end
  const child = spawn(path.join(BUILD, 'examples', name, name),
    ['--port', port, '--node-modules', path.join(TOP, 'tests/node_modules'), ...args], { env: { ...process.env, ...env } });
  const site = { name, pid: child.pid, stderr: '', stdout: '', killed: false, talks: 'BROADCAST_DEBUG' in env };
  child.stderr.on('data', (data) => { site.stderr += data; });
  const exited = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  site.stop = async () => {
    if (child.exitCode === null && !site.killed) child.kill('SIGTERM');
    assert.equal(await within(exited, 'end of the program'), site.killed ? 'SIGKILL' : 0, site.stderr);
    if (!site.talks) assert.equal(site.stderr, '');
  };
  site.kill = async () => {
    site.killed = true;
    killed.add(site.port);
    child.kill('SIGKILL');
    await exited;
  };
  t.after(() => site.stop());
  for await (const line of readline.createInterface({ input: child.stdout })) {
    site.stdout += `${line}\n`; // up to that one
    const found = /^listening on (https?:\/\/\S+)$/.exec(line);
    if (found) {
      [, site.url] = found;
      site.port = new URL(site.url).port;
      child.stdout.resume();
      return site;
    }
  }
  throw new Error(`no "listening on": ${site.stderr}`);
}

/**
 * A client without a browser that has signed in by the form. `fields` go with it. `send` is fetch() with the right agent
 * where that is needed.
 */
async function signedIn(site, user, fields = {}, send = fetch) {
  const form = await send(`${site.url}/login`);
  const loginCookie = form.headers.get('set-cookie').split(';')[0];
  const csrf = /name="csrf" value="([0-9a-f]{64})"/.exec(await form.text())[1];
  const answer = await send(`${site.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: loginCookie },
    body: new URLSearchParams({ ...user, csrf, ...fields }),
  });
  if (answer.status !== 303) return { status: answer.status };
  const setCookie = answer.headers.get('set-cookie');
  const cookie = setCookie.split(';')[0];
  const page = await send(site.url + answer.headers.get('location'), { headers: { cookie } });
  const token = /name="csrf-token" content="([0-9a-f]{64})"/.exec(await page.text())[1];
  const write = (method, where, body, headers = {}) => send(`${site.url}${where}`, {
    method,
    redirect: 'manual',
    headers: { Accept: 'application/json', 'X-CSRF-Token': token, cookie, ...headers },
    body,
  });
  return {
    status: answer.status,
    location: answer.headers.get('location'),
    cookie,
    setCookie,
    get: (where) => send(`${site.url}${where}`, { headers: { cookie }, redirect: 'manual' }),
    post: (where, fields_, headers) => write('POST', where, new URLSearchParams(fields_), headers),
    send: write,
  };
}

/** A raw WebSocket client that wants a channel, with the cookie of a session or without. */
async function subscriber(site, channel, cookie, key = `${site.name}-key`) {
  const headers = cookie ? { cookie, origin: site.url } : {};
  const socket = await connect({ port: site.port }, { app: { key }, headers });
  socket.ask(channel);
  socket.answer = await socket.next((frame) => /subscription_(succeeded|error)$/.test(frame.event));
  return socket;
}

module.exports = { killed, launch, signedIn, subscriber };
