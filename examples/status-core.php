<?php

// The core of a status page in PHP: one channel with two audiences. Members see who has changed what; visitors see the
// change alone, and lose the channel when the page becomes private.
//
//   php examples/status-core.php [PORT [PAGE]]   unless given: a port that the system picks, examples/status-core.html
//   GET /                         PAGE; with #token-olga behind it the page is that member's. With a member's bearer token:
//   POST /services    form: service, status         tells all open pages
//   POST /visibility  form: public=yes|no           asks the rule again about all clients; answers when that has ended

declare(strict_types=1);

use Pusherc\App;
use Pusherc\Grant;
use Pusherc\HttpRequest;
use Pusherc\HttpResponse;
use Pusherc\Identity;
use Pusherc\IdentifyRequest;
use Pusherc\Question;
use Pusherc\Reject;
use Pusherc\Server;
use Pusherc\Without;

// In a program of your own: require 'vendor/autoload.php';
spl_autoload_register(fn (string $class) => require __DIR__ . '/../bindings/php/src/' . strtr(substr($class, 8), '\\', '/') . '.php');

final class StatusPage
{
    private bool $public = true;
    private readonly Server $server;

    public function __construct(int $port, private readonly string $page)
    {
        $this->server = new Server(apps: [new App('app-id', 'app-key', 'app-secret', auth: 'rules')]);
        $this->server->identify(fn (IdentifyRequest $q) => ($user = $this->memberOf($q->bearer())) ? new Identity($user) : null);
        $this->server->channel('status.page', $this->decide(...), kinds: 'public', views: [
            'member' => null,
            'visitor' => new Without('by'), // once for all visitors, not for each: no names
        ]);
        $this->server->http($this->serve(...));
        $this->server->listen($port)->start();
        echo "listening on http://127.0.0.1:{$this->server->port()}\n";
    }

    public function run(): void
    {
        $this->server->run(onSignal: [SIGINT, SIGTERM], grace: 0);
    }

    /** Who hears what. */
    private function decide(Question $q): Grant
    {
        return match (true) {
            $q->userId !== null => new Grant(view: 'member'),
            $this->public => new Grant(view: 'visitor'),
            default => throw new Reject('This page is for members'),
        };
    }

    private function serve(HttpRequest $request): ?HttpResponse
    {
        $by = $this->memberOf($request->bearer());
        return match (true) {
            "$request->method $request->path" === 'GET /' => new HttpResponse($this->page),
            $by === null => HttpResponse::text("Who are you?\n", 401),
            "$request->method $request->path" === 'POST /services' => $this->change($request, $by),
            "$request->method $request->path" === 'POST /visibility' => $this->show($request),
            default => HttpResponse::text("Not here\n", 404),
        };
    }

    private function change(HttpRequest $request, string $by): HttpResponse
    {
        $change = ['service' => $request->form('service') ?? '', 'status' => $request->form('status') ?? '', 'by' => $by];
        try {
            $this->server->publish('status.page', 'changed', $change);
        } catch (Pusherc\Exception $error) {
            return HttpResponse::text($error->getMessage(), 503);
        }
        return HttpResponse::text("Told\n");
    }

    /** What is published after this reaches no visitor of a private page. The request waits for the count. */
    private function show(HttpRequest $request): ?HttpResponse
    {
        $this->public = $request->form('public') === 'yes';
        $request->later();
        $this->server->reauthorize(
            pattern: 'status.page',
            done: fn (int $kept, int $revoked) => $request->respond(HttpResponse::text("kept $kept, revoked $revoked\n")),
        );
        return null;
    }

    /** The member whose token this is. Stands for a look-up in a database. */
    private function memberOf(?string $token): ?string
    {
        return ['token-olga' => 'olga', 'token-max' => 'max'][$token ?? ''] ?? null;
    }
}

$page = file_get_contents($argv[2] ?? __DIR__ . '/status-core.html');
(new StatusPage((int) ($argv[1] ?? 0), $page === false ? exit(1) : $page))->run();
