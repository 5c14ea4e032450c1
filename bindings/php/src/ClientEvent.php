<?php

declare(strict_types=1);

namespace Pusherc;

/** An event that a client sent to others. */
final class ClientEvent
{
    /**
     * @param string $data  as the client sent it
     */
    public function __construct(
        public readonly string $appId,
        public readonly string $channel,
        public readonly string $socketId,
        public readonly string $event,
        public readonly string $data,
        public readonly ?string $userId,
    ) {
    }
}
