'use strict';
// Servers that are linked over a Redis.

const assert = require('node:assert/strict');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { BUILD, Program, api, startServe, until, within } = require('./lib.js');

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

module.exports = { HASTY, LONG, linked, startNode, startNodes };
