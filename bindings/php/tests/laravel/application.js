'use strict';
// The Laravel application of the tests, assembled below a temporary folder: the files of app/, this package as composer
// installs it, and Laravel as Debian has it. What it runs: artisan, and its pages in PHP-FPM behind nginx.

const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after } = require('node:test');
const { createRequire } = require('node:module');

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'pusherc-laravel-'));
// What ends with the file. Tests take what they need of lib.js from here: its own hook, which ends the process, comes later.
const running = [];
after(async () => {
  try {
    for (const program of running.reverse()) await program.end();
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
});

const lib = require('../../../../tests/integration/lib.js');

const { BUILD, Program, TOP, freePort, until, within } = lib;

// The npm packages of the project's tests.
const npm = createRequire(path.join(TOP, 'tests/integration/lib.js'));
const PACKAGE = path.join(TOP, 'bindings/php');
const APP = { id: 'shop', key: 'shop-key', secret: 'shop-secret' };
const PHP = process.env.PHP || 'php';

const root = path.join(scratch, 'app');
const file = (...names) => path.join(scratch, ...names);

const env = {
  ...process.env,
  COMPOSER_ALLOW_SUPERUSER: '1', COMPOSER_HOME: file('composer'), COMPOSER_CACHE_DIR: file('composer-cache'),
  APP_KEY: `base64:${crypto.randomBytes(32).toString('base64')}`,
  PUSHERC_APP_ID: APP.id, PUSHERC_APP_KEY: APP.key, PUSHERC_APP_SECRET: APP.secret, PUSHERC_MASTER_KEY: crypto.randomBytes(32).toString('base64'),
  PUSHERC_LIBRARY: path.join(BUILD, 'lib/libpusherc.so.0'),
  PUSHER_JS: path.join(TOP, 'tests/node_modules/pusher-js/dist/web/pusher.js'),
};

/** Assembles the application; once for a file of tests. */
function assemble() {
  fs.cpSync(path.join(__dirname, 'app'), root, { recursive: true });
  for (const folder of ['app', 'framework/cache', 'framework/sessions', 'framework/views', 'logs']) fs.mkdirSync(path.join(root, 'storage', folder), { recursive: true });
  fs.mkdirSync(path.join(root, 'bootstrap/cache'));
  const composer = JSON.parse(fs.readFileSync(path.join(root, 'composer.json')));
  composer.repositories.unshift({ type: 'path', url: PACKAGE, options: { symlink: false } });
  fs.writeFileSync(path.join(root, 'composer.json'), JSON.stringify(composer));
  execFileSync('composer', ['install', '--no-interaction', '--quiet'], { cwd: root, env, stdio: 'pipe' });
  artisan('test:seed');
}

/** Runs artisan to its end; what it printed. */
function artisan(...args) {
  const more = typeof args.at(-1) === 'object' ? args.pop() : {};
  try {
    return execFileSync(PHP, ['artisan', ...args], { cwd: root, env: { ...env, ...more }, stdio: 'pipe', encoding: 'utf8', timeout: 60000 });
  } catch (error) {
    throw new Error(`artisan ${args}: ${error.stdout} ${error.stderr}`);
  }
}

/** `artisan pusherc:serve`, which ends with the test `t` or with the file. `config`: Laravel's settings by name; `php`: PHP's own options. */
async function serve(t, { config = {}, args = [], ends = 0, port = 0, more = {}, php = ['-d', 'opcache.enable_cli=1'] } = {}) {
  const server = new Program(PHP, [...php, 'artisan', 'pusherc:serve', `--port=${port}`, ...args], { cwd: root, env: { ...env, TEST_CONFIG: JSON.stringify(config), ...more } });
  server.end = async () => {
    server.child.kill('SIGTERM');
    const { code, signal } = await within(server.exited, () => `the end of pusherc:serve; ${server.stderr}`);
    if (code !== ends) throw new Error(`exit ${code} ${signal || ''}\n${server.stderr}`);
  };
  if (t) t.after(() => server.end());
  else running.push(server);
  server.port = await server.listening();
  server.url = `http://127.0.0.1:${server.port}`;
  return server;
}

/** The block of a language in docs/laravel.md. */
const documented = (language) => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(fs.readFileSync(path.join(TOP, 'docs/laravel.md'), 'utf8'))[1];

/** The application's pages: PHP-FPM behind nginx, which passes WebSockets to `server` if it is given. */
async function pages({ server, config = {}, workers = 2, fpm = [] } = {}) {
  const at = fs.mkdtempSync(file('pages-'));
  const inAt = (name) => path.join(at, name);
  const user = process.getuid() === 0;
  const settings = { ...Object.fromEntries(Object.entries(env).filter(([name]) => /^(APP|PUSHER)/.test(name))), PUSHERC_URL: server?.url ?? 'http://127.0.0.1:1', TEST_CONFIG: JSON.stringify(config) };
  fs.writeFileSync(inAt('fpm.conf'), `[global]
error_log = ${inAt('fpm.log')}
daemonize = no
[www]
${user ? 'user = root\ngroup = root' : ''}
listen = ${inAt('fpm.socket')}
pm = static
pm.max_children = ${workers}
clear_env = no
catch_workers_output = yes
php_admin_value[error_log] = ${inAt('php.log')}
${fpm.join('\n')}
`);
  const binary = process.env.PHP_FPM || fs.readdirSync('/usr/sbin').filter((name) => /^php-fpm\d/.test(name)).map((name) => `/usr/sbin/${name}`).at(-1);
  const php = new Program(binary, ['-F', ...(user ? ['-R'] : []), '-y', inAt('fpm.conf')], { env: { ...process.env, ...settings } });
  await until(() => fs.existsSync(inAt('fpm.socket')), () => `PHP-FPM: ${php.stderr} ${fs.existsSync(inAt('fpm.log')) && fs.readFileSync(inAt('fpm.log'))}`);

  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${inAt(what)};`);
  fs.writeFileSync(inAt('nginx.conf'), `daemon off; ${user ? 'user root;' : ''} worker_processes 1; pid ${inAt('nginx.pid')}; error_log ${inAt('nginx.log')} notice;
events {}
http {
  access_log off; ${temporary.join(' ')}
  include /etc/nginx/mime.types;
  server {
    listen 127.0.0.1:${port};
    ${server ? documented('nginx').replace('127.0.0.1:6001', `127.0.0.1:${server.port}`) : ''}
    location / { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME ${root}/public/index.php; fastcgi_param SCRIPT_NAME /index.php; fastcgi_pass unix:${inAt('fpm.socket')}; }
  }
}
`);
  const nginx = new Program('/usr/sbin/nginx', ['-e', inAt('nginx.log'), '-c', inAt('nginx.conf')]);
  const site = { url: `http://127.0.0.1:${port}`, port, php, nginx };
  site.end = async () => {
    for (const [program, signal] of [[nginx, 'SIGQUIT'], [php, 'SIGQUIT']]) {
      program.child.kill(signal);
      const killer = setTimeout(() => program.child.kill('SIGKILL'), 5000);
      await program.exited;
      clearTimeout(killer);
    }
  };
  running.push(site);
  await until(async () => (await fetch(`${site.url}/`).catch(() => null))?.status === 200, () => `nginx: ${nginx.stderr} ${fs.readFileSync(inAt('nginx.log'))}`);
  return site;
}

/** A browser's cookies, without the browser. */
class Visitor {
  constructor(site) {
    this.site = site;
    this.jar = new Map();
  }

  get cookie() { return [...this.jar].map(([name, value]) => `${name}=${value}`).join('; '); }

  async get(target, { method = 'GET', headers = {}, body } = {}) {
    const answer = await fetch(`${this.site.url}${target}`, { method, body, redirect: 'manual', headers: { cookie: this.cookie, ...headers } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0|expires=thu, 01-jan-1970/i.test(line)) this.jar.delete(name);
      else this.jar.set(name, value);
    }
    return { status: answer.status, text: await answer.text() };
  }

  async login(id, query = '') {
    const { text } = await this.get(`/login/${id}${query}`);
    if (text !== 'logged in') throw new Error(text.slice(0, 2000));
    return this;
  }
}

const log = () => { try { return fs.readFileSync(path.join(root, 'storage/logs/laravel.log'), 'utf8'); } catch { return ''; } };

module.exports = { ...lib, APP, Visitor, artisan, assemble, env, file, log, npm, pages, root, serve };
