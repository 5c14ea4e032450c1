/*
 * What the pages share: one Echo, made by echo-react and watched by live.js; resources that are asked for, logs that are
 * followed, requests that are sent.
 */
'use strict';

(() => {
  const { useCallback, useEffect, useRef, useState } = React;
  const { configureEcho, echo, useEcho } = EchoReact;
  const { dataset } = document.documentElement;
  const LOG_LINES = 1000;
  const LOG_BYTES = 65536; // of one answer
  const ANSWER_MS = 12000; // so long a question waits for its answer
  const ASK_MS = 10000; // a page that waits for a machine and hears nothing asks by itself

  /* Catching up: all that the page shows */

  const loaders = new Set();
  let askedAt = Date.now();
  let title = document.title;

  async function loadAll() {
    const answers = await Promise.all([...loaders].map((load) => load()));
    if (answers.includes(null))
      throw new Error('no answer'); // live.js asks again
    return answers.find((answer) => answer && !answer.ok) ?? answers[0] ?? null;
  }

  const live = startLive({
    key: dataset.key,
    channels: [], // useLive() adds them
    connect(options) {
      configureEcho(options);
      return echo();
    },
    refresh: loadAll,
    title: () => title,
  });

  /** For a question of an event: without an answer it becomes one of live.js, which asks until there is one. */
  const orCatchUp = (load) => () => load().then((answer) => answer ?? live.refresh());

  /** One question at a time, and one more if it is asked for meanwhile. Its result is null if there was no answer. */
  function oneAtATime(act) {
    let running = null;
    let again = false;
    return () => {
      again = true;
      running ??= (async () => {
        let result = null;
        while (again) {
          again = false;
          result = await act(AbortSignal.timeout(ANSWER_MS)).catch(() => null);
        }
        running = null;
        return result;
      })();
      return running;
    };
  }

  /** At once after a silence; else when there is one, but not later than the longest wait. */
  function gather(act, silenceMs = 500, longestMs = 2000) {
    let timer = null;
    let first = 0;
    let last = -Infinity;
    return () => {
      const now = performance.now();
      const quiet = now - last > silenceMs;
      last = now;
      if (timer === null && quiet) {
        act();
        return;
      }
      if (timer === null)
        first = now;
      clearTimeout(timer);
      timer = setTimeout(() => { timer = null; act(); }, Math.max(0, Math.min(silenceMs, first + longestMs - now)));
    };
  }

  /** Belongs to what the page shows until it is taken down. */
  function useLoader(load) {
    useEffect(() => {
      loaders.add(load);
      load();
      return () => loaders.delete(load);
    }, [load]);
  }

  /**
   * A resource: { value, gone, reload }. An answer that is older than what is shown is thrown away. `busy(value)`: a machine
   * is at work on it.
   */
  function useResource(url, busy = () => false) {
    const [state, setState] = useState({ value: null, gone: 0 });
    const load = useRef(null);
    load.current ??= oneAtATime(async (signal) => {
      askedAt = Date.now();
      const answer = await fetch(url, { headers: { Accept: 'application/json' }, cache: 'no-store', signal });
      const value = answer.ok ? await answer.json() : null;
      if (value)
        setState((shown) => (value.revision < shown.value?.revision ? shown : { value, gone: 0 }));
      else if (answer.status < 500)
        setState((shown) => ({ ...shown, gone: answer.status }));
      return answer;
    });
    const waits = state.value && !state.gone && busy(state.value);
    useLoader(load.current);
    useEffect(() => {
      const timer = waits && setInterval(() => Date.now() - askedAt >= ASK_MS && live.refresh(), 1000);
      return () => clearInterval(timer);
    }, [waits]);
    const reload = useRef(null);
    reload.current ??= gather(orCatchUp(load.current));
    return { ...state, reload: reload.current };
  }

  /** useEcho(), on a channel whose state the badge knows. `heard` stays the same function. */
  function useLive(name, event, heard) {
    useEcho(name, event, heard, [heard]);
    useEffect(() => {
      const channel = { name, kind: 'private' };
      live.add(channel);
      return () => live.leave(channel);
    }, [name]);
  }

  /** The last lines of a log: { lines, heard }. Who is far behind goes on at the end. */
  function useLog(server, name) {
    const [lines, setLines] = useState([]);
    const next = useRef(null); // offset; null: the end, whatever it is
    const load = useRef(null);
    load.current ??= oneAtATime(async (signal) => {
      for (;;) {
        const from = next.current;
        const answer = await fetch(`/api/v1/servers/${server}/log?log=${name}${from === null ? '' : `&from=${from}`}`, { cache: 'no-store', signal });
        if (!answer.ok)
          return answer;
        const piece = await answer.json();
        const others = piece.from > 0 ? ['…'] : [];
        setLines((shown) => [...(piece.from === from ? shown : others), ...piece.text.split('\n').slice(0, -1)].slice(-LOG_LINES));
        next.current = piece.size - piece.next > LOG_BYTES ? null : piece.next;
        if (piece.next >= piece.size)
          return answer;
      }
    });
    useLoader(load.current);
    const heard = useCallback(({ log }) => { if (log === name) orCatchUp(load.current)(); }, [name]);
    return { lines, heard };
  }

  /** A write. What went wrong is said, and stays. */
  async function send(where, fields = {}, method = 'POST') {
    const answer = await fetch(where, {
      method,
      headers: { Accept: 'application/json', 'X-CSRF-Token': document.querySelector('meta[name=csrf-token]').content, ...live.headers() },
      body: method === 'POST' ? new URLSearchParams(fields) : undefined,
    }).catch(() => null);
    if (!answer?.ok)
      toasts.toast('Not done', 'major_outage', { text: answer ? (await answer.json()).error : 'The server does not answer. Please try again.', lasting: true });
    live.refresh(); // the server leaves out this page when it tells the others
    return answer?.ok ? answer : null;
  }

  function setTitle(text) {
    title = text;
    document.title = text;
  }

  window.app = { dataset, send, setTitle, useLive, useLog, useResource };
})();
