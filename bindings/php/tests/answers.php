<?php

// An HTTP server that does what the app id of a request says; for PublisherTest. It prints its address, and answers
// {"connections":..., "requests":...}: how many it has seen.

declare(strict_types=1);

$address = $argv[1] ?? 'tcp://127.0.0.1:0';
$server = stream_socket_server($address);
echo stream_socket_get_name($server, false), "\n";
$open = [];
$connections = $requests = $died = 0;
while (true) {
    $read = [$server, ...array_values($open)];
    $none = null;
    stream_select($read, $none, $none, null);
    foreach ($read as $stream) {
        if ($stream === $server) {
            $client = stream_socket_accept($server);
            $open[(int) $client] = $client;
            $connections++;
            continue;
        }
        $head = '';
        while (($line = fgets($stream)) !== false && rtrim($line) !== '') {
            $head .= $line;
        }
        if ($head === '') {
            fclose($open[(int) $stream]);
            unset($open[(int) $stream]);
            continue;
        }
        $body = preg_match('/content-length: (\d+)/i', $head, $match) ? stream_get_contents($stream, (int) $match[1]) : '';
        $requests++;
        $key = preg_match('/x-idempotency-key: (\S+)/i', $head, $match) ? $match[1] : '';
        $json = json_encode(['connections' => $connections, 'requests' => $requests, 'key' => $key]);
        $ok = "HTTP/1.1 200 OK\r\n";
        $plain = "{$ok}Content-Length: " . strlen($json) . "\r\n";
        preg_match('~^\S+ (?:/prefix)?/apps/([a-z-]+)~', $head, $match);
        [$answer, $close] = match ($match[1] ?? '') {
            'plain' => ["$plain\r\n$json", false],
            'says-close' => ["{$plain}Connection: close\r\n\r\n$json", true],
            'closes' => ["$plain\r\n$json", true],
            'dies' => $died++ === 0 ? ['', true] : ["$plain\r\n$json", false],
            'chunked' => ["{$ok}Transfer-Encoding: chunked\r\n\r\n" . implode('', array_map(
                static fn (string $s) => dechex(strlen($s)) . ";x=y\r\n$s\r\n", str_split($json, 7))) . "0\r\nTrailer: x\r\n\r\n", false],
            'until-close' => ["HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n$json", true],
            'early-hints' => ["HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n$plain\r\n$json", false],
            'says-more' => ["$plain\r\n$json{\"late\":1}", false],
            'half' => ["{$ok}Content-Length: 1000\r\n\r\n$json", true],
            'no-length' => ["{$ok}\r\n$json", false],
            'huge' => ["{$ok}Content-Length: 99999999999\r\n\r\n", false],
            'garbage' => ["SSH-2.0-x\r\n", true],
            'silent' => ['', false],
            'later' => ["HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nbusy now\n", false],
            default => ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false],
        };
        fwrite($stream, $answer);
        if ($close) {
            fclose($open[(int) $stream]);
            unset($open[(int) $stream]);
        }
    }
}
