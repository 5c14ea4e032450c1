<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\App;
use Pusherc\Identity;
use Pusherc\IdentifyRequest;
use Pusherc\Server;

/** A server with one app, clients for it, and PHP scripts in processes of their own. */
abstract class TestCase extends \PHPUnit\Framework\TestCase
{
    /** @var list<Server> */
    private array $servers = [];

    protected function tearDown(): void
    {
        foreach ($this->servers as $server) {
            $server->close();
        }
        $this->servers = [];
    }

    /** Not started; ?user= in a client's URL says who it is. */
    protected function server(mixed ...$app): Server
    {
        $server = new Server(apps: [new App('app', 'key', 'secret', ...$app + ['auth' => 'rules'])], logLevel: null, close_timeout_ms: 100);
        $server->identify(fn (IdentifyRequest $q) => $q->query('user') ? new Identity($q->query('user')) : null);
        return $this->servers[] = $server->listen();
    }

    /** A server that was made by the test itself, closed behind it. */
    protected function closing(Server $server): Server
    {
        return $this->servers[] = $server;
    }

    protected function client(Server $server, ?string $user = null, mixed ...$more): Client
    {
        return new Client($server->start()->port(), fn () => $server->dispatch(), $user === null ? '' : "&user=$user", ...$more);
    }

    /** Let the server's functions run until the condition holds. */
    protected function until(Server $server, \Closure $holds, float $seconds = 60): void
    {
        for ($end = microtime(true) + $seconds; !$holds();) {
            $server->dispatch(0.01);
            $this->assertLessThan($end, microtime(true), 'it did not happen');
        }
        $this->addToAssertionCount(1);
    }

    /** What dispatch() throws next. */
    protected function thrown(Server $server): \Throwable
    {
        for ($end = microtime(true) + 60; microtime(true) < $end;) {
            try {
                $server->dispatch(0.01);
            } catch (\Throwable $error) {
                return $error;
            }
        }
        $this->fail('nothing was thrown');
    }

    /** @param list<string> $headers @return array{int, string} */
    protected function fetch(Server $server, string $method, string $path, string $body = '', array $headers = []): array
    {
        $socket = stream_socket_client("tcp://127.0.0.1:{$server->start()->port()}");
        fwrite($socket, implode("\r\n", ["$method $path HTTP/1.1", 'Host: x', 'Connection: close', ...$headers, 'Content-Length: ' . strlen($body), '', $body]));
        stream_set_blocking($socket, false);
        $answer = '';
        $this->until($server, function () use ($socket, &$answer) {
            $answer .= fread($socket, 65536);
            return feof($socket);
        });
        [$head, $body] = explode("\r\n\r\n", $answer, 2);
        return [(int) substr($head, 9, 3), $body];
    }

    /** A call fails with the error of that name. */
    protected function assertError(string $name, \Closure $call): \Pusherc\Exception
    {
        try {
            $call();
        } catch (\Pusherc\Exception $error) {
            $this->assertSame($name, $error->name, $error->getMessage());
            return $error;
        }
        $this->fail("no $name");
    }

    /**
     * Run PHP code in a process of its own.
     *
     * @param ?\Closure(int $pid, resource $output): void $meanwhile
     * @return array{int, string} exit status (128 + signal), output
     */
    protected function script(string $code, ?\Closure $meanwhile = null, array $options = []): array
    {
        $file = tempnam(sys_get_temp_dir(), 'pusherc');
        file_put_contents($file, "<?php require '" . __DIR__ . "/bootstrap.php'; use Pusherc\\{App, Server, Question, Identity,"
            . " IdentifyRequest, Grant, Reject}; use Pusherc\\Tests\\Client;\npcntl_alarm(100);\n$code");
        $command = [PHP_BINARY, '-d', 'display_errors=1', '-d', 'log_errors=0', ...$options, $file];
        $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
        try {
            $meanwhile === null || $meanwhile(proc_get_status($process)['pid'], $pipes[1]);
            $output = stream_get_contents($pipes[1]);
            while (($status = proc_get_status($process))['running']) {
                usleep(5000);
            }
        } finally {
            unlink($file);
            proc_close($process);
        }
        return [$status['signaled'] ? 128 + $status['termsig'] : $status['exitcode'], $output];
    }
}
