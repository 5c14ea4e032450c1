'use strict';
// What the tests of examples/pbx share: people by their tokens, the provider's webhook, and clients of each name of a channel.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');

const { launch } = require('./applications.js');
const { connect, hmac } = require('./lib.js');

const SECRET = 'what-the-provider-signs-with';
const PASSWORD = 'pbx-demo';
const APP = { id: 'pbx-app', key: 'pbxappkey', secret: 'pbx-secret' };
const ENV = { BROADCAST_CONNECTION: 'local', VOICE_WEBHOOK_SECRET: SECRET, REVERB_APP_ID: APP.id, REVERB_APP_KEY: APP.key, REVERB_APP_SECRET: APP.secret };
// Kestrel Travel: Ada is its admin. Bluebird Clinic: Iris is.
const [ADA, BEN, CLEO, DAN, EVE, FINN, IRIS, JON, OPERATOR] = [['ada@kestrel', 1], ['ben@kestrel', 2], ['cleo@kestrel', 3], ['dan@kestrel', 4], ['eve@kestrel', 5],
  ['finn@kestrel', 6], ['iris@bluebird', 9], ['jon@bluebird', 10], ['operator@pbx', 25]].map(([name, id]) => ({ email: `${name}.example`, password: PASSWORD, id: String(id) }));
const NAMES = (organization = 1) => [`presence.org.${organization}`, `presence-presence.org.${organization}`, `presence-org.${organization}`];
const NUMBER = (extension) => (extension <= 8 ? `+442079460${100 + extension}` : `+441614960${100 + extension}`);

/** A PBX whose app the tests know. What it says of refusals is expected unless `quiet` is the first argument. */
async function start(t, ...args) {
  const env = typeof args.at(-1) === 'object' ? args.pop() : {};
  const quiet = args[0] === 'quiet' && Boolean(args.shift());
  const site = await launch(t, 'pbx', ...args, { ...ENV, ...env });
  site.talks = !quiet;
  site.app = APP;
  return site;
}

/** One request with a token or without; the answer has `json`. */
async function ask(site, method, where, { token, body, headers = {} } = {}) {
  const answer = await fetch(site.url + where, {
    method,
    redirect: 'manual',
    headers: { Accept: 'application/json', ...(token && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': 'application/json' }), ...headers },
    body: body && (typeof body === 'string' ? body : JSON.stringify(body)),
  });
  const text = await answer.text();
  let json = null;
  try { json = JSON.parse(text); } catch { /* no JSON */ }
  return { status: answer.status, headers: answer.headers, text, json };
}

/** A person's token. */
async function login(site, { email, password }) {
  const { status, json, text } = await ask(site, 'POST', '/api/v1/login', { body: { email, password } });
  assert.equal(status, 200, text);
  return json;
}

/** A client that is signed in by its token from the beginning, as programs are. */
async function client(site, token) {
  const socket = await connect(site, { app: APP, headers: token ? { authorization: `Bearer ${token}` } : {} });
  socket.token = token;
  /** True if the channel is granted. */
  socket.wants = async (channel, extra = {}) => {
    socket.ask(channel, extra);
    socket.answer = await socket.next((f) => f.channel === channel && /subscription_(succeeded|error)$/.test(f.event));
    return /succeeded/.test(socket.answer.event);
  };
  return socket;
}

/** The same, subscribed to one channel. */
async function listener(site, token, channel) {
  const socket = await client(site, token);
  assert.ok(await socket.wants(channel), socket.answer.raw);
  return socket;
}

let events = 0;

/** The provider says something. */
function webhook(site, said, { secret = SECRET, at = Math.floor(Date.now() / 1000), signature } = {}) {
  const body = JSON.stringify({ event_id: `event-${process.pid}-${events++}`, organization_id: '1', ...said });
  const headers = { 'X-Voice-Timestamp': String(at), 'X-Voice-Signature': signature ?? hmac(secret, `${at}.${body}`) };
  for (const name of Object.keys(headers)) if (headers[name] === '') delete headers[name];
  return ask(site, 'POST', '/api/v1/webhooks/voice', { body, headers });
}

/** A call of an organization, step by step. */
function call(site, { organization = 1, extension = 2, from = '+447700900123', id = crypto.randomUUID() } = {}) {
  const say = async (type, fields) => {
    const answer = await webhook(site, { organization_id: String(organization), call_id: id, type, ...fields });
    assert.equal(answer.status, 202, answer.text);
    return answer;
  };
  return {
    id,
    initiate: () => say('call.initiated', { from, to: NUMBER(extension) }),
    answer: (number = String(101 + ((extension - 1) % 8))) => say('call.answered', { extension: number }),
    end: (status = 'completed') => say('call.ended', { status }),
  };
}

const FILL = `
import hashlib, json, secrets, sqlite3, sys, time
file, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(file, timeout=30)
if what == 'people':
    tokens = [secrets.token_hex(32) for _ in range(count)]
    odd = ['<b>Bold</b> & "quoted"', 'x' * 120, '\\u0645\\u0631\\u062d\\u0628\\u0627', '\\U0001f4de \\U0001f469\\u200d\\U0001f4bb']
    for i, token in enumerate(tokens):
        user = 1000 + i
        db.execute('INSERT INTO users VALUES (?, ?, ?, ?)', (user, f'p{i}@kestrel.example', odd[i] if i < len(odd) else f'Person {i:03}', '-'))
        db.execute("INSERT INTO people VALUES (?, 1, 'member', 1)", (user,))
        hash = hashlib.blake2b(b'bearer', key=token.encode(), digest_size=32).hexdigest()
        db.execute('INSERT INTO sessions VALUES (?, ?, ?)', (hash, user, int(time.time()) + 3600))
    print(json.dumps(tokens))
else:
    now, ended = int(time.time() * 1000), what == 'history'
    db.execute("""INSERT INTO calls (organization_id, call_id, from_number, to_number, did_id, extension_id, status, initiated_at, ended_at, initiated_revision, ended_revision)
        WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i + 1 < ?1)
        SELECT 1, printf('%08x-0000-4000-8000-%012x', i, i), printf('+4477%08d', i), '+442079460101', '1', '1', iif(?2, 'completed', 'initiated'), ?3 - 1000 * (i % 600), iif(?2, ?3, NULL), 1, iif(?2, 1, NULL) FROM t""",
        (count, ended, now))
    db.execute('UPDATE organizations SET revision = revision + 1 WHERE id = 1')
    print('[]')
db.commit()
`;

/** Writes into a database of a PBX that runs: 'people' (their tokens; four have names that are odd), 'calls' that run, or 'history'. */
const fill = (file, what, count) => JSON.parse(execFileSync('python3', ['-c', FILL, file, what, String(count)], { maxBuffer: 1 << 24 }));

const heard = (frame) => JSON.parse(frame.data);
const callEvents = (frames) => frames.filter((f) => /^call\./.test(f.event));

module.exports = {
  ADA, APP, BEN, CLEO, DAN, ENV, EVE, FINN, IRIS, JON, NAMES, NUMBER, OPERATOR, SECRET, ask, call, callEvents, client, fill, heard, listener, login, start, webhook,
};
