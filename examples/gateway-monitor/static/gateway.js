/* One gateway: every reading of it, and replays of what it has read, on a channel of their own. */
'use strict';

(() => {
  const gateway = Number(document.documentElement.dataset.gateway);
  const byId = (id) => document.getElementById(id);
  const points = new Map([...document.querySelectorAll('[data-point]')].map((element) => {
    const value = element.querySelector('.value');
    return [Number(element.dataset.point), { value, line: new Line(element.querySelector('svg'), element.querySelector('.range'), value.lastChild.textContent.trim()) }];
  }));
  let replay = null; // { channel, from, to, speed, at }

  function showValue(id, { value, quality }) {
    const { value: element } = points.get(id);
    element.querySelector('b').textContent = value.toFixed(1);
    element.className = `value ${quality}`;
  }

  function onReading({ reading, data_point: { id } }) {
    if (replay)
      return; // the page shows the past; live goes on when it has ended
    showValue(id, reading);
    points.get(id).line.add([[Date.parse(reading.read_at), reading.value]]);
  }

  function showGateway({ status, success_count: good, failure_count: bad, last_seen_at: seen }) {
    byId('status').textContent = status;
    byId('status').className = `pill ${status}`;
    byId('good').textContent = good;
    byId('bad').textContent = bad;
    if (seen)
      byId('seen').dateTime = seen;
  }

  async function fetchLines() {
    const last = Math.min(...[...points.values()].map(({ line }) => line.last));
    const answer = await fetch(`/api/v1/gateways/${gateway}/readings?from=${Math.max(last, Math.round(live.now()) - 600000)}&points=600`);
    if (!answer.ok || replay)
      return;
    for (const { point, line } of (await answer.json()).lines ?? [])
      points.get(point)?.line.add(line);
  }

  const live = startMonitor({
    channels: [{
      name: `gateway.${gateway}`,
      events: {
        'reading.new': onReading,
        'gateway.status-changed': ({ gateway: changed, current_status: status }) => showGateway({ ...changed, status }),
      },
    }],
    async refresh(signal) {
      const answer = await fetch(`/api/v1/gateways/${gateway}?${fallback()}`, { signal });
      if (!answer.ok) {
        if (answer.status < 500)
          location.reload(); // signed out, or it is not the user's any more
        return answer;
      }
      const all = await answer.json();
      showGateway(all);
      if (!replay)
        all.points.forEach(({ id, value, quality }) => value !== '-' && showValue(id, { value: Number(value), quality }));
      await fetchLines();
      return answer;
    },
  });

  setInterval(() => points.forEach(({ line }) => line.draw(replay ? replay.at : live.now())), 1000);

  /* Replays */

  function clear() {
    points.forEach(({ line }) => line.clear());
    document.body.classList.toggle('replay', Boolean(replay));
    byId('banner').hidden = !replay;
    byId('stop').disabled = byId('seek').disabled = !replay;
    byId('play').textContent = replay ? 'Pause' : 'Play';
  }

  function showPosition() {
    byId('replay-at').textContent = new Date(replay.at).toLocaleTimeString();
    byId('seek').value = Math.round((replay.at - replay.from) / (replay.to - replay.from) * 1000);
  }

  function drop() {
    if (replay?.channel)
      live.leave(replay.channel);
    if (replay)
      replay.channel = null;
  }

  async function start(from, to, at) {
    drop();
    replay = { from, to, at, speed: byId('speed').value };
    clear();
    const mine = replay;
    const answer = await write('POST', `/api/v1/gateways/${gateway}/replay`, { from: at, to, speed: replay.speed });
    if (!answer || replay !== mine) {
      if (replay === mine)
        stop();
      return;
    }
    const { replay: id } = await answer.json();
    mine.channel = {
      name: `replay.${id}`,
      kind: 'private',
      events: {
        'reading.new'({ reading, data_point: { id: point } }) {
          mine.at = Date.parse(reading.read_at);
          showValue(point, reading);
          points.get(point).line.add([[mine.at, reading.value]]);
          showPosition();
        },
        'replay.ended': ({ reason }) => reason !== 'stopped' && replay === mine && stop(),
      },
    };
    live.add(mine.channel);
  }

  function stop() {
    drop();
    replay = null;
    clear();
    live.refresh();
  }

  byId('play').addEventListener('click', async () => {
    if (replay?.channel) { // pause: it stays where it is
      drop();
      byId('play').textContent = 'Go on';
      await write('DELETE', `/api/v1/gateways/${gateway}/replay`);
    } else if (replay) {
      start(replay.from, replay.to, replay.at);
    } else {
      const to = Math.round(live.now());
      start(to - Number(byId('span').value), to, to - Number(byId('span').value));
    }
  });
  byId('stop').addEventListener('click', () => { write('DELETE', `/api/v1/gateways/${gateway}/replay`); stop(); });
  byId('seek').addEventListener('change', ({ target }) => replay && start(replay.from, replay.to, Math.round(replay.from + (replay.to - replay.from) * target.value / 1000)));

  const span = new URLSearchParams(location.search).get('replay');
  if (span)
    start(Date.now() - Number(span), Date.now(), Date.now() - Number(span));
})();
