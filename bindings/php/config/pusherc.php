<?php

/*
 * The defaults, documented in docs/laravel.md. `php artisan vendor:publish --tag=pusherc` copies this file to
 * config/pusherc.php of the application.
 */
return [
    // The connection of config/broadcasting.php with the driver "pusherc" that pusherc:serve serves. If there is none
    // of this name, it is the one below. The names of Reverb and Pusher are read, so that an application which moves
    // keeps its .env.
    'connection' => 'pusherc',
    'default' => [
        'driver' => 'pusherc',
        'id' => env('PUSHERC_APP_ID', env('REVERB_APP_ID', env('PUSHER_APP_ID'))),
        'key' => env('PUSHERC_APP_KEY', env('REVERB_APP_KEY', env('PUSHER_APP_KEY'))),
        'secret' => env('PUSHERC_APP_SECRET', env('REVERB_APP_SECRET', env('PUSHER_APP_SECRET'))),
        // Where other processes publish: http://, https:// or unix:/path/of/socket.
        'url' => env('PUSHERC_URL', 'http://127.0.0.1:' . env('PUSHERC_PORT', 6001)),
        // Of end-to-end encrypted channels: base64 of 32 bytes.
        'encryption_master_key' => env('PUSHERC_MASTER_KEY'),
        // Seconds for a publish over HTTP; options of its TLS, as of a stream context's "ssl".
        'timeout' => 5,
        'tls' => [],
    ],

    'serve' => [
        'host' => env('PUSHERC_HOST', '127.0.0.1'),
        'port' => env('PUSHERC_PORT', 6001),
        // A second listener: path of a socket for publishers of this machine, then 'url' => 'unix:' and the path.
        'unix_socket' => env('PUSHERC_UNIX_SOCKET'),
        // Files of a certificate and its key: ['cert' => ..., 'key' => ...]; null = TLS is the proxy's.
        'tls' => null,
        // Threads of the library. PHP decides on one.
        'workers' => 1,
        // Who decides about a subscribe: "either" = a signature of /broadcasting/auth, else routes/channels.php in
        // process; "rules" = always the latter; "signature" = always the former.
        'auth' => 'either',
        // Pages whose cookies count, such as "https://app.example.com"; others may not connect then. [] = all may, and
        // only cookies of pages of the same origin count.
        'allowed_origins' => [],
        // Proxies in front, whose X-Forwarded-For and X-Forwarded-Proto count.
        'proxies' => (int) env('PUSHERC_PROXIES', 0),
        // Seconds over which clients are told to come back when the server stops or restarts.
        'grace' => 3,
        // Further settings by their names in docs/configuration.md.
        'app_settings' => ['client_events' => true],
        'server_settings' => [],
        // Path of libpusherc.so; null = looked for.
        'library' => env('PUSHERC_LIBRARY'),
    ],

    // What a connection's request passes before it is asked for its user: groups and middleware.
    'middleware' => ['web'],
    // Guards that may know the user; the first that does is the default guard of that connection's questions.
    // [] = the default guard. Guards that channels name are asked, too.
    'guards' => [],
    // Cookies and header fields that middleware or guards read, beside those of the session, remember-me and
    // "Authorization".
    'cookies' => [],
    'headers' => [],
    // The guard whose users clients sign in as (pusher:signin), if resolveAuthenticatedUserUsing() gives their auth
    // identifier as "id"; null = a sign-in is no user for routes/channels.php.
    'signin_guard' => null,

    // Where pusherc:restart leaves its word: a store of config/cache.php; null = the default.
    'cache' => null,
];
