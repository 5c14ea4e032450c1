'use strict';
// What the tests of examples/helpdesk share: its users, who sign in by a token, and what they hear.

const assert = require('node:assert/strict');

const { connect, until } = require('./lib.js');
const { launch } = require('./applications.js');

const email = (name) => `${name}@desk.example`;
const password = (name) => ({ email: email(name), password: `${name}-demo` });
const ID = { ada: 1, mina: 2, noah: 3, lena: 4, otto: 5, theo: 6, ruth: 7, ivan: 8 };
const uuid = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

const start = (t, ...args) => launch(t, 'helpdesk', ...args);
const data = (frame) => JSON.parse(frame.data);

/** Signed in by a token: `api()` answers {status, body}, `listen()` is a socket with these channels. */
async function user(site, name) {
  const answer = await fetch(`${site.url}/api/v1/login`, { method: 'POST', body: new URLSearchParams(password(name)) });
  assert.equal(answer.status, 200, name);
  const { token } = await answer.json();
  const authorization = `Bearer ${token}`;
  const self = { name, id: ID[name], token, authorization };
  self.fetch = (method, where, body, headers = {}) => fetch(`${site.url}${where}`, {
    method,
    redirect: 'manual',
    headers: { authorization, accept: 'application/json', ...(body && !(body instanceof FormData) && { 'content-type': 'application/json' }), ...headers },
    body: body && !(body instanceof FormData) ? JSON.stringify(body) : body,
  });
  self.api = async (method, where, body, headers) => {
    const response = await self.fetch(method, `/api/v1${where}`, body, headers);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text && JSON.parse(text), text };
  };
  self.done = async (...args) => {
    const result = await self.api(...args);
    assert.ok(result.status < 300, `${args[0]} ${args[1]}: ${result.status} ${result.text}`);
    return result.body;
  };
  self.reply = (ticket, message, more = {}) => self.done('POST', `/tickets/${uuid(ticket)}/replies`, { message, ...more });
  self.connect = () => connect({ port: site.port }, { app: { key: site.key ?? 'helpdesk-key' }, headers: { authorization } });
  self.listen = async (...channels) => {
    const socket = await self.connect();
    for (const channel of channels) await subscribe(socket, channel);
    return socket;
  };
  return self;
}

const users = (site, ...names) => Promise.all(names.map((name) => user(site, name)));

/** The answer of the server: true if the channel was given. */
async function ask(socket, channel) {
  socket.ask(channel);
  const answer = await socket.next((frame) => frame.channel === channel && /subscription_(succeeded|error)$/.test(frame.event));
  return /succeeded$/.test(answer.event);
}

async function subscribe(socket, channel) {
  assert.ok(await ask(socket, channel), channel);
  return socket;
}

/** The first such event, wherever it stands among the others. `is` looks at its data. */
function found(socket, event, channel, is = () => true) {
  const find = () => socket.frames.find((frame) => frame.event === event && frame.channel === channel && is(data(frame)));
  return until(find, () => `${event} on ${channel}; had ${JSON.stringify(socket.frames)}`);
}

/** What it has heard beside answers, so far. */
async function heard(socket) {
  await socket.settle();
  return socket.frames.filter(({ event }) => !/^pusher/.test(event));
}

module.exports = { ID, ask, data, email, found, heard, password, start, subscribe, user, users, uuid };
