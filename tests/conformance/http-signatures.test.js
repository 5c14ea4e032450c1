'use strict';
// B.10: signatures of the HTTP API.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { APP, api, hmac, md5, nowS, request, startHost } = require('../integration/lib.js');

const OTHER = { id: 'other', key: 'other-key', secret: 'other-secret' };
const BODY = '{"name":"order.paid","channel":"orders","data":"{\\"id\\":42}"}';

let host;
let prefixed;
before(async () => {
  host = await startHost({ apps: [APP, OTHER] });
  prefixed = await startHost({ options: { path_prefix: '/ws' } });
});

const get = (auth, more = {}) => api(host, 'GET', '/channels', { auth, ...more });
const post = (auth, more = {}) => api(host, 'POST', '/events', { body: BODY, auth, ...more });

async function assert401(answer) {
  const { status, text } = await answer;
  assert.equal(status, 401, text);
  assert.ok(text.length > 0);
}

test('#135 accepts what is signed as the vectors are', async () => {
  // The vectors themselves, with their fixed times, are in tests/unit/test_sign.c.
  for (const answer of [get({}), post({}), api(host, 'GET', '/channels', { query: { filter_by_prefix: 'presence-', info: 'user_count' } }),
    api(host, 'POST', '/batch_events', { body: { batch: [{ name: 'a', channel: 'orders', data: '1' }] } })])
    assert.equal((await answer).status, 200);
});

test('#136 answers 401 when a signing parameter is missing', async () => {
  for (const name of ['auth_key', 'auth_timestamp', 'auth_version']) {
    await assert401(get({ [name]: undefined }));
    await assert401(post({ [name]: undefined }));
    await assert401(get({}, { after: { [name]: undefined } }));
  }
  await assert401(get({}, { after: { auth_signature: undefined } }));
  await assert401(get({}, { after: { auth_signature: '' } }));
  await assert401(request(host, 'GET', '/apps/app-id/channels'));
  await assert401(request(host, 'POST', '/apps/app-id/events', { body: BODY }));
});

test('#136 answers 401 when a signing parameter is given twice', async () => {
  const query = (extra) => {
    const canonical = `auth_key=${APP.key}&auth_timestamp=${nowS()}&auth_version=1.0`;
    return `/apps/app-id/channels?${canonical}&auth_signature=${hmac(APP.secret, `GET\n/apps/app-id/channels\n${canonical}`)}${extra}`;
  };
  assert.equal((await request(host, 'GET', query(''))).status, 200);
  for (const extra of [`&auth_key=${APP.key}`, '&auth_version=1.0', `&auth_timestamp=${nowS()}`, `&auth_signature=${'0'.repeat(64)}`])
    await assert401(request(host, 'GET', query(extra)));
});

test('#137 answers 401 for an unknown key, the key of another app, and another version', async () => {
  await assert401(get({ auth_key: 'nope' }));
  await assert401(get({ auth_key: OTHER.key }));
  await assert401(api(host, 'GET', '/channels', { app: { ...OTHER, id: APP.id } }));
  for (const version of ['1.1', '1', '', '2.0', '1.00']) await assert401(get({ auth_version: version }));
});

test('#138 answers 401 for a time 601 s away, and accepts 590 s', async () => {
  // The time that passes until a request is read brings future ones nearer.
  for (const seconds of [-601, 605, -86400]) await assert401(get({ auth_timestamp: nowS() + seconds }));
  for (const seconds of [-590, 590]) assert.equal((await get({ auth_timestamp: nowS() + seconds })).status, 200);
  for (const odd of ['', 'now', `${nowS()}.5`, `${nowS()}x`, '-1', `0x${nowS().toString(16)}`, '99999999999999999999', ` ${nowS()}`])
    await assert401(get({ auth_timestamp: odd }));
});

test('#139 answers 401 when body_md5 is missing or wrong', async () => {
  await assert401(post({ body_md5: undefined }));
  await assert401(post({ body_md5: md5('other') }));
  await assert401(post({ body_md5: md5(BODY).toUpperCase() }));
  await assert401(post({ body_md5: '' }));
  await assert401(post({}, { after: { body_md5: md5('other') } }));
});

test('#139 answers 401 when the body was changed', async () => {
  const path = '/apps/app-id/events';
  const canonical = `auth_key=${APP.key}&auth_timestamp=${nowS()}&auth_version=1.0&body_md5=${md5(BODY)}`;
  const target = `${path}?${canonical}&auth_signature=${hmac(APP.secret, `POST\n${path}\n${canonical}`)}`;
  assert.equal((await request(host, 'POST', target, { body: BODY })).status, 200);
  await assert401(request(host, 'POST', target, { body: BODY.replace('42', '43') }));
  await assert401(request(host, 'POST', target, { body: `${BODY} ` }));
  await assert401(request(host, 'POST', target));
  await assert401(request(host, 'POST', target.replace('/events', '/batch_events'), { body: BODY }));
});

test('#140 accepts a GET with the MD5 of nothing as body_md5', async () => {
  assert.equal((await get({ body_md5: 'd41d8cd98f00b204e9800998ecf8427e' })).status, 200);
  await assert401(get({ body_md5: md5('something') }));
});

test('#141 lower-cases keys and sorts them', async () => {
  assert.equal((await get({}, { query: { Zeta: '1', alpha: '2', 'B-c': '3', A: '4' } })).status, 200);
  // in another order on the wire than in the string that was signed
  const values = { auth_version: '1.0', zeta: '1', auth_timestamp: nowS(), auth_key: APP.key };
  const signature = hmac(APP.secret, `GET\n/apps/app-id/channels\n${Object.keys(values).sort().map((k) => `${k}=${values[k]}`).join('&')}`);
  const target = `/apps/app-id/channels?auth_signature=${signature}&${Object.entries(values).map(([k, v]) => `${k}=${v}`).join('&').replace('zeta', 'ZeTa')}`;
  assert.equal((await request(host, 'GET', target)).status, 200);
});

test('#142 verifies values after URL-decoding', async () => {
  // api() sends them encoded and signs them as they are
  const answer = await get({}, { query: { filter_by_prefix: 'presence-@a,b;c=', other: 'ë&=+ %25/' } });
  assert.equal(answer.status, 200, answer.text);
  // and unescaped on the wire, as the Node SDK does
  const canonical = `auth_key=${APP.key}&auth_timestamp=${nowS()}&auth_version=1.0&filter_by_prefix=presence-&info=user_count,subscription_count`;
  const raw = `/apps/app-id/channels?${canonical}&auth_signature=${hmac(APP.secret, `GET\n/apps/app-id/channels\n${canonical}`)}`;
  assert.equal((await request(host, 'GET', raw)).status, 200);
  const escaped = raw.replace('user_count,subscription_count', 'user_count%2csubscription_count').replace('presence-', '%70resence%2D');
  assert.equal((await request(host, 'GET', escaped)).status, 200);
});

test('#143 accepts the array forms of PHP and Ruby', async () => {
  const path = '/apps/app-id/channels/presence-room.1';
  const base = `auth_key=${APP.key}&auth_timestamp=${nowS()}&auth_version=1.0`;
  const sign = (canonical) => hmac(APP.secret, `GET\n${path}\n${canonical}`);
  const php = sign(`${base}&info=user_count,subscription_count`);
  for (const info of ['info[0]=user_count&info[1]=subscription_count', 'info%5B0%5D=user_count&info%5B1%5D=subscription_count', 'info=user_count%2Csubscription_count']) {
    const answer = await request(host, 'GET', `${path}?${base}&${info}&auth_signature=${php}`);
    assert.equal(answer.status, 200, `${info}: ${answer.text}`);
    assert.deepEqual(answer.json, { occupied: false, user_count: 0, subscription_count: 0 });
  }
  const ruby = sign(`${base}&info[]=user_count&info[]=subscription_count`);
  for (const info of ['info[]=user_count&info[]=subscription_count', 'info%5B%5D=user_count&info%5B%5D=subscription_count']) {
    const answer = await request(host, 'GET', `${path}?${base}&${info}&auth_signature=${ruby}`);
    assert.equal(answer.status, 200, `${info}: ${answer.text}`);
    assert.deepEqual(answer.json, { occupied: false, user_count: 0, subscription_count: 0 });
  }
});

test('#144 accepts a request signed with and without the configured path prefix', async () => {
  for (const signedPath of ['/ws/apps/app-id/channels', '/apps/app-id/channels']) {
    const canonical = `auth_key=${APP.key}&auth_timestamp=${nowS()}&auth_version=1.0`;
    const target = `/ws/apps/app-id/channels?${canonical}&auth_signature=${hmac(APP.secret, `GET\n${signedPath}\n${canonical}`)}`;
    assert.equal((await request(prefixed, 'GET', target)).status, 200, signedPath);
  }
});

test('#145 reveals no expected signature', async () => {
  const canonical = `auth_key=${APP.key}&auth_timestamp=${nowS()}&auth_version=1.0`;
  const expected = hmac(APP.secret, `GET\n/apps/app-id/channels\n${canonical}`);
  const { status, text, rawHeaders } = await request(host, 'GET', `/apps/app-id/channels?${canonical}&auth_signature=${'0'.repeat(64)}`);
  assert.equal(status, 401);
  assert.ok(!text.includes(expected) && !rawHeaders.join().includes(expected));
  assert.ok(!text.includes(APP.secret));
});
