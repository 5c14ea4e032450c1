/*
 * Makes a status page and a dashboard live. Each event says what happened; the rest is asked for, unless this page has seen
 * it already.
 */
'use strict';

(() => {
  const PAYLOAD_VERSION = 2;
  const settings = document.documentElement.dataset;
  const { toast, forget } = window.toasts;
  let heading = null; // of a page that was closed

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
      live.refresh();
  }

  /** The page is not for this visitor any more: says what has happened, and keeps nothing of it. */
  function close(what, text, link, where) {
    const card = Object.assign(document.createElement('div'), { className: 'card lone' });
    const button = Object.assign(document.createElement('a'), { className: 'button', href: link, textContent: where });
    card.append(Object.assign(document.createElement('h1'), { textContent: what }),
      Object.assign(document.createElement('p'), { textContent: text }), Object.assign(document.createElement('p')));
    card.lastChild.append(button);
    const main = document.querySelector('main');
    main.className = 'narrow';
    main.replaceChildren(card);
    heading = what;
    live.close();
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

  const parts = liveParts({ changedShape: () => location.reload() });

  async function refresh(signal) {
    // "no-cache": the browser asks whether its copy is still the same, which costs the server next to nothing
    const answer = await fetch(location.href, { cache: 'no-cache', signal });
    if (heading)
      return null;
    if (answer.redirected || answer.status === 404) {
      lockedOut(answer);
      return null;
    }
    if (answer.ok)
      parts.replace(await answer.text());
    return answer;
  }

  const live = startLive({
    key: settings.key,
    channels: [{
      name: settings.channel,
      events: Object.fromEntries(Object.keys(sayings).map((name) => [name, (event) => heard(name, event)])),
    }],
    refresh,
    title: () => heading ?? parts.title(),
    eventId: ({ event_id: id }) => id,
  });
  window.statusPage = { ...live, forget, toast };
})();
