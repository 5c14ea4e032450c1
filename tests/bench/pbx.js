#!/usr/bin/env node
'use strict';
/*
 * The load of examples/pbx: from a webhook's request to the handler of a page, end to end, with both clocks on one machine.
 *
 *   tools/node tests/bench/pbx.js [BUILD] [CALLS-A-SECOND] [SECONDS] [MEMBERS]     default: build-release 200 10 1000
 *
 * Fifty organizations; each call is three webhooks (it arrives, is answered, ends), each told to all connected members of
 * its organization. One member of each organization measures; the others, in a process of their own, only receive. With
 * 20 3600 it shows the memory of an hour; from 600 s on, five of the others leave and come back each second.
 */
const { execFileSync, fork, spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const WebSocket = require('../node_modules/ws');

const SECRET = 'bench';
const ORGANIZATIONS = 50;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** A member of an organization, connected; `each` gets each message. */
function member(port, token, organization, each) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/app/pbx-key?protocol=7`, { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false });
    ws.on('error', reject);
    ws.on('open', () => ws.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel: `presence-org.${organization}` } })));
    ws.on('message', (data) => {
      const text = data.toString();
      if (text.includes('subscription_succeeded')) resolve(ws);
      else if (text.includes('subscription_error')) reject(new Error(text));
      else if (text.includes('"pusher:ping"')) ws.send('{"event":"pusher:pong","data":{}}');
      else each?.(text);
    });
  });
}

if (process.argv[2] === '--members') {
  process.once('message', async ({ port, members, move }) => {
    let events = 0;
    const there = [], open = ([token, organization]) => member(port, token, organization, () => { events++; });
    for (let i = 0; i < members.length; i += 50) there.push(...await Promise.all(members.slice(i, i + 50).map(open)));
    process.on('message', () => process.send(events));
    process.on('disconnect', () => process.exit());
    process.send('ready');
    for (let i = 0; move; i = (i + 1) % members.length) {
      await sleep(200);
      there[i].close();
      there[i] = await open(members[i]);
    }
  });
} else {
  main(...process.argv.slice(2)).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
}

const FILL = `
import hashlib, json, secrets, sqlite3, sys, time
db, members = sqlite3.connect(sys.argv[1]), int(sys.argv[2])
for o in range(4, 54):
    db.execute("INSERT INTO organizations (id, name) VALUES (?, ?)", (o, f"Organization {o}"))
    db.execute("INSERT INTO extensions VALUES (?, ?, '101', NULL)", (o + 100, o))
    db.execute("INSERT INTO dids VALUES (?, ?, ?)", (o + 100, o + 100, f"+4420{o:08}"))
out = []
for i in range(members):
    token = secrets.token_hex(32)
    db.execute("INSERT INTO users VALUES (?, ?, ?, '-')", (1000 + i, f"m{i}@bench.example", f"Member {i}"))
    db.execute("INSERT INTO people VALUES (?, ?, 'member', 1)", (1000 + i, 4 + i % 50))
    db.execute("INSERT INTO sessions VALUES (?, ?, ?)", (hashlib.blake2b(b'bearer', key=token.encode(), digest_size=32).hexdigest(), 1000 + i, int(time.time()) + 86400))
    out.append([token, 4 + i % 50])
db.commit()
print(json.dumps(out))
`;

async function main(build = 'build-release', rate = '200', seconds = '10', count = '1000') {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pbx-bench-'));
  const file = path.join(folder, 'pbx.db');
  const child = spawn(path.join(build, 'examples/pbx/pbx'), ['--port', '0', '--data', file, '--node-modules', path.join(__dirname, '../node_modules')],
    { env: { ...process.env, VOICE_WEBHOOK_SECRET: SECRET }, stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => { child.kill(); fs.rmSync(folder, { recursive: true }); });
  let port;
  for await (const line of readline.createInterface({ input: child.stdout })) {
    port = Number(/^listening on http:\/\/127.0.0.1:(\d+)/.exec(line)?.[1]);
    if (port) break;
  }
  child.stdout.resume();
  const members = JSON.parse(execFileSync('python3', ['-c', FILL, file, count], { maxBuffer: 1 << 26 }));

  const sent = new Map();
  const took = [];
  const heard = (text) => {
    const now = performance.now();
    const [, event] = /"event":"call\.(\w+)"/.exec(text) ?? [];
    const began = event && sent.get(`${event} ${/call_id\\?":\\?"([\w-]+)/.exec(text)[1]}`);
    if (began) took.push(now - began);
  };
  for (const [token, organization] of members.slice(0, ORGANIZATIONS)) await member(port, token, organization, heard);
  const others = fork(__filename, ['--members']);
  others.send({ port, members: members.slice(ORGANIZATIONS), move: seconds >= 600 });
  await new Promise((resolve) => { others.once('message', resolve); });

  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  let events = 0;
  function say(organization, type, fields) {
    const at = Math.floor(Date.now() / 1000);
    const body = JSON.stringify({ event_id: `e${events++}`, type: `call.${type}`, organization_id: organization, ...fields });
    const signature = crypto.createHmac('sha256', SECRET).update(`${at}.${body}`).digest('hex');
    return new Promise((resolve, reject) => {
      sent.set(`${type} ${fields.call_id}`, performance.now());
      const request = http.request({ port, host: '127.0.0.1', method: 'POST', path: '/api/v1/webhooks/voice', agent,
        headers: { 'X-Voice-Timestamp': at, 'X-Voice-Signature': signature, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } }, (response) => {
        response.resume().on('end', () => (response.statusCode === 202 ? resolve() : reject(new Error(`${response.statusCode}`))));
      });
      request.on('error', reject);
      request.end(body);
    });
  }
  async function call(nth) {
    const organization = String(4 + nth % ORGANIZATIONS);
    const id = crypto.randomUUID();
    await say(organization, 'initiated', { call_id: id, from: '+447700900000', to: `+4420${organization.padStart(8, '0')}` });
    await sleep(200);
    await say(organization, 'answered', { call_id: id, extension: '101' });
    await sleep(200);
    await say(organization, 'ended', { call_id: id, status: 'completed' });
    for (const type of ['initiated', 'answered', 'ended']) setTimeout(() => sent.delete(`${type} ${id}`), 10000);
  }
  const memory = () => (Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024).toFixed(1);
  const processor = () => { const f = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(f[11]) + Number(f[12])) / 100; };
  const [cpu, began, first] = [processor(), performance.now(), memory()];
  const calls = [];
  let made = 0;
  for (let nth = 0; nth < rate * seconds; nth++) {
    const due = began + nth * 1000 / rate;
    if (due > performance.now() + 1) await sleep(due - performance.now());
    calls.push(call(nth));
    made++;
    if (calls.length > 10000) await calls.shift();
    if (nth > 0 && nth % (rate * 600) === 0) console.log(`${nth / rate} s: ${memory()} MB`);
  }
  await Promise.all(calls);
  const span = (performance.now() - began) / 1000;
  await sleep(2000);
  others.send('count');
  const received = await new Promise((resolve) => { others.once('message', resolve); });
  const sorted = took.sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  console.log(`${made} calls, ${events} events in ${span.toFixed(1)} s (${(events / span).toFixed(0)} a second), ${members.length} members, ${received + sorted.length} deliveries; load ${os.loadavg()[0].toFixed(1)} on ${os.cpus().length} processors`);
  console.log(`from the webhook's request to the page's handler: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; ${sorted.length} of ${events} measured`);
  console.log(`the program: ${(100 * (processor() - cpu) / span).toFixed(0)} % of a processor, ${((processor() - cpu) / events * 1000).toFixed(2)} ms for an event; memory ${first} to ${memory()} MB`);
}
