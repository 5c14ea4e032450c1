<?php

declare(strict_types=1);

namespace Pusherc\Laravel;

use Illuminate\Auth\AuthenticationException;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Http\Request;
use Illuminate\Pipeline\Pipeline;
use Illuminate\Routing\Route;
use Pusherc\Identity;
use Pusherc\IdentifyRequest;
use Pusherc\Reject;

/**
 * Who a connection is: its cookies or its token pass the application's own middleware, and its guards answer.
 *
 * The user id of a connection is the identifier that the first guard knows, and "guard:identifier" for each further guard
 * that channels name and that knows a user, joined by commas: two connections are one user only if every channel takes
 * them for the same.
 *
 * @internal
 */
final class Identify
{
    /** @var list<string> */
    private readonly array $cookies;
    private readonly Route $route;
    /** Whose users' identifiers stand alone in user ids. */
    private readonly string $firstGuard;
    private bool $warned = false;

    /** @param list<string> $channelGuards that channels name */
    public function __construct(private readonly Application $app, private readonly Sandbox $sandbox, private readonly array $channelGuards)
    {
        $config = $app['config'];
        $this->firstGuard = $config->get('pusherc.guards')[0] ?? $config->get('auth.defaults.guard');
        // The HTTP kernel's constructor tells the router the groups of middleware.
        $app->make(Kernel::class);
        $this->route = (new Route(['GET'], 'pusherc', ['uses' => static fn () => null]))->middleware($config->get('pusherc.middleware'));
        $this->route->setContainer($app);
        $this->cookies = $this->cookieNames();
    }

    /** @return list<string> */
    private function cookieNames(): array
    {
        $config = $this->app['config'];
        $names = [$config->get('session.cookie')];
        $this->sandbox->run(new Request(), function () use (&$names): void {
            foreach ($this->app['config']->get('auth.guards', []) as $name => $guard) {
                if (($guard['driver'] ?? '') === 'session') {
                    $names[] = $this->app['auth']->guard($name)->getRecallerName();
                }
            }
        });
        return array_values(array_unique(array_filter([...$names, ...$config->get('pusherc.cookies')])));
    }

    /** @throws Reject the application has failed: the client comes back */
    public function __invoke(IdentifyRequest $asked): ?Identity
    {
        $cookies = $this->cookiesOf($asked);
        $fields = $this->fieldsOf($asked);
        if ($cookies === [] && $fields === []) {
            return null;
        }
        $request = $this->request($asked, $cookies, $fields);
        return $this->sandbox->run($request, fn () => $this->ask($request, $fields));
    }

    /**
     * A connection that a page of elsewhere opens with our cookies would be refused if they were read. Unread, it is
     * anonymous, and the signatures of /broadcasting/auth still let it in.
     */
    private function mayReadCookies(IdentifyRequest $asked): bool
    {
        $origin = $asked->header('origin');
        $serve = $this->app['config']->get('pusherc.serve');
        if ($origin === null || array_diff($serve['allowed_origins'], ['*']) !== []) {
            return true; // the library has compared them
        }
        $secure = $serve['tls'] || ($serve['proxies'] > 0 && strtolower((string) $asked->header('x-forwarded-proto')) === 'https');
        if (strcasecmp($origin, ($secure ? 'https://' : 'http://') . $asked->header('host')) === 0) {
            return true;
        }
        if (!$this->warned) {
            $this->warned = true;
            $this->app['log']->warning("Cookies of pages at $origin are not read, because their connections come to another origin. "
                . 'To know their users without /broadcasting/auth, add it to pusherc.serve.allowed_origins; behind a proxy set '
                . 'pusherc.serve.proxies.');
        }
        return false;
    }

    /** @return array<string, string> */
    private function cookiesOf(IdentifyRequest $asked): array
    {
        if (!$this->mayReadCookies($asked)) {
            return [];
        }
        $names = $this->cookies;
        if ($this->app['config']->get('session.driver') === 'cookie') {
            // Such a session is in a cookie whose name only the session's own cookie tells.
            preg_match_all('/([^=;\s]+)=/', (string) $asked->header('cookie'), $match);
            $names = [...$names, ...$match[1]];
        }
        $cookies = [];
        foreach ($names as $name) {
            // Read by name, because that makes the answer depend on the page's origin.
            $value = $asked->cookie($name);
            if ($value !== null) {
                $cookies[$name] = urldecode($value);
            }
        }
        return $cookies;
    }

    /** @return array<string, string> */
    private function fieldsOf(IdentifyRequest $asked): array
    {
        $fields = [];
        foreach (['authorization', ...$this->app['config']->get('pusherc.headers')] as $name) {
            $value = $asked->header($name);
            if ($value !== null) {
                $fields['HTTP_' . strtr(strtoupper($name), '-', '_')] = $value;
            }
        }
        return $fields;
    }

    /**
     * @param array<string, string> $cookies
     * @param array<string, string> $fields
     */
    private function request(IdentifyRequest $asked, array $cookies, array $fields): Request
    {
        // As a script's request: middleware then throws instead of redirecting, and the page is no "previous URL".
        $request = Request::create('/pusherc', 'GET', [], $cookies, [], array_filter([
            'HTTP_HOST' => $asked->header('host'),
            'HTTP_USER_AGENT' => $asked->header('user-agent'),
            'HTTP_ORIGIN' => $asked->header('origin'),
            'HTTP_ACCEPT_LANGUAGE' => $asked->header('accept-language'),
            'REMOTE_ADDR' => $asked->clientIp(),
        ], 'is_string') + ['HTTP_ACCEPT' => 'application/json', 'HTTP_X_REQUESTED_WITH' => 'XMLHttpRequest'] + $fields);
        $request->setRouteResolver(fn () => $this->route);
        return $request;
    }

    /** @param array<string, string> $fields */
    private function ask(Request $request, array $fields): ?Identity
    {
        $this->route->bind($request);
        try {
            (new Pipeline($this->app))->send($request)->through($this->app['router']->gatherRouteMiddleware($this->route))
                ->then(function (Request $request) use ($fields): void {
                    // Thrown, not returned: the way back through StartSession would save the session, and take the flash
                    // messages from the page that is about to be requested.
                    throw new Identified($this->identityOf($request, $fields));
                });
        } catch (Identified $answer) {
            return $answer->identity;
        } catch (AuthenticationException) {
        } catch (\Throwable $e) {
            $this->app->make(ExceptionHandler::class)->report($e);
            throw new Reject('Internal error', 4100);
        }
        return null; // some middleware has answered: no user
    }

    /** @param array<string, string> $fields */
    private function identityOf(Request $request, array $fields): ?Identity
    {
        // Without guards of its own the connection has the default guard, which "auth:..." among the middleware may choose.
        $default = $this->app['auth']->getDefaultDriver();
        $own = $this->app['config']->get('pusherc.guards') ?: [$default];
        $ids = $known = [];
        foreach (array_unique([...$own, ...$this->channelGuards]) as $name) {
            $user = $request->user($name);
            if ($user !== null) {
                $ids[] = Visitor::name($name, $this->firstGuard, $user->getAuthIdentifier());
                $known[] = $name;
            }
        }
        if ($ids === []) {
            return null;
        }
        $session = $request->hasSession() ? $request->session()->all() : [];
        $logins = array_filter($session, static fn ($key) => str_starts_with((string) $key, 'login_'), ARRAY_FILTER_USE_KEY);
        return new Identity(implode(',', $ids), data: new Visitor(current(array_intersect($own, $known)) ?: $default, $logins, $fields));
    }
}
