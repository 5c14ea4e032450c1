<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI;
use FFI\CData;
use Pusherc\Channel;
use Pusherc\Connection;
use Pusherc\Constants;
use Pusherc\Member;
use Pusherc\Past;
use Pusherc\User;

/**
 * What a server knows.
 *
 * @internal  a part of Server
 */
trait Looking
{
    /**
     * The occupied channels, without user channels.
     *
     * @return list<Channel>
     */
    public function channels(string $prefix = '', ?string $app = null): array
    {
        $memory = new Memory($this->ffi);
        [$server, $app, $prefix] = [$this->started(), $app ?? $this->app(), $memory->slice($prefix)];
        return Queries::of($this->ffi)->channels(
            fn (CData $done) => $this->ffi->pusherc_list_channels($server, $app, $prefix, $done, 0),
        );
    }

    /** One channel, occupied or not. */
    public function info(string $channel, ?string $app = null): Channel
    {
        $memory = new Memory($this->ffi);
        $info = $memory->options('pusherc_channel_info');
        $name = $memory->slice($channel);
        $this->check($this->ffi->pusherc_get_channel($this->started(), $app ?? $this->app(), $name, FFI::addr($info)));
        return Queries::channel($info);
    }

    /**
     * The members of a presence channel, in the order in which they joined.
     *
     * @param-out int $sequence  ChannelEvent::$sequence of the last change that they contain: who follows onChannel() goes
     *                           on with larger ones
     * @return list<Member>
     */
    public function members(string $channel, ?string $app = null, ?int &$sequence = null): array
    {
        $memory = new Memory($this->ffi);
        [$server, $app, $name] = [$this->started(), $app ?? $this->app(), $memory->slice($channel)];
        [$members, $sequence] = Queries::of($this->ffi)->members(
            fn (CData $done) => $this->ffi->pusherc_list_members($server, $app, $name, $done, 0),
        );
        return $members;
    }

    /**
     * The users of an app with `user_events` who are online.
     *
     * @param bool $awayToo      also those who are not, and were seen last
     * @param-out int $sequence  UserEvent::$sequence of the last change that they contain: as of members()
     * @return list<User>
     */
    public function users(bool $awayToo = false, ?string $app = null, ?int &$sequence = null): array
    {
        [$server, $app] = [$this->started(), $app ?? $this->app()];
        [$users, $sequence] = Queries::of($this->ffi)->users(
            fn (CData $done) => $this->ffi->pusherc_list_users($server, $app, $awayToo, $done, 0),
        );
        return $users;
    }

    /** One user, online or not. null = unknown, or not seen since `max_users_seen` others were. */
    public function user(string $id, ?string $app = null): ?User
    {
        $memory = new Memory($this->ffi);
        $info = $memory->options('pusherc_user_info');
        $user = $memory->slice($id);
        $code = $this->ffi->pusherc_get_user($this->started(), $app ?? $this->app(), $user, FFI::addr($info));
        $code === Constants::ENOENT || $this->check($code);
        return $code === 0 ? Queries::user($info) : null;
    }

    /**
     * The events that a channel of App's `history` keeps.
     *
     * @param ?string $after  only later ones: the id of an event, or an earlier position
     */
    public function history(string $channel, ?string $after = null, ?string $app = null): Past
    {
        $memory = new Memory($this->ffi);
        [$server, $app, $name, $after] = [$this->started(), $app ?? $this->app(), $memory->slice($channel), $memory->slice($after)];
        return Queries::of($this->ffi)->past(
            fn (CData $done) => $this->ffi->pusherc_history($server, $app, $name, $after, $done, 0),
        );
    }

    /**
     * The event that a cache channel keeps for new subscribers; null = none.
     *
     * @return ?array{event: string, data: string, ttl: float} ttl: seconds until it is forgotten
     */
    public function cached(string $channel, ?string $app = null): ?array
    {
        $memory = new Memory($this->ffi);
        [$server, $app, $name] = [$this->started(), $app ?? $this->app(), $memory->slice($channel)];
        return Queries::of($this->ffi)->cached(
            fn (CData $done) => $this->ffi->pusherc_get_cached_event($server, $app, $name, $done, 0),
        );
    }

    /**
     * The connections of an app, or those of one user.
     *
     * @return list<Connection>
     */
    public function connections(?string $userId = null, ?string $app = null): array
    {
        $memory = new Memory($this->ffi);
        [$server, $app, $user] = [$this->started(), $app ?? $this->app(), $memory->slice($userId)];
        return Queries::of($this->ffi)->connections(
            fn (CData $done) => $this->ffi->pusherc_list_connections($server, $app, $user, $done, 0),
            $app,
        );
    }

    /**
     * What the server has counted: docs/metrics.md.
     *
     * @return array<string, int>
     */
    public function stats(): array
    {
        $memory = new Memory($this->ffi);
        $stats = $memory->options('pusherc_stats');
        $this->check($this->ffi->pusherc_server_stats($this->started(), FFI::addr($stats)));
        $found = [];
        foreach ($this->ffi->type('pusherc_stats')->getStructFieldNames() as $name) {
            $found[$name] = $stats->$name;
        }
        unset($found['struct_size']);
        return $found;
    }

    /** All metrics in Prometheus' text format. */
    public function metrics(): string
    {
        $server = $this->started();
        return Queries::of($this->ffi)->metrics(fn (CData $write) => $this->ffi->pusherc_server_metrics($server, $write, 0));
    }

    /**
     * How the server would decide about a channel, without asking a rule: the patterns, the one that wins, the outcome.
     *
     * @return array<string, mixed>
     */
    public function explain(string $channel, ?string $userId = null, ?string $app = null): array
    {
        $memory = new Memory($this->ffi);
        [$server, $app, $name, $user] = [$this->started(), $app ?? $this->app(), $memory->slice($channel), $memory->slice($userId)];
        return json_decode(Queries::of($this->ffi)->explanation(
            fn (CData $done) => $this->ffi->pusherc_explain($server, $app, $name, $user, $done, 0),
        ), true, 512, JSON_THROW_ON_ERROR);
    }
}
