<?php
// declarations.php HEADER TABLE LIBRARY: see `declarations`.
[, $header, $table, $library] = $argv;
$ffi = FFI::cdef(file_get_contents($header), $library);
$wrong = 0;

function expect(string $what, $got, $wanted): void
{
    global $wrong;
    if ($got !== $wanted) {
        echo "$what: $got, the compiler says $wanted\n";
        $wrong = 1;
    }
}

foreach (file($table) as $line) {
    [$kind, $name, $number] = explode(' ', rtrim($line));
    if ($kind === 'struct') {
        expect($name, FFI::sizeof($ffi->type($name)), (int) $number);
    } elseif ($kind === 'member') {
        [$struct, $member] = explode('.', $name);
        expect($name, $ffi->type($struct)->getStructFieldOffset($member), (int) $number);
    } elseif ($kind === 'constant') {
        expect($name, $ffi->$name, (int) $number);
    } else {
        $ffi->$name; // throws if it was not declared or is not exported
    }
}

function make(string $type): FFI\CData
{
    global $ffi;
    $out = $ffi->new($type);
    $ffi->{$type . '_init'}(FFI::addr($out), FFI::sizeof($out));
    return $out;
}

function text(string $text): FFI\CData
{
    global $ffi;
    $out = $ffi->new('char[' . (strlen($text) + 1) . ']', false);
    FFI::memcpy($out, $text, strlen($text));
    return $out;
}

function pointer(string $text): FFI\CData
{
    global $ffi;
    return $ffi->cast('char *', FFI::addr(text($text)[0]));
}

$pointer = $ffi->new('pusherc_server *');
expect('new', $ffi->pusherc_server_new(FFI::addr($pointer), null, null), 0);
$app = make('pusherc_app_options');
$app->id = pointer('1');
$app->key = pointer('key');
$app->secret = pointer('secret');
$channels = $ffi->new('pusherc_slice[1]');
$channels[0] = $ffi->pusherc_slice_of(pointer('news'));
$event = make('pusherc_event');
$event->name = $ffi->pusherc_slice_of(pointer('hello'));
$event->channels = FFI::addr($channels[0]);
$event->channel_count = 1;
$stats = make('pusherc_stats');
expect('put_app', $ffi->pusherc_server_put_app($pointer, FFI::addr($app), null), 0);
expect('listen', $ffi->pusherc_server_listen($pointer, null, null), 0);
expect('start', $ffi->pusherc_server_start($pointer, null), 0);
expect('publish', $ffi->pusherc_publish($pointer, '1', FFI::addr($event)), 0);
expect('publish elsewhere', $ffi->pusherc_publish($pointer, '2', FFI::addr($event)), $ffi->PUSHERC_ENOENT);
expect('stats', $ffi->pusherc_server_stats($pointer, FFI::addr($stats)), 0);
expect('publishes', $stats->publishes_total, 1);
$ffi->pusherc_server_free($pointer);
exit($wrong);
