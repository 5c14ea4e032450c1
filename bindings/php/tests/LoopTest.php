<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\Question;
use Pusherc\Server;

/** The server in loops of other kinds: by its stream and dispatch() alone, and with functions that suspend. */
final class LoopTest extends TestCase
{
    public function testInALoopOfStreamSelect(): void
    {
        $server = $this->server()->channel('x', fn () => true);
        $server->start();
        $this->asAClient($server, function ($ended) use ($server): void {
            $watched = ['server' => $server->stream(), 'client' => $ended];
            while (true) {
                [$read, $write, $except] = [$watched, null, null];
                $this->assertGreaterThan(0, stream_select($read, $write, $except, 30), 'the stream says when there is something');
                if (isset($read['client'])) {
                    return;
                }
                $this->assertGreaterThan(0, $server->dispatch(), 'and only then');
            }
        });
    }

    public function testInAmpsLoop(): void
    {
        if (!is_file('/usr/share/php/Amp/autoload.php')) {
            $this->markTestSkipped('no php-amphp-amp');
        }
        require_once '/usr/share/php/Amp/autoload.php';
        // Debian's autoloader forgets these.
        foreach (['functions.php', 'Internal/functions.php'] as $file) {
            \function_exists($file === 'functions.php' ? 'Amp\call' : 'Amp\Internal\getCurrentTime') || require_once "/usr/share/php/Amp/$file";
        }
        $server = $this->server()->channel('x', function (Question $q): void {
            $q->later();
            \Amp\asyncCall(function () use ($q) {
                yield new \Amp\Delayed(5);
                $q->allow();
            });
        });
        $server->start();
        $this->asAClient($server, function ($ended) use ($server): void {
            \Amp\Loop::run(function () use ($server, $ended): void {
                \Amp\Loop::onReadable($server->stream(), fn () => $server->dispatch());
                \Amp\Loop::onReadable($ended, fn () => \Amp\Loop::stop());
                \Amp\Loop::delay(30000, fn () => \Amp\Loop::stop());
            });
        });
    }

    public function testInFibersThatSuspend(): void
    {
        // What Revolt does: fibers that wait for a time or for a stream, resumed by a loop.
        $waiting = new \SplObjectStorage();
        $sleep = function (float $seconds) use ($waiting): void {
            $waiting[\Fiber::getCurrent()] = microtime(true) + $seconds;
            \Fiber::suspend();
        };
        $order = [];
        $server = $this->server()->fiber()->channel('{name}', function (Question $q) use ($sleep, &$order) {
            $order[] = "ask {$q->params['name']}";
            $sleep($q->params['name'] === 'slow' ? 0.3 : 0.01);
            $order[] = "answer {$q->params['name']}";
            return $q->params['name'] !== 'no';
        });
        $server->start();
        $turn = function () use ($server, $waiting): void {
            $server->dispatch();
            foreach (clone $waiting as $fiber) {
                if ($waiting[$fiber] <= microtime(true)) {
                    $waiting->detach($fiber);
                    $fiber->resume();
                }
            }
        };
        $client = new Client($server->port(), $turn);
        foreach (['slow', 'quick', 'no'] as $name) {
            $client->ask("private-$name");
        }
        $this->assertSame(403, $client->answer('private-no')['status']);
        $this->assertTrue($client->answer('private-quick'));
        $this->assertTrue($client->answer('private-slow'));
        $this->assertSame(['ask slow', 'ask quick', 'ask no'], \array_slice($order, 0, 3));
        $this->assertSame('answer slow', end($order));
    }

    public function testAFiberThatThrowsLaterDeniesAndThrowsWhereItIsResumed(): void
    {
        $fiber = null;
        $server = $this->server()->fiber()->channel('x', function () use (&$fiber): void {
            $fiber = \Fiber::getCurrent();
            \Fiber::suspend();
            throw new \DomainException('late');
        });
        $client = $this->client($server);
        $client->ask('private-x');
        $this->until($server, function () use (&$fiber) {
            return $fiber !== null;
        });
        try {
            $fiber->resume();
            $this->fail('nothing was thrown');
        } catch (\DomainException $error) {
            $this->assertSame('late', $error->getMessage());
        }
        $this->assertSame('Internal error: private-x', $client->answer('private-x')['error']);
    }

    public function testAFiberThatIsForgottenDenies(): void
    {
        $server = $this->server()->fiber()->channel('x', function () {
            \Fiber::suspend();
            return true;
        });
        $client = $this->client($server);
        $client->ask('private-x');
        $this->until($server, fn () => gc_collect_cycles() >= 0 && $server->stats()['inbox_depth'] === 0);
        $this->assertSame(403, $client->answer('private-x')['status']);
    }

    public function testAFiberIsToldThatItsClientIsGone(): void
    {
        $question = $fiber = null;
        $cancelled = false;
        $server = $this->server()->fiber()->channel('x', function (Question $q) use (&$question, &$fiber, &$cancelled) {
            [$question, $fiber] = [$q, \Fiber::getCurrent()];
            $q->onAbandoned(function () use (&$cancelled): void {
                $cancelled = true;
            });
            \Fiber::suspend();
            return true;
        });
        $client = $this->client($server);
        $client->ask('private-x');
        $this->until($server, function () use (&$fiber) {
            return $fiber !== null;
        });
        $client->close();
        $this->until($server, function () use (&$cancelled) {
            return $cancelled;
        });
        $this->assertTrue($question->abandoned());
        $fiber->resume();
        $this->assertTrue($question->answered());
    }

    public function testARuleThatDispatchesGoesOnWithTheOtherQuestions(): void
    {
        $server = $this->server();
        $server->channel('{name}', function (Question $q) use ($server) {
            for ($end = microtime(true) + 20; $q->params['name'] === 'a' && $server->info('private-b')->subscriptionCount === 0;) {
                $server->dispatch(0.01);
                if (microtime(true) > $end) {
                    return false;
                }
            }
            return true;
        });
        $client = $this->client($server);
        $client->ask('private-a');
        $client->ask('private-b');
        $this->assertTrue($client->answer('private-a'));
        $this->assertTrue($client->answer('private-b'));
    }

    /** A client in another process, which gets private-x; the loop ends when its output is readable. */
    private function asAClient(Server $server, \Closure $loop): void
    {
        [$status, $output] = $this->script('$client = new Client(' . $server->port() . ', null); echo json_encode([$client->subscribe("private-x"),'
            . '$client->subscribe("private-none")["status"]]);', fn (int $pid, $out) => $loop($out));
        $this->assertSame([0, '[true,403]'], [$status, $output]);
    }
}
