<?php

declare(strict_types=1);

namespace Pusherc;

/**
 * Thrown by Server::identify()'s function to refuse a client, or by a rule to deny a channel with a reason that the
 * client reads. It is an answer, not an error: Server::onError() does not get it.
 */
final class Reject extends \Exception
{
    /**
     * @param string $reason  UTF-8, for the client
     * @param int $status     identify: close code 4000 to 4999, default 4009, after which pusher-js stays away (4100 to
     *                        4299: it comes back); a rule: 400 to 499, default 403
     */
    public function __construct(string $reason = '', int $status = 0)
    {
        parent::__construct($reason, $status);
    }
}
