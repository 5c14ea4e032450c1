#!/usr/bin/env node
'use strict';
/*
 * Starts the program, and plays its people until it ends: colleagues with stock Laravel Echo who come and go.
 *
 *   node people.js build/examples/pbx/pbx [OPTION]...     of the program; --node-modules, --speed and --simulate=SEED count here, too
 *
 * Of the eight people of each organization five come and go, one reloads every 20 seconds, and one has two tabs. The first is
 * left to the visitor.
 */
const { spawn } = require('node:child_process');
const path = require('node:path');
const readline = require('node:readline');
const { pathToFileURL } = require('node:url');

const [program, ...args] = process.argv.slice(2);
const option = (name) => {
  const at = args.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  return at < 0 ? undefined : args[at].split('=')[1] ?? args[at + 1];
};
const MODULES = option('node-modules') ?? path.join(__dirname, '../status-page/node_modules');
const SPEED = Number(option('speed') ?? 1);
const PASSWORD = 'pbx-demo';
const PEOPLE = {
  kestrel: ['ben', 'cleo', 'dan', 'eve', 'finn', 'gia', 'hugo'],
  bluebird: ['jon', 'kim', 'leo', 'mia', 'nils', 'olga', 'paul'],
  granite: ['rosa', 'sam', 'tess', 'uma', 'vito', 'wim', 'yara'],
};

const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
child.on('error', (error) => { console.error(error.message); process.exit(1); });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));

let state = Number(args.find((word) => word.startsWith('--simulate='))?.split('=')[1] ?? 1);
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

readline.createInterface({ input: child.stdout }).on('line', (line) => {
  console.log(line);
  const found = /^listening on (https?:\/\/\S+)$/.exec(line);
  if (found)
    play(found[1]).catch((error) => child.exitCode ?? child.signalCode ?? console.error(`people: ${error.message}`));
});
