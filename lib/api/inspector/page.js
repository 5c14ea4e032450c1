'use strict';
// Asks for the state every second and shows it. All texts are set as text, never as HTML: clients choose many of them.

const STORED = 'pusherc-inspector-token';
const POLL_MS = 1000;
const WAYS = { host: 'host', http_api: 'HTTP API', client: 'client event', other_node: 'another node', inspector: 'this page', laravel_redis: 'Laravel, by Redis' };

const $ = (id) => document.getElementById(id);
let token = sessionStorage.getItem(STORED) || '';
let paused = false;
let timer = 0;
let asked = 0; // requests begun; only the answer to the last one counts
let before = null; // the state before, for rates
let channel = '';
let last = null;

// -- showing --

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Makes the list's items again if they have changed; a focused button keeps the focus. */
function show(list, items, make) {
  const key = JSON.stringify(items);
  if (list.dataset.shown === key) return;
  const focused = list.contains(document.activeElement) ? document.activeElement.textContent : null;
  list.dataset.shown = key;
  list.replaceChildren(...(items.length ? items.map((item) => {
    const line = element('li');
    line.append(...make(item).filter(Boolean));
    return line;
  }) : [element('li', 'none', list.dataset.none)]));
  // What scrolls has to be reachable by the keyboard.
  if (list.scrollHeight > list.clientHeight) list.tabIndex = 0;
  else list.removeAttribute('tabindex');
  if (focused !== null) [...list.querySelectorAll('button')].find((button) => button.textContent === focused)?.focus();
}

const time = (ms) => {
  const made = element('time', '', new Date(ms).toLocaleTimeString());
  made.dateTime = new Date(ms).toISOString();
  return made;
};
const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
const some = (shown, all) => (shown < all ? `${shown} of ${all}` : `${all}`);
const span = (className, text) => element('span', className, text);

function showNumbers(state) {
  const seconds = before && state.clock_ms > before.clock_ms ? (state.clock_ms - before.clock_ms) / 1000 : 0;
  const rate = (name) => (seconds ? Math.max(0, (state.totals[name] - before.totals[name]) / seconds).toFixed(1) : '–');
  const app = state.apps.find(({ id }) => id === state.app);
  const numbers = [
    ['Clients', state.totals.connections], ['Subscriptions', state.totals.subscriptions],
    ['Events / s', rate('publishes')], ['Messages out / s', rate('messages_out')], ['Messages in / s', rate('messages_in')],
    ['Events in all', state.totals.publishes], ['Without subscriber', state.totals.unmatched],
    ['Denials of the app', app ? app.denials : 0], ['Refused connections', state.totals.refused_without_app + (app ? app.refused_connections : 0)],
    ['Bytes that wait', state.totals.queued_bytes], ['Closed as too slow', state.totals.slow_closed],
  ];
  $('numbers').replaceChildren(...numbers.map(([name, value]) => {
    const pair = element('div');
    pair.append(element('dt', '', name), element('dd', '', value));
    return pair;
  }));
}

function showApps(state) {
  const key = JSON.stringify(state.apps.map(({ id, key: appKey }) => [id, appKey]));
  if ($('app').dataset.shown !== key) {
    $('app').dataset.shown = key;
    $('app').replaceChildren(...state.apps.map(({ id, key: appKey }) => {
      const option = element('option', '', `${id} (key ${appKey})`);
      option.value = id;
      return option;
    }));
  }
  if (state.app && document.activeElement !== $('app')) $('app').value = state.app;
}

function openChannel(name) {
  channel = name;
  $('channel').hidden = name === '';
  $('test-channel').value = name || $('test-channel').value;
  ask();
}

function showChannels(state) {
  const channels = state.channels || [];
  $('channel-count').textContent = some(channels.length, state.channel_count || 0);
  show($('channels'), channels, (one) => {
    const button = element('button', 'name', one.name);
    button.type = 'button';
    button.addEventListener('click', () => openChannel(one.name));
    return [button, span('', count(one.subscriptions, 'subscription')), one.kind === 'presence' && span('', count(one.users, 'member'))];
  });
  if (!state.channel) return;
  $('channel-name').textContent = state.channel.name;
  $('member-count').textContent = some(state.channel.members.length, state.channel.users);
  show($('members'), state.channel.members, (id) => [span('name', id)]);
}

function showConnections(state) {
  const connections = state.connections || [];
  $('connection-count').textContent = some(connections.length, state.connection_count || 0);
  show($('connections'), connections, (one) => [
    span('name', one.socket_id), span('', one.address),
    (one.user_id || one.signed_in_as) && span('', `user ${one.user_id || one.signed_in_as}`),
  ]);
}

function showEvents(state) {
  const wanted = $('filter').value.toLowerCase();
  const events = state.events.filter((one) => `${one.channel} ${one.event}`.toLowerCase().includes(wanted));
  show($('events'), events, (one) => [
    time(one.at_ms), span('name', one.event), span('', one.channel), span('tag', WAYS[one.way]), span('', count(one.bytes, 'byte')),
    state.apps.length > 1 && span('quiet', one.app), !one.matched && span('tag bad', 'no subscriber'),
  ]);
}

function showTrouble(state) {
  show($('denials'), state.denials, (one) => [
    time(one.at_ms), span('name', one.reason), one.channel && span('', one.channel), one.status > 0 && span('tag bad', one.status),
    one.socket_id && span('quiet', one.socket_id), span('detail', one.detail),
  ]);
  show($('misses'), state.near_misses, (one) => [
    time(one.at_ms), span('name', one.event), span('', one.channel), span('detail', `subscribers are on ${one.similar}`),
  ]);
  const hooks = state.webhooks;
  $('webhooks').textContent = `${hooks.endpoints.length ? `To ${hooks.endpoints.join(', ')}. ` : 'The app has no webhooks. '}`
    + `Server: ${count(hooks.requests, 'request')}, ${hooks.failures} failed; ${count(hooks.delivered, 'event')} delivered, `
    + `${hooks.queued} waiting, ${hooks.given_up} given up, ${hooks.dropped} dropped.`;
  show($('failed'), hooks.failed, (one) => [
    time(one.at_ms), span('name', one.host), one.status > 0 && span('tag bad', one.status),
    span('', `${count(one.events, 'event')}, attempt ${one.attempts}`), span('detail', one.detail),
  ]);
  const { nodes } = state;
  $('nodes').textContent = nodes.link === 'none' ? `One node with ${count(state.totals.workers, 'worker')}; it is not linked with others.`
    : `${nodes.count ? count(nodes.count, 'node') : 'Number of nodes not known'}; this is ${nodes.id || 'not named yet'}, its link is ${nodes.link}`
      + `${nodes.unsettled ? ', data was lost and is being restored' : ''}. ${count(nodes.dropped, 'event')} did not reach other nodes.`;
}

function render(state) {
  showApps(state);
  showNumbers(state);
  showEvents(state);
  showChannels(state);
  showConnections(state);
  showTrouble(state);
}

// -- asking --

function say(text, className) {
  if ($('live').textContent !== text) $('live').textContent = text;
  $('live').className = className;
}

function signedOut(why) {
  token = '';
  sessionStorage.removeItem(STORED);
  clearTimeout(timer);
  asked += 1;
  before = last = null;
  for (const id of ['panels', 'controls']) $(id).hidden = true;
  $('sign-in').hidden = false;
  $('token-error').textContent = why;
  say('', '');
  $('token').focus();
}

const send = (path, options = {}) => fetch(`inspector/${path}`, { cache: 'no-store', ...options, headers: { Authorization: `Bearer ${token}` } });

async function ask() {
  clearTimeout(timer);
  if (!token) return;
  asked += 1;
  const mine = asked;
  try {
    const answer = await send(`state?${new URLSearchParams({ app: $('app').value, prefix: $('prefix').value, channel })}`);
    if (mine !== asked) return;
    if (answer.status === 401) {
      signedOut('This is not the token.');
      return;
    }
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    const state = await answer.json();
    if (mine !== asked) return;
    sessionStorage.setItem(STORED, token);
    $('sign-in').hidden = true;
    for (const id of ['panels', 'controls']) $(id).hidden = false;
    say(paused ? 'Paused' : 'Live', paused ? '' : 'on');
    before = last && last.clock_ms < state.clock_ms ? last : before;
    last = state;
    render(state);
  } catch (error) {
    if (mine !== asked) return;
    say('No answer from the server; trying again', 'off');
  }
  if (!paused && !document.hidden) timer = setTimeout(ask, POLL_MS);
}

$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  token = $('token').value.trim();
  $('token').value = '';
  $('token-error').textContent = '';
  if (/^[!-~]+$/.test(token)) ask();
  else signedOut('This is not the token.');
});
$('leave').addEventListener('click', () => signedOut(''));
$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', String(paused));
  ask();
});
$('app').addEventListener('change', () => { openChannel(''); });
$('prefix').addEventListener('input', ask);
$('filter').addEventListener('input', () => { if (last) showEvents(last); });
$('close-channel').addEventListener('click', () => openChannel(''));
document.addEventListener('visibilitychange', () => { if (!document.hidden && !paused) ask(); });

$('test').addEventListener('submit', async (event) => {
  event.preventDefault();
  const body = JSON.stringify({
    app: $('app').value, channel: $('test-channel').value, event: $('test-event').value, data: $('test-data').value,
  });
  try {
    const answer = await send('event', { method: 'POST', body });
    if (answer.status === 401) signedOut('This is not the token.');
    else $('test-result').textContent = answer.ok ? 'Sent.' : await answer.text();
    if (answer.ok) ask();
  } catch {
    $('test-result').textContent = 'No answer from the server.';
  }
});

if (token) ask();
else signedOut('');
