<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\Server;

/** How servers end: by themselves, by signals, by exit() and exceptions, in forked children, in the middle of load. */
final class LifeTest extends TestCase
{
    /** A server; it says its port, and when its functions have begun to run. */
    private const SERVER = '
        $server = new Server(apps: [new App("app", "key", "secret", auth: "rules")], logLevel: null, close_timeout_ms: 100);
        $server->listen()->onOpen(fn () => print("open\n"));
    ';
    private const START = 'echo $server->start()->port(), "\n";';

    /** A client of a script, connected when the script's functions run. @param resource $output */
    private static function clientOf($output): Client
    {
        $client = new Client((int) fgets($output), null);
        self::assertSame("open\n", fgets($output));
        return $client;
    }

    public function testRunEndsAtASignalAndClosesItsClients(): void
    {
        $client = null;
        [$status, $output] = $this->script(self::SERVER . self::START . '$server->run(onSignal: [SIGTERM, SIGINT], grace: 0.01); echo "over\n"; exit(3);',
            function (int $pid, $out) use (&$client): void {
                $client = self::clientOf($out);
                posix_kill($pid, SIGTERM);
                $this->assertSame(4200, $client->waitClosed());
            });
        $this->assertSame([3, "over\n"], [$status, $output]);
    }

    public function testASecondSignalCutsTheGraceOff(): void
    {
        $started = microtime(true);
        [$status] = $this->script(self::SERVER . self::START . '$server->run(onSignal: [SIGTERM], grace: 3600);', function (int $pid, $out): void {
            $clients = [new Client($port = (int) fgets($out), null), new Client($port, null), new Client($port, null)];
            $this->assertSame("open\nopen\nopen\n", fgets($out) . fgets($out) . fgets($out));
            posix_kill($pid, SIGTERM);
            usleep(200000);
            posix_kill($pid, SIGTERM);
            foreach ($clients as $client) {
                $this->assertSame(4200, $client->waitClosed());
            }
        });
        $this->assertSame(0, $status);
        $this->assertLessThan(600, microtime(true) - $started);
    }

    public function testSignalHandlersOfTheHostWork(): void
    {
        [$status, $output] = $this->script('pcntl_async_signals(true);' . self::SERVER
            . 'pcntl_signal(SIGUSR1, function () use ($server) { echo "usr1\n"; $server->stop(); });'
             . self::START . '$server->run(onSignal: [SIGTERM]); var_dump(pcntl_signal_get_handler(SIGTERM) === SIG_DFL);',
            function (int $pid, $out): void {
                self::clientOf($out);
                posix_kill($pid, SIGUSR1);
            });
        $this->assertSame([0, "usr1\nbool(true)\n"], [$status, $output]);
    }

    public function testStopFromAFunctionEndsRun(): void
    {
        $server = $this->server();
        $server->channel('x', function () use ($server) {
            $server->stop();
            return true;
        });
        $client = '$client = new Client(' . $server->start()->port() . ', null); $client->ask("private-x"); echo $client->waitClosed();';
        [$status, $output] = $this->script($client, function () use ($server): void {
            pcntl_alarm(60);
            $server->run(onSignal: [SIGALRM]);
            pcntl_alarm(0);
        });
        $this->assertSame([0, '4200'], [$status, $output]);
        $this->assertTrue($server->stopped());
        $this->assertError('ESTATE', fn () => $server->publish('a', 'e'));
    }

    public function testStopWithGraceIsToldWhenItHasEnded(): void
    {
        $server = $this->server();
        $client = $this->client($server);
        $this->assertTrue($server->stop(0.05));
        $this->assertFalse($server->stop(0.05), 'it stops already');
        $this->assertFalse($server->stopped());
        $this->until($server, fn () => $server->stopped());
        $this->assertSame(4200, $client->waitClosed());
        $server->close();
        $server->close();
    }

    public function testExitInARuleIsAnOrdinaryExit(): void
    {
        [$status, $output] = $this->script('register_shutdown_function(fn () => print("shutdown\n"));' . self::SERVER
            . '$server->channel("x", function () { echo "asked\n"; exit(7); });' . self::START . '$server->run();',
            function (int $pid, $out): void {
                $client = self::clientOf($out);
                $client->ask('private-x');
                $this->assertContains($client->waitClosed(), [1006, 4200]);
            });
        $this->assertSame([7, "asked\nshutdown\n"], [$status, $output]);
    }

    public function testAnExceptionThatIsNotCaughtEndsTheScriptAsAlways(): void
    {
        [$status, $output] = $this->script(self::SERVER
            . '$server->channel("x", fn () => throw new DomainException("no database"));' . self::START . '$server->run();',
            function (int $pid, $out): void {
                $client = self::clientOf($out);
                $this->assertSame('Internal error: private-x', $client->subscribe('private-x')['error']);
            });
        $this->assertSame(255, $status);
        $this->assertStringContainsString('Uncaught DomainException: no database', $output);
        $this->assertStringContainsString('->run()', $output, 'its trace leads through run()');
    }

    public function testRunGoesOnAfterAnExceptionThatTheHostCatches(): void
    {
        [$status, $output] = $this->script(self::SERVER . '$server->channel("x", fn () => throw new DomainException("x"))->channel("y", fn () => true);' . self::START . '
            while (!$server->stopped()) {
                try { $server->run(onSignal: [SIGTERM], grace: 0); } catch (DomainException $e) { echo "caught\n"; }
            }', function (int $pid, $out): void {
                $client = self::clientOf($out);
                $this->assertIsArray($client->subscribe('private-x'));
                $this->assertTrue($client->subscribe('private-y'));
                posix_kill($pid, SIGTERM);
        });
        $this->assertSame([0, "caught\n"], [$status, $output]);
    }

    public function testAForkedChildLeavesTheServerAlone(): void
    {
        // Its client tells that it has heard the close, on however busy a machine.
        [$status, $output] = $this->script(str_replace('close_timeout_ms: 100', 'close_timeout_ms: 10000', self::SERVER) . '
            $kept = null;
            $server->channel("later", function (Question $q) use (&$kept) { $kept = $q->later(); })->channel("y", fn () => true);
            ' . self::START . '
            while (!$kept) { $server->dispatch(0.1); }
            if (!($child = pcntl_fork())) {
                foreach ([fn () => $server->publish("a", "e"), fn () => $server->dispatch(), fn () => $server->stop(), fn () => $server->stats(),
                    fn () => $server->start(), fn () => $server->stream(), fn () => $server->channels()] as $call) {
                    try { $call(); echo "no error\n"; } catch (Pusherc\Exception $e) { echo "$e->name "; }
                }
                $server->close();
                unset($server, $kept);
                exit(0);
            }
            pcntl_waitpid($child, $status);
            echo pcntl_wexitstatus($status), "\n";
            $kept->allow();
            $server->run(onSignal: [SIGTERM], grace: 0);', function (int $pid, $out): void {
                $client = self::clientOf($out);
                $client->ask('private-later');
                $this->assertSame("ESTATE ESTATE ESTATE ESTATE ESTATE ESTATE ESTATE 0\n", fgets($out));
                $this->assertTrue($client->answer('private-later'));
                $this->assertTrue($client->subscribe('private-y'));
                posix_kill($pid, SIGTERM);
                $this->assertSame(4200, $client->waitClosed());
        });
        $this->assertSame([0, ''], [$status, $output]);
    }

    public function testAServerThatIsDroppedIsClosed(): void
    {
        $server = new Server(apps: [new \Pusherc\App('app', 'key', 'secret')], logLevel: null, close_timeout_ms: 100);
        $client = new Client($server->listen()->start()->port(), fn () => null);
        $weak = \WeakReference::create($server);
        unset($server);
        $this->assertNull($weak->get());
        $this->assertContains($client->waitClosed(), [1006, 4200]);
    }

    public function testAnAnswerAfterTheEndIsTooLate(): void
    {
        $kept = null;
        $server = $this->server()->channel('x', function ($q) use (&$kept) {
            $kept = $q->later();
        });
        $client = $this->client($server);
        $client->ask('private-x');
        $this->until($server, function () use (&$kept) {
            return $kept !== null;
        });
        $server->close();
        $this->assertFalse($kept->allow());
    }

    /** What was taken in one go with the question whose function ends all is refused, and nothing is used after it is freed. */
    public function testClosingInsideAFunction(): void
    {
        $server = $this->server();
        $server->channel('{name}', function () use ($server) {
            $server->close();
            return true;
        });
        $client = $this->client($server);
        foreach (['a', 'b', 'c'] as $name) {
            $client->ask("private-$name");
        }
        for ($end = microtime(true) + 20; $server->stats()['inbox_depth'] < 3 && microtime(true) < $end;) {
            usleep(1000);
        }
        $this->assertSame(1, $server->dispatch());
        $this->assertTrue($server->stopped());
    }

    public function testLeavingUnderLoadNeverCrashes(): void
    {
        $runs = (int) (getenv('PUSHERC_RUNS') ?: 10);
        for ($i = 0; $i < $runs; $i++) {
            [$status, $output] = $this->script(self::SERVER . '
                $server->channel("{x}", fn () => ["a" => 1]);
                ' . self::START . '
                $client = new Client($server->port(), fn () => $server->dispatch(), "&user=1");
                for ($end = hrtime(true) + 5e6 + ' . $i . ' * 1e6, $n = 0; hrtime(true) < $end; $n++) {
                    $client->ask("private-" . $n % 90);
                    $server->publish("private-" . $n % 90, "e", $n);
                    $n % 3 || $server->dispatch();
                }
                ' . ['exit(0);', 'throw new Exception("end");', '$GLOBALS["cycle"] = [$server, &$GLOBALS["cycle"]];', 'posix_kill(getmypid(), SIGKILL);'][$i % 4]);
            $this->assertSame([0, 255, 0, 137][$i % 4], $status, $output);
        }
    }
}
