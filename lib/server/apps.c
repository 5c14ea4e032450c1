#include "server/server.h"

struct pc_app *pc_server_app(pusherc_server *server, const char *app_id, int *err)
{
    struct pc_app *app = NULL;
    *err = PUSHERC_EINVAL;
    if (server && app_id) {
        app = pc_apps_by_id(&server->engine.apps, pc_slice_of(app_id));
        *err = app ? 0 : PUSHERC_ENOENT;
    }
    return app;
}

int pusherc_server_put_apps(pusherc_server *server, const pusherc_app_options *options,
                            size_t count, pusherc_errinfo *info)
{
    if (!server || (count > 0 && !options))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "NULL argument");
    return pc_apps_put(&server->engine.apps, options, count, info);
}

int pusherc_server_put_app(pusherc_server *server, const pusherc_app_options *options,
                           pusherc_errinfo *info)
{
    return pusherc_server_put_apps(server, options, 1, info);
}
