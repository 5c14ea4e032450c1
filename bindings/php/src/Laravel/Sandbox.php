<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Contracts\Auth\Guard;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Http\Request;
use Illuminate\Session\Store;
use Illuminate\Support\Facades\Facade;

/**
 * One request after another in one application, each as if it were the first. Laravel keeps guards, sessions, scoped
 * instances and the request until the process ends: without this the next visitor would be logged in as the one before.
 *
 * @internal
 */
final class Sandbox
{
    /** What belongs to one visitor and is made anew when it is asked for. */
    private const INSTANCES = ['session.store', 'auth.driver'];

    private readonly string $guard;
    /** Callbacks of the container for the next request that are none of guards. */
    private int $kept = 0;

    public function __construct(private readonly Application $app)
    {
        $this->guard = (string) $app['config']->get('auth.defaults.guard');
    }

    /**
     * @template T
     * @param callable(): T $call
     * @param ?Store $session  the session that guards read; null = the application's own
     * @return T
     */
    public function run(Request $request, callable $call, ?Store $session = null, ?string $guard = null): mixed
    {
        $this->forget(); // what was made between two requests
        $this->enter($request);
        try {
            if ($session !== null) {
                $this->app->instance('session.store', $session);
                $request->setLaravelSession($session);
            }
            if ($guard !== null) {
                $this->app['auth']->setDefaultDriver($guard);
            }
            return $call();
        } finally {
            $this->forget();
            $this->enter(new Request());
        }
    }

    private function enter(Request $request): void
    {
        $this->app->instance('request', $request);
        Facade::clearResolvedInstance('request');
    }

    private function forget(): void
    {
        $app = $this->app;
        $app->forgetScopedInstances();
        array_map([$app, 'forgetInstance'], self::INSTANCES);
        if ($app->resolved('auth')) {
            $app['auth']->forgetGuards();
            $app['auth']->setDefaultDriver($this->guard);
        }
        if ($app->resolved('session')) {
            $app['session']->forgetDrivers();
        }
        if ($app->resolved('cookie')) {
            $app['cookie']->flushQueuedCookies();
        }
        $this->dropGuards();
    }

    /** Each new guard registers itself to hear of the next request, and would stay for that, with its user. */
    private function dropGuards(): void
    {
        $kept = $this->kept;
        $this->kept = (function () use ($kept): int {
            $callbacks = $this->reboundCallbacks['request'] ?? [];
            if (count($callbacks) === $kept) {
                return $kept;
            }
            return count($this->reboundCallbacks['request'] = array_values(array_filter($callbacks, static function ($callback): bool {
                $its = $callback instanceof \Closure ? (new \ReflectionFunction($callback))->getStaticVariables() : [];
                return !($its['target'] ?? null) instanceof Guard;
            })));
        })->call($this->app);
    }
}
