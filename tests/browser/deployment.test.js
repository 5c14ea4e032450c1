'use strict';
// The applications with TLS: their own, and that of nginx in front of them.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');

const cloud = require('./cloud.js');
const gateways = require('./gateways.js');
const { behindNginx, certificate, makeCertificate, secureFetch } = require('./nginx.js');
const { launch, signInAt, signedIn } = require('./program.js');
const { API_SERVICE, OWNER, client, live, open, pill, shows, signIn } = require('./site.js');

const TRUSTING = { ignoreHTTPSErrors: true };

before(makeCertificate);

/** The cookie of a page's session stays on TLS. */
async function keepsItsCookie(page, name) {
  const [cookie] = (await page.context().cookies()).filter((one) => one.name === name);
  assert.deepEqual({ secure: cookie.secure, httpOnly: cookie.httpOnly, sameSite: cookie.sameSite }, { secure: true, httpOnly: true, sameSite: 'Lax' });
}

/** What pages of each application do: they are live, and what is changed is on them. */
const APPLICATIONS = {
  async 'status-page'(t, site) {
    const visitor = await open(t, `${site.url}/status/lighthouse`, TRUSTING);
    const owner = await signIn(t, site, OWNER, TRUSTING);
    for (const page of [visitor, owner]) await live(page);
    await shows(owner.locator('#faces'), 'Demo owner (you)'); // the cookie was believed on the WebSocket
    const api = await client(site, OWNER, 'lighthouse', secureFetch);
    assert.match(api.setCookie, /; HttpOnly; Path=\/; SameSite=Lax; Max-Age=\d+; Secure$/);
    await keepsItsCookie(owner, 'status_session');
    await api.write(`services/${API_SERVICE}/status`, { status: 'degraded', message: 'By TLS' });
    for (const page of [visitor, owner]) await shows(pill(page), 'Degraded performance');
    return [visitor, owner];
  },
  async provisioning(t, site) {
    const iris = await signedIn(site, cloud.IRIS, {}, secureFetch);
    const { id } = await (await iris.post('/api/v1/servers', { name: 'tls-1', machine: 1 })).json();
    const page = await signInAt(t, `${site.url}/servers/${id}/provisioning`, cloud.IRIS, `${site.url}/servers/${id}/provisioning`, TRUSTING);
    await live(page);
    await keepsItsCookie(page, 'provisioning_session');
    const list = await signInAt(t, `${site.url}/servers`, cloud.IRIS, `${site.url}/servers`, TRUSTING);
    await live(list);
    await iris.post('/api/v1/servers', { name: 'tls-2', machine: 1 });
    await shows(list.locator('body'), 'tls-2');
    return [page, list];
  },
  async 'gateway-monitor'(t, site) {
    const dashboard = await gateways.page(t, site, gateways.ADA, TRUSTING);
    await live(dashboard);
    await keepsItsCookie(dashboard, 'gateways_session');
    const ada = await signedIn(site, gateways.ADA, {}, secureFetch);
    await gateways.poll(ada, 1, [25, ...gateways.USUAL.slice(1)]);
    await shows(dashboard.locator('#p-1 b'), '25.0');
    return [dashboard];
  },
};

const ARGUMENTS = { 'gateway-monitor': ['--gateways', '24'] };

for (const [name, behaves] of Object.entries(APPLICATIONS)) {
  const options = { skip: process.env.ASAN_OPTIONS && name !== 'status-page' ? 'pages: in the stage without sanitizers' : false };

  test(`APP-11: ${name}, directly with TLS`, options, async (t) => {
    const site = await launch(t, name, '--tls-cert', certificate.cert, '--tls-key', certificate.key, ...(ARGUMENTS[name] ?? []));
    assert.match(site.url, /^https:/);
    await behaves(t, site);
    const health = await (await secureFetch(`${site.url}/api/v1/websocket/health`)).json();
    assert.equal(health.tls, true);
  });

  test(`APP-11: ${name}, behind nginx with TLS`, options, async (t) => {
    const behind = await launch(t, name, '--proxies', '1', ...(ARGUMENTS[name] ?? []));
    const site = await behindNginx(t, [behind]);
    for (const page of await behaves(t, site)) await page.context().close(); // before the program: nginx would say 502 to a page that catches up
    const redirected = await fetch(`http://127.0.0.1:${site.plain}/login`, { redirect: 'manual' });
    assert.equal(redirected.status, 301);
    assert.equal(redirected.headers.get('location'), 'https://127.0.0.1/login');
  });
}
