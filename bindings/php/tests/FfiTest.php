<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use FFI;
use Pusherc\Constants;
use Pusherc\Library;

/**
 * What PHP's FFI does, rule by rule, with the case that each rule prevents: when a later PHP behaves otherwise, a rule can
 * go. And what costs memory and what does not.
 */
final class FfiTest extends TestCase
{
    public function testTheDeclarationsAreThoseOfTheHeaders(): void
    {
        exec(escapeshellarg(PHP_BINARY) . ' ' . escapeshellarg(__DIR__ . '/../generate') . ' --check 2>&1', $output, $status);
        $this->assertSame([0, []], [$status, $output]);
    }

    public function testTheyAreReadAsTheCompilerReadsThem(): void
    {
        $top = __DIR__ . '/../../..';
        exec("cd $top && tests/abi/table include", $table, $status);
        $this->assertSame(0, $status);
        $ffi = Library::load();
        $checked = ['struct' => 0, 'member' => 0, 'constant' => 0, 'function' => 0];
        foreach ($table as $line) {
            [$kind, $name, $number] = explode(' ', $line) + [2 => ''];
            if ($kind === 'struct') {
                $this->assertSame((int) $number, FFI::sizeof($ffi->type($name)), $name);
            } elseif ($kind === 'member') {
                [$struct, $member] = explode('.', $name);
                $this->assertSame((int) $number, $ffi->type($struct)->getStructFieldOffset($member), $name);
            } elseif ($kind === 'constant') {
                $value = \constant(Constants::class . '::' . substr($name, 8));
                \is_string($value) || $this->assertSame((int) $number, $value, $name);
            } elseif ($kind === 'function') {
                $this->assertIsObject($ffi->$name);
            } else {
                continue;
            }
            $checked[$kind]++;
        }
        $this->assertGreaterThan(20, min($checked));
    }

    public function testAnExceptionInAFunctionThatCCallsEndsTheProcess(): void
    {
        [$status, $output] = $this->script('$ffi = Pusherc\Library::load(); $server = new Server(logLevel: null);
            $address = (new ReflectionProperty($server->start(), "address"))->getValue($server);
            $struct = $ffi->new("struct { pusherc_write_fn call; }");
            $struct->call = function () { throw new DomainException("lost"); };
            try { $ffi->pusherc_server_metrics($address, $struct->call, 0); } catch (DomainException $e) { echo "caught"; }');
        $this->assertSame(255, $status);
        $this->assertStringContainsString('Throwing from FFI callbacks is not allowed', $output);
    }

    public function testAQueryThrowsWhatItsFunctionMeets(): void
    {
        $queries = \Pusherc\Internal\Queries::of(Library::load());
        $memory = new \Pusherc\Internal\Memory($ffi = Library::load());
        $json = $memory->slice('{"id": "1", "key": "k", "secret": "s"}');
        $this->expectException(\DomainException::class);
        (new \ReflectionMethod($queries, 'ask'))->invoke($queries, fn ($each) => $ffi->pusherc_apps_from_json($json, $each, 0, null),
            'pusherc_app_fn', fn () => throw new \DomainException('x'));
    }

    public function testFunctionsGivenToCAndTypesWithoutANameCostMemoryAndQueriesDoNot(): void
    {
        [$status, $output] = $this->script('$ffi = Pusherc\Library::load(); $server = (new Server([new App("a", "k", "s")], logLevel: null))->start();
            $query = function () use ($server) { $server->channels(); $server->metrics(); $server->members("presence-x"); $server->cached("cache-x");
                $server->explain("a"); $server->connections(); $server->info("a"); $server->stats(); };
            $type = $ffi->type("struct { pusherc_write_fn call; }");
            $given = function () use ($ffi, $type) { $struct = $ffi->new($type); $struct->call = fn () => 0; };
            $unnamed = function () use ($ffi) { $ffi->new("struct { char *a; }")->a; };
            $resident = fn () => (int) explode(" ", file_get_contents("/proc/self/statm"))[1] * 4096;
            foreach ([$query, $given, $unnamed] as $each) {
                for ($i = 0; $i < 1000; $i++) { $each(); }
                [$php, $all] = [memory_get_usage(), $resident()];
                for ($i = 0; $i < 5000; $i++) { $each(); }
                printf("%d %d\n", (memory_get_usage() - $php) / 5000, ($resident() - $all) / 5000);
            }');
        $this->assertSame(0, $status, $output);
        [$query, $given, $unnamed] = array_map(fn ($line) => explode(' ', $line), explode("\n", trim($output)));
        $this->assertSame(0, (int) $query[0], $output);
        $this->assertLessThan(100, (int) $query[1], $output);
        $this->assertGreaterThan(100, (int) $given[0] + (int) $given[1], 'so the rule can go: ' . $output);
        $this->assertGreaterThan(20, (int) $unnamed[0] + (int) $unnamed[1], 'so the rule can go: ' . $output);
    }

    public function testAnArrayOfPhpDoesNotBecomeAPointerByItself(): void
    {
        $ffi = Library::load();
        $event = $ffi->new('pusherc_event');
        $channels = $ffi->new('pusherc_slice[2]');
        $event->channels = FFI::addr($channels[0]);
        $this->expectException(FFI\Exception::class);
        $event->channels = $channels;
    }

    public function testAPointerToConstantTextWouldBeReadToItsNul(): void
    {
        $text = Library::load()->new('char[6]');
        FFI::memcpy($text, "ab\0cd", 5);
        $ffi = FFI::cdef('typedef struct slice { const char *ptr; size_t len; } slice;');
        $theirs = $ffi->new('slice');
        $ours = Library::load()->new('pusherc_slice');
        $theirs->ptr = FFI::addr($text[0]);
        $ours->ptr = FFI::addr($text[0]);
        $ours->len = 5;
        $this->assertSame('ab', $theirs->ptr);
        $this->assertSame("ab\0cd", \Pusherc\Internal\Memory::read($ours));
    }

    public function testAPointerThatIsCastToANumberIsFollowed(): void
    {
        $ffi = FFI::cdef('void *malloc(size_t size); void free(void *ptr);');
        $block = $ffi->malloc(8);
        $ffi->cast('uint64_t *', $block)[0] = 4711;
        $this->assertSame(4711, $ffi->cast('uint64_t', $block)->cdata);
        $ffi->free($block);
    }

    public function testStructsGoByValueBothWays(): void
    {
        $ffi = Library::load();
        $memory = new \Pusherc\Internal\Memory($ffi);
        $this->assertSame('12.34', \Pusherc\Internal\Memory::readSocketId($memory->socketId('12.34')));
        $this->assertTrue($ffi->pusherc_slice_equal($memory->slice('a'), $memory->slice('a')));
        $this->assertSame(3, $ffi->pusherc_slice_of('abc')->len);
        $this->assertSame('18446744073709551615.1', \Pusherc\Internal\Memory::readSocketId($memory->socketId('18446744073709551615.1')));
    }

    public function testTheStreamIsACopyOfTheDescriptor(): void
    {
        $server = $this->server()->channel('x', fn () => true);
        fclose($server->stream());
        $this->assertTrue($this->client($server)->subscribe('private-x'));
        $this->assertError('EIO', fn () => is_resource($server->stream()) ?: throw new \Pusherc\Exception(Constants::EIO));
    }

    public function testTheLibrarysOwnFunctionWritesTheLog(): void
    {
        [$status, $output] = $this->script('(new Server([new App("app", "app-key", "app-secret")], logLevel: "debug"))->start()->publish("a", "e");');
        $this->assertSame(0, $status);
        $this->assertStringContainsString('event "e" on "a" has no subscriber', $output);
    }

    public function testQuestionsCostNoMemory(): void
    {
        $count = (int) (getenv('PUSHERC_QUESTIONS') ?: 20000);
        [$status, $output] = $this->script('
            $server = new Server(apps: [new App("app", "key", "secret", auth: "rules", max_client_messages_per_s: -1)], logLevel: null, close_timeout_ms: 100);
            $server->identify(fn (IdentifyRequest $q) => new Identity("7", data: ["a" => 1]));
            $asked = 0;
            $server->channel("plain.{id}", function (Question $q) use (&$asked) { $asked++; return $q->params["id"] !== ""; });
            $server->channel("grant.{id}", function (Question $q) use (&$asked) { $asked++; return new Grant(info: ["d" => $q->data()], userId: "7", expiresIn: 60); });
            $server->channel("later.{id}", function (Question $q) use (&$asked) { $asked++; $q->later()->onAbandoned(fn () => 0)->deny("no"); });
            $server->channel("throw.{id}", function (Question $q) use (&$asked) { $asked++; throw new DomainException("x"); });
            $server->onError(fn () => null);
            $server->listen();
            $socket = stream_socket_client("tcp://127.0.0.1:" . $server->start()->port());
            fwrite($socket, "GET /app/key?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
            stream_set_blocking($socket, false);
            for ($in = ""; !str_contains($in, "established"); $in .= fread($socket, 65536)) { $server->dispatch(0.01); }
            $frame = fn (string $text) => "\x81" . chr(0x80 | strlen($text)) . "\0\0\0\0$text";
            // Names that differ: a question that waits is not asked twice. They are left long after the answer: what is left
            // at once is not asked about at all.
            $rounds = [];
            for ($i = 0; $i < 100; $i++) {
                $rounds[$i] = "";
                foreach (["unsubscribe" => ($i + 50) % 100, "subscribe" => $i] as $what => $n) {
                    foreach (["private-plain.$n", "presence-grant.$n", "private-later.$n", "private-throw.$n"] as $name) {
                        $rounds[$i] .= $frame("{\"event\":\"pusher:$what\",\"data\":{\"channel\":\"$name\"}}");
                    }
                }
            }
            $resident = fn () => (int) explode(" ", file_get_contents("/proc/self/statm"))[1] * 4096;
            $run = function (int $until) use ($server, $socket, $rounds, &$asked) {
                for ($sent = $asked; $asked < $until;) {
                    if ($sent < $until && $sent - $asked < 40) { fwrite($socket, $rounds[$sent / 4 % 100]); $sent += 4; }
                    $server->dispatch($sent - $asked >= 40 ? 0.01 : 0);
                    fread($socket, 65536);
                }
            };
            $run((int) (' . $count . ' / 4));
            [$php, $all] = [memory_get_usage(), $resident()];
            $run(' . $count . ');
            printf("%d %d %d", $asked, memory_get_usage() - $php, $resident() - $all);');
        $this->assertSame(0, $status, $output);
        [$asked, $php, $resident] = explode(' ', $output);
        $this->assertGreaterThanOrEqual($count, (int) $asked, $output);
        $this->assertLessThan(1024, (int) $php, "$output: memory of PHP has grown");
        $this->assertLessThan(8 << 20, (int) $resident, "$output: memory of the process has grown");
    }
}
