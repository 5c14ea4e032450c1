<?php

declare(strict_types=1);

namespace Pusherc;

use FFI;
use FFI\CData;
use Pusherc\Internal\Inbox;
use Pusherc\Internal\Looking;
use Pusherc\Internal\Memory;
use Pusherc\Internal\Rule;
use Pusherc\Internal\Sending;
use Pusherc\Internal\Settings;
use Pusherc\Internal\Structs;

/**
 * A server of Pusher's protocol in this process, on the command line. The library's own threads do the network. This
 * class takes their questions and reports out of an inbox and calls your functions, on PHP's one thread, when you
 * call run() or dispatch(). No function of yours ever runs inside the library, so exceptions and exit() in it are
 * ordinary.
 *
 *     $server = new Server(apps: [new App('app-id', 'app-key', 'app-secret', auth: 'rules')]);
 *     $server->channel('tickets.{id}', fn (Question $q) => Tickets::owns($q->userId, $q->params['id']));
 *     $server->listen(port: 6001);
 *     $server->run(onSignal: [SIGTERM, SIGINT]);
 *
 * What is set up before start(), which run() and stream() call, is only noted. start() does all of it, and throws what
 * is wrong with it. Where `app` is null, the first app is meant. Calls that fail throw Exception, with the name of the
 * C library's error.
 */
final class Server
{
    use Sending;
    use Looking;

    /** @var array<int, \WeakReference<self>>|null servers to close at the end of the script */
    private static ?array $live = null;

    private readonly FFI $ffi;
    /** The address of C's object; 0 = not started, or closed. */
    private int $address = 0;
    private ?Inbox $inbox = null;
    private readonly int $process;
    private bool $closed = false;
    /** @var resource|null */
    private $stream = null;

    /** @var list<App> */
    private array $apps;
    private ?string $firstApp;
    /** @var array<string, mixed> */
    private readonly array $settings;
    /** @var array<int, Rule> */
    private array $rules = [];
    private int $lastRule = 0;
    private int $lastReauthorization = 0;
    /** @var array<int, \Closure> by the type of message */
    private array $functions = [];
    private ?\Closure $onError = null;
    private bool $fiber = false;
    /** @var list<array<string, mixed>> */
    private array $listeners = [];

    /**
     * @param list<App> $apps     more can be put while it runs
     * @param int $workers        threads of the library that serve clients; 0 = one for each processor
     * @param ?string $library    path of libpusherc.so; null = see Library
     * @param ?string $logLevel   "error", "warn", "info", "debug" or "trace": lines on standard error, or for onLog();
     *                            null = silent
     * @param mixed ...$settings  any setting of a server by its name in docs/configuration.md:
     *                            auth_timeout_ms: 5000, proxy_count: 1, path_prefix: '/ws'
     */
    public function __construct(
        array $apps = [],
        private readonly int $workers = 1,
        ?string $library = null,
        private readonly ?string $logLevel = 'info',
        mixed ...$settings,
    ) {
        $this->ffi = Library::load($library);
        $this->process = (int) getmypid();
        $this->apps = array_values($apps);
        $this->firstApp = $this->apps ? $this->apps[0]->id : null;
        $this->settings = $settings;
    }

    /** Closes the server, in the process that made it: a forked child has a copy of this object, and must not. */
    public function __destruct()
    {
        $this->close();
    }

    // ---- who may what

    /**
     * "Who is this?" Asked for each WebSocket and for each request to an auth endpoint. Without it all are anonymous.
     *
     * @param callable(IdentifyRequest): ?Identity $who
     */
    public function identify(callable $who): static
    {
        return $this->on(Constants::MESSAGE_IDENTIFY, $who);
    }

    /**
     * A rule: who may have the channels whose names fit a pattern. Before the start and after it; a rule with views only
     * before.
     *
     * @param string $pattern        "tickets.{uuid}", compared with the name without "private-" and the like; "{name...}"
     *                               alone covers every name
     * @param callable(Question): (bool|array<mixed>|Grant|null) $rule  true, a Grant, or an array that is not empty (the
     *                               user_info of a presence member) allow. Everything that is false denies, as does an
     *                               exception
     * @param string $kinds          words of "public private presence encrypted"; '' = all but public
     * @param float $cache           seconds for which an answer is used again for the same user and channel
     * @param ?string $app           null = of all apps
     * @param array<string, ?Without> $views  audiences, and what each does not see; null = it sees everything. A subscriber
     *                               whose grant names none of these views gets nothing. [] = all see the same
     * @param ?float $presenceGrace  seconds for which a member may be gone without having left; null = the app's
     * @param bool $replace          take the place of rules for the same names
     */
    public function channel(
        string $pattern,
        callable $rule,
        string $kinds = '',
        float $cache = 0,
        ?string $app = null,
        array $views = [],
        ?float $presenceGrace = null,
        bool $replace = false,
    ): static {
        $bits = Settings::bits($kinds, 'RULE_', 'kind of channels');
        $rule = new Rule($pattern, $rule(...), $bits, $cache, $app, $views, $presenceGrace, $replace);
        $this->rules[++$this->lastRule] = $rule;
        if ($this->address !== 0) {
            try {
                $this->addRule($this->lastRule, $rule);
            } catch (Exception $error) {
                unset($this->rules[$this->lastRule]);
                throw $error;
            }
            $this->inbox->rules = $this->rules;
        }
        return $this;
    }

    /** Take the rules with this pattern away. Standing grants stay until reauthorize(). */
    public function removeChannel(string $pattern, ?string $app = null): static
    {
        if ($this->address !== 0) {
            $info = $this->ffi->new('pusherc_errinfo');
            $this->check($this->ffi->pusherc_server_remove_rule($this->address, $app, $pattern, FFI::addr($info)), $info);
        }
        $this->rules = array_filter($this->rules, fn ($rule) => $rule->pattern !== $pattern || $rule->app !== $app);
        if ($this->inbox) {
            $this->inbox->rules = $this->rules;
        }
        return $this;
    }

    /**
     * HTTP requests for paths that are not the library's, at the same port.
     *
     * @param callable(HttpRequest): (HttpResponse|string|array<mixed>|null) $serve  text is HTML, an array JSON, null 404
     */
    public function http(callable $serve): static
    {
        return $this->on(Constants::MESSAGE_HTTP, $serve);
    }

    /**
     * An app that was not put, when a client or a publisher names it.
     *
     * @param callable(AppRequest): ?App $find
     */
    public function findApp(callable $find): static
    {
        return $this->on(Constants::MESSAGE_FIND_APP, $find);
    }

    // ---- what happens

    /** @param callable(Connection): void $report  a client is connected */
    public function onOpen(callable $report): static
    {
        return $this->on(Constants::MESSAGE_OPEN, $report);
    }

    /** @param callable(Connection): void $report  a connection is gone; `closeCode` says how */
    public function onClose(callable $report): static
    {
        return $this->on(Constants::MESSAGE_CLOSE, $report);
    }

    /** @param callable(Connection): void $report  a client has signed in: `userId` is the user from now on */
    public function onSignin(callable $report): static
    {
        return $this->on(Constants::MESSAGE_SIGNIN, $report);
    }

    /** @param callable(ChannelEvent): void $report  a channel is occupied or not, members come and go */
    public function onChannel(callable $report): static
    {
        return $this->on(Constants::MESSAGE_CHANNEL, $report);
    }

    /** @param callable(UserEvent): void $report  a user of an app with `user_events` is online or offline now */
    public function onUser(callable $report): static
    {
        return $this->on(Constants::MESSAGE_USER, $report);
    }

    /** @param callable(ClientEvent): void $report  a client sends an event to others */
    public function onClientEvent(callable $report): static
    {
        return $this->on(Constants::MESSAGE_CLIENT_EVENT, $report);
    }

    /** @param callable(Receipt): void $report  an event has reached a user, by a rule of the app's `receipts` */
    public function onReceipt(callable $report): static
    {
        return $this->on(Constants::MESSAGE_RECEIPT, $report);
    }

    /** @param callable(EphemeralEnd): void $report  the server has ended a state, by a rule of the app's `ephemeral` */
    public function onEphemeralEnd(callable $report): static
    {
        return $this->on(Constants::MESSAGE_EPHEMERAL_END, $report);
    }

    /** @param callable(Denial): void $report  something was refused or revoked, and why */
    public function onDenied(callable $report): static
    {
        return $this->on(Constants::MESSAGE_DENIED, $report);
    }

    /** @param callable(WebhookFailure): void $report  an endpoint has not accepted its events in time */
    public function onWebhookFailed(callable $report): static
    {
        return $this->on(Constants::MESSAGE_WEBHOOK_FAILED, $report);
    }

    /** @param callable(string, string, string): void $report  level, subject and line of the log, instead of standard error */
    public function onLog(callable $report): static
    {
        return $this->on(Constants::MESSAGE_LOG, $report);
    }

    /**
     * What becomes of an exception of one of your functions, after its question was refused. Without it run() and
     * dispatch() throw it.
     *
     * @param callable(\Throwable, Question|IdentifyRequest|HttpRequest|AppRequest|null): void $handle
     */
    public function onError(callable $handle): static
    {
        $this->onError = $handle(...);
        if ($this->inbox) {
            $this->inbox->onError = $this->onError;
        }
        return $this;
    }

    /** Run each function in a fiber of its own, which may suspend: for Revolt and the like. */
    public function fiber(bool $on = true): static
    {
        $this->fiber = $on;
        if ($this->inbox) {
            $this->inbox->fiber = $on;
        }
        return $this;
    }

    // ---- life

    /**
     * Where to listen.
     *
     * @param int $port        0 = the system chooses: see port()
     * @param string $host     a numeric address, "::" for both families, or "unix:/run/pusherc.sock"
     * @param ?array{cert: string, key: string, password?: string} $tls  files in PEM; null = plain
     * @param bool $metrics    only pages for operators: /metrics, /ready ...; keep it away from the public
     * @param ?int $backlog    connections that wait for accept
     * @param ?int $unixMode   permissions of a unix socket; who may write to it may connect; default 0660
     */
    public function listen(
        int $port = 0,
        string $host = '127.0.0.1',
        ?array $tls = null,
        bool $metrics = false,
        ?int $backlog = null,
        ?int $unixMode = null,
    ): static {
        if ($this->address !== 0) {
            throw new Exception(Constants::ESTATE, 'listen() comes before the start');
        }
        if ($port < 0 || $port > 65535) {
            throw new Exception(Constants::EINVAL, "a port is 0 to 65535, not $port");
        }
        $this->listeners[] = compact('port', 'host', 'tls', 'metrics', 'backlog', 'unixMode');
        return $this;
    }

    /**
     * Make the server, bind, and accept clients. run() and stream() do it as well. Does nothing if it has started.
     *
     * @throws Exception what is wrong with what was set up: then nothing has started
     */
    public function start(): static
    {
        $this->mine();
        if ($this->address !== 0) {
            return $this;
        }
        if ($this->closed) {
            throw new Exception(Constants::ESTATE, 'the server was closed');
        }
        $this->inbox = new Inbox($this->ffi);
        $this->inbox->functions = $this->functions;
        $this->inbox->onError = $this->onError;
        $this->inbox->fiber = $this->fiber;
        try {
            $this->make();
        } catch (\Throwable $error) {
            $this->ffi->pusherc_server_free($this->address);
            $this->inbox->free();
            [$this->address, $this->inbox] = [0, null];
            throw $error;
        }
        $this->inbox->rules = $this->rules;
        self::register($this);
        return $this;
    }

    /** The port of a listener: 0 is the first. After the start. */
    public function port(int $listener = 0): int
    {
        return $this->ffi->pusherc_server_port($this->started(), $listener);
    }

    /**
     * Serve until stop(), or until one of the signals comes: clients are then closed within `grace`, and a second signal
     * cuts them off. The server is closed afterwards. If one of your functions throws, and there is no onError(), the
     * exception leaves run() and the server goes on: run() can be called again.
     *
     * @param list<int> $onSignal  such as [SIGTERM, SIGINT]; needs the extension pcntl
     * @param float $grace         seconds
     */
    public function run(array $onSignal = [], float $grace = 3): void
    {
        $this->start();
        $before = [];
        foreach ($onSignal as $signal) {
            $before[$signal] = pcntl_signal_get_handler($signal);
            pcntl_signal($signal, fn () => $this->stop($grace) || $this->stop(0));
        }
        try {
            while (!$this->stopped()) {
                // A signal ends the wait, unless it comes just before: then it is seen a second later.
                $this->inbox->dispatch(1000);
                $onSignal && pcntl_signal_dispatch();
            }
        } finally {
            foreach ($before as $signal => $handler) {
                pcntl_signal($signal, $handler);
            }
        }
        $this->close();
    }

    /**
     * A stream to wait for in a loop of any kind: while it is readable, call dispatch(). It is for waiting only: do not
     * read from it.
     *
     * @return resource
     */
    public function stream()
    {
        $this->start();
        return $this->stream ??= fopen('php://fd/' . $this->inbox->descriptor(), 'r')
            ?: throw new Exception(Constants::EIO, 'the descriptor could not be opened as a stream');
    }

    /**
     * Call your functions for what has arrived.
     *
     * @param float $timeout  seconds to wait for the first message
     * @return int how many messages there were
     * @throws \Throwable what one of your functions threw, without onError()
     */
    public function dispatch(float $timeout = 0): int
    {
        $this->started();
        return $this->inbox->dispatch((int) ($timeout * 1000));
    }

    /**
     * Begin to stop: clients are closed at random moments within `grace` seconds. Your functions may call it. When
     * stopped() is true, close() cuts off no client.
     *
     * @return bool false: it is stopping already; a smaller grace still takes effect
     */
    public function stop(float $grace = 0): bool
    {
        $code = $this->ffi->pusherc_server_stop($this->started(), $grace > 0 ? Memory::ms($grace) : 0, null, 0);
        $code === Constants::ESTATE || $this->check($code);
        return $code === 0;
    }

    /** Whether the stop has ended and all is told. */
    public function stopped(): bool
    {
        return $this->closed || ($this->inbox && $this->inbox->stopped);
    }

    /**
     * Stop without grace, and free. The destructor and the end of the script do it as well, in the process that made the
     * server only; elsewhere it does nothing.
     */
    public function close(): void
    {
        if ($this->closed || getmypid() !== $this->process) {
            return;
        }
        $this->closed = true;
        if ($this->stream !== null && \is_resource($this->stream)) {
            fclose($this->stream);
        }
        if ($this->address !== 0) {
            unset(self::$live[spl_object_id($this)]);
            $this->ffi->pusherc_server_free($this->address);
            $this->inbox->free();
        }
        [$this->address, $this->stream, $this->functions, $this->rules] = [0, null, [], []];
        $this->onError = null;
    }

    // ---- apps and certificates

    /** Add an app, or replace the settings of the one with the same id. Before the start and after it. */
    public function putApp(App $app): static
    {
        if ($this->address !== 0) {
            $this->put($app);
        } else {
            $this->apps[] = $app;
        }
        $this->firstApp ??= $app->id;
        return $this;
    }

    /** Remove an app. Its clients are closed with 4001. */
    public function removeApp(string $id): static
    {
        if ($this->address !== 0) {
            $this->check($this->ffi->pusherc_server_remove_app($this->address, $id));
        }
        $this->apps = array_values(array_filter($this->apps, fn ($app) => $app->id !== $id));
        return $this;
    }

    /** Give a listener another certificate: new connections use it. */
    public function reloadTls(string $cert, string $key, ?string $password = null, int $listener = 0): void
    {
        $memory = new Memory($this->ffi);
        $info = $this->ffi->new('pusherc_errinfo');
        $tls = Structs::tls($memory, $cert, $key, $password);
        $this->check($this->ffi->pusherc_server_reload_tls($this->started(), $listener, FFI::addr($tls), FFI::addr($info)), $info);
    }

    // ---- inside

    private function on(int $type, callable $function): static
    {
        if ($this->address !== 0 && !isset($this->functions[$type])) {
            throw new Exception(Constants::ESTATE, 'what the server shall ask and tell is said before the start');
        }
        $this->functions[$type] = $function(...);
        if ($this->inbox) {
            $this->inbox->functions = $this->functions;
        }
        return $this;
    }

    /** Everything that was noted, in C. */
    private function make(): void
    {
        $memory = new Memory($this->ffi);
        $options = $memory->options('pusherc_server_options');
        Settings::write($memory, $options, Constants::SERVER_SETTINGS, $this->settings);
        if ($this->workers < 0 || $this->workers > Constants::WORKERS_MAX) {
            throw new Exception(Constants::EINVAL, 'workers is 0 to ' . Constants::WORKERS_MAX);
        }
        $options->worker_count = $this->workers ?: Constants::WORKERS_PER_CPU;
        $options->inbox = $this->inbox->address;
        $options->inbox_messages = 1 << Constants::MESSAGE_ABANDONED | 1 << Constants::MESSAGE_REAUTHORIZED
            | 1 << Constants::MESSAGE_STOPPED;
        foreach ($this->functions as $type => $function) {
            $options->inbox_messages |= 1 << $type;
        }
        if ($this->logLevel !== null) {
            $level = Constants::class . '::LOG_' . strtoupper($this->logLevel);
            $options->log_level = \defined($level) ? \constant($level)
                : throw new Exception(Constants::EINVAL, "unknown log level \"$this->logLevel\"");
            if (!isset($this->functions[Constants::MESSAGE_LOG])) {
                $options->log_fn = $this->ffi->pusherc_log_to_stderr;
            }
        }
        $info = $this->ffi->new('pusherc_errinfo');
        $out = $this->ffi->new('uintptr_t');
        $this->check($this->ffi->pusherc_server_new(FFI::addr($out), FFI::addr($options), FFI::addr($info)), $info);
        $this->address = $out->cdata;
        foreach ($this->apps as $app) {
            $this->put($app);
        }
        foreach ($this->rules as $id => $rule) {
            $this->addRule($id, $rule);
        }
        foreach ($this->listeners as $listener) {
            $out = Structs::listener($memory, ...$listener);
            $this->check($this->ffi->pusherc_server_listen($this->address, FFI::addr($out), FFI::addr($info)), $info);
        }
        $this->check($this->ffi->pusherc_server_start($this->address, FFI::addr($info)), $info);
    }

    private function put(App $app): void
    {
        $memory = new Memory($this->ffi);
        $info = $this->ffi->new('pusherc_errinfo');
        $options = Structs::app($memory, $app);
        $this->check($this->ffi->pusherc_server_put_app($this->address, FFI::addr($options), FFI::addr($info)), $info);
    }

    private function addRule(int $id, Rule $rule): void
    {
        $memory = new Memory($this->ffi);
        $out = Structs::rule($memory, $rule, $id);
        $info = $this->ffi->new('pusherc_errinfo');
        $this->check($this->ffi->pusherc_server_add_rule($this->address, FFI::addr($out), FFI::addr($info)), $info);
        if ($rule->replace) {
            $this->rules = array_filter($this->rules, fn ($other) => $other === $rule || !$rule->sharesNames($other));
        }
    }

    private function app(): string
    {
        return $this->firstApp ?? throw new Exception(Constants::ENOENT, 'the server has no app');
    }

    /** The address of C's object, in the process that made it. */
    private function started(): int
    {
        $this->mine();
        return $this->address ?: throw new Exception(Constants::ESTATE,
            $this->closed ? 'the server was closed' : 'the server was not started');
    }

    private function mine(): void
    {
        if (getmypid() !== $this->process) {
            throw new Exception(Constants::ESTATE, 'the server belongs to the process that made it');
        }
    }

    private function check(int $code, ?CData $info = null): void
    {
        if ($code !== 0) {
            $text = $info === null ? '' : FFI::string($info->text);
            throw new Exception($code, $text === '' ? null : $text);
        }
    }

    /** A script that ends, by exit() or an exception or by itself, closes its servers before PHP takes its objects apart. */
    private static function register(self $server): void
    {
        if (self::$live === null) {
            self::$live = [];
            register_shutdown_function(static function (): void {
                foreach (self::$live as $each) {
                    $each->get()?->close();
                }
            });
        }
        self::$live[spl_object_id($server)] = \WeakReference::create($server);
    }
}
