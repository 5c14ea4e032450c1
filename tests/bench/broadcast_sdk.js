'use strict';
// What broadcastload.c does, by Pusher's SDK for Node: broadcast_sdk.js PORT EVENTS BATCH
const http = require('node:http');
const Pusher = require('pusher');

const UNDER_WAY = 8; // requests at a time, as the library's default
const [port, count, batch] = process.argv.slice(2).map(Number);
const data = { order: { id: 42, state: 'paid' }, by: 'someone@example.org', at: 1700000000 };
const pusher = new Pusher({
  appId: 'app-id', key: 'app-key', secret: 'app-secret', host: '127.0.0.1', port: String(port), useTLS: false,
  agent: new http.Agent({ keepAlive: true, maxSockets: UNDER_WAY }),
});

async function publish(total) {
  let next = 0;
  const worker = async () => {
    while (next < total) {
      const first = next;
      next += batch;
      const answer = batch === 1 ? await pusher.trigger(`orders-${first % 100}`, 'order.paid', data)
        : await pusher.triggerBatch(Array.from({ length: batch }, (_, i) => ({ channel: `orders-${(first + i) % 100}`, name: 'order.paid', data })));
      await answer.text();
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, worker));
}

(async () => {
  await publish(1000 * batch); // the compiler
  const [began, used] = [performance.now(), process.cpuUsage()];
  await publish(count);
  const { user, system } = process.cpuUsage(used);
  console.log(JSON.stringify({ events: count, seconds: (performance.now() - began) / 1000, cpu_us: user + system }));
  process.exit(0);
})();
