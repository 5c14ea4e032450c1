<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Auth\Access\AuthorizationException;
use Illuminate\Auth\AuthenticationException;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Database\Eloquent\ModelNotFoundException;
use Illuminate\Session\ArraySessionHandler;
use Illuminate\Session\Store;
use Pusherc\Grant;
use Pusherc\Question as Asked;
use Pusherc\Reject;
use Symfony\Component\HttpKernel\Exception\HttpExceptionInterface;

/**
 * The one rule of pusherc:serve: Broadcaster::auth() decides, as for /broadcasting/auth, about a request whose user is the
 * connection's.
 *
 * @internal
 */
final class Decide
{
    private ?string $signinKey = null;

    public function __construct(
        private readonly Application $app,
        private readonly Sandbox $sandbox,
        private readonly Broadcaster $broadcaster,
    ) {
    }

    public function __invoke(Asked $asked): Grant
    {
        $visitor = $this->visitorOf($asked);
        $query = ['channel_name' => $asked->channel, 'socket_id' => $asked->socketId ?? ''];
        $request = new Question($query, server: $visitor->fields);
        $session = new Store('pusherc', new ArraySessionHandler(1));
        $session->put($visitor->logins);
        return $this->sandbox->run($request, fn () => $this->ask($request), $session, $visitor->guard);
    }

    private function ask(Question $request): Grant
    {
        try {
            return $this->broadcaster->auth($request);
        } catch (Reject $e) {
            throw $e;
        } catch (\Throwable $e) {
            $this->app->make(ExceptionHandler::class)->report($e);
            throw self::refusal($e);
        }
    }

    private function visitorOf(Asked $asked): Visitor
    {
        $visitor = $asked->data();
        if ($visitor instanceof Visitor) {
            return $visitor;
        }
        $guard = $this->app['config']->get('pusherc.signin_guard');
        if ($guard === null || $asked->userId === null) {
            return new Visitor();
        }
        $this->signinKey ??= $this->app['auth']->guard($guard)->getName();
        return new Visitor($guard, [$this->signinKey => $asked->userId]);
    }

    /** As Laravel's exception handler answers; what is not meant for clients says nothing to them. */
    private static function refusal(\Throwable $e): Reject
    {
        return match (true) {
            $e instanceof HttpExceptionInterface && intdiv($e->getStatusCode(), 100) === 4
                => new Reject($e->getMessage(), $e->getStatusCode()),
            $e instanceof AuthorizationException => new Reject($e->getMessage(), 403),
            $e instanceof AuthenticationException => new Reject($e->getMessage(), 401),
            $e instanceof ModelNotFoundException => new Reject('Not found', 404),
            default => new Reject('', 403),
        };
    }
}
