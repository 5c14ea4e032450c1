<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Support\ServiceProvider as BaseServiceProvider;

/** Brings the broadcast driver "pusherc", its default connection, and the commands. */
class ServiceProvider extends BaseServiceProvider
{
    private const CONFIG = __DIR__ . '/../../config/pusherc.php';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, 'pusherc');
        $config = $this->app['config'];
        $name = 'broadcasting.connections.' . $config->get('pusherc.connection');
        if ($config->get($name) === null) {
            $config->set($name, $config->get('pusherc.default'));
        }
    }

    public function boot(): void
    {
        $this->callAfterResolving(BroadcastManager::class, function (BroadcastManager $manager): void {
            $manager->extend('pusherc', fn ($app, array $config) => new Broadcaster($config));
        });
        if ($this->app->runningInConsole()) {
            $this->commands([ServeCommand::class, RestartCommand::class]);
            $this->publishes([self::CONFIG => $this->app->configPath('pusherc.php')], 'pusherc');
        }
    }
}
