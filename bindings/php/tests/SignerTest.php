<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use PHPUnit\Framework\TestCase;
use Pusherc\Constants;
use Pusherc\Exception;
use Pusherc\Signer;

/** Signer against the C library, byte for byte: every text, and every refusal. */
final class SignerTest extends TestCase
{
    private const KEY = 'app-key';
    private const SECRET = 'app-secret';
    private const MASTER = 'TWFzdGVyIGtleSBmb3IgdGVzdHMsIDMyIGJ5dGVzISE=';
    private const TIME = 1795774692;

    private static \FFI $c;

    public static function setUpBeforeClass(): void
    {
        self::$c = \FFI::cdef(file_get_contents(__DIR__ . '/../ffi/pusherc.h'), getenv('PUSHERC_LIBRARY') ?: 'libpusherc.so.0');
    }

    // -- the C library's side --

    /** @var list<\FFI\CData> buffers that slices point to */
    private array $alive = [];

    private function slice(string $text): \FFI\CData
    {
        $slice = self::$c->new('pusherc_slice');
        $slice->len = strlen($text);
        $this->alive[] = $buffer = self::$c->new('char[' . (strlen($text) + 1) . ']');
        \FFI::memcpy($buffer, $text . "\0", strlen($text) + 1);
        $slice->ptr = \FFI::addr($buffer[0]);
        return $slice;
    }

    private function credentials(?string $master = self::MASTER): \FFI\CData
    {
        $credentials = self::$c->new('pusherc_credentials');
        self::$c->pusherc_credentials_init(\FFI::addr($credentials), \FFI::sizeof($credentials));
        $credentials->key = $this->slice(self::KEY);
        $credentials->secret = $this->slice(self::SECRET);
        if ($master !== null) {
            $credentials->master_key = $this->slice(base64_decode($master));
        }
        return $credentials;
    }

    private function socketId(string $text): ?\FFI\CData
    {
        $id = self::$c->new('pusherc_socket_id');
        return self::$c->pusherc_socket_id_parse($this->slice($text), \FFI::addr($id)) === 0 ? $id : null;
    }

    /** The text that a function of sign.h writes, or its error's number. */
    private function c(string $function, mixed ...$arguments): string|int
    {
        $out = self::$c->new('char[65536]');
        $len = self::$c->new('size_t');
        $error = self::$c->$function(\FFI::addr($this->credentials()), ...[...$arguments, $out, 65536, \FFI::addr($len)]);
        return $error ?: \FFI::string($out, $len->cdata);
    }

    /** What Signer returns, or its error's number. */
    private static function php(callable $call, ?string $master = self::MASTER): string|int
    {
        try {
            return $call(new Signer(self::KEY, self::SECRET, $master));
        } catch (Exception $e) {
            return $e->getCode();
        }
    }

    // -- clients --

    private const CHANNELS = ['news', 'private-a', 'private-cache-a', 'presence-room.1', 'private-encrypted-x', '#server-to-user-7',
        'a@b;c,d=e', 'private-', '', 'with space', "nul\0", "line\n", 'ä', 'x/y', '#server-to-user-', '#other'];
    private const SOCKETS = ['1.1', '123.456', '18446744073709551615.2', '0.0', '0.1', '01.2', '1', '1.', '.1', 'a.b', '1.1.1', "1.1\n", ''];
    private const DATA = ['', '{"user_id":"7"}', '{"user_id":7,"user_info":{"name":"Zoë \u0001 \"q\" \\\\ / <>&\'"}}', '{"user_id":"é\u2028"}', "{\"user_id\":\"raw \u{2028}\"}",
        '{"user_id":""}', '{"user_id":1.5}', '{"user_id":null}', '{"user_id":true}', '{"user_id":["7"]}', '{}', '[]', 'null', 'text', '{"user_id":"7"', "{\"user_id\":\"\xff\"}", '{"a":1}'];

    public function testSubscriptionsAreSignedAsInC(): void
    {
        foreach (self::CHANNELS as $channel) {
            foreach (self::SOCKETS as $socket) {
                foreach (self::DATA as $data) {
                    $id = $this->socketId($socket);
                    $what = json_encode([$channel, $socket, $data], JSON_INVALID_UTF8_SUBSTITUTE);
                    $signed = $id ? $this->c('pusherc_sign_channel', $id, $this->slice($channel), $this->slice($data)) : Constants::EINVAL;
                    self::assertSame($signed, self::php(fn (Signer $s) => $s->channel($socket, $channel, $data)), $what);
                    $answer = $id ? $this->c('pusherc_auth_response_json', $id, $this->slice($channel), $this->slice($data)) : Constants::EINVAL;
                    self::assertSame($answer, self::php(fn (Signer $s) => $s->channelResponse($socket, $channel, $data)), $what);
                    $this->alive = [];
                }
            }
        }
    }

    public function testSignInsAreSignedAsInC(): void
    {
        $users = ['{"id":"7"}', '{"id":"a@b","user_info":{"name":"Zoë / \u0007"},"watchlist":["1"]}', '{"id":7}', '{"id":"with space"}', '{"id":""}', '{}', '[]', '', 'x'];
        foreach (self::SOCKETS as $socket) {
            foreach ($users as $user) {
                $id = $this->socketId($socket);
                $signed = $id ? $this->c('pusherc_sign_user', $id, $this->slice($user)) : Constants::EINVAL;
                self::assertSame($signed, self::php(fn (Signer $s) => $s->user($socket, $user)), "$socket $user");
                $answer = $id ? $this->c('pusherc_user_auth_response_json', $id, $this->slice($user)) : Constants::EINVAL;
                self::assertSame($answer, self::php(fn (Signer $s) => $s->userResponse($socket, $user)), "$socket $user");
            }
        }
    }

    public function testAnAuthThatWasChangedDoesNotVerify(): void
    {
        $signer = new Signer(self::KEY, self::SECRET);
        $auth = $signer->channel('1.2', 'presence-a', '{"user_id":"7"}');
        self::assertTrue($signer->verifyChannel($auth, '1.2', 'presence-a', '{"user_id":"7"}'));
        self::assertFalse($signer->verifyChannel($auth, '1.2', 'presence-a', '{"user_id":"8"}'));
        self::assertFalse($signer->verifyChannel($auth, '1.3', 'presence-a', '{"user_id":"7"}'));
        self::assertFalse($signer->verifyChannel($auth, "1.2:presence-a", '', ''));
        self::assertFalse($signer->verifyChannel(strtoupper($auth), '1.2', 'presence-a', '{"user_id":"7"}'));
        $auth = $signer->user('1.2', '{"id":"7"}');
        self::assertTrue($signer->verifyUser($auth, '1.2', '{"id":"7"}'));
        self::assertFalse($signer->verifyUser($auth, '1.2', '{"id":"8"}'));
        self::assertFalse($signer->verifyUser($auth, 'x', '{"id":"7"}'));
    }

    // -- the HTTP API --

    /** @param array<string, string> $params */
    private function params(array $params): ?\FFI\CData
    {
        if ($params === []) {
            return null;
        }
        $this->alive[] = $pairs = self::$c->new('pusherc_http_param[' . count($params) . ']');
        foreach (array_keys($params) as $i => $name) {
            $pairs[$i]->name = $this->slice((string) $name);
            $pairs[$i]->value = $this->slice($params[$name]);
        }
        return $pairs;
    }

    public function testRequestsAreSignedAsInC(): void
    {
        $paths = ['/apps/1/events', '/apps/1/channels/presence-a%2Fb', '', 'apps', '/a b', '/a?b', "/a\n", '/#'];
        $params = [[], ['info' => 'user_count,subscription_count', 'filter_by_prefix' => 'presence-'], ['Zeta' => '1', 'alpha' => "a b+&=é\n~", 'b[]' => 'x'],
            ['auth_key' => 'x'], ['body_md5' => 'x'], ['Body_MD5' => 'x'], ['' => 'x'], array_fill_keys(range(1, 251), 'v'), array_fill_keys(range(1, 252), 'v')];
        foreach (['GET', 'post', 'X-Y', '', 'ABCDEFGHIJKLMNOP'] as $method) {
            foreach ($paths as $path) {
                foreach ($params as $some) {
                    foreach (['', '{"name":"é"}'] as $body) {
                        $c = $this->c('pusherc_sign_request', $method, $path, $this->params($some), count($some), $this->slice($body), self::TIME);
                        $php = self::php(fn (Signer $s) => $s->request($method, $path, $some, $body, self::TIME));
                        self::assertSame($c, $php, json_encode([$method, $path, array_slice($some, 0, 3), $body]));
                        $this->alive = [];
                    }
                }
            }
        }
    }

    private function verifiesInC(string $method, string $path, string $query, string $body, int $now): bool
    {
        $pairs = [];
        foreach (array_filter(explode('&', $query), 'strlen') as $part) {
            [$name, $value] = explode('=', $part, 2) + [1 => ''];
            $pairs[] = [urldecode($name), urldecode($value)];
        }
        $this->alive[] = $params = self::$c->new('pusherc_http_param[' . (count($pairs) + 1) . ']');
        foreach ($pairs as $i => [$name, $value]) {
            $params[$i]->name = $this->slice($name);
            $params[$i]->value = $this->slice($value);
        }
        return self::$c->pusherc_verify_request(\FFI::addr($this->credentials()), $method, $path, $params, count($pairs), $this->slice($body), $now, 0) === 0;
    }

    /** What the server SDKs of all languages have sent, and each request damaged in several ways. */
    public function testRecordedRequestsVerifyAsInC(): void
    {
        $signer = new Signer(self::KEY, self::SECRET);
        $good = $bad = 0;
        foreach (file(__DIR__ . '/../../../tests/vectors/sdk-requests.tsv', FILE_IGNORE_NEW_LINES) as $line) {
            if ($line === '' || $line[0] === '#') {
                continue;
            }
            [, $prefix, $method, $target, $body] = explode("\t", $line) + [4 => ''];
            [$path, $query] = explode('?', substr($target, strlen($prefix)), 2);
            preg_match('/auth_timestamp=(\d+)/', $query, $match);
            $now = (int) $match[1];
            $variants = [
                [$method, $path, $query, $body, $now], [$method, $path, $query, $body, $now + 600], [$method, $path, $query, $body, $now + 601],
                [$method, $path, $query, $body, $now - 601], [$method, $path, $query, "$body ", $now], [$method, "$path/x", $query, $body, $now],
                ['PUT', $path, $query, $body, $now], [$method, $path, "$query&x=1", $body, $now], [$method, $path, "$query&auth_key=app-key", $body, $now],
                [$method, $path, str_replace('auth_version=1.0&', '', $query), $body, $now], [$method, $path, str_replace('auth_', 'AUTH_', $query), $body, $now],
                [$method, $path, preg_replace('/body_md5=[^&]*&/', '', $query), $body, $now], [$method, $path, "body_md5=&$query", $body, $now],
                [$method, $path, preg_replace('/signature=./', 'signature=', $query), $body, $now], [$method, $path, '', $body, $now],
                [$method, $path, str_replace('auth_timestamp=1', 'auth_timestamp=1x', $query), $body, $now],
                [$method, $path, $query . str_repeat('&x=1', 300), $body, $now], [$method, "$path%0A", $query, $body, $now],
            ];
            foreach ($variants as $variant) {
                $expected = $this->verifiesInC(...$variant);
                self::assertSame($expected, $signer->verifyRequest(...$variant), json_encode($variant));
                $expected ? $good++ : $bad++;
                $this->alive = [];
            }
        }
        self::assertGreaterThan(80, $good);
        self::assertGreaterThan(400, $bad);
    }

    // -- webhooks and encryption --

    public function testWebhooksAreSignedAndVerifiedAsInC(): void
    {
        $signer = new Signer(self::KEY, self::SECRET);
        foreach (['', '{"time_ms":1,"events":[]}', "\0\xff"] as $body) {
            $hex = self::$c->new('char[65]');
            self::assertSame(0, self::$c->pusherc_sign_webhook(\FFI::addr($this->credentials()), $this->slice($body), $hex));
            self::assertSame(\FFI::string($hex), $signer->webhook($body));
            foreach ([$signer->webhook($body), strtoupper($signer->webhook($body)), '', substr($signer->webhook($body), 1), $signer->webhook("$body ")] as $signature) {
                $c = self::$c->pusherc_verify_webhook(\FFI::addr($this->credentials()), $this->slice($body), $this->slice($signature)) === 0;
                self::assertSame($c, $signer->verifyWebhook($body, $signature));
            }
        }
    }

    public function testEachReadsWhatTheOtherHasEncrypted(): void
    {
        $signer = new Signer(self::KEY, self::SECRET, self::MASTER);
        $channel = 'private-encrypted-room';
        $secret = self::$c->new('uint8_t[32]');
        self::assertSame(0, self::$c->pusherc_shared_secret(\FFI::addr($this->credentials()), $this->slice($channel), $secret));
        self::assertSame(\FFI::string($secret, 32), $signer->sharedSecret($channel));
        foreach (['', '{"a":"é"}', random_bytes(5000)] as $data) {
            self::assertSame($data, $this->c('pusherc_decrypt_event', $this->slice($channel), $this->slice($signer->encrypt($channel, $data))));
            self::assertSame($data, $signer->decrypt($channel, $this->c('pusherc_encrypt_event', $this->slice($channel), $this->slice($data))));
        }
        self::assertNotSame($signer->encrypt($channel, 'x'), $signer->encrypt($channel, 'x'));
        $sealed = $signer->encrypt($channel, 'x');
        foreach (
            [[$channel, '{}'], [$channel, 'x'], [$channel, '[]'], [$channel, '{"nonce":1,"ciphertext":[]}'], [$channel, str_replace('"nonce":"', '"nonce":"AAAA', $sealed)],
            ["$channel.2", $sealed], ['private-room', $sealed], [$channel, preg_replace('/("ciphertext":")(.)/', '$1' . (str_contains($sealed, 'text":"A') ? 'B' : 'A'), $sealed)]] as [$name, $text]
        ) {
            $c = $this->c('pusherc_decrypt_event', $this->slice($name), $this->slice($text));
            self::assertIsInt($c);
            self::assertSame($c, self::php(fn (Signer $s) => $s->decrypt($name, $text)), "$name $text");
        }
    }

    public function testEncryptedChannelsNeedTheMasterKey(): void
    {
        self::assertSame(Constants::EINVAL, self::php(fn (Signer $s) => $s->encrypt('private-encrypted-a', 'x'), null));
        self::assertSame(Constants::EINVAL, self::php(fn (Signer $s) => $s->channelResponse('1.1', 'private-encrypted-a'), null));
        self::assertSame(Constants::EINVAL, self::php(fn (Signer $s) => $s->encrypt('private-a', 'x')));
    }

    public function testWhatCannotSignIsRefusedAtOnce(): void
    {
        foreach ([['', 's', null], ['a:b', 's', null], ["a\n", 's', null], ["\xff", 's', null], ['k', '', null], ['k', 's', 'x'], ['k', 's', base64_encode(str_repeat('x', 31))]] as $arguments) {
            try {
                new Signer(...$arguments);
                self::fail(json_encode($arguments, JSON_INVALID_UTF8_SUBSTITUTE));
            } catch (Exception $e) {
                self::assertSame(Constants::EINVAL, $e->getCode());
            }
        }
    }

    public function testExplainsWhyASignatureIsRefused(): void
    {
        $signer = new Signer(self::KEY, self::SECRET);
        $auth = $signer->channel('1.2', 'private-x');
        self::assertNull($signer->explainChannel($auth, '1.2', 'private-x'));
        $why = $signer->explainChannel($auth, '1.2', 'private-y');
        self::assertNotEmpty($why);
        self::assertStringNotContainsString(self::SECRET, $why);
        $presence = $signer->channel('1.2', 'presence-x', '{"user_id":"7"}');
        self::assertNull($signer->explainChannel($presence, '1.2', 'presence-x', '{"user_id":"7"}'));
        self::assertNotNull($signer->explainChannel($presence, '1.2', 'presence-x'));
        self::assertNull($signer->explainUser($signer->user('1.2', '{"id":"7"}'), '1.2', '{"id":"7"}'));
        self::assertNotNull($signer->explainUser($signer->user('1.2', '{"id":"7"}'), '1.3', '{"id":"7"}'));
        $query = $signer->request('GET', '/apps/1/channels', [], '', 1000);
        self::assertNull($signer->explainRequest('GET', '/apps/1/channels', $query, '', 1000));
        self::assertNotNull($signer->explainRequest('GET', '/apps/2/channels', $query, '', 1000));
        self::assertNotNull($signer->explainRequest('GET', '/apps/1/channels', $query, 'x', 1000));
        self::assertSame(Constants::EINVAL, self::php(fn () => $signer->explainChannel($auth, 'x', 'private-x')));
    }

    public function testDumpsDoNotShowTheSecrets(): void
    {
        self::assertStringNotContainsString(self::SECRET, print_r(new Signer(self::KEY, self::SECRET, self::MASTER), true));
    }
}
