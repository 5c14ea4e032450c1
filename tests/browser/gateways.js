'use strict';
// What the tests of examples/gateway-monitor share: its users, gateways that are polled by hand, and what is heard of them.

const assert = require('node:assert/strict');

const { launch, signInAt, signedIn, subscriber } = require('./program.js');

const user = (name) => ({ email: `${name}@gateways.example`, password: `${name}-demo` });
const ADA = user('ada'); // an admin
const BEN = user('ben'); // sites 1, 2 and 3; alerts
const EVE = user('eve'); // sites 3 and 4

const USUAL = [21, 55, 230, 40, -70]; // what a gateway says

const start = (t, ...args) => launch(t, 'gateway-monitor', ...args);
const client = (site, who = ADA) => signedIn(site, who);
const page = (t, site, who = ADA, options = {}) => signInAt(t, site.url, who, `${site.url}/`, options);
const listen = (site, channel, who) => subscriber(site, channel, who?.cookie);
const data = (frame) => JSON.parse(frame.data);

/** One poll of a gateway: temperature, level, voltage, flow, signal; without values no answer. */
async function poll(admin, gateway, values = [], quality = 'good') {
  const answer = await admin.post(`/api/v1/gateways/${gateway}/poll`, { values: values.join(','), quality });
  assert.equal(answer.status, 204, await answer.text());
}

const health = async (site) => (await fetch(`${site.url}/api/v1/websocket/health`)).json();

module.exports = { ADA, BEN, EVE, USUAL, client, data, health, listen, page, poll, start };
