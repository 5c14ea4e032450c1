<?php

declare(strict_types=1);

namespace Pusherc\Internal;

use FFI;
use FFI\CData;
use Pusherc\App;
use Pusherc\Constants;
use Pusherc\Exception;
use Pusherc\History;
use Pusherc\Webhook;
use Pusherc\Without;

/**
 * The structs that set-up calls take, made of the objects of this package.
 *
 * @internal
 */
final class Structs
{
    /** The options of an app. */
    public static function app(Memory $memory, App $app): CData
    {
        $options = $memory->options('pusherc_app_options');
        $own = ['id' => $app->id, 'key' => $app->key, 'secret' => $app->secret, 'auth_mode' => $app->auth];
        Settings::write($memory, $options, Constants::APP_SETTINGS, $app->settings + $own);
        if ($app->allowedOrigins) {
            $patterns = $memory->array('char *', \count($app->allowedOrigins) + 1);
            foreach (array_values($app->allowedOrigins) as $i => $pattern) {
                $patterns[$i] = $memory->text($pattern);
            }
            $options->allowed_origins = $memory->ffi->cast('char **', FFI::addr($patterns));
        }
        if ($app->webhooks) {
            $webhooks = $memory->array('pusherc_webhook', \count($app->webhooks));
            foreach (array_values($app->webhooks) as $i => $webhook) {
                self::webhook($memory, $webhooks[$i], $webhook);
            }
            $options->webhooks = FFI::addr($webhooks[0]);
            $options->webhook_count = \count($app->webhooks);
        }
        if ($app->history) {
            $patterns = $memory->array('pusherc_history_pattern', \count($app->history));
            foreach (array_values($app->history) as $i => $history) {
                self::history($memory, $patterns[$i], $history);
            }
            $options->history = FFI::addr($patterns[0]);
            $options->history_count = \count($app->history);
        }
        return $options;
    }

    public static function rule(Memory $memory, Rule $rule, int $id): CData
    {
        $out = $memory->options('pusherc_rule');
        $out->app_id = $memory->text($rule->app);
        $out->pattern = $memory->text($rule->pattern);
        $out->user_data = $id;
        $out->inbox = true;
        $out->kinds = $rule->kinds;
        $out->cache_ms = $rule->cache > 0 ? Memory::ms($rule->cache) : 0;
        $out->replaces = $rule->replace;
        if ($rule->presenceGrace !== null) {
            $out->presence_grace_ms = $rule->presenceGrace > 0 ? Memory::ms($rule->presenceGrace) : Constants::NO_DELAY;
        }
        if ($rule->views) {
            $redactions = $memory->array('pusherc_redaction', \count($rule->views));
            $i = 0;
            foreach ($rule->views as $view => $without) {
                self::redaction($memory, $redactions[$i++], (string) $view, $without);
            }
            $out->redactions = FFI::addr($redactions[0]);
            $out->redaction_count = $i;
        }
        return $out;
    }

    /** @param ?array{cert: string, key: string, password?: ?string} $tls */
    public static function listener(
        Memory $memory,
        int $port,
        string $host,
        ?array $tls,
        bool $metrics,
        ?int $backlog,
        ?int $unixMode,
    ): CData {
        $options = $memory->options('pusherc_listen_options');
        $options->host = $memory->text($host);
        $options->port = $port;
        $options->backlog = $backlog ?? 0;
        $options->unix_mode = $unixMode ?? 0;
        $options->purpose = $metrics ? Constants::LISTEN_METRICS : Constants::LISTEN_CLIENTS;
        if ($tls !== null) {
            $options->tls = FFI::addr(self::tls($memory, ...$tls));
        }
        return $options;
    }

    public static function tls(Memory $memory, string $cert, string $key, ?string $password = null): CData
    {
        $tls = $memory->options('pusherc_tls_options');
        $tls->cert_file = $memory->text($cert);
        $tls->key_file = $memory->text($key);
        $tls->key_password = $memory->text($password);
        return $tls;
    }

    private static function redaction(Memory $memory, CData $out, string $view, ?Without $without): void
    {
        $members = $without?->members ?? [];
        $names = $memory->array('pusherc_slice', \count($members));
        foreach ($members as $i => $member) {
            $memory->fill($names[$i], $member);
        }
        $out->struct_size = FFI::sizeof($out);
        $memory->fill($out->view, $view);
        $out->members = FFI::addr($names[0]);
        $out->member_count = \count($members);
        $out->nothing = $without !== null && !$members;
    }

    private static function history(Memory $memory, CData $out, History $history): void
    {
        $out->struct_size = FFI::sizeof($out);
        $out->pattern = $memory->text($history->pattern);
        foreach (['max_events' => $history->maxEvents, 'max_bytes' => $history->maxBytes, 'max_age_s' => $history->maxAge] as $name => $bound) {
            if ($bound !== null && ($bound < 1 || $bound > 0xffffffff)) {
                throw new Exception(Constants::EINVAL, "history of $history->pattern: $name must be a number from 1 to 4294967295");
            }
            $out->$name = $bound ?? 0;
        }
    }

    private static function webhook(Memory $memory, CData $out, Webhook $webhook): void
    {
        $out->struct_size = FFI::sizeof($out);
        $out->url = $memory->text($webhook->url);
        $out->channel_prefix = $memory->text($webhook->channelPrefix);
        $out->channel_suffix = $memory->text($webhook->channelSuffix);
        $out->events = Settings::bits(implode(' ', $webhook->events), 'WEBHOOK_', 'webhook event');
        if ($webhook->headers) {
            $headers = $memory->array('pusherc_webhook_header', \count($webhook->headers));
            $i = 0;
            foreach ($webhook->headers as $name => $value) {
                $headers[$i]->name = $memory->text((string) $name);
                $headers[$i++]->value = $memory->text($value);
            }
            $out->headers = FFI::addr($headers[0]);
            $out->header_count = $i;
        }
    }
}
