/* How connections do, and who may what: for admins. */
'use strict';

(async () => {
  const desk = await openDesk();
  const health = document.getElementById('health');
  const people = document.getElementById('people');
  let sent = 0;
  let took = null; // of an event, from this page to this page

  const words = (object) => Object.entries(object).map(([name, count]) => `${name} ${count}`).join(', ') || 'none';

  function showHealth({ connections, subscriptions, denials, limits, replies_throttled: throttled, latency_ms: latency, ticket_questions: questions }) {
    const facts = {
      Connections: `${connections}, with ${subscriptions} subscriptions`,
      'Refused, by reason': words(denials),
      'Refused by limits': words({ ...limits, ...(throttled && { replies: throttled }) }),
      'From publishing to writing': latency.events ? `half below ${latency.p50 ?? 'more'} ms, 99 % below ${latency.p99 ?? 'more'} ms, of ${latency.events} events` : 'nothing was published yet',
      'From this page and back': took === null ? 'not measured yet' : `${took} ms`,
      'Questions about tickets': `${questions.asked}, in ${questions.queries} queries`,
    };
    health.replaceChildren(...Object.entries(facts).flatMap(([name, text]) => [element('dt', { textContent: name }), element('dd', { textContent: text })]));
  }

  function drawPerson(person, offices) {
    const role = element('select', {}, ...['customer', 'agent', 'admin'].map((name) => element('option', { textContent: name, selected: name === person.role })));
    role.setAttribute('aria-label', `Role of ${person.name}`);
    role.addEventListener('change', () => desk.write('PUT', `/users/${person.id}/role`, { role: role.value }).then(showPeople));
    const row = element('li', { className: 'person', id: `p-${person.id}` }, element('b', { textContent: person.name }), role);
    for (const { id, name } of person.role === 'agent' ? offices : []) {
      const box = element('input', { type: 'checkbox', value: id, checked: person.offices.some((one) => one.id === id) });
      box.addEventListener('change', () => desk.write('PUT', `/users/${person.id}/offices`, { offices: [...row.querySelectorAll(':checked[type="checkbox"]')].map(({ value }) => Number(value)) }).then(showPeople));
      row.append(element('label', { className: 'tick' }, box, name));
    }
    if (person.role === 'customer') {
      const box = element('input', { type: 'checkbox', checked: person.private === 1 });
      box.addEventListener('change', () => desk.write('PUT', `/users/${person.id}/privacy`, { private: box.checked }));
      row.append(element('label', { className: 'tick' }, box, 'initials only'));
    }
    return row;
  }

  async function showPeople() {
    const answer = await desk.request('GET', '/users');
    if (!answer?.ok)
      return;
    const { people: all, offices } = await answer.json();
    const focus = document.activeElement.closest('.person')?.id;
    people.replaceChildren(...all.map((person) => drawPerson(person, offices)));
    document.getElementById(focus)?.querySelector('select').focus();
  }

  async function refresh(signal) {
    const answer = await desk.request('GET', '/connections', undefined, signal);
    if (answer?.ok)
      showHealth(await answer.json());
    return answer;
  }

  const live = desk.start({
    channels: [],
    refresh,
    events(name) {
      if (name === 'desk.echo' && sent) {
        took = Math.round(performance.now() - sent);
        sent = 0;
        live.refresh();
      }
    },
  });
  setInterval(() => {
    if (document.hidden || !live.isLive())
      return;
    sent = performance.now();
    desk.request('POST', '/connections/echo');
  }, 3000);
  showPeople();
})();
