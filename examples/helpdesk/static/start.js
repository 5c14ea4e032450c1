/* The panel of the demo: what it asks for Mina does. */
'use strict';

(() => {
  const panel = document.getElementById('panel');
  const said = document.getElementById('said');
  let token = null;

  async function request(method, where, body) {
    if (!token) {
      const answer = await fetch('/api/v1/login', { method: 'POST', body: new URLSearchParams({ email: panel.dataset.email, password: panel.dataset.password }) });
      ({ token } = await answer.json());
    }
    return fetch(`/api/v1${where}`, { method, headers: { Authorization: `Bearer ${token}`, Accept: 'application/json', 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
  }

  let priority = 0;
  const acts = {
    async bulk() {
      const { tickets } = await (await request('GET', '/tickets')).json();
      const next = ['high', 'normal', 'urgent', 'low'][priority++ % 4];
      await request('PATCH', '/tickets', { uuids: tickets.slice(0, 500).map(({ uuid }) => uuid), priority: next });
      return `All ${tickets.length} tickets of Mina are ${next}.`;
    },
    async move() {
      await request('POST', '/demo/move-me');
      const { me } = await (await request('GET', '/tickets')).json();
      return `Mina is in ${me.offices.map(({ name }) => name).join(' and ')}. Her own tickets stay hers.`;
    },
    async pace(to) {
      const answer = await request('POST', '/demo/pace', { pace: to });
      return `It is ${(await answer.json()).pace}.`;
    },
  };

  panel?.addEventListener('click', async ({ target }) => {
    if (!target.dataset.act)
      return;
    target.disabled = true;
    said.textContent = await acts[target.dataset.act](target.dataset.to).catch(() => 'The server does not answer.');
    target.disabled = false;
  });
})();
