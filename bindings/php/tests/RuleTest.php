<?php

declare(strict_types=1);

namespace Pusherc\Tests;

use Pusherc\Denial;
use Pusherc\Grant;
use Pusherc\Question;
use Pusherc\Reject;
use Pusherc\Without;

/** What a rule's function is asked, and what its answers mean to the client. */
final class RuleTest extends TestCase
{
    public function testAQuestionSaysWhoWantsWhat(): void
    {
        $seen = null;
        $server = $this->server()->channel('orders.{year}.{id}', function (Question $q) use (&$seen) {
            $seen = $q;
            return true;
        });
        $client = $this->client($server, 'olga');
        $this->assertTrue($client->subscribe('private-orders.2026.7'));
        $this->assertSame(['app', 'private-orders.2026.7', 'orders.{year}.{id}', 'olga', $client->socketId, ['year' => '2026', 'id' => '7']],
            [$seen->appId, $seen->channel, $seen->pattern, $seen->userId, $seen->socketId, $seen->params]);
        $this->assertTrue($seen->answered());
    }

    public function testAnonymousIsNullAndAPatternWithoutParametersHasNone(): void
    {
        $seen = null;
        $server = $this->server()->channel('news', function (Question $q) use (&$seen) {
            $seen = [$q->userId, $q->params];
            return false;
        });
        $this->assertSame('Forbidden: private-news', $this->client($server)->subscribe('private-news')['error']);
        $this->assertSame([null, []], $seen);
    }

    /** @return array<string, array{mixed, bool}> */
    public static function answers(): array
    {
        return [
            'true' => [true, true], 'a grant' => [new Grant(), true], 'an array' => [['name' => 'Olga'], true],
            'false' => [false, false], 'null' => [null, false], 'an empty array' => [[], false],
        ];
    }

    /** @dataProvider answers */
    #[\PHPUnit\Framework\Attributes\DataProvider('answers')]
    public function testWhatIsFalseDenies(mixed $answer, bool $granted): void
    {
        $server = $this->server()->channel('x', fn () => $answer);
        $this->assertSame($granted, $this->client($server, 'olga')->subscribe('private-x') === true);
    }

    public function testAnAnswerOfAnotherTypeDeniesAndThrows(): void
    {
        $server = $this->server()->channel('x', fn () => 'yes');
        $client = $this->client($server);
        $client->ask('private-x');
        $error = $this->thrown($server);
        $this->assertInstanceOf(\TypeError::class, $error);
        $this->assertStringContainsString('string', $error->getMessage());
        $this->assertSame(403, $client->answer('private-x')['status']);
    }

    public function testAnArrayIsTheUserInfoOfAMember(): void
    {
        $server = $this->server()->channel('room', fn () => ['name' => 'Ölga', 'tags' => ['a/b']]);
        $client = $this->client($server, '42');
        $client->ask('presence-room');
        $answer = $client->wait('pusher_internal:subscription_succeeded');
        $this->assertSame(['name' => 'Ölga', 'tags' => ['a/b']], $answer['data']['presence']['hash']['42']);
        $members = $server->members('presence-room');
        $this->assertSame([1, '42', ['name' => 'Ölga', 'tags' => ['a/b']]], [count($members), $members[0]->userId, $members[0]->info]);
    }

    public function testAGrantNamesTheMemberAndExpires(): void
    {
        $asked = 0;
        $server = $this->server()->channel('room', function () use (&$asked) {
            return ++$asked === 1 ? new Grant(userId: 'guest-1', info: ['n' => 1], expiresIn: 0.05) : false;
        });
        $client = $this->client($server);
        $this->assertTrue($client->subscribe('presence-room'));
        $this->assertSame('guest-1', $server->members('presence-room')[0]->userId);
        $this->assertSame(403, $client->wait('pusher:subscription_error')['data']['status']);
        $this->assertSame(2, $asked);
    }

    public function testRejectDeniesWithAReasonAndIsNoError(): void
    {
        $server = $this->server()->channel('x', fn () => throw new Reject('Not your ticket', 402));
        $answer = $this->client($server)->subscribe('private-x');
        $this->assertSame(['Not your ticket: private-x', 402], [$answer['error'], $answer['status']]);
    }

    public function testAnExceptionDeniesAndLeavesDispatchAfterTheAnswer(): void
    {
        $server = $this->server()->channel('x', fn () => throw new \DomainException('no database'));
        $client = $this->client($server);
        $client->ask('private-x');
        $this->assertSame('no database', $this->thrown($server)->getMessage());
        // The client does not read what went wrong.
        $this->assertSame('Internal error: private-x', $client->answer('private-x')['error']);
    }

    public function testEveryQuestionOfABatchIsAnsweredAndEveryExceptionIsThrown(): void
    {
        $server = $this->server()->channel('{name}', fn (Question $q) => $q->params['name'] === 'd' ?: throw new \DomainException($q->params['name']));
        $client = $this->client($server);
        foreach (['a', 'b', 'c', 'd'] as $name) {
            $client->ask("private-$name");
        }
        // All four are there before the first is handled.
        for ($end = microtime(true) + 20; $server->stats()['inbox_depth'] < 4 && microtime(true) < $end;) {
            usleep(1000);
        }
        $thrown = [$this->thrown($server)->getMessage(), $this->thrown($server)->getMessage(), $this->thrown($server)->getMessage()];
        $this->assertSame(['a', 'b', 'c'], $thrown);
        $this->assertTrue($client->answer('private-d'));
        foreach (['a', 'b', 'c'] as $name) {
            $this->assertSame(403, $client->answer("private-$name")['status']);
        }
    }

    public function testOnErrorGetsTheExceptionAndTheQuestion(): void
    {
        $errors = [];
        $server = $this->server()->channel('x', fn () => intdiv(1, 0));
        $server->onError(function (\Throwable $error, ?Question $q) use (&$errors) {
            $errors[] = [$error::class, $q->channel, $q->answered()];
        });
        $this->assertSame(403, $this->client($server)->subscribe('private-x')['status']);
        $this->assertSame([[\DivisionByZeroError::class, 'private-x', true]], $errors);
    }

    public function testAnswersLater(): void
    {
        $kept = [];
        $server = $this->server()->channel('{name}', function (Question $q) use (&$kept) {
            $kept[$q->params['name']] = $q->later();
        });
        $client = $this->client($server, 'olga');
        $client->ask('private-yes');
        $client->ask('private-no');
        $this->until($server, function () use (&$kept) {
            return count($kept) === 2;
        });
        $this->assertFalse($kept['yes']->answered());
        $this->assertTrue($kept['yes']->allow());
        $this->assertTrue($kept['no']->deny('Sold out', 410));
        $this->assertTrue($client->answer('private-yes'));
        $this->assertSame('Sold out: private-no', $client->answer('private-no')['error']);
    }

    public function testASecondAnswerIsEstate(): void
    {
        $kept = null;
        $server = $this->server()->channel('x', function (Question $q) use (&$kept) {
            $kept = $q;
            return true;
        });
        $this->assertTrue($this->client($server)->subscribe('private-x'));
        $this->assertError('ESTATE', fn () => $kept->deny());
        $this->assertError('ESTATE', fn () => $kept->allow(new Grant()));
        $this->assertError('ESTATE', fn () => $kept->data());
    }

    public function testAnAnswerInTheFunctionComesBeforeWhatItReturns(): void
    {
        $server = $this->server()->channel('x', function (Question $q) {
            $q->deny('Closed');
            return true;
        });
        $this->assertSame('Closed: private-x', $this->client($server)->subscribe('private-x')['error']);
    }

    public function testAQuestionThatIsDroppedIsDenied(): void
    {
        $server = $this->server()->channel('x', fn (Question $q) => $q->later() && false);
        $this->assertSame(403, $this->client($server)->subscribe('private-x')['status']);
    }

    public function testAQuestionIsToldWhenNothingWaitsForIt(): void
    {
        $kept = null;
        $cancelled = 0;
        $server = $this->server()->channel('x', function (Question $q) use (&$kept, &$cancelled) {
            $kept = $q->later()->onAbandoned(function () use (&$cancelled) {
                $cancelled++;
            });
        });
        $client = $this->client($server);
        $client->ask('private-x');
        $this->until($server, function () use (&$kept) {
            return $kept !== null;
        });
        $this->assertFalse($kept->abandoned());
        $client->close();
        $this->until($server, function () use (&$cancelled) {
            return $cancelled === 1;
        });
        $this->assertTrue($kept->abandoned());
        $this->assertFalse($kept->allow(), 'nothing waits for it');
    }

    public function testAGrantThatBreaksItsRuleDeniesAndThrows(): void
    {
        $server = $this->server()->channel('x', fn () => new Grant(view: str_repeat('v', 65)));
        $client = $this->client($server);
        $client->ask('private-x');
        $error = $this->thrown($server);
        $this->assertSame('EINVAL', $error->name);
        $this->assertNotTrue($client->answer('private-x'));
    }

    public function testAudiencesSeeWhatTheirViewLeaves(): void
    {
        $server = $this->server()->channel('t', fn (Question $q) => new Grant(view: $q->userId), views: [
            'agent' => null, 'customer' => new Without('note', '/lines/cost'), 'nobody' => new Without(),
        ]);
        $clients = [];
        foreach (['agent', 'customer', 'nobody'] as $view) {
            $clients[$view] = $this->client($server, $view);
            $this->assertTrue($clients[$view]->subscribe('private-t'));
        }
        $server->publish('private-t', 'e', ['id' => 7, 'note' => 'rude', 'lines' => [['cost' => 1, 'n' => 2]]]);
        $this->assertSame(['id' => 7, 'note' => 'rude', 'lines' => [['cost' => 1, 'n' => 2]]], $clients['agent']->wait('e')['data']);
        $this->assertSame(['id' => 7, 'lines' => [['n' => 2]]], $clients['customer']->wait('e')['data']);
        $this->assertNotContains('e', $clients['nobody']->sofar());
    }

    public function testKindsSayWhichChannelsAreCovered(): void
    {
        $server = $this->server()->channel('page', fn (Question $q) => $q->userId !== null, kinds: 'public');
        $this->assertSame(403, $this->client($server)->subscribe('page')['status']);
        $this->assertTrue($this->client($server, 'olga')->subscribe('page'));
        $this->assertStringContainsString('No rule', $this->client($server, 'olga')->subscribe('private-page')['error']);
        $this->assertError('EINVAL', fn () => $server->channel('y', fn () => true, kinds: 'secret'));
    }

    public function testAnswersAreUsedAgainForAWhile(): void
    {
        $asked = 0;
        $server = $this->server()->channel('x', function () use (&$asked) {
            return (bool) ++$asked;
        }, cache: 60);
        $this->assertTrue($this->client($server, 'olga')->subscribe('private-x'));
        $this->assertTrue($this->client($server, 'olga')->subscribe('private-x'));
        $this->assertTrue($this->client($server, 'max')->subscribe('private-x'));
        $this->assertSame(2, $asked);
    }

    public function testRulesComeGoAndAreReplacedWhileItRuns(): void
    {
        $server = $this->server()->start();
        $client = $this->client($server, 'olga');
        $server->channel('x.{id}', fn () => false);
        $this->assertSame(403, $client->subscribe('private-x.1')['status']);
        $this->assertError('EEXIST', fn () => $server->channel('x.{number}', fn () => true));
        $server->channel('x.{number}', fn (Question $q) => $q->params['number'] === '1', replace: true);
        $this->assertTrue($client->subscribe('private-x.1'));
        $server->removeChannel('x.{number}');
        $this->assertStringContainsString('No rule', $client->subscribe('private-x.2')['error']);
        $this->assertError('ENOENT', fn () => $server->removeChannel('x.{number}'));
    }

    public function testRulesThatAreReplacedLeaveNothingBehind(): void
    {
        $server = $this->server()->start();
        $rules = (new \ReflectionProperty($server, 'rules'));
        for ($i = 0; $i < 5; $i++) {
            $server->channel('x.{id}', fn () => true, replace: true);
        }
        $this->assertCount(1, $rules->getValue($server));
    }

    public function testAnAppsOwnRuleComesFirst(): void
    {
        $server = $this->server()->channel('x', fn () => false)->channel('x', fn () => true, app: 'app');
        $this->assertTrue($this->client($server)->subscribe('private-x'));
    }

    public function testACatchAllIsAskedLast(): void
    {
        $server = $this->server()->channel('{name...}', fn (Question $q) => $q->params['name'] === 'a.b')->channel('c', fn () => true);
        $client = $this->client($server);
        $this->assertTrue($client->subscribe('private-a.b'));
        $this->assertTrue($client->subscribe('private-c'));
        $this->assertSame(403, $client->subscribe('private-d')['status']);
    }

    public function testReauthorizingRevokesAndSaysHowMany(): void
    {
        $may = true;
        $result = null;
        $server = $this->server()->channel('t.{id}', function () use (&$may) {
            return $may;
        });
        $olga = $this->client($server, 'olga');
        $max = $this->client($server, 'max');
        $this->assertTrue($olga->subscribe('private-t.1'));
        $this->assertTrue($max->subscribe('private-t.1'));
        $may = false;
        $server->reauthorize(userId: 'olga', pattern: 't.{id}', done: function (int $kept, int $revoked) use (&$result) {
            $result = [$kept, $revoked];
        });
        $server->publish('private-t.1', 'secret', 1);
        $this->assertSame(403, $olga->wait('pusher:subscription_error')['data']['status']);
        $this->assertSame(1, $max->wait('secret')['data']);
        $this->until($server, function () use (&$result) {
            return $result === [0, 1];
        });
        $this->assertNotContains('secret', $olga->sofar());
    }

    public function testDenialsSayWhy(): void
    {
        $denials = [];
        $server = $this->server()->channel('x', fn () => throw new Reject('Not yours'))->onDenied(function (Denial $denial) use (&$denials) {
            $denials[] = $denial;
        });
        $client = $this->client($server, 'olga');
        $client->subscribe('private-x');
        $client->subscribe('private-unknown');
        $this->until($server, function () use (&$denials) {
            return count($denials) === 2;
        });
        $this->assertSame(['by_rule', 403, 'app', 'private-x', 'x', 'olga', $client->socketId, 'Not yours'],
            array_values(get_object_vars($denials[0])));
        $this->assertSame(['no_rule', null], [$denials[1]->reason, $denials[1]->pattern]);
    }
}
