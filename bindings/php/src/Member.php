<?php

declare(strict_types=1);

namespace Pusherc;

/** A user in a presence channel. */
final class Member
{
    /**
     * @param mixed $info  decoded
     */
    public function __construct(
        public readonly string $userId,
        public readonly mixed $info,
    ) {
    }
}
