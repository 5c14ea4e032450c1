#include "base/options.h"
#include "server/server.h"
#include "session/disconnect.h"

struct pc_app *pc_server_app(pusherc_server *server, const char *app_id, int *err)
{
    struct pc_app *app = NULL;
    if (!server || !app_id) {
        *err = PUSHERC_EINVAL;
    } else if (pc_server_is_copy(server)) {
        *err = PUSHERC_ESTATE;
    } else {
        app = pc_apps_by_id(&server->engine.apps, pc_slice_of(app_id));
        *err = app ? 0 : PUSHERC_ENOENT;
    }
    return app;
}

static bool any_disabled(const pusherc_app_options *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (PUSHERC_AT(options, i)->disabled)
            return true;
    return false;
}

int pc_server_put_apps(struct pc_engine *engine, bool running, const pusherc_app_options *options,
                       size_t count, pusherc_errinfo *info)
{
    const struct pc_disconnect disabled = {.code = PC_CLOSE_APP_DISABLED,
                                           .reason = pc_close_text(PC_CLOSE_APP_DISABLED)};
    struct pc_close_order *close = NULL;
    if (running && pc_disconnect_prepare(engine, &disabled, &close))
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "Out of memory");
    int err = pc_apps_put(&engine->apps, options, count, info);
    if (close && err == 0 && any_disabled(options, count))
        pc_disconnect_send(close, 0);
    else
        pc_disconnect_drop(close);
    return err;
}

int pusherc_server_put_apps(pusherc_server *server, const pusherc_app_options *options,
                            size_t count, pusherc_errinfo *info)
{
    if (!server || (count > 0 && !options))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "NULL argument");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    return pc_server_put_apps(&server->engine, pc_server_runs(server), options, count, info);
}

int pusherc_server_put_app(pusherc_server *server, const pusherc_app_options *options,
                           pusherc_errinfo *info)
{
    return pusherc_server_put_apps(server, options, 1, info);
}
