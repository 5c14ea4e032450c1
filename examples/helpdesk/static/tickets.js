/* The list: drawn by the server, then kept by events, and asked for again after them. */
'use strict';

(async () => {
  const list = document.getElementById('tickets');
  const bulk = document.getElementById('bulk');
  const note = document.getElementById('note');
  const form = document.getElementById('new');
  const desk = await openDesk();
  const tickets = new Map(); // by uuid, as they are shown
  const chosen = new Set();
  const subscribed = new Map();
  let drawn = false;

  const describe = ({ office, creator, replies, notes, assigned_to: assigned }) =>
    `${office} · ${creator.name} · ${replies} ${replies === 1 ? 'reply' : 'replies'}${notes ? `, ${notes} ${notes === 1 ? 'note' : 'notes'}` : ''} · ${assigned ? `with ${assigned.name}` : 'with no agent yet'}`;

  function draw(ticket) {
    const row = element('li', { className: 'card ticket', id: `t-${ticket.uuid}` });
    if (bulk) {
      const box = element('input', { type: 'checkbox', checked: chosen.has(ticket.uuid) });
      box.setAttribute('aria-label', `Choose: ${ticket.subject}`);
      box.addEventListener('change', () => { chosen[box.checked ? 'add' : 'delete'](ticket.uuid); showChosen(); });
      row.append(box);
    }
    row.append(
      element('a', { className: 'subject', href: `${desk.base}/${ticket.uuid}`, textContent: ticket.subject }),
      element('span', { className: `pill ${ticket.status}`, textContent: ticket.status }),
      element('span', { className: `pill priority ${ticket.priority}`, textContent: ticket.priority }),
      element('span', { className: 'quiet', textContent: describe(ticket) }),
    );
    return row;
  }

  function showChosen() {
    bulk.hidden = chosen.size === 0;
    document.getElementById('chosen').textContent = chosen.size;
  }

  /** One row; it flashes if it is another than before. */
  function show(ticket) {
    const before = tickets.get(ticket.uuid);
    if (before && before.revision > ticket.revision)
      return;
    tickets.set(ticket.uuid, ticket);
    const old = document.getElementById(`t-${ticket.uuid}`);
    if (old && before && JSON.stringify(before) === JSON.stringify(ticket))
      return;
    const row = draw(ticket);
    if (drawn)
      row.classList.add('changed');
    if (old)
      old.replaceWith(row);
    else
      list.prepend(row);
  }

  function showAll({ tickets: all, me, offices }) {
    desk.me = { ...desk.me, ...me };
    const uuids = new Set(all.map(({ uuid }) => uuid));
    for (const uuid of tickets.keys()) {
      if (!uuids.has(uuid)) {
        tickets.delete(uuid);
        chosen.delete(uuid);
      }
    }
    all.forEach(show);
    for (const row of [...list.children])
      if (!uuids.has(row.id.slice(2))) row.remove();
    // In the order of the answer, moving only what has to.
    all.forEach(({ uuid }, at) => {
      const row = document.getElementById(`t-${uuid}`);
      if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
    });
    drawn = true;
    if (all.length === 0)
      list.append(element('li', { className: 'card quiet', id: 'none', textContent: 'No ticket is here yet.' }));
    document.getElementById('count').textContent = `${all.filter(({ status }) => status === 'open').length} open of ${all.length}`;
    const office = document.getElementById('office');
    if (office.options.length === 0)
      office.append(...offices.map(({ id, name }) => element('option', { value: id, textContent: name })));
    if (bulk)
      showChosen();
    desk.setChannels(wantedChannels(), subscribed);
  }

  /** Of a customer the tickets, of an agent the offices. */
  function wantedChannels() {
    if (desk.me.role === 'customer')
      return [...tickets.keys()].slice(0, 40).map((uuid) => ({ name: `tickets.${uuid}`, kind: 'private' }));
    return (desk.me.offices ?? []).flatMap(({ id }) => [
      { name: `office.${id}`, kind: 'private' },
      { name: `office.${id}`, kind: 'presence', members: (members) => showColleagues(id, members) },
    ]);
  }

  const colleagues = new Map();

  function showColleagues(office, members) {
    colleagues.set(office, members);
    showOnline([...new Map([...colleagues.values()].flat().map((member) => [member.id, member])).values()], desk.me.id);
  }

  async function refresh(signal) {
    const answer = await desk.request('GET', '/tickets', undefined, signal);
    if (answer?.ok)
      showAll(await answer.json());
    return answer;
  }

  /** What an event says is shown at once; the rest is asked for. */
  function patch({ ticket, changes = {}, new_status: status }) {
    const known = tickets.get(ticket?.uuid);
    if (!known)
      return;
    const next = { ...known, subject: ticket.subject, status: status ?? known.status };
    if (changes.priority)
      next.priority = changes.priority.new;
    show(next);
  }

  const later = calmly(400, () => desk.live.refresh());
  let was = null;

  desk.start({
    channels: [],
    refresh,
    events(name, event) {
      patch(event);
      if (name === 'user.updated' && was !== event.role && bulk === null !== (event.role === 'customer'))
        location.reload(); // the page of the other role has other parts
      was = event.role;
      if (!/delivered|read$/.test(name))
        later();
    },
    onRefused: (name) => {
      note.hidden = !name.startsWith('office.');
      note.textContent = 'You no longer have one of your offices: its tickets are gone from this list.';
    },
    title: () => `Tickets (${[...tickets.values()].filter(({ status }) => status === 'open').length} open)`,
  });

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const answer = await desk.write('POST', '/tickets', new FormData(form), form.querySelector('.alert'));
    if (!answer)
      return;
    form.reset();
    location.assign(`${desk.base}/${(await answer.json()).uuid}`);
  });
  bulk?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries([...new FormData(bulk)].filter(([, value]) => value));
    if (await desk.write('PATCH', '/tickets', { uuids: [...chosen], ...fields })) {
      chosen.clear();
      list.querySelectorAll(':checked').forEach((box) => { box.checked = false; });
      showChosen();
      desk.live.refresh();
    }
  });
  document.getElementById('choose-all')?.addEventListener('click', () => {
    list.querySelectorAll('[type="checkbox"]').forEach((box) => { box.checked = true; });
    [...tickets.keys()].forEach((uuid) => chosen.add(uuid));
    showChosen();
  });
  document.getElementById('choose-none')?.addEventListener('click', () => {
    list.querySelectorAll(':checked').forEach((box) => { box.checked = false; });
    chosen.clear();
    showChosen();
  });
})();
