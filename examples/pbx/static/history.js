/* Times in the visitor's zone. */
'use strict';

(() => {
  const words = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' });
  for (const time of document.querySelectorAll('time[datetime]')) time.textContent = words.format(new Date(time.dateTime));
})();
