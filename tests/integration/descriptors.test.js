'use strict';
// A process may have only so many descriptors, and each client is one.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { APP, BUILD, Program, connect, rawClient, request, sleep, tcp, until, upgradeHead } = require('./lib.js');

/** `pusherc serve` that may have `limit` descriptors. */
async function serveWith(t, limit, args = []) {
  const words = ['serve', '--port', '0', '--metrics', 'off', '--app', `${APP.id}:${APP.key}:${APP.secret}`, '--client-events', ...args];
  const server = new Program('/bin/sh', ['-c', `ulimit -n ${limit} && exec "$0" "$@"`, path.join(BUILD, 'cli/pusherc'), ...words]);
  t.after(() => {
    server.child.kill('SIGTERM');
    return server.ends();
  });
  server.port = await server.listening();
  return server;
}

/** Seconds of processor time. */
function cpuSeconds(server) {
  const fields = fs.readFileSync(`/proc/${server.child.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const isEstablished = (client) => /connection_established/.test(client.text);

for (const workers of ['1', '2']) {
  test(`without descriptors new clients wait, quietly, and the others are served (${workers} workers)`, async (t) => {
    const server = await serveWith(t, 60, ['--workers', workers]);
    const first = await connect(server);
    const second = await connect(server);
    await first.subscribe('private-x');
    await second.subscribe('private-x');

    const clients = [];
    for (let i = 0; i < 120; i++) {
      const client = await tcp(server); // the kernel takes them in any case
      client.write(upgradeHead());
      clients.push(client);
    }
    await until(() => /new clients wait until others leave: .* descriptors/.test(server.stderr), 'the warning');
    const inside = () => clients.filter(isEstablished).length;
    await until(() => inside() > 20, 'some to get in');
    await sleep(300);
    const before = inside();
    assert.ok(before < 60, `${before} got in`);

    // It waits, it does not spin; and it serves meanwhile.
    const [cpu, start] = [cpuSeconds(server), Date.now()];
    for (let i = 0; i < 10; i++) {
      first.send({ event: 'client-n', channel: 'private-x', data: { i } });
      assert.deepEqual(JSON.parse((await second.event('client-n')).data), { i });
      await sleep(100);
    }
    const share = (cpuSeconds(server) - cpu) / ((Date.now() - start) / 1000);
    assert.ok(share < 0.3, `${(share * 100).toFixed()} % of a processor while waiting`);
    assert.ok(server.stderr.match(/new clients wait/g).length <= Number(workers), server.stderr);

    // A client that leaves makes room, until all have been in; not in their order, because each worker has a queue of its own.
    for (const waiting = new Set(clients); waiting.size;) {
      const client = await until(() => [...waiting].find(isEstablished), 'the next one to get in');
      waiting.delete(client);
      client.reset();
    }
    assert.equal((await request(server, 'GET', '/ready')).status, 200);
    await (await rawClient(server)).reset();
    assert.ok(first.isOpen && second.isOpen);
    await first.close();
    await second.close();
  });
}

test('A5: silent sockets that hold all descriptors make room', async (t) => {
  const server = await serveWith(t, 60);
  const first = await connect(server);
  const mute = [];
  for (let i = 0; i < 120; i++) mute.push(await tcp(server));
  for (let i = 0; i < 10; i++) await (await connect(server)).close();
  assert.equal((await request(server, 'GET', '/ready')).status, 200);
  assert.ok(first.isOpen);
  for (const client of mute) client.reset();
  await first.close();
});

test('a limit that does not go with max_connections is said at the start, in one sentence', async (t) => {
  const warnings = async (limit, config) => {
    const file = path.join(fs.mkdtempSync('/tmp/pusherc-'), 'pusherc.json');
    fs.writeFileSync(file, JSON.stringify(config));
    t.after(() => fs.rmSync(path.dirname(file), { recursive: true }));
    const server = await serveWith(t, limit, ['--config', file]);
    server.child.kill('SIGTERM');
    await server.ends();
    return (server.stderr.match(/warn .*descriptors.*/g) || []).map((line) => line.replace(/^warn +net: /, ''));
  };
  assert.deepEqual(await warnings(200, { max_connections: 1000 }), ['max_connections is 1000, but this process may only have 200 descriptors open: '
    + 'raise that to 1064 (ulimit -n, LimitNOFILE= of systemd), or lower max_connections']);
  assert.deepEqual(await warnings(200, {}), ['this process may only have 200 descriptors open, one for each client: '
    + 'raise that to 1024 or more (ulimit -n, LimitNOFILE= of systemd)']);
  assert.deepEqual(await warnings(200, { max_connections: 100 }), []);
  assert.deepEqual(await warnings(1024, {}), []);
  // and "off" is off
  assert.deepEqual(await warnings(200, { log_level: 'off' }), []);
  assert.deepEqual(await warnings(200, { log_level: 'error' }), []);
});
