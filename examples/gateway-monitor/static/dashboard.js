/* The dashboard: tiles that follow, the line of a chosen point, which gateways came and went. */
'use strict';

(() => {
  const qualities = ['good', 'bad', 'uncertain'];
  const byId = (id) => document.getElementById(id);
  const tiles = new Map([...document.querySelectorAll('.tile')].map((tile) => [Number(tile.id.slice(2)), { tile, seen: tile.querySelector('.seen'), state: tile.querySelector('.state'), buttons: [...tile.querySelectorAll('button.value')], at: 0 }]));
  const gatewayOf = new Map(); // point -> gateway
  const fresh = new Map(); // point -> [value, quality], to be shown with the next frame of the screen
  for (const [id, { buttons }] of tiles)
    buttons.forEach((button) => gatewayOf.set(Number(button.id.slice(2)), id));
  const line = new Line(byId('line'), byId('chosen-range'));
  let chosen = null; // { point, gateway, channel }
  let revision = 0;

  /* Showing */

  function showFresh() {
    for (const [id, [value, quality]] of fresh) {
      const button = byId(`p-${id}`);
      const number = button.querySelector('b');
      const text = value.toFixed(1);
      if (number.textContent !== text)
        number.textContent = text;
      if (!button.classList.contains(quality))
        button.classList.replace(qualities.find((one) => button.classList.contains(one)), quality);
    }
    fresh.clear();
  }

  function take(id, value, quality) {
    if (!gatewayOf.has(id))
      return;
    if (fresh.size === 0)
      requestAnimationFrame(showFresh);
    fresh.set(id, [value, quality]);
  }

  function showStatus(id, active) {
    const { tile, state } = tiles.get(id) ?? {};
    if (!tile || tile.classList.contains('active') === active)
      return;
    tile.classList.toggle('active', active);
    tile.classList.toggle('inactive', !active);
    state.textContent = active ? 'active' : 'inactive';
    const inactive = document.querySelectorAll('.tile.inactive').length;
    byId('inactive').textContent = inactive;
    byId('active').textContent = tiles.size - inactive;
  }

  setInterval(() => {
    const now = live.now();
    for (const { tile, seen, at } of tiles.values()) {
      if (at && tile.offsetParent)
        seen.textContent = `${Math.max(0, Math.round((now - at) / 1000))} s`;
    }
    line.draw(now);
  }, 1000);

  /* Hearing */

  const isLiveLine = (id) => chosen?.point === id;

  function onBatch({ readings }) {
    for (const { reading, data_point: point } of readings) {
      take(point.id, reading.value, reading.quality);
      const tile = tiles.get(point.gateway_id);
      if (tile)
        tile.at = Date.parse(reading.read_at);
    }
  }

  function onStatus({ gateway, current_status: status, timestamp }) {
    showStatus(gateway.id, status === 'active');
    const item = document.createElement('li');
    const time = Object.assign(document.createElement('time'), { dateTime: timestamp, textContent: 'just now' });
    item.append(`${gateway.name} is ${status} · `, time);
    byId('changes').querySelector('.quiet')?.remove();
    byId('changes').prepend(item);
    [...byId('changes').children].slice(12).forEach((old) => old.remove());
  }

  function show(all) {
    if (all.revision < revision)
      return; // an older answer that came late
    revision = all.revision;
    if (all.gateways.length !== tiles.size) {
      location.reload(); // other gateways, or other sites that one may see
      return;
    }
    for (const [id, active, age, values, states = ''] of all.gateways) {
      const tile = tiles.get(id);
      tile.at = age < 0 ? 0 : all.revision - age * 1000;
      showStatus(id, active === 1);
      tile.buttons.forEach((button, nth) => take(Number(button.id.slice(2)), values[nth], qualities[states[nth] ?? 0]));
    }
    if (all.line && isLiveLine(all.point))
      line.add(all.line);
  }

  const live = startMonitor({
    channels: [
      { name: 'readings', events: { 'reading.batch': onBatch } },
      { name: 'gateways', events: { 'gateway.status-changed': onStatus } },
    ],
    async refresh(signal) {
      const answer = await fetch(`/api/v1/dashboard?point=${chosen?.point ?? 0}&since=${line.last}&${fallback()}`, { signal });
      if (answer.status === 401)
        location.reload(); // signed out
      else if (answer.ok)
        show(await answer.json());
      return answer;
    },
  });

  /* One point: its gateway's channel has every reading. */

  function choose(button) {
    const point = Number(button.id.slice(2));
    const gateway = gatewayOf.get(point);
    if (chosen && chosen.gateway !== gateway)
      live.leave(chosen.channel);
    const channel = chosen?.gateway === gateway ? chosen.channel : {
      name: `gateway.${gateway}`,
      events: { 'reading.new': ({ reading, data_point: { id } }) => isLiveLine(id) && line.add([[Date.parse(reading.read_at), reading.value]]) },
    };
    const isNew = channel !== chosen?.channel;
    document.querySelector('[aria-pressed="true"]')?.setAttribute('aria-pressed', 'false');
    button.setAttribute('aria-pressed', 'true');
    const name = tiles.get(gateway).tile.querySelector('a').textContent;
    byId('chosen').textContent = `${name}: ${button.querySelector('span').textContent}`;
    chosen = { point, gateway, channel };
    line.clear();
    line.unit = button.lastChild.textContent.trim();
    if (byId('replay'))
      byId('replay').href = `/gateways/${gateway}?replay=600000`;
    if (isNew)
      live.add(channel);
    live.refresh();
  }

  document.addEventListener('click', ({ target }) => {
    const button = target.closest('button.value');
    if (button)
      choose(button);
  });

  byId('site').addEventListener('change', ({ target }) => {
    for (const section of document.querySelectorAll('[data-site]'))
      section.hidden = target.value !== '' && section.dataset.site !== target.value;
    if (byId('lose'))
      byId('lose').elements.site.value = target.value || 1;
  });

  /* Asked for by a button, never on load */
  const { Notification } = window;
  byId('notify').hidden = !Notification || Notification.permission !== 'default';
  byId('notify').addEventListener('click', async () => { byId('notify').hidden = (await Notification.requestPermission()) !== 'default'; });

  document.addEventListener('submit', async (event) => {
    if (event.target.action.endsWith('/logout'))
      return;
    event.preventDefault();
    if (await write('POST', event.target.action, new FormData(event.target)))
      live.refresh();
  });

  /* As if a proxy let no WebSocket through, for half a minute */
  byId('block')?.addEventListener('click', ({ target }) => {
    const Real = window.WebSocket;
    window.WebSocket = function Blocked() { return new Real(`ws://${location.hostname}:1/`); };
    live.echo.connector.pusher.connection.connection?.transport.socket.close(4999);
    target.disabled = true;
    setTimeout(() => { window.WebSocket = Real; target.disabled = false; }, 30000);
  });

  const first = document.querySelector('button.value');
  if (first)
    choose(first);
})();
