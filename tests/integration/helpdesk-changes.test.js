'use strict';
// examples/helpdesk on the wire: rights that come and go, rates, files, and what it says of itself.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { test } = require('node:test');

const { APP, BUILD, TOP, freePort, trigger, until } = require('./lib.js');
const { signedIn } = require('./applications.js');
const { ID, ask, data, email, found, heard, password, start, user, users, uuid } = require('./desk.js');

const lost = (socket, channel) => until(() => socket.frames.find(({ event, channel: of }) => event === 'pusher:subscription_error' && of === channel), `the loss of ${channel}`);
const messages = (frames, channel) => frames.filter((frame) => frame.event === 'ticket.reply.created' && frame.channel === channel).map((frame) => data(frame).reply.message);

test('HELP-13: an agent who is moved hears nothing of the old office after the answer; own tickets stay', async (t) => {
  const site = await start(t);
  const [ada, mina, noah] = await users(site, 'ada', 'mina', 'noah');
  const created = (await mina.done('POST', '/tickets', { subject: 'Mine', message: 'I', office_id: 1 })).uuid;
  const [assigned, other, old] = [`private-tickets.${uuid(1)}`, `private-tickets.${uuid(3)}`, 'private-office.1'];
  const socket = await mina.listen(assigned, other, `private-tickets.${created}`, old, 'presence-office.1', `presence-tickets.${uuid(3)}`, 'private-user.2');
  const before = (await heard(socket)).length;
  await ada.done('PUT', `/users/${mina.id}/offices`, { offices: [2] });
  await noah.reply(1, 'to the assigned');
  await noah.reply(3, 'to the other');
  await noah.done('POST', `/tickets/${created}/replies`, { message: 'to the created' });
  for (const channel of [other, old, 'presence-office.1', `presence-tickets.${uuid(3)}`]) await lost(socket, channel);
  const told = (await heard(socket)).slice(before).filter(({ event }) => event === 'ticket.reply.created');
  assert.deepEqual(told.map((frame) => [frame.channel, data(frame).reply.message]), [[assigned, 'to the assigned'], [`private-tickets.${created}`, 'to the created'], ['private-user.2', 'to the created']]);
  assert.deepEqual(data(await found(socket, 'user.updated', 'private-user.2')).offices, [2]);
  assert.equal(await ask(socket, 'private-office.2'), true);
  assert.equal((await mina.api('GET', `/tickets/${uuid(3)}`)).status, 404);
  await mina.done('POST', '/demo/move-me');
  assert.deepEqual((await mina.done('GET', '/tickets')).me.offices, [{ id: 1, name: 'Billing' }]);
});

test('HELP-14: a ticket that is moved is gone for the old office after the answer, and in the list of the new one', async (t) => {
  const site = await start(t);
  const [ada, noah, lena, otto] = await users(site, 'ada', 'noah', 'lena', 'otto');
  const channel = `private-tickets.${uuid(3)}`;
  const [old, fresh] = [await noah.listen(channel, `presence-tickets.${uuid(3)}`, 'private-office.1'), await lena.listen('private-office.2')];
  await ada.done('PATCH', `/tickets/${uuid(3)}`, { office_id: 2 });
  await otto.reply(3, 'after it');
  await lost(old, channel);
  await lost(old, `presence-tickets.${uuid(3)}`);
  assert.deepEqual(messages(await heard(old), channel), []);
  assert.deepEqual(messages(await heard(old), 'private-office.1'), []);
  assert.deepEqual(data(await found(fresh, 'ticket.updated', 'private-office.2')).changes.office_id, { old: 1, new: 2 });
  assert.deepEqual(data(await found(old, 'ticket.updated', 'private-office.1')).changes.office_id, { old: 1, new: 2 }); // to take it off the list
  const has = async (who) => (await who.done('GET', '/tickets')).tickets.some((one) => one.uuid === uuid(3));
  assert.deepEqual([await has(noah), await has(lena)], [false, true]);
  // The same for the one it is with, when it goes to another.
  await ada.done('PATCH', `/tickets/${uuid(3)}`, { assigned_to_id: noah.id });
  assert.equal(await ask(old, channel), true);
  await ada.done('PATCH', `/tickets/${uuid(3)}`, { assigned_to_id: 'none' });
  await until(() => old.frames.filter(({ event, channel: of }) => event === 'pusher:subscription_error' && of === channel).length === 2, 'the second loss');
});

test('HELP-15: a customer who is made an agent, and back, sees each event in the view of its time', async (t) => {
  const site = await start(t);
  const [ada, mina, theo] = await users(site, 'ada', 'mina', 'theo');
  const channel = `private-tickets.${uuid(1)}`;
  const socket = await theo.listen(channel, 'private-user.6');
  const note = (message) => mina.reply(1, message, { internal: true });
  await note('one');
  await ada.done('PUT', `/users/${theo.id}/role`, { role: 'agent' });
  await note('two');
  assert.equal((await theo.done('GET', `/tickets/${uuid(1)}`)).ticket.notes, 3);
  await ada.done('PUT', `/users/${theo.id}/role`, { role: 'customer' });
  await note('three');
  await mina.reply(1, 'four');
  for (const where of [channel, 'private-user.6']) {
    await found(socket, 'ticket.reply.created', where, ({ reply }) => reply.message === 'four');
    assert.deepEqual(messages(socket.frames, where), ['two', 'four'], where);
  }
  assert.deepEqual((await heard(socket)).filter(({ event }) => event === 'user.updated').map((frame) => data(frame).role), ['agent', 'customer']);
  assert.equal((await theo.done('GET', `/tickets/${uuid(1)}`)).ticket.notes, undefined);
});

test('HELP-16: initials in the office feed, the name in the ticket, and no e-mail address anywhere', async (t) => {
  const site = await start(t);
  const [mina, noah, theo] = await users(site, 'mina', 'noah', 'theo');
  assert.equal((await theo.api('PUT', `/users/${mina.id}/privacy`, { private: true })).status, 403);
  await theo.done('PUT', `/users/${theo.id}/privacy`, { private: true });
  const socket = await noah.listen(`private-tickets.${uuid(1)}`, `presence-tickets.${uuid(1)}`, 'private-office.1', 'presence-office.1');
  const own = await theo.listen('private-user.6', `presence-tickets.${uuid(1)}`);
  await theo.reply(1, 'Hello');
  await theo.done('PATCH', `/tickets/${uuid(1)}`, { status: 'solved' });
  for (const [event, nameOf] of [['ticket.reply.created', ({ reply }) => reply.user.name], ['ticket.status.changed', ({ user: by }) => by.name]]) {
    assert.equal(nameOf(data(await found(socket, event, `private-tickets.${uuid(1)}`))), 'Theo');
    assert.equal(nameOf(data(await found(socket, event, 'private-office.1'))), 'T.');
    assert.equal(nameOf(data(await found(own, event, 'private-user.6'))), 'Theo');
  }
  const creator = async (who) => (await who.done('GET', '/tickets')).tickets.find((one) => one.uuid === uuid(1)).creator.name;
  assert.deepEqual([await creator(noah), await creator(mina), await creator(theo)], ['T.', 'Theo', 'Theo'], 'in lists: who has the ticket sees the name');
  assert.equal((await noah.done('GET', `/tickets/${uuid(1)}`)).ticket.creator.name, 'Theo');
  assert.doesNotMatch([...socket.frames, ...own.frames].map(({ raw }) => raw).join(''), new RegExp(email('').replace('.', '\\.')));
});

test('HELP-17: 300 tickets changed at once are at most five frames a second of the office, and the list is right', async (t) => {
  const site = await start(t);
  const [mina, noah] = await users(site, 'mina', 'noah');
  const uuids = [];
  for (let i = 0; i < 300; i++) uuids.push((await mina.done('POST', '/tickets', { subject: `Many ${i}`, message: 'm', office_id: 1 })).uuid);
  const socket = await noah.listen('private-office.1');
  const times = [];
  socket.ws.on('message', (text) => /"ticket\.updated"/.test(text) && times.push(performance.now()));
  for (const priority of ['high', 'low', 'urgent']) await mina.done('PATCH', '/tickets', { uuids, priority });
  await until(() => times.length >= 12, 'a dozen frames');
  const took = (times.at(-1) - times[0]) / 1000;
  assert.ok(times.length <= 7 + took * 5, `${times.length} frames in ${took} s`);
  assert.ok((await heard(socket)).filter(({ event }) => event === 'ticket.updated').every((frame) => ['high', 'low', 'urgent'].includes(data(frame).changes.priority.new)));
  const { tickets } = await noah.done('GET', '/tickets');
  assert.equal(tickets.filter((one) => one.subject.startsWith('Many') && one.priority === 'urgent').length, 300);
  assert.equal((await mina.api('PATCH', '/tickets', { uuids: [uuid(1), uuid(2)], priority: 'low' })).status, 404, 'one of them is not hers');
  assert.equal((await mina.done('GET', `/tickets/${uuid(1)}`)).ticket.priority, 'normal', 'and none is changed');
});

test('HELP-18: whispers above ten a second get 4301, a customer\'s 21st reply a minute 429 and a sentence, wrong passwords have to wait', async (t) => {
  const site = await start(t);
  const [theo, mina] = await users(site, 'theo', 'mina');
  const socket = await theo.listen(`presence-tickets.${uuid(1)}`);
  socket.sendAll(Array.from({ length: 30 }, () => ({ event: 'client-typing', channel: `presence-tickets.${uuid(1)}`, data: { typing: true, internal: false } })));
  const refused = await socket.next(({ event }) => event === 'pusher:error');
  assert.equal(refused.data.code, 4301);
  for (let i = 0; i < 20; i++) await theo.reply(1, `reply ${i}`);
  const answer = await theo.api('POST', `/tickets/${uuid(1)}/replies`, { message: 'one more' });
  assert.equal(answer.status, 429);
  assert.match(answer.body.error, /Please wait a minute; what you have written stays/);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
  assert.equal((await theo.api('POST', '/tickets', { subject: 's', message: 'm', office_id: 1 })).status, 429, 'nor by a new ticket');
  for (let i = 0; i < 25; i++) await mina.reply(1, 'an agent');
  const wrong = [];
  for (let i = 0; i < 12; i++) wrong.push((await fetch(`${site.url}/api/v1/login`, { method: 'POST', body: new URLSearchParams({ email: email('theo'), password: `no ${i}` }) })).status);
  assert.equal(wrong[0], 401);
  assert.equal(wrong.at(-1), 429);
});

test('HELP-19: forty tickets are forty subscriptions, no request, and a query or two', async (t) => {
  const site = await start(t);
  const [ada, theo] = await users(site, 'ada', 'theo');
  const uuids = [];
  for (let i = 0; i < 40; i++) {
    if (i % 15 === 14) await ada.done('PUT', `/users/${theo.id}/role`, { role: 'agent' }); // who may write more in a minute
    uuids.push((await theo.done('POST', '/tickets', { subject: `One ${i}`, message: 'm', office_id: 1 })).uuid);
  }
  await ada.done('PUT', `/users/${theo.id}/role`, { role: 'customer' });
  const before = (await ada.done('GET', '/connections')).ticket_questions;
  const socket = await theo.connect();
  socket.sendAll(uuids.map((id) => ({ event: 'pusher:subscribe', data: { channel: `private-tickets.${id}` } })));
  await until(() => socket.frames.filter(({ event }) => /subscription_succeeded/.test(event)).length === 40, 'forty channels');
  const after = (await ada.done('GET', '/connections')).ticket_questions;
  assert.equal(after.asked - before.asked, 40);
  assert.ok(after.queries - before.queries < 10, `${after.queries - before.queries} queries`); // one, if they arrive together
});

test('HELP-A3: moved while a thousand replies are published from two sides: none after the answer, none lost before', async (t) => {
  const site = await start(t, { REVERB_APP_ID: 'helpdesk', REVERB_APP_KEY: 'helpdesk-key', REVERB_APP_SECRET: APP.secret, BROADCAST_CONNECTION: 'local' });
  const [ada, mina, noah] = await users(site, 'ada', 'mina', 'noah');
  const channel = `private-tickets.${uuid(3)}`;
  const [socket, witness] = [await mina.listen(channel, 'private-office.1'), await noah.listen(channel)];
  const app = { ...APP, id: 'helpdesk', key: 'helpdesk-key' };
  let answered = false;
  const [published, begun] = [[], []]; // before the move was asked for; and after its answer
  let asked = false;
  const send = async (side) => {
    for (let i = 0; i < 500; i++) {
      const message = `${side} ${i}`;
      const late = answered;
      await trigger({ port: site.port }, [channel, 'private-office.1'], 'ticket.reply.created', JSON.stringify({ reply: { message, is_internal: false }, for: { internal: false } }), { app });
      if (!asked) published.push(message);
      if (late) begun.push(message);
    }
  };
  const sides = [send('a'), send('b')];
  await until(() => published.length > 200, 'a fifth of them');
  asked = true;
  await ada.done('PUT', `/users/${mina.id}/offices`, { offices: [2] });
  answered = true;
  await Promise.all(sides);
  assert.ok(begun.length > 50, `${begun.length} after the answer`);
  assert.equal(messages(await heard(witness), channel).length, 1000);
  const told = await heard(socket);
  for (const where of [channel, 'private-office.1']) {
    const had = new Set(messages(told, where));
    assert.deepEqual(published.filter((message) => !had.has(message)), [], `lost before, on ${where}`);
    assert.deepEqual(begun.filter((message) => had.has(message)), [], `after the answer, on ${where}`);
  }
});

test('HELP-A5: a whisper is its sender\'s, whatever it says', async (t) => {
  const site = await start(t);
  const [mina, theo] = await users(site, 'mina', 'theo');
  const channel = `presence-tickets.${uuid(1)}`;
  const [agent, customer] = [await mina.listen(channel), await theo.listen(channel)];
  customer.send({ event: 'client-typing', channel, user_id: '2', data: { typing: true, internal: false, user_id: 2, id: 2, name: 'Mina', user: { name: 'Mina' } } });
  const frame = await agent.event('client-typing');
  assert.equal(frame.user_id, '6');
  assert.deepEqual(data(frame), { typing: true, internal: false });
  customer.send({ event: 'client-message', channel, data: { reply: { message: 'not one' } } });
  customer.send({ event: 'ticket.reply.created', channel, data: { reply: { message: 'not one' } } });
  await customer.settle();
  await customer.close();
  assert.equal(data(await agent.event('client-typing')).ended, true, 'ends with the connection');
  assert.doesNotMatch(JSON.stringify(agent.frames), /not one/);
});

test('HELP-A7: a foreign ticket and one that does not exist get the same answers, in the same time', async (t) => {
  const site = await start(t);
  const [theo, mina] = await users(site, 'theo', 'mina');
  const unknown = '11111111-2222-4333-8444-555555555555';
  const socket = await theo.connect();
  const refusal = async (id) => {
    socket.ask(`private-tickets.${id}`);
    const { event, data: { type, status, error } } = await socket.next(({ event: e }) => /subscription_/.test(e));
    return { event, type, status, error };
  };
  assert.deepEqual(await refusal(uuid(2)), await refusal(unknown));
  const calls = [
    ['GET', (id) => `/tickets/${id}`], ['GET', (id) => `/tickets/${id}?since=3`], ['PATCH', (id) => `/tickets/${id}`, { status: 'solved' }], ['POST', (id) => `/tickets/${id}/replies`, { message: 'm' }],
    ['POST', (id) => `/tickets/${id}/read`, { up_to: 1 }], ['GET', (id) => `/tickets/${id}/files/1-0`],
  ];
  for (const who of [theo, mina]) {
    for (const [method, where, body] of calls) {
      const [foreign, none] = [await who.api(method, where(uuid(2)), body), await who.api(method, where(unknown), body)];
      assert.deepEqual([foreign.status, foreign.text], [404, none.text], `${method} ${where('...')}`);
    }
  }
  const times = { foreign: [], unknown: [] };
  for (let i = 0; i < 60; i++) {
    for (const [name, id] of [['foreign', uuid(2)], ['unknown', unknown]]) {
      const from = performance.now();
      await theo.api('GET', `/tickets/${id}`);
      times[name].push(performance.now() - from);
    }
  }
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  t.diagnostic(`medians: foreign ${median(times.foreign).toFixed(2)} ms, unknown ${median(times.unknown).toFixed(2)} ms`);
});

test('HELP-A8: a reply of 60 KB is an event below 10,000 bytes that says so, and whole where it is fetched', async (t) => {
  const site = await start(t);
  const [mina, theo] = await users(site, 'mina', 'theo');
  const socket = await theo.listen(`private-tickets.${uuid(1)}`);
  for (const [message, kept] of [['ü"\n'.repeat(15000), 4096 / 6], ['😀'.repeat(15000), 1024], ['x'.repeat(65536), 4096]]) {
    const { reply } = await mina.reply(1, `${message}.`.slice(0, message === 'x'.repeat(65536) ? 65536 : undefined));
    const frame = await found(socket, 'ticket.reply.created', `private-tickets.${uuid(1)}`, (event) => event.reply.id === reply.id);
    const told = data(frame).reply;
    assert.equal(told.truncated, true);
    assert.ok(Buffer.byteLength(frame.data) < 10000, `${Buffer.byteLength(frame.data)} bytes`);
    assert.ok(message.startsWith(told.message) && [...told.message].length >= Math.floor(kept), `${[...told.message].length}`);
    const { replies } = await theo.done('GET', `/tickets/${uuid(1)}?since=${reply.id - 1}`);
    assert.equal(replies[0].message, reply.message);
    assert.ok(reply.message.startsWith(message.slice(0, 1000)));
  }
  assert.equal((await mina.api('POST', `/tickets/${uuid(1)}/replies`, { message: 'x'.repeat(65537) })).status, 422);
  const small = data(await (await mina.reply(1, 'small'), found(socket, 'ticket.reply.created', `private-tickets.${uuid(1)}`, ({ reply }) => reply.message === 'small')));
  assert.equal(small.reply.truncated, undefined);
});

test('HELP-A9: the file of a note is no file for the customer, by any address; others are files and nothing else', async (t) => {
  const site = await start(t);
  const [mina, noah, theo, ruth] = await users(site, 'mina', 'noah', 'theo', 'ruth');
  const send = async (internal, content, name = 'a.html') => {
    const form = new FormData();
    form.append('message', 'with a file');
    if (internal) form.append('internal', '1');
    form.append('files', new Blob([content]), name);
    return mina.api('POST', `/tickets/${uuid(1)}/replies`, form);
  };
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 256));
  const [note, open] = [(await send(true, bytes)).body.reply.id, (await send(false, bytes, '<img src=x onerror=alert(1)> ü.html')).body.reply.id];
  const get = (who, ticket, file) => who.fetch('GET', `/tickets/${ticket}/files/${file}`);
  for (const file of [`${note}-0`, `${note}-00`, `0${note}-0`, `${open}-1`, `${open}`, `${open}-`, 'x-0', `${open}-0-0`, `${open}-0x`])
    assert.equal((await get(theo, uuid(1), file)).status, 404, file);
  assert.equal((await get(ruth, uuid(1), `${open}-0`)).status, 404);
  assert.equal((await get(ruth, uuid(2), `${open}-0`)).status, 404, 'of another ticket by the address of one\'s own');
  assert.equal((await fetch(`${site.url}/tickets/${uuid(1)}/files/${open}-0`, { redirect: 'manual', headers: { accept: 'application/json' } })).status, 401);
  for (const [who, file] of [[noah, `${note}-0`], [theo, `${open}-0`]]) {
    const answer = await get(who, uuid(1), file);
    assert.equal(answer.status, 200);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes);
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream');
    assert.match(answer.headers.get('content-disposition'), /^attachment; filename\*=UTF-8''[\w.%-]+$/);
  }
  assert.equal((await send(false, Buffer.alloc(5 * 1024 * 1024 + 1))).status, 422, 'more than 5 MB');
  assert.equal((await send(false, Buffer.alloc(5 * 1024 * 1024))).status, 201, '5 MB');
});

test('APP-14: a form that is broken is refused, and names and texts of any kind come back as they were', async (t) => {
  const site = await start(t);
  const mina = await user(site, 'mina');
  const post = (body, type = 'multipart/form-data; boundary=x') => fetch(`${site.url}/api/v1/tickets/${uuid(1)}/replies`, { method: 'POST', headers: { authorization: mina.authorization, 'content-type': type }, body });
  const field = 'content-disposition: form-data; name="message"';
  for (const body of ['', '--x', '--x--', '--x\r\n', `--x\r\n${field}`, `--x\r\n${field}\r\n\r\n`, `--x\r\n${field}\r\n\r\nhello`, `--x\r\n${field}\r\n\r\nhello\r\n--y--`, `--x\r\n${field}\r\n--x--`, `--x\n${field}\n\nhello\n--x--`,
    '--x\r\n\r\nhello\r\n--x--', `--x\r\n${field.replace('"message"', '"message')}\r\n\r\nhello\r\n--x--`, `--x\r\n${field}; filename="a"\r\n\r\nhello\r\n--x--`, '--x\r\n'.repeat(50000), `--x\r\n${field}\r\n\r\n\0\r\n--x--`])
    assert.equal((await post(body)).status, 422, JSON.stringify(body.slice(0, 60)));
  for (const type of ['multipart/form-data', 'multipart/form-data; boundary=', `multipart/form-data; boundary=${'b'.repeat(300)}`])
    assert.equal((await post(`--x\r\n${field}\r\n\r\nhello\r\n--x--`, type)).status, 422, type);
  for (const body of [`preamble\r\n--x\r\n${field}\r\n\r\nhello\r\n--x--\r\n`, `--x\r\nContent-Type: text/plain\r\n${field}\r\n\r\nhello\r\n--x--`])
    assert.equal((await post(body)).status, 201, body);
  for (const name of ['x'.repeat(121), 'line\u0007']) {
    const form = new FormData();
    form.append('message', 'm');
    form.append('files', new Blob(['1']), name);
    assert.equal((await mina.api('POST', `/tickets/${uuid(1)}/replies`, form)).status, 422, name);
  }
  for (const text of ['<b>&amp;"\'', 'x'.repeat(200), 'مرحبا بكم', '👩‍👩‍👧 🎉']) {
    const { uuid: id } = await mina.done('POST', '/tickets', { subject: text, message: text, office_id: 1 });
    const { ticket, replies } = await mina.done('GET', `/tickets/${id}`);
    assert.deepEqual([ticket.subject, replies[0].message], [text, text]);
  }
  assert.equal((await mina.api('POST', '/tickets', { subject: 'x'.repeat(201), message: 'm', office_id: 1 })).status, 422);
});

test('HELP-11: delivered when a connection of the recipient has it, read when a page has shown it; they survive; a customer hears of marks on public replies only', async (t) => {
  const site = await start(t);
  const [mina, noah, theo] = await users(site, 'mina', 'noah', 'theo');
  const channel = `private-tickets.${uuid(1)}`;
  const socket = await theo.listen(channel);
  const marks = async (who) => (await who.done('GET', `/tickets/${uuid(1)}`)).marks.filter(({ user_id: id }) => id === noah.id);
  const { reply: early } = await theo.reply(1, 'while no agent is there');
  const page = await noah.listen(channel);
  assert.deepEqual(await marks(theo), [], 'nothing is delivered yet');
  const { reply } = await theo.reply(1, 'mine');
  await found(socket, 'ticket.reply.delivered', channel, ({ reply_id: id, user_id: user }) => id === reply.id && user === noah.id);
  const { reply: note } = await mina.reply(1, 'a note', { internal: true });
  await found(page, 'ticket.reply.delivered', channel, ({ reply_id: id }) => id === reply.id);
  page.send({ event: 'client-read', channel, data: { id: [reply.id, note.id] } });
  await found(socket, 'ticket.reply.read', channel, ({ reply_id: id, user_id: user }) => id === reply.id && user === noah.id);
  await found(page, 'ticket.reply.read', channel, ({ reply_id: id }) => id === note.id);
  // A page that has asked for what it shows says so by a request; again is no news.
  for (const name of ['delivered', 'read', 'read']) await noah.done('POST', `/tickets/${uuid(1)}/${name}`, { up_to: note.id });
  assert.deepEqual(await marks(theo), [{ user_id: 3, is_internal: false, delivered: reply.id, read: reply.id }]);
  assert.deepEqual(await marks(mina), [...await marks(theo), { user_id: 3, is_internal: true, delivered: note.id, read: note.id }]);
  const told = (await heard(socket)).filter(({ event }) => /delivered|read/.test(event)).map((frame) => [frame.event, data(frame).reply_id, data(frame).user_id]);
  assert.deepEqual(told, [['ticket.reply.delivered', reply.id, 3], ['ticket.reply.read', reply.id, 3]]);
  // On another page of his, which has his own channel only.
  const elsewhere = await theo.listen('private-user.6');
  const { reply: answer } = await mina.reply(1, 'an answer');
  await found(page, 'ticket.reply.delivered', channel, ({ reply_id: id, user_id: user }) => id === answer.id && user === theo.id);
  await elsewhere.settle();
  // What a customer claims of a note is not believed.
  socket.send({ event: 'client-read', channel, data: { id: [note.id, early.id, 999999] } });
  await socket.settle();
  assert.deepEqual((await mina.done('GET', `/tickets/${uuid(1)}`)).marks.filter(({ user_id: id, is_internal: internal }) => id === theo.id && internal), []);
  assert.equal((await noah.api('POST', `/tickets/${uuid(1)}/read`, { up_to: 'x' })).status, 422);
});

test('HELP-22: how connections do, for admins only', async (t) => {
  const site = await start(t);
  const [ada, theo] = await users(site, 'ada', 'theo');
  const socket = await theo.listen('private-user.6');
  await ask(socket, 'private-office.1');
  await ask(socket, `private-tickets.${uuid(2)}`);
  await theo.reply(1, 'Hello');
  await found(socket, 'ticket.reply.created', 'private-user.6');
  const health = await ada.done('GET', '/connections');
  assert.equal(health.connections, 1);
  assert.equal(health.denials.BY_RULE, 2);
  assert.ok(health.latency_ms.events > 0 && health.latency_ms.p99 > 0, JSON.stringify(health));
  const own = await ada.listen('private-user.1');
  await ada.done('POST', '/connections/echo');
  await found(own, 'desk.echo', 'private-user.1');
  assert.equal((await theo.api('GET', '/connections')).status, 403);
  assert.equal((await theo.api('GET', '/users')).status, 403);
});

test('HELP-20, HELP-24: the document\'s .env, --trigger, and a self-test that names the cause', async (t) => {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'helpdesk-'));
  t.after(() => fs.rmSync(scratch, { recursive: true, force: true }));
  const port = String(await freePort());
  const file = path.join(scratch, '.env');
  fs.writeFileSync(file, `BROADCAST_CONNECTION=reverb\nREVERB_APP_ID=my-app\nREVERB_APP_KEY=my-key\nREVERB_APP_SECRET=my-secret\nREVERB_HOST="localhost"\nREVERB_PORT=${port}\nREVERB_SCHEME=http\n\nVITE_REVERB_APP_KEY="\${REVERB_APP_KEY}"\nVITE_REVERB_HOST="\${REVERB_HOST}"\nVITE_REVERB_PORT="\${REVERB_PORT}"\nVITE_REVERB_SCHEME="\${REVERB_SCHEME}"\n`);
  const database = path.join(scratch, 'desk.db');
  const site = await start(t, '--port', port, '--env', file, '--data', database);
  site.key = 'my-key';
  const [theo, mina] = await users(site, 'theo', 'mina');
  const socket = await theo.listen('private-user.6');
  await mina.reply(1, 'over HTTP to itself');
  assert.equal(data(await found(socket, 'ticket.reply.created', 'private-user.6')).reply.message, 'over HTTP to itself');
  const run = (...args) => promisify(execFile)(path.join(BUILD, 'examples/helpdesk/helpdesk'), args).then(({ stdout }) => ({ code: 0, stdout }), ({ code, stdout, stderr }) => ({ code, stdout: stdout + stderr }));
  const result = await run('--trigger', 'ticket.reply.created', '--ticket', uuid(1), '--data', database, '--env', file);
  assert.equal(result.code, 0, result.stdout);
  await until(() => socket.frames.filter(({ event }) => event === 'ticket.reply.created').length === 2, 'the event that was triggered');
  for (const args of [['--trigger', 'ticket.reply.created', '--ticket', 'x'], ['--trigger', 'nothing', '--ticket', uuid(1)]])
    assert.equal((await run(...args, '--data', database, '--env', file)).code, 1, args.join(' '));
  const modules = ['--node-modules', path.join(TOP, 'tests/node_modules')];
  const right = await run('--self-test', '--env', file, ...modules);
  assert.equal(right.code, 0, right.stdout);
  const faults = {
    server: [file, ['PORT', '1'], modules, /fail.*(server|connect)/i], settings: [file, ['APP_SECRET', 'wrong'], modules, /fail.*secret|secret.*fail/is], script: [file, null, ['--node-modules', scratch], /fail\s+script/],
  };
  for (const [name, [from, change, more, says]] of Object.entries(faults)) {
    const broken = path.join(scratch, `${name}.env`);
    fs.writeFileSync(broken, change ? fs.readFileSync(from, 'utf8').replace(new RegExp(`REVERB_${change[0]}=.*`), `REVERB_${change[0]}=${change[1]}`) : fs.readFileSync(from));
    const { code, stdout } = await run('--self-test', '--env', broken, ...more);
    assert.notEqual(code, 0, name);
    assert.match(stdout, says, name);
  }
  // Permission: a server whose channels any client may have is not this one.
  assert.match(right.stdout, /guard|refused/i);
});

test('APP-4: killed and started again nothing that was written is lost, and users are signed in', async (t) => {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'helpdesk-'));
  t.after(() => fs.rmSync(scratch, { recursive: true, force: true }));
  const kept = ['--data', path.join(scratch, 'desk.db')];
  const first = await start(t, ...kept);
  const mina = await user(first, 'mina');
  await mina.reply(1, 'before');
  await first.kill();
  const second = await start(t, ...kept, '--port', first.port);
  assert.equal((await mina.done('GET', `/tickets/${uuid(1)}`)).replies.at(-1).message, 'before');
  const socket = await mina.listen('private-office.1');
  await mina.reply(1, 'after');
  await found(socket, 'ticket.reply.created', 'private-office.1');
  assert.equal(second.port, first.port);
});

test('APP-15: without a session, with a foreign one, and without the token nothing is given and nothing is done', async (t) => {
  const site = await start(t);
  const ruth = await signedIn(site, password('ruth'));
  const own = `/api/v1/tickets/${uuid(1)}`;
  for (const [method, where, forNobody, forRuth] of [
    ['GET', '/tickets', 303, 200], ['GET', `/tickets/${uuid(1)}`, 303, 404], ['GET', '/admin', 303, 403], ['GET', '/api/v1/tickets', 401, 200], ['GET', own, 401, 404], ['PATCH', own, 401, 404],
    ['POST', `${own}/replies`, 401, 404], ['POST', `${own}/read`, 401, 404], ['POST', `${own}/delivered`, 401, 404], ['GET', `${own}/files/1-0`, 401, 404], ['PATCH', '/api/v1/tickets', 401, 403],
    ['GET', '/api/v1/users', 401, 403], ['PUT', '/api/v1/users/7/role', 401, 403], ['PUT', '/api/v1/users/7/offices', 401, 403], ['PUT', '/api/v1/users/6/privacy', 401, 403],
    ['GET', '/api/v1/connections', 401, 403], ['POST', '/api/v1/connections/echo', 401, 204], ['POST', '/api/v1/demo/move-me', 401, 403], ['POST', '/api/v1/tickets', 401, 422],
  ]) {
    assert.equal((await fetch(site.url + where, { method, redirect: 'manual' })).status, forNobody, `${method} ${where}`);
    assert.equal((await ruth.send(method, where)).status, forRuth, `${method} ${where} of Ruth`);
    if (method !== 'GET') assert.equal((await fetch(site.url + where, { method, headers: { cookie: ruth.cookie } })).status, 403, `${method} ${where} without the token`);
  }
  assert.equal((await user(site, 'theo')).id, ID.theo);
});
