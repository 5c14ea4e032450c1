<?php

namespace App\Http;

class Kernel extends \Illuminate\Foundation\Http\Kernel
{
    protected $middlewareGroups = [
        'web' => [
            \Illuminate\Cookie\Middleware\EncryptCookies::class,
            \Illuminate\Cookie\Middleware\AddQueuedCookiesToResponse::class,
            \Illuminate\Session\Middleware\StartSession::class,
            \Illuminate\Foundation\Http\Middleware\VerifyCsrfToken::class,
            \Illuminate\Routing\Middleware\SubstituteBindings::class,
        ],
        'bare' => [],
    ];
    /** Under the names of Laravel 8 and of 10. */
    protected $routeMiddleware = ['auth' => \Illuminate\Auth\Middleware\Authenticate::class];
    protected $middlewareAliases = ['auth' => \Illuminate\Auth\Middleware\Authenticate::class];
}
