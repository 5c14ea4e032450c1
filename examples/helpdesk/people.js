'use strict';
// The people of the help desk's demo: customers who write, agents who take, type, leave notes and solve. With stock Laravel
// Echo on stock pusher-js and the program's own API.
//
//   tools/node examples/helpdesk/people.js URL [--speed 1] [--seed 1] [--node-modules DIR]
//
// Ends when the program does, or its parent.

const path = require('node:path');
const { pathToFileURL } = require('node:url');

const options = { url: process.argv[2], speed: '1', seed: '1', 'node-modules': path.join(__dirname, '../status-page/node_modules') };
for (let i = 3; i < process.argv.length; i += 2) options[process.argv[i].slice(2)] = process.argv[i + 1];

const PusherClient = require(path.resolve(options['node-modules'], 'pusher-js'));
let Echo; // a module: main() imports it

const AGENTS = ['mina', 'noah', 'lena', 'otto'];
const CUSTOMERS = ['theo', 'ruth', 'ivan', 'zoe', 'karl', 'emma', 'felix', 'nora', 'hugo', 'clara', 'jonas', 'alma'];
const SHOWN = '00000000-0000-4000-8000-000000000001'; // Theo's, with Mina: the start page has it
const PACES = { calm: 0.4, busy: 1, storm: 5 };

const SUBJECTS = ['Invoice is missing a line', 'The app asks for a code', 'Refund has not arrived', 'Upload stops at 80 %', 'New address for our company', 'Report shows last year'];
const QUESTIONS = ['It still does not work. What can I do?', 'Thank you, that helped a little.', 'Here is what I see since yesterday.', 'Could you have another look?', 'That was it. One more thing, though.'];
const ANSWERS = ['I have corrected that. Please load the page again.', 'Can you tell me which browser you use?', 'It will be in your account tomorrow.', 'Our engineers have found the cause.', 'I have sent you a new document.'];
const NOTES = ['Same cause as last week, do not promise a date yet.', 'The account has two open invoices.', 'Ask the engineers before answering.'];

// Repeatable: mulberry32.
let state = Number(options.seed) >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let x = Math.imul(state ^ (state >>> 15), state | 1);
  x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
  return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
}
const pick = (list) => list[Math.floor(random() * list.length)];

let pace = 1;
const pause = (seconds) => new Promise((resolve) => { setTimeout(resolve, (seconds * 1000) / pace / Number(options.speed)); });
const real = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

class Person {
  constructor(name) {
    this.name = name;
    this.rooms = new Map();
    this.left = 0; // replies that may be written in this minute
  }

  async api(method, where, body) {
    const answer = await fetch(`${options.url}/api/v1${where}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json', ...(this.echo?.socketId() && { 'X-Socket-ID': this.echo.socketId() }) },
      body: body && JSON.stringify(body),
    });
    return answer.ok ? answer.json().catch(() => ({})) : null;
  }

  async signIn(key) {
    const answer = await fetch(`${options.url}/api/v1/login`, { method: 'POST', body: new URLSearchParams({ email: `${this.name}@desk.example`, password: `${this.name}-demo` }) });
    if (!answer.ok)
      throw new Error(`${this.name} cannot sign in: is this a demo?`);
    const { token, user } = await answer.json();
    this.token = token;
    this.id = Number(user.id);
    const { hostname, port } = new URL(options.url);
    this.echo = new Echo({
      broadcaster: 'reverb', key, Pusher: PusherClient, wsHost: hostname, wsPort: port, wssPort: port, forceTLS: false, enabledTransports: ['ws'],
      userAuthentication: {
        customHandler: ({ socketId }, done) => fetch(`${options.url}/broadcasting/user-auth`, { method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: new URLSearchParams({ socket_id: socketId }) })
          .then((signed) => signed.json()).then((signed) => done(null, signed), (error) => done(error, null)),
      },
      authorizer: () => ({ authorize: (_, done) => done(null, { auth: '', channel_data: JSON.stringify({ user_id: String(this.id) }) }) }),
    });
    this.echo.connector.pusher.signin();
    this.heard = [];
    this.echo.private(`user.${this.id}`).listen('.ticket.reply.created', (event) => { if (event.reply.user.id !== this.id) this.heard.push(event); });
  }

  /** Is seen there, types for a while, and writes. */
  async write(uuid, message, internal = false) {
    const name = `tickets.${uuid}`;
    const room = this.echo.join(name);
    await real(300);
    const seconds = 2 + random() * 4;
    for (let typed = 0; typed < seconds; typed += 2) {
      if (random() > 0.2) // or thinks
        room.whisper('typing', { typing: true, internal });
      await pause(2);
    }
    await this.api('POST', `/tickets/${uuid}/replies`, { message, internal });
    if (uuid !== SHOWN)
      this.echo.leave(name);
  }
}

const forever = async (act) => {
  for (;;) {
    try {
      await act();
    } catch {
      await real(1000); // the program is away
    }
  }
};

/** The ticket of the start page is never quiet for long. */
async function showTicket(theo, mina) {
  let turn = 0;
  await forever(async () => {
    const { ticket } = await mina.api('GET', `/tickets/${SHOWN}?since=999999999`) ?? {};
    if (ticket && ticket.status === 'closed')
      await mina.api('PATCH', `/tickets/${SHOWN}`, { status: 'open' });
    if (turn % 3 === 1)
      await mina.write(SHOWN, pick(NOTES), true);
    await (turn % 2 ? theo.write(SHOWN, pick(QUESTIONS)) : mina.write(SHOWN, pick(ANSWERS)));
    turn++;
    await pause(2 + random() * 2);
  });
}

async function customersOpen(customers) {
  await forever(async () => {
    await pause(4 + random() * 11);
    await pick(customers).api('POST', '/tickets', { subject: pick(SUBJECTS), message: pick(QUESTIONS), office_id: 1 + Math.floor(random() * 2) });
  });
}

async function customerAnswers(customer) {
  await forever(async () => {
    await pause(5 + random() * 15);
    const event = customer.heard.pop();
    customer.heard = [];
    if (event && event.ticket.uuid !== SHOWN)
      await customer.write(event.ticket.uuid, pick(QUESTIONS));
  });
}

async function agentWorks(agent) {
  let done = 0;
  await forever(async () => {
    await pause(2 + random() * 4);
    const { tickets, me } = await agent.api('GET', '/tickets') ?? { tickets: [], me: { offices: [] } };
    const offices = me.offices.map(({ id }) => id);
    const mine = tickets.filter((one) => one.uuid !== SHOWN && one.status === 'open' && offices.includes(one.office_id));
    const ticket = mine.find((one) => !one.assigned_to) ?? pick(mine.slice(0, 8));
    if (!ticket)
      return;
    if (ticket.assigned_to?.id !== agent.id)
      await agent.api('PATCH', `/tickets/${ticket.uuid}`, { assigned_to_id: agent.id, ...(random() < 0.3 && { priority: pick(['low', 'high', 'urgent']) }) });
    if (++done % 3 === 0)
      await agent.write(ticket.uuid, pick(NOTES), true);
    await agent.write(ticket.uuid, pick(ANSWERS));
    await agent.api('PATCH', `/tickets/${ticket.uuid}`, { status: random() < 0.4 ? 'solved' : 'pending' });
  });
}

async function moveSomeone(agents) {
  await forever(async () => {
    await pause(60);
    await pick(agents).api('POST', '/demo/move-me');
  });
}

async function main() {
  ({ default: Echo } = await import(pathToFileURL(path.resolve(options['node-modules'], 'laravel-echo/dist/echo.js'))));
  let page = null;
  for (let tries = 0; tries < 300 && !page?.ok; tries++) {
    page = await fetch(`${options.url}/demo/mina/tickets`).catch(() => null);
    if (!page?.ok) await real(200);
  }
  const key = /data-key="([^"]+)"/.exec(await page.text())[1];
  const people = Object.fromEntries([...AGENTS, ...CUSTOMERS].map((name) => [name, new Person(name)]));
  // Those of the start page first: it is lively while the others come in.
  await Promise.all([people.theo, people.mina].map((person) => person.signIn(key)));
  showTicket(people.theo, people.mina);
  for (const person of Object.values(people)) if (!person.token) await person.signIn(key);
  AGENTS.forEach((name) => agentWorks(people[name]));
  const customers = CUSTOMERS.map((name) => people[name]);
  customersOpen(customers);
  customers.forEach(customerAnswers);
  moveSomeone(['noah', 'otto'].map((name) => people[name]));
  const parent = process.ppid;
  let away = 0;
  for (;;) {
    await real(500);
    const answer = await fetch(`${options.url}/api/v1/demo/pace`).then((one) => one.json()).catch(() => null);
    pace = PACES[answer?.pace] ?? pace;
    away = answer ? 0 : away + 1;
    if (away > 20 || process.ppid !== parent)
      process.exit(0);
  }
}

main().catch((error) => { console.error(`people: ${error.message}`); process.exit(1); });
