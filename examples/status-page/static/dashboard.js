/*
 * What a dashboard has beside a live page: its forms are sent without leaving it, and it shows who else is here. Without
 * scripts the forms work as forms do.
 */
'use strict';

(() => {
  const { add, forget, isLive, refresh, toast } = window.statusPage;
  const settings = document.documentElement.dataset;

  /* Forms */

  async function send(form, button) {
    const fields = new URLSearchParams(new FormData(form));
    if (button?.name)
      fields.set(button.name, button.value);
    for (const time of form.querySelectorAll('[data-local]'))
      fields.set(time.name, new Date(time.value).toISOString().slice(0, 19));
    let answer;
    try {
      answer = await fetch(form.action, { method: 'POST', headers: { Accept: 'application/json' }, body: fields });
    } catch {
      throw new Error('The server does not answer. When the page is live again, look whether it was saved, and try once more.');
    }
    if (answer.status === 401)
      location.reload();
    const said = await answer.json().catch(() => ({ error: `The server answers with ${answer.status}. Please try again.` }));
    if (!answer.ok)
      throw new Error(said.error);
    return said;
  }

  function sent({ changed }) {
    forget('form');
    if (!changed)
      toast('Nothing to change', 'operational', { text: 'It is like that already.', subject: 'form' });
    else if (!isLive()) // else the event says so
      toast('Saved', 'operational', { subject: 'form' });
  }

  document.addEventListener('submit', async (event) => {
    const form = event.target;
    if (!form.closest('.change'))
      return;
    event.preventDefault();
    const button = event.submitter ?? form.querySelector('button');
    button.disabled = true;
    try {
      sent(await send(form, button));
      form.reset();
      form.querySelectorAll('[data-local]').forEach((time) => delete time.dataset.local);
      const details = form.closest('details');
      if (details)
        details.open = false;
      refresh(); // in case this page is not live at the moment
    } catch (error) {
      toast('Not changed', 'major_outage', { text: error.message, subject: 'form', lasting: true });
    }
    button.disabled = false;
  });

  /* Times are entered in the zone in which they are shown: the visitor's. The server wants UTC. */

  const zone = new Intl.DateTimeFormat('en', { timeZoneName: 'short' }).formatToParts().find(({ type }) => type === 'timeZoneName').value;

  function localTime(time) {
    const date = time.dataset.utc ? new Date(`${time.dataset.utc}Z`) : new Date(Date.now() + 3600000); // in an hour
    time.value = new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
    time.dataset.local = '';
  }

  // A form that is opened starts from now: the state that the page shows, and in an hour.
  document.addEventListener('toggle', ({ target }) => {
    if (!target.open)
      return;
    target.querySelectorAll('[name="starts_at"]:not([data-local])').forEach(localTime);
    for (const label of target.querySelectorAll('.zone'))
      label.textContent = `(your time, ${zone})`;
    const state = target.closest('.service')?.querySelector('[data-status]')?.dataset.status;
    const choice = state && target.querySelector(`input[value="${state}"]`);
    if (choice)
      choice.checked = true;
  }, true);

  /* Who is here */

  const faces = document.getElementById('faces');

  function face({ id, name, role }) {
    const element = document.createElement('li');
    const initials = document.createElement('b');
    initials.textContent = name.split(' ').map((word) => word[0]).join('').slice(0, 2).toUpperCase();
    initials.setAttribute('aria-hidden', 'true');
    element.append(initials, `${name}${String(id) === settings.user ? ' (you)' : ''} `, Object.assign(document.createElement('span'), { className: 'quiet', textContent: role }));
    return element;
  }

  add({
    name: settings.channel,
    kind: 'presence',
    members(all) {
      faces.replaceChildren(...all.map(face));
      document.getElementById('online').hidden = all.length === 0;
    },
  });
})();
