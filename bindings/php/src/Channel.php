<?php

declare(strict_types=1);

namespace Pusherc;

/** A channel at the time of a query. */
final class Channel
{
    /**
     * @param string $kind  "public", "private", "presence", "private-encrypted" or "user"
     * @param bool $cache  whether it keeps its last event
     * @param int $subscriptionCount  0 = not occupied
     * @param int $userCount  members of a presence channel
     * @param int $sequence  ChannelEvent::$sequence of the last change that the counts contain
     */
    public function __construct(
        public readonly string $name,
        public readonly string $kind,
        public readonly bool $cache,
        public readonly int $subscriptionCount,
        public readonly int $userCount,
        public readonly int $sequence,
    ) {
    }
}
