<?php

declare(strict_types=1);

namespace Pusherc;

/** A user of an app with `user_events`, at the time of a query. */
final class User
{
    /**
     * @param int $connections  the user's, by identify() or by a sign-in
     * @param int $channels     presence channels that the user is a member of
     * @param float $away       seconds since the last of these has ended; 0 = the user is there
     * @param int $sequence     UserEvent::$sequence of the user's last change
     */
    public function __construct(
        public readonly string $id,
        public readonly bool $online,
        public readonly int $connections,
        public readonly int $channels,
        public readonly float $away,
        public readonly int $sequence,
    ) {
    }
}
