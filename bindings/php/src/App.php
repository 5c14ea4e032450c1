<?php

declare(strict_types=1);

namespace Pusherc;

/** An app: a tenant with an id, a key, a secret and limits of its own. */
final class App
{
    /** @var array<string, mixed> */
    public readonly array $settings;

    /**
     * @param string $id                     part of the HTTP API's paths
     * @param string $key                    part of the clients' URL
     * @param string $secret                 the key of signatures
     * @param string $auth                   what decides about private, presence and encrypted channels: "signature" as at
     *                                       Pusher, "rules", or "either"
     * @param list<string> $allowedOrigins   patterns such as "https://*.example.com"; [] = any
     * @param list<Webhook> $webhooks        endpoints that are told what happens in channels
     * @param list<History> $history         channels whose last events are kept
     * @param mixed ...$settings             any setting of an app by its name in docs/configuration.md:
     *                                       client_events: true, max_presence_members: 500, encryption_master_key: '...',
     *                                       shaping: 'sensors.{id} conflate key=/id window_ms=200', user_events: true
     */
    public function __construct(
        public readonly string $id,
        public readonly string $key,
        #[\SensitiveParameter]
        public readonly string $secret,
        public readonly string $auth = 'signature',
        public readonly array $allowedOrigins = [],
        public readonly array $webhooks = [],
        public readonly array $history = [],
        mixed ...$settings,
    ) {
        $this->settings = $settings;
    }
}
