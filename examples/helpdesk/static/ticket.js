/* One ticket: a conversation that grows in place, who is here, who is writing, and what has arrived. */
'use strict';

(async () => {
  const WHISPER_MS = 2000; // at most one in that time
  const TYPING_MS = 4500; // the server ends it after four seconds; that is for its end being lost
  const { uuid } = document.documentElement.dataset;
  const byId = (id) => document.getElementById(id);
  const list = byId('replies'), form = byId('write'), message = byId('message'), internal = byId('internal');
  const jump = byId('jump'), gone = byId('gone'), typing = byId('typing'), changes = byId('changes');
  const desk = await openDesk();
  const replies = new Map(); // by id
  const marks = new Map(); // by user and kind
  let ticket = { revision: 0 };
  let members = [];
  const delivered = { has: 0, told: 0 }; // the last reply of others
  const read = { has: 0, told: 0 }; // was scrolled into view in a page that is seen

  /* What is written */

  function draw(reply) {
    const row = element('li', { className: `card reply${reply.is_internal ? ' internal' : ''}${reply.user.id === desk.me.id ? ' own' : ''}`, id: `r-${reply.id}` });
    const by = element('p', { className: 'by' }, element('b', { className: 'author', textContent: reply.user.name }));
    by.firstChild.dataset.user = reply.user.id;
    if (reply.is_internal)
      by.append(' ', element('span', { className: 'pill note', textContent: 'internal note' }));
    by.append(' ', element('time', { dateTime: reply.created_at, textContent: Math.abs(Date.now() - Date.parse(reply.created_at)) < 60000 ? 'just now' : reply.created_at }));
    if (reply.user.id === desk.me.id)
      by.append(' ', element('span', { className: 'mark quiet' }));
    row.append(by, element('p', { className: 'words', textContent: reply.message }));
    reply.attachments.forEach(({ filename, size }, place) => row.append(element('p', {},
      desk.bearer ? filename : element('a', { href: `/tickets/${uuid}/files/${reply.id}-${place}`, download: '', textContent: filename }),
      element('span', { className: 'quiet', textContent: ` ${size} bytes` }))));
    return row;
  }

  const isAtEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 160;
  let missed = 0;

  function showJump() {
    jump.hidden = missed === 0;
    jump.textContent = `${missed} new ${missed === 1 ? 'reply' : 'replies'}`;
  }

  const toEnd = () => { missed = 0; showJump(); scrollTo(0, document.documentElement.scrollHeight); }; // not the page around a frame

  /** Once each; later ones stand below. What is written and where one reads stays. */
  function add(reply, fresh) {
    const known = replies.get(reply.id);
    if (known && (!known.truncated || reply.truncated))
      return;
    const atEnd = isAtEnd();
    replies.set(reply.id, reply);
    const row = draw(reply);
    const old = byId(row.id);
    if (old) {
      old.replaceWith(row);
    } else {
      const after = [...list.children].find(({ id }) => Number(id.slice(2)) > reply.id);
      list.insertBefore(row, after ?? null);
    }
    if (fresh && !known) {
      row.classList.add('changed');
      if (atEnd || reply.user.id === desk.me.id) {
        toEnd();
      } else {
        missed++;
        showJump();
      }
    }
    if (reply.user.id !== desk.me.id) {
      delivered.has = Math.max(delivered.has, reply.id);
      seen.observe(row);
    }
    for (const kind of [true, false])
      endTyping(reply.user.id, kind);
  }

  /* Sent, delivered, read */

  function showMarks() {
    for (const [id, reply] of replies) {
      const place = byId(`r-${id}`)?.querySelector('.mark');
      if (!place)
        continue;
      // An answer is for the customer, a note for other agents, what the customer writes for any agent.
      const of = [...marks.values()].filter((mark) => mark.user_id !== desk.me.id && mark.is_internal === reply.is_internal
        && (reply.is_internal || ticket.creator?.id === desk.me.id || mark.user_id === ticket.creator?.id));
      place.textContent = of.some((mark) => mark.read >= id) ? 'read' : of.some((mark) => mark.delivered >= id) ? 'delivered' : 'sent';
    }
  }

  function mark(user, reply, what) {
    const isInternal = replies.get(reply)?.is_internal ?? false;
    const key = `${user} ${isInternal}`;
    const known = marks.get(key) ?? { user_id: user, is_internal: isInternal, delivered: 0, read: 0 };
    known[what] = Math.max(known[what], reply);
    marks.set(key, known);
    showMarks();
  }

  /** Tells the server once. */
  function tellMark(what, mark) {
    if (mark.has > mark.told)
      desk.request('POST', `/tickets/${uuid}/${what}`, { up_to: mark.has });
    mark.told = Math.max(mark.told, mark.has);
  }

  const tellDelivered = calmly(1000, () => tellMark('delivered', delivered));
  const inView = new Set();
  const heard = new Set(); // came as events: the server knows them, and a client event says that they were shown
  const tellRead = calmly(1000, () => {
    if (document.hidden)
      return;
    const news = [...inView].filter((id) => heard.delete(id));
    if (news.length > 0 && desk.live.isLive()) {
      desk.live.echo.private(`tickets.${uuid}`).whisper('read', { id: news.slice(-100) });
      read.told = Math.max(read.told, ...news);
    } else {
      news.forEach((id) => heard.add(id));
    }
    inView.forEach((id) => { if (!heard.has(id)) read.has = Math.max(read.has, id); });
    tellMark('read', read);
  });
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries)
      inView[isIntersecting ? 'add' : 'delete'](Number(target.id.slice(2)));
    tellRead();
  });
  document.addEventListener('visibilitychange', tellRead);

  /* State */

  function showState() {
    const put = (id, text, className) => {
      const place = byId(id);
      if (place.textContent === text)
        return;
      place.textContent = text;
      if (className)
        place.className = `pill ${className}`;
      place.classList.toggle('changed', ticket.shown === true);
    };
    put('subject', ticket.subject);
    put('status', ticket.status, ticket.status);
    put('priority', ticket.priority, `priority ${ticket.priority}`);
    put('office', ticket.office);
    put('assignee', ticket.assigned_to ? `with ${ticket.assigned_to.name}` : 'with no agent yet');
    byId('state').title = ticket.tags ? `Tags: ${ticket.tags}` : '';
    ticket.shown = true;
  }

  function leave(text) {
    gone.textContent = text;
    gone.hidden = false;
    form.classList.add('lost');
    message.readOnly = true; // what was typed can be copied
    form.querySelectorAll('button, [type="file"], [type="checkbox"]').forEach((part) => { part.disabled = true; });
    if (changes)
      changes.parentElement.hidden = true;
    typing.textContent = '';
    byId('online').textContent = '';
  }

  function comeBack() {
    gone.hidden = true;
    form.classList.remove('lost');
    message.readOnly = false;
    form.querySelectorAll('button, [type="file"], [type="checkbox"]').forEach((part) => { part.disabled = false; });
    if (changes)
      changes.parentElement.hidden = false;
  }

  const filled = (id, first, all) => {
    const place = byId(id);
    if (place && all && place.options.length < first + all.length)
      place.append(...all.slice(place.options.length - first).map(({ id: value, name }) => element('option', { value, textContent: name })));
  };

  let first = true;

  async function refresh(signal) {
    const last = Math.max(0, ...[...replies.values()].filter(({ truncated }) => !truncated).map(({ id }) => id));
    const cut = [...replies.values()].filter(({ truncated }) => truncated).map(({ id }) => id - 1);
    const answer = await desk.request('GET', `/tickets/${uuid}?since=${Math.min(last, ...cut)}`, undefined, signal);
    if (answer?.status === 404) {
      leave('You no longer have access to this ticket. What you have typed can still be copied.');
      return answer;
    }
    if (!answer?.ok)
      return answer;
    if (!gone.hidden)
      comeBack();
    const { ticket: next, replies: more, marks: all, me, offices, agents } = await answer.json();
    desk.me = { ...desk.me, ...me };
    if (me.role === 'customer')
      for (const [id, reply] of replies) if (reply.is_internal) { replies.delete(id); byId(`r-${id}`)?.remove(); }
    if (internal)
      internal.closest('label').hidden = me.role === 'customer';
    if (next.revision >= ticket.revision || next.audience !== ticket.audience) {
      ticket = { ...next, shown: ticket.shown };
      showState();
    }
    if (first)
      list.replaceChildren(); // what the server has drawn
    more.forEach((reply) => add(reply, !first));
    if (first)
      toEnd();
    first = false;
    all.forEach(({ user_id: user, is_internal: isInternal, ...to }) => marks.set(`${user} ${isInternal}`, { user_id: user, is_internal: isInternal, ...to }));
    showMarks();
    filled('offices', 1, offices);
    filled('agents', 2, agents);
    tellDelivered();
    return answer;
  }

  /* Writing */

  const writing = new Map(); // who, by id and kind

  function showTyping() {
    const name = (id) => members.find((member) => Number(member.id) === id)?.name ?? 'Another agent';
    const say = (kind, what) => {
      const names = [...new Set([...writing.values()].filter((one) => one.internal === kind).map(({ id }) => name(id)))];
      return names.length ? `${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} writing${what}…` : '';
    };
    typing.textContent = [say(false, ''), say(true, ' an internal note')].filter(Boolean).join(' ');
  }

  function endTyping(id, kind) {
    const key = `${id} ${kind}`;
    clearTimeout(writing.get(key)?.timer);
    if (writing.delete(key))
      showTyping();
  }

  function heardTyping({ ended, internal: kind }, id) {
    endTyping(id, kind);
    // The name is the member's, whatever the event says; a customer writes no notes.
    const customer = members.find((member) => Number(member.id) === id)?.role === 'customer';
    if (ended || id === desk.me.id || (customer && kind))
      return;
    writing.set(`${id} ${kind}`, { id, internal: kind, timer: setTimeout(endTyping, TYPING_MS, id, kind) });
    showTyping();
  }

  const room = { name: `tickets.${uuid}`, kind: 'presence', members: showMembers };
  let said = [0, false];

  function showMembers(all) {
    members = all;
    showOnline(all, desk.me.id);
    const ids = new Set(all.map(({ id }) => Number(id)));
    list.querySelectorAll('.author').forEach((author) => author.classList.toggle('here', ids.has(Number(author.dataset.user))));
    showTyping();
  }

  const whisper = (data) => desk.live.isLive() && desk.live.echo.join(room.name).whisper('typing', data);

  function stopTyping() {
    if (said[0])
      whisper({ typing: false, internal: said[1], ended: true });
    said = [0, false];
  }

  message.addEventListener('input', () => {
    const kind = Boolean(internal?.checked);
    if (!message.value.trim())
      stopTyping();
    else if (Date.now() - said[0] >= WHISPER_MS || kind !== said[1]) {
      if (kind !== said[1])
        stopTyping();
      said = [Date.now(), kind];
      whisper({ typing: true, internal: kind });
    }
  });
  internal?.addEventListener('change', () => { stopTyping(); form.classList.toggle('internal', internal.checked); });

  /* Live */

  desk.start({
    channels: [{ name: `tickets.${uuid}`, kind: 'private' }, room],
    refresh,
    events(name, event, channel) {
      if (name === 'user.updated') {
        desk.live.refresh();
        return;
      }
      if (event.ticket?.uuid !== uuid || !gone.hidden)
        return;
      if (name === 'ticket.reply.created') {
        if (channel === `tickets.${uuid}` && event.reply.user.id !== desk.me.id)
          heard.add(event.reply.id);
        add(event.reply, true);
        showMarks();
        if (event.reply.truncated)
          desk.live.refresh();
      } else if (name === 'ticket.reply.delivered' || name === 'ticket.reply.read') {
        mark(event.user_id, event.reply_id, name.slice('ticket.reply.'.length));
      } else {
        if (event.new_status)
          ticket.status = event.new_status;
        if (event.changes?.priority)
          ticket.priority = event.changes.priority.new;
        showState();
        desk.live.refresh();
      }
    },
    title: () => ticket.subject ?? '',
  });
  desk.live.echo.join(room.name).subscription.bind('client-typing', (data, { user_id: id }) => heardTyping(data, Number(id)));

  /** Also the office's feed, for notifications of other tickets; who it is says the first answer. */
  const offices = new Map();
  const watchOffices = () => desk.setChannels((desk.me.role === 'customer' ? [] : desk.me.offices ?? []).map(({ id }) => ({ name: `office.${id}`, kind: 'private' })), offices);
  desk.live.refresh().then(watchOffices);

  jump.addEventListener('click', toEnd);
  addEventListener('scroll', () => { if (missed && isAtEnd()) { missed = 0; showJump(); } }, { passive: true });

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('.button');
    const fields = new FormData(form);
    stopTyping();
    button.disabled = true;
    const answer = await desk.write('POST', `/tickets/${uuid}/replies`, fields, byId('failed'));
    button.disabled = !gone.hidden;
    if (!answer)
      return;
    form.reset();
    form.classList.remove('internal');
    add((await answer.json()).reply, true);
    showMarks();
    message.focus();
  });
  message.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
      form.requestSubmit();
  });
  changes?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries([...new FormData(changes)].filter(([name, value]) => value && name !== 'csrf'));
    if (await desk.write('PATCH', `/tickets/${uuid}`, fields)) {
      changes.reset();
      byId('change').open = false;
    }
    desk.live.refresh();
  });
})();
