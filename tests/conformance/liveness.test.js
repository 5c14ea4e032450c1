'use strict';
// B.2: liveness.

const assert = require('node:assert/strict');
const { before, describe, test } = require('node:test');
const { APP, connect, rawClient, sleep, startHost, until, wsFrame } = require('../integration/lib.js');

const QUICK = { id: 'quick', key: 'quick-key', secret: 's', activity_timeout_ms: 1000 };
const CALM = { id: 'calm', key: 'calm-key', secret: 's', activity_timeout_ms: 6000 };
const PONG_MS = 5000; // for a machine that is busy; all of them wait for #29 anyway

let host;
before(async () => { host = await startHost({ apps: [APP, QUICK, CALM], options: { pong_timeout_ms: PONG_MS } }); });

test('#22 answers pusher:ping with pusher:pong', async () => {
  const client = await connect(host);
  client.send({ event: 'pusher:ping', data: {} });
  assert.equal((await client.next()).event, 'pusher:pong');
  await client.close();
});

test('#23 answers a ping whose data is absent, a string or null likewise', async () => {
  const client = await connect(host);
  for (const ping of [{ event: 'pusher:ping' }, { event: 'pusher:ping', data: '{}' }, { event: 'pusher:ping', data: null },
    { event: 'pusher:ping', data: '' }, { data: {}, channel: null, event: 'pusher:ping' }]) {
    client.send(ping);
    assert.equal((await client.next()).event, 'pusher:pong');
  }
  await client.close();
});

test('#24 sends the data of pusher:pong as the string {}', async () => {
  const client = await connect(host);
  client.send({ event: 'pusher:ping', data: {} });
  assert.deepEqual({ ...(await client.next()) }, { event: 'pusher:pong', data: '{}' });
  await client.close();
});

test('#25 answers a WebSocket PING with PONG and its payload', async () => {
  const client = await connect(host);
  for (const payload of ['', 'hello', 'x'.repeat(125)]) {
    client.ws.ping(payload);
    assert.equal(await client.pongs.next(), payload);
  }
  await client.close();
});

test('#30 takes pusher:pong without answering', async () => {
  const client = await connect(host);
  client.send({ event: 'pusher:pong', data: {} });
  client.send({ event: 'pusher:pong' });
  assert.deepEqual(await client.settle(), []);
  await client.close();
});

// Silence takes its time: these wait at the same moment.
describe('silence', { concurrency: true }, () => {
  test('#26 sends pusher:ping, and a WebSocket PING, after activity_timeout of silence', async () => {
    const start = Date.now();
    const client = await connect(host, { app: QUICK });
    const ping = await client.next();
    const waited = Date.now() - start;
    assert.deepEqual({ ...ping }, { event: 'pusher:ping', data: '{}' });
    assert.ok(waited > 900, `${waited} ms`);
    await client.pings.next();
    await client.close();
  });

  test('#26 sends protocol 4 clients the WebSocket PING only', async () => {
    const client = await connect(host, { app: QUICK, query: 'protocol=4' });
    await client.pings.next();
    await client.close();
    assert.equal(client.frames.length, 1, JSON.stringify(client.frames));
  });

  test('#26 does not ping a client that speaks in time', async () => {
    const client = await connect(host, { app: CALM });
    for (let i = 0; i < 18; i++) {
      await sleep(500);
      client.send({ event: 'pusher:pong', data: {} });
    }
    assert.deepEqual(await client.settle(), []);
    await client.close();
  });

  test('#27 closes with 4201 when nothing comes after that ping', async () => {
    // ws would answer the PING by itself: a client that reads and says nothing
    const start = Date.now();
    const raw = await rawClient(host, QUICK);
    await raw.has(/pusher:ping/);
    await raw.has(/\x88.\x10\x69Pong reply not received/); // 4201
    const waited = Date.now() - start;
    assert.ok(waited > 900 + PONG_MS, `${waited} ms`);
    await raw.over();
  });

  test('#28 does not close when any frame comes in that time', async () => {
    const answers = [() => wsFrame(1, '{"event":"pusher:pong","data":{}}'), () => wsFrame(1, '{"event":"pusher:ping"}'), () => wsFrame(1, 'not even JSON'),
      () => wsFrame(9, 'ping'), () => wsFrame(10, ''), (n) => wsFrame(n ? 0 : 1, n ? ' ' : '{"event":', { fin: false })];
    await Promise.all(answers.map(async (answer) => {
      const raw = await rawClient(host, QUICK);
      // A ping a second, until the time limit of the first one has passed.
      for (let n = 0; n < PONG_MS / 1000 + 2; n++) {
        await until(() => /pusher:ping/.test(raw.text) || /Pong reply/.test(raw.text), 'a ping');
        assert.ok(!/Pong reply/.test(raw.text), answer(n).toString('hex'));
        raw.text = '';
        raw.write(answer(n));
      }
      raw.socket.destroy();
    }));
  });

  test('#29 keeps a connection that answers each ping for ten intervals', async () => {
    const clients = await Promise.all([0, 1].map(() => connect(host, { app: QUICK })));
    clients[0].ws.on('message', () => clients[0].send({ event: 'pusher:pong', data: {} })); // as pusher-js; the other answers PING only
    await Promise.all(clients.map(async (client) => {
      const gaps = [];
      for (let i = 0, last = Date.now(); i < 10; i++) {
        assert.equal((await client.next()).event, 'pusher:ping');
        gaps.push(-last + (last = Date.now()));
      }
      assert.ok(Math.min(...gaps) < PONG_MS - 1000, `each comes after the interval, however long one may answer: ${gaps}`);
      assert.ok(client.isOpen);
      await client.close();
    }));
  });
});
