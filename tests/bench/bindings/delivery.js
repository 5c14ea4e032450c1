#!/usr/bin/env node
'use strict';
/*
 * How late events are delivered while a host decides about other channels, and each decision blocks its thread: latency
 * of a fan-out, in ms, beside the same host in the way "none", which has no rule and is asked nothing.
 *
 *   tools/node tests/bench/bindings/delivery.js LOAD [--rounds N] [--seconds N] [--block N] NAME=COMMAND...
 *
 * LOAD is the program pusherload: 100 subscribers of one channel, 50 events in a second. COMMAND starts a host as
 * tests/bench/bindings/host.c describes, without its BLOCK_MS, which is appended (20 unless given) when it is asked, for
 * example 'C inbox=build-release/tests/bench/host 0 inbox'. Its last word is replaced by "none" for the comparison. Eight
 * clients ask for a channel each, again and again.
 */
const { spawn } = require('node:child_process');
const { authorize, clients, median, options, start } = require('./load.js');

const usage = 'usage: delivery.js LOAD [--rounds N] [--seconds N] [--block N] NAME=COMMAND...';
const [load] = process.argv.splice(2, 1);
const o = options({ rounds: 5, seconds: 5, block: 20 }, usage);

/** What pusherload found out. */
async function fanOut(port, pid) {
  const child = spawn(load, ['fanout', '--port', String(port), '--server-pid', String(pid), '-n', '100', '--rate', '50', '-t', String(o.seconds)]);
  let out = '';
  child.stdout.on('data', (data) => { out += data; });
  const code = await new Promise((resolve) => { child.once('close', resolve); });
  if (code !== 0) throw new Error(`${load}: exit ${code}\n${out}`);
  return JSON.parse(out.split('\n', 1)[0]);
}

async function run(command, asks) {
  const host = await start(command);
  let made = [];
  let asking = Promise.resolve();
  let asked = 0;
  let ended = false;
  if (asks) {
    made = await clients(host.port, 8, 1);
    asking = (async () => { while (!ended) asked += await authorize(made, 8); })();
  }
  const found = await fanOut(host.port, host.pid);
  ended = true;
  await asking;
  for (const client of made) client.close();
  await host.stop();
  return { p50: found.lat_p50_us / 1000, p99: found.lat_p99_us / 1000, asked };
}

async function main() {
  console.log(`| host | p50 ms, none | p99 ms, none | p50 ms, ${o.block} ms decisions | p99 ms | p99 later by, of ${o.rounds} rounds | decisions |`);
  console.log('|---|---|---|---|---|---|---|');
  for (const { name, command } of o.hosts) {
    const pairs = [];
    for (let i = 0; i < o.rounds; i++) {
      const none = await run(command.replace(/\S+\s*$/, 'none'), false);
      pairs.push({ none, busy: await run(`${command} ${o.block}`, true) });
    }
    const number = (value) => value.toFixed(2);
    const of = (side, key) => number(median(pairs.map((pair) => pair[side][key])));
    const later = pairs.map(({ none, busy }) => busy.p99 - none.p99);
    console.log(`| ${name} | ${of('none', 'p50')} | ${of('none', 'p99')} | ${of('busy', 'p50')} | ${of('busy', 'p99')} | `
      + `${number(median(later))} (${number(Math.min(...later))} to ${number(Math.max(...later))}) | ${median(pairs.map(({ busy }) => busy.asked))} |`);
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
