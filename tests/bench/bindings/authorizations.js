#!/usr/bin/env node
'use strict';
/*
 * What an authorization (subscribe, decision, reply, unsubscribe) costs the process of a host, in comparison with the
 * first host of the list: CPU time, or instructions in user space, which are the same on a busy machine.
 *
 *   tools/node tests/bench/bindings/authorizations.js [--rounds N] [--count N] [--clients N] [--channels N] [--instructions] NAME=COMMAND...
 *
 * for example with
 *
 *   'C callback=build-release/tests/bench/host 0 callback' 'C inbox=build-release/tests/bench/host 0 inbox'
 *
 * COMMAND starts a host that behaves as tests/bench/bindings/host.c says; it listens on a port that the system picks. In
 * each round each host runs once, in turn. With --instructions valgrind runs the command (a program, not a script),
 * twice in each round with different counts, so that what only happens once drops out.
 */
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { authorize, clients, cpu, median, options, start } = require('./load.js');

const o = options({ rounds: 5, count: 400000, clients: 100, channels: 40, instructions: false },
  'usage: authorizations.js [--rounds N] [--count N] [--clients N] [--channels N] [--instructions] NAME=COMMAND...');

async function run(command, count) {
  const host = await start(command);
  const made = await clients(host.port, o.clients, o.channels);
  await authorize(made, o.clients * o.channels * 4); // tables and threads are warm then
  const before = [cpu(host.pid), process.hrtime.bigint()];
  const done = await authorize(made, count);
  const seconds = Number(process.hrtime.bigint() - before[1]) / 1e9;
  const used = cpu(host.pid) - before[0];
  for (const client of made) client.close();
  await host.stop();
  return { cost: (used * 1e6) / done, perSecond: done / seconds, done };
}

async function instructions(command, count) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'authorizations-'));
  try {
    const totals = [];
    for (const times of [1, 4]) {
      const out = path.join(folder, `out.${times}`);
      const { done } = await run(`valgrind --tool=callgrind --callgrind-out-file=${out} ${command}`, times * count);
      totals.push({ done, total: Number(/^(?:summary|totals): (\d+)/m.exec(fs.readFileSync(out, 'latin1'))[1]) });
    }
    return { cost: (totals[1].total - totals[0].total) / (totals[1].done - totals[0].done), perSecond: 0 };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

async function main() {
  const measure = o.instructions ? instructions : run;
  const count = o.instructions ? Math.min(o.count, 8000) : o.count;
  const results = new Map(o.hosts.map(({ name }) => [name, []]));
  for (let i = 0; i < o.rounds; i++)
    for (const { name, command } of i % 2 ? [...o.hosts].reverse() : o.hosts) results.get(name).push(await measure(command, count));
  const unit = o.instructions ? 'instructions' : 'CPU us';
  console.log(`| host | ${unit} per authorization | of ${o.rounds} rounds | ratio to ${o.hosts[0].name} | of rounds |${o.instructions ? '' : ' per second |'}`);
  console.log(`|---|---|---|---|---|${o.instructions ? '' : '---|'}`);
  const first = results.get(o.hosts[0].name);
  for (const [name, found] of results) {
    const costs = found.map(({ cost }) => cost);
    const ratios = found.map(({ cost }, i) => cost / first[i].cost);
    const number = (value) => (o.instructions ? value.toFixed(0) : value.toFixed(2));
    const range = (values, show) => `${show(Math.min(...values))} to ${show(Math.max(...values))}`;
    console.log(`| ${name} | ${number(median(costs))} | ${range(costs, number)} | ${median(ratios).toFixed(2)} | ${range(ratios, (r) => r.toFixed(2))} |`
      + (o.instructions ? '' : ` ${Math.round(median(found.map(({ perSecond }) => perSecond))).toLocaleString('en')} |`));
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
