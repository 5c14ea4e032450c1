<?php

declare(strict_types=1);

namespace Pusherc;

/** Who a connection is: the answer to Server::identify(). */
final class Identity
{
    /**
     * @param string $userId            0 to 200 bytes; '' = anonymous
     * @param mixed $info               what other members of presence channels see, as JSON; null = nothing
     * @param ?float $expiresIn         seconds, after which all grants of the connection are asked for again; null = never
     * @param mixed $data               the host's own: Question::$data of questions about this connection
     */
    public function __construct(
        public readonly string $userId,
        public readonly mixed $info = null,
        public readonly ?float $expiresIn = null,
        public readonly mixed $data = null,
    ) {
    }
}
