#include "session/admit.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "protocol/close.h"
#include "session/seats.h"

#define MAX_PROTOCOL 7
#define MIN_PROTOCOL 4

static enum pc_admit_result refuse_client_because(struct pc_admission *out, uint16_t code,
                                                  pusherc_slice reason)
{
    out->code = code;
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)reason.len, reason.ptr);
    return PC_ADMIT_REFUSED;
}

static enum pc_admit_result refuse_client(struct pc_admission *out, uint16_t code)
{
    return refuse_client_because(out, code, pc_close_text(code));
}

bool pc_strip_prefix(const struct pc_engine *engine, pusherc_slice path, pusherc_slice *out)
{
    pusherc_slice prefix = pc_slice_of(engine->options.path_prefix);
    if (!pc_slice_starts(path, prefix))
        return false;
    *out = pc_slice_skip(path, prefix.len);
    return out->len > 0 && out->ptr[0] == '/';
}

bool pc_admit_path(const struct pc_engine *engine, pusherc_slice path)
{
    return pc_strip_prefix(engine, path, &path) && pc_slice_starts(path, PC_S("/app/"));
}

pusherc_slice pc_admit_key(const struct pc_engine *engine, pusherc_slice path)
{
    if (!pc_admit_path(engine, path))
        return PC_S("");
    path = pc_slice_skip(path, strlen(engine->options.path_prefix) + sizeof "/app/" - 1);
    return pc_slice_find(path, '/') == path.len ? path : PC_S("");
}

static bool take_key(const struct pc_engine *engine, pusherc_slice encoded,
                     struct pc_admission *out)
{
    char stack[256];
    struct pc_buf scratch;
    pusherc_slice key;
    pc_buf_init_in(&scratch, &engine->mem, sizeof stack, stack, sizeof stack);
    bool ok = encoded.len > 0 && pc_http_decode(encoded, false, &scratch, &key) == 0 &&
              key.len < sizeof out->key;
    if (ok) {
        memcpy(out->key, key.ptr, key.len);
        out->key[key.len] = '\0';
        out->key_len = key.len;
    }
    pc_buf_free(&scratch);
    return ok;
}

/* Refuses a present but wrong version; 0 = absent, which only the app's settings can judge. */
static enum pc_admit_result read_protocol(pusherc_slice query, struct pc_admission *out)
{
    /* As sent: digits survive percent-encoding. */
    pusherc_slice text = pc_query_value(query, PC_S("protocol"));
    uint64_t version;
    out->newcomer.protocol = 0;
    if (text.len == 0)
        return PC_ADMIT_OK;
    if (!pc_slice_to_u64(text, &version))
        return refuse_client(out, PC_CLOSE_BAD_VERSION);
    if (version < MIN_PROTOCOL || version > MAX_PROTOCOL)
        return refuse_client(out, PC_CLOSE_UNSUPPORTED_VERSION);
    out->newcomer.protocol = (uint8_t)version;
    return PC_ADMIT_OK;
}

static enum pc_admit_result refuse_path(const struct pc_engine *engine, struct pc_admission *out)
{
    pusherc_slice prefix = pc_utf8_cut(pc_slice_of(engine->options.path_prefix), 60);
    (void)refuse_client(out, PC_CLOSE_PATH_NOT_FOUND);
    snprintf(out->reason, sizeof out->reason, "Path not found: it must be %.*s/app/{key}",
             (int)prefix.len, prefix.len ? prefix.ptr : "");
    return PC_ADMIT_REFUSED;
}

enum pc_admit_result pc_admit_request(struct pc_engine *engine,
                                      const struct pc_http_message *request, pusherc_slice key,
                                      struct pc_admission *out)
{
    *out = (struct pc_admission){0};
    if (pc_engine_is_draining(engine))
        return refuse_client(out, PC_CLOSE_RECONNECT);
    if (pc_engine_health(engine) == PC_HEALTH_APART)
        return refuse_client_because(out, PC_CLOSE_OVER_CAPACITY,
                                     PC_S("The server has no link with the others"));
    if (!take_key(engine, key, out))
        return refuse_path(engine, out);
    return read_protocol(request->query, out);
}

static enum pc_admit_result unknown_app(struct pc_admission *out)
{
    pusherc_slice shown = pc_utf8_cut(pc_slice(out->key, out->key_len), 80);
    if (!pc_utf8_valid(shown))
        shown.len = 0;
    out->code = PC_CLOSE_UNKNOWN_APP;
    snprintf(out->reason, sizeof out->reason, "App key %.*s does not exist", (int)shown.len,
             shown.ptr);
    return PC_ADMIT_UNKNOWN_APP;
}

/* Counts a connection of the app and of the address, within their limits. pc_newcomer_free() undoes it. */
static enum pc_admit_result check_quotas(struct pc_app *app, pusherc_slice address,
                                         struct pc_admission *out)
{
    uint32_t max = app->options.max_connections_per_ip;
    int err = 0;
    if (!pc_app_connect(app)) {
        pc_app_limited(app, PC_APP_max_connections);
        return refuse_client(out, PC_CLOSE_OVER_QUOTA);
    }
    if (address.len && max != PUSHERC_NO_LIMIT)
        err = pc_counts_take(&app->state->per_address, address, max, &out->newcomer.of_address);
    if (err == 0)
        return PC_ADMIT_OK;
    pc_app_disconnect(app);
    if (err == PUSHERC_ENOMEM)
        return refuse_client(out, PC_CLOSE_INTERNAL);
    pc_app_limited(app, PC_APP_max_connections_per_ip);
    return refuse_client_because(out, PC_CLOSE_OVER_QUOTA, PC_S(PC_ADDRESS_OVER_QUOTA));
}

static enum pc_admit_result check_app(const struct pc_engine *engine, struct pc_app *app,
                                      const struct pc_http_message *request, bool tls,
                                      pusherc_slice address, struct pc_admission *out)
{
    const pusherc_app_options *o = &app->options;
    if (out->newcomer.protocol == 0) {
        if (!o->allow_missing_protocol)
            return refuse_client(out, PC_CLOSE_NO_VERSION);
        out->newcomer.protocol = MAX_PROTOCOL;
    }
    if (o->disabled)
        return refuse_client(out, PC_CLOSE_APP_DISABLED);
    if (o->tls_only && !tls)
        return refuse_client(out, PC_CLOSE_TLS_ONLY);
    if (!pc_app_allows_origin(app, pc_http_field(request, PC_S("Origin"))))
        return refuse_client_because(out, PC_CLOSE_UNAUTHORIZED, PC_S("Origin not allowed"));
    enum pc_admit_result result = check_quotas(app, address, out);
    if (result == PC_ADMIT_OK && atomic_load_explicit(&engine->clients, memory_order_relaxed) >
                                     engine->options.max_connections) {
        pc_app_disconnect(app);
        pc_counts_drop(&app->state->per_address, out->newcomer.of_address);
        return refuse_client(out, PC_CLOSE_OVER_CAPACITY);
    }
    return result;
}

enum pc_admit_result pc_admit_app(struct pc_engine *engine, const struct pc_http_message *request,
                                  bool tls, pusherc_slice address, struct pc_admission *out)
{
    struct pc_app *app = pc_apps_by_key(&engine->apps, pc_slice(out->key, out->key_len));
    if (!app) {
        /* A missing version comes before an unknown key in the order of checks, and no app can
         * excuse it. */
        if (out->newcomer.protocol == 0)
            return refuse_client(out, PC_CLOSE_NO_VERSION);
        return unknown_app(out);
    }
    enum pc_admit_result result = check_app(engine, app, request, tls, address, out);
    if (result == PC_ADMIT_OK)
        out->newcomer.app = app;
    else
        out->refused_by = app;
    return result;
}

void pc_admit_count_error(struct pc_engine *engine, const struct pc_app *app, uint16_t code)
{
    struct pc_app_refusals *of = app ? &app->state->refusals : &engine->unknown_app;
    pc_stat_add_shared(&of->connects[pc_connect_error_of(code)], 1);
}

void pc_newcomer_free(struct pc_newcomer *newcomer)
{
    if (!newcomer->app)
        return;
    pc_counts_drop(&newcomer->app->state->per_address, newcomer->of_address);
    pc_app_disconnect(newcomer->app);
    pc_app_unref(newcomer->app);
    pc_identity_unref(newcomer->identity);
    newcomer->app = NULL;
    newcomer->of_address = NULL;
    newcomer->identity = NULL;
}
