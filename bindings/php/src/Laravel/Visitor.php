<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

/**
 * By what the application's guards find the users of a connection when a channel is asked for: Identity::$data. The users
 * themselves are not kept, so that each decision rests on what the database says then.
 *
 * @internal
 */
final class Visitor
{
    /**
     * @param ?string $guard               default guard of its questions; null = the application's
     * @param array<string, mixed> $logins what the session says to session guards: login_web_... => identifier
     * @param array<string, string> $fields header fields that other guards go by, as in $_SERVER
     */
    public function __construct(
        public readonly ?string $guard = null,
        public readonly array $logins = [],
        public readonly array $fields = [],
    ) {
    }

    /** A user as part of a connection's user id. */
    public static function name(string $guard, string $firstGuard, mixed $identifier): string
    {
        $id = strtr((string) $identifier, ['%' => '%25', ',' => '%2C', ':' => '%3A']);
        return $guard === $firstGuard ? $id : "$guard:$id";
    }
}
