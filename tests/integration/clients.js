'use strict';
// Stock clients for the tests: pusher-js, laravel-echo and the server SDK, as npm delivers them, and the
// auth endpoints that an application would have.

const http = require('node:http');
const https = require('node:https');
const PusherClient = require('pusher-js');
const PusherServer = require('pusher');
const { APP, Inbox, until } = require('./lib.js');

// 32 bytes, for end-to-end encrypted channels.
const MASTER_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64');

/** The server SDK, pointed at a server of ours. */
function sdk(server, app = APP) {
  return new PusherServer({
    appId: app.id, key: app.key, secret: app.secret, host: '127.0.0.1', port: String(server.port), encryptionMasterKeyBase64: MASTER_KEY,
    useTLS: Boolean(server.ca), agent: server.ca && new https.Agent({ ca: server.ca }),
  });
}

/**
 * An application's /broadcasting/auth and /broadcasting/user-auth, answered by the server SDK. Who asks says
 * so in the field X-User, and whom it watches in X-Watchlist; names with "forbidden" in them are refused, those with "forged" are signed wrongly.
 */
async function startAuth(t, app = APP) {
  const signer = sdk({ port: 1 }, app);
  const server = http.createServer((req, res) => {
    let body = '';
    req.on('data', (data) => { body += data; });
    req.on('end', () => {
      const form = new URLSearchParams(body);
      const [socket, channel, user] = [form.get('socket_id'), form.get('channel_name'), req.headers['x-user']];
      server.asked.push(channel || 'user');
      if (channel?.includes('forbidden') || (!channel && !user)) {
        res.writeHead(403, { 'Content-Type': 'application/json' }).end('{"message":""}');
        return;
      }
      const member = channel?.startsWith('presence-') ? { user_id: user, user_info: { name: `user ${user}` } } : undefined;
      const answer = channel ? signer.authorizeChannel(channel.includes('forged') ? '1.1' : socket, channel, member)
        : signer.authenticateUser(socket, { id: user, user_info: { name: `user ${user}` }, watchlist: JSON.parse(req.headers['x-watchlist'] || '[]') });
      res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  server.asked = [];
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const end = () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections?.(); });
  t.after(end);
  return { asked: server.asked, url: `http://127.0.0.1:${server.address().port}` };
}

// With PUSHERC_TEST_TRANSPORT=xhr_streaming, or xhr_polling, the clients use no WebSocket.
const TRANSPORTS = process.env.PUSHERC_TEST_TRANSPORT ? [process.env.PUSHERC_TEST_TRANSPORT] : ['ws', 'wss'];

/** What pusher-js and laravel-echo need to find a server of ours. */
function clientOptions(server, auth, user = '7', watchlist = []) {
  return {
    cluster: '', wsHost: '127.0.0.1', wsPort: server.port, wssPort: server.port, forceTLS: false, enabledTransports: TRANSPORTS,
    httpHost: '127.0.0.1', httpPort: server.port, httpsPort: server.port,
    ...(auth && {
      channelAuthorization: { endpoint: `${auth.url}/broadcasting/auth`, headers: { 'X-User': user } },
      userAuthentication: { endpoint: `${auth.url}/broadcasting/user-auth`, headers: { 'X-User': user, 'X-Watchlist': JSON.stringify(watchlist) } },
    }),
  };
}

/** A pusher-js client that ends with the test; `states` has each change of its connection. */
function pusher(t, server, { app = APP, auth, user, watchlist, ...options } = {}) {
  const client = new PusherClient(app.key, { ...clientOptions(server, auth, user, watchlist), ...options });
  client.states = new Inbox();
  client.errors = new Inbox();
  client.connection.bind('state_change', ({ current }) => client.states.push(current));
  client.connection.bind('error', (error) => client.errors.push(error));
  t.after(() => client.disconnect());
  return client;
}

const connected = (client) => until(() => client.connection.state === 'connected', 'the state "connected"');

/** Everything that a channel object emits, as {event, data, metadata}. */
function listen(channel) {
  const inbox = new Inbox();
  channel.bind_global((event, data, metadata) => inbox.push({ event, data, metadata }));
  inbox.event = (event) => inbox.next((e) => e.event === event);
  return inbox;
}

/** Subscribes and waits for the answer. */
async function subscribe(client, name) {
  const channel = client.subscribe(name);
  channel.inbox = listen(channel);
  const answer = await channel.inbox.next((e) => e.event.startsWith('pusher:subscription_'));
  if (answer.event !== 'pusher:subscription_succeeded') throw new Error(JSON.stringify(answer));
  channel.success = answer.data;
  return channel;
}

module.exports = { MASTER_KEY, PusherClient, clientOptions, connected, listen, pusher, sdk, startAuth, subscribe };
