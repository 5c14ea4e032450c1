/*
 * What the pages of the monitor share: lines, alerts, and one Echo for each page.
 *
 *   const live = startMonitor({ channels, refresh })   as startLive(); alerts come by themselves
 *   const line = new Line(svg, range)                  of the last ten minutes: line.add([[at, value]]), line.draw(now)
 */
'use strict';

(() => {
  const SPAN_MS = 600000;
  const settings = document.documentElement.dataset;
  const { forget, toast } = window.toasts;

  /** A line by time. What it has already, by its time, is not added again: catching up may bring what was heard. */
  window.Line = class {
    constructor(svg, range, unit = '') {
      this.samples = [];
      this.range = range;
      this.unit = unit;
      this.polyline = svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'polyline'));
    }

    get last() { return this.samples.at(-1)?.[0] ?? 0; }

    add(samples) {
      for (const sample of samples) {
        let at = this.samples.length;
        while (at > 0 && this.samples[at - 1][0] > sample[0]) at--; // as a rule it is the newest
        if (at > 0 && sample[0] - this.samples[at - 1][0] < 100) continue;
        this.samples.splice(at, 0, sample);
      }
    }

    clear() { this.samples = []; }

    draw(now = Date.now()) {
      let first = 0;
      while (first < this.samples.length && this.samples[first][0] < now - SPAN_MS) first++;
      this.samples.splice(0, first);
      const values = this.samples.map(([, value]) => value);
      const low = Math.min(...values), high = Math.max(...values), size = high - low || 1;
      const span = Math.min(SPAN_MS, Math.max(60000, now - this.samples[0]?.[0])); // a young line fills the width, too
      this.polyline.setAttribute('points', this.samples.map(([at, value]) =>
        `${(600 - (now - at) / span * 600).toFixed(1)},${(130 - (value - low) / size * 120).toFixed(1)}`).join(' '));
      this.range.textContent = values.length ? `${low.toFixed(1)} to ${high.toFixed(1)} ${this.unit}, ${values.length} values` : 'No values yet';
    }
  };

  /* Alerts */

  let openAlerts = 0;

  /** One for each alert over all tabs, if it would not be seen otherwise. */
  function notify({ alert, gateway, data_point: { label, unit } }) {
    const text = `${label} ${alert.value} ${unit}, above ${alert.limit} ${unit}`;
    openAlerts++;
    toast(`Alert: ${gateway.name}`, 'major_outage', { text, subject: `alert-${alert.id}`, lasting: true });
    if (document.hidden && window.Notification?.permission === 'granted')
      new Notification(gateway.name, { body: text, tag: `alert-${alert.id}` });
  }

  window.startMonitor = ({ channels, refresh, onAlert = () => {}, title, ...more }) => {
    const drawn = document.title;
    const live = startLive({
      key: settings.key,
      keepAsking: true,
      resume: true,
      eventId: ({ event_id: id, timestamp, reading }) => id ?? (reading && `${reading.id} ${timestamp}`),
      ...more,
      channels: [...channels, {
        name: `user.${settings.user}`,
        kind: 'private',
        events: {
          'gateway.alert': (event) => { notify(event); onAlert(event); },
          'gateway.alert-closed': (event) => { forget(`alert-${event.alert.id}`); openAlerts = Math.max(0, openAlerts - 1); onAlert(event); },
        },
      }],
      refresh,
      title: () => `${openAlerts ? `(${openAlerts}) ` : ''}${title?.() ?? drawn}`,
    });
    if (new URLSearchParams(location.search).has('debug'))
      live.echo.connector.pusher.connection.bind('state_change', ({ previous, current }) => console.info(`gateway monitor: ${previous} -> ${current}`));
    window.gatewayMonitor = { live };
    return live;
  };

  /** For requests in place of events: which page this is, and how soon it asks again; 0 while it is live. */
  const page = Math.ceil(Math.random() * 1e9);
  let asked = 0;
  window.fallback = () => {
    asked = window.gatewayMonitor?.live.isLive() ? 0 : asked + 1;
    return `page=${page}&fallback=${asked && [5, 10, 30][Math.min(asked, 2)]}`;
  };

  /** A write by a script. True if it was done. */
  window.write = async (method, where, fields = {}) => {
    const answer = await fetch(where, {
      method,
      headers: { Accept: 'application/json', 'X-CSRF-Token': document.querySelector('meta[name="csrf-token"]').content },
      body: new URLSearchParams(fields),
    }).catch(() => null);
    if (!answer?.ok)
      toast('Not done', 'major_outage', { text: answer ? (await answer.json()).error : 'The server does not answer. Try again when the page is live.', lasting: true });
    return answer?.ok ? answer : null;
  };
})();
