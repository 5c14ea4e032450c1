<?php

declare(strict_types=1);

namespace Pusherc;

/** Webhook events that an endpoint did not accept. */
final class WebhookFailure
{
    /**
     * @param string $body  of the last request
     * @param int $lastStatus  0 = there was no answer
     */
    public function __construct(
        public readonly string $appId,
        public readonly string $url,
        public readonly string $body,
        public readonly int $eventCount,
        public readonly int $attempts,
        public readonly int $lastStatus,
    ) {
    }
}
