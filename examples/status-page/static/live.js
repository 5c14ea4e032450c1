/*
 * Makes a page live. The server draws; when an event says that something changed, this asks for the page again and
 * replaces the parts marked data-live that differ. So a page with scripts always shows what one without would show.
 *
 * A page that hears nothing must not go on asserting: while it is not live it says how old it is, and after a minute
 * without an answer it loses its colours.
 */
'use strict';

(() => {
  const PAYLOAD_VERSION = 2;
  const STALE_MS = 60000;
  const { toast } = window.statusPage;
  const settings = document.documentElement.dataset;
  const badge = document.getElementById('connection');
  const age = document.getElementById('age');
  const served = new Map(); // id -> HTML as the server sent it: times are rewritten in place
  let title = document.title;
  let answeredAt = Date.now(); // when the server last said that this is how things are

  /* Times: in the visitor's zone and in words, by the server's clock */

  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  const exact = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
  const toTheSecond = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });
  let ahead = 0; // of the visitor's clock, in ms

  function readClock(answer) {
    const offset = Date.parse(answer.headers.get('date')) - Date.now();
    ahead = Math.abs(offset) > 2000 ? offset : 0; // the header has seconds; NaN is not above
  }

  function showTimes() {
    for (const time of document.querySelectorAll('time[datetime]')) {
      const date = new Date(time.dateTime);
      if ('exact' in time.dataset) {
        time.textContent = exact.format(date);
        continue;
      }
      const seconds = Math.min(0, (date - Date.now() - ahead) / 1000);
      const [size, unit] = seconds > -3600 ? [60, 'minute'] : seconds > -86400 ? [3600, 'hour'] : [86400, 'day'];
      time.textContent = seconds > -60 ? 'just now' : words.format(Math.trunc(seconds / size), unit);
      time.title = exact.format(date);
    }
  }

  /* Catching up */

  /** The HTML of a part, and of its pieces if it is a list. */
  function remember(element) {
    const pieces = element.dataset.live === 'list' ? new Set([...element.children].map((piece) => piece.outerHTML)) : null;
    served.set(element.id, { html: element.outerHTML, pieces });
  }

  /** Shows where something is new: the part, or those pieces of a list that were not there. */
  function highlight(element, before) {
    if (!before?.pieces)
      element.classList.add('changed');
    else
      [...element.children].filter((piece) => !before.pieces.has(piece.outerHTML)).forEach((piece) => piece.classList.add('changed'));
  }

  /** Replaces an element, but not what somebody is about to write into it. */
  function keepWriting(old, element) {
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(element);
    for (const open of old.querySelectorAll('details[open]')) {
      const same = document.getElementById(open.id);
      if (!same)
        continue;
      same.open = true;
      same.querySelector('form')?.replaceWith(open.querySelector('form') ?? '');
    }
    focus?.focus();
  }

  function replaceParts(html) {
    const fresh = new DOMParser().parseFromString(html, 'text/html');
    settings.revision = fresh.documentElement.dataset.revision;
    title = fresh.title;
    for (const part of fresh.querySelectorAll('[data-live]')) {
      const old = document.getElementById(part.id);
      if (!old) {
        location.reload(); // the page has another shape now
        return;
      }
      const before = served.get(part.id);
      if (before?.html === part.outerHTML)
        continue;
      const element = document.importNode(part, true);
      remember(element);
      highlight(element, before);
      keepWriting(old, element);
    }
    showTimes();
  }

  /** The page is not for this visitor any more: says what has happened, and keeps nothing of it. */
  function close(heading, text, link, where) {
    const card = Object.assign(document.createElement('div'), { className: 'card lone' });
    const button = Object.assign(document.createElement('a'), { className: 'button', href: link, textContent: where });
    card.append(Object.assign(document.createElement('h1'), { textContent: heading }),
      Object.assign(document.createElement('p'), { textContent: text }), Object.assign(document.createElement('p')));
    card.lastChild.append(button);
    const main = document.querySelector('main');
    main.className = 'narrow';
    main.replaceChildren(card);
    title = heading;
    closed = true;
    settled('off');
    pusher.disconnect();
  }

  function lockedOut(answer) {
    if (!('dashboard' in settings))
      close('This page is private now', `${settings.name} shows its status page to members only.`,
        `/login?organization=${settings.slug}&page=status`, 'Sign in');
    else if (answer.redirected)
      location.reload(); // signed out
    else
      close('You are no longer a member', `An owner of ${settings.name} has removed you, so this dashboard is closed for you.`,
        `/status/${settings.slug}`, 'Status page');
  }

  async function ask() {
    try {
      // "no-cache": the browser asks whether its copy is still the same, which costs the server next to nothing
      const answer = await fetch(location.href, { cache: 'no-cache' });
      if (closed)
        return false;
      if (answer.redirected || answer.status === 404) {
        lockedOut(answer);
      } else if (answer.ok) {
        readClock(answer);
        replaceParts(await answer.text());
        answeredAt = Date.now();
        showAge();
      }
      return answer.ok;
    } catch {
      return false; // the server is away: the next connection asks again
    }
  }

  let closed = false;
  let asking = null;
  let askAgain = false;

  /** One question at a time, and one more if somebody wants to know meanwhile. True if there was an answer. */
  function refresh() {
    askAgain = !closed;
    asking ??= (async () => {
      let answered = false;
      while (askAgain) {
        askAgain = false;
        answered = await ask();
      }
      asking = null;
      return answered;
    })();
    return asking;
  }

  /* Saying so */

  const texts = {
    connecting: () => 'Connecting…',
    live: () => 'Live',
    reconnecting: () => 'Reconnecting…',
    updating: () => `Updating every ${pollS()} s`,
    off: () => 'Not live',
  };
  let state = 'connecting';

  function show(next) {
    state = next;
    badge.className = `connection ${state}`;
    badge.textContent = texts[state]();
    badge.hidden = closed;
    showAge();
  }

  /** How old the page is, beside the badge: that is no news for a screen reader each second. */
  function showAge() {
    const old = Date.now() - answeredAt;
    const unsure = state !== 'live' && !closed && (state !== 'connecting' || old > 2000);
    const ago = old < 60000 ? `${Math.floor(old / 1000)} s ago` : `${Math.floor(old / 60000)} min ago`;
    const stale = unsure && old >= STALE_MS;
    age.hidden = !unsure;
    age.textContent = unsure ? `as of ${toTheSecond.format(answeredAt)}, ${ago}` : '';
    document.documentElement.classList.toggle('stale', stale);
    document.title = stale ? `(as of ${toTheSecond.format(answeredAt)}) ${title}` : title;
  }

  /* The connection: stock Laravel Echo on stock pusher-js */

  const secure = location.protocol === 'https:';
  const port = Number(location.port) || (secure ? 443 : 80);
  const EchoClass = Echo.default ?? Echo;
  const echo = new EchoClass({
    broadcaster: 'reverb',
    key: settings.key,
    wsHost: location.hostname,
    wsPort: port,
    wssPort: port,
    forceTLS: secure,
    enabledTransports: ['ws', 'wss'],
  });
  const { pusher } = echo.connector;

  /* Without a connection the page asks by itself, less and less often. */

  const POLL_S = [5, 10, 30];
  let polls = 0;
  let timer = null;
  let retrying = false;

  function pollS() {
    return POLL_S[Math.min(polls, POLL_S.length - 1)];
  }

  /** pusher-js may be in a pause of up to a minute: let it try now. */
  function retry() {
    retrying = true;
    pusher.disconnect();
    retrying = false;
    pusher.connect();
  }

  function pollLater() {
    timer = setTimeout(async () => {
      const answered = await refresh();
      if (timer === null)
        return; // connected meanwhile
      polls++;
      show(answered ? 'updating' : state === 'connecting' ? 'connecting' : 'reconnecting');
      if (answered)
        retry();
      pollLater();
    }, pollS() * 1000);
  }

  function lost() {
    if (closed)
      return;
    if (state !== 'updating')
      show(state === 'connecting' ? 'connecting' : 'reconnecting');
    if (timer === null)
      pollLater();
  }

  function settled(as) {
    clearTimeout(timer);
    timer = null;
    polls = 0;
    show(as);
  }

  pusher.connection.bind('state_change', ({ current }) => {
    // 'connected' is not live yet: the subscription has to be confirmed.
    if (current === 'connecting' || current === 'unavailable')
      lost();
    else if (current === 'failed' || (current === 'disconnected' && !retrying))
      settled('off'); // refused for good: the server knows no such key, for example
  });
  // pusher-js stays "connected" for the second that it waits before it tries again.
  pusher.connection.bind('connecting_in', lost);
  lost(); // so far there is no connection

  /* Events. Each says what happened; the rest is asked for, unless this page has seen it already. */

  const sayings = {
    'service.status.changed': (e) => [`${e.service.name}: ${e.new_status.replaceAll('_', ' ')}`, e.new_status],
    'service.created': ({ service }) => [`New service: ${service.name}`, 'operational'],
    'incident.created': ({ incident }) => [`New incident: ${incident.title}`, incident.effect],
    'incident.updated': (e) => [`${e.incident.title}: ${e.public ? e.label.toLowerCase() : 'internal note'}`, e.incident.effect],
    'incident.resolved': ({ incident }) => [`Resolved: ${incident.title}`, 'operational'],
    'maintenance.scheduled': ({ maintenance }) => [`Maintenance scheduled: ${maintenance.title}`, 'maintenance'],
    'maintenance.updated': ({ maintenance, ...e }) => [`${maintenance.title}: ${e.public ? 'updated' : 'internal note'}`, 'maintenance'],
    'maintenance.cancelled': ({ maintenance }) => [`Maintenance cancelled: ${maintenance.title}`, 'operational'],
    'maintenance.started': ({ maintenance }) => [`Maintenance started: ${maintenance.title}`, 'maintenance'],
    'maintenance.completed': ({ maintenance }) => [`Maintenance completed: ${maintenance.title}`, 'operational'],
  };

  function subject(event) {
    return event.service ? `service-${event.service.id}` : `notice-${(event.incident ?? event.maintenance).id}`;
  }

  function heard(name, event) {
    if (event.v !== PAYLOAD_VERSION) {
      location.reload();
      return;
    }
    // What a notice does to services is said once, by the notice; and a member who looks at the public page sees
    // what the public sees.
    if (!event.notice_id && (event.public !== 0 || 'dashboard' in settings))
      toast(...sayings[name](event), { text: event.message, subject: subject(event) });
    if (String(event.revision) !== settings.revision)
      refresh();
  }

  const channel = echo.channel(settings.channel)
    .subscribed(() => {
      settled('live');
      // What happened between drawing the page and this moment, and while the connection was lost.
      refresh();
    })
    // Refused, or taken away: what is left for us is what the server draws now.
    .error(() => {
      settled('off');
      refresh();
    });
  for (const name of Object.keys(sayings))
    channel.listen(`.${name}`, (event) => heard(name, event));

  document.querySelectorAll('[data-live]').forEach(remember);
  showTimes();
  setInterval(showTimes, 30000);
  setInterval(showAge, 1000);
  // A computer that slept does not know yet that its connection is gone.
  document.addEventListener('visibilitychange', () => document.hidden || refresh());

  Object.assign(window.statusPage, { echo, refresh, isLive: () => state === 'live' });
})();
