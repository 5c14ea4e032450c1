<?php

declare(strict_types=1);

namespace Pusherc;

/**
 * HTTP requests to one server over a connection that is kept: by the object, and by the process, so that the next
 * request of PHP-FPM's worker finds it open.
 *
 * A kept connection must be at the boundary between two answers. So it is closed when a request does not end normally,
 * by an exception, exit() or a limit of PHP; when there is something to read before a request is sent (the end, mostly);
 * and a forked child opens one of its own.
 *
 * @internal Publisher is the interface
 */
final class HttpClient
{
    private const MAX_ANSWER_BYTES = 64 << 20;
    private const MAX_HEAD_BYTES = 64 << 10;

    /** @var ?resource */
    private $stream = null;
    private int $pid = 0;
    private readonly string $address;
    private readonly string $host;
    private readonly string $prefix;

    /** @var ?resource the connection on which an answer is outstanding */
    private static $busy = null;
    /** The process that may use the connections which PHP keeps. */
    private static int $keeper = 0;

    /**
     * @param string $url               "http://host:port/prefix", "https://..." or "unix:/path/of/socket"
     * @param float $timeout            seconds for connecting, and for each whole answer
     * @param array<string, mixed> $tls options of a stream context's "ssl"
     */
    public function __construct(string $url, private readonly float $timeout, private readonly array $tls = [])
    {
        if (str_starts_with($url, 'unix:')) {
            $path = preg_replace('~^unix:(//(?=/))?~', '', $url);
            if (!str_starts_with($path, '/')) {
                throw new Exception(Constants::EINVAL, "\"$url\" names no socket: it must be \"unix:\" and an absolute path");
            }
            [$this->address, $this->host, $this->prefix] = ["unix://$path", 'localhost', ''];
            return;
        }
        $parts = parse_url($url);
        $scheme = strtolower($parts['scheme'] ?? '');
        if (!isset($parts['host']) || !in_array($scheme, ['http', 'https'], true)) {
            throw new Exception(Constants::EINVAL, "\"$url\" is no URL: it must begin with http://, https:// or unix:");
        }
        $default = $scheme === 'https' ? 443 : 80;
        $port = $parts['port'] ?? $default;
        // PHP keeps connections by address. What follows the port only tells those apart that have other options.
        $kind = $scheme === 'https' ? 'tls' : 'tcp';
        $this->address = "$kind://$parts[host]:$port/" . ($tls ? md5(serialize($tls)) : '');
        $this->host = $parts['host'] . ($port === $default ? '' : ":$port");
        $this->prefix = rtrim($parts['path'] ?? '', '/');
    }

    /**
     * @param string $path            without the URL's own prefix
     * @param string $headers         lines, each with its end
     * @return array{int, string, array<string, string>}  status, body, fields by lower-case name
     */
    public function request(string $method, string $path, string $query, string $body = '', string $headers = ''): array
    {
        $request = "$method $this->prefix$path?$query HTTP/1.1\r\nHost: $this->host\r\nUser-Agent: pusherc-php\r\n"
            . "Accept: application/json\r\n$headers"
            . ($body === '' ? '' : "Content-Type: application/json\r\nContent-Length: " . strlen($body) . "\r\n")
            . "\r\n$body";
        $kept = $this->open();
        $answer = $this->exchange($request, $kept);
        if ($answer === null) {
            // The server had closed a connection that was idle. What it has not begun to answer goes out once more.
            $this->open();
            $answer = $this->exchange($request, false);
        }
        return $answer;
    }

    /** @return bool whether the connection has carried a request before */
    private function open(): bool
    {
        $pid = getmypid();
        if ($this->stream !== null && $this->pid === $pid && self::isIdle($this->stream)) {
            return true;
        }
        $this->pid = $pid;
        self::$keeper = self::$keeper ?: $pid;
        // A connection that PHP keeps is the parent's as well, if this process was forked.
        $flags = STREAM_CLIENT_CONNECT | (self::$keeper === $pid ? STREAM_CLIENT_PERSISTENT : 0);
        $end = microtime(true) + $this->timeout;
        do {
            $this->stream = $this->connect($flags, max(0.001, $end - microtime(true)));
            // The position counts what was read: a connection of an earlier request.
            $kept = ftell($this->stream) > 0;
        } while ($kept && !self::isIdle($this->stream));
        stream_set_timeout($this->stream, (int) $this->timeout, (int) (fmod($this->timeout, 1) * 1e6));
        return $kept;
    }

    /** @return resource */
    private function connect(int $flags, float $timeout)
    {
        $context = stream_context_create(['ssl' => $this->tls]);
        $warnings = [];
        // The reason for a failed handshake is in the first of several warnings.
        set_error_handler(static function (int $level, string $text) use (&$warnings): bool {
            $warnings[] = preg_replace(['/^[\w]+\(\): /', '/\s+/'], ['', ' '], $text);
            return true;
        });
        try {
            $stream = stream_socket_client($this->address, $errno, $error, $timeout, $flags, $context);
        } finally {
            restore_error_handler();
        }
        if ($stream === false) {
            $where = preg_replace('~^unix://|^t..://|(?<=\d)/[^/]*$~', '', $this->address);
            $code = $errno === 0 && str_starts_with($this->address, 'tls:') ? Constants::ETLS : Constants::EIO;
            throw new PublishException($code, "No connection to $where: " . ($error !== '' ? $error : $warnings[0] ?? 'unknown error'));
        }
        return $stream;
    }

    /** Whether nothing is there to read, not even the end. Otherwise it is closed. @param mixed $stream */
    private static function isIdle($stream): bool
    {
        if (!is_resource($stream)) {
            return false;
        }
        $read = [$stream];
        $none = null;
        if (@stream_select($read, $none, $none, 0) === 0) {
            return true;
        }
        fclose($stream);
        return false;
    }

    /** @return ?array{int, string, array<string, string>} null: a kept connection ended before the answer began */
    private function exchange(string $request, bool $kept): ?array
    {
        static $registered = false;
        if (!$registered) {
            $registered = true;
            register_shutdown_function(static function (): void {
                if (is_resource(self::$busy)) {
                    fclose(self::$busy);
                }
            });
        }
        self::$busy = $stream = $this->stream;
        try {
            $answer = $this->send($request) ? $this->receive($kept) : null;
            if ($answer === null && !$kept) {
                throw new PublishException(Constants::EIO, 'The server closed the connection without an answer');
            }
            if ($answer !== null && !self::closes($answer[2])) {
                self::$busy = null;
            }
            return $answer;
        } finally {
            if (self::$busy !== null) {
                self::$busy = $this->stream = null;
                if (is_resource($stream)) {
                    fclose($stream);
                }
            }
        }
    }

    /** @param array<string, string> $fields */
    private static function closes(array $fields): bool
    {
        return stripos($fields['connection'] ?? '', 'close') !== false;
    }

    private function send(string $request): bool
    {
        for ($at = 0, $size = strlen($request); $at < $size; $at += $sent) {
            $sent = @fwrite($this->stream, $at === 0 ? $request : substr($request, $at));
            if ($sent === false || $sent === 0) {
                return false;
            }
        }
        return true;
    }

    /** @return ?array{int, string, array<string, string>} */
    private function receive(bool $kept): ?array
    {
        $end = microtime(true) + $this->timeout;
        do {
            $line = fgets($this->stream, self::MAX_HEAD_BYTES);
            if ($line === false && $kept && !stream_get_meta_data($this->stream)['timed_out']) {
                return null;
            }
            if (!preg_match('~^HTTP/1\.[01] (\d{3})~', $this->whole($line, $end), $match)) {
                throw new PublishException(Constants::EPROTO, 'The answer is not HTTP');
            }
            $status = (int) $match[1];
            $fields = $this->fields($end);
            $kept = false;
        } while ($status < 200);
        return [$status, $this->body($status, $fields, $end), $fields];
    }

    /** @return array<string, string> */
    private function fields(float $end): array
    {
        $fields = [];
        for ($size = 0;; $size += strlen($line)) {
            $line = $this->whole(fgets($this->stream, self::MAX_HEAD_BYTES), $end);
            if (rtrim($line, "\r\n") === '') {
                return $fields;
            }
            if ($size > self::MAX_HEAD_BYTES) {
                throw new PublishException(Constants::EPROTO, 'The head of the answer is too long');
            }
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $fields[strtolower(trim($name))] = trim($value);
        }
    }

    /** @param array<string, string> $fields */
    private function body(int $status, array $fields, float $end): string
    {
        if ($status === 204 || $status === 304) {
            return '';
        }
        if (strtolower($fields['transfer-encoding'] ?? '') === 'chunked') {
            $body = '';
            do {
                $line = $this->whole(fgets($this->stream, 1024), $end);
                $size = preg_match('/^[0-9a-f]{1,8}(?=[;\s])/i', $line, $match) ? hexdec($match[0]) : -1;
                $body .= $this->read($size, $end, strlen($body));
                if ($size !== 0) {
                    $this->whole(fgets($this->stream, 8), $end);
                }
            } while ($size !== 0);
            $this->fields($end);
            return $body;
        }
        if (isset($fields['content-length'])) {
            return $this->read(preg_match('/^\d{1,18}$/D', $fields['content-length']) ? (int) $fields['content-length'] : -1, $end, 0);
        }
        if (!self::closes($fields)) {
            throw new PublishException(Constants::EPROTO, 'The answer does not say its length');
        }
        for ($body = ''; !feof($this->stream);) {
            $body .= $this->whole(fread($this->stream, 1 << 16), $end);
            if (strlen($body) > self::MAX_ANSWER_BYTES) {
                throw new PublishException(Constants::EPROTO, 'The answer is too long');
            }
        }
        return $body;
    }

    private function read(int $size, float $end, int $before): string
    {
        if ($size < 0 || $size > self::MAX_ANSWER_BYTES - $before) {
            throw new PublishException(Constants::EPROTO, 'The length of the answer is wrong');
        }
        $text = '';
        while (strlen($text) < $size) {
            $piece = fread($this->stream, min($size - strlen($text), 1 << 20));
            $text .= $this->whole($piece === '' ? false : $piece, $end);
        }
        return $text;
    }

    /** What was read, or why nothing was. */
    private function whole(string|false $read, float $end): string
    {
        if (stream_get_meta_data($this->stream)['timed_out'] || microtime(true) > $end) {
            throw new PublishException(Constants::ETIMEDOUT, "No answer within $this->timeout s");
        }
        if ($read === false) {
            throw new PublishException(Constants::EIO, 'The server closed the connection within its answer');
        }
        return $read;
    }
}
