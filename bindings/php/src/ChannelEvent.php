<?php

declare(strict_types=1);

namespace Pusherc;

/** What happened to a channel. */
final class ChannelEvent
{
    /**
     * @param string $type  "occupied", "vacated", "member_added", "member_removed" or "subscription_count"
     * @param ?string $userId  of member_added and member_removed
     * @param int $subscriptionCount  after the change
     * @param int $sequence  grows with every change of the channel
     * @param string $scope  "process"; or "cluster": a change on all linked servers, which one of them tells beside its own
     */
    public function __construct(
        public readonly string $type,
        public readonly string $appId,
        public readonly string $channel,
        public readonly ?string $userId,
        public readonly int $subscriptionCount,
        public readonly int $sequence,
        public readonly string $scope = 'process',
    ) {
    }
}
