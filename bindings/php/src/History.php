<?php

declare(strict_types=1);

namespace Pusherc;

/** Channels whose last events are kept, for pages that were away and for Server::history(): docs/history.md. */
final class History
{
    /**
     * @param string $pattern    of whole names: "private-orders.{id}", "news.{rest...}"; the first one that matches counts
     * @param ?int $maxEvents    of one channel; null = 100
     * @param ?int $maxBytes     of one channel's events; null = 1 MiB
     * @param ?int $maxAge       seconds for which an event is kept; null = 120
     */
    public function __construct(
        public readonly string $pattern,
        public readonly ?int $maxEvents = null,
        public readonly ?int $maxBytes = null,
        public readonly ?int $maxAge = null,
    ) {
    }
}
