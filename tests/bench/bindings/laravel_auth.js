#!/usr/bin/env node
'use strict';
/*
 * What an authorization costs a Laravel application: the processor time of pusherc:serve, which decides in its process,
 * beside that of Laravel's own /broadcasting/auth in PHP-FPM with opcache behind nginx. Both ask the same functions of
 * routes/channels.php, with the same session, in the same run. pusherc:serve runs without opcache, with it, and with its JIT.
 *
 *   PUSHERC_BUILD=build-release tools/node tests/bench/bindings/laravel_auth.js [--rounds N] [--count N] [--requests N]
 *
 * In each round: N authorizations in process, N requests. Configuration and routes are cached, as in production.
 */
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { APP, artisan, assemble, connect, pages, serve, Visitor } = require('../../../bindings/php/tests/laravel/application.js');
const { cpu, median } = require('./load.js');

const o = { rounds: 5, count: 4000, requests: 400 };
for (let i = 2; i < process.argv.length; i += 2) o[process.argv[i].slice(2)] = Number(process.argv[i + 1]);

const CASES = {
  'the user is read': (n) => `private-bench.${n}`,
  'the user and a model are read': (n) => `private-orders.${100 + n}`,
};
const SETTINGS = {
  'pusherc:serve': [],
  'pusherc:serve, opcache': ['opcache.enable_cli=1'],
  'pusherc:serve, opcache and JIT': ['opcache.enable_cli=1', 'opcache.jit=tracing', 'opcache.jit_buffer_size=32M'],
};
const ENDPOINT = '/broadcasting/auth';
const AT_ONCE = 40; // channels of a page

/** CPU seconds of a process and its children. */
function family(pid) {
  const children = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid).map(Number);
  return [pid, ...children].reduce((sum, one) => sum + cpu(one), 0);
}

function parentOf(pid) {
  try { return Number(/\) \S (\d+)/.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))[1]); } catch { return 0; }
}

async function inProcess(client, nameOf, count) {
  for (let done = 0; done < count; done += AT_ONCE) {
    const names = Array.from({ length: AT_ONCE }, (_, i) => nameOf(i));
    for (const name of names) client.ask(name);
    for (let answers = 0; answers < AT_ONCE; answers++) {
      const { event } = await client.next((f) => /subscription_(succeeded|error)$/.test(f.event));
      if (event !== 'pusher_internal:subscription_succeeded') throw new Error(event);
    }
    for (const channel of names) client.send({ event: 'pusher:unsubscribe', data: { channel } });
  }
}

async function byRequests(site, agent, cookie, nameOf, count) {
  let next = 0;
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (next < count) {
      const body = new URLSearchParams({ socket_id: '1.1', channel_name: nameOf(next++ % AT_ONCE) }).toString();
      await new Promise((resolve, reject) => {
        const headers = { cookie, 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body) };
        http.request(`${site.url}/broadcasting/auth`, { method: 'POST', agent, headers }, (answer) => {
          answer.resume().on('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`))));
        }).on('error', reject).end(body);
      });
    }
  }));
}

/** A server with settings of PHP, and a client with a session of the pages. */
async function host(settings, folder, cookie) {
  fs.writeFileSync(path.join(folder, 'bench.ini'), settings.join('\n'));
  const server = await serve(null, { more: { PHP_INI_SCAN_DIR: `:${folder}` } }); // the empty one is the system's
  return { pid: server.child.pid, client: await connect(server, { app: APP, headers: { cookie } }) };
}

test('the processor time of an authorization', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'laravel-auth-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  assemble();
  artisan('test:orders', '1', '100', String(AT_ONCE));
  for (const what of ['config:cache', 'route:cache']) artisan(what);
  const site = await pages({ workers: 4, fpm: ['php_admin_value[opcache.enable] = 1', 'php_admin_value[opcache.validate_timestamps] = 0'] });
  const { cookie } = await new Visitor(site).login(1);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const ways = {
    [ENDPOINT]: {
      cpu: () => family(site.php.child.pid) + family(site.nginx.child.pid),
      count: o.requests,
      ask: (nameOf) => byRequests(site, agent, cookie, nameOf, o.requests),
    },
  };
  for (const [name, settings] of Object.entries(SETTINGS)) {
    const { pid, client } = await host(settings, folder, cookie);
    ways[name] = { cpu: () => cpu(pid), count: o.count, ask: (nameOf) => inProcess(client, nameOf, o.count) };
  }
  console.log('| function | decided by | CPU us | of rounds | /broadcasting/auth costs |\n|---|---|---|---|---|');
  for (const [what, nameOf] of Object.entries(CASES)) {
    const costs = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
    for (let round = -1; round < o.rounds; round++) // the first one warms up
      for (const [name, way] of Object.entries(ways)) {
        const before = way.cpu();
        await way.ask(nameOf);
        if (round >= 0) costs[name].push((way.cpu() - before) * 1e6 / way.count);
      }
    for (const [name, found] of Object.entries(costs)) {
      const ratio = median(found.map((cost, i) => costs[ENDPOINT][i] / cost));
      console.log(`| ${what} | ${name} | ${median(found).toFixed(0)} | ${Math.min(...found).toFixed(0)} to ${Math.max(...found).toFixed(0)} | ${ratio.toFixed(1)} x |`);
    }
  }
  agent.destroy();
});
