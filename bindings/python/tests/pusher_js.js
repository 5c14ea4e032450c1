'use strict';
// Stock pusher-js for a test: subscribes to each channel that it is told, one per line, and prints what it hears as JSON.
//   node pusher_js.js PUSHER_JS PORT USER
const readline = require('node:readline');

const [file, port, user] = process.argv.slice(2);
const Pusher = require(file);
const pusher = new Pusher('app-key', {
  cluster: '', wsHost: '127.0.0.1', wsPort: Number(port), forceTLS: false, enabledTransports: ['ws'],
  channelAuthorization: { endpoint: `http://127.0.0.1:${port}/broadcasting/auth?user=${user}` },
});
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
pusher.connection.bind('connected', () => say({ name: 'connected', data: pusher.connection.socket_id }));
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  pusher.subscribe(line).bind_global((name, data) => say({ name, data }));
}).on('close', () => { pusher.disconnect(); process.exit(0); });
