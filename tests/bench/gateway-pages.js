'use strict';
// GATE-19 and GATE-A6: examples/gateway-monitor with many open pages, for long: what memory and processor the program takes,
// the heap of a page, and how often pages ask. Pages in Chromium cost this machine more than the program: a part of them are
// WebSocket clients that hear what a page hears.
//
//   tools/node tests/bench/gateway-pages.js [BUILD] [SECONDS] [PAGES] [OF THEM IN CHROMIUM] [GATEWAYS]
//   default: build-release 3600 50 1 200

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { chromium } = require('playwright-core');
const WebSocket = require('ws');

const [build = 'build-release', seconds = '3600', pages = '50', real = '1', gateways = '200'] = process.argv.slice(2);
const TOP = path.resolve(__dirname, '../..');
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gateway-pages-'));
const child = spawn(path.resolve(TOP, build, 'examples/gateway-monitor/gateway-monitor'), ['--port', '0', '--simulate', '--gateways', gateways,
  '--data', path.join(folder, 'gateways.db'), '--node-modules', path.join(TOP, 'tests/node_modules')], { stdio: ['ignore', 'pipe', 'inherit'] });

/** Processor seconds so far, and memory in MB. */
function usage() {
  const fields = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const memory = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1];
  return { at: Date.now(), cpu: (Number(fields[11]) + Number(fields[12])) / 100, memory: memory / 1024 };
}

async function openPage(browser, url, asked) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on('request', (request) => { if (new URL(request.url()).pathname === '/api/v1/dashboard') asked.count++; });
  await page.goto(`${url}/login`);
  await page.getByLabel('E-mail').fill('ada@gateways.example');
  await page.getByLabel('Password').fill('ada-demo');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.locator('#connection', { hasText: /^Live$/ }).waitFor({ timeout: 120000 });
  return { page, session: await context.newCDPSession(page), cookie: (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ') };
}

/** In MB, of what is left when the garbage is gone. */
async function heap({ session }) {
  await session.send('HeapProfiler.collectGarbage');
  return (await session.send('Runtime.getHeapUsage')).usedSize / 1048576;
}

function listen(url, cookie, heard) {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/app/gateway-monitor-key?protocol=7`, { headers: { cookie, origin: url } });
  ws.on('open', () => ['readings', 'gateways', 'gateway.1'].forEach((channel) => ws.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel } }))));
  ws.on('message', (text) => {
    heard.frames++;
    if (text.includes('"pusher:ping"')) ws.send('{"event":"pusher:pong","data":{}}');
  });
  ws.on('close', () => { heard.closed++; });
  ws.on('error', () => {});
  return ws;
}

readline.createInterface({ input: child.stdout }).on('line', async (line) => {
  const url = /^listening on (\S+)$/.exec(line)?.[1];
  if (!url) return;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
  const asked = { count: 0 }, heard = { frames: 0, closed: 0 };
  try {
    const shown = [];
    for (let i = 0; i < Number(real); i++) shown.push(await openPage(browser, url, asked));
    const sockets = Array.from({ length: Number(pages) - shown.length }, () => listen(url, shown[0].cookie, heard));
    await sleep(5000);
    const begin = usage();
    asked.count = 0;
    let last = begin;
    for (let end = Date.now() + seconds * 1000; Date.now() < end;) {
      await sleep(Math.min(300000, end - Date.now()));
      const now = usage();
      console.log(`after ${Math.round((now.at - begin.at) / 1000)} s: program ${now.memory.toFixed(1)} MB, ${((now.cpu - last.cpu) / (now.at - last.at) * 1e5).toFixed(1)} % of a core; a page's heap ${(await heap(shown[0])).toFixed(2)} MB`);
      last = now;
    }
    const end = usage(), minutes = (end.at - begin.at) / 60000;
    console.log(`${pages} pages, ${real} of them in Chromium, ${gateways} gateways: ${((end.cpu - begin.cpu) / (end.at - begin.at) * 1e5).toFixed(1)} % of a core; ${begin.memory.toFixed(1)} MB became ${end.memory.toFixed(1)} MB; ` +
      `${(asked.count / shown.length / minutes).toFixed(3)} requests of a page in a minute; ${heard.frames} frames heard, ${heard.closed} connections lost`);
    sockets.forEach((socket) => socket.terminate());
  } finally {
    await browser.close();
    child.kill();
    child.on('close', () => fs.rmSync(folder, { recursive: true }));
  }
});
