'use strict';
// System calls that fail (failing_calls.c, preloaded into the server). Where another try is enough, clients and
// publishers notice nothing; where a connection ends, its client does, and the server serves on.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, describe, test } = require('node:test');
const { APP, BUILD, api, connect, request, startHost, tcp, trigger, until, upgradeHead, wsFrame } = require('./lib.js');
const { XhrClient } = require('./xhr.js');

const LARGE = { ...APP, max_event_payload_bytes: 200000, client_events: true, max_client_events_per_s: 1000 };
const EVENTS = 60;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-faults-'));
after(() => fs.rmSync(folder, { recursive: true }));
const [switches, cert, key] = ['switch', 'cert.pem', 'key.pem'].map((name) => path.join(folder, name));
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=test',
  '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'pipe' });

/** A host whose calls fail as `fail` says from then on. */
async function startFailing(t, { secure = false } = {}) {
  process.env.LD_PRELOAD = path.join(BUILD, 'tests/libfailing_calls.so');
  process.env.FAILING_CALLS = switches;
  fs.rmSync(switches, { force: true });
  const host = await startHost({ apps: [LARGE], options: { worker_count: 2, out_hard_bytes: 16 << 20, max_http_body_bytes: 1 << 20 }, ...(secure && { tls: { cert_file: cert, key_file: key } }) }, t)
    .finally(() => { delete process.env.LD_PRELOAD; });
  if (secure) host.ca = fs.readFileSync(cert, 'utf8');
  host.fail = (how) => (how ? fs.writeFileSync(switches, how) : fs.rmSync(switches, { force: true }));
  host.descriptors = () => fs.readdirSync(`/proc/${host.child.pid}/fd`).length;
  return host;
}

describe('system calls that fail', { skip: !fs.existsSync(path.join(BUILD, 'tests/libfailing_calls.so')) && 'not built' }, () => {
  for (const secure of [false, true])
    for (const every of [2, 5])
      test(`${secure ? 'TLS' : 'plain'}: every ${every}. is interrupted, would block, or is short: every event arrives, in order`, async (t) => {
        const host = await startFailing(t, { secure }).catch((error) => (/ENOSYS/.test(error) ? null : Promise.reject(error)));
        if (!host) return t.skip('without TLS');
        host.fail(`soft ${every}`);
        const [one, other] = await Promise.all([connect(host), connect(host)]);
        await one.subscribe('private-x');
        await other.subscribe('private-x');
        const sizes = Array.from({ length: EVENTS }, (_, i) => [1, 300, 20000, 150000][i % 4]);
        for (const [i, size] of sizes.entries()) {
          if (i % 3 === 0) await trigger(host, 'private-x', 'n', `${i} ${'x'.repeat(size)}`, { app: LARGE });
          else if (i % 3 === 1) await host.publish('private-x', 'n', `${i} ${'x'.repeat(size)}`);
          else one.send({ event: 'client-n', channel: 'private-x', data: `${i} ${'x'.repeat(Math.min(size, 8000))}` });
          const { data } = await other.event(i % 3 === 2 ? 'client-n' : 'n');
          assert.equal(data.split(' ')[0].replace('"', ''), String(i));
          assert.equal(data.length, `${i} `.length + (i % 3 === 2 ? Math.min(size, 8000) : size));
        }
        const xhr = new XhrClient(host, { app: LARGE });
        await xhr.stream();
        await xhr.established();
        await xhr.subscribe('y');
        for (let i = 0; i < 10; i++) {
          await host.publish('y', 'n', String(i));
          assert.equal((await xhr.frames.next((f) => f.event === 'n')).data, String(i));
        }
        assert.equal((await api(host, 'GET', '/channels', { app: LARGE })).status, 200);
        for (const client of [one, other]) await client.close();
        return undefined;
      });

  for (const secure of [false, true])
    test(`${secure ? 'TLS' : 'plain'}: calls that fail for good end their connection only; nothing of it is left, and new clients come in`, async (t) => {
      const host = await startFailing(t, { secure });
      const before = await (async () => { await (await connect(host)).close(); await until(async () => (await host.do('stats')).sockets === 0); return host.descriptors(); })();
      for (const every of [4, 20]) {
        host.fail(`hard ${every}`);
        await Promise.all(Array.from({ length: 30 }, async (_, i) => {
          const client = secure ? await connect(host).catch(() => null) : await tcp(host).catch(() => null);
          if (!client) return;
          if (secure) {
            client.ws.on('error', () => {});
            client.send({ event: 'pusher:subscribe', data: { channel: `c${i % 5}` } });
          } else {
            client.socket.on('error', () => {});
            client.write(upgradeHead(LARGE));
            client.write(wsFrame(1, JSON.stringify({ event: 'pusher:subscribe', data: { channel: `c${i % 5}` } })));
          }
          await host.publish(`c${i % 5}`, 'n', 'x'.repeat(50000));
          await request(host, 'GET', '/ready').catch(() => {});
          if (secure) client.ws.terminate();
          else client.reset();
        }));
        host.fail();
        const client = await connect(host); // accepting may have paused
        await client.subscribe('after');
        await host.publish('after', 'n', String(every));
        assert.equal((await client.event('n')).data, String(every));
        await client.close();
        await until(async () => (await host.do('stats')).sockets === 0, 'no socket');
        await until(() => host.descriptors() <= before, `${before} descriptors, not ${host.descriptors()}`);
      }
    });
});
