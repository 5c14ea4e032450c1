<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI;
use FFI\CData;
use Pusherc\Constants;
use Pusherc\Exception;

/**
 * A question of the library that is answered exactly once: by what a function returns, or afterwards.
 *
 * @internal  use Question, IdentifyRequest, HttpRequest and AppRequest
 */
abstract class Request
{
    /** The address of C's object; 0 = answered. */
    protected int $address = 0;
    protected FFI $ffi;
    private Waiting $waiting;
    protected bool $later = false;
    /** That of ABANDONED, if the question waits to hear of it; 0 = it does not. */
    private int $number = 0;
    private bool $abandoned = false;
    /** @var list<callable> */
    private array $cancel = [];

    /** @internal */
    public function __construct(FFI $ffi, Waiting $waiting, CData $message)
    {
        $this->ffi = $ffi;
        $this->waiting = $waiting;
        $this->address = $message->request;
    }

    /** Answer afterwards: what the function returns does not count. A question that is dropped instead is refused. */
    public function later(): static
    {
        $this->later = true;
        $this->watch();
        return $this;
    }

    /** Whether it was answered. */
    public function answered(): bool
    {
        return $this->address === 0;
    }

    /** Whether nothing waits for the answer any more: the client is gone, or it is too late. It still has to be answered. */
    public function abandoned(): bool
    {
        return $this->abandoned;
    }

    /** Call a function when nothing waits for the answer any more, so that work for it can be cancelled. */
    public function onAbandoned(callable $cancel): static
    {
        if ($this->abandoned) {
            $cancel();
        } elseif ($this->address !== 0) {
            $this->cancel[] = $cancel;
            $this->watch();
        }
        return $this;
    }

    public function __destruct()
    {
        // A forked child has a copy of the parent's question.
        if ($this->address !== 0 && getmypid() === $this->waiting->process) {
            $this->refuse();
        }
    }

    public function __clone()
    {
        throw new \LogicException('A question cannot be cloned: it is answered once');
    }

    public function __serialize(): array
    {
        throw new \LogicException('A question cannot be serialized');
    }

    /** Answer by what the function returned. @internal */
    abstract public function settle(mixed $result): void;

    /** Refuse, if it was not answered. Never throws. @internal */
    abstract public function refuse(string $reason = 'Internal error', int $code = 0): void;

    /** What C calls the question. */
    abstract protected function number(): int;

    /** Be found when the question is abandoned. @internal */
    public function watch(): void
    {
        if ($this->address !== 0 && $this->number === 0) {
            $this->number = $this->number();
            $this->waiting->requests[$this->number] = \WeakReference::create($this);
        }
    }

    /** @internal @return list<callable> what has to be called */
    public function abandon(): array
    {
        $this->abandoned = true;
        [$cancel, $this->cancel] = [$this->cancel, []];
        return $cancel;
    }

    /** Whether the function's result is not the answer. @internal */
    public function isSettled(): bool
    {
        return $this->address === 0 || $this->later;
    }

    /** The address, for the call that consumes it: it is no longer the question's. */
    protected function consume(): int
    {
        $address = $this->address ?: $this->address();
        $this->address = 0;
        if ($this->number !== 0) {
            unset($this->waiting->requests[$this->number]);
            $this->cancel = [];
        }
        return $address;
    }

    /** The address, for calls that read. */
    protected function address(): int
    {
        return $this->address !== 0 ? $this->address
            : throw new Exception(Constants::ESTATE, 'the question was answered before');
    }

    /** What C said about an answer. @return bool false: too late, or nothing waits for it any more */
    protected function accepted(int $code): bool
    {
        if ($code === 0) {
            return true;
        }
        if ($code === Constants::ETIMEDOUT || $code === Constants::ECANCELED || $code === Constants::EAUTH) {
            return false;
        }
        throw new Exception($code, 'the answer was not accepted, the client is refused');
    }

    /** Text that a call returned; null if it is absent or empty. */
    protected function optional(CData $slice): ?string
    {
        $len = $slice->len;
        return $len ? FFI::string($slice->ptr, $len) : null;
    }

    protected function wrong(mixed $result, string $wanted): \TypeError
    {
        return new \TypeError('The function returned ' . get_debug_type($result) . ", and $wanted is needed");
    }
}
