'use strict';
// The load of examples/gateway-monitor: how many readings a second reach pages, how old they are then, in how many frames and
// bytes, and what the program takes for it. Beside batches ("readings") the same readings by themselves ("gateway.N").
//
//   tools/node tests/bench/gateways.js [BUILD] [GATEWAYS] [CLIENTS] [SECONDS]    default: build-release 2000 10 10

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const WebSocket = require('ws');

const [build = 'build-release', gateways = '2000', clients = '10', seconds = '10'] = process.argv.slice(2);
const TOP = path.resolve(__dirname, '../..');
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gateways-'));
const child = spawn(path.join(TOP, build, 'examples/gateway-monitor/gateway-monitor'), ['--port', '0', '--simulate', '--every-value', '--gateways', gateways,
  '--data', path.join(folder, 'gateways.db'), '--node-modules', path.join(TOP, 'tests/node_modules')], { stdio: ['ignore', 'pipe', 'inherit'] });

/** Processor seconds so far, and memory in MB. */
function usage() {
  const fields = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const memory = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1];
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, memory: memory / 1024 };
}

async function signIn(url) {
  const form = await fetch(`${url}/login`);
  const cookie = form.headers.get('set-cookie').split(';')[0];
  const csrf = /name="csrf" value="([0-9a-f]{64})"/.exec(await form.text())[1];
  const answer = await fetch(`${url}/login`, { method: 'POST', redirect: 'manual', headers: { cookie }, body: new URLSearchParams({ email: 'ada@gateways.example', password: 'ada-demo', csrf }) });
  return answer.headers.get('set-cookie').split(';')[0];
}

/** Counts what comes. Only every tenth frame is read for ages: this process shares the machine with the program. */
function connect(url, cookie, channels, perMessageDeflate) {
  const all = { frames: 0, readings: 0, ages: [], bytes: () => all.socket.bytesRead };
  const ws = new WebSocket(`${url.replace('http', 'ws')}/app/gateway-monitor-key?protocol=7`, { headers: { cookie, origin: url }, perMessageDeflate });
  all.close = () => ws.close();
  ws.on('message', (text) => {
    const now = Date.now();
    const { event, data } = JSON.parse(text);
    if (event === 'reading.batch') {
      const { readings } = JSON.parse(data);
      all.readings += readings.length;
      if (all.frames % 10 === 0)
        all.ages.push(...readings.map(({ reading }) => now - Date.parse(reading.read_at)));
    } else if (event === 'reading.new' && channels.length > 1) {
      all.readings++;
    }
    if (event.startsWith('reading.'))
      all.frames++;
  });
  return new Promise((resolve, reject) => {
    ws.on('error', reject);
    ws.on('open', () => {
      all.socket = ws._socket; // eslint-disable-line no-underscore-dangle
      for (const channel of channels) ws.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel } }));
      resolve(all);
    });
  });
}

const part = (list, share) => list.sort((a, b) => a - b)[Math.floor(list.length * share)];

async function measure(what, url, cookie, channels, count, perMessageDeflate) {
  const all = [];
  for (let i = 0; i < count; i++) all.push(await connect(url, cookie, channels, perMessageDeflate));
  await sleep(3000);
  const begin = { at: Date.now(), ...usage(), all: all.map((one) => ({ frames: one.frames, readings: one.readings, bytes: one.bytes() })) };
  all.forEach((one) => { one.ages = []; });
  await sleep(seconds * 1000);
  const took = (Date.now() - begin.at) / 1000, end = usage();
  const rate = (name, value) => all.reduce((sum, one, nth) => sum + value(one) - begin.all[nth][name], 0) / took / Math.max(1, count);
  const ages = all.flatMap((one) => one.ages);
  console.log([what.padEnd(34), `${Math.round(rate('readings', (one) => one.readings))} readings/s`, `${rate('frames', (one) => one.frames).toFixed(1)} frames/s`,
    `${Math.round(rate('bytes', (one) => one.bytes()) / 1000)} KB/s`, ages.length ? `age p50 ${part(ages, 0.5)} ms, p99 ${part(ages, 0.99)} ms` : '',
    `processor ${((end.cpu - begin.cpu) / took * 100).toFixed(0)} %`, `${end.memory.toFixed(0)} MB`].join('  '));
  all.forEach((one) => one.close());
  await sleep(500);
}

readline.createInterface({ input: child.stdout }).on('line', async (line) => {
  const url = /^listening on (\S+)$/.exec(line)?.[1];
  if (!url) return;
  try {
    const cookie = await signIn(url);
    console.log(`${gateways} gateways, ${gateways * 5} readings a second; for each of the clients:`);
    await measure('nobody', url, cookie, [], 0);
    await measure(`${clients} clients, batches`, url, cookie, ['readings'], Number(clients), false);
    await measure(`${clients} clients, batches, compressed`, url, cookie, ['readings'], Number(clients), true);
    await measure('1 client, each by itself', url, cookie, Array.from({ length: Number(gateways) }, (_, i) => `gateway.${i + 1}`), 1, false);
    const { polling } = await (await fetch(`${url}/api/v1/websocket/health`)).json();
    console.log(`polls ${polling.polls}, rows written ${polling.rows_written}, lost ${polling.rows_lost}, longest hand-over ${polling.publish_ms_max.toFixed(2)} ms`);
  } finally {
    child.kill();
    child.on('close', () => fs.rmSync(folder, { recursive: true }));
  }
});
