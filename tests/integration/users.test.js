'use strict';
// Users through the C interface: the host says who a connection is, and closes all of somebody's.

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { CLIENT_QUERY, connect, startHost } = require('./lib.js');

let host;
before(async () => { host = await startHost({ hooks: ['identify'], options: { worker_count: 2 } }); });

const identified = (id) => connect(host, { query: `${CLIENT_QUERY}&user=${id}` });

test('closes all connections of a user, whoever said that they are the user\'s', async () => {
  const signedIn = await connect(host);
  await signedIn.signin({ id: '7' });
  const [said, both, other, member] = await Promise.all([identified('7'), identified('7'), identified('8'), connect(host)]);
  await both.signin({ id: '9' });
  await member.subscribe('presence-room', { user_id: '7' });
  await host.do('disconnect_user', { user: '7', code: 4321, reason: 'moved' });
  for (const client of [signedIn, said, both]) assert.deepEqual(await client.closed(), { code: 4321, reason: 'moved' });
  for (const client of [other, member]) {
    assert.deepEqual(await client.settle(), []);
    await client.close();
  }
});

test('refuses what names no user', async () => {
  for (const [rc, args] of Object.entries({ EINVAL: { user: '' }, ENOENT: { user: '7', app: 'nope' } }))
    assert.equal((await host.try('disconnect_user', args)).rc, rc);
  assert.equal((await host.try('disconnect_user', { user: 'x'.repeat(201) })).rc, 'EINVAL');
  assert.equal((await host.try('disconnect_user', { user: '7', code: 3999 })).rc, 'EINVAL');
  assert.equal((await host.try('disconnect', { socket_id: '0.0' })).rc, 'EINVAL');
  await host.do('disconnect_user', { user: 'nobody' });
});
