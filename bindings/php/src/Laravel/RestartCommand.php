<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Console\Command;

/** After a deployment: every pusherc:serve lets its clients go bit by bit, and exits for its supervisor to start it anew. */
class RestartCommand extends Command
{
    public const KEY = 'pusherc:restart';

    protected $signature = 'pusherc:restart';
    protected $description = 'Restart pusherc:serve after a deployment: it drains, exits, and its supervisor starts it anew';

    public function handle(): int
    {
        $this->laravel['cache']->store($this->laravel['config']->get('pusherc.cache'))->forever(self::KEY, microtime(true));
        $this->info('pusherc:serve will restart.');
        return 0;
    }
}
