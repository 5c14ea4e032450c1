<?php

declare(strict_types=1);

namespace Pusherc;

/**
 * Pusher's signatures and its end-to-end encryption in plain PHP: for auth endpoints, publishers and receivers of
 * webhooks, in any process. It does byte for byte what include/pusherc/sign.h of the C library does; a test compares them.
 *
 * What is malformed throws Exception EINVAL before anything is signed. The methods that verify only say yes or no.
 */
final class Signer
{
    private const MAX_PARAMS = 256;
    private const MAX_COMPARED_PARAMS = 32;
    private const NAME = '[-A-Za-z0-9_=@,.;]{1,200}';

    private readonly ?string $masterKey;

    /**
     * @param string $key         part of every signature of a client; without ":"
     * @param string $secret      what signs
     * @param ?string $masterKey  of end-to-end encrypted channels, base64 of 32 bytes, as Pusher's SDKs are configured
     */
    public function __construct(
        public readonly string $key,
        #[\SensitiveParameter]
        private readonly string $secret,
        #[\SensitiveParameter]
        ?string $masterKey = null,
    ) {
        // mb_check_encoding() may be missing; the flag u checks the same.
        if (!preg_match('/^[^\x00-\x1f:\x7f]+$/Du', $key)) {
            throw self::invalid('The key must be UTF-8 without ":" and control characters');
        }
        if ($secret === '') {
            throw self::invalid('The secret is empty');
        }
        $raw = $masterKey === null ? null : base64_decode($masterKey, true);
        if ($raw === false || ($raw !== null && strlen($raw) !== 32)) {
            throw self::invalid('The master key must be base64 of 32 bytes');
        }
        $this->masterKey = $raw;
    }

    /** Neither var_dump() nor a dumped exception shows the secrets. */
    public function __debugInfo(): array
    {
        return ['key' => $this->key];
    }

    // -- subscriptions and sign-ins --

    /**
     * Sign a subscription: "key:hex", the `auth` of pusher:subscribe.
     *
     * @param string $channelData  presence: member data, exactly the bytes that the client will send
     */
    public function channel(string $socketId, string $channel, string $channelData = ''): string
    {
        self::checkSocketId($socketId);
        self::checkChannel($channel);
        return $this->auth("$socketId:$channel" . ($channelData === '' ? '' : ":$channelData"));
    }

    /** Sign a sign-in: "key:hex", the `auth` of pusher:signin. */
    public function user(string $socketId, string $userData): string
    {
        self::checkSocketId($socketId);
        if ($userData === '') {
            throw self::invalid('The user data is empty');
        }
        return $this->auth("$socketId::user::$userData");
    }

    /**
     * The JSON with which an auth endpoint lets a client into a channel, with the shared secret of an encrypted one.
     *
     * @param string $channelData  a JSON object; for presence channels with a "user_id"
     */
    public function channelResponse(string $socketId, string $channel, string $channelData = ''): string
    {
        $encrypted = self::isEncrypted($channel);
        if ($channelData !== '') {
            self::checkObject($channelData, str_starts_with($channel, 'presence-') ? 'user_id' : null);
        }
        $answer = ['auth' => $this->channel($socketId, $channel, $channelData)];
        if ($channelData !== '') {
            $answer['channel_data'] = $channelData;
        }
        if ($encrypted) {
            $answer['shared_secret'] = base64_encode($this->sharedSecret($channel));
        }
        return self::json($answer);
    }

    /** The JSON with which an auth endpoint lets a client sign in. @param string $userData a JSON object with an "id" */
    public function userResponse(string $socketId, string $userData): string
    {
        $id = self::checkObject($userData, 'id');
        if (!is_string($id) || !preg_match('/^' . self::NAME . '$/D', $id)) {
            throw self::invalid('The member "id" must be text of at most 200 characters that channel names may have');
        }
        return self::json(['auth' => $this->user($socketId, $userData), 'user_data' => $userData]);
    }

    /** Whether an `auth` of a client is right; false, too, for what no client may send. */
    public function verifyChannel(string $auth, string $socketId, string $channel, string $channelData = ''): bool
    {
        return self::fits($auth, fn () => $this->channel($socketId, $channel, $channelData));
    }

    /** Whether the `auth` of a sign-in is right. */
    public function verifyUser(string $auth, string $socketId, string $userData): bool
    {
        return self::fits($auth, fn () => $this->user($socketId, $userData));
    }

    // -- requests of the HTTP API --

    /**
     * Sign a request: the whole query, percent-encoded, without "?".
     *
     * @param string $path                   as it will be sent, percent-encoded, without a query
     * @param array<string, string> $params  further parameters, decoded; names other than auth_... and body_md5
     * @param string $body                   exactly as it will be sent
     * @param ?int $time                     in seconds; null = now
     */
    public function request(string $method, string $path, array $params = [], string $body = '', ?int $time = null): string
    {
        if (!preg_match('/^[A-Za-z]{1,15}$/D', $method)) {
            throw self::invalid('The method must be 1 to 15 letters');
        }
        if (!preg_match('~^/[^\x00-\x20?#\x7f]*$~D', $path)) {
            throw self::invalid('The path must begin with "/", without query, space and control characters');
        }
        if (count($params) > self::MAX_PARAMS - 5) {
            throw new Exception(Constants::ELIMIT, 'There are too many parameters');
        }
        $pairs = [['auth_key', $this->key], ['auth_timestamp', (string) ($time ?? time())], ['auth_version', '1.0']];
        if ($body !== '') {
            $pairs[] = ['body_md5', md5($body)];
        }
        foreach ($params as $name => $value) {
            $name = (string) $name;
            if ($name === '' || preg_match('/^(auth_|body_md5$)/Di', $name)) {
                throw self::invalid("\"$name\" cannot be a parameter");
            }
            $pairs[] = [$name, (string) $value];
        }
        $query = '';
        foreach ($pairs as [$name, $value]) {
            $query .= rawurlencode($name) . '=' . rawurlencode($value) . '&';
        }
        $method = strtoupper($method);
        return $query . 'auth_signature=' . $this->hmac("$method\n$path\n" . self::canonical($pairs));
    }

    /**
     * Whether a request of the HTTP API was signed with the secret, not more than `skew` seconds ago, and with this body.
     * Lists and escaped paths may be signed in any of the forms of Pusher's SDKs.
     *
     * @param string $method  as received, in upper case
     * @param string $path    as received, still percent-encoded, without the query
     * @param string $query   as received, without "?"
     */
    public function verifyRequest(string $method, string $path, string $query, string $body = '', ?int $now = null, int $skew = 600): bool
    {
        $pairs = self::parseQuery($query);
        $found = [];
        if (count($pairs) > self::MAX_PARAMS) {
            return false;
        }
        foreach ($pairs as [$name, $value]) {
            $name = strtolower($name);
            if (!in_array($name, ['auth_key', 'auth_timestamp', 'auth_version', 'auth_signature', 'body_md5'], true)) {
                continue;
            }
            if (isset($found[$name])) {
                return false;
            }
            $found[$name] = $value;
        }
        if (
            !isset($found['auth_key'], $found['auth_timestamp'], $found['auth_version'], $found['auth_signature'])
            || $found['auth_key'] !== $this->key || $found['auth_version'] !== '1.0'
            || !preg_match('/^\d{1,18}$/D', $found['auth_timestamp'])
            || abs((int) $found['auth_timestamp'] - ($now ?? time())) > ($skew ?: 600)
            || !$this->fitsOneForm($method, $path, $pairs, $found['auth_signature'])
        ) {
            return false;
        }
        return isset($found['body_md5']) ? $found['body_md5'] === md5($body) : $body === '';
    }

    /**
     * SDKs do not agree on the text that is signed: some sign the path decoded, or write lists in another way. Each form
     * follows from the request alone, so that trying them makes no forgery easier.
     *
     * @param list<array{string, string}> $pairs
     */
    private function fitsOneForm(string $method, string $path, array $pairs, string $signature): bool
    {
        $paths = array_filter(array_unique([$path, rawurldecode($path)]), static fn (string $p) => !str_contains($p, "\n"));
        $queries = [self::canonical($pairs)];
        if (array_filter($pairs, static fn (array $pair) => self::listName($pair[0]) !== null)) {
            $queries[] = self::canonical($pairs, true);
        }
        $names = array_count_values(array_map(static fn (array $pair) => strtolower($pair[0]), $pairs));
        if (count($pairs) <= self::MAX_COMPARED_PARAMS && max($names) > 1) {
            // Some HTTP clients of Ruby's SDK send "info=a&info=b" where the SDK has signed "info[]=a&info[]=b".
            $queries[] = self::canonical(array_map(
                static fn (array $pair) => $names[strtolower($pair[0])] > 1 ? [$pair[0] . '[]', $pair[1]] : $pair,
                $pairs,
            ));
        }
        foreach ($queries as $query) {
            foreach ($paths as $one) {
                if (hash_equals($this->hmac("$method\n$one\n$query"), $signature)) {
                    return true;
                }
            }
        }
        return false;
    }

    // -- webhooks --

    /** The value of X-Pusher-Signature for a webhook. */
    public function webhook(string $body): string
    {
        return $this->hmac($body);
    }

    /**
     * Whether a webhook comes from a server with this secret.
     *
     * @param string $body       as received
     * @param string $signature  the field X-Pusher-Signature. X-Pusher-Key says before which Signer to ask
     */
    public function verifyWebhook(string $body, string $signature): bool
    {
        return hash_equals($this->hmac($body), $signature);
    }

    // -- end-to-end encryption --

    /** The 32 bytes that the subscribers of an encrypted channel share; auth endpoints send them in base64. */
    public function sharedSecret(string $channel): string
    {
        if (!self::isEncrypted($channel)) {
            throw self::invalid("\"$channel\" is no encrypted channel");
        }
        if ($this->masterKey === null) {
            throw self::invalid('Encrypted channels need the master key');
        }
        return hash('sha256', $channel . $this->masterKey, true);
    }

    /** Encrypt the data of one event for one encrypted channel. The result is the event's new data. */
    public function encrypt(string $channel, string $data): string
    {
        self::needSodium();
        $nonce = random_bytes(SODIUM_CRYPTO_SECRETBOX_NONCEBYTES);
        return self::json([
            'nonce' => base64_encode($nonce),
            'ciphertext' => base64_encode(sodium_crypto_secretbox($data, $nonce, $this->sharedSecret($channel))),
        ]);
    }

    /**
     * Decrypt the data of an event of an encrypted channel, for example from a webhook.
     *
     * @throws Exception EAUTH: it was encrypted for another channel, with another key, or changed since
     */
    public function decrypt(string $channel, string $encrypted): string
    {
        self::needSodium();
        $secret = $this->sharedSecret($channel);
        $box = json_decode($encrypted, true);
        $nonce = base64_decode(is_string($box['nonce'] ?? null) ? $box['nonce'] : '', true);
        $sealed = base64_decode(is_string($box['ciphertext'] ?? null) ? $box['ciphertext'] : '', true);
        if (
            $nonce === false || strlen($nonce) !== SODIUM_CRYPTO_SECRETBOX_NONCEBYTES
            || $sealed === false || strlen($sealed) < SODIUM_CRYPTO_SECRETBOX_MACBYTES
        ) {
            throw self::invalid('The data is not {"nonce": ..., "ciphertext": ...}');
        }
        $data = sodium_crypto_secretbox_open($sealed, $nonce, $secret);
        if ($data === false) {
            throw new Exception(Constants::EAUTH, 'The data was encrypted for another channel or with another key, or was changed');
        }
        return $data;
    }

    /** Whether the data of this channel's events is encrypted. */
    public static function isEncrypted(string $channel): bool
    {
        return str_starts_with($channel, 'private-encrypted-') && preg_match('/^' . self::NAME . '$/D', $channel);
    }

    // -- what is wrong with a signature: by the C library, so where FFI is allowed --

    /**
     * Why an `auth` of a client is refused: one sentence for developers, without a secret. null = it is right.
     *
     * @throws Exception ENOSYS: the C library cannot be had here, or was built without diagnosis
     */
    public function explainChannel(string $auth, string $socketId, string $channel, string $channelData = ''): ?string
    {
        self::checkSocketId($socketId);
        return Internal\Explain::auth($this->key, $this->secret, $auth, $socketId, $channel, $channelData);
    }

    /** Why the `auth` of a sign-in is refused; as explainChannel(). */
    public function explainUser(string $auth, string $socketId, string $userData): ?string
    {
        return $this->explainChannel($auth, $socketId, '', $userData);
    }

    /** Why a request of the HTTP API is refused: as verifyRequest(), and explainChannel(). */
    public function explainRequest(string $method, string $path, string $query, string $body = '', ?int $now = null): ?string
    {
        return Internal\Explain::request($this->key, $this->secret, $method, $path, $query, $body, $now ?? time());
    }

    // -- insides --

    private function hmac(string $text): string
    {
        return hash_hmac('sha256', $text, $this->secret);
    }

    private static function fits(string $auth, \Closure $sign): bool
    {
        try {
            return hash_equals($sign(), $auth);
        } catch (Exception) {
            return false;
        }
    }

    private function auth(string $text): string
    {
        return "$this->key:" . $this->hmac($text);
    }

    /**
     * What is signed of a query: parameters by name in lower case, values decoded, without the signature.
     *
     * @param list<array{string, string}> $pairs
     * @param bool $merge  lists as "name=a,b" instead of "name[]=a&name[]=b"
     */
    private static function canonical(array $pairs, bool $merge = false): string
    {
        $rows = [];
        foreach ($pairs as [$name, $value]) {
            $list = $merge ? self::listName($name) : null;
            $name = strtolower($list ?? $name);
            if ($name !== 'auth_signature') {
                $rows[] = [$name, $value, $list !== null];
            }
        }
        usort($rows, static fn (array $a, array $b) => strcmp($a[0], $b[0]));
        $text = '';
        $last = [null, null, false];
        foreach ($rows as $row) {
            [$name, $value, $list] = $row;
            $text .= $list && $last[2] && $last[0] === $name ? ",$value" : ($text === '' ? '' : '&') . "$name=$value";
            $last = $row;
        }
        return $text;
    }

    /** "info" of "info[]" and "info[12]", else null. */
    private static function listName(string $name): ?string
    {
        return preg_match('/^(.+)\[\d*\]$/Ds', $name, $match) ? $match[1] : null;
    }

    /** @return list<array{string, string}> */
    private static function parseQuery(string $query): array
    {
        $pairs = [];
        foreach (explode('&', $query) as $part) {
            if ($part !== '') {
                [$name, $value] = explode('=', $part, 2) + [1 => ''];
                $pairs[] = [urldecode($name), urldecode($value)];
            }
        }
        return $pairs;
    }

    private static function checkSocketId(string $id): void
    {
        if (!preg_match('/^(0|[1-9]\d{0,19})\.(0|[1-9]\d{0,19})$/D', $id) || $id === '0.0') {
            throw self::invalid("\"$id\" is no socket id");
        }
    }

    private static function checkChannel(string $channel): void
    {
        $name = str_starts_with($channel, '#server-to-user-') ? substr($channel, 16) : $channel;
        if (!preg_match('/^' . self::NAME . '$/D', $name)) {
            throw self::invalid("\"$channel\" is no channel name");
        }
    }

    /** The member `id` of a JSON object. */
    private static function checkObject(string $json, ?string $id): string|int|null
    {
        $object = json_decode($json);
        if (!is_object($object)) {
            throw self::invalid('The data must be a JSON object');
        }
        $value = $id === null ? null : $object->$id ?? null;
        if ($id !== null && (!(is_string($value) || is_int($value)) || $value === '')) {
            throw self::invalid("The data must have a member \"$id\"");
        }
        return $value;
    }

    private static function json(array $value): string
    {
        try {
            return json_encode($value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE
                | JSON_UNESCAPED_LINE_TERMINATORS);
        } catch (\JsonException $e) {
            throw self::invalid('The data is not UTF-8', $e);
        }
    }

    private static function needSodium(): void
    {
        if (!function_exists('sodium_crypto_secretbox')) {
            throw new Exception(Constants::ENOSYS, 'Encryption needs the extension sodium');
        }
    }

    private static function invalid(string $message, ?\Throwable $previous = null): Exception
    {
        return new Exception(Constants::EINVAL, $message, $previous);
    }
}
