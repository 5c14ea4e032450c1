/*
 * One way to be live:
 *
 *   const live = startLive({
 *     key,                          the app's
 *     channels: [{ name, kind: 'public' | 'private' | 'presence', events: { 'thing.done': (event) => ... },
 *                  members: ([{ id, name }]) => ... }],   who is in a presence channel, at each change
 *     refresh: async (signal) => response,  fetches what the page shows, and shows it; the signal aborts what is not answered
 *     bearer,                       the token of a page that has no cookie; or what gets it, for each connection
 *     keepAsking: true,             also where nothing will change by itself: the key is unknown, a channel is refused
 *     resume: true,                 channels with a history (docs/history.md) hand out what was missed
 *     onState: (state) => ..., onRefused: (name) => ...,
 *     title: () => ...,             the page's, without what is put before it
 *     eventId: (event) => ...,      by default event.id
 *     connect: (options) => echo,   for a page whose Echo is made by something else
 *   });
 *
 * A page that hears nothing must not go on asserting. It is live when every channel is subscribed, not when the connection
 * is there. After each subscription it asks for what it shows, so that nothing is missed in between, and asks again if there
 * is no answer. While it is not live it
 * asks again and again, says how old it is, and after a minute without an answer loses its colours (class "stale" of
 * <html>). The page has a badge, #connection, and beside it #age.
 */
'use strict';

(() => {
  const STALE_MS = 60000;
  const POLL_S = [5, 10, 30];
  const ANSWER_MS = 15000; // so long a question waits for its answer
  const REMEMBERED = 500;

  /* Times: in the visitor's zone and in words, by the server's clock */

  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  const exact = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
  const toTheSecond = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });
  let ahead = 0; // of the visitor's clock, in ms
  const now = () => Date.now() + ahead;

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
      const seconds = Math.min(0, (date - now()) / 1000);
      const [size, unit] = seconds > -3600 ? [60, 'minute'] : seconds > -86400 ? [3600, 'hour'] : [86400, 'day'];
      time.textContent = seconds > -60 ? 'just now' : words.format(Math.trunc(seconds / size), unit);
      time.title = exact.format(date);
    }
  }

  /** Stock Laravel Echo on stock pusher-js; host and port are those of the page. */
  function connect(key, bearer, refused, make) {
    const secure = location.protocol === 'https:';
    const port = Number(location.port) || (secure ? 443 : 80);
    /** Who has the token, for the connection: the server signs it. */
    async function customHandler({ socketId }, done) {
      const ask = async () => fetch('/broadcasting/user-auth', {
        method: 'POST', headers: { Authorization: `Bearer ${typeof bearer === 'function' ? await bearer() : bearer}` }, body: new URLSearchParams({ socket_id: socketId }),
      });
      const answer = await ask().catch(() => null); // a connection that is lost again: the next one asks again
      if (answer?.ok) {
        done(null, await answer.json());
      } else {
        done(new Error('not signed in'), null);
        if (answer)
          refused();
      }
    }
    return make({
      broadcaster: 'reverb',
      key,
      wsHost: location.hostname,
      wsPort: port,
      wssPort: port,
      forceTLS: secure,
      enabledTransports: ['ws', 'wss'],
      ...(bearer && { ...(typeof bearer === 'string' && { bearerToken: bearer }), userAuthentication: { customHandler, headers: {} } }),
    });
  }

  /** What the page has seen goes to the server before it subscribes again. pusher-js does not hand on the ids of events. */
  function resumeHistory(pusher) {
    const seen = { channels: {} };
    pusher.connection.bind('state_change', ({ current }) => {
      if (current !== 'connected')
        return;
      pusher.send_event('pusher:resume', seen);
      seen.socket_id = pusher.connection.socket_id;
      pusher.connection.connection.transport.bind('message', ({ data }) => {
        const { channel, event_id: id } = JSON.parse(data);
        if (id)
          seen.channels[channel] = id;
      });
    });
  }

  const drawnTitle = document.title;

  window.startLive = ({
    key, bearer, channels, keepAsking, resume, refresh, onState, onRefused, title = () => drawnTitle, eventId = ({ id }) => id,
    connect: make = (options) => new (Echo.default ?? Echo)(options),
  }) => {
    const badge = document.getElementById('connection');
    const age = document.getElementById('age');
    let answeredAt = Date.now(); // when the server last said that this is how things are
    let closed = false;

    /* Catching up */

    let asksLater = null;

    /** A live page would not ask again by itself. */
    function askLater() {
      asksLater ??= setTimeout(() => {
        asksLater = null;
        if (state === 'live')
          catchUp();
      }, POLL_S[0] * 1000);
    }

    async function ask() {
      const limit = new AbortController();
      const late = new Promise((_, reject) => { limit.signal.onabort = () => reject(new Error('no answer')); });
      const timeout = setTimeout(() => limit.abort(), ANSWER_MS);
      try {
        const answer = await Promise.race([refresh(limit.signal), late]);
        if (!closed && answer?.ok) {
          readClock(answer);
          showTimes();
          answeredAt = Date.now();
          showAge();
        }
        return Boolean(answer?.ok) && !closed;
      } catch {
        askLater(); // if the server is away, the next connection asks as well
        return false;
      } finally {
        clearTimeout(timeout);
      }
    }

    let asking = null;
    let askAgain = false;

    /** One question at a time, and one more if the page asks meanwhile. True if there was an answer. */
    function catchUp() {
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
      const before = state;
      state = next;
      badge.className = `connection ${state}`;
      badge.textContent = texts[state]();
      badge.hidden = closed;
      showAge();
      if (state !== before)
        onState?.(state);
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
      document.title = stale ? `(as of ${toTheSecond.format(answeredAt)}) ${title()}` : title();
    }

    /* Without a connection the page asks by itself, less and less often. */

    const echo = connect(key, bearer, () => wanted.filter(isLate).forEach((channel) => refuse(channel)), make);
    const { pusher } = echo.connector;
    let polls = 0;
    let timer = null;
    let retrying = false;
    let hopeless = false; // another attempt would end as this one

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
        const answered = await catchUp();
        if (timer === null)
          return; // connected meanwhile
        polls++;
        show(answered ? 'updating' : state === 'connecting' ? 'connecting' : 'reconnecting');
        if (answered && !hopeless)
          retry();
        pollLater();
      }, pollS() * 1000);
    }

    function lost() {
      if (closed)
        return;
      subscribed.clear();
      hopeless = false;
      signedIn = false;
      wanted.filter(isLate).forEach(leave); // pusher-js would ask for them before it has signed in
      if (state !== 'updating')
        show(state === 'connecting' ? 'connecting' : 'reconnecting');
      if (timer === null)
        pollLater();
    }

    /** Nothing more will be heard, or not of all channels. */
    function giveUp() {
      if (!keepAsking)
        settled(subscribed.size > 0 ? 'live' : 'off');
      else if (!closed) {
        hopeless = true;
        show(state === 'updating' ? 'updating' : 'off');
        if (timer === null)
          pollLater();
      }
    }

    function settled(as) {
      clearTimeout(timer);
      timer = null;
      polls = 0;
      show(as);
    }

    pusher.connection.bind('state_change', ({ current }) => {
      // 'connected' is not live yet: the subscriptions have to be confirmed.
      if (current === 'connecting' || current === 'unavailable')
        lost();
      else if (current === 'failed' || (current === 'disconnected' && !retrying)) {
        subscribed.clear();
        giveUp(); // refused for good: the server knows no such key, for example
      }
    });
    if (resume)
      resumeHistory(pusher);
    // pusher-js stays "connected" for the second that it waits before it tries again.
    pusher.connection.bind('connecting_in', lost);

    /* Channels. One that is refused is not a lost connection: the others go on. */

    const wanted = [...channels];
    const subscribed = new Set();
    const refused = new Set();
    let signedIn = false;
    // For these names pusher-js asks no endpoint, so the server has to know by the connection who it is.
    const isLate = ({ kind = 'public' }) => Boolean(bearer) && kind === 'public';
    const fullName = ({ name, kind = 'public' }) => (kind === 'public' ? name : `${kind}-${name}`);
    const subscriptions = new Map(); // by channel
    /** pusher-js hands out the same object again if one leaves before it is answered: with all its listeners. */
    const leave = (channel) => {
      subscriptions.get(channel)?.unbind();
      echo.leaveChannel(fullName(channel));
    };
    const seen = new Set(); // ids of events: a page may have several channels of one

    function isNew(event) {
      const id = eventId(event);
      if (id === undefined)
        return true;
      if (seen.has(id))
        return false;
      seen.add(id);
      if (seen.size > REMEMBERED)
        seen.delete(seen.values().next().value);
      return true;
    }

    /** Each channel has said yes or no: live, unless none is left. */
    function check() {
      if (wanted.length === 0 || subscribed.size + refused.size < wanted.length)
        return;
      if (refused.size > 0) {
        giveUp();
      } else {
        hopeless = false;
        settled(subscribed.size > 0 ? 'live' : 'off');
      }
    }

    /** Refused, or taken away: what is left for us is what the server answers now. */
    function refuse(channel, error) {
      if (!wanted.includes(channel))
        return; // left meanwhile
      subscribed.delete(channel);
      refused.add(channel);
      channel.members?.([]);
      check();
      onRefused?.(channel.name, error);
      catchUp();
    }

    function subscribe(channel) {
      const { name, kind = 'public', events = {}, members } = channel;
      const join = { public: 'channel', private: 'private', presence: 'join' }[kind];
      const joined = echo[join](name);
      subscriptions.set(channel, joined.subscription);
      joined.subscribed(() => {
        if (!wanted.includes(channel))
          return;
        subscribed.add(channel);
        refused.delete(channel);
        check();
        // What happened between drawing the page and this moment, and while the connection was lost.
        catchUp();
      });
      joined.error((error) => refuse(channel, error));
      for (const [event, heard] of Object.entries(events))
        joined.listen(`.${event}`, (data) => isNew(data) && heard(data, name));
      if (members) { // Laravel Echo hands out their info; pusher-js knows their ids
        const { subscription } = joined;
        const tell = () => {
          const all = [];
          subscription.members.each(({ id, info }) => all.push({ ...info, id }));
          members(all);
        };
        for (const event of ['subscription_succeeded', 'member_added', 'member_removed'])
          subscription.bind(`pusher:${event}`, tell);
      }
    }

    lost(); // so far there is no connection
    wanted.filter((channel) => !isLate(channel)).forEach(subscribe);
    if (bearer) {
      pusher.signin();
      pusher.connection.bind('message', ({ event }) => {
        if (event !== 'pusher:signin_success')
          return;
        signedIn = true;
        wanted.filter(isLate).forEach(subscribe);
      });
    }
    showTimes();
    setInterval(showTimes, 30000);
    setInterval(showAge, 1000);
    // A computer that slept does not know yet that its connection is gone.
    document.addEventListener('visibilitychange', () => document.hidden || catchUp());
    addEventListener('pageshow', ({ persisted }) => persisted && catchUp()); // one that a phone had put away

    return {
      echo,
      now,
      refresh: catchUp,
      /** With another token, for example. */
      reconnect: retry,
      isLive: () => state === 'live',
      /** One more channel. */
      add(channel) {
        wanted.push(channel);
        if (signedIn || !isLate(channel))
          subscribe(channel);
      },
      /** One of the channels is not needed any more. */
      leave(channel) {
        wanted.splice(wanted.indexOf(channel), 1);
        subscribed.delete(channel);
        refused.delete(channel);
        leave(channel);
        subscriptions.delete(channel);
        check();
      },
      /** For requests: the server leaves out this page when it tells what they did. */
      headers: () => (echo.socketId() ? { 'X-Socket-ID': echo.socketId() } : {}),
      /** The page shows nothing any more. */
      close() {
        closed = true;
        settled('off');
        pusher.disconnect();
      },
    };
  };
})();
