'use strict';
// The load of examples/helpdesk: connected customers and agents, so many replies a second, and how old a reply is when it
// reaches the customer and the agents of the office; what a connection takes of the program's memory.
//
//   tools/node tests/bench/helpdesk.js [BUILD] [CUSTOMERS] [AGENTS] [REPLIES A SECOND] [SECONDS]    default: build-release 1000 50 100 20

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const WebSocket = require('ws');

const [build = 'build-release', ...numbers] = process.argv.slice(2);
const [customers = 1000, agents = 50, rate = 100, seconds = 20] = numbers.map(Number);
const TOP = path.resolve(__dirname, '../..');
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const part = (list, share) => list.sort((a, b) => a - b)[Math.floor(list.length * share)];

// Users with a ticket each, and their sessions: signing in costs a tenth of a second each on purpose.
const FILL = `
import hashlib, json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
people = []
for n in range(int(sys.argv[2]) + int(sys.argv[3])):
    id, agent = 1000 + n, n >= int(sys.argv[2])
    token = hashlib.sha256(b'bench %d' % n).hexdigest()
    hash = hashlib.blake2b(b'bearer', key=token.encode(), digest_size=32).hexdigest()
    db.execute("INSERT INTO users VALUES (?, ?, ?, '')", (id, 'u%d@bench.example' % n, 'User %d' % n))
    db.execute("INSERT INTO people (user_id, role) VALUES (?, ?)", (id, 'agent' if agent else 'customer'))
    db.execute("INSERT INTO sessions VALUES (?, ?, unixepoch() + 3600)", (hash, id))
    uuid = '00000000-0000-4000-9000-%012d' % id
    if agent:
        db.execute("INSERT INTO office_people VALUES (?, ?)", (1 + n % 2, id))
    else:
        db.execute("INSERT INTO tickets (uuid, subject, office_id, created_by_id) VALUES (?, ?, ?, ?)", (uuid, 'Ticket %d' % n, 1 + n % 2, id))
    people.append({'id': id, 'agent': agent, 'token': token, 'uuid': uuid, 'office': 1 + n % 2})
db.commit()
print(json.dumps(people))
`;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'helpdesk-'));
const database = path.join(folder, 'desk.db');
const child = spawn(path.join(TOP, build, 'examples/helpdesk/helpdesk'), ['--port', '0', '--data', database, '--node-modules', path.join(TOP, 'tests/node_modules')], { stdio: ['ignore', 'pipe', 'inherit'] });

/** Processor seconds so far, and memory in KB. */
function usage() {
  const fields = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const memory = Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]);
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, memory };
}

const ages = { customer: [], agent: [] };

function connect(url, person) {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/app/helpdesk-key?protocol=7`, { headers: { authorization: `Bearer ${person.token}` }, perMessageDeflate: false });
  const channels = person.agent ? [`private-user.${person.id}`, `private-office.${person.office}`] : [`private-user.${person.id}`, `private-tickets.${person.uuid}`];
  let wanted = channels.length;
  return new Promise((resolve, reject) => {
    ws.on('error', reject);
    ws.on('message', (frame) => {
      const text = frame.toString();
      if (text.startsWith('{"event":"ticket.reply.created"')) { // this process shares the machine with the program: no JSON
        if (text.includes(channels[1]))
          ages[person.agent ? 'agent' : 'customer'].push(Date.now() - Number(/message\\":\\"(\d+) /.exec(text)[1]));
        return;
      }
      const { event } = JSON.parse(text);
      if (event === 'pusher:connection_established')
        for (const name of channels) ws.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel: name } }));
      else if (event === 'pusher_internal:subscription_succeeded' && --wanted === 0)
        resolve(ws);
      else if (/error/.test(event))
        reject(new Error(text));
    });
  });
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
function post(url, person, uuid) {
  return new Promise((resolve) => {
    const body = JSON.stringify({ message: `${Date.now()} ${'A sentence of an answer. '.repeat(8)}` });
    const request = http.request(`${url}/api/v1/tickets/${uuid}/replies`, { method: 'POST', agent, headers: { authorization: `Bearer ${person.token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    });
    request.on('error', () => resolve(0));
    request.end(body);
  });
}

readline.createInterface({ input: child.stdout }).on('line', async (line) => {
  const url = /^listening on (\S+)$/.exec(line)?.[1];
  if (!url) return;
  try {
    const people = JSON.parse(spawnSync('python3', ['-c', FILL, database, String(customers), String(agents)], { encoding: 'utf8', maxBuffer: 1e9, stdio: ['ignore', 'pipe', 'inherit'] }).stdout);
    const before = usage();
    for (let i = 0; i < people.length; i += 50) await Promise.all(people.slice(i, i + 50).map((person) => connect(url, person)));
    await sleep(1000);
    const connected = usage();
    console.log(`load of the machine ${os.loadavg()[0].toFixed(1)} on ${os.cpus().length} cores`);
    console.log(`${people.length} connections, two channels each: ${((connected.memory - before.memory) / people.length).toFixed(1)} KB each`);
    const [writers, readers] = [people.filter((one) => one.agent), people.filter((one) => !one.agent)];
    const answers = [];
    const from = Date.now();
    for (let sent = 0; Date.now() - from < seconds * 1000; await sleep(10)) {
      for (; sent < ((Date.now() - from) / 1000) * rate; sent++) {
        const customer = readers[Math.floor(Math.random() * readers.length)];
        const writer = writers.find((one) => one.office === customer.office);
        answers.push(post(url, writer, customer.uuid));
      }
    }
    const statuses = await Promise.all(answers);
    await sleep(1000);
    const end = usage();
    const took = (Date.now() - from - 1000) / 1000;
    const good = statuses.filter((status) => status === 201).length;
    console.log(`${good} of ${statuses.length} replies written, ${(good / took).toFixed(0)} a second`);
    for (const [who, list] of Object.entries(ages))
      console.log(`${who}: ${list.length} replies, from before the request to the page: p50 ${part(list, 0.5)} ms, p99 ${part(list, 0.99)} ms`);
    console.log(`processor ${(((end.cpu - connected.cpu) / took) * 100).toFixed(0)} % of a core, memory ${(end.memory / 1024).toFixed(0)} MB`);
  } finally {
    child.kill();
    child.on('close', () => { fs.rmSync(folder, { recursive: true }); process.exit(0); });
  }
});
