<?php

declare(strict_types=1);

namespace Pusherc;

/**
 * A call of the library that failed. getCode() is the number of the C library, `name` its name: "EINVAL",
 * "EBACKLOG" ... docs of include/pusherc/error.h say what to do about each.
 */
class Exception extends \RuntimeException
{
    /** The error's name in C without the prefix: "ENOENT". */
    public readonly string $name;

    public function __construct(int $code, ?string $message = null, ?\Throwable $previous = null)
    {
        [$this->name, $text] = Constants::ERRORS[$code] ?? ['UNKNOWN', 'unknown error'];
        parent::__construct(($message ?? $text) . " ($this->name)", $code, $previous);
    }
}
