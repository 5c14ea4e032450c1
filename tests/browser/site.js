'use strict';
// What the tests of examples/status-page share beside program.js: its users, its pages, its writes.

const assert = require('node:assert/strict');

const program = require('./program.js');

const { launch, shared, shows, signInAt, signedIn, subscriber } = program;

const OWNER = { email: 'owner@lighthouse.example', password: 'lighthouse-demo' };
const ADMIN = { email: 'admin@lighthouse.example', password: 'lighthouse-demo' };
const MEMBER = { email: 'member@lighthouse.example', password: 'lighthouse-demo' };
const STRANGER = { email: 'owner@paperplane.example', password: 'paperplane-demo' };
const STRANGE_MEMBER = { email: 'member@paperplane.example', password: 'paperplane-demo' };
const API_SERVICE = 4; // "Public API" of sql/demo.sql
const HIDDEN_SERVICE = 13; // "Build farm", which only members see

const start = (t, ...args) => launch(t, 'status-page', ...args);

const signIn = (t, site, user, options = {}, slug = 'lighthouse') =>
  signInAt(t, `${site.url}/dashboard/${slug}`, user, '**/dashboard/*', options);

const pill = (page, id = API_SERVICE) => page.locator(`#service-${id}-state .pill`);
const overall = (page) => page.locator('#overall strong');

/** A signed-in client without a browser. */
async function client(site, user, slug = 'lighthouse', send = fetch) {
  const one = await signedIn(site, user, { organization: slug }, send);
  /** A write that has to succeed. */
  one.write = async (where, fields) => {
    const done = await one.post(`/api/v1/${where}`, fields);
    assert.equal(done.status, 200, await done.text());
  };
  return one;
}

/** A WebSocket client that wants organization.{id}. */
const listener = (site, organization, cookie, channel = `organization.${organization}`) => subscriber(site, channel, cookie);

/** What the API shows of an organization. */
const organization = async (site, slug = 'lighthouse') => (await fetch(`${site.url}/api/v1/organizations/${slug}`)).json();

module.exports = {
  ...program, ADMIN, API_SERVICE, HIDDEN_SERVICE, MEMBER, OWNER, STRANGER, STRANGE_MEMBER,
  client, listener, organization, overall, pill, shared, shows, signIn, start,
};
