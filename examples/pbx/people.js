#!/usr/bin/env node
'use strict';
/*
 * Plays the people of the demo until the program ends: colleagues with stock Laravel Echo who come and go.
 *
 *   tools/node examples/pbx/people.js URL [--speed 1] [--seed 1] [--node-modules DIR]
 *
 * Of the eight people of each organization five come and go, one reloads every 20 seconds, and one has two tabs. The first is
 * left to the visitor.
 */
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const options = { url: process.argv[2], speed: '1', seed: '1', 'node-modules': path.join(__dirname, '../status-page/node_modules') };
for (let i = 3; i < process.argv.length; i += 2) options[process.argv[i].slice(2)] = process.argv[i + 1];
const MODULES = path.resolve(options['node-modules']);
const SPEED = Number(options.speed);
const PASSWORD = 'pbx-demo';
const PEOPLE = {
  kestrel: ['ben', 'cleo', 'dan', 'eve', 'finn', 'gia', 'hugo'],
  bluebird: ['jon', 'kim', 'leo', 'mia', 'nils', 'olga', 'paul'],
  granite: ['rosa', 'sam', 'tess', 'uma', 'vito', 'wim', 'yara'],
};

let state = Number(options.seed);
/** From low to high: the same sequence for the same seed. */
function between(low, high) {
  state = (state * 1103515245 + 12345) % 2147483648;
  return low + (state / 2147483648) * (high - low);
}
const pause = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000 / SPEED); });

/** One page of a person: it joins as the documents of such applications say. */
class Page {
  constructor(make, token, organization) {
    Object.assign(this, { make, token, organization, echo: null });
  }

  open() {
    this.echo = this.make(this.token);
    this.echo.join(`org.${this.organization}`);
  }

  close() {
    this.echo?.disconnect();
    this.echo = null;
  }
}

async function comeAndGo(page) {
  for (;;) {
    await pause(between(20, 90));
    page.close();
    await pause(between(10, 40));
    page.open();
  }
}

async function reload(page) {
  for (;;) {
    await pause(20);
    page.close();
    page.open();
  }
}

/** One after the other: a password takes a tenth of a second of the program on purpose. */
async function signIn(url, email) {
  const answer = await fetch(`${url}/api/v1/login`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ email, password: PASSWORD }),
  });
  return answer.ok ? answer.json() : null; // a database without the demo
}

function live(make, { token, user }, nth) {
  const page = new Page(make, token, user.organization_id);
  page.open();
  if (nth === 0)
    new Page(make, token, user.organization_id).open(); // a second tab
  else if (nth === 1)
    reload(page);
  else
    comeAndGo(page);
}

async function play(url) {
  const { hostname, port } = new URL(url);
  const { default: Echo } = await import(pathToFileURL(path.join(MODULES, 'laravel-echo/dist/echo.js')).href);
  const Pusher = require(path.join(MODULES, 'pusher-js'));
  const make = (token) => {
    const echo = new Echo({
      broadcaster: 'reverb', key: process.env.REVERB_APP_KEY ?? process.env.PUSHER_APP_KEY ?? 'pbx-key', Pusher, wsHost: hostname, wsPort: Number(port), wssPort: Number(port),
      forceTLS: url.startsWith('https'), enabledTransports: [url.startsWith('https') ? 'wss' : 'ws'], authEndpoint: `${url}/broadcasting/auth`, bearerToken: token,
      auth: { headers: {} }, // Echo's default is one object for all of them, and would have the last token
    });
    echo.connector.pusher.connection.bind('error', () => {}); // the program says what is wrong
    return echo;
  };
  for (const [organization, names] of Object.entries(PEOPLE)) {
    for (const [nth, name] of names.entries()) {
      const person = await signIn(url, `${name}@${organization}.example`);
      if (person)
        live(make, person, nth);
    }
  }
}

const answers = (url) => fetch(`${url}/api/v1/health`).then((answer) => answer.ok, () => false);
const real = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function main() {
  const parent = process.ppid;
  for (let tries = 0; tries < 300 && !(await answers(options.url)); tries++) await real(200);
  await play(options.url);
  for (let away = 0; away < 20 && process.ppid === parent;) {
    await real(500);
    away = await answers(options.url) ? 0 : away + 1;
  }
  process.exit(0);
}

main().catch(async (error) => {
  if (!(await answers(options.url))) process.exit(0); // the program has ended
  console.error(`people: ${error.message}`);
  process.exit(1);
});
