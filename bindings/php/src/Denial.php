<?php

declare(strict_types=1);

namespace Pusherc;

/** A subscription, a sign-in or a connection that was refused, or a grant that was revoked. */
final class Denial
{
    /**
     * @param string $reason  "by_rule", "no_rule", "timeout", "bad_signature" ...: Constants::DENIALS
     * @param int $status  as of HTTP; of a connection its close code
     * @param ?string $channel  null = a connection or a sign-in
     * @param ?string $pattern  of the rule that was asked
     */
    public function __construct(
        public readonly string $reason,
        public readonly int $status,
        public readonly ?string $appId,
        public readonly ?string $channel,
        public readonly ?string $pattern,
        public readonly ?string $userId,
        public readonly ?string $socketId,
        public readonly string $detail,
    ) {
    }
}
