<?php

declare(strict_types=1);

namespace Pusherc;

use FFI;
use FFI\CData;
use Pusherc\Internal\Memory;
use Pusherc\Internal\Request;
use Pusherc\Internal\Rule;
use Pusherc\Internal\Waiting;

/**
 * "May this user have this channel?" The function of a rule answers by what it returns, or it calls later() and
 * answers afterwards. A question that is dropped without an answer is denied.
 */
final class Question extends Request
{
    public readonly string $appId;
    /** The whole name: "private-tickets.7". */
    public readonly string $channel;
    /** The pattern of the rule that is asked: "tickets.{uuid}". */
    public readonly string $pattern;
    /** The user that the connection signed in as, or the one of its identity; null = anonymous. */
    public readonly ?string $userId;
    /** One of the connections that wait for the answer; null: an auth endpoint asks for another server's. */
    public readonly ?string $socketId;
    /** @var array<string, string> what stands in the name for the pattern's parameters: ['uuid' => '7'] */
    public readonly array $params;

    /** @internal */
    public function __construct(FFI $ffi, Waiting $waiting, CData $message, Rule $rule, ?string $socketId)
    {
        parent::__construct($ffi, $waiting, $message);
        $slice = $message->app_id;
        $this->appId = FFI::string($slice->ptr, $slice->len);
        $slice = $message->channel;
        $this->channel = FFI::string($slice->ptr, $slice->len);
        $slice = $message->user_id;
        $len = $slice->len;
        $this->userId = $len ? FFI::string($slice->ptr, $len) : null;
        $this->socketId = $socketId;
        $this->pattern = $rule->pattern;
        $params = [];
        foreach ($rule->params as $i => $name) {
            if ($i === 0) {
                $params[$name] = substr($this->channel, $message->a, $message->b);
                continue;
            }
            $slice = $ffi->pusherc_auth_param($this->address, $name);
            $params[$name] = FFI::string($slice->ptr, $slice->len);
        }
        $this->params = $params;
    }

    /**
     * Grant the channel.
     *
     * @param Grant|array<mixed>|null $grant  an array is the user_info of a presence member
     * @return bool false: no client waits for it any more, or auth_timeout_ms are over
     * @throws Exception EINVAL: a field of the grant breaks its rule; the channel is denied. ESTATE: answered before
     */
    public function allow(Grant|array|null $grant = null): bool
    {
        if ($grant === null) {
            return $this->accepted($this->ffi->pusherc_auth_allow($this->consume(), null));
        }
        $this->address();
        $grant = \is_array($grant) ? new Grant(info: $grant) : $grant;
        $memory = new Memory($this->ffi);
        $out = $memory->options('pusherc_grant');
        foreach (['user_id' => $grant->userId, 'view' => $grant->view] as $member => $text) {
            if ($text !== null) {
                $memory->fill($out->$member, $text);
            }
        }
        if ($grant->info !== null) {
            $memory->fill($out->user_info_json, Memory::json($grant->info));
        }
        if ($grant->expiresIn !== null) {
            $out->expires_in_ms = Memory::ms($grant->expiresIn);
        }
        return $this->accepted($this->ffi->pusherc_auth_allow($this->consume(), FFI::addr($out)));
    }

    /**
     * Refuse the channel.
     *
     * @param string $reason  for the client, cut at 120 bytes
     * @param int $status     400 to 499
     * @return bool as allow()
     */
    public function deny(string $reason = 'Forbidden', int $status = 403): bool
    {
        return $this->accepted($this->ffi->pusherc_auth_deny($this->consume(), $status, $reason));
    }

    /** A copy of Identity::$data of that connection; null = there is none. */
    public function data(): mixed
    {
        $address = $this->ffi->pusherc_auth_conn_data($this->address());
        return $address === 0 ? null : unserialize(Memory::stored($this->ffi, $address));
    }

    public function settle(mixed $result): void
    {
        if ($this->address === 0 || $this->later) {
            return;
        }
        if ($result === true) {
            $code = $this->ffi->pusherc_auth_allow($this->consume(), null);
            $code === 0 || $this->accepted($code);
        } elseif ($result instanceof Grant || (\is_array($result) && $result)) {
            $this->allow($result);
        } elseif (!$result) {
            $this->deny();
        } else {
            throw $this->wrong($result, 'bool, array, ' . Grant::class . ' or null');
        }
    }

    public function refuse(string $reason = 'Internal error', int $code = 0): void
    {
        if ($this->address !== 0) {
            $status = $code >= 400 && $code <= 499 ? $code : 403;
            $this->ffi->pusherc_auth_deny($this->consume(), $status, $reason === '' ? null : $reason);
        }
    }

    protected function number(): int
    {
        return $this->ffi->pusherc_auth_question($this->address());
    }
}
