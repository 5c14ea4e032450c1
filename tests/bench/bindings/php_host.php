<?php

// What the benchmarks measure of the PHP package: the host of host.c, with a rule in PHP.
//
//     php_host.php PORT WAY [BLOCK_MS]     PORT 0: the system picks one
//
// WAY: none (there is no rule) or closure. BLOCK_MS: how long each decision waits, as for a slow database. As in host.c, the
// app is app-id, app-key, app-secret, the parameter `token` of a client is its user, and the rule covers private-bench.{n}.
// The environment's PUSHERC_BUILD is the build whose library is loaded.

declare(strict_types=1);

use Pusherc\App;
use Pusherc\Identity;
use Pusherc\IdentifyRequest;
use Pusherc\Question;
use Pusherc\Server;

require __DIR__ . '/../../../bindings/php/tests/bootstrap.php';

$port = (int) ($argv[1] ?? 0);
$way = $argv[2] ?? '';
$block = (int) ($argv[3] ?? 0) * 1000;
if (!in_array($way, ['none', 'closure'], true)) {
    fwrite(STDERR, "usage: php_host.php PORT none|closure [BLOCK_MS]\n");
    exit(2);
}
$server = new Server(apps: [new App('app-id', 'app-key', 'app-secret', auth: 'either')]);
$server->identify(fn (IdentifyRequest $q): Identity => new Identity($q->query('token') ?? ''));
if ($way === 'closure') {
    $server->channel('bench.{n}', function (Question $q) use ($block): bool {
        $block && usleep($block);
        return $q->userId !== null;
    });
}
echo "listening on http://127.0.0.1:{$server->listen($port, backlog: 4096)->start()->port()}\n";
$server->run(onSignal: [SIGINT, SIGTERM], grace: 0);
