#!/usr/bin/env node
'use strict';
/*
 * examples/provisioning under load, and what "now" costs an installer.
 *
 *   tools/node tests/bench/provisioning.js BUILD [--servers N]
 *
 * First N servers (500) are set up at once, each watched by a client of its own: how long from the machine's request to
 * the event at the client, and the program's processor time. Each machine says a word a second: the server debounces each
 * channel by half a second. Then one machine says its ten steps through a wire of 0, 1 and 100 ms to another program's
 * server, queued and now: the median of its requests. All of it is on this machine.
 */
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');

const WebSocket = require('../node_modules/ws');

const [build = 'build', ...rest] = process.argv.slice(2);
const SERVERS = Number(rest[rest.indexOf('--servers') + 1] || 500);
const USER = { email: 'iris@harbour.example', password: 'iris-demo' };
const APP = { REVERB_APP_ID: 'cloud', REVERB_APP_KEY: 'cloud-key', REVERB_APP_SECRET: 'cloud-secret' };
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);

process.setMaxListeners(0);

async function start(env) {
  const child = spawn(path.join(build, 'examples/provisioning/provisioning'),
    ['--port', '0', '--node-modules', path.join(__dirname, '../node_modules')], { env: { ...process.env, ...APP, ...env } });
  process.on('exit', () => child.kill());
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const found = /^listening on (http\S+)$/.exec(line);
    if (found) {
      child.stdout.resume();
      return { child, url: found[1], port: Number(new URL(found[1]).port) };
    }
  }
  throw new Error('it does not start');
}

async function signIn({ url }) {
  const form = await fetch(`${url}/login`);
  const csrf = /name="csrf" value="(\w+)"/.exec(await form.text())[1];
  const answer = await fetch(`${url}/login`, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ ...USER, csrf }),
    headers: { cookie: form.headers.get('set-cookie').split(';')[0] } });
  const cookie = answer.headers.get('set-cookie').split(';')[0];
  const page = await (await fetch(`${url}/servers`, { headers: { cookie } })).text();
  return { cookie, 'X-CSRF-Token': /csrf-token" content="(\w+)"/.exec(page)[1], Accept: 'application/json' };
}

const order = async ({ url }, headers) =>
  (await fetch(`${url}/api/v1/servers`, { method: 'POST', headers, body: new URLSearchParams({ name: 'box' }) })).json();

async function say({ url }, { id, token }, step) {
  const send = () => fetch(`${url}/servers/${id}/provision/step`, { method: 'POST',
    headers: { Authorization: `Bearer ${token}` }, body: new URLSearchParams({ step, status: 'completed' }) });
  const answer = await send().catch(send); // an idle connection may just have been closed
  if (!answer.ok) throw new Error(await answer.text());
  await answer.text();
}

async function watch(program, headers, { id }, heard) {
  const socket = new WebSocket(`${program.url.replace('http', 'ws')}/app/cloud-key?protocol=7`, { headers: { cookie: headers.cookie, origin: program.url } });
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (text) => {
      const { event } = JSON.parse(text);
      if (event === 'pusher:connection_established') socket.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel: `private-servers.${id}.provision` } }));
      else if (event === 'pusher_internal:subscription_succeeded') resolve();
      else if (event.startsWith('App')) heard();
      else if (event === 'pusher:ping') socket.send('{"event":"pusher:pong"}');
    });
  });
  return socket;
}

const seconds = (pid) => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

async function load() {
  const program = await start({ BROADCAST_CONNECTION: 'local' });
  const headers = await signIn(program);
  const times = [];
  const boxes = [];
  for (let i = 0; i < SERVERS; i++) {
    const box = await order(program, headers);
    box.socket = await watch(program, headers, box, () => times.push(performance.now() - box.saidAt));
    boxes.push(box);
  }
  const [cpu, began] = [seconds(program.child.pid), performance.now()];
  await Promise.all(boxes.map(async (box, i) => {
    await sleep((i * 1000) / SERVERS);
    for (let step = 1; step <= 10; step++) {
      const next = sleep(1000);
      box.saidAt = performance.now();
      await say(program, box, step);
      await next;
    }
  }));
  const took = (performance.now() - began) / 1000;
  times.sort((a, b) => a - b);
  console.log(`${SERVERS} servers, ${times.length} of ${SERVERS * 10} events in ${took.toFixed(1)} s: p50 ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms, `
    + `${((1000 * (seconds(program.child.pid) - cpu)) / (SERVERS * 10)).toFixed(2)} ms of the program's processor for each step`);
  boxes.forEach(({ socket }) => socket.terminate());
  program.child.kill();
}

/** A wire that needs so long, each way together. */
function wire(port, ms) {
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    near.on('data', (data) => setTimeout(() => far.write(data), ms)).on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('data', (data) => near.write(data)).on('error', () => near.destroy());
  });
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server)); });
}

async function installer(ms, queue) {
  const pages = await start({ BROADCAST_CONNECTION: 'local' });
  const line = await wire(pages.port, ms);
  const program = await start({ BROADCAST_CONNECTION: 'reverb', REVERB_HOST: '127.0.0.1', REVERB_PORT: String(line.address().port), REVERB_SCHEME: 'http', QUEUE_CONNECTION: queue });
  const headers = await signIn(program);
  const times = [];
  for (let run = 0; run < 5; run++) {
    const box = await order(program, headers);
    for (let step = 1; step <= 10; step++) {
      const began = performance.now();
      await say(program, box, step);
      times.push(performance.now() - began);
    }
  }
  times.sort((a, b) => a - b);
  pages.child.kill();
  program.child.kill();
  line.close();
  return at(times, 0.5);
}

(async () => {
  await load();
  for (const ms of [0, 1, 100])
    console.log(`${ms} ms to the server: a step takes ${await installer(ms, 'redis')} ms queued, ${await installer(ms, 'sync')} ms now`);
  process.exit();
})();
