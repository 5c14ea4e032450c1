<?php

declare(strict_types=1);

namespace Pusherc;

use FFI;
use FFI\CData;
use Pusherc\Internal\Memory;
use Pusherc\Internal\Request;
use Pusherc\Internal\Waiting;

/**
 * A complete HTTP request for a path that is not the library's. The function given to Server::http() answers by what
 * it returns: an HttpResponse, text (HTML), an array (JSON), or null (404). Or it calls later() and answers afterwards.
 *
 * Methods that read it return null for what is absent or empty, and throw ESTATE once it was answered.
 */
final class HttpRequest extends Request
{
    /** "GET", "POST" ... */
    public readonly string $method;
    /** Decoded, without the query. */
    public readonly string $path;

    /** @internal */
    public function __construct(FFI $ffi, Waiting $waiting, CData $message)
    {
        parent::__construct($ffi, $waiting, $message);
        $this->method = Memory::read($ffi->pusherc_http_method($this->address));
        $this->path = Memory::read($ffi->pusherc_http_path($this->address));
    }

    /** A parameter of the query, decoded. */
    public function query(string $name): ?string
    {
        return $this->optional($this->ffi->pusherc_http_query($this->address(), $name));
    }

    /** A header field, its name in any case. */
    public function header(string $name): ?string
    {
        return $this->optional($this->ffi->pusherc_http_header($this->address(), $name));
    }

    public function cookie(string $name): ?string
    {
        return $this->optional($this->ffi->pusherc_http_cookie($this->address(), $name));
    }

    /** The token of "Authorization: Bearer ...". */
    public function bearer(): ?string
    {
        return preg_match('/^Bearer +(\S+)$/i', (string) $this->header('Authorization'), $found) ? $found[1] : null;
    }

    public function body(): string
    {
        return Memory::read($this->ffi->pusherc_http_body($this->address()));
    }

    /** A field of a form that a browser sent, decoded. */
    public function form(string $name): ?string
    {
        return $this->optional($this->ffi->pusherc_http_form($this->address(), $name));
    }

    /** "address:port" of the socket's peer, which may be a proxy. */
    public function peer(): ?string
    {
        return $this->optional($this->ffi->pusherc_http_peer($this->address()));
    }

    /** The client's address, as proxies report it (proxy_count). */
    public function clientIp(): ?string
    {
        return $this->optional($this->ffi->pusherc_http_client_ip($this->address()));
    }

    /** @return bool false: the client is gone; @throws Exception EINVAL: a field breaks its rule; the client gets 500 */
    public function respond(HttpResponse $response): bool
    {
        $this->address();
        $memory = new Memory($this->ffi);
        $fields = $memory->array('pusherc_http_field', \count($response->headers));
        $i = 0;
        foreach ($response->headers as $name => $value) {
            $memory->fill($fields[$i]->name, (string) $name);
            $memory->fill($fields[$i++]->value, $value);
        }
        $first = FFI::addr($fields[0]);
        $body = $memory->slice($response->body);
        return $this->accepted($this->ffi->pusherc_http_respond($this->consume(), $response->status, $first, $i, $body));
    }

    public function settle(mixed $result): void
    {
        if (!$this->isSettled()) {
            $this->respond(match (true) {
                $result instanceof HttpResponse => $result,
                \is_string($result) => new HttpResponse($result),
                \is_array($result) => HttpResponse::json($result),
                $result === null => HttpResponse::text("Not found\n", 404),
                default => throw $this->wrong($result, HttpResponse::class . ', string, array or null'),
            });
        }
    }

    public function refuse(string $reason = 'Internal error', int $code = 0): void
    {
        if ($this->address !== 0) {
            $this->respond(HttpResponse::text("$reason\n", $code >= 400 && $code <= 599 ? $code : 500));
        }
    }

    protected function number(): int
    {
        return $this->ffi->pusherc_http_question($this->address());
    }
}
