<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI;
use FFI\CData;
use Pusherc\AppRequest;
use Pusherc\ChannelEvent;
use Pusherc\ClientEvent;
use Pusherc\Connection;
use Pusherc\Constants;
use Pusherc\Denial;
use Pusherc\EphemeralEnd;
use Pusherc\Exception;
use Pusherc\HttpRequest;
use Pusherc\IdentifyRequest;
use Pusherc\Question;
use Pusherc\Receipt;
use Pusherc\Reject;
use Pusherc\UserEvent;
use Pusherc\WebhookFailure;

/**
 * The inbox of one server: takes messages and calls the functions that are for them, one after the other.
 *
 * Messages are taken by the batch, since a take costs a lock. A batch lives until the next take, so what a function
 * needs of its message is copied before the function is called; then the function may take, too (by dispatch() inside
 * a rule), which first goes on with the rest of this batch. Every message of a batch is handled, also behind one whose
 * function threw: its question waits for an answer, and the descriptor does not speak of it any more.
 *
 * @internal
 */
final class Inbox
{
    private const BATCH = 256;
    private const LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'];
    private const CHANGES = [
        Constants::CHANNEL_OCCUPIED => 'occupied',
        Constants::CHANNEL_VACATED => 'vacated',
        Constants::MEMBER_ADDED => 'member_added',
        Constants::MEMBER_REMOVED => 'member_removed',
        Constants::SUBSCRIPTION_COUNT => 'subscription_count',
    ];

    /** The address of C's object; 0 = freed. */
    public int $address;
    /** @var array<int, Rule> by the rule's user_data */
    public array $rules = [];
    /** @var array<int, \Closure> by the type of message */
    public array $functions = [];
    /** @var array<int, \Closure> by the user_data of pusherc_reauthorize() */
    public array $reauthorized = [];
    public ?\Closure $onError = null;
    public bool $fiber = false;
    public bool $stopped = false;

    private readonly Waiting $waiting;
    private readonly CData $messages;
    private readonly CData $first;
    private readonly int $size;
    private int $count = 0;
    private int $next = 0;
    /** The connection of the latest question, and its name. */
    private int $lastA = 0;
    private int $lastB = 0;
    private ?string $lastSocketId = null;
    /** @var list<\Throwable> what functions threw and nothing has caught yet */
    private array $thrown = [];

    public function __construct(private readonly FFI $ffi)
    {
        $this->waiting = new Waiting();
        $this->messages = $ffi->new('pusherc_message[' . self::BATCH . ']');
        $this->first = FFI::addr($this->messages[0]);
        $this->size = FFI::sizeof($this->messages[0]);
        $out = $ffi->new('uintptr_t');
        $code = $ffi->pusherc_inbox_new(FFI::addr($out), null);
        $this->address = $code === 0 ? $out->cdata : throw new Exception($code);
    }

    public function descriptor(): int
    {
        return $this->ffi->pusherc_inbox_fd($this->address);
    }

    /**
     * Handle what is there; wait for the first message, at most that long. A signal ends the wait.
     *
     * @return int how many messages were handled
     */
    public function dispatch(int $timeoutMs): int
    {
        $handled = 0;
        while ($this->next < $this->count || ($handled === 0 && $this->take($timeoutMs))) {
            $message = $this->messages[$this->next++];
            $handled++;
            try {
                $this->handle($message);
            } catch (\Throwable $error) {
                $this->thrown[] = $error;
            }
        }
        if ($this->thrown) {
            throw array_shift($this->thrown);
        }
        return $handled;
    }

    /** Refuse what was taken and not handled, and free it. No server uses it any more. */
    public function free(): void
    {
        while ($this->next < $this->count) {
            $message = $this->messages[$this->next++];
            if ($message->request !== 0) {
                $this->request($message)->refuse();
            }
        }
        $this->ffi->pusherc_inbox_free($this->address);
        $this->address = 0;
        $this->functions = $this->reauthorized = [];
    }

    private function take(int $timeoutMs): bool
    {
        if ($this->address === 0 || $this->thrown) {
            return false;
        }
        $this->next = 0;
        $this->count = $this->ffi->pusherc_inbox_take($this->address, $this->first, $this->size, self::BATCH, $timeoutMs);
        return $this->count > 0;
    }

    private function handle(CData $message): void
    {
        switch ($type = $message->type) {
            case Constants::MESSAGE_AUTHORIZE:
                $rule = $this->rules[$message->user_data] ?? null;
                if ($rule === null) {
                    // Removed meanwhile: the library has asked another rule.
                    $this->ffi->pusherc_auth_deny($message->request, 403, null);
                    break;
                }
                $question = new Question($this->ffi, $this->waiting, $message, $rule, $this->socketId($message->socket_id));
                $this->fiber ? $this->begin($question, $rule->decide) : $this->answer($question, $rule->decide);
                break;
            case Constants::MESSAGE_IDENTIFY:
            case Constants::MESSAGE_FIND_APP:
            case Constants::MESSAGE_HTTP:
                $request = $this->request($message);
                $this->fiber ? $this->begin($request, $this->functions[$type]) : $this->answer($request, $this->functions[$type]);
                break;
            case Constants::MESSAGE_ABANDONED:
                $this->abandon($message->id);
                break;
            case Constants::MESSAGE_REAUTHORIZED:
                [$token, $kept, $revoked] = [$message->user_data, $message->a, $message->b];
                $done = $this->reauthorized[$token] ?? null;
                unset($this->reauthorized[$token]);
                $done === null || $this->call($done, $kept, $revoked);
                break;
            case Constants::MESSAGE_STOPPED:
                $this->stopped = true;
                break;
            default:
                $this->report($type, $message);
        }
    }

    /** As text. Questions of one connection often come one after the other: a page subscribes to all that it shows. */
    private function socketId(CData $id): ?string
    {
        [$a, $b] = [$id->a, $id->b];
        if ($a !== $this->lastA || $b !== $this->lastB) {
            $this->lastSocketId = Memory::readSocketId($id);
            [$this->lastA, $this->lastB] = [$a, $b];
        }
        return $this->lastSocketId;
    }

    /** A question that is not a rule's; of a rule's what is needed to refuse it. */
    private function request(CData $message): Request
    {
        return match ($message->type) {
            Constants::MESSAGE_IDENTIFY => new IdentifyRequest($this->ffi, $this->waiting, $message),
            Constants::MESSAGE_FIND_APP => new AppRequest($this->ffi, $this->waiting, $message),
            Constants::MESSAGE_HTTP => new HttpRequest($this->ffi, $this->waiting, $message),
            default => new Question($this->ffi, $this->waiting, $message, new Rule('', fn () => null, 0, 0, null, [], null, false), null),
        };
    }

    private function report(int $type, CData $message): void
    {
        $function = $this->functions[$type] ?? null;
        if ($function === null) {
            return;
        }
        $text = fn (string $member): string => Memory::read($message->$member);
        $some = fn (string $member): ?string => Memory::read($message->$member) ?: null;
        $socket = Memory::readSocketId($message->socket_id);
        switch ($type) {
            case Constants::MESSAGE_OPEN:
            case Constants::MESSAGE_SIGNIN:
            case Constants::MESSAGE_CLOSE:
                $code = $type === Constants::MESSAGE_CLOSE ? $message->number : null;
                $this->call($function, new Connection((string) $socket, $text('app_id'), $some('user_id'), $some('data'), $code));
                break;
            case Constants::MESSAGE_CHANNEL:
                $this->call($function, new ChannelEvent(self::CHANGES[$message->number] ?? 'unknown', $text('app_id'),
                    $text('channel'), $some('user_id'), $message->a, $message->b, $some('name') ?? 'process'));
                break;
            case Constants::MESSAGE_RECEIPT:
                $kind = $message->number === Constants::RECEIPT_SHOWN ? 'shown' : 'written';
                $this->call($function, new Receipt($kind, $text('app_id'), $text('channel'), $text('name'), $text('data'),
                    $text('user_id'), (string) $socket, $message->a / 1000));
                break;
            case Constants::MESSAGE_EPHEMERAL_END:
                $reason = $message->number === Constants::EPHEMERAL_LEFT ? 'left' : 'time';
                $this->call($function, new EphemeralEnd($reason, $text('app_id'), $text('channel'), $text('name'),
                    $text('data'), $some('user_id')));
                break;
            case Constants::MESSAGE_USER:
                $this->call($function, new UserEvent($text('app_id'), $text('user_id'), $message->number === 1,
                    $message->a / 1000, $message->b));
                break;
            case Constants::MESSAGE_CLIENT_EVENT:
                $this->call($function, new ClientEvent($text('app_id'), $text('channel'), (string) $socket, $text('name'),
                    $text('data'), $some('user_id')));
                break;
            case Constants::MESSAGE_DENIED:
                $this->call($function, new Denial(Constants::DENIALS[$message->number] ?? 'unknown', $message->a,
                    $some('app_id'), $some('channel'), $some('name'), $some('user_id'), $socket, $text('data')));
                break;
            case Constants::MESSAGE_WEBHOOK_FAILED:
                $this->call($function, new WebhookFailure($text('app_id'), $text('name'), $text('data'), $message->a,
                    $message->b, $message->number));
                break;
            case Constants::MESSAGE_LOG:
                $this->call($function, self::LEVELS[$message->number] ?? 'info', $text('name'), $text('data'));
                break;
        }
    }

    /** Call the function that answers a question in a fiber of its own. */
    private function begin(Request $request, \Closure $function): void
    {
        $fiber = new \Fiber($this->answer(...));
        $fiber->start($request, $function);
        if (!$fiber->isTerminated()) {
            $request->watch();
        }
    }

    private function answer(Request $request, \Closure $function): void
    {
        try {
            $request->settle($function($request));
        } catch (Reject $no) {
            $request->refuse($no->getMessage(), $no->getCode() ?: ($request instanceof IdentifyRequest ? 4009 : 403));
        } catch (\Throwable $error) {
            $request->refuse();
            $this->failed($error, $request);
        }
    }

    /** Call a function that is told something. */
    private function call(\Closure $function, mixed ...$arguments): void
    {
        $run = function () use ($function, $arguments): void {
            try {
                $function(...$arguments);
            } catch (\Throwable $error) {
                $this->failed($error, null);
            }
        };
        $this->fiber ? (new \Fiber($run))->start() : $run();
    }

    private function abandon(int $id): void
    {
        $request = ($this->waiting->requests[$id] ?? null)?->get();
        foreach ($request?->abandon() ?? [] as $cancel) {
            $this->call($cancel(...));
        }
    }

    private function failed(\Throwable $error, ?Request $request): void
    {
        if ($this->onError === null) {
            throw $error;
        }
        ($this->onError)($error, $request);
    }
}
