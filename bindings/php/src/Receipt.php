<?php

declare(strict_types=1);

namespace Pusherc;

/** An event has reached a user; told once of each kind for a channel, id and user. */
final class Receipt
{
    /**
     * @param string $kind  "written": to a connection of the user; "shown": a page of the user says so
     * @param string $event  its name
     * @param string $id  as the rule finds it in the event's data
     * @param string $socketId  of the user's connection that was the first
     * @param float $at  Unix time in seconds
     */
    public function __construct(
        public readonly string $kind,
        public readonly string $appId,
        public readonly string $channel,
        public readonly string $event,
        public readonly string $id,
        public readonly string $userId,
        public readonly string $socketId,
        public readonly float $at,
    ) {
    }
}
