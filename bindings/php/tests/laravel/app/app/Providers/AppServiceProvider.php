<?php

namespace App\Providers;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Gate;
use Illuminate\Support\Facades\Route;

class AppServiceProvider extends \Illuminate\Support\ServiceProvider
{
    public function boot(): void
    {
        // Settings of a test.
        foreach (json_decode(env('TEST_CONFIG', '{}'), true) as $name => $value) {
            config([$name => $value]);
        }
        Gate::define('anything', fn () => true);
        Broadcast::routes();
        if ($this->app->routesAreCached()) {
            $this->app->booted(fn () => require $this->app->getCachedRoutesPath());
        } else {
            Route::middleware('web')->group(base_path('routes/web.php'));
        }
        if (method_exists(BroadcastManager::class, 'userRoutes')) {
            Broadcast::userRoutes();
            Broadcast::resolveAuthenticatedUserUsing(fn ($request) => $request->user() ? ['id' => (string) $request->user()->id] : null);
        }
        require base_path('routes/channels.php');
    }
}
