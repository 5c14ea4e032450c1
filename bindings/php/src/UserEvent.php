<?php

declare(strict_types=1);

namespace Pusherc;

/** A user is online or offline now, over all connections and channels of the app. */
final class UserEvent
{
    /**
     * @param float $away    offline: seconds since the user was there
     * @param int $sequence  grows with every change of a user of the app
     */
    public function __construct(
        public readonly string $appId,
        public readonly string $userId,
        public readonly bool $online,
        public readonly float $away,
        public readonly int $sequence,
    ) {
    }
}
