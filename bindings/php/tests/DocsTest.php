<?php

declare(strict_types=1);

namespace Pusherc\Tests;

/** docs/php.md does what it says. */
final class DocsTest extends TestCase
{
    public function testEveryBlockParses(): void
    {
        foreach (self::blocks() as $i => $code) {
            $file = tempnam(sys_get_temp_dir(), 'pusherc');
            file_put_contents($file, $code);
            exec(escapeshellarg(PHP_BINARY) . ' -l ' . escapeshellarg($file) . ' 2>&1', $output, $status);
            unlink($file);
            $this->assertSame(0, $status, "block $i: " . implode("\n", $output));
        }
    }

    public function testTheTenLinesWork(): void
    {
        $work = sys_get_temp_dir() . '/pusherc-docs-' . getmypid();
        mkdir("$work/vendor", recursive: true);
        file_put_contents("$work/vendor/autoload.php", '<?php require ' . var_export(__DIR__ . '/bootstrap.php', true) . ';');
        file_put_contents("$work/server.php", self::blocks()[0]);
        $port = 6001;
        if (@stream_socket_client("tcp://127.0.0.1:$port", $code, $text, 1)) {
            $this->markTestSkipped('something listens at port 6001');
        }
        $process = proc_open([PHP_BINARY, 'server.php'], [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes, $work);
        try {
            for ($end = microtime(true) + 20; !@stream_socket_client("tcp://127.0.0.1:$port", $code, $text, 1) && microtime(true) < $end;) {
                usleep(10000);
            }
            $client = new Client($port, null, key: 'app-key');
            $this->assertTrue($client->subscribe('private-greetings.olga'));
            $this->assertSame(['from' => 'PHP'], $client->wait('hello')['data']);
            $this->assertSame(403, $client->subscribe('private-greetings.nobody')['status']);
            proc_terminate($process, SIGINT);
            $this->assertSame(4200, $client->waitClosed());
        } finally {
            proc_terminate($process, SIGTERM);
            $output = stream_get_contents($pipes[1]);
            $status = proc_close($process);
            exec('rm -rf ' . escapeshellarg($work));
        }
        $this->assertSame(0, $status, $output);
    }

    /** @return list<string> */
    private static function blocks(): array
    {
        preg_match_all('/^```php\n(.*?)^```$/ms', file_get_contents(__DIR__ . '/../../../docs/php.md'), $found);
        return $found[1];
    }
}
