<?php

declare(strict_types=1);

// The package's classes without Composer, and the library of the build under test.
spl_autoload_register(static function (string $class): void {
    foreach (['Pusherc\\Tests\\' => __DIR__, 'Pusherc\\' => __DIR__ . '/../src'] as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            $file = "$folder/" . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
            is_file($file) && require $file;
            return;
        }
    }
});
if (!getenv('PUSHERC_LIBRARY')) {
    $build = getenv('PUSHERC_BUILD') ?: __DIR__ . '/../../../build';
    putenv('PUSHERC_LIBRARY=' . (realpath("$build/lib/libpusherc.so") ?: "$build/lib/libpusherc.so"));
}
