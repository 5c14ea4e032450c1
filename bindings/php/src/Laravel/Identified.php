<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Pusherc\Identity;

/** The answer of Identify on its way out of the middleware. @internal */
final class Identified extends \Exception
{
    public function __construct(public readonly ?Identity $identity)
    {
        parent::__construct();
    }
}
