<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Broadcasting\Broadcasters\Broadcaster as BaseBroadcaster;
use Illuminate\Broadcasting\Broadcasters\UsePusherChannelConventions;
use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Contracts\Auth\Authenticatable;
use Pusherc\Exception;
use Pusherc\Grant;
use Pusherc\Json;
use Pusherc\Publisher;
use Pusherc\Server;
use Pusherc\Signer;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * The broadcast driver "pusherc". In pusherc:serve it publishes in the process and its channels decide there; elsewhere
 * it publishes over HTTP, and signs what /broadcasting/auth and /broadcasting/user-auth answer, as Laravel's driver for
 * Pusher does.
 *
 * A channel's function may return a Grant, too: with a view, an expiry or another user id. What audiences see is an
 * option of the channel: ['views' => ['agent' => null, 'customer' => new Without('note')]].
 */
class Broadcaster extends BaseBroadcaster
{
    use UsePusherChannelConventions;

    /** A close code after which stock clients connect again at once. */
    public const COME_BACK = 4200;

    private ?Signer $signer = null;
    private ?Publisher $publisher = null;
    private ?Server $server = null;
    private ?Control $control = null;

    /** @param array<string, mixed> $config  the connection; what it lacks is said when it is needed, not while the application boots */
    public function __construct(private readonly array $config)
    {
    }

    /**
     * The id, key and secret of the app, and its master key or null.
     *
     * @return array{string, string, string, ?string}
     */
    public function credentials(): array
    {
        $missing = array_filter(['id', 'key', 'secret'], fn (string $name) => ($this->config[$name] ?? '') === '');
        if ($missing) {
            throw new \InvalidArgumentException('The broadcast connection "pusherc" has no ' . implode(', ', $missing)
                . ': set PUSHERC_APP_ID, PUSHERC_APP_KEY and PUSHERC_APP_SECRET.');
        }
        $config = $this->config;
        return [(string) $config['id'], $config['key'], $config['secret'], $config['encryption_master_key'] ?? null];
    }

    public function signer(): Signer
    {
        [, $key, $secret, $master] = $this->credentials();
        return $this->signer ??= new Signer($key, $secret, $master);
    }

    // -- who may have which channel --

    /** @inheritDoc */
    public function auth($request)
    {
        $name = (string) $request->channel_name;
        $channel = $this->normalizeChannelName($name);
        if ($name === '' || ($this->isGuardedChannel($name) && !$this->retrieveUser($request, $channel))) {
            throw new AccessDeniedHttpException();
        }
        return $this->verifyUserCanAccessChannel($request, $channel);
    }

    /** @inheritDoc */
    public function validAuthenticationResponse($request, $result)
    {
        $name = (string) $request->channel_name;
        $given = $result instanceof Grant ? $result : null;
        $member = null;
        if (str_starts_with($name, 'presence-')) {
            $user = $this->retrieveUser($request, $this->normalizeChannelName($name));
            $member = ['user_id' => $given?->userId ?? self::userId($user), 'user_info' => $given ? $given->info : $result];
        }
        if ($request instanceof Question) {
            return new Grant($given?->view, $member['user_info'] ?? null, $member['user_id'] ?? null, $given?->expiresIn);
        }
        return $this->answer($request, $this->signer()->channelResponse(
            (string) $request->socket_id,
            $name,
            $member === null ? '' : Json::text(array_filter($member)),
        ));
    }

    /** What a client needs to sign in (pusher:signin); Laravel 9 and later. */
    public function resolveAuthenticatedUser($request)
    {
        // Laravel 8 has no such function to ask.
        $user = is_callable([parent::class, 'resolveAuthenticatedUser']) ? parent::resolveAuthenticatedUser($request) : null;
        return $user ? $this->answer($request, $this->signer()->userResponse((string) $request->socket_id, Json::text($user))) : null;
    }

    /** @return array<string, string>|\Illuminate\Http\JsonResponse */
    private function answer($request, string $json)
    {
        $answer = json_decode($json, true);
        return $request->input('callback') ? response()->json($answer)->withCallback($request->input('callback')) : $answer;
    }

    private static function userId(Authenticatable $user): string
    {
        $own = method_exists($user, 'getAuthIdentifierForBroadcasting');
        return (string) ($own ? $user->getAuthIdentifierForBroadcasting() : $user->getAuthIdentifier());
    }

    // -- publishing --

    /** @inheritDoc */
    public function broadcast(array $channels, $event, array $payload = [])
    {
        $socket = $payload['socket'] ?? null;
        unset($payload['socket']);
        try {
            foreach (array_chunk($this->formatChannels($channels), 100) as $some) {
                if ($this->server !== null) {
                    $this->server->publish($some, $event, $payload, $socket);
                } else {
                    $this->publisher()->publish($some, $event, $payload, $socket);
                }
            }
        } catch (Exception $e) {
            throw new BroadcastException('pusherc: ' . $e->getMessage(), $e->getCode(), $e);
        }
    }

    /** The HTTP API of the server, from any process. */
    public function publisher(): Publisher
    {
        return $this->publisher ??= new Publisher(
            $this->config['url'] ?? 'http://127.0.0.1:6001',
            ...$this->credentials(),
            timeout: $this->config['timeout'] ?? 5,
            tls: $this->config['tls'] ?? [],
        );
    }

    /** The server, in the process of pusherc:serve; null in others. */
    public function server(): ?Server
    {
        return $this->server;
    }

    // -- changed decisions, from any process --

    /**
     * Ask the channels again, because facts have changed: change them first. Nothing that is published afterwards reaches a
     * client that loses its channel; its subscription ends with an error of status 403.
     *
     * @param Authenticatable|string|int|null $user  or the auth identifier; null = every user
     * @param ?string $channel                       a pattern, "orders.7" or "orders.{order}"; null = every channel
     * @param ?string $guard                         that knows the user; null = the default guard
     */
    public function reauthorize(Authenticatable|string|int|null $user = null, ?string $channel = null, ?string $guard = null): void
    {
        $this->tell('reauthorize', ['user' => $user === null ? null : self::nameOf($user, $guard), 'channel' => $channel]);
    }

    /**
     * Close all connections of a user, for example after a logout. They come back as who they are then.
     *
     * @param int $code  4000 to 4099: they stay away; 4100 to 4199: they come back after a second
     */
    public function disconnect(
        Authenticatable|string|int $user,
        string $reason = '',
        int $code = self::COME_BACK,
        ?string $guard = null,
    ): void {
        $this->tell('disconnect', ['user' => self::nameOf($user, $guard), 'reason' => $reason, 'code' => $code]);
    }

    private static function nameOf(Authenticatable|string|int $user, ?string $guard): string
    {
        $first = config('pusherc.guards')[0] ?? config('auth.defaults.guard');
        return Visitor::name($guard ?? $first, $first, $user instanceof Authenticatable ? $user->getAuthIdentifier() : $user);
    }

    /** @param array<string, mixed> $what */
    private function tell(string $order, array $what): void
    {
        if ($this->control !== null) {
            $this->control->$order($what);
        } else {
            $this->publisher()->request('POST', "/pusherc/$order", [], Json::text($what));
        }
    }

    // -- for pusherc:serve --

    /** @internal */
    public function serveWith(Server $server, Control $control): void
    {
        [$this->server, $this->control] = [$server, $control];
    }

    /** @internal @return array<string, array<string, mixed>> options by pattern */
    public function channelOptions(): array
    {
        return array_intersect_key($this->channelOptions + array_fill_keys(array_keys($this->channels), []), $this->channels);
    }
}
