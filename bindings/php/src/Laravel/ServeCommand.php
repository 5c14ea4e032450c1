<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Console\Command;
use Illuminate\Contracts\Broadcasting\Factory;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Support\Arr;
use Pusherc\App;
use Pusherc\Exception;
use Pusherc\HttpRequest;
use Pusherc\Server;

/**
 * The server of Pusher's protocol in this process. The library's threads do the network; this one answers who a
 * connection is, and what routes/channels.php says of a channel.
 */
class ServeCommand extends Command
{
    /** Seconds between two looks for the word of pusherc:restart. */
    private const LOOK_EVERY = 1;

    protected $signature = 'pusherc:serve
        {--host= : numeric address to listen on}
        {--port= : 0 = the system chooses one}
        {--workers= : threads that serve clients; 0 = one for each processor}
        {--unix-socket= : path of a second listener, for publishers of this machine}';
    protected $description = 'Serve WebSocket clients; routes/channels.php decides in this process';

    public function handle(Factory $broadcasting): int
    {
        $config = $this->laravel['config'];
        $name = $config->get('pusherc.connection');
        $broadcaster = $broadcasting->connection($name);
        if (!$broadcaster instanceof Broadcaster) {
            $this->error("The broadcast connection \"$name\" is not of the driver \"pusherc\".");
            return 1;
        }
        if ($broadcaster->channelOptions() === []) {
            $this->warn("No channel is registered at the connection \"$name\": every private and presence channel is refused. "
                . "Broadcast::channel() registers at the default connection, which is \"{$config->get('broadcasting.default')}\".");
        }
        if (!filter_var(ini_get('opcache.enable') && ini_get('opcache.enable_cli'), FILTER_VALIDATE_BOOL)) {
            $this->warn('opcache is off on the command line, so decisions cost a third more. '
                . 'Start with: php -d opcache.enable_cli=1 artisan pusherc:serve');
        }
        $server = $this->server($broadcaster->credentials(), $config->get('pusherc.serve'));
        $control = $this->addFunctions($server, $broadcaster);
        try {
            $server->start();
        } catch (Exception $e) {
            $this->error($e->getMessage());
            return 1;
        }
        $stopping = $this->stopAtSignals($server);
        $broadcaster->serveWith($server, $control);
        foreach ($this->addresses() as $i => $address) {
            $this->line('listening on ' . str_replace(':0', ':' . $server->port($i), $address));
        }
        $this->serve($server, $stopping);
        $this->line('stopped');
        return 0;
    }

    /**
     * @param array{string, string, string, ?string} $credentials
     * @param array<string, mixed> $serve
     */
    private function server(array $credentials, array $serve): Server
    {
        [$id, $key, $secret, $master] = $credentials;
        $settings = $serve['app_settings'] + array_filter(['encryption_master_key' => $master]);
        $server = new Server(...[
            'apps' => [new App($id, $key, $secret, $serve['auth'], $serve['allowed_origins'], [], ...$settings)],
            'workers' => (int) ($this->option('workers') ?? $serve['workers']),
            'library' => $serve['library'],
            'logLevel' => $this->output->isDebug() ? 'debug' : 'info',
        ] + $serve['server_settings'] + ['proxy_count' => (int) $serve['proxies']]);
        $server->listen((int) ($this->option('port') ?? $serve['port']), $this->option('host') ?? $serve['host'], $serve['tls'] ?: null);
        if ($socket = $this->option('unix-socket') ?? $serve['unix_socket']) {
            $server->listen(0, "unix:$socket");
        }
        $server->onError(fn (\Throwable $e) =>  $this->laravel->make(ExceptionHandler::class)->report($e));
        return $server;
    }

    /** @return list<string> */
    private function addresses(): array
    {
        $serve = $this->laravel['config']->get('pusherc.serve');
        $host = $this->option('host') ?? $serve['host'];
        $host = str_contains($host, ':') ? "[$host]" : $host;
        $addresses = [($serve['tls'] ? 'https' : 'http') . "://$host:0"];
        if ($socket = $this->option('unix-socket') ?? $serve['unix_socket']) {
            $addresses[] = "unix:$socket";
        }
        return $addresses;
    }

    /** One rule for all channels; those with audiences, a cache or a grace of their own have one each, and the same function. */
    private function addFunctions(Server $server, Broadcaster $broadcaster): Control
    {
        $sandbox = new Sandbox($this->laravel);
        $decide = new Decide($this->laravel, $sandbox, $broadcaster);
        $options = $broadcaster->channelOptions();
        $guards = Arr::flatten(array_map(fn (array $some) => Arr::wrap($some['guards'] ?? []), $options));
        $server->identify(new Identify($this->laravel, $sandbox, $guards));
        $server->channel('{name...}', $decide);
        foreach ($options as $pattern => $some) {
            $own = array_intersect_key($some, ['views' => 1, 'cache' => 1, 'presenceGrace' => 1]);
            if ($own !== []) {
                $server->channel($pattern, $decide, ...$own);
            }
        }
        $several = $guards !== [] || count($this->laravel['config']->get('pusherc.guards')) > 1;
        $control = new Control($server, $several);
        $server->http(fn (HttpRequest $request) => $control($request, $broadcaster->signer()));
        return $control;
    }

    /** The first signal lets clients go within the grace, a second one cuts them off. @return \Closure(): bool what a signal does */
    private function stopAtSignals(Server $server): \Closure
    {
        $grace = (float) $this->laravel['config']->get('pusherc.serve.grace');
        $stop = static fn (): bool => $server->stop($grace) || $server->stop(0);
        if (function_exists('pcntl_async_signals')) {
            pcntl_async_signals(true);
            pcntl_signal(SIGTERM, $stop);
            pcntl_signal(SIGINT, $stop);
        }
        return $stop;
    }

    /** @param \Closure(): bool $stop */
    private function serve(Server $server, \Closure $stop): void
    {
        $word = $this->restartWord();
        $looked = hrtime(true);
        while (!$server->stopped()) {
            $server->dispatch(self::LOOK_EVERY);
            if ($word !== null && hrtime(true) - $looked > self::LOOK_EVERY * 1e9) {
                $looked = hrtime(true);
                if ($this->restartWord($word) !== $word) {
                    $this->line('restarting');
                    $word = null;
                    $stop();
                }
            }
        }
        $server->close();
    }

    /** What pusherc:restart has left; the word of before while the cache does not answer. */
    private function restartWord(float $before = 0): float
    {
        try {
            return (float) $this->laravel['cache']->store($this->laravel['config']->get('pusherc.cache'))->get(RestartCommand::KEY);
        } catch (\Throwable $e) {
            $this->laravel->make(ExceptionHandler::class)->report($e);
            return $before;
        }
    }
}
