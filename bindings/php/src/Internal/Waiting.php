<?php

declare(strict_types=1);

namespace Pusherc\Internal;

/**
 * The questions of one inbox that are answered afterwards, by their numbers, for ABANDONED. Held weakly: a question that
 * is dropped is refused by its destructor.
 *
 * @internal
 */
final class Waiting
{
    /** @var array<int, \WeakReference<Request>> */
    public array $requests = [];
    public readonly int $process;

    public function __construct()
    {
        $this->process = (int) getmypid();
    }
}
