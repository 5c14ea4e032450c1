<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\EphemeralEnd;
use Pusherc\History;
use Pusherc\HttpRequest;
use Pusherc\HttpResponse;
use Pusherc\Publisher;
use Pusherc\Receipt;
use Pusherc\UserEvent;

/** What a server knows of users and of the past, and what it lets in from outside. */
final class PeopleTest extends TestCase
{
    public function testReceiptsAndTheEndsOfStatesAreTold(): void
    {
        $receipts = $ends = [];
        $server = $this->server(client_events: true, receipts: 'presence-chat.{id} event=message id=/id shown=client-read',
            ephemeral: 'presence-chat.{id} event=client-typing ttl_ms=100')->channel('{name...}', fn () => true);
        $server->onReceipt(function (Receipt $r) use (&$receipts) {
            $receipts[$r->kind] = $r;
        })->onEphemeralEnd(function (EphemeralEnd $e) use (&$ends) {
            $ends[] = $e;
        });
        [$olga, $max] = [$this->client($server, 'olga'), $this->client($server, 'max')];
        $olga->subscribe('presence-chat.7');
        $max->subscribe('presence-chat.7');
        $server->publish('presence-chat.7', 'message', ['id' => 42], except: $max->socketId);
        $olga->wait('message');
        $this->until($server, function () use (&$receipts) {
            return count($receipts) === 1;
        });
        $this->assertSame(['written'], array_keys($receipts));
        $olga->send('client-read', ['id' => 42], 'presence-chat.7');
        $max->send('client-typing', ['a' => 1], 'presence-chat.7');
        $this->until($server, function () use (&$receipts, &$ends) {
            return count($receipts) === 2 && count($ends) === 1;
        });
        foreach ($receipts as $kind => $r) {
            $this->assertSame([$kind, 'app', 'presence-chat.7', 'message', '42', 'olga', $olga->socketId],
                [$r->kind, $r->appId, $r->channel, $r->event, $r->id, $r->userId, $r->socketId]);
            $this->assertEqualsWithDelta(microtime(true), $r->at, 60);
        }
        $this->assertSame(['written', 'shown'], array_keys($receipts));
        $this->assertSame(['time', 'app', 'presence-chat.7', 'client-typing', '{"a":1}', 'max'],
            [$ends[0]->reason, $ends[0]->appId, $ends[0]->channel, $ends[0]->event, $ends[0]->data, $ends[0]->userId]);
    }

    public function testUsersAreListedLookedUpAndTold(): void
    {
        $told = [];
        $server = $this->server(user_events: true, offline_delay_ms: 0)->channel('{name...}', fn () => true);
        $server->onUser(function (UserEvent $e) use (&$told) {
            $told[] = $e;
        });
        $olga = $this->client($server, 'olga');
        $olga->subscribe('presence-room');
        $others = [$this->client($server, 'max'), $this->client($server)];
        $this->until($server, function () use (&$told) {
            return count($told) === 2;
        });
        $ids = array_column($server->users(sequence: $sequence), 'id');
        sort($ids);
        $this->assertSame(['max', 'olga'], $ids);
        $this->assertSame($sequence, max(array_column($told, 'sequence')));
        $user = $server->user('olga');
        $this->assertSame([true, 1, 1, 0.0], [$user->online, $user->connections, $user->channels, (float) $user->away]);
        $this->assertNull($server->user('nobody'));
        $olga->close();
        $this->until($server, function () use (&$told) {
            return count($told) === 3;
        });
        $this->assertSame(['app', 'olga', false], [$told[2]->appId, $told[2]->userId, $told[2]->online]);
        $this->assertGreaterThan($sequence, $told[2]->sequence);
        $this->assertGreaterThanOrEqual(0, $told[2]->away);
        $this->assertSame($told[2]->sequence, $server->user('olga')->sequence);
        $this->assertSame(['max'], array_column($server->users(), 'id'));
        $this->assertCount(2, $server->users(awayToo: true));
        $this->assertCount(2, $others);
        $this->assertError('ENOENT', fn () => $server->users(app: 'other'));
        $this->assertError('EINVAL', fn () => $server->user(''));
    }

    public function testHistoryKeepsWhatWasPublished(): void
    {
        $server = $this->server(history: [new History('private-orders.{id}', maxEvents: 3), new History('news', maxAge: 60)])->start();
        $this->assertSame([[], true], [$server->history('private-orders.7')->events, $server->history('private-orders.7')->complete]);
        foreach (range(0, 3) as $n) {
            $server->publish('private-orders.7', 'paid', ['n' => $n]);
        }
        $past = $server->history('private-orders.7');
        $this->assertSame(['{"n":1}', '{"n":2}', '{"n":3}'], array_column($past->events, 'data'));
        $this->assertSame(['paid', true, $past->events[2]->id], [$past->events[0]->name, $past->complete, $past->position]);
        $this->assertGreaterThanOrEqual(0, $past->events[0]->age);
        $later = $server->history('private-orders.7', after: $past->events[1]->id);
        $this->assertSame(['{"n":3}'], array_column($later->events, 'data'));
        $this->assertFalse($server->history('private-orders.7', after: '0-0')->complete);
        $this->assertError('ENOENT', fn () => $server->history('other'));

        $publisher = new Publisher("http://127.0.0.1:{$server->port()}", 'app', 'key', 'secret');
        $page = $publisher->history('private-orders.7', limit: 2);
        $this->assertSame(array_column(array_slice($past->events, 0, 2), 'id'), array_column($page->events, 'id'));
        $page = $publisher->history('private-orders.7', after: $past->events[1]->id);
        $this->assertSame([['{"n":3}'], true, $past->position], [array_column($page->events, 'data'), $page->complete, $page->position]);
    }

    public function testAHistoryThatIsWrongIsNamed(): void
    {
        foreach ([[new History('a{b')], [new History('a', maxEvents: 0)], [new History('a', maxAge: -1)]] as $history) {
            try {
                $this->server(history: $history)->start();
                $this->fail('it started');
            } catch (\Pusherc\Exception $e) {
                $this->assertSame('EINVAL', $e->name);
                $this->assertStringContainsString('history', $e->getMessage());
            }
        }
    }

    public function testShapingMakesFewerEvents(): void
    {
        $server = $this->server(shaping: 'sensors event=read conflate key=/id window_ms=60000');
        $client = $this->client($server);
        $client->subscribe('sensors');
        foreach (range(0, 2) as $n) {
            $server->publish('sensors', 'read', ['id' => 1, 'n' => $n]);
        }
        $client->wait('read');
        $server->publish('sensors', 'end');
        $client->wait('end');
        $this->assertNotContains('read', array_column($client->sofar(), 'event'), 'one in a window, whichever');
        $this->assertError('EINVAL', fn () => $this->server(shaping: 'sensors conflat')->start());
    }

    /** on_publish of C would have to answer on a thread of the library, so the host takes publishers in by a page of its own. */
    public function testAPageOfTheHostLetsInWhatOthersPublish(): void
    {
        $server = $this->server()->http(function (HttpRequest $q) use (&$server): HttpResponse {
            $event = json_decode($q->body(), true);
            if ($q->bearer() !== 'token' || $event['name'] === 'secret') {
                return HttpResponse::text('not today', 403);
            }
            $server->publish($event['channel'], $event['name'], ['was' => $event['data']]);
            return HttpResponse::json(new \stdClass());
        });
        $client = $this->client($server);
        $client->subscribe('a');
        foreach (['secret' => [403, 'not today'], 'e' => [200, '{}']] as $name => $answer) {
            $event = json_encode(['channel' => 'a', 'name' => $name, 'data' => 1]);
            $this->assertSame($answer, $this->fetch($server, 'POST', '/publish', $event, ['Authorization: Bearer token']));
        }
        $this->assertSame(['was' => 1], $client->wait('e')['data']);
    }
}
