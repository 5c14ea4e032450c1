<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\ChannelEvent;
use Pusherc\Identity;
use Pusherc\IdentifyRequest;
use Pusherc\Question;

/** The stock client, which asks the server's own auth endpoint. */
final class PusherJsTest extends TestCase
{
    public function testAPageWithPusherJs(): void
    {
        if (!is_dir(__DIR__ . '/../../../tests/node_modules/pusher-js')) {
            $this->markTestSkipped('no pusher-js: tools/npm-packages');
        }
        $purposes = $owners = [];
        $owners['7'] = 'olga';
        $server = $this->server(auth: 'either');
        $server->identify(function (IdentifyRequest $q) use (&$purposes) {
            $purposes[$q->purpose] = true;
            return $q->bearer() ? new Identity($q->bearer(), ['name' => ucfirst($q->bearer())]) : null;
        });
        $server->channel('tickets.{id}', function (Question $q) use (&$owners) {
            return ($owners[$q->params['id']] ?? '') === $q->userId;
        });
        $server->channel('room', fn (Question $q) => $q->userId !== null);
        $server->onChannel(function (ChannelEvent $e) use ($server, &$owners): void {
            if ("$e->type $e->channel" === 'member_added presence-room') {
                $server->publish('private-tickets.7', 'replied', ['by' => $e->userId]);
            } elseif ("$e->type $e->channel" === 'occupied revoke') {
                $owners['7'] = 'max';
                $server->reauthorize(pattern: 'tickets.7');
            }
        });
        $server->start();
        $process = proc_open([__DIR__ . '/../../../tools/node', __DIR__ . '/pusher-js.js', (string) $server->port()], [1 => ['pipe', 'w']], $pipes);
        stream_set_blocking($pipes[1], false);
        $output = '';
        $this->until($server, function () use ($pipes, &$output) {
            $output .= fread($pipes[1], 65536);
            return feof($pipes[1]);
        }, 60);
        $this->assertSame(0, proc_close($process));
        $this->assertSame(['private' => true, 'foreign' => 403, 'presence' => ['olga' => ['name' => 'Olga']], 'replied' => ['by' => 'olga'],
            'revoked' => 403], json_decode($output, true));
        $this->assertSame(['connect', 'channel-auth'], array_keys($purposes));
    }
}
