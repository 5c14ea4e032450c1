<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Pusherc\Exception;
use Pusherc\HttpRequest;
use Pusherc\HttpResponse;
use Pusherc\Server;
use Pusherc\Signer;

/**
 * What other processes of the application ask of pusherc:serve, in requests that are signed as those of the HTTP API:
 * POST /pusherc/reauthorize and /pusherc/disconnect.
 *
 * @internal
 */
final class Control
{
    private const SIGNED = ['auth_key', 'auth_timestamp', 'auth_version', 'body_md5', 'auth_signature'];

    /** @param bool $severalGuards  whether a connection may be several users */
    public function __construct(private readonly Server $server, private readonly bool $severalGuards)
    {
    }

    /** @param array{user?: ?string, channel?: ?string} $what  user: as Visitor::name() writes it */
    public function reauthorize(array $what): void
    {
        foreach ($this->usersOf($what['user'] ?? null) as $user) {
            $this->server->reauthorize(userId: $user, pattern: $what['channel'] ?? null);
        }
    }

    /** @param array{user?: string, reason?: string, code?: int} $what  without a user a TypeError */
    public function disconnect(array $what): void
    {
        foreach ($this->usersOf($what['user'] ?? null) as $user) {
            $this->server->disconnectUser($user, $what['reason'] ?? '', $what['code'] ?? Broadcaster::COME_BACK);
        }
    }

    /** User ids of connections that are this user, and maybe another one by another guard. @return list<?string> */
    private function usersOf(?string $user): array
    {
        $users = [$user];
        if ($user !== null && $this->severalGuards) {
            foreach ($this->server->connections() as $connection) {
                if (in_array($user, explode(',', (string) $connection->userId), true)) {
                    $users[] = $connection->userId;
                }
            }
        }
        return array_values(array_unique($users));
    }

    public function __invoke(HttpRequest $request, Signer $signer): ?HttpResponse
    {
        if (!preg_match('~/pusherc/(reauthorize|disconnect)$~D', $request->path, $match)) {
            return null;
        }
        if ($request->method !== 'POST') {
            return HttpResponse::text("POST only\n", 405);
        }
        $query = '';
        foreach (self::SIGNED as $name) {
            $value = $request->query($name);
            $query .= $value === null ? '' : "&$name=" . rawurlencode($value);
        }
        $body = $request->body();
        // Signed is the path without what a proxy or path_prefix puts before it.
        if (!$signer->verifyRequest('POST', $match[0], substr($query, 1), $body)) {
            return HttpResponse::text("Invalid signature\n", 401);
        }
        $what = json_decode($body, true);
        try {
            is_array($what) ? $this->{$match[1]}($what) : throw new \TypeError();
        } catch (\TypeError) {
            return HttpResponse::text("The body is malformed\n", 400);
        } catch (Exception $e) {
            return HttpResponse::text($e->getMessage() . "\n", 400);
        }
        return HttpResponse::json(new \stdClass());
    }
}
