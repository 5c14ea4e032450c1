<?php

declare(strict_types=1);

namespace Pusherc;

/** The server has ended a state that a client had begun. */
final class EphemeralEnd
{
    /**
     * @param string $reason  "time": it was over; "left": the last connection that had said it has left the channel
     * @param string $event  the client event that had begun it
     * @param string $data  what was said last
     * @param ?string $userId  whose it was
     */
    public function __construct(
        public readonly string $reason,
        public readonly string $appId,
        public readonly string $channel,
        public readonly string $event,
        public readonly string $data,
        public readonly ?string $userId,
    ) {
    }
}
