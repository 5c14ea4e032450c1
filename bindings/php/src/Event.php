<?php

declare(strict_types=1);

namespace Pusherc;

/** One event of Server::publishBatch(). */
final class Event
{
    /**
     * @param string|list<string> $channels  1 to 100 names
     * @param string $name                   of the event
     * @param mixed $data                    text is sent as it is, everything else as JSON
     * @param ?string $except                the socket id of a connection that does not get it
     */
    public function __construct(
        public readonly string|array $channels,
        public readonly string $name,
        public readonly mixed $data = null,
        public readonly ?string $except = null,
    ) {
    }
}
