#include "channel/app.h"

#include <stdio.h>

#include <pusherc/settings.h>

#include "auth/pattern.h"
#include "base/log.h"
#include "base/options.h"
#include "base/setting.h"
#include "protocol/names.h"

void pc_app_state_ref(struct pc_app_state *state)
{
    atomic_fetch_add_explicit(&state->refs, 1, memory_order_relaxed);
}

void pc_app_state_unref(struct pc_app_state *state)
{
    if (!state || atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel) != 1)
        return;
    pc_endpoints_unref(state->endpoints);
    pc_idempotency_free(&state->idempotency);
    pc_counts_free(&state->per_user);
    pc_counts_free(&state->per_address);
    pc_people_free(&state->people);
    pc_receipts_free(&state->receipts);
    struct pc_mem mem = state->mem;
    pthread_mutex_destroy(&state->mutex);
    pc_free(&mem, state);
}

struct pc_app_state *pc_app_state_new(const struct pc_mem *mem, uint64_t uid, uint32_t worker_count,
                                      const uint64_t seed[2])
{
    /* The allocator aligns to 16 bytes, but the counters of each worker need cache lines of their own. */
    const size_t line = _Alignof(struct pc_app_stats);
    const size_t slots = (size_t)worker_count + 1;
    struct pc_app_state *state =
        pc_alloc_zero(mem, sizeof *state + line + slots * sizeof *state->stats);
    if (!state)
        return NULL;
    uintptr_t at = ((uintptr_t)(state + 1) + line - 1) & ~(uintptr_t)(line - 1);
    state->stats = (struct pc_app_stats *)at;
    state->mem = *mem;
    state->worker_count = worker_count;
    atomic_init(&state->refs, 1);
    state->uid = uid;
    pc_list_init(&state->webhooks.queues);
    pc_list_init(&state->webhooks.runnable);
    pc_list_init(&state->webhooks.of_runnable);
    for (size_t i = 0; i < PC_SHARDS; i++)
        pc_list_init(&state->channels[i]);
    pc_list_init(&state->kept.channels);
    pc_list_init(&state->history.channels);
    pthread_mutex_init(&state->mutex, NULL);
    pc_idempotency_init(&state->idempotency, &state->mem, seed);
    pc_counts_init(&state->per_user, &state->mem, seed);
    pc_counts_init(&state->per_address, &state->mem, seed);
    pc_people_init(&state->people, &state->mem, seed);
    pc_receipts_init(&state->receipts, &state->mem, seed);
    return state;
}

struct pc_endpoints *pc_app_endpoints(struct pc_app_state *state)
{
    pthread_mutex_lock(&state->mutex);
    struct pc_endpoints *endpoints = pc_endpoints_ref(state->endpoints);
    pthread_mutex_unlock(&state->mutex);
    return endpoints;
}

struct pc_endpoints *pc_app_set_endpoints(struct pc_app_state *state,
                                          struct pc_endpoints *endpoints)
{
    pthread_mutex_lock(&state->mutex);
    struct pc_endpoints *before = state->endpoints;
    state->endpoints = endpoints;
    atomic_store_explicit(&state->notices, endpoints ? endpoints->kinds : 0, memory_order_relaxed);
    pthread_mutex_unlock(&state->mutex);
    return before;
}

void pc_app_ref(struct pc_app *app)
{
    atomic_fetch_add_explicit(&app->refs, 1, memory_order_relaxed);
}

void pc_app_unref(struct pc_app *app)
{
    /* acquire: the thread that frees sees everything the other holders did */
    if (!app || atomic_fetch_sub_explicit(&app->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = app->mem;
    pc_origins_free(&mem, app->origins);
    pc_shape_rules_free(&app->shaping, &mem);
    pc_ephemeral_rules_free(&app->ephemeral, &mem);
    pc_receipt_rules_free(&app->receipts, &mem);
    for (size_t i = 0; app->history && i < app->options.history_count; i++)
        pc_free(&mem, (char *)app->history[i].pattern.ptr);
    pc_free(&mem, app->history);
    pc_hmac_key_free(app->secret);
    pc_hmac_key_free(app->old_secret);
    pc_free(&mem, (char *)app->old_key.ptr);
    pc_wipe(app->master_key, sizeof app->master_key);
    if (app->secret_text.ptr)
        pc_wipe((char *)app->secret_text.ptr, app->secret_text.len);
    pc_free(&mem, (char *)app->secret_text.ptr);
    pc_app_state_unref(app->state);
    pc_free(&mem, (char *)app->id.ptr);
    pc_free(&mem, (char *)app->key.ptr);
    pc_free(&mem, app);
}

#define ROW(kind, name, min, max, fallback, words, meaning)                                        \
    PC_SETTING_ROW(pusherc_app_options, kind, name, min, max, fallback)

/* clang-format off */
static const struct pc_setting settings[] = {
    PUSHERC_APP_SETTING_MAP(ROW)
    PUSHERC_APP_HOST_SETTING_MAP(ROW)
};
/* clang-format on */

#define SETTING_COUNT (sizeof settings / sizeof settings[0])

_Static_assert(PUSHERC_MAX_CHANNEL_NAME_BYTES == PC_CHANNEL_NAME_MAX, "one limit of names");

static bool read_master_key(const pusherc_app_options *o, uint8_t out[32])
{
    size_t len = 0;
    return pc_base64_decode(pc_slice_of(o->encryption_master_key), out, 32, &len) && len == 32;
}

static int check_origins(const pusherc_app_options *o, pusherc_errinfo *info)
{
    for (const char *const *one = o->allowed_origins; one && *one; one++) {
        const char *wrong = pc_origin_wrong(*one);
        if (wrong)
            return pc_errinfo(info, PUSHERC_EINVAL, 0,
                              "app %.60s: allowed_origins: \"%.80s\" never fits: %s", o->id, *one,
                              wrong);
    }
    return 0;
}

static int check_history(const pusherc_app_options *o, pusherc_errinfo *info)
{
    if (o->history_count > PUSHERC_MAX_HISTORY_PATTERNS || (o->history_count && !o->history))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "app %.60s: history: at most %d, and not NULL",
                          o->id, PUSHERC_MAX_HISTORY_PATTERNS);
    for (size_t i = 0; i < o->history_count; i++) {
        pusherc_history_pattern one;
        pusherc_errinfo why;
        if (PC_TAKE(history_pattern, &one, PUSHERC_AT(o->history, i), &why))
            return pc_errinfo(info, PUSHERC_EINVAL, 0, "app %.60s: history %zu: %s", o->id, i + 1,
                              why.text);
        if (!pc_pattern_valid(pc_slice_of(one.pattern), NULL, NULL))
            return pc_errinfo(info, PUSHERC_EINVAL, 0,
                              "app %.60s: history %zu: pattern must be 1 to %d bytes, with "
                              "parameters as in \"orders.{id}\" or \"shop.{rest...}\"",
                              o->id, i + 1, PC_PATTERN_MAX);
    }
    return 0;
}

int pc_app_check(const pusherc_app_options *o, bool webhooks, pusherc_errinfo *info)
{
    pusherc_slice id = pc_slice_of(o->id), key = pc_slice_of(o->key);
    if (id.len == 0 || id.len > PC_APP_ID_MAX || !pc_utf8_valid(id) ||
        pc_slice_find(id, '/') < id.len)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "app id: must be 1 to %d bytes without '/'",
                          PC_APP_ID_MAX);
    if (key.len == 0 || key.len > PC_APP_ID_MAX || !pc_utf8_valid(key) ||
        pc_slice_find(key, ':') < key.len || pc_slice_find(key, '/') < key.len)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: key must be 1 to %d bytes without ':' and '/'", o->id,
                          PC_APP_ID_MAX);
    if (!o->secret || !*o->secret)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "app %.60s: secret is missing", o->id);
    uint8_t master_key[32];
    bool usable = !o->encryption_master_key || read_master_key(o, master_key);
    pc_wipe(master_key, sizeof master_key);
    if (!usable)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: encryption_master_key must be the base64 of exactly 32 bytes",
                          o->id);
    char about[80];
    (void)snprintf(about, sizeof about, "app %.60s: ", o->id);
    int err = pc_settings_check(settings, SETTING_COUNT, o, about, info);
    if (err == 0)
        err = check_origins(o, info);
    if (err == 0)
        err = pc_shape_rules_check(pc_slice_of(o->shaping), about, info);
    if (err == 0)
        err = pc_ephemeral_rules_check(pc_slice_of(o->ephemeral), about, info);
    if (err == 0)
        err = pc_receipt_rules_check(pc_slice_of(o->receipts), about, info);
    if (err == 0)
        err = check_history(o, info);
    if (err)
        return err;
    if (o->webhook_count && !webhooks)
        return pc_errinfo(
            info, PUSHERC_ENOSYS, 0,
            "app %.60s: webhooks were not compiled in, or there is no libcurl that fits", o->id);
    return pc_endpoints_check(o, info);
}

static int make_content_seed(struct pc_app *app)
{
    const pusherc_slice use = PC_S("contents of idempotency keys");
    char digest[PC_SHA256_HEX];
    int err = pc_hmac_hex(app->secret, &use, 1, digest);
    for (size_t i = 0; i < PC_SHA256_HEX / 2 && err == 0; i++)
        app->content_seed[i / 16] =
            app->content_seed[i / 16] << 4 |
            (uint64_t)(digest[i] <= '9' ? digest[i] - '0' : digest[i] - 'a' + 10);
    return err;
}

static int keep_secret_text(struct pc_app *app, pusherc_slice secret)
{
#ifdef PC_WITH_EXPLAIN
    app->secret_text = pc_slice(pc_dup(&app->mem, secret), secret.len);
    return app->secret_text.ptr ? 0 : PUSHERC_ENOMEM;
#else
    (void)app, (void)secret;
    return 0;
#endif
}

/* Defaults of a pusherc_history_pattern, as history.h says. */
#define HISTORY_EVENTS 100
#define HISTORY_BYTES  (1024 * 1024)
#define HISTORY_S      120

#define MOST_AT_ONCE 10000 /* messages, where channels are not limited */

static void set_message_rate(struct pc_app *app)
{
    const pusherc_app_options *o = &app->options;
    if (o->max_client_messages_per_s == PUSHERC_NO_LIMIT ||
        o->max_client_events_per_s == PUSHERC_NO_LIMIT)
        return;
    uint64_t per_s = (uint64_t)o->max_client_messages_per_s + o->max_client_events_per_s;
    uint32_t channels = o->max_channels_per_connection;
    app->message_us = per_s < 1000000 ? (uint32_t)(1000000 / per_s) : 1;
    app->burst_us = app->message_us * (per_s + (channels < MOST_AT_ONCE ? channels : MOST_AT_ONCE));
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static int copy_history(struct pc_app *app, const pusherc_app_options *o)
{
    if (o->history_count == 0)
        return 0;
    app->history = pc_alloc_zero(&app->mem, o->history_count * sizeof *app->history);
    if (!app->history)
        return PUSHERC_ENOMEM;
    app->options.history_count = o->history_count;
    for (size_t i = 0; i < o->history_count; i++) {
        pusherc_history_pattern one;
        struct pc_history_rule *rule = &app->history[i];
        int err = PC_TAKE(history_pattern, &one, PUSHERC_AT(o->history, i), NULL);
        if (err)
            return err;
        pusherc_slice pattern = pc_slice_of(one.pattern);
        rule->pattern = pc_slice(pc_dup(&app->mem, pattern), pattern.len);
        rule->max_events = or_default(one.max_events, HISTORY_EVENTS);
        rule->max_bytes = or_default(one.max_bytes, HISTORY_BYTES);
        rule->keep_ms = UINT64_C(1000) * or_default(one.max_age_s, HISTORY_S);
        if (!rule->pattern.ptr)
            return PUSHERC_ENOMEM;
    }
    return 0;
}

const struct pc_history_rule *pc_app_history_find(const struct pc_app *app, pusherc_slice channel)
{
    for (size_t i = 0; i < app->options.history_count; i++)
        if (pc_pattern_matches(app->history[i].pattern, channel, NULL))
            return &app->history[i];
    return NULL;
}

int pc_app_new(struct pc_app **out, const struct pc_mem *mem, const pusherc_app_options *options)
{
    *out = NULL;
    struct pc_app *app = pc_alloc_zero(mem, sizeof *app);
    if (!app)
        return PUSHERC_ENOMEM;
    app->mem = *mem;
    atomic_init(&app->refs, 1);
    app->options = *options;
    pc_settings_fill(settings, SETTING_COUNT, &app->options);
    set_message_rate(app);
    app->limits_received = app->options.max_received_messages_per_s != PUSHERC_NO_LIMIT ||
                           app->options.max_received_bytes_per_s != PUSHERC_NO_LIMIT;
    app->options.id = app->options.key = app->options.secret = NULL;
    app->options.encryption_master_key = app->options.shaping = app->options.ephemeral = NULL;
    app->options.receipts = NULL;
    app->has_master_key = options->encryption_master_key != NULL;
    if (app->has_master_key)
        read_master_key(options, app->master_key);
    app->options.allowed_origins = NULL;
    app->options.webhooks = NULL;
    app->options.webhook_count = 0;
    app->options.history = NULL;
    app->options.history_count = 0;
    app->id = pc_slice(pc_dup(mem, pc_slice_of(options->id)), strlen(options->id));
    app->key = pc_slice(pc_dup(mem, pc_slice_of(options->key)), strlen(options->key));
    int err = app->id.ptr && app->key.ptr ? 0 : PUSHERC_ENOMEM;
    if (err == 0)
        err = keep_secret_text(app, pc_slice_of(options->secret));
    if (err == 0)
        err = pc_hmac_key_new(&app->secret, mem, pc_slice_of(options->secret));
    if (err == 0)
        err = make_content_seed(app);
    if (err == 0 && options->allowed_origins)
        err = pc_origins_copy(mem, options->allowed_origins, &app->origins);
    if (err == 0)
        err = pc_shape_rules_read(&app->shaping, mem, pc_slice_of(options->shaping));
    if (err == 0)
        err = pc_ephemeral_rules_read(&app->ephemeral, mem, pc_slice_of(options->ephemeral));
    if (err == 0)
        err = pc_receipt_rules_read(&app->receipts, mem, pc_slice_of(options->receipts));
    if (err == 0)
        err = copy_history(app, options);
    if (err) {
        pc_app_unref(app);
        return err;
    }
    app->by_id.key = app->id;
    app->by_key.key = app->key;
    *out = app;
    return 0;
}

static int keep(struct pc_app *app, pusherc_slice key, const struct pc_hmac_key *secret,
                uint64_t until_ms)
{
    app->old_key = pc_slice(pc_dup(&app->mem, key), key.len);
    app->old_until_ms = until_ms;
    return app->old_key.ptr ? pc_hmac_key_copy(&app->old_secret, &app->mem, secret)
                            : PUSHERC_ENOMEM;
}

int pc_app_keep_credentials(struct pc_app *app, const struct pc_app *old, uint64_t now_ms)
{
    uint64_t until_ms = now_ms + app->options.secret_grace_ms;
    if (until_ms == now_ms)
        return 0;
    if (!pc_slice_eq(app->key, old->key) || !pc_hmac_key_eq(app->secret, old->secret))
        return keep(app, old->key, old->secret, until_ms);
    if (!pc_app_has_old_credentials(old, now_ms))
        return 0;
    return keep(app, old->old_key, old->old_secret,
                until_ms < old->old_until_ms ? until_ms : old->old_until_ms);
}

bool pc_app_connect(struct pc_app *app)
{
    uint32_t before = atomic_fetch_add_explicit(&app->state->connections, 1, memory_order_relaxed);
    if (before < app->options.max_connections)
        return true;
    pc_app_disconnect(app);
    return false;
}

void pc_app_disconnect(struct pc_app *app)
{
    atomic_fetch_sub_explicit(&app->state->connections, 1, memory_order_relaxed);
}

static bool take_rate(struct pc_app *app, struct pc_rate *rate, uint32_t per_s, uint32_t amount,
                      uint64_t now_ms)
{
    if (per_s == PUSHERC_NO_LIMIT)
        return true;
    pthread_mutex_lock(&app->state->mutex);
    bool ok = pc_rate_take(rate, per_s, amount, now_ms);
    pthread_mutex_unlock(&app->state->mutex);
    return ok;
}

bool pc_app_take_events(struct pc_app *app, uint32_t count, uint64_t now_ms)
{
    return take_rate(app, &app->state->backend_events, app->options.max_backend_events_per_s, count,
                     now_ms);
}

bool pc_app_take_read(struct pc_app *app, uint64_t now_ms)
{
    return take_rate(app, &app->state->read_requests, app->options.max_read_requests_per_s, 1,
                     now_ms);
}
