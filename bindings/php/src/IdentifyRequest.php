<?php

declare(strict_types=1);

namespace Pusherc;

use FFI;
use FFI\CData;
use Pusherc\Internal\Memory;
use Pusherc\Internal\Request;
use Pusherc\Internal\Waiting;

/**
 * "Who is this?" The function given to Server::identify() answers by what it returns: an Identity, or null for an
 * anonymous client; it refuses one by `throw new Reject()`. Or it calls later() and answers afterwards.
 *
 * Methods that read it return null for what is absent or empty, and throw ESTATE once it was answered.
 */
final class IdentifyRequest extends Request
{
    private const PURPOSES = [
        Constants::IDENTIFY_CONNECT => 'connect',
        Constants::IDENTIFY_CHANNEL_AUTH => 'channel-auth',
        Constants::IDENTIFY_USER_AUTH => 'user-auth',
    ];

    public readonly string $appId;
    /** "connect": a WebSocket; "channel-auth", "user-auth": a request to an auth endpoint. */
    public readonly string $purpose;

    /** @internal */
    public function __construct(FFI $ffi, Waiting $waiting, CData $message)
    {
        parent::__construct($ffi, $waiting, $message);
        $this->appId = Memory::read($ffi->pusherc_identify_app_id($this->address));
        $this->purpose = self::PURPOSES[$ffi->pusherc_identify_purpose_of($this->address)] ?? 'connect';
    }

    /** A header field, its name in any case. */
    public function header(string $name): ?string
    {
        return $this->optional($this->ffi->pusherc_identify_header($this->address(), $name));
    }

    /** A cookie, as sent. Reading one that is there makes the answer depend on the page's origin: docs/authorization.md. */
    public function cookie(string $name): ?string
    {
        return $this->optional($this->ffi->pusherc_identify_cookie($this->address(), $name));
    }

    /** The token of "Authorization: Bearer ...". */
    public function bearer(): ?string
    {
        return $this->optional($this->ffi->pusherc_identify_bearer($this->address()));
    }

    /** A parameter of the URL's query, decoded. */
    public function query(string $name): ?string
    {
        return $this->optional($this->ffi->pusherc_identify_query($this->address(), $name));
    }

    /** The URL's path, as sent. */
    public function path(): string
    {
        return Memory::read($this->ffi->pusherc_identify_path($this->address()));
    }

    /** "address:port" of the socket's peer, which may be a proxy. */
    public function peer(): ?string
    {
        return $this->optional($this->ffi->pusherc_identify_peer($this->address()));
    }

    /** The client's address, as proxies report it (proxy_count). */
    public function clientIp(): ?string
    {
        return $this->optional($this->ffi->pusherc_identify_client_ip($this->address()));
    }

    /**
     * Accept the client; null = as anonymous.
     *
     * @return bool false: the client is gone, or was refused because the identity came from a cookie that any page could use
     * @throws Exception EINVAL: a field breaks its rule; the client is refused
     */
    public function accept(?Identity $identity = null): bool
    {
        if ($identity === null) {
            return $this->accepted($this->ffi->pusherc_identify_accept($this->consume(), null));
        }
        $this->address();
        $memory = new Memory($this->ffi);
        $out = $memory->options('pusherc_identity');
        $memory->fill($out->user_id, $identity->userId);
        if ($identity->info !== null) {
            $memory->fill($out->user_info_json, Memory::json($identity->info));
        }
        if ($identity->expiresIn !== null) {
            $out->expires_in_ms = Memory::ms($identity->expiresIn);
        }
        if ($identity->data !== null) {
            // Freed by C's own free(), on any thread, when the connection is gone: PHP has no part in that.
            $out->data = Memory::store($this->ffi, serialize($identity->data));
            $out->free_data = $this->ffi->free;
        }
        return $this->accepted($this->ffi->pusherc_identify_accept($this->consume(), FFI::addr($out)));
    }

    /**
     * Refuse the client.
     *
     * @param string $reason   for the client, cut at 123 bytes
     * @param int $closeCode   4000 to 4999; stock clients come back only after 4100 to 4299
     */
    public function reject(string $reason = '', int $closeCode = 4009): bool
    {
        if ($closeCode < 4000 || $closeCode > 4999) {
            throw new Exception(Constants::EINVAL, "a close code is 4000 to 4999, not $closeCode");
        }
        return $this->accepted($this->ffi->pusherc_identify_reject($this->consume(), $closeCode, $reason));
    }

    public function settle(mixed $result): void
    {
        if (!$this->isSettled()) {
            $this->accept($result === null || $result instanceof Identity ? $result
                : throw $this->wrong($result, Identity::class . ' or null'));
        }
    }

    public function refuse(string $reason = 'Internal error', int $code = 0): void
    {
        if ($this->address !== 0) {
            // 4100: the fault is here, the client may come back.
            $code = $code >= 4000 && $code <= 4999 ? $code : 4100;
            $this->ffi->pusherc_identify_reject($this->consume(), $code, $reason);
        }
    }

    protected function number(): int
    {
        return $this->ffi->pusherc_identify_question($this->address());
    }
}
