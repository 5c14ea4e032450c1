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
use Pusherc\PastEvent;
use Pusherc\User;

/**
 * The calls of the library that hand out their result to a function, at once and on the calling thread. They are the
 * only ones that get a function of PHP. Each such function costs memory until the process ends, so there is one of each
 * kind, made when it is first needed; nothing is thrown out of it, since that would end the process.
 *
 * @internal
 */
final class Queries
{
    /** @var array<int, self> */
    private static array $of = [];

    /** @var array<string, CData> structs whose member `call` is the function */
    private array $functions = [];
    private mixed $result = null;
    private ?\Throwable $error = null;

    private function __construct(private readonly FFI $ffi)
    {
    }

    /** $ffi is one of Library's, which are never freed. */
    public static function of(FFI $ffi): self
    {
        return self::$of[spl_object_id($ffi)] ??= new self($ffi);
    }

    /** @param callable(CData): int $call @return list<Channel> */
    public function channels(callable $call): array
    {
        return $this->ask($call, 'pusherc_channels_fn', function ($items, int $count): array {
            return $this->map($items, $count, 'pusherc_channel_info', fn (CData $each) => self::channel($each));
        });
    }

    /** @param callable(CData): int $call @return array{list<Member>, int} and their sequence */
    public function members(callable $call): array
    {
        return $this->ask($call, 'pusherc_members_fn', function ($items, int $count, int $sequence): array {
            return [$this->map($items, $count, 'pusherc_member', fn (CData $each) => new Member(
                Memory::read($each->user_id),
                json_decode(Memory::read($each->info_json), true),
            )), $sequence];
        });
    }

    /** @param callable(CData): int $call @return array{list<User>, int} and their sequence */
    public function users(callable $call): array
    {
        return $this->ask($call, 'pusherc_users_fn', function ($items, int $count, int $sequence): array {
            return [$this->map($items, $count, 'pusherc_user_info', fn (CData $each) => self::user($each)), $sequence];
        });
    }

    /** @param callable(CData): int $call */
    public function past(callable $call): Past
    {
        return $this->ask($call, 'pusherc_history_fn', function ($items, int $count, bool $complete, CData $position): Past {
            return new Past($this->map($items, $count, 'pusherc_past_event', fn (CData $each) => new PastEvent(
                Memory::read($each->id),
                Memory::read($each->name),
                Memory::read($each->data),
                $each->age_ms / 1000,
            )), $complete, Memory::read($position));
        });
    }

    /** @param callable(CData): int $call @return list<Connection> */
    public function connections(callable $call, string $appId): array
    {
        $rows = $this->ask($call, 'pusherc_connections_fn', function ($items, int $count): array {
            return $this->map($items, $count, 'pusherc_connection', fn (CData $each) => [
                Memory::readSocketId($each->socket_id), Memory::read($each->user_id) ?: null,
                Memory::read($each->client_ip) ?: null, Memory::read($each->signed_in_as) ?: null,
            ]);
        });
        return array_map(fn ($row) => new Connection($row[0], $appId, $row[1], $row[2], null, $row[3]), $rows);
    }

    /** @param callable(CData): int $call @return ?array{event: string, data: string, ttl: float} */
    public function cached(callable $call): ?array
    {
        return $this->ask($call, 'pusherc_cached_event_fn', fn ($event): ?array => $event === null ? null : [
            'event' => Memory::read($event->name), 'data' => Memory::read($event->data), 'ttl' => $event->ttl_ms / 1000,
        ]);
    }

    /** @param callable(CData): int $call */
    public function explanation(callable $call): string
    {
        return $this->ask($call, 'pusherc_explain_fn', fn (CData $json): string => Memory::read($json));
    }

    /** @param callable(CData): int $call */
    public function metrics(callable $call): string
    {
        return $this->ask($call, 'pusherc_write_fn', fn (CData $chunk): string => $this->result . Memory::read($chunk));
    }

    public static function channel(CData $info): Channel
    {
        return new Channel(Memory::read($info->name), Constants::CHANNEL_KINDS[$info->kind], $info->cache,
            $info->subscription_count, $info->user_count, $info->sequence);
    }

    public static function user(CData $info): User
    {
        return new User(Memory::read($info->user_id), $info->online, $info->connections, $info->channels, $info->away_ms / 1000,
            $info->sequence);
    }

    /**
     * @param callable(CData): int $call      makes the call of the library with that function
     * @param \Closure $read                  makes the result of the function's arguments
     */
    private function ask(callable $call, string $type, \Closure $read): mixed
    {
        if (!isset($this->functions[$type])) {
            $this->functions[$type] = $this->ffi->new("struct { $type call; }");
            $this->functions[$type]->call = function (...$arguments) use ($read): int {
                try {
                    $this->result = $read(...$arguments);
                } catch (\Throwable $error) {
                    $this->error = $error;
                }
                return 0;
            };
        }
        $this->result = $this->error = null;
        $code = $call($this->functions[$type]->call);
        [$result, $error] = [$this->result, $this->error];
        $this->result = $this->error = null;
        if ($error !== null) {
            throw $error;
        }
        return $code === 0 ? $result : throw new \Pusherc\Exception($code);
    }

    /**
     * The structs of a newer library are larger than these declarations say: step by their own size.
     *
     * @template T
     * @param callable(CData): T $read
     * @return list<T>
     */
    private function map(?CData $items, int $count, string $type, callable $read): array
    {
        if ($items === null || $count === 0) {
            return [];
        }
        $size = $items[0]->struct_size;
        $bytes = $this->ffi->cast('char *', $items);
        $pointer = $this->ffi->type("$type *");
        $found = [];
        for ($i = 0; $i < $count; $i++) {
            $found[] = $read($this->ffi->cast($pointer, FFI::addr($bytes[$i * $size]))[0]);
        }
        return $found;
    }
}
