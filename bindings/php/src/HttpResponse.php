<?php

declare(strict_types=1);

namespace Pusherc;

/** The answer to an HttpRequest. The server adds Date, Content-Length and Connection. */
final class HttpResponse
{
    /** @param array<string, string> $headers */
    public function __construct(
        public readonly string $body = '',
        public readonly int $status = 200,
        public readonly array $headers = ['Content-Type' => 'text/html; charset=utf-8'],
    ) {
    }

    public static function json(mixed $data, int $status = 200): self
    {
        return new self(Internal\Memory::json($data), $status, ['Content-Type' => 'application/json']);
    }

    public static function text(string $text, int $status = 200): self
    {
        return new self($text, $status, ['Content-Type' => 'text/plain; charset=utf-8']);
    }
}
