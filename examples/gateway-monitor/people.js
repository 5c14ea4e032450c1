#!/usr/bin/env node
'use strict';
// The people of the demo: three users with stock Laravel Echo who look at gateways of different sites, go on to others,
// and acknowledge alerts after a while.
//
//   people.js URL [SEED] [SPEED]

const path = require('node:path');

const modules = process.env.NODE_MODULES || path.join(__dirname, '../status-page/node_modules');
const Pusher = require(path.join(modules, 'pusher-js'));
const echoFile = path.join(modules, 'laravel-echo/dist/echo.js');

const [url, seed = '1', speed = '1'] = process.argv.slice(2);
if (!url) {
  console.error('usage: people.js URL [SEED] [SPEED]');
  process.exit(2);
}
const { hostname, port, protocol } = new URL(url);

/** 0 or more and below 1: xorshift, so that a seed is always the same people. */
let state = Number(seed) * 2 + 1;
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
}
const some = (list) => list[Math.floor(random() * list.length)];
const wait = (least, most) => new Promise((resolve) => { setTimeout(resolve, (least + random() * (most - least)) * 1000 / Number(speed)); });

async function api(token, method, where, fields) {
  const answer = await fetch(url + where, {
    method,
    headers: { Accept: 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: fields && new URLSearchParams(fields),
  });
  if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
}

/** Looks at one gateway, then at another one. Says what it does: a demo is to be read, too. */
async function look(name, token, echo, sites) {
  for (;;) {
    const { gateways } = await api(token, 'GET', '/api/v1/dashboard'); // and see whether the program is still there
    // Gateways are numbered through the six sites.
    const [id] = some(gateways.filter(([gateway]) => sites.includes((gateway - 1) % 6 + 1)));
    let heard = 0;
    echo.channel(`gateway.${id}`).listen('.reading.new', () => { heard++; });
    await wait(10, 20);
    console.log(`${name} looked at gateway ${id} and saw ${heard} readings`);
    echo.leave(`gateway.${id}`);
  }
}

async function person(Echo, name, sites, acknowledges) {
  const { token, user } = await api(null, 'POST', '/api/v1/login', { email: `${name.toLowerCase()}@gateways.example`, password: `${name.toLowerCase()}-demo` });
  const echo = new Echo({
    broadcaster: 'pusher', Pusher, key: 'gateway-monitor-key', cluster: '', wsHost: hostname, wsPort: port, wssPort: port,
    forceTLS: protocol === 'https:', enabledTransports: ['ws', 'wss'], disableStats: true, bearerToken: token,
    auth: { headers: {} }, // Echo's default is one object for all of them, and would have the last token
    authEndpoint: `${url}/broadcasting/auth`, userAuthentication: { endpoint: `${url}/broadcasting/user-auth`, headers: { Authorization: `Bearer ${token}` } },
  });
  echo.connector.pusher.signin();
  await echo.connector.pusher.user.signinDonePromise; // these names have no prefix: the connection says who it is
  for (const channel of ['readings', 'gateways']) echo.channel(channel).error((error) => console.error(`${name}: ${channel}: ${JSON.stringify(error)}`));
  echo.channel('readings').subscribed(() => console.log(`${name} is here`));
  echo.private(`user.${user.id}`).listen('.gateway.alert', async ({ alert, gateway }) => {
    console.log(`${name} is told of ${gateway.name}`);
    if (!acknowledges) return;
    await wait(5, 15);
    await api(token, 'POST', `/api/v1/alerts/${alert.id}/acknowledge`).catch((error) => console.error(`${name}: ${error.message}`));
  });
  await look(name, token, echo, sites);
}

const answers = () => fetch(`${url}/api/v1/health`).then(() => true, () => false);

async function main() {
  const { default: Echo } = await import(echoFile);
  while (!(await answers())) await wait(0.2, 0.4);
  await Promise.all([person(Echo, 'Ada', [1, 2, 3, 4, 5, 6], false), person(Echo, 'Ben', [1, 2], true), person(Echo, 'Eve', [4], false)]);
}

main().catch(async (error) => {
  if (!(await answers())) process.exit(0); // the program has ended
  console.error(String(error));
  process.exit(1);
});
