<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI\CData;
use Pusherc\Constants;
use Pusherc\Exception;

/**
 * Settings by name, written into the structs of C. The rows of Constants say which there are.
 *
 * @internal
 */
final class Settings
{
    /**
     * @param array<string, array{string, int, int, 3?: list<string>}> $rows
     * @param array<string, mixed> $values
     */
    public static function write(Memory $memory, CData $struct, array $rows, array $values): void
    {
        foreach ($values as $name => $value) {
            $row = $rows[$name] ?? throw self::unknown((string) $name, array_keys($rows));
            if ($value !== null) {
                $struct->$name = self::value($memory, $name, $row, $value);
            }
        }
    }

    /** The bits of words such as "private presence". */
    public static function bits(string $words, string $prefix, string $what): int
    {
        $bits = 0;
        foreach (preg_split('/[\s,|]+/', $words, -1, PREG_SPLIT_NO_EMPTY) as $word) {
            $constant = Constants::class . "::$prefix" . strtoupper($word);
            $bits |= \defined($constant) ? \constant($constant) : throw self::invalid("unknown $what \"$word\"");
        }
        return $bits;
    }

    private static function value(Memory $memory, string $name, array $row, mixed $value): mixed
    {
        [$kind, $least, $most] = $row;
        switch ($kind) {
            case 'TEXT':
            case 'PATH':
            case 'SECRET':
                return \is_string($value) ? $memory->text($value) : throw self::invalid("$name must be text");
            case 'FLAG':
                return \is_bool($value) ? $value : throw self::invalid("$name must be true or false");
            case 'CHOICE':
                $index = array_search($value, $row[3], true);
                return $index !== false ? $index : throw self::invalid("$name must be one of: " . implode(', ', $row[3]));
        }
        if ($kind === 'LIMIT' && $value === -1) {
            return Constants::NO_LIMIT;
        }
        if ($kind === 'DELAY' && $value === 0) {
            return Constants::NO_DELAY;
        }
        if (!\is_int($value) || $value < $least || $value > $most) {
            throw self::invalid("$name must be a number from $least to $most" . ($kind === 'LIMIT' ? ', or -1 for no limit' : ''));
        }
        return $value;
    }

    /** @param list<string> $known */
    private static function unknown(string $name, array $known): Exception
    {
        usort($known, fn ($a, $b) => levenshtein($name, $a) <=> levenshtein($name, $b));
        return self::invalid("unknown setting \"$name\"; did you mean \"$known[0]\"?");
    }

    private static function invalid(string $text): Exception
    {
        return new Exception(Constants::EINVAL, $text);
    }
}
