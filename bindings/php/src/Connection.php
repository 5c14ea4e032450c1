<?php

declare(strict_types=1);

namespace Pusherc;

/** A connection, in reports and in Server::connections(). */
final class Connection
{
    /**
     * @param ?string $userId  null = anonymous
     * @param ?int $closeCode  onClose: 1006 = there was none
     * @param ?string $signedInAs  connections(): the user of pusher:signin
     */
    public function __construct(
        public readonly string $socketId,
        public readonly string $appId,
        public readonly ?string $userId,
        public readonly ?string $clientIp,
        public readonly ?int $closeCode = null,
        public readonly ?string $signedInAs = null,
    ) {
    }
}
