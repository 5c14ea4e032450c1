/*
 * For pages that the server draws: replaces the parts marked data-live that differ in a fresh copy of the page. So a page
 * with scripts always shows what one without would show.
 *
 *   const parts = liveParts({ changedShape: () => location.reload() });
 *   const response = await fetch(location.href, { cache: 'no-cache' });
 *   parts.replace(await response.text());
 *
 * A part has an id. One that is a list, data-live="list", shows which of its pieces are new; others flash as a whole. Text
 * that is being written into a part, in a <details> with an id, stays.
 */
'use strict';

(() => {
  window.liveParts = ({ changedShape }) => {
    const served = new Map(); // id -> HTML as the server sent it: scripts write into the page
    let title = document.title;

    /** The HTML of a part, and of its pieces if it is a list. */
    function remember(element) {
      const pieces = element.dataset.live === 'list' ? new Set([...element.children].map((piece) => piece.outerHTML)) : null;
      served.set(element.id, { html: element.outerHTML, pieces });
    }

    /** Shows where something is new: the part, or those pieces of a list that were not there. */
    function highlight(element, before) {
      if (!before?.pieces)
        element.classList.add('changed');
      else
        [...element.children].filter((piece) => !before.pieces.has(piece.outerHTML)).forEach((piece) => piece.classList.add('changed'));
    }

    /** Replaces an element, but not what the visitor is about to write into it. */
    function keepWriting(old, element) {
      const focus = old.contains(document.activeElement) ? document.activeElement : null;
      old.replaceWith(element);
      for (const open of old.querySelectorAll('details[open]')) {
        const same = document.getElementById(open.id);
        if (!same)
          continue;
        same.open = true;
        same.querySelector('form')?.replaceWith(open.querySelector('form') ?? '');
      }
      focus?.focus();
    }

    function replace(html) {
      const fresh = new DOMParser().parseFromString(html, 'text/html');
      document.documentElement.dataset.revision = fresh.documentElement.dataset.revision;
      title = fresh.title;
      for (const part of fresh.querySelectorAll('[data-live]')) {
        const old = document.getElementById(part.id);
        if (!old) {
          changedShape();
          return;
        }
        const before = served.get(part.id);
        if (before?.html === part.outerHTML)
          continue;
        const element = document.importNode(part, true);
        remember(element);
        highlight(element, before);
        keepWriting(old, element);
      }
    }

    document.querySelectorAll('[data-live]').forEach(remember);
    return { replace, title: () => title };
  };
})();
