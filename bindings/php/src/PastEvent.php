<?php

declare(strict_types=1);

namespace Pusherc;

/** An event that a channel keeps, as it was published. */
final class PastEvent
{
    /**
     * @param string $id   the `event_id` of clients
     * @param float $age   seconds since it was published
     */
    public function __construct(
        public readonly string $id,
        public readonly string $name,
        public readonly string $data,
        public readonly float $age,
    ) {
    }
}
