<?php

declare(strict_types=1);

namespace Pusherc;

/**
 * What an audience does not see of a channel's events: members of payloads that are JSON objects, and of the user_info
 * of presence members. The library leaves them out; no PHP runs for that.
 *
 *     $server->channel('tickets.{id}', $rule, views: ['agent' => null, 'customer' => new Without('note', '/customer/email')]);
 */
final class Without
{
    /** @var list<string> */
    public readonly array $members;

    /**
     * @param string ...$members  "note", or a JSON pointer to one further inside, "/items/price"; an array on the way
     *                            stands for each of its items. None = the audience gets no event at all
     */
    public function __construct(string ...$members)
    {
        $this->members = array_values($members);
    }
}
