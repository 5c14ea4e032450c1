<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\App;
use Pusherc\AppRequest;
use Pusherc\ChannelEvent;
use Pusherc\ClientEvent;
use Pusherc\Connection;
use Pusherc\Constants;
use Pusherc\Event;
use Pusherc\HttpRequest;
use Pusherc\HttpResponse;
use Pusherc\Identity;
use Pusherc\IdentifyRequest;
use Pusherc\Question;
use Pusherc\Reject;
use Pusherc\Server;

/** Identities, sending, acting on clients, looking, reports, the host's own pages, apps and settings. */
final class ServerTest extends TestCase
{
    public function testIdentifyReadsTheRequest(): void
    {
        $seen = [];
        $server = $this->server();
        $server->identify(function (IdentifyRequest $q) use (&$seen) {
            $seen = [$q->appId, $q->purpose, $q->path(), $q->query('a'), $q->query('none'), $q->header('x-other'), $q->cookie('session'),
                $q->bearer(), $q->clientIp(), (bool) preg_match('/^127\.0\.0\.1:\d+$/', (string) $q->peer())];
            return null;
        });
        $headers = ['X-Other' => 'o', 'Cookie' => 'session=s1; b=2', 'Authorization' => 'Bearer t'];
        $this->client($server, 'olga&a=b%20c', headers: $headers);
        $this->assertSame(['app', 'connect', '/app/key', 'b c', null, 'o', 's1', 't', '127.0.0.1', true], $seen);
    }

    public function testDataOfAnIdentityComesWithItsQuestions(): void
    {
        $seen = [];
        $server = $this->server()->channel('x', function (Question $q) use (&$seen) {
            $seen[] = $q->data();
            return true;
        });
        $server->identify(fn () => new Identity('1', data: ['role' => 'admin', 'bytes' => "\0\1"]));
        $this->client($server)->subscribe('private-x');
        $server->identify(fn () => new Identity('2'));
        $this->client($server)->subscribe('private-x');
        $this->assertSame([['role' => 'admin', 'bytes' => "\0\1"], null], $seen);
    }

    public function testRejectClosesWithACode(): void
    {
        $server = $this->server();
        $server->identify(fn () => throw new Reject('Pay first', 4321));
        $client = $this->client($server, established: false);
        $this->assertSame([4321, 'Pay first'], [$client->waitClosed(), $client->closeReason]);
        $server->identify(fn () => throw new Reject());
        $this->assertSame(4009, $this->client($server, established: false)->waitClosed());
    }

    public function testAnExceptionInIdentifyLetsTheClientComeBack(): void
    {
        $server = $this->server();
        $server->identify(fn () => throw new \DomainException('down'));
        $server->onError(fn () => null);
        $client = $this->client($server, established: false);
        $this->assertSame([4100, 'Internal error'], [$client->waitClosed(), $client->closeReason]);
    }

    public function testIdentifyLater(): void
    {
        $kept = null;
        $server = $this->server();
        $server->identify(function (IdentifyRequest $q) use (&$kept) {
            $kept = $q->later();
        });
        $client = $this->client($server, established: false);
        $this->until($server, function () use (&$kept) {
            return $kept !== null;
        });
        $this->assertTrue($kept->accept(new Identity('olga', ['name' => 'Olga'], 60)));
        $client->wait('pusher:connection_established');
        $this->assertError('ESTATE', fn () => $kept->header('Host'));
        $this->assertError('ESTATE', fn () => $kept->reject());
        $this->assertSame('olga', $server->connections('olga')[0]->userId);
    }

    public function testPublishTakesTextAsItIsAndEncodesEverythingElse(): void
    {
        $server = $this->server();
        $client = $this->client($server);
        $client->subscribe('a');
        foreach (['text "q"', ['x' => 1.0, 'u' => 'ü/'], 7, true] as $data) {
            $server->publish('a', 'e', $data);
            $this->assertEquals($data, $client->wait('e')['data']);
        }
        $server->publish('a', 'e', "with\0nul and " . str_repeat('ü', 4000));
        $this->assertSame("with\0nul and " . str_repeat('ü', 4000), $client->wait('e')['data']);
        $this->expectException(\JsonException::class);
        $server->publish('a', 'e', "\xff" ? ["\xff"] : 0);
    }

    public function testPublishToSeveralButOne(): void
    {
        $server = $this->server();
        [$one, $two] = [$this->client($server), $this->client($server)];
        foreach (['a', 'b'] as $channel) {
            $one->subscribe($channel);
            $two->subscribe($channel);
        }
        $server->publish(['a', 'b'], 'e', 1, except: $one->socketId);
        $server->publish('a', 'f', 2, except: $two->socketId);
        $this->assertSame(['e', 'e'], $two->sofar());
        $this->assertSame(['f'], $one->sofar());
    }

    public function testPublishSaysWhatIsWrong(): void
    {
        $server = $this->server()->start();
        $this->assertError('EINVAL', fn () => $server->publish('a b', 'e'));
        $this->assertError('EINVAL', fn () => $server->publish('a', 'e', 1, except: 'nonsense'));
        $this->assertError('EINVAL', fn () => $server->publish(['a'], 'e', 1, except: 'nonsense'));
        $this->assertError('EINVAL', fn () => $server->publish([], 'e'));
        $this->assertError('EINVAL', fn () => $server->publish('a', 'e', "\xff"));
        $this->assertError('ENOENT', fn () => $server->publish('a', 'e', app: 'other'));
        $error = $this->assertError('ELIMIT', fn () => $server->publish('a', 'e', str_repeat('x', 20000)));
        $this->assertSame([Constants::ELIMIT, 'a configured limit was exceeded (ELIMIT)'], [$error->getCode(), $error->getMessage()]);
    }

    public function testPublishBatchSendsInOrderOrNothing(): void
    {
        $server = $this->server();
        $client = $this->client($server);
        $client->subscribe('a');
        $server->publishBatch([new Event('a', 'one', 1), new Event(['a', 'b'], 'two', [2]), new Event('a', 'three', '3', $client->socketId)]);
        $this->assertSame(['one', 'two'], $client->sofar());
        $this->assertError('EINVAL', fn () => $server->publishBatch([new Event('a', 'one'), new Event('a b', 'two')]));
        $this->assertError('EINVAL', fn () => $server->publishBatch([]));
        $this->assertSame([], $client->sofar());
    }

    public function testSendsToAUserThatHasSignedIn(): void
    {
        $signed = [];
        $server = $this->server(auth: 'signature')->onSignin(function (Connection $connection) use (&$signed) {
            $signed[] = [$connection->userId, $connection->socketId];
        });
        $client = $this->client($server);
        $user = json_encode(['id' => '42']);
        $auth = 'key:' . hash_hmac('sha256', "$client->socketId::user::$user", 'secret');
        $client->send('pusher:signin', ['auth' => $auth, 'user_data' => $user]);
        $client->wait('pusher:signin_success');
        $client->subscribe('#server-to-user-42');
        $server->sendToUser('42', 'e', ['n' => 1]);
        $this->assertSame(['n' => 1], $client->wait('e')['data']);
        $this->until($server, function () use (&$signed) {
            return $signed !== [];
        });
        $this->assertSame([['42', $client->socketId]], $signed);
        $this->assertSame(['42', null], [$server->connections()[0]->signedInAs, $server->connections('43')[0] ?? null]);
    }

    public function testDisconnects(): void
    {
        $server = $this->server();
        [$one, $two, $other] = [$this->client($server, 'olga'), $this->client($server, 'olga'), $this->client($server, 'max')];
        $server->disconnect($one->socketId, 'Enough', 4200);
        $this->assertSame([4200, 'Enough'], [$one->waitClosed(), $one->closeReason]);
        $server->disconnectUser('olga');
        $this->assertSame(4009, $two->waitClosed());
        $this->assertSame([], $other->sofar());
        $this->assertError('EINVAL', fn () => $server->disconnect('x'));
        $this->assertError('EINVAL', fn () => $server->disconnect($other->socketId, '', 70000));
        $this->assertError('EINVAL', fn () => $server->disconnect($other->socketId, '', 1001));
    }

    public function testUnsubscribes(): void
    {
        $server = $this->server()->channel('x', fn () => true);
        $client = $this->client($server, 'olga');
        foreach ([['socketId' => $client->socketId], ['userId' => 'olga']] as $whom) {
            $this->assertTrue($client->subscribe('private-x'));
            $server->unsubscribe('private-x', ...$whom, reason: 'Sold');
            $this->assertSame('Sold: private-x', $client->wait('pusher:subscription_error')['data']['error']);
        }
        $this->assertError('EINVAL', fn () => $server->unsubscribe('private-x'));
    }

    public function testLooksAtChannelsMembersAndConnections(): void
    {
        $server = $this->server()->channel('{name}', fn (Question $q) => $q->params['name'] !== 'none');
        $client = $this->client($server, 'olga');
        $client->subscribe('presence-room');
        $client->subscribe('cache-news');
        $names = array_map(fn ($channel) => [$channel->name, $channel->kind, $channel->cache, $channel->subscriptionCount, $channel->userCount],
            $server->channels());
        sort($names);
        $this->assertSame([['cache-news', 'public', true, 1, 0], ['presence-room', 'presence', false, 1, 1]], $names);
        $this->assertCount(1, $server->channels('presence-'));
        $this->assertSame([0, 'private'], [$server->info('private-x')->subscriptionCount, $server->info('private-x')->kind]);
        $this->assertError('EINVAL', fn () => $server->info('a b'));
        $members = $server->members('presence-room', sequence: $sequence);
        $this->assertSame([1, 'olga', []], [count($members), $members[0]->userId, $members[0]->info]);
        $this->assertGreaterThan(0, $sequence);
        $this->assertSame([], $server->members('presence-empty'));
        $this->assertError('EINVAL', fn () => $server->members('room'));
        $this->assertSame([$client->socketId, 'app', 'olga', '127.0.0.1'], array_slice(array_values(get_object_vars($server->connections()[0])), 0, 4));
        $this->assertSame(1, $server->stats()['connections']);
        $this->assertStringContainsString("\npusherc_connected", $server->metrics());
        $this->assertSame(['{name}', 'ask rule'], [$server->explain('private-x')['rule'], $server->explain('private-x')['outcome']]);
        $this->assertError('ENOENT', fn () => $server->explain('private-x', app: 'other'));
    }

    public function testManyChannelsAreListed(): void
    {
        $server = $this->server();
        $client = $this->client($server);
        for ($i = 0; $i < 300; $i++) {
            $client->ask("c-$i");
        }
        $client->answer('c-299');
        $this->assertCount(300, array_unique(array_column($server->channels(), 'name')));
    }

    public function testACacheChannelKeepsItsEvent(): void
    {
        $server = $this->server()->start();
        $this->assertNull($server->cached('cache-a'));
        $server->publish('cache-a', 'e', [1]);
        $cached = $server->cached('cache-a');
        $this->assertSame(['e', '[1]'], [$cached['event'], $cached['data']]);
        $this->assertGreaterThan(1700, $cached['ttl']);
        $this->assertError('EINVAL', fn () => $server->cached('a'));
    }

    public function testReportsComeAsTheyHappen(): void
    {
        $seen = [];
        $server = $this->server(client_events: true)->channel('room', fn () => true);
        $server->onOpen(function (Connection $c) use (&$seen) {
            $seen[] = "open $c->userId $c->clientIp";
        })->onClose(function (Connection $c) use (&$seen) {
            $seen[] = "close $c->closeCode";
        })->onChannel(function (ChannelEvent $e) use (&$seen) {
            $seen[] = "$e->type $e->channel $e->userId $e->subscriptionCount";
            $this->assertSame('process', $e->scope); // "cluster" needs linked servers
        })->onClientEvent(function (ClientEvent $e) use (&$seen) {
            $seen[] = "$e->event $e->channel $e->data $e->userId";
        });
        $client = $this->client($server, 'olga');
        $client->subscribe('presence-room');
        $client->send('client-hello', ['n' => 1], 'presence-room');
        $client->sofar();
        $client->close();
        $this->until($server, function () use (&$seen) {
            return count($seen) === 9;
        });
        // A member who has just come leaves a little later.
        sort($seen);
        $this->assertSame(['client-hello presence-room {"n":1} olga', 'close 1006', 'member_added presence-room olga 1',
            'member_removed presence-room olga 0', 'occupied presence-room  1', 'open olga 127.0.0.1', 'subscription_count presence-room  0',
            'subscription_count presence-room  1', 'vacated presence-room  0'], $seen);
    }

    public function testAnExceptionInAReportIsThrown(): void
    {
        $server = $this->server()->onOpen(fn () => throw new \DomainException('oh'));
        new Client($server->start()->port(), function () use ($server) {
            try {
                $server->dispatch();
            } catch (\DomainException) {
                $this->addToAssertionCount(1);
            }
        });
        $this->assertSame('oh', $this->getNumAssertions() ? 'oh' : $this->thrown($server)->getMessage());
    }

    public function testLogLinesComeToTheFunction(): void
    {
        $lines = [];
        $server = $this->closing(new Server(apps: [new App('app', 'key', 'secret')], logLevel: 'debug'));
        $server->onLog(function (string $level, string $subject, string $line) use (&$lines) {
            $lines[] = "$level $subject: $line";
        });
        $server->listen()->start();
        $server->publish('nowhere', 'e');
        $this->until($server, function () use (&$lines) {
            return $lines === ['debug fanout: event "e" on "nowhere" has no subscriber'];
        });
    }

    public function testPagesOfTheHost(): void
    {
        $server = $this->server()->http(fn (HttpRequest $q) => match ($q->path) {
            '/' => '<h1>Shop</h1>',
            '/json' => ['ok' => true],
            '/echo' => HttpResponse::text("$q->method {$q->query('a')} {$q->form('f')} {$q->header('X-Y')} {$q->cookie('c')} {$q->bearer()} {$q->body()}"),
            '/gone' => new HttpResponse('', 410, ['X-Reason' => 'old']),
            '/break' => throw new \DomainException('x'),
            default => null,
        })->onError(fn () => null);
        $this->assertSame([200, '<h1>Shop</h1>'], $this->fetch($server, 'GET', '/'));
        $this->assertSame([200, '{"ok":true}'], $this->fetch($server, 'GET', '/json'));
        $this->assertSame([200, 'POST 1 2 y k t f=2'], $this->fetch($server, 'POST', '/echo?a=1', 'f=2',
            ['X-Y: y', 'Cookie: c=k', 'Authorization: Bearer t', 'Content-Type: application/x-www-form-urlencoded']));
        $this->assertSame([410, ''], $this->fetch($server, 'GET', '/gone'));
        $this->assertSame([500, "Internal error\n"], $this->fetch($server, 'GET', '/break'));
        $this->assertSame([404, "Not found\n"], $this->fetch($server, 'GET', '/none'));
    }

    public function testAnswersAPageWhenTheCountIsKnown(): void
    {
        $server = $this->server()->channel('x', fn () => true);
        $server->http(function (HttpRequest $q) use ($server) {
            $q->later();
            $server->reauthorize(done: fn (int $kept, int $revoked) => $q->respond(HttpResponse::text("kept $kept, revoked $revoked\n")));
        });
        $client = $this->client($server);
        $client->subscribe('private-x');
        $this->assertSame([200, "kept 1, revoked 0\n"], $this->fetch($server, 'POST', '/again'));
    }

    public function testFindsAnAppWhenItIsNamed(): void
    {
        $asked = [];
        $server = $this->closing(new Server(logLevel: null));
        $server->findApp(function (AppRequest $q) use (&$asked) {
            $asked[] = [$q->id, $q->key];
            return $q->key === 'shop' ? new App('7', 'shop', 's', auth: 'rules') : null;
        });
        $server->listen()->start();
        $this->client($server, key: 'shop');
        $client = $this->client($server, key: 'none', established: false);
        $this->assertSame(4001, $client->waitClosed());
        $this->assertSame([[null, 'shop'], [null, 'none']], $asked);
        $this->assertError('ENOENT', fn () => $server->publish('a', 'e'));
        $server->publish('a', 'e', app: '7');
    }

    public function testAppsComeAndGo(): void
    {
        $server = $this->server()->start();
        $server->putApp(new App('other', 'other-key', 's', max_connections: 1, allowedOrigins: ['https://*.example.com', '*']));
        $client = $this->client($server, key: 'other-key');
        $this->assertSame(4004, $this->client($server, key: 'other-key', established: false)->waitClosed());
        $server->removeApp('other');
        $this->assertSame(4001, $client->waitClosed());
        $this->assertError('ENOENT', fn () => $server->removeApp('other'));
        $this->assertError('EEXIST', fn () => $server->putApp(new App('third', 'key', 's')));
        $this->assertStringContainsString('key', $this->assertError('EINVAL', fn () => $server->putApp(new App('4', 'a:b', 's')))->getMessage());
    }

    public function testOriginsAreThoseOfTheApp(): void
    {
        $server = $this->server(allowedOrigins: ['https://shop.example']);
        $this->client($server, headers: ['Origin' => 'https://shop.example']);
        $this->assertSame(4009, $this->client($server, headers: ['Origin' => 'https://evil.example'], established: false)->waitClosed());
    }

    /** @return array<string, array{array<string, mixed>, string}> */
    public static function settings(): array
    {
        return [
            'unknown' => [['max_conections' => 1], 'did you mean "max_connections"?'],
            'too small' => [['max_connections' => 0], '1 to 4294967294, or -1 for no limit'],
            'no number' => [['max_connections' => '5'], 'must be a number'],
            'too large' => [['cache_ttl_s' => 1 << 32], 'must be a number from 1'],
            'no flag' => [['client_events' => 1], 'true or false'],
            'no word' => [['slow_policy' => 'shut'], 'one of: close, drop'],
            'no text' => [['encryption_master_key' => 5], 'must be text'],
            'NUL' => [['encryption_master_key' => "a\0b"], 'NUL'],
            'the library checks, too' => [['encryption_master_key' => 'short'], 'encryption_master_key'],
            'a second mode' => [['auth_mode' => 'x'], 'auth_mode'],
        ];
    }

    /**
     * @dataProvider settings
     * @param array<string, mixed> $settings
     */
    #[\PHPUnit\Framework\Attributes\DataProvider('settings')]
    public function testASettingThatIsWrongIsNamed(array $settings, string $text): void
    {
        $server = $this->closing(new Server(logLevel: null))->putApp(new App('app', 'key', 'secret', ...$settings));
        $this->assertStringContainsString($text, $this->assertError('EINVAL', fn () => $server->start())->getMessage());
    }

    public function testSettingsArrive(): void
    {
        $server = new Server([new App('app', 'key', 'secret', auth: 'rules', presence_grace_ms: 0, max_connections: -1, slow_policy: 'drop',
            max_event_payload_bytes: 5)], workers: 2, logLevel: null, path_prefix: '/ws', metrics_prefix: 'soketi_', max_cache_bytes: 1 << 33);
        $this->closing($server)->listen()->start();
        $server->publish('a', 'e', '12345');
        $this->assertError('ELIMIT', fn () => $server->publish('a', 'e', '123456'));
        $this->assertStringContainsString("\nsoketi_", $server->metrics());
        $this->assertError('EINVAL', fn () => (new Server(logLevel: null, auth_timeout: 5))->start());
        $this->assertError('EINVAL', fn () => (new Server(logLevel: 'loud'))->start());
        $this->assertError('EINVAL', fn () => (new Server(workers: 65))->start());
    }

    public function testListensOnAUnixSocket(): void
    {
        $path = sys_get_temp_dir() . '/pusherc-' . getmypid() . '.sock';
        $server = $this->server()->listen(host: "unix:$path", unixMode: 0600)->start();
        $this->assertSame(0600, fileperms($path) & 0777);
        $socket = stream_socket_client("unix://$path");
        fwrite($socket, "GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        $this->assertStringStartsWith('HTTP/1.1 200', stream_get_contents($socket));
        $server->close();
        $this->assertFileDoesNotExist($path);
    }

    public function testListensWithTlsAndTakesAnotherCertificate(): void
    {
        $files = [];
        foreach (['one', 'two'] as $name) {
            $key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
            $certificate = openssl_csr_sign(openssl_csr_new(['commonName' => $name], $key), null, $key, 1);
            $files[$name] = ['cert' => tempnam(sys_get_temp_dir(), 'pusherc'), 'key' => tempnam(sys_get_temp_dir(), 'pusherc')];
            openssl_x509_export_to_file($certificate, $files[$name]['cert']);
            openssl_pkey_export_to_file($key, $files[$name]['key']);
        }
        $server = $this->closing(new Server(logLevel: null))->listen(tls: $files['one'])->start();
        $name = function () use ($server) {
            $context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false, 'capture_peer_cert' => true]]);
            $socket = stream_socket_client("tls://127.0.0.1:{$server->port()}", $code, $text, 10, STREAM_CLIENT_CONNECT, $context);
            return openssl_x509_parse(stream_context_get_params($socket)['options']['ssl']['peer_certificate'])['subject']['CN'];
        };
        $this->assertSame('one', $name());
        $server->reloadTls(...$files['two']);
        $this->until($server, fn () => $name() === 'two');
        $this->assertError('ETLS', fn () => $server->reloadTls($files['one']['key'], $files['one']['key']));
        array_map('unlink', array_merge(...array_map('array_values', array_values($files))));
    }

    public function testAFailedStartLeavesNothing(): void
    {
        $first = $this->server()->start();
        $second = $this->closing(new Server(logLevel: null));
        $second->listen($first->port());
        $this->assertStringContainsString('address in use', $this->assertError('EIO', fn () => $second->start())->getMessage());
        $this->assertError('ESTATE', fn () => $second->publish('a', 'e'));
        $first->close();
        $second->start();
        $this->assertError('ESTATE', fn () => $first->start());
    }

    public function testWhatComesTooLateIsRefused(): void
    {
        $server = $this->server()->start();
        $this->assertError('ESTATE', fn () => $server->listen());
        $this->assertError('ESTATE', fn () => $server->onOpen(fn () => null));
        $server->identify(fn () => new Identity('7'));
        $this->assertSame($server, $server->start());
        $client = $this->client($server);
        $this->assertSame($client->socketId, $server->connections('7')[0]->socketId);
        $this->assertError('EINVAL', fn () => (new Server())->listen(70000));
    }
}
