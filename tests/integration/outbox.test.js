'use strict';
// The outbox: an event that was stored in a transaction is sent after its commit, whatever happens to the process.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { before, test } = require('node:test');
const { APP, BUILD, Program, connect, sleep, startServe, within } = require('./lib.js');

const WRITER = path.join(BUILD, 'tests/integration/outbox_writer');
const built = execFileSync(path.join(BUILD, 'cli/pusherc'), ['--version']).toString();
const skip = !/webhooks.* outbox/.test(built) && 'built without libcurl or SQLite';
const KILLS = Number(process.env.PUSHERC_KILLS || 200);

let server;
let client;
before(async () => {
  if (skip) return;
  server = await startServe();
  client = await connect(server);
  for (const channel of ['a', 'b', 'c', 'all']) await client.subscribe(channel);
});

const setting = (more = '') => `pusher://${APP.key}:${APP.secret}@127.0.0.1:${server.port}/${APP.id}?scheme=http${more}`;

function database(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-outbox-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return path.join(folder, 'orders.db');
}

/** Numbers that repeat from one run to the next. */
function* randoms(seed) {
  for (let x = seed; ;) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    yield x / 0x7fffffff;
  }
}

/** Sends what is left; the number of orders. */
async function drain(file, url) {
  const program = new Program(WRITER, [file, url, 'drain']);
  const { code } = await within(program.exited, () => program.stderr, 90000);
  assert.equal(code, 0, program.stderr);
  return Number(/^(\d+) orders, 0 left$/.exec(program.lines.all.at(-1))[1]);
}

/** What was heard of orders: each once, in the order of its channel. */
async function check(orders) {
  const frames = (await client.settle()).filter(({ event }) => event === 'order');
  const seen = new Map();
  const last = {};
  for (const { channel, data } of frames) {
    assert.notEqual(data, 'never', 'of a transaction that was rolled back');
    const key = `${channel} ${data}`;
    assert.ok(!seen.has(key), `${key} came twice`);
    seen.set(key, true);
    assert.ok(!(Number(data) < last[channel]), `${data} on ${channel} came after ${last[channel]}`);
    last[channel] = Number(data);
  }
  for (let n = 1; n <= orders; n++) {
    assert.ok(seen.has(`${'abc'[n % 3]} ${n}`), `order ${n} of ${orders} is missing`);
    assert.equal(seen.has(`all ${n}`), n % 5 === 0);
  }
  assert.equal(seen.size, orders + Math.floor(orders / 5));
}

test(`killed at ${KILLS} random instants: nothing is lost, nothing comes twice, nothing out of order`, { skip }, async (t) => {
  const file = database(t);
  const random = randoms(20261129);
  for (let i = 0; i < KILLS; i++) {
    const writer = new Program(WRITER, [file, setting(), 'write']);
    if (i % 2) await writer.lines.next((line) => line === 'begun'); // the others may die while they start
    await sleep(random.next().value * 60);
    writer.child.kill('SIGKILL');
    await writer.exited;
    assert.equal(writer.stderr, '');
  }
  const orders = await drain(file, setting());
  assert.ok(orders > KILLS / 10, `${orders} orders`); // how many depends on how busy the machine is
  await check(orders);
  t.diagnostic(`${orders} orders`);
});
