<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI;
use Pusherc\Constants;
use Pusherc\Event;
use Pusherc\Exception;

/**
 * What a server sends, and what it does to its clients.
 *
 * @internal  a part of Server
 */
trait Sending
{
    /**
     * Send one event to the subscribers of up to 100 channels.
     *
     * @param string|list<string> $channels
     * @param mixed $data      text is sent as it is, everything else as JSON
     * @param ?string $except  socket id of a connection that does not get it
     * @throws Exception EBACKLOG: a worker is behind: later, or not at all; ELIMIT: too long; ENOENT: unknown app ...
     */
    public function publish(string|array $channels, string $event, mixed $data = null, ?string $except = null, ?string $app = null): void
    {
        $data = \is_string($data) ? $data : Memory::json($data);
        if (!\is_string($channels)) {
            $this->publishBatch([new Event($channels, $event, $data, $except)], $app);
            return;
        }
        $code = $this->ffi->pusherc_publish_to($this->address ?: $this->started(), $app ?? $this->app(), $channels, \strlen($channels),
            $event, \strlen($event), $data, \strlen($data), $except);
        if ($code !== 0) {
            throw new Exception($code);
        }
    }

    /**
     * Send up to ten events in order. All are checked before the first is sent.
     *
     * @param list<Event> $events
     */
    public function publishBatch(array $events, ?string $app = null): void
    {
        $server = $this->started();
        $memory = new Memory($this->ffi);
        $out = $memory->array('pusherc_event', \count($events));
        foreach (array_values($events) as $i => $event) {
            $channels = (array) $event->channels;
            $names = $memory->array('pusherc_slice', \count($channels));
            foreach (array_values($channels) as $j => $name) {
                $memory->fill($names[$j], $name);
            }
            $each = $out[$i];
            $each->struct_size = FFI::sizeof($each);
            $memory->fill($each->name, $event->name);
            $each->channels = FFI::addr($names[0]);
            $each->channel_count = \count($channels);
            $memory->fill($each->data, \is_string($event->data) ? $event->data : Memory::json($event->data));
            $each->except = $memory->socketId($event->except);
        }
        $this->check($this->ffi->pusherc_publish_batch($server, $app ?? $this->app(), FFI::addr($out[0]), \count($events)));
    }

    /** Send an event to all connections that are signed in as a user. */
    public function sendToUser(string $userId, string $event, mixed $data = null, ?string $app = null): void
    {
        $memory = new Memory($this->ffi);
        $this->check($this->ffi->pusherc_send_to_user($this->started(), $app ?? $this->app(), $memory->slice($userId),
            $memory->slice($event), $memory->slice(\is_string($data) ? $data : Memory::json($data))));
    }

    /**
     * Close a connection.
     *
     * @param int $closeCode  1000, or 4000 to 4999; stock clients come back only after 4100 to 4299
     */
    public function disconnect(string $socketId, string $reason = '', int $closeCode = 4009, ?string $app = null): void
    {
        $memory = new Memory($this->ffi);
        $id = $memory->socketId($socketId);
        $code = self::closeCode($closeCode);
        $this->check($this->ffi->pusherc_server_disconnect($this->started(), $app ?? $this->app(), $id, $code, $reason));
    }

    /** Close all connections of a user. */
    public function disconnectUser(string $userId, string $reason = '', int $closeCode = 4009, ?string $app = null): void
    {
        $memory = new Memory($this->ffi);
        $user = $memory->slice($userId);
        $code = self::closeCode($closeCode);
        $this->check($this->ffi->pusherc_server_disconnect_user($this->started(), $app ?? $this->app(), $user, $code, $reason));
    }

    /** Take a channel from a connection, or from all connections of a user, without asking a rule. They may subscribe again. */
    public function unsubscribe(
        string $channel,
        ?string $socketId = null,
        ?string $userId = null,
        ?string $reason = null,
        ?string $app = null,
    ): void {
        $memory = new Memory($this->ffi);
        $this->check($this->ffi->pusherc_server_unsubscribe($this->started(), $app ?? $this->app(), $memory->socketId($socketId),
            $memory->slice($userId), $memory->slice($channel), $reason));
    }

    /**
     * Ask the rules again, because your facts have changed. What is published after this call reaches no client that
     * loses its grant; one that keeps it misses nothing.
     *
     * @param ?string $userId    only grants of this user
     * @param ?string $pattern   only channels that fit it: "tickets.42", "tickets.{id}"
     * @param ?string $socketId  only grants of this connection
     * @param bool $anonymous    only grants of clients without a user
     * @param ?callable(int, int): void $done  called by dispatch() when all have been asked: how many grants were kept, and
     *                           how many revoked
     */
    public function reauthorize(
        ?string $userId = null,
        ?string $pattern = null,
        ?string $socketId = null,
        bool $anonymous = false,
        ?callable $done = null,
        ?string $app = null,
    ): void {
        $server = $this->started();
        $memory = new Memory($this->ffi);
        $match = $memory->options('pusherc_grant_match');
        $memory->fill($match->user_id, $userId ?? '');
        $memory->fill($match->channel_pattern, $pattern ?? '');
        $match->socket_id = $memory->socketId($socketId);
        $match->anonymous = $anonymous;
        $token = ++$this->lastReauthorization;
        $this->check($this->ffi->pusherc_reauthorize($server, $app ?? $this->app(), FFI::addr($match), null, $token));
        if ($done !== null) {
            $this->inbox->reauthorized[$token] = $done(...);
        }
    }

    private static function closeCode(int $code): int
    {
        return $code >= 0 && $code <= 0xffff ? $code : throw new Exception(Constants::EINVAL, "no close code: $code");
    }
}
