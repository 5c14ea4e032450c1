'use strict';
// A stock pusher-js client, run by PusherJsTest.php: node pusher-js.js PORT. Prints what it saw as JSON.
const Pusher = require('../../../tests/node_modules/pusher-js');

const options = (user) => ({
  cluster: '', wsHost: '127.0.0.1', wsPort: Number(process.argv[2]), forceTLS: false, enabledTransports: ['ws'],
  channelAuthorization: { endpoint: `http://127.0.0.1:${process.argv[2]}/broadcasting/auth`, headers: user ? { Authorization: `Bearer ${user}` } : {} },
});
const answer = (channel) => new Promise((resolve) => {
  channel.bind('pusher:subscription_succeeded', (data) => resolve(data?.members || true));
  channel.bind('pusher:subscription_error', (error) => resolve(error.status));
});
const event = (channel, name) => new Promise((resolve) => { channel.bind(name, resolve); });

(async () => {
  const client = new Pusher('key', options('olga'));
  const seen = {};
  const tickets = client.subscribe('private-tickets.7');
  const replied = event(tickets, 'replied');
  seen.private = await answer(tickets);
  seen.foreign = await answer(client.subscribe('private-tickets.8'));
  seen.presence = await answer(client.subscribe('presence-room'));
  seen.replied = await replied;
  const revoked = new Promise((resolve) => { tickets.bind('pusher:subscription_error', (error) => resolve(error.status)); });
  client.subscribe('revoke');
  seen.revoked = await revoked;
  client.disconnect();
  console.log(JSON.stringify(seen));
})();
