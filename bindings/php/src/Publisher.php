<?php

declare(strict_types=1);

namespace Pusherc;

/**
 * Publishing over HTTP, in plain PHP: from PHP-FPM, queue workers, any process without a Server of its own. It speaks
 * Pusher's HTTP API (docs/http-api.md), and has the methods of Server that this API offers, with the same arguments.
 *
 *     $publisher = new Publisher('http://127.0.0.1:6001', 'app-id', 'app-key', 'app-secret');
 *     $publisher->publish('private-tickets.7', 'replied', ['id' => 7]);
 *
 * The connection is kept, in PHP-FPM beyond the request. What fails throws PublishException. An event has an
 * idempotency key: if a kept connection breaks, it is sent again, and published once.
 */
final class Publisher
{
    private readonly HttpClient $http;
    private readonly Signer $signer;
    private readonly string $app;
    private readonly bool $encrypts;

    /**
     * @param string $url               "http://127.0.0.1:6001", "https://ws.example.com/prefix" or "unix:/run/pusherc.sock"
     * @param ?string $masterKey        base64 of 32 bytes: events of encrypted channels are encrypted here
     * @param float $timeout            seconds for connecting, and for each answer
     * @param array<string, mixed> $tls options of a stream context's "ssl", such as ['cafile' => '/etc/ssl/own.pem']
     */
    public function __construct(
        string $url,
        string $appId,
        string $key,
        #[\SensitiveParameter]
        string $secret,
        #[\SensitiveParameter]
        ?string $masterKey = null,
        float $timeout = 5,
        array $tls = [],
    ) {
        $this->http = new HttpClient($url, $timeout, $tls);
        $this->signer = new Signer($key, $secret, $masterKey);
        $this->app = '/apps/' . rawurlencode($appId);
        $this->encrypts = $masterKey !== null;
    }

    /**
     * Send one event.
     *
     * @param string|list<string> $channels  1 to 100 names. Encrypted ones get a request each, if there is a master key
     * @param mixed $data                    text is sent as it is, everything else as JSON
     * @param ?string $except                the socket id of a connection that does not get it
     */
    public function publish(string|array $channels, string $event, mixed $data = null, ?string $except = null): void
    {
        $data = Json::text($data);
        $plain = [];
        foreach ((array) $channels as $channel) {
            if ($this->encrypts && Signer::isEncrypted($channel)) {
                $this->post('/events', self::event(['channels' => [$channel]], $event, $this->signer->encrypt($channel, $data), $except));
            } else {
                $plain[] = $channel;
            }
        }
        if ($plain !== [] || $channels === []) {
            $this->post('/events', self::event(['channels' => $plain], $event, $data, $except));
        }
    }

    /**
     * Up to ten events in one request: if one is wrong, none is sent. An event to several channels counts once for each.
     *
     * @param list<Event> $events
     */
    public function publishBatch(array $events): void
    {
        $batch = [];
        foreach ($events as $event) {
            $data = Json::text($event->data);
            foreach ((array) $event->channels as $channel) {
                $sealed = $this->encrypts && Signer::isEncrypted($channel) ? $this->signer->encrypt($channel, $data) : $data;
                $batch[] = self::event(['channel' => $channel], $event->name, $sealed, $event->except);
            }
        }
        $this->post('/batch_events', ['batch' => $batch]);
    }

    /** Send one event to all connections that have signed in as a user. */
    public function sendToUser(string $userId, string $event, mixed $data = null): void
    {
        $this->post('/events', self::event(['channels' => ["#server-to-user-$userId"]], $event, Json::text($data), null));
    }

    /** Close all connections that have signed in as a user. */
    public function disconnectUser(string $userId): void
    {
        $this->post('/users/' . rawurlencode($userId) . '/terminate_connections', []);
    }

    /**
     * Occupied channels.
     *
     * @param string $prefix      only those whose names begin with it
     * @param list<string> $info  "user_count" (then the prefix has to be of presence channels), "subscription_count"
     * @return array<string, array<string, mixed>>  attributes by name
     */
    public function channels(string $prefix = '', array $info = []): array
    {
        $answer = $this->get('/channels', array_filter(['filter_by_prefix' => $prefix, 'info' => implode(',', $info)], 'strlen'));
        return (array) ($answer['channels'] ?? []);
    }

    /** @param list<string> $info  "user_count", "subscription_count", "cache" @return array<string, mixed> */
    public function channel(string $channel, array $info = []): array
    {
        return $this->get('/channels/' . rawurlencode($channel), array_filter(['info' => implode(',', $info)], 'strlen'));
    }

    /** The members of a presence channel: user ids. @return list<string> */
    public function members(string $channel): array
    {
        $answer = $this->get('/channels/' . rawurlencode($channel) . '/users');
        return array_map(static fn (array $user) => (string) $user['id'], $answer['users'] ?? []);
    }

    /**
     * The events that a channel keeps: docs/history.md.
     *
     * @param ?string $after  only later ones: the id of an event, or an earlier position
     * @param ?int $limit     at most so many
     */
    public function history(string $channel, ?string $after = null, ?int $limit = null): Past
    {
        $found = $this->get('/channels/' . rawurlencode($channel) . '/history',
            array_filter(['after' => (string) $after, 'limit' => (string) $limit], 'strlen'));
        $events = array_map(static fn (array $each) => new PastEvent($each['event_id'], $each['name'], $each['data'],
            $each['age_ms'] / 1000), $found['events']);
        return new Past($events, $found['complete'], $found['event_id']);
    }

    /**
     * One signed request of the HTTP API that has no method here.
     *
     * @param string $path                   behind "/apps/{id}", percent-encoded
     * @param array<string, string> $params
     * @return array<string, mixed>
     */
    public function get(string $path, array $params = []): array
    {
        return $this->request('GET', $this->app . $path, $params);
    }

    /** @param array<string, mixed> $body @return array<string, mixed> */
    public function post(string $path, array $body): array
    {
        return $this->request('POST', $this->app . $path, [], Json::text($body));
    }

    /**
     * @param array<string, mixed> $to  "channel" or "channels"
     * @return array<string, mixed>
     */
    private static function event(array $to, string $name, string $data, ?string $except): array
    {
        return ['name' => $name] + $to + ['data' => $data] + ($except === null ? [] : ['socket_id' => $except]);
    }

    /**
     * One signed request for any path of the server, such as one that Server::http() answers.
     *
     * @param array<string, string> $params
     * @return array<string, mixed>
     */
    public function request(string $method, string $path, array $params = [], string $body = ''): array
    {
        $once = $method === 'POST' ? 'X-Idempotency-Key: ' . bin2hex(random_bytes(16)) . "\r\n" : '';
        $query = $this->signer->request($method, $path, $params, $body);
        [$status, $answer, $fields] = $this->http->request($method, $path, $query, $body, $once);
        if ($status < 200 || $status > 299) {
            $after = $fields['retry-after'] ?? '';
            throw PublishException::ofAnswer($status, $answer, preg_match('/^\d{1,9}$/D', $after) ? (int) $after : null);
        }
        $answer = $answer === '' ? [] : json_decode($answer, true);
        if (!is_array($answer)) {
            throw new PublishException(Constants::EPROTO, 'The answer is not JSON', $status);
        }
        return $answer;
    }
}
