<?php

declare(strict_types=1);

namespace Pusherc;

/** Finds libpusherc and loads it with the declarations that it was tested with. */
final class Library
{
    /** What the linker looks for, if nothing else is said. */
    public const NAME = 'libpusherc.so.0';

    /** @var array<string, \FFI> */
    private static array $loaded = [];

    /**
     * Load the library: the one that the environment names (PUSHERC_LIBRARY), else the given one, else the linker's.
     *
     * @throws Exception ENOSYS, with one sentence on what is missing
     */
    public static function load(?string $path = null): \FFI
    {
        $path = self::path($path);
        return self::$loaded[$path] ??= self::open($path);
    }

    public static function path(?string $path = null): string
    {
        return (getenv('PUSHERC_LIBRARY') ?: null) ?? $path ?? self::NAME;
    }

    private static function open(string $path): \FFI
    {
        if (!\extension_loaded('ffi')) {
            throw self::missing('a server in PHP needs the extension FFI, which this PHP has not');
        }
        try {
            $probe = \FFI::cdef('unsigned pusherc_version(void); const char *pusherc_version_string(void);', $path);
        } catch (\FFI\Exception $error) {
            throw self::missing(str_contains($error->getMessage(), 'restricted')
                ? 'this PHP allows FFI on the command line only: start the server there, and publish with ' . Publisher::class
                : "$path cannot be loaded: install libpusherc, or say in PUSHERC_LIBRARY where it is", $error);
        }
        // Before 1.0 the minor version is the one that breaks.
        $found = $probe->pusherc_version();
        $shift = $found >> 16 || Constants::VERSION_MAJOR ? 16 : 8;
        if ($found >> $shift !== Constants::VERSION_HEX >> $shift || $found < Constants::VERSION_HEX) {
            throw self::missing(sprintf('%s is version %s, and this package needs %s or a later one that is compatible', $path,
                $probe->pusherc_version_string(), Constants::VERSION_STRING));
        }
        return \FFI::cdef(self::declarations(), $path);
    }

    /** The library's; and for what the library frees by itself, three functions of C's and a view on an address. */
    private static function declarations(): string
    {
        return file_get_contents(__DIR__ . '/../ffi/pusherc.h') . <<<'C'
            uintptr_t malloc(size_t size);
            void free(uintptr_t ptr);
            void memcpy(uintptr_t to, const char *from, size_t size);
            typedef union pusherc_php_block { uintptr_t address; char *bytes; } pusherc_php_block;
            C;
    }

    private static function missing(string $sentence, ?\Throwable $previous = null): Exception
    {
        return new Exception(Constants::ENOSYS, $sentence, $previous);
    }
}
