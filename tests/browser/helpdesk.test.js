'use strict';
// examples/helpdesk in Chromium. What needs no page is in tests/integration/helpdesk*.test.js.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const { TOP, until } = require('../integration/lib.js');
const { found, password, start, users, uuid } = require('../integration/desk.js');
const { connection, isSame, live, open, screenshot, shows, signInAt, toasted } = require('./program.js');

const openAs = (t, site, name, where, options) => signInAt(t, site.url + where, password(name), site.url + where, options);
const ticketPage = async (t, site, name, number = 1, options = {}) => {
  const page = await openAs(t, site, name, `/tickets/${uuid(number)}`, options);
  await live(page);
  return page;
};
const box = (page) => page.getByRole('textbox', { name: 'Reply' });
const reply = (page, text) => page.locator('.reply', { hasText: text });
const write = async (page, text) => {
  await box(page).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
  await reply(page, text).waitFor();
};
const toasts = (page) => page.evaluate(() => window.toasted);

test('HELP-4, HELP-5, HELP-6, HELP-8, HELP-A2: one reply, one notification, over three channels and a reconnection; what one writes and reads stays', async (t) => {
  const site = await start(t);
  const [theo, mina] = await users(site, 'theo', 'mina');
  const page = await ticketPage(t, site, 'mina', 1, { viewport: { width: 900, height: 420 } });
  const tab = await page.context().newPage(); // of the same person
  await tab.addInitScript(() => { window.toasted = []; new MutationObserver((all) => all.forEach(({ addedNodes }) => addedNodes.forEach((node) => node.matches?.('.toast') && window.toasted.push(node.textContent)))).observe(document, { childList: true, subtree: true }); });
  await tab.goto(`${site.url}/tickets/${uuid(1)}`);
  await live(tab);
  for (let i = 0; i < 8; i++) await mina.reply(1, `earlier ${i}`);
  await reply(page, 'earlier 7').waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await box(page).evaluate((box) => { box.value = 'being written'; });
  const top = await page.evaluate(() => scrollY);
  await theo.reply(1, 'first <b>news</b>');
  await toasted(page, 'New reply to "Invoice has the wrong address" by Theo');
  await theo.reply(1, 'second news');
  const jump = page.getByRole('button', { name: '2 new replies' });
  await jump.waitFor();
  assert.equal(await page.evaluate(() => scrollY), top, 'one reads further up');
  assert.equal(await box(page).inputValue(), 'being written');
  await jump.click();
  await until(() => page.evaluate(() => innerHeight + scrollY >= document.documentElement.scrollHeight - 200), 'the end');
  // The connection is lost in the middle of it: nothing twice, nothing missing.
  await page.evaluate(() => { const { pusher } = window.helpdesk.live.echo.connector; pusher.connection.connection.transport.socket.close(); });
  await theo.reply(1, 'while it was away');
  await reply(page, 'while it was away').waitFor();
  await live(page);
  await theo.reply(1, 'and after it');
  await reply(page, 'and after it').waitFor();
  const own = 'my own answer';
  await box(page).fill(own);
  await page.getByRole('button', { name: 'Send' }).click();
  await reply(tab, own).waitFor();
  for (const text of ['first <b>news</b>', 'second news', 'while it was away', 'and after it', own]) assert.equal(await reply(page, text).count(), 1, text);
  for (const [where, all] of [[page, await toasts(page)], [tab, await toasts(tab)]]) {
    const news = all.filter((text) => /New reply/.test(text));
    assert.ok(news.length >= 3 && news.length <= 4, JSON.stringify(all)); // the one that was told while it was away comes by the history
    assert.ok(all.every((text) => /by Theo/.test(text)), 'none of one\'s own');
    await where.evaluate(() => 0);
  }
  assert.equal(await isSame(page), true);
  await page.locator('.toast a').last().click();
  await page.waitForURL(`**/tickets/${uuid(1)}`);
});

test('HELP-7, HELP-17: list and ticket show status, priority and assignee as they change; a bulk change is right at the end', async (t) => {
  const site = await start(t);
  const [ada, noah] = await users(site, 'ada', 'noah');
  const list = await openAs(t, site, 'mina', '/tickets');
  await live(list);
  const calm = await ticketPage(t, site, 'noah', 1, { reducedMotion: 'reduce' });
  await ada.done('PATCH', `/tickets/${uuid(1)}`, { status: 'pending', priority: 'urgent', assigned_to_id: noah.id });
  const row = list.locator(`#t-${uuid(1)}`);
  for (const text of ['pending', 'urgent', 'with Noah']) await shows(row, text);
  for (const text of ['pending', 'urgent', 'with Noah']) await shows(calm.locator('#state'), text);
  assert.equal(await calm.locator('#status').evaluate((badge) => getComputedStyle(badge).animationName), 'none');
  assert.equal(await row.evaluate((one) => one.matches('.changed') && getComputedStyle(one).animationName), 'changed');
  await row.getByRole('checkbox').check();
  await list.getByRole('button', { name: 'Choose all' }).click();
  await list.locator('#bulk').getByLabel('Status').selectOption('solved');
  await list.getByRole('button', { name: 'Change them' }).click();
  await until(async () => (await list.locator('.ticket .pill.solved').count()) === 15, 'all of the office');
  await list.locator('#bulk').waitFor({ state: 'hidden' });
  await ada.done('PATCH', `/tickets/${uuid(4)}`, { office_id: 1 });
  await list.locator(`#t-${uuid(4)}`).waitFor();
});

test('HELP-9, HELP-10, HELP-A5: who is here and who is writing: begin, end by time, by the reply, by a lost connection; notes for agents only', async (t) => {
  const site = await start(t);
  const [noah, theo] = await users(site, 'noah', 'theo');
  const room = `presence-tickets.${uuid(1)}`;
  const page = await ticketPage(t, site, 'mina');
  const customer = await ticketPage(t, site, 'theo');
  const typing = (of) => of.locator('#typing');
  await shows(page.locator('#online'), 'Theo');
  await shows(customer.locator('#online'), 'Mina');
  assert.equal(await page.locator('.author.here', { hasText: 'Theo' }).count() > 0, true);
  const raw = await noah.listen(room);
  await box(customer).pressSequentially('Hello, this is typed', { delay: 20 });
  await shows(typing(page), /^Theo is writing…$/);
  assert.ok((await raw.settle()).filter(({ event }) => event === 'client-typing').length <= 2, 'not each letter is a whisper');
  raw.send({ event: 'client-typing', channel: room, data: { typing: true, internal: false, name: 'Eve' } });
  await shows(typing(page), /(Theo and Noah|Noah and Theo) are writing…|^Noah is writing…$/);
  await customer.getByRole('button', { name: 'Send' }).click();
  await reply(page, 'Hello, this is typed').waitFor();
  await until(async () => !/Theo/.test(await typing(page).textContent()), 'the end with the reply');
  await until(async () => (await typing(page).textContent()) === '', 'the end by time');
  await page.getByLabel('Internal note').check();
  await box(page).pressSequentially('secret', { delay: 20 });
  await raw.event('client-typing');
  raw.send({ event: 'client-typing', channel: room, data: { typing: true, internal: true } });
  await shows(typing(page), 'Noah is writing an internal note…');
  raw.ws.terminate();
  await until(async () => (await typing(page).textContent()) === '', 'the end with the connection');
  assert.equal(await typing(customer).textContent(), '');
  assert.equal(await customer.evaluate(() => document.body.textContent.includes('internal note')), false);
  // A page that is loaded again was there all the time.
  const watch = await theo.listen(room);
  await page.reload();
  await live(page);
  await watch.settle();
  assert.doesNotMatch(JSON.stringify(watch.frames.slice(2)), /member_(added|removed)[^}]*Mina|member_removed/);
});

test('HELP-3, HELP-11, HELP-21: sent, delivered, read; on a phone; a note that the customer\'s page never sees', async (t) => {
  const site = await start(t);
  const [theo, noah] = await users(site, 'theo', 'noah');
  const page = await ticketPage(t, site, 'mina');
  await write(page, 'An answer');
  const mark = reply(page, 'An answer').locator('.mark');
  await shows(mark, 'sent');
  await theo.listen('private-user.6'); // a connection of his, without that page
  await write(page, 'Another answer');
  await shows(reply(page, 'Another answer').locator('.mark'), 'delivered');
  const phone = await ticketPage(t, site, 'theo', 1, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  await shows(mark, 'read');
  await write(page, 'While he looks');
  await shows(reply(page, 'While he looks').locator('.mark'), 'read');
  assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'no wider than the phone');
  await page.getByLabel('Internal note').check();
  await write(page, 'A note among us');
  await shows(reply(page, 'A note among us').locator('.mark'), 'sent');
  await noah.done('POST', `/tickets/${uuid(1)}/read`, { up_to: 1e6 });
  await shows(reply(page, 'A note among us').locator('.mark'), 'read');
  // The phone puts the page away for a while.
  const session = await phone.context().newCDPSession(phone);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  for (let i = 0; i < 3; i++) await noah.reply(1, `while it slept ${i}`);
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  await phone.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await reply(phone, 'while it slept 2').waitFor();
  assert.equal(await phone.evaluate(() => document.documentElement.outerHTML.includes('among us')), false);
  await phone.screenshot({ path: screenshot('helpdesk-phone') });
  await page.reload();
  await shows(reply(page, 'An answer').locator('.mark'), 'read');
});

test('HELP-13, HELP-15: the page says that the ticket is gone and keeps what was typed; a role changes under an open page', async (t) => {
  const site = await start(t);
  const [ada, mina, theo] = await users(site, 'ada', 'mina', 'theo');
  const page = await ticketPage(t, site, 'noah', 3);
  const list = await openAs(t, site, 'noah', '/tickets');
  await live(list);
  await box(page).fill('half a sentence');
  await ada.done('PUT', '/users/3/offices', { offices: [2] });
  await shows(page.locator('#gone'), 'You no longer have access to this ticket');
  assert.equal(await box(page).inputValue(), 'half a sentence');
  assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true);
  await list.locator(`#t-${uuid(3)}`).waitFor({ state: 'detached' });
  await list.locator(`#t-${uuid(4)}`).waitFor();
  await ada.done('PUT', '/users/3/offices', { offices: [1] });
  await page.locator('#gone').waitFor({ state: 'hidden' });
  assert.equal(await box(page).inputValue(), 'half a sentence');
  const customer = await ticketPage(t, site, 'theo');
  await mina.reply(1, 'note one', { internal: true });
  await ada.done('PUT', `/users/${theo.id}/role`, { role: 'agent' });
  await mina.reply(1, 'note two', { internal: true });
  await reply(customer, 'note two').waitFor();
  await ada.done('PUT', `/users/${theo.id}/role`, { role: 'customer' });
  await reply(customer, 'note two').waitFor({ state: 'detached' });
  await mina.reply(1, 'note three', { internal: true });
  await mina.reply(1, 'for all');
  await reply(customer, 'for all').waitFor();
  assert.equal(await reply(customer, 'note three').count(), 0);
  assert.equal(await isSame(customer), true);
});

test('HELP-12, HELP-18, HELP-A6, HELP-A8: notifications of the desktop, rates in the form, markup is text everywhere, long replies whole', async (t) => {
  const site = await start(t);
  const evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>';
  const [theo, mina, ada] = await users(site, 'theo', 'mina', 'ada');
  const page = await ticketPage(t, site, 'mina', 1);
  await page.evaluate(() => {
    window.shown = [];
    window.Notification = class { static permission = 'granted'; constructor(title, options) { window.shown.push({ title, ...options }); } };
    Object.defineProperty(document, 'hidden', { get: () => window.away === true });
  });
  const notes = () => page.evaluate(() => window.shown);
  const mode = (value, away) => page.evaluate(([set, hidden]) => { localStorage.setItem('helpdesk-notify', set); window.away = hidden; }, [value, away]);
  await mina.done('PATCH', `/tickets/${uuid(1)}`, { subject: `${evil} subject` });
  const say = async (text) => { await theo.reply(1, text); await reply(page, text).waitFor(); };
  await mode('off', true);
  await say('none, it is off');
  await mode('all', false);
  await say('none, it is seen');
  await mode('mentions', true);
  await say('none, no mention');
  await say('one for @Mina');
  await mode('all', true);
  await ada.done('PATCH', `/tickets/${uuid(1)}`, { priority: 'low' }); // none, it is neither reply nor assignment
  const form = new FormData();
  form.append('message', `all ${evil}`);
  form.append('files', new Blob(['x']), `${evil.replaceAll('"', "'").slice(0, 60)}.txt`);
  await theo.done('POST', `/tickets/${uuid(1)}/replies`, form);
  await reply(page, 'all <img').waitFor();
  await until(async () => (await notes()).length === 2, 'two of the desktop');
  const [first, second] = await notes();
  assert.deepEqual([first.title, first.body], [`New reply to "${evil} subject" by Theo`, 'one for @Mina']);
  assert.equal(second.body, `all ${evil}`);
  assert.match(second.tag, /^[0-9a-f]{16}-\d+$/, 'one over all tabs');
  await reply(page, 'all <img').getByRole('link', { name: '<img' }).waitFor();
  const long = 'ü'.repeat(30000);
  await theo.reply(1, `${long}the end`);
  await reply(page, 'the end').waitFor();
  const list = await openAs(t, site, 'mina', '/tickets');
  await shows(list.locator('.subject'), '<img');
  for (const where of [page, list]) assert.equal(await where.evaluate(() => [window.hit, document.querySelectorAll('img[onerror]').length].join()), ',0');
  // The form says why, and keeps what was written.
  const customer = await ticketPage(t, site, 'theo');
  for (let i = 0; i < 20 && (await theo.api('POST', `/tickets/${uuid(1)}/replies`, { message: 'many' })).status === 201; i++);
  await box(customer).fill('one too many');
  await customer.getByRole('button', { name: 'Send' }).click();
  await shows(customer.locator('#failed'), 'Please wait a minute');
  assert.equal(await box(customer).inputValue(), 'one too many');
});

test('HELP-19: the list of a customer with forty tickets is live without a request to an auth endpoint', async (t) => {
  const site = await start(t);
  const [ada, ruth] = await users(site, 'ada', 'ruth');
  await ada.done('PUT', `/users/${ruth.id}/role`, { role: 'agent' });
  for (let i = 0; i < 40; i++) await ruth.done('POST', '/tickets', { subject: `One ${i}`, message: 'm', office_id: 1 });
  await ada.done('PUT', `/users/${ruth.id}/role`, { role: 'customer' });
  const page = await openAs(t, site, 'ruth', '/tickets');
  const asked = [];
  page.on('request', (request) => /broadcasting/.test(request.url()) && asked.push(request.url()));
  await live(page);
  await until(() => page.evaluate(() => window.helpdesk.live.echo.connector.pusher.allChannels().filter((one) => one.subscribed && /tickets/.test(one.name)).length === 40), 'forty channels');
  assert.deepEqual(asked, []);
});

test('HELP-20: with ?debug the console has what Echo\'s enableLogging would say; without it nothing', async (t) => {
  const site = await start(t);
  const lines = { on: [], off: [] };
  for (const [name, query] of [['on', '?debug'], ['off', '']]) {
    const page = await openAs(t, site, 'mina', '/tickets');
    page.on('console', (message) => lines[name].push(message.text()));
    await page.goto(`${site.url}/tickets${query}`);
    await live(page);
  }
  assert.ok(lines.on.some((line) => /Pusher : .*State changed/.test(line)), lines.on.join('\n'));
  assert.deepEqual(lines.off, []);
});

test('HELP-22: the health of connections, and rights, in a page for admins', async (t) => {
  const site = await start(t);
  const page = await openAs(t, site, 'ada', '/tickets');
  await page.goto(`${site.url}/admin`);
  await live(page);
  await shows(page.locator('#health'), /1, with \d subscriptions/);
  await until(async () => /From this page and back\d+ ms/.test(await page.locator('#health').textContent()), 'an event that has come back');
  await page.getByLabel('Role of Ruth').selectOption('agent');
  await page.locator('#p-7').getByLabel('Technical').check();
  const [ruth] = await users(site, 'ruth');
  await until(async () => (await ruth.done('GET', '/tickets')).me.offices[0]?.id === 2, 'her office');
});

test('APP-5, APP-16: without scripts, and without a WebSocket; each page passes axe', async (t) => {
  const site = await start(t);
  const plain = await openAs(t, site, 'theo', `/tickets/${uuid(1)}`, { javaScriptEnabled: false });
  await box(plain).fill('Without scripts');
  await plain.getByLabel('Files').setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('text') });
  await plain.getByRole('button', { name: 'Send' }).click();
  await plain.getByText('Without scripts').waitFor();
  await plain.getByRole('link', { name: 'a.txt' }).waitFor();
  const page = await ticketPage(t, site, 'mina');
  const list = await openAs(t, site, 'mina', '/tickets', { colorScheme: 'dark' });
  await live(list);
  const admin = await openAs(t, site, 'ada', '/tickets');
  await admin.goto(`${site.url}/admin`);
  await shows(admin.locator('#people'), 'Theo');
  const axe = fs.readFileSync(path.join(TOP, 'tests/node_modules/axe-core/axe.min.js'), 'utf8');
  for (const [name, where] of Object.entries({ ticket: page, list, admin })) {
    await where.screenshot({ path: screenshot(`helpdesk-${name}`) });
    await where.evaluate(`${axe}; void 0`);
    const findings = await where.evaluate(async () => (await window.axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`));
    assert.deepEqual(findings, [], name);
  }
  const blocked = await openAs(t, site, 'noah', `/tickets/${uuid(1)}`, { serviceWorkers: 'block' });
  await blocked.context().routeWebSocket(/./, (socket) => socket.close());
  await blocked.reload();
  await shows(connection(blocked), /^Updating every/);
  await write(page, 'To one who cannot hear');
  await reply(blocked, 'To one who cannot hear').waitFor();
});

test('the start page shows Mina and Theo side by side, each in a frame, and what one writes the other sees', async (t) => {
  const site = await start(t);
  const [noah] = await users(site, 'noah');
  const page = await open(t, site.url);
  const frame = (name) => page.frameLocator(`iframe[title^="${name}"]`);
  for (const name of ['Mina', 'Theo']) await frame(name).locator('#connection', { hasText: 'Live' }).waitFor();
  await noah.reply(1, 'a secret', { internal: true });
  await box(frame('Theo')).fill('From the frame');
  await frame('Theo').getByRole('button', { name: 'Send' }).click();
  await frame('Mina').locator('.reply', { hasText: 'From the frame' }).waitFor();
  await frame('Mina').locator('.reply', { hasText: 'a secret' }).waitFor();
  assert.equal(await frame('Theo').locator('.reply', { hasText: 'a secret' }).count(), 0);
  await page.screenshot({ path: screenshot('helpdesk-start') });
  const raw = await noah.listen(`private-tickets.${uuid(1)}`);
  await box(frame('Mina')).fill('From Mina');
  await frame('Mina').getByRole('button', { name: 'Send' }).click();
  await found(raw, 'ticket.reply.created', `private-tickets.${uuid(1)}`);
});
