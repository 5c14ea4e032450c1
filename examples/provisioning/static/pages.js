/* The pages. Each shows one resource and asks for it again when its channel says so. */
'use strict';

(() => {
  const { createElement: h, Fragment, useCallback, useEffect, useLayoutEffect, useRef, useState } = React;
  const { dataset, send, setTitle, useLive, useLog, useResource } = app;
  const id = Number(dataset.id);
  const STAY_MS = 1000;
  const LAST_LINES = 20;

  const words = { pending: 'Waiting', installing: 'Being set up', completed: 'Ready', failed: 'Failed' };
  const colours = { pending: 'private', installing: 'maintenance', completed: 'operational', failed: 'major_outage' };
  const marks = { pending: '', installing: '◌ ', completed: '', failed: '● Failed: ' };
  const isBusy = ({ provision_status: status }) => status === 'pending' || status === 'installing';
  const pill = (status) => h('span', { className: `pill ${colours[status]}` }, words[status]);

  function useTitle(text) {
    useEffect(() => setTitle(text), [text]);
  }

  /** Loading, refused, or there. */
  function Shown({ of: { value, gone }, children }) {
    if (gone)
      return h('p', { className: 'card alert', role: 'alert' }, gone === 401 ? 'You are signed out. ' : 'This is not here any more, or not yours. ',
        h('a', { href: gone === 401 ? '/login' : '/servers' }, gone === 401 ? 'Sign in' : 'To your servers'));
    return value ? children(value) : h('p', { className: 'card quiet' }, 'One moment…');
  }

  /** One field and a button. */
  function Form({ to, label, button, name = 'name', done }) {
    async function submit(event) {
      event.preventDefault();
      const form = event.target;
      const answer = await send(to, Object.fromEntries(new FormData(form)));
      if (!answer)
        return;
      form.reset();
      done?.(answer);
    }
    return h('form', { className: 'send', onSubmit: submit },
      h('label', null, label, h('input', { name, type: name === 'email' ? 'email' : 'text', maxLength: 500, required: true, autoComplete: 'off' })),
      h('button', { className: 'button' }, button));
  }

  function Log({ server, name }) {
    const { lines, heard } = useLog(server, name);
    useLive(`servers.${server}.logs`, 'ServerLogAppended', heard);
    const box = useRef(null);
    const atEnd = useRef(true); // who reads further up is left there
    useLayoutEffect(() => { if (atEnd.current) box.current.scrollTop = box.current.scrollHeight; }, [lines]);
    const onScroll = ({ target }) => { atEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 40; };
    return h('pre', { className: 'log', tabIndex: 0, 'aria-label': 'Log', ref: box, onScroll, id: 'log' }, lines.length ? lines.join('\n') : 'Nothing yet.');
  }

  /* The list */

  function Row({ server, reload }) {
    useLive(`servers.${server.id}.provision`, 'ServerProvisionUpdated', reload);
    const { id: number, name, provision_status: status, done } = server;
    return h('li', { className: 'card row' },
      h('a', { href: `/servers/${number}${status === 'completed' ? '' : '/provisioning'}` }, name),
      isBusy(server) && h('progress', { max: 10, value: done, 'aria-label': `${name}: ${done} of 10 steps` }),
      pill(status));
  }

  function Servers() {
    const list = useResource('/api/v1/servers', ({ servers }) => servers.some(isBusy));
    const [ordered, setOrdered] = useState(null);
    useLive(`users.${id}.servers`, 'ServersUpdated', list.reload);
    const busy = list.value?.servers.filter(isBusy).length ?? 0;
    useTitle(busy ? `(${busy}) Servers` : 'Servers');
    const remember = useCallback(async (answer) => setOrdered(await answer.json()), []);
    return h(Fragment, null,
      h('h1', null, 'Servers'),
      h('section', { className: 'card' }, h(Form, { to: '/api/v1/servers', label: 'Name of a new server', button: 'Order it', done: remember })),
      ordered && h('section', { className: 'card lone', role: 'status' },
        h('p', null, 'It is ordered. The token of its machine is shown this once: ', h('code', null, ordered.token)),
        h('p', null, h('a', { className: 'button second', href: `/servers/${ordered.id}/provisioning` }, 'Watch it'))),
      h(Shown, { of: list }, ({ servers }) => (servers.length
        ? h('ul', { id: 'servers', 'data-live': '' }, servers.map((server) => h(Row, { key: server.id, server, reload: list.reload })))
        : h('p', { className: 'card quiet' }, 'You have no server yet.'))));
  }

  /* One that is set up */

  function Step({ step: { step, name, status } }) {
    const state = Object.keys(status).find((key) => status[key]);
    const word = { isPending: 'waiting', isInstalling: 'in progress', isCompleted: 'done', isFailed: 'failed' }[state];
    return h('li', { className: `step ${state}`, 'aria-current': state === 'isInstalling' ? 'step' : undefined, 'data-step': step },
      h('span', null, name), h('span', { className: 'quiet' }, word));
  }

  function Completed({ server }) {
    const [stays, setStays] = useState(false);
    useEffect(() => {
      const timer = stays ? null : setTimeout(() => location.assign(`/servers/${server.id}`), STAY_MS);
      return () => clearTimeout(timer);
    }, [stays]);
    return h('section', { className: 'card lone', role: 'status' },
      h('p', null, 'It is ready. ', h('a', { href: `/servers/${server.id}` }, 'To the server')),
      !stays && h('p', null, h('button', { className: 'button second', onClick: () => setStays(true) }, 'Stay here')));
  }

  function Failed({ server }) {
    const { lines } = useLog(server.id, 'provision');
    const { name } = server.steps.find(({ status }) => status.isFailed);
    return h('section', { className: 'card lone', role: 'alert' },
      h('p', { className: 'alert' }, h('strong', null, `“${name}” failed. `), server.error),
      h('pre', { className: 'last', tabIndex: 0, 'aria-label': 'Last lines' }, lines.slice(-LAST_LINES).join('\n')),
      h('p', null, h('button', { className: 'button', onClick: () => send(`/api/v1/servers/${server.id}/retry`) }, 'Try again')));
  }

  function Provisioning() {
    const server = useResource(`/api/v1/servers/${id}`, isBusy);
    useLive(`servers.${id}.provision`, 'ServerProvisionUpdated', server.reload);
    const { name = 'Server', provision_status: status = 'pending' } = server.value ?? {};
    useTitle(marks[status] + name);
    return h(Shown, { of: server }, (value) => h(Fragment, null,
      h('h1', { className: 'row' }, h('span', null, name), pill(status)),
      status === 'failed' && h(Failed, { key: value.revision, server: value }),
      status === 'completed' && h(Completed, { server: value }),
      h('ol', { className: 'card provision', 'data-live': '', id: 'provision' }, value.steps.map((step) => h(Step, { key: step.step, step }))),
      h('details', { className: 'card', id: 'details', open: true }, h('summary', null, 'Log'), h(Log, { server: id, name: 'provision' }))));
  }

  /* One that is ready */

  /** The event has all of it: nothing is asked for. */
  function Task({ task }) {
    const [done, setDone] = useState(null);
    const heard = useCallback(({ task: whole }) => setDone(whole), []);
    useLive(`tasks.${task.id}`, 'TaskCompletedEvent', heard);
    const at = done && new Date(done.completed_at).toLocaleTimeString();
    return h('li', { className: 'row', 'data-task': task.id }, h('span', null, done?.name ?? task.name), h('span', { className: 'quiet' }, done ? `done at ${at}` : 'runs'));
  }

  function Server() {
    const server = useResource(`/api/v1/servers/${id}`, isBusy);
    useLive(`servers.${id}.provision`, 'ServerProvisionUpdated', server.reload);
    useTitle(server.value?.name ?? 'Server');
    const link = (href, text) => h('a', { className: 'button second', href }, text);
    return h(Shown, { of: server }, ({ name, provision_status: status, sites, tasks }) => h(Fragment, null,
      h('h1', { className: 'row' }, h('span', null, name), pill(status)),
      h('p', { className: 'actions' }, link(`/servers/${id}/packages`, 'Packages'), link(`/servers/${id}/databases`, 'Databases'),
        sites.map((site) => h(Fragment, { key: site.id }, link(`/sites/${site.id}/deployment`, `Deploy ${site.name}`))),
        link(`/servers/${id}/provisioning`, 'How it was set up')),
      h('section', { className: 'card' }, h('h2', null, 'Tasks'),
        h(Form, { to: `/api/v1/servers/${id}/tasks`, label: 'New task', button: 'Run it' }),
        h('ul', { id: 'tasks' }, tasks.map((task) => (task.completed
          ? h('li', { className: 'row', key: task.id, 'data-task': task.id }, h('span', null, task.name), h('span', { className: 'quiet' }, 'done'))
          : h(Task, { key: task.id, task }))))),
      h('details', { className: 'card change', id: 'owner' }, h('summary', null, 'Hand it over'),
        h('p', null, 'You lose it at once.'),
        h(Form, { to: `/api/v1/servers/${id}/owner`, label: 'E-mail address of its new owner', button: 'Hand it over', name: 'email' })),
      h('details', { className: 'card change', id: 'remove' }, h('summary', null, 'Remove it'),
        h('p', null, h('button', { className: 'button danger', onClick: async () => await send(`/api/v1/servers/${id}`, {}, 'DELETE') && location.assign('/servers') }, `Yes, remove ${name}`)))));
  }

  /* Packages, databases, deployments */

  const kinds = {
    packages: { of: 'servers', event: 'ServerPackageUpdated', heading: 'Packages', label: 'Package', button: 'Install it' },
    databases: { of: 'servers', event: 'ServerDatabaseUpdated', heading: 'Databases', label: 'Database', button: 'Create it' },
    deployment: { of: 'sites', event: 'SiteDeploymentUpdated', heading: 'Deployments', button: 'Deploy' },
  };

  function Works({ page }) {
    const { of, event, heading, label, button } = kinds[page];
    const works = useResource(`/api/v1/${of}/${id}/${page}`, (value) => value.works.some(({ progress }) => progress < 100));
    useLive(`${of}.${id}.${page}`, event, works.reload);
    useTitle(works.value ? `${heading}: ${works.value.name}` : heading);
    return h(Shown, { of: works }, ({ name, server, server_id: number, works: list }) => h(Fragment, null,
      h('h1', null, `${heading}: ${name}`),
      h('p', null, h('a', { href: `/servers/${number}` }, `Back to ${server}`)),
      h('section', { className: 'card' }, label
        ? h(Form, { to: `/api/v1/${of}/${id}/${page}`, label, button })
        : h('button', { className: 'button', onClick: () => send(`/api/v1/${of}/${id}/${page}`) }, button)),
      h('ul', { id: 'works', className: 'card', 'data-live': '' }, list.length === 0 && h('li', { className: 'quiet' }, 'Nothing yet.'),
        list.map((work) => h('li', { key: work.id, className: 'row', 'data-progress': work.progress },
          h('span', null, work.name), h('progress', { max: 100, value: work.progress, 'aria-label': work.name }), h('span', { className: 'quiet' }, work.progress < 100 ? `${work.progress} %` : 'done')))),
      page === 'deployment' && h('section', { className: 'card' }, h('h2', null, 'Log'), h(Log, { server: number, name: 'deployment' }))));
  }

  const pages = { servers: Servers, server: Server, provisioning: Provisioning };
  ReactDOM.createRoot(document.getElementById('app')).render(
    h(React.StrictMode, null, h(pages[dataset.page] ?? Works, { page: dataset.page })));
})();
