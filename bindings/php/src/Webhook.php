<?php

declare(strict_types=1);

namespace Pusherc;

/** An endpoint that is told over HTTP what happens in an app's channels: docs/webhooks.md. */
final class Webhook
{
    /**
     * @param string $url                     "http://..." or "https://..."
     * @param list<string> $events            "channel_occupied", "member_added" ...; [] = all
     * @param ?string $channelPrefix          only channels that begin with it
     * @param ?string $channelSuffix          only channels that end with it
     * @param array<string, string> $headers  fields that each request carries
     */
    public function __construct(
        public readonly string $url,
        public readonly array $events = [],
        public readonly ?string $channelPrefix = null,
        public readonly ?string $channelSuffix = null,
        public readonly array $headers = [],
    ) {
    }
}
