<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI;
use FFI\CData;
use Pusherc\Exception;

/**
 * Structs and text for calls into C. C keeps no hold on what PHP allocates, so this object does: what it made lives
 * as long as it.
 *
 * @internal
 */
final class Memory
{
    /** @var list<CData> */
    private array $kept = [];

    public function __construct(public readonly FFI $ffi)
    {
    }

    /** A struct of options with its size and defaults. */
    public function options(string $type): CData
    {
        $this->kept[] = $out = $this->ffi->new($type);
        $out->struct_size = FFI::sizeof($out);
        return $out;
    }

    /** Such structs in a row. */
    public function array(string $type, int $count): CData
    {
        $this->kept[] = $out = $this->ffi->new("{$type}[" . max(1, $count) . ']');
        return $out;
    }

    /** The address of a text with a NUL, for members that are `const char *`. A NUL inside would cut it. */
    public function text(?string $text): ?CData
    {
        if ($text === null) {
            return null;
        }
        if (str_contains($text, "\0")) {
            throw new Exception(\Pusherc\Constants::EINVAL, 'a text must not contain NUL: ' . addcslashes($text, "\0"));
        }
        return $this->bytes($text);
    }

    /** Let a slice point to a copy of the bytes. */
    public function fill(CData $slice, string $bytes): void
    {
        $slice->ptr = $this->bytes($bytes);
        $slice->len = \strlen($bytes);
    }

    /** A slice as an argument. */
    public function slice(?string $bytes): CData
    {
        $this->kept[] = $slice = $this->ffi->new('pusherc_slice');
        if ($bytes !== null && $bytes !== '') {
            $this->fill($slice, $bytes);
        }
        return $slice;
    }

    /** A socket id as an argument; null = none. */
    public function socketId(?string $text): CData
    {
        $this->kept[] = $id = $this->ffi->new('pusherc_socket_id');
        if ($text !== null && $this->ffi->pusherc_socket_id_parse($this->slice($text), FFI::addr($id)) !== 0) {
            throw new Exception(\Pusherc\Constants::EINVAL, "not a socket id: $text");
        }
        return $id;
    }

    /** Seconds as C's milliseconds, where 0 would be something else. */
    public static function ms(float $seconds): int
    {
        return (int) max(1, min(ceil($seconds * 1000), 0xfffffffe));
    }

    /** What a slice says, copied. */
    public static function read(CData $slice): string
    {
        $len = $slice->len;
        return $len ? FFI::string($slice->ptr, $len) : '';
    }

    public static function readSocketId(CData $id): ?string
    {
        [$a, $b] = [$id->a, $id->b];
        // Numbers of other servers may be larger than PHP's.
        return $a > 0 && $b > 0 ? "$a.$b" : ($a || $b ? sprintf('%u.%u', $a, $b) : null);
    }

    /** Put bytes where C's free() frees them. @return int their address */
    public static function store(FFI $ffi, string $bytes): int
    {
        $block = pack('P', \strlen($bytes)) . $bytes;
        $address = $ffi->malloc(\strlen($block)) ?: throw new Exception(\Pusherc\Constants::ENOMEM);
        $ffi->memcpy($address, $block, \strlen($block));
        return $address;
    }

    /** What store() put there. */
    public static function stored(FFI $ffi, int $address): string
    {
        $block = $ffi->new('pusherc_php_block');
        $block->address = $address;
        return FFI::string($block->bytes + 8, unpack('P', FFI::string($block->bytes, 8))[1]);
    }

    /** What users see of a value: text as it is, everything else as JSON. */
    public static function json(mixed $data): string
    {
        return json_encode($data, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE
            | JSON_PRESERVE_ZERO_FRACTION);
    }

    private function bytes(string $bytes): CData
    {
        $len = \strlen($bytes);
        $this->kept[] = $buffer = $this->ffi->new('char[' . ($len + 1) . ']');
        FFI::memcpy($buffer, $bytes, $len);
        return FFI::addr($buffer[0]);
    }
}
