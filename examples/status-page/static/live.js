/*
 * Makes a page live. The server draws; when an event says that something changed, this asks for the page again and
 * replaces the parts marked data-live that differ. So a page with scripts always shows what one without would show.
 */
'use strict';

(() => {
  const PAYLOAD_VERSION = 1;
  const settings = document.documentElement.dataset;
  const badge = document.getElementById('connection');
  const served = new Map(); // id -> HTML as the server sent it: times are rewritten in place

  /* Times: the visitor's own, and in words */

  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  const exact = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });

  function showTimes() {
    for (const time of document.querySelectorAll('time[datetime]')) {
      const date = new Date(time.dateTime);
      if ('exact' in time.dataset) {
        time.textContent = exact.format(date);
        continue;
      }
      const seconds = Math.min(0, (date - Date.now()) / 1000);
      const [size, unit] = seconds > -3600 ? [60, 'minute'] : seconds > -86400 ? [3600, 'hour'] : [86400, 'day'];
      time.textContent = seconds > -60 ? 'just now' : words.format(Math.trunc(seconds / size), unit);
      time.title = exact.format(date);
    }
  }

  /* Catching up */

  function remember(element) {
    served.set(element.id, element.outerHTML);
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
    for (const part of fresh.querySelectorAll('[data-live]')) {
      const old = document.getElementById(part.id);
      if (!old) {
        location.reload(); // the page has another shape now
        return;
      }
      if (served.get(part.id) === part.outerHTML)
        continue;
      const element = document.importNode(part, true);
      remember(element);
      element.classList.add('changed');
      keepWriting(old, element);
    }
    showTimes();
  }

  async function ask() {
    try {
      // "no-cache": the browser asks whether its copy is still the same, which costs the server next to nothing
      const answer = await fetch(location.href, { cache: 'no-cache' });
      if (answer.redirected || answer.status === 404)
        location.reload(); // signed out, or not for us any more
      else if (answer.ok)
        replaceParts(await answer.text());
      return answer.ok;
    } catch {
      return false; // the server is away: the next connection asks again
    }
  }

  let asking = null;
  let askAgain = false;

  /** One question at a time, and one more if somebody wants to know meanwhile. True if there was an answer. */
  function refresh() {
    askAgain = true;
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

  function toast(title, kind, text = '') {
    const element = document.createElement('div');
    const strong = document.createElement('strong');
    element.className = `toast ${kind}`;
    strong.textContent = title;
    element.append(strong, text ? document.createElement('br') : '', text);
    document.getElementById('toasts').append(element);
    setTimeout(() => element.classList.add('gone'), 6000);
    setTimeout(() => element.remove(), 6500);
  }

  const texts = {
    connecting: 'Connecting…',
    live: 'Live',
    reconnecting: 'Reconnecting…',
    polling: 'Polling',
    off: 'Not live: load the page again',
  };
  let state = 'connecting';

  function show(next) {
    state = next;
    badge.className = `connection ${state}`;
    badge.textContent = texts[state];
    badge.hidden = false;
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
  let answers = 0;
  let timer = null;

  function pollLater() {
    timer = setTimeout(async () => {
      const answered = await refresh();
      if (timer === null)
        return; // connected meanwhile
      if (answered) {
        // The server is there. pusher-js may be in a pause of up to a minute: let it try now. If that does
        // not help, WebSockets do not come through, and asking is what is left.
        if (answers++ > 0)
          show('polling');
        pusher.disconnect();
        pusher.connect();
      }
      pollLater();
    }, POLL_S[Math.min(polls++, POLL_S.length - 1)] * 1000);
  }

  function lost() {
    if (state !== 'polling')
      show(state === 'connecting' ? 'connecting' : 'reconnecting');
    if (timer === null)
      pollLater();
  }

  function settled(as) {
    clearTimeout(timer);
    timer = null;
    polls = answers = 0;
    show(as);
  }

  lost(); // so far there is no connection
  pusher.connection.bind('state_change', ({ current }) => {
    // 'connected' is not live yet: the subscription has to be confirmed.
    if (current === 'connecting' || current === 'unavailable')
      lost();
    else if (current === 'failed')
      settled('off');
  });
  // pusher-js stays "connected" for the second that it waits before it tries again.
  pusher.connection.bind('connecting_in', lost);
  // Refused for good: the server knows no such key, for example.
  pusher.connection.bind('error', ({ data }) => data?.code >= 4000 && data.code < 4100 && settled('off'));

  /** Says what happened. The rest is asked for, unless this page has seen it already. */
  const sayings = {
    'service.status.changed': (e) => [`${serviceName(e.service_id)}: ${e.new_status.replaceAll('_', ' ')}`, e.new_status],
    'incident.created': (e) => [e.title, e.effect],
    'incident.updated': (e) => [`${e.title}: ${e.public ? e.label.toLowerCase() : 'internal note'}`, e.effect],
    'incident.resolved': (e) => [`${e.title}: resolved`, 'operational'],
    'maintenance.scheduled': (e) => [`${e.title}: scheduled`, 'maintenance'],
    'maintenance.started': (e) => [`${e.title}: started`, 'maintenance'],
    'maintenance.completed': (e) => [`${e.title}: completed`, 'operational'],
  };

  function serviceName(id) {
    return document.getElementById(`service-${id}`)?.dataset.name ?? 'A service';
  }

  function heard(name, event) {
    if (event.v !== PAYLOAD_VERSION) {
      location.reload();
      return;
    }
    // What a notice does to services is said once, by the notice; and a member who looks at the public page sees
    // what the public sees.
    if (!event.notice_id && (event.public !== 0 || 'dashboard' in settings))
      toast(...sayings[name](event), event.message);
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

  window.statusPage = { echo, refresh, toast };
})();
