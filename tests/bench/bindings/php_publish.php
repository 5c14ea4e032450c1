<?php

// What a publish without a subscriber costs a program in PHP, beside the one in C.
//
//     php_publish.php PROGRAM [ROUNDS [COUNT]]     PROGRAM: that of publish.c; 7 rounds of 100,000 events unless given
//
// In each round each of them publishes COUNT events with 100 bytes of data in a process of its own, 50 in a millisecond at
// most. CPU time is the process's, that of the one worker included. The environment's PUSHERC_BUILD is the build whose
// library is loaded.

declare(strict_types=1);

use Pusherc\App;
use Pusherc\Server;

require __DIR__ . '/../../../bindings/php/tests/bootstrap.php';

/** What publish.c does. */
function publish(int $count): void
{
    $cpu = function (): float {
        $used = getrusage();
        return ($used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec']) * 1e6 + $used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec'];
    };
    $server = new Server(apps: [new App('1', 'app-key', 'app-secret')]);
    echo $server->listen()->start()->port(), "\n";
    fgets(STDIN);
    $data = str_repeat('x', 100);
    $before = $cpu();
    for ($i = 0; $i < $count; $i++) {
        $i % 50 === 0 && usleep(1000);
        $server->publish('bench', 'event', $data);
    }
    echo ($cpu() - $before) / $count, "\n";
}

/** @param list<string> $command */
function cost(array $command): float
{
    $process = proc_open($command, [['pipe', 'r'], ['pipe', 'w']], $pipes);
    fgets($pipes[1]);
    fwrite($pipes[0], "go\n");
    $cost = (float) fgets($pipes[1]);
    fclose($pipes[0]);
    return proc_close($process) === 0 && $cost > 0 ? $cost : throw new RuntimeException(implode(' ', $command) . ' failed');
}

/** @param list<float> $values */
function median(array $values): float
{
    sort($values);
    return $values[intdiv(count($values), 2)];
}

if (($argv[1] ?? '') === '--one') {
    publish((int) $argv[2]);
    exit;
}
if (!isset($argv[1])) {
    fwrite(STDERR, "usage: php_publish.php PROGRAM [ROUNDS [COUNT]]\n");
    exit(2);
}
$count = $argv[3] ?? '100000';
$jit = ['-d', 'opcache.enable_cli=1', '-d', 'opcache.jit=tracing', '-d', 'opcache.jit_buffer_size=16M'];
$ways = [
    'C' => [$argv[1], $count],
    'PHP' => [PHP_BINARY, __FILE__, '--one', $count],
    'PHP, JIT' => [PHP_BINARY, ...$jit, __FILE__, '--one', $count],
];
$costs = [];
for ($round = 0; $round < (int) ($argv[2] ?? 7); $round++) {
    foreach ($ways as $name => $command) {
        $costs[$name][] = cost($command);
    }
}
echo "| host | CPU us per publish | of rounds | ratio to C |\n|---|---|---|---|\n";
foreach ($costs as $name => $found) {
    $ratios = array_map(fn (float $one, float $c): float => $one / $c, $found, $costs['C']);
    printf("| %s | %.2f | %.2f to %.2f | %.2f |\n", $name, median($found), min($found), max($found), median($ratios));
}
