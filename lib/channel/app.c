#include "channel/app.h"

#include "base/log.h"
#include "protocol/names.h"

void pc_app_live_ref(struct pc_app_live *live)
{
    atomic_fetch_add_explicit(&live->refs, 1, memory_order_relaxed);
}

void pc_app_live_unref(struct pc_app_live *live)
{
    if (!live || atomic_fetch_sub_explicit(&live->refs, 1, memory_order_acq_rel) != 1)
        return;
    pc_endpoints_unref(live->endpoints);
    pc_idempotency_free(&live->idempotency);
    pc_counts_free(&live->per_user);
    pc_counts_free(&live->per_address);
    struct pc_mem mem = live->mem;
    pthread_mutex_destroy(&live->mutex);
    pc_free(&mem, live);
}

struct pc_app_live *pc_app_live_new(const struct pc_mem *mem, uint64_t uid, uint32_t worker_count,
                                    const uint64_t seed[2])
{
    /* The allocator aligns to 16 bytes; what a worker writes wants cache lines to itself. */
    const size_t line = _Alignof(struct pc_app_stats);
    const size_t slots = (size_t)worker_count + 1;
    struct pc_app_live *live =
        pc_alloc_zero(mem, sizeof *live + line + slots * sizeof *live->stats);
    if (!live)
        return NULL;
    uintptr_t at = ((uintptr_t)(live + 1) + line - 1) & ~(uintptr_t)(line - 1);
    live->stats = (struct pc_app_stats *)at;
    live->mem = *mem;
    live->worker_count = worker_count;
    atomic_init(&live->refs, 1);
    live->uid = uid;
    pc_list_init(&live->webhook_queues);
    pthread_mutex_init(&live->mutex, NULL);
    pc_idempotency_init(&live->idempotency, &live->mem, seed);
    pc_counts_init(&live->per_user, &live->mem, seed);
    pc_counts_init(&live->per_address, &live->mem, seed);
    return live;
}

struct pc_endpoints *pc_app_endpoints(struct pc_app_live *live)
{
    pthread_mutex_lock(&live->mutex);
    struct pc_endpoints *endpoints = pc_endpoints_ref(live->endpoints);
    pthread_mutex_unlock(&live->mutex);
    return endpoints;
}

struct pc_endpoints *pc_app_set_endpoints(struct pc_app_live *live, struct pc_endpoints *endpoints)
{
    pthread_mutex_lock(&live->mutex);
    struct pc_endpoints *before = live->endpoints;
    live->endpoints = endpoints;
    atomic_store_explicit(&live->notices, endpoints ? endpoints->kinds : 0, memory_order_relaxed);
    pthread_mutex_unlock(&live->mutex);
    return before;
}

void pc_app_ref(struct pc_app *app)
{
    atomic_fetch_add_explicit(&app->refs, 1, memory_order_relaxed);
}

void pc_app_unref(struct pc_app *app)
{
    /* acquire: whoever frees sees everything the other holders did */
    if (!app || atomic_fetch_sub_explicit(&app->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = app->mem;
    for (char **o = app->origins; o && *o; o++)
        pc_free(&mem, *o);
    pc_free(&mem, app->origins);
    pc_hmac_key_free(app->secret);
    pc_wipe(app->master_key, sizeof app->master_key);
    if (app->secret_text.ptr)
        pc_wipe((char *)app->secret_text.ptr, app->secret_text.len);
    pc_free(&mem, (char *)app->secret_text.ptr);
    pc_app_live_unref(app->live);
    pc_free(&mem, (char *)app->id.ptr);
    pc_free(&mem, (char *)app->key.ptr);
    pc_free(&mem, app);
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

/* Afterwards 0 means 0. */
static uint32_t delay_or_default(uint32_t value, uint32_t fallback)
{
    return value == PUSHERC_NO_DELAY ? 0 : or_default(value, fallback);
}

static void apply_defaults(pusherc_app_options *o)
{
    o->activity_timeout_ms = or_default(o->activity_timeout_ms, 120000);
    o->max_connections = or_default(o->max_connections, PUSHERC_NO_LIMIT);
    o->max_channel_name_bytes = or_default(o->max_channel_name_bytes, PC_CHANNEL_NAME_MAX);
    o->max_event_name_bytes = or_default(o->max_event_name_bytes, 200);
    o->max_event_payload_bytes = or_default(o->max_event_payload_bytes, 10240);
    o->max_event_channels = or_default(o->max_event_channels, 100);
    o->max_batch_events = or_default(o->max_batch_events, 10);
    o->max_presence_members = or_default(o->max_presence_members, 100);
    o->max_user_info_bytes = or_default(o->max_user_info_bytes, 2048);
    o->max_channels_per_connection = or_default(o->max_channels_per_connection, 1000);
    o->max_client_events_per_s = or_default(o->max_client_events_per_s, 10);
    o->max_backend_events_per_s = or_default(o->max_backend_events_per_s, PUSHERC_NO_LIMIT);
    o->max_read_requests_per_s = or_default(o->max_read_requests_per_s, PUSHERC_NO_LIMIT);
    o->max_connections_per_user = or_default(o->max_connections_per_user, PUSHERC_NO_LIMIT);
    o->max_connections_per_ip = or_default(o->max_connections_per_ip, PUSHERC_NO_LIMIT);
    o->max_watchlist_users = or_default(o->max_watchlist_users, PC_WATCHLIST_MAX);
    o->user_authentication_timeout_ms = or_default(o->user_authentication_timeout_ms, 30000);
    o->cache_ttl_s = or_default(o->cache_ttl_s, 1800);
    o->offline_delay_ms = delay_or_default(o->offline_delay_ms, 3000);
}

static bool read_master_key(const pusherc_app_options *o, uint8_t out[32])
{
    size_t len = 0;
    return pc_base64_decode(pc_slice_of(o->encryption_master_key), out, 32, &len) && len == 32;
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
    if (o->activity_timeout_ms != 0 && o->activity_timeout_ms < 1000)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: activity_timeout_ms must be 1000 or more", o->id);
    if (o->max_channel_name_bytes > PC_CHANNEL_NAME_MAX)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: max_channel_name_bytes must be at most %d", o->id,
                          PC_CHANNEL_NAME_MAX);
    if (o->max_event_channels > 100)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: max_event_channels must be at most 100", o->id);
    if (o->max_batch_events > 10)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "app %.60s: max_batch_events must be at most 10",
                          o->id);
    if (o->max_watchlist_users > PC_WATCHLIST_MAX)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: max_watchlist_users must be at most %d", o->id,
                          PC_WATCHLIST_MAX);
    if (o->auth_mode != PUSHERC_AUTH_SIGNATURE && o->auth_mode != PUSHERC_AUTH_RULES &&
        o->auth_mode != PUSHERC_AUTH_EITHER)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "app %.60s: auth_mode is none of PUSHERC_AUTH_*",
                          o->id);
    if (o->slow_policy != PUSHERC_SLOW_CLOSE && o->slow_policy != PUSHERC_SLOW_DROP)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: slow_policy is none of PUSHERC_SLOW_*", o->id);
    if (o->webhook_count && !webhooks)
        return pc_errinfo(info, PUSHERC_ENOSYS, 0, "app %.60s: webhooks were not compiled in",
                          o->id);
    return pc_endpoints_check(o, info);
}

static int copy_origins(struct pc_app *app, const char *const *origins)
{
    size_t n = 0;
    while (origins[n])
        n++;
    app->origins = pc_alloc_array(&app->mem, n + 1, sizeof *app->origins);
    if (!app->origins)
        return PUSHERC_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        app->origins[i] = pc_dup(&app->mem, pc_slice_of(origins[i]));
        if (!app->origins[i])
            return PUSHERC_ENOMEM;
        for (char *c = app->origins[i]; *c; c++)
            *c = pc_ascii_lower(*c);
    }
    return 0;
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
    apply_defaults(&app->options);
    app->options.id = app->options.key = app->options.secret = NULL;
    app->options.encryption_master_key = NULL;
    app->has_master_key = options->encryption_master_key != NULL;
    if (app->has_master_key)
        read_master_key(options, app->master_key);
    app->options.allowed_origins = NULL;
    app->options.webhooks = NULL;
    app->options.webhook_count = 0;
    app->id = pc_slice(pc_dup(mem, pc_slice_of(options->id)), strlen(options->id));
    app->key = pc_slice(pc_dup(mem, pc_slice_of(options->key)), strlen(options->key));
    app->secret_text = pc_slice(pc_dup(mem, pc_slice_of(options->secret)), strlen(options->secret));
    int rc = app->id.ptr && app->key.ptr && app->secret_text.ptr ? 0 : PUSHERC_ENOMEM;
    if (rc == 0)
        rc = pc_hmac_key_new(&app->secret, mem, pc_slice_of(options->secret));
    if (rc == 0 && options->allowed_origins)
        rc = copy_origins(app, options->allowed_origins);
    if (rc) {
        pc_app_unref(app);
        return rc;
    }
    app->by_id.key = app->id;
    app->by_key.key = app->key;
    *out = app;
    return 0;
}

bool pc_app_connect(struct pc_app *app)
{
    uint32_t before = atomic_fetch_add_explicit(&app->live->connections, 1, memory_order_relaxed);
    if (before < app->options.max_connections)
        return true;
    pc_app_disconnect(app);
    return false;
}

void pc_app_disconnect(struct pc_app *app)
{
    atomic_fetch_sub_explicit(&app->live->connections, 1, memory_order_relaxed);
}

static bool take(struct pc_app *app, struct pc_rate *rate, uint32_t per_s, uint32_t amount,
                 uint64_t now_ms)
{
    if (per_s == PUSHERC_NO_LIMIT)
        return true;
    pthread_mutex_lock(&app->live->mutex);
    bool ok = pc_rate_take(rate, per_s, amount, now_ms);
    pthread_mutex_unlock(&app->live->mutex);
    return ok;
}

bool pc_app_take_events(struct pc_app *app, uint32_t count, uint64_t now_ms)
{
    return take(app, &app->live->backend_events, app->options.max_backend_events_per_s, count,
                now_ms);
}

bool pc_app_take_read(struct pc_app *app, uint64_t now_ms)
{
    return take(app, &app->live->read_requests, app->options.max_read_requests_per_s, 1, now_ms);
}

/* '*' stands for any run of characters. Linear: on a mismatch only the last star is tried again. */
static bool glob(const char *p, pusherc_slice s)
{
    const char *star = NULL;
    size_t i = 0, mark = 0;
    while (i < s.len) {
        if (*p == '*') {
            star = ++p;
            mark = i;
        } else if (*p == pc_ascii_lower(s.ptr[i]) && *p) {
            p++;
            i++;
        } else if (star) {
            p = star;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (*p == '*')
        p++;
    return *p == '\0';
}

/* "https://example.org:8443" -> "example.org" */
static pusherc_slice origin_host(pusherc_slice origin)
{
    for (size_t i = 0; i + 3 <= origin.len; i++) {
        if (memcmp(origin.ptr + i, "://", 3) == 0) {
            origin = pc_slice_skip(origin, i + 3);
            break;
        }
    }
    if (origin.len && origin.ptr[0] == '[')
        return pc_slice_first(origin, pc_slice_find(origin, ']') + 1);
    origin = pc_slice_first(origin, pc_slice_find(origin, '/')); /* browsers send no path */
    return pc_slice_first(origin, pc_slice_find(origin, ':'));
}

bool pc_app_allows_origin(const struct pc_app *app, pusherc_slice origin)
{
    if (!app->origins)
        return true;
    pusherc_slice host = origin_host(origin);
    for (char **pattern = app->origins; *pattern; pattern++) {
        /* a pattern with a scheme is compared with the whole origin */
        bool whole = strstr(*pattern, "://") != NULL;
        if (glob(*pattern, whole ? origin : host))
            return origin.len > 0 || strcmp(*pattern, "*") == 0;
    }
    return false;
}

bool pc_app_any_origin(const struct pc_app *app)
{
    for (char **pattern = app->origins; pattern && *pattern; pattern++)
        if (strcmp(*pattern, "*") == 0)
            return true;
    return !app->origins;
}
