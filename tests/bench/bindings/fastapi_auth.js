#!/usr/bin/env node
'use strict';
/*
 * What a decision about a channel costs a Python application: the CPU time of rules that run in its process, connections
 * and replies included, beside that of a /broadcasting/auth in FastAPI and uvicorn, without the server that its clients
 * are connected to. Both run in turn.
 *
 *   tools/node tests/bench/bindings/fastapi_auth.js [--rounds N] [--count N] [--requests N] ENDPOINT=COMMAND RULES=COMMAND...
 *
 * ENDPOINT's command starts fastapi_host.py; those of the others start python_host.py.
 */
const http = require('node:http');
const { authorize, clients, cpu, median, options, start } = require('./load.js');

const o = options({ rounds: 5, count: 40000, requests: 4000 },
  'usage: fastapi_auth.js [--rounds N] [--count N] [--requests N] ENDPOINT=COMMAND RULES=COMMAND...');
const AT_ONCE = 6; // requests, as a browser sends them

async function byRequests({ port }, count) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < count) {
      const body = `socket_id=1.1&channel_name=private-bench.${next++ % 40}`;
      await new Promise((resolve, reject) => {
        http.request(`http://127.0.0.1:${port}/broadcasting/auth?token=user-1`, { method: 'POST', agent, headers }, (answer) => {
          answer.resume().on('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`))));
        }).on('error', reject).end(body);
      });
    }
  }));
  agent.destroy();
  return count;
}

async function run(host, work, count) {
  try {
    await work(Math.ceil(count / 10)); // warms up
    const before = cpu(host.pid);
    const done = await work(count);
    return ((cpu(host.pid) - before) * 1e6) / done;
  } finally {
    await host.stop();
  }
}

async function endpoint(command) {
  const host = await start(command);
  return run(host, (count) => byRequests(host, count), o.requests);
}

async function rules(command) {
  const host = await start(command);
  const made = await clients(host.port, 20, 40);
  return run(host, (count) => authorize(made, count), o.count);
}

async function main() {
  const results = o.hosts.map(() => []);
  for (let i = 0; i < o.rounds; i++)
    for (const [n, { command }] of o.hosts.entries()) results[n].push(await (n ? rules : endpoint)(command));
  console.log(`| decision by | CPU us | of ${o.rounds} rounds | ${o.hosts[0].name} costs so many times as much |\n|---|---|---|---|`);
  for (const [n, { name }] of o.hosts.entries()) {
    const ratio = median(results[n].map((cost, i) => results[0][i] / cost));
    console.log(`| ${name} | ${median(results[n]).toFixed(1)} | ${Math.min(...results[n]).toFixed(1)} to ${Math.max(...results[n]).toFixed(1)} | ${n ? ratio.toFixed(1) : ''} |`);
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
