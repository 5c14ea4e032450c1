'use strict';
// What the tests of examples/provisioning share beside program.js: its owners, servers, machines and channels.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const program = require('./program.js');

const { launch, signInAt, signedIn, subscriber } = program;

const IRIS = { email: 'iris@harbour.example', password: 'iris-demo' };
const OMAR = { email: 'omar@quarry.example', password: 'omar-demo' };
const STEPS = 10;

// The stage with sanitizers has the tests of the program; those of its pages once are enough.
const PAGES = { skip: process.env.ASAN_OPTIONS ? 'pages: in the stage without sanitizers' : false };

const start = (t, ...args) => launch(t, 'provisioning', ...args);
const provision = (id) => `private-servers.${id}.provision`;
const heard = (frame) => JSON.parse(frame.data);

const EVENTS = {
  provision: 'App\\Events\\ServerProvisionUpdated',
  packages: 'App\\Events\\ServerPackageUpdated',
  databases: 'App\\Events\\ServerDatabaseUpdated',
  logs: 'App\\Events\\ServerLogAppended',
  deployment: 'App\\Events\\SiteDeploymentUpdated',
  task: 'App\\Events\\TaskCompletedEvent',
  servers: 'App\\Events\\ServersUpdated',
};

/** A signed-in owner without a browser. */
async function owner(site, user = IRIS) {
  const one = await signedIn(site, user);
  /** A write that has to succeed; its answer. */
  one.write = async (where, fields = {}, headers = {}) => {
    const answer = await one.post(where, fields, headers);
    assert.ok(answer.ok, `${where}: ${answer.status} ${await answer.clone().text()}`);
    return answer.status === 204 ? null : answer.json();
  };
  one.json = async (where) => (await one.get(where)).json();
  one.server = (id) => one.json(`/api/v1/servers/${id}`);
  /** A new server, and its machine. */
  one.order = async (name = 'box') => {
    const { id, token } = await one.write('/api/v1/servers', { name, machine: 1 }); // nothing plays it
    return machine(site, id, token);
  };
  one.hears = (channel) => subscriber(site, channel, one.cookie);
  return one;
}

/** The machine of a server, which says how far it is. */
function machine(site, id, token) {
  const post = (what, fields, headers = { Authorization: `Bearer ${token}` }) => fetch(`${site.url}/servers/${id}/provision/${what}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers }, body: JSON.stringify(fields),
  });
  const done = async (answer) => assert.equal(answer.status, 200, await answer.text());
  return {
    id,
    token,
    /** The raw answer. */
    ask: (fields, headers) => post('step', fields, headers),
    say: async (step, status = 'completed', error = '') => done(await post('step', { step, status, error })),
    log: async (text) => done(await post('log', { text })),
    /** All steps up to this one. */
    async install(last = STEPS) {
      for (let step = 1; step <= last; step++) await this.say(step);
    },
  };
}

/** A test of pages. */
const pages = (name, run) => test(name, PAGES, run);

/** Counts the requests of a page from now on. */
function asked(page, pattern) {
  const urls = [];
  page.on('request', (request) => { if (pattern.test(request.url())) urls.push(request.url()); });
  return urls;
}

const setUp = (box) => `/servers/${box.id}/provisioning`;
const step = (page, number) => page.locator(`[data-step="${number}"]`);

/** Signs in on a page; `where` is the address that is wanted and reached. */
const signIn = (t, site, where = '/servers', user = IRIS, options = {}) => signInAt(t, site.url + where, user, site.url + where.split('?')[0], options);

const stateOf = (server) => server.steps.map(({ status }) => Object.keys(status).find((key) => status[key]).slice(2).toLowerCase());

module.exports = { ...program, EVENTS, IRIS, OMAR, STEPS, asked, heard, machine, owner, pages, provision, setUp, signIn, start, stateOf, step };
