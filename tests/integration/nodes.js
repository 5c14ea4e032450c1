'use strict';
// Servers that are linked over Redis, and what tests ask of them.

const assert = require('node:assert/strict');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { BUILD, Program, api, sleep, startServe, trigger, until, within } = require('./lib.js');

// Faults are over sooner with these than with the defaults; no test depends on how soon.
const HASTY = { cluster_lease_ms: 3000, cluster_renew_ms: 500, cluster_settle_ms: 1500, redis_timeout_ms: 1500, grace_ms: 50 };
const LONG = 60000;

/** A server that is linked with those of the same Redis. */
async function startNode(t, redis, settings = {}, args = []) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pusherc-'));
  const file = path.join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ redis: redis.url, ...HASTY, ...settings }));
  t.after(() => rmSync(folder, { recursive: true }));
  const node = settings.apps
    ? new Program(path.join(BUILD, 'cli/pusherc'), ['serve', '--port', '0', '--metrics', 'off', '--config', file, ...args])
    : await startServe(['--config', file, ...args]);
  if (settings.apps) node.port = await node.listening();
  node.app = settings.apps?.[0];
  node.file = file;
  node.end = async () => {
    node.child.kill('SIGCONT');
    node.child.kill('SIGTERM');
    const { code, signal } = await within(node.exited, 'the end of a node', LONG);
    assert.ok(code === 0 || signal === 'SIGKILL', `exit ${code} ${signal}\n${node.stderr}`);
  };
  t.after(node.end);
  return node;
}

/** The node answers for all: every partition of its link works. */
const linked = (node) => until(async () => (await api(node, 'GET', '/channels', { app: node.app })).status === 200, () => `the link of a node; ${node.stderr}`, LONG);

async function startNodes(t, redis, count, settings) {
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(t, redis, settings)));
  await Promise.all(nodes.map(linked));
  return nodes;
}

const roster = (answer) => JSON.parse(answer.data).presence.ids.sort();
const names = (frames, event, channel) => frames.filter((f) => f.event === event && f.channel === channel).map((f) => JSON.parse(f.data).user_id);

/** Publishes on both until the client of the other node has heard each: the link works in both directions. */
async function flows(nodes, clients, channel) {
  for (const [i, node] of nodes.entries()) {
    const heard = clients.map((c) => c.frames.length);
    const mark = `back-${i}`;
    await until(async () => {
      await trigger(node, channel, mark, '{}');
      await sleep(50);
      return clients.every((c, j) => c.frames.slice(heard[j]).some((f) => f.event === mark));
    }, `events of node ${i} on all nodes; ${node.stderr}`, LONG);
  }
}

module.exports = { HASTY, LONG, flows, linked, names, roster, startNode, startNodes };
