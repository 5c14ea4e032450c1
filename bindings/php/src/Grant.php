<?php

declare(strict_types=1);

namespace Pusherc;

/** A positive answer to a rule's question that says more than `true`. */
final class Grant
{
    /**
     * @param ?string $view       audience of this subscriber: a key of `views` in Server::channel()
     * @param mixed $info         presence: what other members see, as JSON; null = the identity's
     * @param ?string $userId     presence: the user that joins; null = the identity's
     * @param ?float $expiresIn   seconds, after which the rule is asked again; null = never
     */
    public function __construct(
        public readonly ?string $view = null,
        public readonly mixed $info = null,
        public readonly ?string $userId = null,
        public readonly ?float $expiresIn = null,
    ) {
    }
}
