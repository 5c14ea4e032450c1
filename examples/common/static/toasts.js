/*
 * Toasts: short notes about what has happened. A few at most; one about the same subject takes the place of the older one;
 * they wait while a visitor points at them or reads them with the keyboard; and they keep off what one wants to press.
 */
'use strict';

(() => {
  const STAY_MS = 6000;
  const FADE_MS = 500;
  const phone = matchMedia('(max-width: 36rem)');
  const corners = ['', 'top', 'left', 'top left'];
  const box = document.getElementById('toasts');
  const more = Object.assign(document.createElement('p'), { className: 'more' });
  let shown = []; // oldest first: { element, subject, lasting, timer }
  let missed = 0;

  /* Where: the corner in which they cover no button and not what is being written */

  function covered() {
    const ours = box.getBoundingClientRect();
    const others = document.querySelectorAll('button, .button, #connection, :focus');
    return [...others].filter((other) => {
      const theirs = other.getBoundingClientRect();
      return !box.contains(other) && other.checkVisibility() && theirs.bottom > ours.top && theirs.top < ours.bottom
        && theirs.right > ours.left && theirs.left < ours.right;
    }).length;
  }

  function place() {
    if (shown.length === 0)
      return;
    if (covered() === 0)
      return;
    const tries = corners.map((corner) => {
      box.className = `toasts ${corner}`;
      return [covered(), corner];
    });
    const [least, corner] = tries.reduce((best, next) => (next[0] < best[0] ? next : best));
    box.className = `toasts ${corner}`;
    const oldest = shown.find(({ lasting }) => !lasting);
    if (least > 0 && shown.length > 1 && oldest) { // no room for so many
      drop(oldest);
      missed++;
      tidy();
    }
  }

  /* How many, and how long */

  function drop(toast) {
    clearTimeout(toast.timer);
    toast.element.remove();
    shown = shown.filter((one) => one !== toast);
    if (shown.length === 0) {
      missed = 0;
      box.className = 'toasts';
    }
  }

  function tidy() {
    while (shown.length > (phone.matches ? 2 : 4)) {
      drop(shown.find(({ lasting }) => !lasting) ?? shown[0]);
      missed++;
    }
    more.textContent = `and ${missed} more`;
    if (missed > 0)
      box.append(more);
    else
      more.remove();
    place();
  }

  function fade(toast) {
    toast.element.classList.add('gone');
    toast.timer = setTimeout(() => { drop(toast); tidy(); }, FADE_MS);
  }

  function run(toast) {
    clearTimeout(toast.timer);
    toast.element.classList.remove('gone');
    if (!toast.lasting && !box.matches(':hover, :focus-within'))
      toast.timer = setTimeout(fade, STAY_MS, toast);
  }

  for (const type of ['pointerenter', 'pointerleave', 'focusin', 'focusout'])
    box.addEventListener(type, () => setTimeout(() => shown.forEach(run)));
  for (const type of ['scroll', 'resize', 'focusin', 'toggle'])
    addEventListener(type, () => requestAnimationFrame(place), { capture: true, passive: true });

  new ResizeObserver(place).observe(document.querySelector('main')); // parts of the page come and go

  /** `subject`: what it is about; `lasting`: it stays until it is closed; `href`: where it leads. */
  function toast(title, kind, { text = '', subject = null, lasting = false, href = null } = {}) {
    const element = Object.assign(document.createElement('div'), { className: `toast ${kind}` });
    const close = Object.assign(document.createElement('button'), { className: 'close', type: 'button', textContent: '×' });
    close.setAttribute('aria-label', `Close: ${title}`);
    const what = href ? Object.assign(document.createElement('a'), { href, textContent: title }) : title;
    const strong = document.createElement('strong');
    strong.append(what);
    element.append(strong, close);
    if (text)
      element.append(Object.assign(document.createElement('p'), { textContent: text }));
    if (lasting)
      element.setAttribute('role', 'alert');
    const same = subject && shown.find((one) => one.subject === subject);
    if (same)
      drop(same);
    const next = { element, subject, lasting, timer: null };
    close.addEventListener('click', () => { drop(next); tidy(); });
    shown.push(next);
    box.append(element);
    run(next);
    tidy();
  }

  /** What it was about is settled. */
  function forget(subject) {
    shown.filter((one) => one.subject === subject).forEach(drop);
    tidy();
  }

  window.toasts = { forget, toast };
})();
