/*
 * What the pages of the help desk share: who it is, requests, notifications, one Echo for each page.
 *
 *   const desk = await openDesk();                 signs in, if the page has a user of the demo
 *   desk.start({ channels, refresh, events, ... }) as startLive(); the user's own channel is one of them
 *   desk.request(method, where, body, signal)      the answer, or null if the server does not answer
 */
'use strict';

(() => {
  const settings = document.documentElement.dataset;
  const { toast } = window.toasts;
  const channelsOf = { private: (name) => ({ name, kind: 'private' }), presence: (name) => ({ name, kind: 'presence' }) };

  window.element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  /** Which of them notify on the desktop: off, mentions, all. The same in all tabs. */
  const notify = {
    get mode() { return localStorage.getItem('helpdesk-notify') ?? 'off'; },
    set mode(mode) { localStorage.setItem('helpdesk-notify', mode); },
  };
  const select = document.getElementById('notify');
  if (select) {
    select.value = notify.mode;
    select.addEventListener('change', async () => {
      notify.mode = select.value;
      if (select.value !== 'off' && window.Notification?.permission === 'default')
        await Notification.requestPermission();
    });
  }

  class Desk {
    constructor(bearer, user) {
      this.bearer = bearer;
      this.me = user; // id, name, role; offices as soon as the page has asked
      this.base = settings.as ? `/demo/${settings.as}/tickets` : '/tickets';
      this.unseen = 0;
    }

    headers() {
      const csrf = document.querySelector('meta[name="csrf-token"]')?.content;
      return {
        Accept: 'application/json', ...this.live?.headers(),
        ...(this.bearer ? { Authorization: `Bearer ${this.bearer}` } : csrf && { 'X-CSRF-Token': csrf }),
      };
    }

    async request(method, where, body, signal) {
      const form = body instanceof FormData;
      const answer = await fetch(`/api/v1${where}`, {
        method, cache: 'no-cache', signal, headers: { ...this.headers(), ...(body && !form && { 'Content-Type': 'application/json' }) }, body: body && !form ? JSON.stringify(body) : body,
      }).catch(() => null);
      if (answer?.status === 401 && !this.bearer)
        location.reload(); // signed out: the page leads to the sign-in, and back
      return answer;
    }

    /** A write; says what went wrong, in the form's own place if it has one. */
    async write(method, where, body, place) {
      const answer = await this.request(method, where, body);
      const text = answer?.ok ? '' : answer ? (await answer.json().catch(() => ({}))).error ?? 'The server refused it.' : 'The server does not answer. Nothing is lost: send it again when the page is live.';
      if (place) {
        place.textContent = text;
        place.hidden = !text;
      } else if (text) {
        toast('Not done', 'major_outage', { text, lasting: true });
      }
      return answer?.ok ? answer : null;
    }

    start({ channels, events, refresh, title = () => '', ...more }) {
      const hear = (name) => (event, channel) => {
        if (name === 'user.updated')
          this.me = { ...this.me, role: event.role };
        else if (/^ticket\.(reply\.created|updated|status)/.test(name))
          this.tell(name, event);
        events(name, event, channel);
      };
      this.names = ['ticket.reply.created', 'ticket.updated', 'ticket.status.changed', 'ticket.reply.delivered', 'ticket.reply.read', 'user.updated', 'desk.echo'];
      this.handlers = Object.fromEntries(this.names.map((name) => [name, hear(name)]));
      const drawn = document.title;
      this.live = startLive({
        key: settings.key,
        bearer: this.bearer,
        keepAsking: true,
        resume: true,
        // The connection knows who it is, by the cookie or by the sign-in: no channel needs a request.
        connect: (options) => new (Echo.default ?? Echo)({
          ...options,
          authorizer: () => ({ authorize: (_, done) => done(null, { auth: '', channel_data: JSON.stringify({ user_id: String(this.me.id) }) }) }),
        }),
        channels: [...channels, channelsOf.private(`user.${this.me.id}`)].map((channel) => this.listened(channel)),
        refresh,
        title: () => `${this.unseen ? `(${this.unseen}) ` : ''}${title() || drawn}`,
        ...more,
      });
      document.addEventListener('visibilitychange', () => { if (!document.hidden) this.unseen = 0; });
      window.helpdesk = this; // for who looks in with the console
      return this.live;
    }

    listened(channel) {
      return { ...channel, events: channel.kind === 'private' ? this.handlers : {} };
    }

    /** The channels of another moment: some come, some go. */
    setChannels(wanted, now) {
      const key = ({ name, kind }) => `${kind} ${name}`;
      for (const [known, channel] of now) {
        if (!wanted.some((one) => key(one) === known)) {
          this.live.leave(channel);
          now.delete(known);
        }
      }
      for (const one of wanted) {
        if (!now.has(key(one))) {
          const channel = this.listened(one);
          now.set(key(one), channel);
          this.live.add(channel);
        }
      }
    }

    /** A notification for each update that is another's doing. */
    tell(name, { id, ticket, reply, user, changes, new_status: status }) {
      const by = reply?.user ?? user;
      const told = changes && Object.keys(changes).every((field) => field === 'notes'); // as the note itself
      if (!by || by.id === this.me.id || told)
        return;
      const mine = changes?.assigned_to_id?.new === this.me.id;
      const text = reply ? `New ${reply.is_internal ? 'note on' : 'reply to'} "${ticket.subject}" by ${by.name}`
        : status ? `"${ticket.subject}" is ${status}, says ${by.name}`
          : mine ? `"${ticket.subject}" is yours, says ${by.name}` : `"${ticket.subject}" was changed by ${by.name}`;
      const href = `${this.base}/${ticket.uuid}`;
      toast(text, reply?.is_internal ? 'degraded' : 'maintenance', { subject: `${name}-${ticket.uuid}`, href });
      if (document.hidden)
        this.unseen++;
      const mentioned = mine || reply?.message.includes(`@${this.me.name}`);
      const wanted = notify.mode === 'all' ? Boolean(reply) || mine : notify.mode === 'mentions' && mentioned;
      if (!wanted || !document.hidden || window.Notification?.permission !== 'granted')
        return;
      const note = new Notification(text, { body: reply?.message ?? '', tag: id });
      note.onclick = () => { window.focus(); location.assign(href); };
    }
  }

  window.openDesk = async () => {
    if (new URLSearchParams(location.search).has('debug'))
      Pusher.logToConsole = true; // as Echo's enableLogging
    if (!settings.as)
      return new Desk(null, { id: Number(settings.user), name: document.querySelector('.who .quiet')?.textContent });
    for (;;) {
      const answer = await fetch('/api/v1/login', { method: 'POST', body: new URLSearchParams({ email: settings.email, password: settings.password }) }).catch(() => null);
      if (answer?.ok) {
        const { token, user } = await answer.json();
        document.getElementById('as').textContent = user.name;
        return new Desk(token, { ...user, id: Number(user.id) });
      }
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  };

  /** Dots for who is online. */
  window.showOnline = (members, me) => {
    const place = document.getElementById('online');
    place?.replaceChildren(...members.filter(({ id }) => Number(id) !== me).map(({ name, role }) => element('span', { className: `dot ${role}`, textContent: name })));
  };

  /** At most so often, and once more at the end. */
  window.calmly = (ms, act) => {
    let timer = null;
    let again = false;
    return function run() {
      again = true;
      if (timer !== null)
        return;
      again = false;
      act();
      timer = setTimeout(() => { timer = null; if (again) run(); }, ms);
    };
  };
})();
