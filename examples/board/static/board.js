/* A live board: what another user has done is said, and the page is asked for again. */
'use strict';

(() => {
  const { toast } = window.toasts;
  const parts = liveParts({ changedShape: () => location.reload() });

  const live = startLive({
    key: document.documentElement.dataset.key,
    channels: [{
      name: 'board',
      events: {
        'note.added': ({ name, text, note }) => { toast(`New note from ${name}`, 'operational', { text, subject: note }); live.refresh(); },
        'note.removed': () => live.refresh(),
      },
    }],
    async refresh(signal) {
      const answer = await fetch(location.href, { cache: 'no-cache', signal });
      if (answer.redirected)
        location.reload(); // signed out
      else if (answer.ok)
        parts.replace(await answer.text());
      return answer;
    },
    title: parts.title,
  });

  document.addEventListener('submit', async (event) => {
    if (event.target.action.endsWith('/logout'))
      return;
    event.preventDefault();
    const answer = await fetch(event.target.action, {
      method: 'POST',
      headers: { Accept: 'application/json', ...live.headers() },
      body: new URLSearchParams(new FormData(event.target)),
    }).catch(() => null);
    if (answer?.ok)
      event.target.reset();
    else
      toast('Not changed', 'major_outage', { text: answer ? (await answer.json()).error : 'The server does not answer.', lasting: true });
    live.refresh(); // the server leaves out this page when it tells the others
  });
})();
