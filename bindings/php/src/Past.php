<?php

declare(strict_types=1);

namespace Pusherc;

/** What a channel keeps of its past. */
final class Past
{
    /**
     * @param list<PastEvent> $events  the oldest first
     * @param bool $complete           nothing is missing before the first one
     * @param string $position         to ask with next time
     */
    public function __construct(
        public readonly array $events,
        public readonly bool $complete,
        public readonly string $position,
    ) {
    }
}
