<?php

declare(strict_types=1);

namespace Pusherc;

use FFI;
use FFI\CData;
use Pusherc\Internal\Memory;
use Pusherc\Internal\Request;
use Pusherc\Internal\Structs;
use Pusherc\Internal\Waiting;

/** "Which app has this id, or this key?" One of the two is set. The function given to Server::findApp() returns an App or null. */
final class AppRequest extends Request
{
    public readonly ?string $id;
    public readonly ?string $key;

    /** @internal */
    public function __construct(FFI $ffi, Waiting $waiting, CData $message)
    {
        parent::__construct($ffi, $waiting, $message);
        $this->id = $this->optional($ffi->pusherc_app_request_id($this->address));
        $this->key = $this->optional($ffi->pusherc_app_request_key($this->address));
    }

    /** The app, which is then put; null = there is no such app. @return bool false: the client is gone */
    public function answer(?App $app): bool
    {
        if ($app === null) {
            return $this->accepted($this->ffi->pusherc_app_answer($this->consume(), null));
        }
        $this->address();
        $memory = new Memory($this->ffi);
        $options = Structs::app($memory, $app);
        return $this->accepted($this->ffi->pusherc_app_answer($this->consume(), FFI::addr($options)));
    }

    public function settle(mixed $result): void
    {
        if (!$this->isSettled()) {
            $this->answer($result === null || $result instanceof App ? $result
                : throw $this->wrong($result, App::class . ' or null'));
        }
    }

    public function refuse(string $reason = 'Internal error', int $code = 0): void
    {
        if ($this->address !== 0) {
            $this->ffi->pusherc_app_answer($this->consume(), null);
        }
    }

    protected function number(): int
    {
        return $this->ffi->pusherc_app_request_question($this->address());
    }
}
