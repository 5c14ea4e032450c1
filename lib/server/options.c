#include "server/options.h"

#include <sched.h>
#include <string.h>

#include <pusherc/settings.h>

#include "base/options.h"
#include "base/setting.h"
#include "inspect/happened.h"

#define MAX_METRICS_PREFIX 64
#define MIN_TOKEN          16 /* bytes of inspector_token: too many to be guessed */
#define MAX_TOKEN          200

#define ROW(kind, name, min, max, fallback, words, meaning)                                        \
    PC_SETTING_ROW(pusherc_server_options, kind, name, min, max, fallback)

/* clang-format off */
static const struct pc_setting settings[] = {
    PUSHERC_SERVER_SETTING_MAP(ROW)
    PUSHERC_SERVER_HOST_SETTING_MAP(ROW)
};
/* clang-format on */

#define SETTING_COUNT (sizeof settings / sizeof settings[0])

static void fill(pusherc_server_options *o)
{
    if (o->webhook_batch_ms == PUSHERC_NO_DELAY)
        o->webhook_batch_events = 1;
    if (!o->log_level)
        o->log_level = PUSHERC_LOG_INFO;
    if (!o->auth_path)
        o->auth_path = "/broadcasting/auth";
    if (!o->user_auth_path)
        o->user_auth_path = "/broadcasting/user-auth";
    if (!o->metrics_prefix)
        o->metrics_prefix = "pusherc_";
    pc_settings_fill(settings, SETTING_COUNT, o);
}

static uint32_t cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > PUSHERC_WORKERS_MAX ? PUSHERC_WORKERS_MAX : (uint32_t)n;
}

uint32_t pc_server_workers(const pusherc_server_options *o, enum pc_server_mode *mode)
{
    if (o->loop) {
        *mode = PC_SERVER_ATTACHED;
        return o->worker_count <= 1 || o->worker_count == PUSHERC_WORKERS_NONE;
    }
    if (o->worker_count == PUSHERC_WORKERS_NONE) {
        *mode = PC_SERVER_POLLED;
        return 1;
    }
    *mode = PC_SERVER_THREADS;
    if (o->worker_count == PUSHERC_WORKERS_PER_CPU)
        return cpu_count();
    return o->worker_count == 0 ? 1 : o->worker_count <= PUSHERC_WORKERS_MAX ? o->worker_count : 0;
}

/* True if Prometheus accepts metric names with this prefix. */
static bool prefix_valid(pusherc_slice prefix)
{
    for (size_t i = 0; i < prefix.len; i++) {
        char c = pc_ascii_lower(prefix.ptr[i]);
        bool digit = c >= '0' && c <= '9';
        if (!((c >= 'a' && c <= 'z') || c == '_' || c == ':' || (digit && i > 0)))
            return false;
    }
    return prefix.len <= MAX_METRICS_PREFIX;
}

/* A hook that would be called and whose message would be put as well. NULL: none. */
static const char *wanted_twice(const pusherc_server_options *o)
{
    const pusherc_hooks none = PUSHERC_HOOKS_INIT, *hooks = o->hooks ? o->hooks : &none;
#define CHECK(hook, type)                                                                          \
    if (hooks->hook && (o->inbox_messages & (1u << PUSHERC_MESSAGE_##type)))                       \
        return #hook;
    CHECK(identify, IDENTIFY)
    CHECK(find_app, FIND_APP)
    CHECK(on_http, HTTP)
    CHECK(on_client_event, CLIENT_EVENT)
    CHECK(on_open, OPEN)
    CHECK(on_close, CLOSE)
    CHECK(on_channel, CHANNEL)
    CHECK(on_denied, DENIED)
    CHECK(on_webhook_failed, WEBHOOK_FAILED)
    CHECK(on_signin, SIGNIN)
    CHECK(on_user, USER)
    CHECK(on_receipt, RECEIPT)
    CHECK(on_ephemeral_end, EPHEMERAL_END)
#undef CHECK
    return o->log_fn && (o->inbox_messages & (1u << PUSHERC_MESSAGE_LOG)) ? "log_fn" : NULL;
}

#define ALL_MESSAGES ((2u << PUSHERC_MESSAGE_EPHEMERAL_END) - 2)

static int check_messages(const pusherc_server_options *o, pusherc_errinfo *info)
{
    const char *twice = wanted_twice(o);
    if (o->inbox_messages && !o->inbox)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "inbox_messages: there is no inbox");
    if (o->inbox_messages & ~ALL_MESSAGES)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "inbox_messages: a bit of no message type");
    if (twice)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "%s: set, and its message is in inbox_messages: choose one", twice);
    return 0;
}

/* A token is sent as a header field. */
static bool token_valid(pusherc_slice token)
{
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] <= ' ' || token.ptr[i] > '~')
            return false;
    return token.len == 0 || (token.len >= MIN_TOKEN && token.len <= MAX_TOKEN);
}

static int check(const pusherc_server_options *o, pusherc_errinfo *info)
{
    pusherc_slice prefix = pc_slice_of(o->path_prefix);
    if (prefix.len && (prefix.ptr[0] != '/' || prefix.ptr[prefix.len - 1] == '/'))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "path_prefix must begin with '/' and not end with it");
    if (strpbrk(prefix.len ? prefix.ptr : "", " ?#%"))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "path_prefix must be a plain path, without ' ', '?', '#' and '%%'");
    if (!prefix_valid(pc_slice_of(o->metrics_prefix)))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "metrics_prefix: at most %d letters, digits, '_' and ':', no digit first",
                          MAX_METRICS_PREFIX);
    if (!PC_HAS_INSPECTOR && pc_slice_of(o->inspector_token).len)
        return pc_errinfo(info, PUSHERC_ENOSYS, 0,
                          "inspector_token: the inspector was not compiled in");
    if (!token_valid(pc_slice_of(o->inspector_token)))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "inspector_token: %d to %d printable characters without spaces",
                          MIN_TOKEN, MAX_TOKEN);
    if (o->allocator &&
        (!o->allocator->malloc_fn || !o->allocator->realloc_fn || !o->allocator->free_fn))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "allocator: a function is missing");
    if (o->out_soft_bytes && o->out_hard_bytes && o->out_soft_bytes > o->out_hard_bytes)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "out_soft_bytes is above out_hard_bytes");
    int err = check_messages(o, info);
    return err ? err : pc_settings_check(settings, SETTING_COUNT, o, "", info);
}

int pc_server_options_take(pusherc_server_options *out, pusherc_hooks *hooks,
                           const pusherc_server_options *options, pusherc_errinfo *info)
{
    int err = PC_TAKE(server_options, out, options, info);
    if (err == 0 && out->hooks) {
        err = PC_TAKE(hooks, hooks, out->hooks, info);
        out->hooks = hooks;
    }
    err = err ? err : check(out, info);
    if (err == 0)
        fill(out);
    return err;
}
