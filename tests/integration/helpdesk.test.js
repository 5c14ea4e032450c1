'use strict';
// examples/helpdesk on the wire: who may have which channel, what is told to whom, and that notes stay with the agents.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { APP, connect, trigger, until } = require('./lib.js');
const { signedIn } = require('./applications.js');
const { ID, ask, data, found, heard, password, start, subscribe, user, users, uuid } = require('./desk.js');

const UNKNOWN = '11111111-2222-4333-8444-555555555555';

test('HELP-1: three roles, six relations to a ticket, five kinds of channels, by cookie and by token', async (t) => {
  const site = await start(t);
  const [ada, mina, theo] = await users(site, 'ada', 'mina', 'theo');
  // Of Technical, where Mina is not: one is assigned to her, one she has created, one is neither.
  await ada.done('PATCH', `/tickets/${uuid(8)}`, { assigned_to_id: mina.id });
  const created = (await mina.done('POST', '/tickets', { subject: 'From me', message: 'To the others', office_id: 2 })).uuid;
  const tickets = { own: uuid(1), office: uuid(3), assigned: uuid(8), created, foreign: uuid(10), unknown: UNKNOWN };
  const may = {
    ada: { tickets: ['own', 'office', 'assigned', 'created', 'foreign'], offices: [1, 2] },
    mina: { tickets: ['own', 'office', 'assigned', 'created'], offices: [1] },
    theo: { tickets: ['own'], offices: [] },
  };
  for (const who of [ada, mina, theo]) {
    const { cookie } = await signedIn(site, password(who.name));
    for (const [way, headers] of [['cookie', { cookie, origin: site.url }], ['token', { authorization: who.authorization }]]) {
      const socket = await connect({ port: site.port }, { app: { key: 'helpdesk-key' }, headers });
      for (const [relation, id] of Object.entries(tickets))
        for (const kind of ['private', 'presence', 'private-cache'])
          assert.equal(await ask(socket, `${kind}-tickets.${id}`), may[who.name].tickets.includes(relation), `${who.name}, ${way}: ${kind} ${relation}`);
      for (const office of [1, 2, 3, '01', '1x'])
        for (const kind of ['private', 'presence'])
          assert.equal(await ask(socket, `${kind}-office.${office}`), may[who.name].offices.includes(office), `${who.name}, ${way}: ${kind} office ${office}`);
      for (const id of Object.values(ID))
        assert.equal(await ask(socket, `private-user.${id}`), id === who.id, `${who.name}, ${way}: user ${id}`);
      for (const name of [`presence-user.${who.id}`, `private-encrypted-tickets.${uuid(1)}`, `private-user.${who.id}.x`, 'private-tickets.'])
        assert.equal(await ask(socket, name), false, name);
      await socket.close();
    }
    // The same rule for pages and the API.
    for (const [relation, id] of Object.entries(tickets)) {
      const status = may[who.name].tickets.includes(relation) ? 200 : 404;
      assert.equal((await who.api('GET', `/tickets/${id}`)).status, status, `${who.name}: ${relation}`);
      assert.equal((await fetch(`${site.url}/tickets/${id}`, { headers: { cookie } })).status, status, `${who.name}: page of ${relation}`);
    }
  }
  const stranger = await connect({ port: site.port }, { app: { key: 'helpdesk-key' } });
  for (const name of [`private-tickets.${uuid(1)}`, 'private-user.6', 'private-office.1']) {
    stranger.ask(name);
    assert.match((await stranger.next()).data.message, /Sign in first/, name);
  }
});

test('HELP-A4: a user is compared as text', async (t) => {
  const site = await start(t);
  const theo = await user(site, 'theo');
  const socket = await theo.connect();
  for (const name of ['private-user.6x', 'private-user.06', 'private-user. 6', 'private-user.6.0', 'private-user.+6', 'private-user.6e0', 'private-user.٦'])
    assert.equal(await ask(socket, name), false, name);
  assert.equal(await ask(socket, 'private-user.6'), true);
});

/** Sockets of several users with the channels that each may have of ticket 1. */
async function audience(site, ...people) {
  const channels = { theo: ['private-user.6'], mina: ['private-user.2', 'private-office.1'], noah: ['private-office.1'], lena: ['private-user.4', 'private-office.2'], ada: ['private-office.1', 'private-office.2'] };
  const sockets = {};
  for (const who of people)
    sockets[who.name] = await who.listen(...channels[who.name], ...(['lena'].includes(who.name) ? [] : [`private-tickets.${uuid(1)}`, `presence-tickets.${uuid(1)}`]));
  return sockets;
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const without = ({ id, v, revision, ...rest }) => { // eslint-disable-line no-unused-vars
  assert.match(id, /^[0-9a-f]{16}-\d+$/);
  assert.equal(v, 1);
  return rest;
};
const TICKET = { uuid: uuid(1), subject: 'Invoice has the wrong address' };
const MINA = { id: 2, name: 'Mina', role: 'agent' };

test('HELP-2: each event with its payload, on its channels and nowhere else', async (t) => {
  const site = await start(t);
  const [mina, theo, lena, ada] = await users(site, 'mina', 'theo', 'lena', 'ada');
  const sockets = await audience(site, mina, theo, lena, ada);
  const form = new FormData();
  form.append('message', 'Here it is.\n"Quoted"');
  form.append('files', new Blob(['pdf']), 'invoice.pdf');
  form.append('files', new Blob(['']), 'Rechnung "zwei" ü.txt');
  const { reply } = await mina.done('POST', `/tickets/${uuid(1)}/replies`, form);
  const [where, told] = [[`private-tickets.${uuid(1)}`, 'private-user.6', 'private-office.1'], {}];
  for (const channel of where) {
    const frame = await found(channel === 'private-user.6' ? sockets.theo : sockets.mina, 'ticket.reply.created', channel);
    told[channel] = without(data(frame));
  }
  assert.match(reply.created_at, ISO);
  const expected = {
    ticket: TICKET,
    reply: { id: reply.id, message: 'Here it is.\n"Quoted"', is_internal: false, created_at: reply.created_at, user: MINA, attachments: [{ filename: 'invoice.pdf', size: 3 }, { filename: 'Rechnung %22zwei%22 ü.txt', size: 0 }] },
  };
  for (const channel of where) assert.deepEqual(told[channel], expected, channel);
  await mina.done('PATCH', `/tickets/${uuid(1)}`, { subject: 'Invoice', priority: 'high', tags: 'post,address', status: 'pending' });
  const changed = without(data(await found(sockets.theo, 'ticket.updated', 'private-user.6')));
  assert.match(changed.updated_at, ISO);
  assert.deepEqual({ ...changed, updated_at: '' }, {
    ticket: { ...TICKET, subject: 'Invoice' }, user: MINA, updated_at: '',
    changes: { subject: { old: TICKET.subject, new: 'Invoice' }, priority: { old: 'normal', new: 'high' }, tags: { old: '', new: 'post,address' } },
  });
  const status = without(data(await found(sockets.theo, 'ticket.status.changed', 'private-user.6')));
  assert.match(status.changed_at, ISO);
  assert.deepEqual({ ...status, changed_at: '' }, { ticket: { ...TICKET, subject: 'Invoice' }, old_status: 'open', new_status: 'pending', user: MINA, changed_at: '' });
  for (const name of ['delivered', 'read']) { // delivered by itself; what is read before that is told is read only
    if (name === 'read') await theo.done('POST', `/tickets/${uuid(1)}/read`, { up_to: reply.id });
    const mark = without(data(await found(sockets.mina, `ticket.reply.${name}`, where[0], ({ user_id: id }) => id === theo.id)));
    assert.match(mark.at, ISO);
    assert.deepEqual({ ...mark, at: '' }, { ticket: { uuid: uuid(1) }, reply_id: reply.id, user_id: 6, at: '' });
  }
  // To another agent, then to another office: the assignee and both offices are told.
  await mina.done('PATCH', `/tickets/${uuid(1)}`, { assigned_to_id: lena.id });
  assert.deepEqual(data(await found(sockets.lena, 'ticket.updated', 'private-user.4')).changes, { assigned_to_id: { old: 2, new: 4 } });
  await found(sockets.mina, 'ticket.updated', 'private-user.2'); // she had it
  await mina.done('PATCH', `/tickets/${uuid(1)}`, { office_id: 2 });
  assert.deepEqual(data(await found(sockets.lena, 'ticket.updated', 'private-office.2')).changes, { office_id: { old: 1, new: 2 } });
  await found(sockets.ada, 'ticket.updated', 'private-office.1');
  const [nothing, same] = [await mina.api('PATCH', `/tickets/${uuid(1)}`, { priority: 'low' }), await ada.api('PATCH', `/tickets/${uuid(1)}`, { priority: 'high' })];
  assert.deepEqual([nothing.status, same.status], [404, 204], 'Mina has lost it; nothing has changed');
  // What each has heard, in all.
  const all = {};
  for (const [name, socket] of Object.entries(sockets)) all[name] = (await heard(socket)).map(({ event, channel }) => `${event} ${channel}`);
  const on = (channel, ...names) => names.map((name) => `${name} ${channel}`);
  const three = ['ticket.reply.created', 'ticket.updated', 'ticket.status.changed'];
  assert.deepEqual(all.theo.filter((line) => /user/.test(line)), on('private-user.6', ...three, 'ticket.updated', 'ticket.updated'));
  assert.deepEqual(all.theo.filter((line) => /tickets/.test(line) && !/delivered/.test(line)), on(`private-tickets.${uuid(1)}`, ...three, 'ticket.reply.read', 'ticket.updated', 'ticket.updated'));
  assert.deepEqual(all.lena, [...on('private-user.4', 'ticket.updated'), ...on('private-user.4', 'ticket.updated'), ...on('private-office.2', 'ticket.updated')].sort((a, b) => all.lena.indexOf(a) - all.lena.indexOf(b)));
});

test('HELP-3: the agents hear a note on every channel, with its update, its typing, its files and its count', async (t) => {
  const site = await start(t);
  const [mina, noah, theo] = await users(site, 'mina', 'noah', 'theo');
  const sockets = await audience(site, mina, noah, theo);
  const before = (await theo.done('GET', '/tickets')).tickets;
  sockets.mina.send({ event: 'client-typing', channel: `presence-tickets.${uuid(1)}`, data: { typing: true, internal: true } });
  assert.equal(data(await sockets.noah.event('client-typing')).internal, true);
  const form = new FormData();
  form.append('internal', '1');
  form.append('message', 'Do not tell him');
  form.append('files', new Blob(['x']), 'secret.txt');
  await mina.done('POST', `/tickets/${uuid(1)}/replies`, form);
  assert.equal(data(await sockets.noah.event('client-typing')).ended, true, 'typing ends with the note');
  for (const [who, channel] of [['noah', `private-tickets.${uuid(1)}`], ['noah', 'private-office.1']]) {
    const { reply } = data(await found(sockets[who], 'ticket.reply.created', channel));
    assert.deepEqual([reply.is_internal, reply.message, reply.attachments], [true, 'Do not tell him', [{ filename: 'secret.txt', size: 1 }]], channel);
    assert.deepEqual(data(await found(sockets[who], 'ticket.updated', channel)).changes, { notes: { old: 1, new: 2 } });
  }
  assert.equal((await noah.done('GET', '/tickets')).tickets.find((one) => one.uuid === uuid(1)).notes, 2);
  await noah.done('POST', `/tickets/${uuid(1)}/read`, { up_to: 1e6 });
  const marks = (await sockets.mina.settle(), sockets.mina.frames.filter(({ event }) => event === 'ticket.reply.read').map((frame) => data(frame).user_id));
  assert.deepEqual(marks, [3, 3], 'of replies and of notes');
  // The creator's own channel, when the creator is an agent, is an agent's.
  const own = (await mina.done('POST', '/tickets', { subject: 'Mine', message: 'I', office_id: 1 })).uuid;
  await noah.done('POST', `/tickets/${own}/replies`, { message: 'A note to an agent', internal: true });
  await until(async () => (await heard(sockets.mina)).some((frame) => frame.channel === 'private-user.2' && data(frame).reply?.is_internal), 'the note on her channel');
  const after = (await theo.done('GET', '/tickets')).tickets;
  assert.deepEqual(after, before, 'nothing has changed for the customer');
  const told = await heard(sockets.theo);
  assert.deepEqual(told.map(({ event }) => event), ['ticket.reply.read'], JSON.stringify(told)); // of public ones: Noah has read those, too
});

test('HELP-A1: no byte of an internal note reaches the customer, by frames, endpoints, history, pages or counts', async (t) => {
  const site = await start(t, { REVERB_APP_ID: 'helpdesk', REVERB_APP_KEY: 'helpdesk-key', REVERB_APP_SECRET: APP.secret, BROADCAST_CONNECTION: 'local' });
  const [ada, mina, theo] = await users(site, 'ada', 'mina', 'theo');
  const channels = [`private-tickets.${uuid(1)}`, `presence-tickets.${uuid(1)}`, `private-cache-tickets.${uuid(1)}`, 'private-user.6'];
  const socket = await theo.listen(...channels);
  const early = await theo.listen(`private-tickets.${uuid(1)}`, 'private-user.6'); // comes back later
  const first = await theo.done('GET', '/tickets');
  const writer = await mina.listen(`presence-tickets.${uuid(1)}`);
  await mina.reply(1, 'public, and the last that one of them hears');
  const seen = {};
  for (const channel of ['private-user.6', `private-tickets.${uuid(1)}`])
    seen[channel] = JSON.parse((await found(early, 'ticket.reply.created', channel)).raw).event_id;
  const earlyId = early.socketId;
  await early.close();
  let [publics, notes] = [1, 0];
  let note;
  for (let i = 0; i < 200; i++) {
    if (i % 50 === 25) await ada.done('PUT', `/users/${mina.id}/role`, { role: 'customer' });
    if (i % 50 === 30) await ada.done('PUT', `/users/${mina.id}/role`, { role: 'agent' });
    const writes = i % 50 >= 25 && i % 50 < 30 ? ada : mina;
    if (i % 2) {
      await writes.reply(1, `public ${i}`);
      publics++;
      continue;
    }
    notes++;
    if (i % 40 === 0) {
      if (writes === mina) writer.send({ event: 'client-typing', channel: channels[1], data: { typing: true, internal: true, text: 'SECRET typed' } });
      const form = new FormData();
      form.append('message', `SECRET ${i}`);
      form.append('internal', 'true');
      form.append('files', new Blob([`SECRET content ${i}`]), `SECRET-${i}.txt`);
      note = (await writes.done('POST', `/tickets/${uuid(1)}/replies`, form)).reply;
    } else {
      note = (await writes.reply(1, `SECRET ${i}`, { internal: true })).reply;
    }
    if (i % 50 === 48) await ada.done('POST', `/tickets/${uuid(1)}/read`, { up_to: 1e9 });
  }
  // Other publishers who know the app's secret send what they like: it is not shown to customers unless it says that it is public.
  const server = { port: site.port };
  const app = { ...APP, id: 'helpdesk', key: 'helpdesk-key' };
  for (const [name, payload] of [
    ['ticket.reply.created', { reply: { message: 'SECRET', is_internal: true } }], ['ticket.reply.created', { reply: { message: 'SECRET' }, for: { internal: false } }],
    ['ticket.reply.created', { reply: { message: 'SECRET', is_internal: 0 }, for: { internal: false } }], ['ticket.updated', { note: 'SECRET' }], ['something', { for: { internal: false }, a: 'SECRET' }], ['ticket.updated', 'SECRET'],
  ]) await trigger(server, channels, name, typeof payload === 'string' ? payload : JSON.stringify(payload), { app });
  const events = await heard(socket);
  assert.equal(events.filter(({ event, channel }) => event === 'ticket.reply.created' && channel === channels[0]).length, publics, 'all public ones');
  const bytes = [socket.frames.map(({ raw }) => raw).join('\n')];
  assert.doesNotMatch(bytes[0], /"is_internal":true|notes|"for"/);
  // Each event's revision is one more than the last one's: no note moves it.
  const revisions = events.filter(({ channel, event }) => channel === channels[0] && event === 'ticket.reply.created').map((frame) => data(frame).revision);
  revisions.forEach((revision, at) => assert.equal(revision, revisions[0] + at, 'a revision of a note was passed over'));
  // What a page asks for.
  for (const where of ['/tickets', `/tickets/${uuid(1)}`, `/tickets/${uuid(1)}?since=0`, `/tickets/${uuid(1)}?since=${note.id - 1}`, `/tickets/${uuid(1)}?since=-1`])
    bytes.push((await theo.api('GET', where)).text);
  const { cookie } = await signedIn(site, password('theo'));
  for (const where of ['/tickets', `/tickets/${uuid(1)}`, '/', `/demo/theo/tickets/${uuid(1)}`]) bytes.push(await (await fetch(site.url + where, { headers: { cookie } })).text());
  for (const channel of channels)
    bytes.push(await (await fetch(`${site.url}/broadcasting/auth`, { method: 'POST', headers: { authorization: theo.authorization }, body: new URLSearchParams({ socket_id: socket.socketId, channel_name: channel }) })).text());
  const last = await theo.done('GET', '/tickets');
  assert.equal(last.tickets.find((one) => one.uuid === uuid(1)).replies, first.tickets.find((one) => one.uuid === uuid(1)).replies + publics);
  assert.equal(last.tickets.find((one) => one.uuid === uuid(1)).notes, undefined);
  // A page that comes back asks for what it missed; a newcomer gets what a cache channel keeps.
  const back = await theo.connect();
  back.send({ event: 'pusher:resume', data: { socket_id: earlyId, channels: seen } });
  for (const channel of channels) await subscribe(back, channel);
  await back.settle();
  assert.ok(back.frames.some(({ event }) => event === 'ticket.reply.created'), 'the history has the public ones');
  bytes.push(back.frames.map(({ raw }) => raw).join('\n'));
  assert.equal((await theo.api('GET', `/tickets/${uuid(1)}/files/${note.id}-0`)).status, 404);
  for (const text of bytes) assert.doesNotMatch(text, /SECRET|Looks like the same cause/);
  assert.ok(notes === 100);
});
