<?php

declare(strict_types=1);

namespace Pusherc\Tests;

/**
 * A client that speaks the protocol over a plain socket, in the same process as the server: that has threads of its own
 * for the network. While it waits it lets the server's functions run.
 */
final class Client
{
    public ?string $socketId = null;
    /** 0 = open */
    public int $closeCode = 0;
    public string $closeReason = '';
    /** @var resource */
    private $socket;
    private string $in = '';
    /** @var list<array{event: string, channel: ?string, data: mixed}> */
    private array $events = [];

    /**
     * @param ?\Closure $turn           runs while it waits: the server's dispatch()
     * @param array<string, string> $headers
     */
    public function __construct(
        int $port,
        private readonly ?\Closure $turn,
        string $query = '',
        array $headers = [],
        string $key = 'key',
        bool $established = true,
    ) {
        $this->socket = stream_socket_client("tcp://127.0.0.1:$port", $code, $text, 10);
        stream_set_blocking($this->socket, false);
        $lines = '';
        foreach ($headers as $name => $value) {
            $lines .= "$name: $value\r\n";
        }
        fwrite($this->socket, "GET /app/$key?protocol=7$query HTTP/1.1\r\nHost: 127.0.0.1:$port\r\nConnection: Upgrade\r\n"
            . "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n$lines\r\n");
        if ($established) {
            $this->socketId = $this->wait('pusher:connection_established')['data']['socket_id'];
        }
    }

    public function send(string $event, mixed $data, ?string $channel = null): void
    {
        $text = json_encode(array_filter(compact('event', 'data', 'channel'), fn ($value) => $value !== null));
        $len = \strlen($text);
        $head = "\x81" . ($len < 126 ? \chr(0x80 | $len) : "\xfe" . pack('n', $len));
        fwrite($this->socket, "$head\0\0\0\0$text");
    }

    public function ask(string $channel): void
    {
        $this->send('pusher:subscribe', ['channel' => $channel]);
    }

    /** Subscribe; what the server answered: true, or the error. */
    public function subscribe(string $channel): mixed
    {
        $this->ask($channel);
        return $this->answer($channel);
    }

    public function answer(string $channel): mixed
    {
        $answer = $this->wait(null, fn ($event) => $event['channel'] === $channel && str_contains($event['event'], 'subscription_'));
        return $answer['event'] === 'pusher_internal:subscription_succeeded' ? true : $answer['data'];
    }

    /** The next event of that name, or that the filter takes. */
    public function wait(?string $name, ?\Closure $filter = null, float $seconds = 60): array
    {
        $filter ??= fn ($event) => $event['event'] === $name;
        $end = microtime(true) + $seconds;
        while (true) {
            foreach ($this->events as $i => $event) {
                if ($filter($event)) {
                    array_splice($this->events, $i, 1);
                    return $event;
                }
            }
            if ($this->closeCode !== 0 || microtime(true) > $end) {
                throw new \RuntimeException("there was no $name; closed $this->closeCode $this->closeReason; "
                    . json_encode($this->events));
            }
            $this->turn();
        }
    }

    /** All that has come until the server answers a ping. @return list<string> names of events */
    public function sofar(): array
    {
        $this->send('pusher:ping', []);
        $this->wait('pusher:pong');
        $names = array_column($this->events, 'event');
        $this->events = [];
        return $names;
    }

    public function waitClosed(float $seconds = 60): int
    {
        $end = microtime(true) + $seconds;
        while ($this->closeCode === 0 && microtime(true) < $end) {
            $this->turn();
        }
        return $this->closeCode;
    }

    public function close(): void
    {
        fclose($this->socket);
    }

    public function turn(): void
    {
        $this->turn === null || ($this->turn)();
        $read = [$this->socket];
        $write = $except = null;
        if (!stream_select($read, $write, $except, 0, $this->turn ? 1000 : 100000)) {
            return;
        }
        $bytes = fread($this->socket, 65536);
        if ($bytes === '' || $bytes === false) {
            $this->closeCode = $this->closeCode ?: 1006;
            return;
        }
        $this->in .= $bytes;
        if (($end = strpos($this->in, "\r\n\r\n")) !== false && str_starts_with($this->in, 'HTTP/1.1 ')) {
            $this->in = substr($this->in, $end + 4);
        }
        $this->frames();
    }

    private function frames(): void
    {
        while (\strlen($this->in) >= 2 && !str_starts_with($this->in, 'HTTP')) {
            [$len, $head] = [\ord($this->in[1]), 2];
            if ($len === 126) {
                [$len, $head] = [unpack('n', $this->in, 2)[1], 4];
            } elseif ($len === 127) {
                [$len, $head] = [unpack('J', $this->in, 2)[1], 10];
            }
            if (\strlen($this->in) < $head + $len) {
                return;
            }
            $text = substr($this->in, $head, $len);
            if ((\ord($this->in[0]) & 15) === 8) {
                $this->closeCode = unpack('n', $text)[1];
                $this->closeReason = substr($text, 2);
            } else {
                $event = json_decode($text, true);
                $data = $event['data'] ?? null;
                $event['data'] = \is_string($data) ? json_decode($data, true) ?? $data : $data;
                $this->events[] = $event + ['channel' => null];
            }
            $this->in = substr($this->in, $head + $len);
        }
    }
}
