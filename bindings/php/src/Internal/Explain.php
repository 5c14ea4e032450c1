<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI;
use FFI\CData;
use Pusherc\Constants;
use Pusherc\Exception;
use Pusherc\Library;

/**
 * What the C library says of signatures that are refused.
 *
 * @internal  a part of Signer
 */
final class Explain
{
    private const CAPACITY = 9216;

    public static function auth(string $key, string $secret, string $auth, string $socketId, string $channel, string $data): ?string
    {
        $memory = new Memory(Library::load());
        return self::written($memory, static fn (CData $out, CData $len): int => $memory->ffi->pusherc_explain_auth(
            FFI::addr(self::credentials($memory, $key, $secret)),
            $memory->slice($auth),
            $memory->socketId($socketId),
            $memory->slice($channel),
            $memory->slice($data),
            $out,
            self::CAPACITY,
            $len,
        ));
    }

    public static function request(
        string $key,
        string $secret,
        string $method,
        string $path,
        string $query,
        string $body,
        int $now,
    ): ?string {
        $memory = new Memory(Library::load());
        return self::written($memory, static fn (CData $out, CData $len): int => $memory->ffi->pusherc_explain_request(
            FFI::addr(self::credentials($memory, $key, $secret)),
            $method,
            $path,
            $memory->slice($query),
            $memory->slice($body),
            $now,
            $out,
            self::CAPACITY,
            $len,
        ));
    }

    private static function credentials(Memory $memory, string $key, string $secret): CData
    {
        $credentials = $memory->options('pusherc_credentials');
        $memory->fill($credentials->key, $key);
        $memory->fill($credentials->secret, $secret);
        return $credentials;
    }

    /** @param \Closure(CData, CData): int $write */
    private static function written(Memory $memory, \Closure $write): ?string
    {
        $out = $memory->array('char', self::CAPACITY);
        $len = $memory->ffi->new('size_t');
        $code = $write(FFI::addr($out[0]), FFI::addr($len));
        if ($code !== 0) {
            throw new Exception($code, $code === Constants::ENOSYS ? 'the library was built without diagnosis' : null);
        }
        return $len->cdata === 0 ? null : FFI::string($out, $len->cdata);
    }
}
