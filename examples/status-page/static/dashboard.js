/*
 * Sends the dashboard's forms without leaving the page. Without scripts they work as forms do.
 */
'use strict';

(() => {
  const { refresh, toast, onReplaced } = window.statusPage;
  const token = document.querySelector('meta[name="csrf-token"]').content;

  async function send(form) {
    const fields = Object.fromEntries(new FormData(form));
    const answer = await fetch(form.action, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': token },
      body: JSON.stringify({ status: fields.status, message: fields.message }),
    });
    if (answer.status === 401)
      location.reload();
    if (!answer.ok)
      throw new Error((await answer.json()).error);
  }

  document.addEventListener('submit', async (event) => {
    const form = event.target;
    if (!form.closest('.change'))
      return;
    event.preventDefault();
    const button = form.querySelector('button');
    button.disabled = true;
    try {
      await send(form);
      form.elements.message.value = '';
      form.closest('details').open = false;
      refresh(); // in case this page is not live at the moment
    } catch (error) {
      toast('Not changed', error.message || 'The server does not answer.', 'major_outage');
    }
    button.disabled = false;
  });

  // Somebody else changed it: the closed form starts from the new status.
  onReplaced((element) => {
    const details = element.closest('.service')?.querySelector('details:not([open])');
    const choice = details?.querySelector(`input[value="${element.dataset.status}"]`);
    if (choice)
      choice.checked = true;
  });
})();
