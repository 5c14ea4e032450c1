<?php

declare(strict_types=1);

namespace Pusherc;

/** @internal */
final class Json
{
    /** The data of an event: text is sent as it is, everything else as JSON. */
    public static function text(mixed $data): string
    {
        if (is_string($data)) {
            return $data;
        }
        try {
            return json_encode($data, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION);
        } catch (\JsonException $e) {
            throw new Exception(Constants::EINVAL, 'The data cannot be written as JSON: ' . $e->getMessage(), $e);
        }
    }
}
