/* The live panel: running calls, who is online, and one's own extension that rings. */
'use strict';

(() => {
  const settings = document.documentElement.dataset;
  const { forget, toast } = window.toasts;
  const list = document.getElementById('calls');
  const box = document.getElementById('calls-box');
  const ROWS = 100;      // in the document, however many there are
  const NAMES = 50;
  const DRAW_MS = 100;   // ten times a second at most
  const csrf = document.querySelector('meta[name="csrf-token"]').content;

  /* What is shown */

  let members = [];
  const calls = new CallList({ changed: () => drawSoon(), ask: () => live?.refresh() });
  const words = { initiated: ['Ringing', 'degraded'], answered: ['Talking', 'operational'] };
  const ends = { completed: 'Ended', no_answer: 'No answer', busy: 'Busy', failed: 'Failed', canceled: 'Given up' };

  function draw() {
    const shown = calls.shown;
    const active = shown.filter((call) => !call.ended_at).length;
    document.getElementById('active').textContent = active;
    document.getElementById('none').hidden = shown.length > 0;
    drawRows(shown);
    drawMembers();
  }

  const title = () => `${calls.calls.size ? `(${calls.calls.size}) ` : ''}Live calls`;

  /** The rows that can be seen, with some above and below; the others are space. */
  function drawRows(shown) {
    const height = list.firstElementChild?.offsetHeight || 48;
    const fit = Math.min(ROWS, Math.ceil(box.clientHeight / height) + 20);
    const first = Math.max(0, Math.min(Math.floor(box.scrollTop / height) - 10, shown.length - fit));
    const visible = shown.slice(first, first + fit);
    while (list.children.length > visible.length) list.lastElementChild.remove();
    while (list.children.length < visible.length) list.append(row.content.cloneNode(true));
    visible.forEach((call, i) => drawRow(list.children[i], call));
    list.style.paddingTop = `${first * height}px`;
    list.style.paddingBottom = `${Math.max(0, shown.length - first - visible.length) * height}px`;
  }

  const row = document.getElementById('row');

  function put(element, text) {
    if (element.textContent !== text)
      element.textContent = text;
  }

  function drawRow(element, call) {
    const [pill, who, by] = element.children;
    const [state, colour] = call.ended_at ? [ends[call.status] ?? 'Ended', 'private'] : words[call.status] ?? words.initiated;
    const extension = calls.extensions.get(call.extension_id);
    element.dataset.call = call.call_id;
    put(pill, state);
    pill.className = `pill ${colour}`;
    put(who, `${call.from_number} → ${call.to_number} (${call.ended_at ? call.duration : calls.seconds(call)} s)`);
    put(by, call.extension_id ? `${extension?.number ?? call.extension_id}${extension?.name ? ` ${extension.name}` : ''}` : '');
  }

  function drawMembers() {
    const sorted = [...members].sort((a, b) => String(a.name).localeCompare(b.name)).slice(0, NAMES);
    put(document.getElementById('online'), `Online: ${members.length} member${members.length === 1 ? '' : 's'}`);
    const place = document.getElementById('members');
    while (place.children.length > sorted.length) place.lastElementChild.remove();
    while (place.children.length < sorted.length) place.append(document.getElementById('member').content.cloneNode(true));
    sorted.forEach((member, i) => {
      const [name, role] = place.children[i].children;
      put(name, member.id === settings.user ? `${member.name} (you)` : String(member.name));
      put(role, member.email ? `${member.role} · ${member.email}` : String(member.role));
    });
    const more = document.getElementById('more');
    more.hidden = members.length <= NAMES;
    put(more, `and ${members.length - NAMES} more`);
  }

  let drawn = 0;
  let timer = null;

  function drawSoon() {
    timer ??= setTimeout(() => {
      timer = null;
      drawn = Date.now();
      draw();
    }, Math.max(0, drawn + DRAW_MS - Date.now()));
  }

  box.addEventListener('scroll', () => requestAnimationFrame(() => drawRows(calls.shown)), { passive: true });
  setInterval(() => {
    drawSoon();
    if (calls.isOdd() && Date.now() % 60000 < 1000)
      live.refresh();
  }, 1000);

  /* One's own extension rings */

  const sound = document.getElementById('sound');
  sound.checked = localStorage.getItem('pbx-sound') !== 'off';
  sound.addEventListener('change', () => localStorage.setItem('pbx-sound', sound.checked ? 'on' : 'off'));

  let audio = null;
  let sounded = 0;

  function beep() {
    if (!sound.checked || !navigator.userActivation?.hasBeenActive || Date.now() - sounded < 500)
      return; // browsers allow no sound before one has pressed something
    sounded = Date.now();
    window.pbx.sounds++;
    audio ??= new AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    volume.gain.value = 0.05;
    tone.frequency.value = 620;
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.4);
  }

  function ring(event) {
    if (calls.ended.has(event.call_id))
      return;
    toast('Your extension rings', 'degraded', { text: event.from_number, subject: event.call_id, lasting: true });
    beep();
    if (document.hidden && window.Notification?.permission === 'granted')
      new Notification('Your extension rings', { body: event.from_number, tag: event.call_id });
  }

  const notify = document.getElementById('notify');
  notify.hidden = !window.Notification || Notification.permission !== 'default';
  notify.addEventListener('click', async () => { notify.hidden = await Notification.requestPermission() !== 'default'; });

  /* Tokens: renewed before they end, by the cookie of the session */

  let token = null;
  let renewal = null;

  async function getToken() {
    if (token && token.until > performance.now() + 1000)
      return token.token;
    const answer = await fetch('/api/v1/token', { method: 'POST', headers: { Accept: 'application/json', 'X-CSRF-Token': csrf } });
    if (answer.status === 401 || answer.status === 403)
      signedOut();
    if (!answer.ok)
      throw new Error('no token');
    token = await answer.json();
    token.until = performance.now() + token.expires_in_s * 1000;
    clearTimeout(renewal);
    renewal = setTimeout(renew, Math.max(1000, (token.expires_in_s - 5) * 1000));
    return token.token;
  }

  function renew() {
    token = null;
    live.reconnect();
  }

  function signedOut() {
    clearTimeout(renewal);
    window.echoService.disconnect();
    document.getElementById('signed-out').hidden = false;
    document.documentElement.classList.add('stale');
  }

  /** A channel is lost: the token is over, or the right. The server says which when it is asked for another token. */
  let refusals = 0;
  async function refused(name, error) {
    refusals++;
    if (refusals < 3 && /expired/.test(error?.error ?? '')) {
      renew();
      return;
    }
    const answer = await fetch('/api/v1/calls?state=active', { headers: { Accept: 'application/json' } }).catch(() => null);
    if (answer?.status === 401)
      signedOut();
    else if (answer?.status === 403)
      location.reload(); // it says why
    else if (answer?.ok && refusals < 3)
      location.reload(); // another organization
    else if (refusals < 4)
      toast('Not all is live', 'major_outage', { text: `${name}: ${error?.error ?? 'refused'}`, lasting: true });
  }

  async function refresh(signal) {
    const answer = await fetch('/api/v1/calls?state=active', { headers: { Accept: 'application/json' }, signal });
    if (answer.status === 401)
      signedOut();
    if (answer.ok && !calls.take(await answer.clone().json()))
      setTimeout(() => live.refresh(), 500); // it was older than what is shown
    if (answer.ok)
      active();
    return answer;
  }

  /** What rang and rings no more. */
  function active() {
    for (const id of rung)
      if (calls.calls.get(id)?.status !== 'initiated') { rung.delete(id); forget(id); }
  }

  const rung = new Set();
  const over = (event) => { rung.delete(event.call_id); forget(event.call_id); };

  const live = window.echoService.connect(getToken, {
    key: settings.key,
    refresh,
    title,
    onState: (state) => { if (state === 'live') refusals = 0; },
    onRefused: refused,
    channels: [{ name: `user.${settings.user}`, kind: 'private', events: { 'call.initiated': (event) => { rung.add(event.call_id); ring(event); } } }],
  });

  let leave = null;

  function mount() {
    const joined = (member, all) => { members = all; drawSoon(); };
    leave = window.echoService.subscribeToOrganization(settings.organization, {
      onCallInitiated: (event) => calls.heard('call.initiated', event),
      onCallAnswered: (event) => { over(event); calls.heard('call.answered', event); },
      onCallEnded: (event) => { over(event); calls.heard('call.ended', event); },
      onMemberJoined: joined,
      onMemberLeft: joined,
    });
  }

  mount();

  /* For scripts of the page, and for tests. */
  window.pbx = {
    live,
    sounds: 0,
    mount,
    unmount: () => leave(),
    calls,
    get activeCalls() { return calls.active; },
    get onlineMembers() { return members; },
    get totalActiveCalls() { return calls.calls.size; },
    get isConnected() { return live.isLive(); },
  };

  document.addEventListener('submit', async (event) => {
    const form = event.target;
    if (!form.action.includes('/demo/'))
      return;
    event.preventDefault();
    const answer = await fetch(form.action, { method: 'POST', headers: { Accept: 'application/json', 'X-CSRF-Token': csrf } }).catch(() => null);
    if (!answer?.ok)
      toast('Not done', 'major_outage', { text: 'The server does not answer. Try again when the page is live.', lasting: true });
  });
})();
