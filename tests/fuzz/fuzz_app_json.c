/* Any text as app settings: all or nothing, the same every time, and messages fit to be shown. */
#include <stdint.h>
#include <stdlib.h>

#include <pusherc/app.h>

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

struct seen {
    size_t apps, stop_after;
    uint64_t sum; /* of numbers and lengths, to compare two readings */
};

static void see_text(struct seen *seen, const char *text)
{
    pusherc_slice slice = pc_slice_of(text);
    check(pc_utf8_valid(slice));
    seen->sum = seen->sum * 31 + slice.len;
}

static void see_webhook(struct seen *seen, const pusherc_webhook *hook)
{
    check(hook->struct_size == sizeof *hook && hook->url);
    check((hook->events & ~(uint32_t)PUSHERC_WEBHOOK_ALL) == 0);
    check(hook->headers || hook->header_count == 0);
    see_text(seen, hook->url);
    see_text(seen, hook->channel_prefix);
    see_text(seen, hook->channel_suffix);
    for (size_t i = 0; i < hook->header_count; i++) {
        see_text(seen, hook->headers[i].name);
        see_text(seen, hook->headers[i].value);
    }
    seen->sum = seen->sum * 31 + hook->events;
}

static int see(const pusherc_app_options *options, void *user_data)
{
    struct seen *seen = user_data;
    const uint32_t numbers[] = {
        options->activity_timeout_ms,     options->max_connections,
        options->max_channel_name_bytes,  options->max_event_name_bytes,
        options->max_event_payload_bytes, options->max_event_channels,
        options->max_batch_events,        options->max_presence_members,
        options->max_user_info_bytes,     options->max_channels_per_connection,
        options->max_client_events_per_s, options->max_backend_events_per_s,
        options->max_read_requests_per_s,
    };
    check(options->struct_size == sizeof *options);
    check(options->slow_policy == PUSHERC_SLOW_CLOSE || options->slow_policy == PUSHERC_SLOW_DROP);
    check(options->activity_timeout_ms != PUSHERC_NO_LIMIT);
    see_text(seen, options->id);
    see_text(seen, options->key);
    see_text(seen, options->secret);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        seen->sum = seen->sum * 31 + numbers[i];
    if (options->allowed_origins) {
        check(options->allowed_origins[0] != NULL);
        for (size_t i = 0; options->allowed_origins[i]; i++)
            see_text(seen, options->allowed_origins[i]);
    }
    check((options->webhooks != NULL) == (options->webhook_count > 0));
    check(options->webhook_count <= PUSHERC_MAX_WEBHOOKS);
    for (size_t i = 0; i < options->webhook_count; i++)
        see_webhook(seen, &options->webhooks[i]);
    return ++seen->apps == seen->stop_after ? 7 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pusherc_slice text = pc_slice((const char *)data, size);
    pusherc_errinfo info = {0};
    struct seen first = {0}, second = {0}, stopped = {.stop_after = 1};

    int err = pusherc_apps_from_json(text, see, &first, &info);
    check(pusherc_apps_from_json(text, see, &second, NULL) == err);
    check(first.apps == second.apps && first.sum == second.sum);
    if (err) {
        pusherc_slice message = pc_slice_of(info.text);
        check(err == PUSHERC_EINVAL && info.code == err && first.apps == 0);
        check(message.len > 0 && pc_utf8_valid(message));
        for (size_t i = 0; i < message.len; i++)
            check((unsigned char)message.ptr[i] >= 0x20);
        return 0;
    }
    check(pusherc_apps_from_json(text, see, &stopped, NULL) == (first.apps ? 7 : 0));
    check(stopped.apps == (first.apps ? 1 : 0));
    return 0;
}
