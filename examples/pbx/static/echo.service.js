/*
 * The page's one Echo:
 *
 *   echoService.connect(token, { key, refresh, ... });     token: a text, or what gets one; the rest as for startLive()
 *   const leave = echoService.subscribeToOrganization(7, { onCallInitiated, onCallAnswered, onCallEnded, onMemberJoined, onMemberLeft });
 *   leave(); echoService.disconnect();
 *
 * Everything it hears, with `?debug`, is on the console.
 */
'use strict';

(() => {
  const debug = new URLSearchParams(location.search).has('debug') ? (...words) => console.info('[Echo]', ...words) : () => {};
  // The connection has signed in: no channel needs a signature of its own.
  const authorizer = () => ({ authorize: (socketId, done) => done(null, { auth: '' }) });

  window.echoService = {
    live: null,

    connect(token, options) {
      this.live = startLive({
        keepAsking: true,
        channels: [],
        ...options,
        bearer: token,
        connect: (settings) => new (Echo.default ?? Echo)({ ...settings, authorizer }),
      });
      return this.live;
    },

    subscribeToOrganization(id, { onCallInitiated, onCallAnswered, onCallEnded, onMemberJoined, onMemberLeft }) {
      let present = new Map();
      const heard = (word, tell) => (event) => { debug(`Call ${word}: ${event.call_id}`); tell?.(event); };
      const channel = {
        name: `org.${id}`,
        kind: 'presence',
        events: {
          'call.initiated': heard('initiated', onCallInitiated),
          'call.answered': heard('answered', onCallAnswered),
          'call.ended': heard('ended', onCallEnded),
        },
        members: (all) => {
          const now = new Map(all.map((member) => [member.id, member]));
          const before = present;
          present = now;
          now.forEach((member, key) => before.has(key) || onMemberJoined?.(member, [...now.values()]));
          before.forEach((member, key) => now.has(key) || onMemberLeft?.(member, [...now.values()]));
        },
      };
      this.live.add(channel);
      return () => this.live.leave(channel);
    },

    disconnect() {
      this.live?.close();
    },
  };
})();
