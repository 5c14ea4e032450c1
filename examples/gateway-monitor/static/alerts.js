/* The alerts: drawn by the server, and asked for again at each change. */
'use strict';

(() => {
  const parts = liveParts({ changedShape: () => location.reload() });
  const live = startMonitor({
    channels: [],
    async refresh(signal) {
      const answer = await fetch(location.href, { cache: 'no-cache', signal });
      if (answer.redirected)
        location.reload(); // signed out
      else if (answer.ok)
        parts.replace(await answer.text());
      return answer;
    },
    onAlert: () => live.refresh(),
    title: parts.title,
  });

  document.addEventListener('submit', async (event) => {
    if (event.target.action.endsWith('/logout'))
      return;
    event.preventDefault();
    await write('POST', event.target.action);
    live.refresh();
  });
})();
