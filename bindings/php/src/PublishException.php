<?php

declare(strict_types=1);

namespace Pusherc;

/** A request of Publisher that failed. Its text is the server's own, or says why there was no answer. */
final class PublishException extends Exception
{
    /**
     * @param int $status       of the answer; 0 = there was none
     * @param ?int $retryAfter  seconds after which the server may accept it
     */
    public function __construct(int $code, string $message, public readonly int $status = 0, public readonly ?int $retryAfter = null)
    {
        parent::__construct($code, $message);
    }

    /** @internal */
    public static function ofAnswer(int $status, string $body, ?int $retryAfter): self
    {
        $code = match (true) {
            $status === 400 => Constants::EINVAL,
            $status === 401, $status === 403 => Constants::EAUTH,
            $status === 404 => Constants::ENOENT,
            $status === 409 => Constants::EEXIST,
            $status === 413, $status === 429 => Constants::ELIMIT,
            $status === 503 => Constants::EBACKLOG,
            default => Constants::EPROTO,
        };
        return new self($code, "The server answered $status: " . substr(trim($body), 0, 2000), $status, $retryAfter);
    }
}
