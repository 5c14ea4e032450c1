<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use PHPUnit\Framework\TestCase;
use Pusherc\Constants;
use Pusherc\Event;
use Pusherc\Exception;
use Pusherc\Publisher;
use Pusherc\PublishException;
use Pusherc\Signer;

/** Publisher against `pusherc serve`, with a client that sees what arrives, and against a server that misbehaves. */
final class PublisherTest extends TestCase
{
    private const MASTER = 'TWFzdGVyIGtleSBmb3IgdGVzdHMsIDMyIGJ5dGVzISE=';

    private static string $folder;
    /** @var list<resource> programs that end with the class */
    private static array $programs = [];
    private static string $url;
    private static string $answers;

    public static function setUpBeforeClass(): void
    {
        self::$folder = sys_get_temp_dir() . '/pusherc-publisher-' . bin2hex(random_bytes(6));
        mkdir(self::$folder);
        self::$url = self::serve('--unix-socket', self::$folder . '/socket');
        self::$answers = 'http://' . trim(self::start([PHP_BINARY, __DIR__ . '/answers.php']));
    }

    public static function tearDownAfterClass(): void
    {
        foreach (self::$programs as $program) {
            proc_terminate($program, 9);
            proc_close($program);
        }
        array_map('unlink', glob(self::$folder . '/*'));
        rmdir(self::$folder);
    }

    /** Starts a program, and returns its first line that has an address. */
    private static function start(array $command): string
    {
        $program = proc_open($command, [1 => ['pipe', 'w'], 2 => ['file', '/dev/null', 'w']], $pipes);
        self::$programs[] = $program;
        do {
            $line = fgets($pipes[1]);
            self::assertNotFalse($line, implode(' ', $command) . ' has ended');
        } while (!preg_match('~^127|https?://~', $line));
        return $line;
    }

    private static function serve(string ...$options): string
    {
        $program = getenv('PUSHERC_PROGRAM') ?: dirname(getenv('PUSHERC_LIBRARY'), 2) . '/cli/pusherc';
        preg_match('~https?://\S+~', self::start([$program, 'serve', '--port', '0', '--metrics', 'off', '--grace-ms', '0', ...$options]), $match);
        return $match[0];
    }

    private static function publisher(?string $url = null, string $app = 'app-id', mixed ...$more): Publisher
    {
        return new Publisher($url ?? self::$url, $app, 'app-key', 'app-secret', ...$more);
    }

    /** A client that is subscribed to the channels. @return resource */
    private static function client(string ...$channels)
    {
        $client = stream_socket_client(str_replace('http:', 'tcp:', self::$url));
        stream_set_timeout($client, 20);
        fwrite($client, "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        while (rtrim((string) fgets($client)) !== '') {
        }
        $socketId = json_decode(self::message($client)['data'])->socket_id;
        foreach ($channels as $channel) {
            $data = str_starts_with($channel, 'presence-') ? '{"user_id":"7"}' : '';
            $auth = (new Signer('app-key', 'app-secret'))->channel($socketId, $channel, $data);
            $text = json_encode(['event' => 'pusher:subscribe', 'data' => ['channel' => $channel, 'auth' => $auth] + ($data ? ['channel_data' => $data] : [])]);
            fwrite($client, "\x81\xfe" . pack('n', strlen($text)) . "\0\0\0\0$text");
            self::assertSame('pusher_internal:subscription_succeeded', self::message($client)['event']);
        }
        return $client;
    }

    /** The next message that a client receives. @param resource $client */
    private static function message($client): array
    {
        $head = fread($client, 2);
        self::assertSame(2, strlen((string) $head), 'nothing has arrived');
        $size = ord($head[1]);
        $size = $size === 126 ? unpack('n', fread($client, 2))[1] : $size;
        return json_decode(stream_get_contents($client, $size), true);
    }

    private static function fails(callable $call): PublishException
    {
        try {
            $call();
        } catch (PublishException $e) {
            return $e;
        }
        self::fail('nothing was thrown');
    }

    // -- what arrives --

    public function testAnEventArrivesOverPortAndUnixSocket(): void
    {
        $client = self::client('news', 'private-a');
        foreach ([self::$url, self::$url . '/', 'unix:' . self::$folder . '/socket', 'unix://' . self::$folder . '/socket'] as $url) {
            foreach ([['n' => 1.0, 's' => 'Zoë/"'], 'plain text', null, [], 7] as $data) {
                self::publisher($url)->publish(['news', 'private-a'], 'changed', $data);
                $text = is_string($data) ? $data : ['{"n":1.0,"s":"Zoë/\""}', 'null', '[]', '7'][array_search($data, [['n' => 1.0, 's' => 'Zoë/"'], null, [], 7], true)];
                self::assertSame(['event' => 'changed', 'channel' => 'news', 'data' => $text], self::message($client));
                self::assertSame(['event' => 'changed', 'channel' => 'private-a', 'data' => $text], self::message($client));
            }
        }
    }

    public function testBatchesUsersAndExcept(): void
    {
        $client = self::client('one', 'two', 'presence-p');
        $publisher = self::publisher();
        $publisher->publishBatch([new Event('one', 'a', ['n' => 1]), new Event(['one', 'two'], 'b', 'x')]);
        self::assertSame([['one', 'a', '{"n":1}'], ['one', 'b', 'x'], ['two', 'b', 'x']], array_map(
            static fn (array $m) => [$m['channel'], $m['event'], $m['data']],
            [self::message($client), self::message($client), self::message($client)],
        ));
        $publisher->publish('one', 'not for an unknown connection', 1, '123.456');
        self::assertSame('not for an unknown connection', self::message($client)['event']);
        $publisher->sendToUser('7', 'no client has signed in');
        $publisher->disconnectUser('7');
        self::assertSame(['7'], $publisher->members('presence-p'));
        self::assertSame(['presence-p' => ['user_count' => 1]], $publisher->channels('presence-', ['user_count']));
        self::assertSame(['occupied' => true, 'subscription_count' => 1], $publisher->channel('one', ['subscription_count']));
        self::assertFalse($publisher->channel('empty')['occupied']);
        self::assertArrayHasKey('connections', $publisher->get('/connections'));
    }

    public function testEventsOfEncryptedChannelsAreEncrypted(): void
    {
        $client = self::client('private-encrypted-x', 'plain', 'private-encrypted-y');
        self::publisher(masterKey: self::MASTER)->publish(['private-encrypted-x', 'plain', 'private-encrypted-y'], 'e', ['secret' => 1]);
        $got = [];
        foreach ([1, 2, 3] as $ignored) {
            $message = self::message($client);
            $got[$message['channel']] = $message['data'];
        }
        $signer = new Signer('app-key', 'app-secret', self::MASTER);
        self::assertSame('{"secret":1}', $got['plain']);
        foreach (['private-encrypted-x', 'private-encrypted-y'] as $channel) {
            self::assertSame('{"secret":1}', $signer->decrypt($channel, $got[$channel]));
        }
        self::publisher(masterKey: self::MASTER)->publishBatch([new Event(['private-encrypted-x', 'plain'], 'e', 'z')]);
        self::assertSame('z', $signer->decrypt('private-encrypted-x', self::message($client)['data']));
        self::assertSame('z', self::message($client)['data']);
    }

    public function testTlsChecksTheCertificate(): void
    {
        $key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
        file_put_contents(self::$folder . '/openssl.cnf', "[req]\ndistinguished_name=dn\n[dn]\n[own]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:TRUE\n");
        $options = ['config' => self::$folder . '/openssl.cnf', 'x509_extensions' => 'own', 'digest_alg' => 'sha256'];
        $request = openssl_csr_new(['commonName' => '127.0.0.1'], $key, $options);
        openssl_x509_export_to_file(openssl_csr_sign($request, null, $key, 2, $options), self::$folder . '/own.pem');
        openssl_pkey_export_to_file($key, self::$folder . '/own.key');
        $url = self::serve('--tls-cert', self::$folder . '/own.pem', '--tls-key', self::$folder . '/own.key');
        self::assertStringStartsWith('https:', $url);

        $publisher = self::publisher($url, tls: ['cafile' => self::$folder . '/own.pem']);
        for ($i = 0; $i < 3; $i++) {
            $publisher->publish('news', 'e', str_repeat('x', 9000));
        }
        self::assertArrayHasKey('connections', $publisher->get('/connections'));
        // What was connected with other options is not used.
        $error = self::fails(fn () => self::publisher($url)->publish('news', 'e'));
        self::assertSame('ETLS', $error->name);
        self::assertStringContainsString('certificate verify failed', $error->getMessage());
    }

    // -- errors --

    public function testAnErrorHasTheServersText(): void
    {
        $error = self::fails(fn () => self::publisher()->publish('not a name', 'e'));
        self::assertSame([400, 'EINVAL'], [$error->status, $error->name]);
        self::assertStringContainsString('not a name', $error->getMessage());
        $error = self::fails(fn () => self::publisher()->publish('news', 'e', str_repeat('x', 200000)));
        self::assertSame([413, 'ELIMIT'], [$error->status, $error->name]);
        $error = self::fails(fn () => self::publisher(app: 'other')->publish('news', 'e'));
        self::assertSame([404, 'ENOENT'], [$error->status, $error->name]);
        $error = self::fails(fn () => (new Publisher(self::$url, 'app-id', 'app-key', 'wrong'))->publish('news', 'e'));
        self::assertSame([401, 'EAUTH'], [$error->status, $error->name]);
        self::assertStringContainsString('Invalid signature', $error->getMessage());
        $error = self::fails(fn () => self::publisher()->publishBatch([new Event('ok', 'e'), new Event('not ok', 'e')]));
        self::assertStringContainsString('Event 2 of the batch', $error->getMessage());
        $error = self::fails(fn () => self::publisher(self::$answers, 'later')->publish('news', 'e'));
        self::assertSame([503, 7, 'EBACKLOG'], [$error->status, $error->retryAfter, $error->name]);
        self::assertStringContainsString('busy now', $error->getMessage());
        // and the connection is still good
        self::publisher()->publish('news', 'e');
    }

    public function testNoServerIsAnError(): void
    {
        $error = self::fails(fn () => self::publisher('http://127.0.0.1:1')->publish('news', 'e'));
        self::assertSame([0, 'EIO'], [$error->status, $error->name]);
        self::assertMatchesRegularExpression('/127\.0\.0\.1:1: Connection refused/', $error->getMessage());
        $error = self::fails(fn () => self::publisher('unix:/nowhere/socket')->publish('news', 'e'));
        self::assertStringContainsString('No such file', $error->getMessage());
        foreach (['', 'ftp://x', 'http://', 'unix:relative', '127.0.0.1:6001'] as $url) {
            try {
                self::publisher($url);
                self::fail($url);
            } catch (Exception $e) {
                self::assertSame(Constants::EINVAL, $e->getCode(), $url);
            }
        }
        try {
            self::publisher()->publish('news', 'e', ["\xff"]);
            self::fail('invalid UTF-8');
        } catch (Exception $e) {
            self::assertSame(Constants::EINVAL, $e->getCode());
        }
    }

    // -- the connection --

    private static function ask(string $what, mixed ...$more): array
    {
        return self::publisher(self::$answers . '/prefix', $what, ...$more)->post('/events', []);
    }

    public function testAConnectionIsKeptAlsoBetweenObjects(): void
    {
        $first = self::ask('plain');
        foreach (['plain', 'chunked', 'early-hints', 'plain'] as $i => $what) {
            $next = self::ask($what);
            self::assertSame([$first['connections'], $first['requests'] + $i + 1], [$next['connections'], $next['requests']], $what);
        }
    }

    public function testAConnectionThatEndedIsReplaced(): void
    {
        foreach (['says-close', 'until-close', 'closes'] as $what) {
            $first = self::ask($what);
            usleep(20000);
            $next = self::ask('plain');
            self::assertSame([$first['connections'] + 1, $first['requests'] + 1], [$next['connections'], $next['requests']], $what);
        }
    }

    public function testARequestThatWasNotAnsweredOnAKeptConnectionGoesOutOnceMore(): void
    {
        $first = self::ask('plain');
        $next = self::ask('dies');
        self::assertSame([$first['connections'] + 1, $first['requests'] + 2], [$next['connections'], $next['requests']]);
        self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/', $next['key']);
        self::assertNotSame($first['key'], $next['key']);
    }

    public function testWhatComesUnaskedIsNoAnswerToTheNextRequest(): void
    {
        $first = self::ask('says-more');
        usleep(20000);
        $next = self::ask('plain');
        self::assertSame($first['requests'] + 1, $next['requests']);
        self::assertSame($first['connections'] + 1, $next['connections']);
    }

    public function testAnAnswerThatIsNoneIsAnErrorAndEndsTheConnection(): void
    {
        foreach (['half' => 'EIO', 'no-length' => 'EPROTO', 'huge' => 'EPROTO', 'garbage' => 'EPROTO', 'silent' => 'ETIMEDOUT'] as $what => $name) {
            $before = self::ask('plain');
            $start = microtime(true);
            $error = self::fails(fn () => self::ask($what, timeout: 0.5));
            self::assertSame([0, $name], [$error->status, $error->name], $what);
            self::assertLessThan(10, microtime(true) - $start);
            self::assertSame($before['connections'] + 1, self::ask('plain')['connections'], $what);
        }
    }

    /** What PHP runs in a process of its own. @return array<string, mixed> */
    private static function inProcess(string $code): array
    {
        $src = var_export(dirname(__DIR__) . '/src/', true);
        $code = "spl_autoload_register(static fn (string \$c) => require $src . strtr(substr(\$c, 8), '\\\\', '/') . '.php');"
            . '$make = static fn (string $app) => new Pusherc\Publisher(' . var_export(self::$answers, true) . ', $app, "k", "s");' . $code;
        $out = shell_exec(escapeshellarg(PHP_BINARY) . ' -r ' . escapeshellarg($code) . ' 2>&1');
        return json_decode((string) $out, true) ?? ['out' => $out];
    }

    public function testAForkedChildOpensAConnectionOfItsOwn(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('needs the extension pcntl');
        }
        $got = self::inProcess('$p = $make("plain"); $a = $p->post("/events", []);
            if (!pcntl_fork()) { $p->post("/events", []); $make("plain")->post("/events", []); exit; }
            pcntl_wait($s); $b = $p->post("/events", []); echo json_encode([$a, $b]);');
        self::assertSame(2, $got[1]['connections'] - $got[0]['connections'], json_encode($got));
        self::assertSame(3, $got[1]['requests'] - $got[0]['requests']);
    }

    public function testNoFfiIsNeeded(): void
    {
        $src = var_export(dirname(__DIR__) . '/src/', true);
        $code = "spl_autoload_register(static fn (string \$c) => require $src . strtr(substr(\$c, 8), '\\\\', '/') . '.php');"
            . '(new Pusherc\Publisher(' . var_export(self::$url, true) . ', "app-id", "app-key", "app-secret"))->publish("news", "e"); echo extension_loaded("ffi") ? "loaded" : "none";';
        $modules = 'extension_dir=' . ini_get('extension_dir');
        self::assertSame('none', shell_exec(escapeshellarg(PHP_BINARY) . " -n -d $modules -r " . escapeshellarg($code) . ' 2>&1'));
    }
}
