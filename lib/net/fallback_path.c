#include "net/fallback_path.h"

#include <pusherc/error.h>

#include "codec/json.h"
#include "net/entrance.h"

#define MAX_NAME   64 /* of a session, each part; pusher-js takes up to 3 and 8 */
#define MIN_SECRET 8  /* of the part that others must not guess */

/* Cuts what comes before the next '/'. */
static pusherc_slice cut(pusherc_slice *path)
{
    size_t n = pc_slice_find(*path, '/');
    pusherc_slice part = pc_slice_first(*path, n);
    *path = pc_slice_skip(*path, n < path->len ? n + 1 : n);
    return part;
}

static bool name_valid(pusherc_slice part, size_t min)
{
    for (size_t i = 0; i < part.len; i++) {
        char c = pc_ascii_lower(part.ptr[i]);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_'))
            return false;
    }
    return part.len >= min && part.len <= MAX_NAME;
}

/* pusher-js ends each address that it asks with "t=TIME&n=NUMBER". */
static uint64_t number_of(const struct pc_http_message *m)
{
    uint64_t number;
    return pc_slice_to_u64(pc_query_value(m->query, PC_S("n")), &number) ? number : 0;
}

int pc_sockjs_read_target(pusherc_slice message, struct pc_buf *scratch, pusherc_slice *target)
{
    struct pc_json path = pc_json_get(pc_json_parse(message), PC_S("path"));
    int err = pc_json_string(path, scratch, target);
    if (err)
        return err == PUSHERC_ENOMEM ? err : PUSHERC_EPROTO;
    return pc_slice_starts(*target, PC_S("/app/")) ? 0 : PUSHERC_EPROTO;
}

/* "/app/KEY/SERVER/SESSION/ACTION", also below "/pusher", which is where pusher-js looks unless it is told otherwise; there
 * SockJS's library asks for "/info" and "/SERVER/SESSION/ACTION". */
bool pc_fallback_path_read(const struct pc_engine *engine, const struct pc_http_message *m,
                           struct pc_fallback_path *out)
{
    pusherc_slice path = m->path;
    if (!pc_strip_prefix(engine, path, &path))
        return false;
    *out = (struct pc_fallback_path){0};
    if (pc_slice_starts(path, PC_S("/pusher/"))) {
        path = pc_slice_skip(path, sizeof "/pusher" - 1);
        out->sockjs = !pc_slice_starts(path, PC_S("/app/"));
    }
    if (out->sockjs && pc_slice_eq(path, PC_S("/info"))) {
        out->action = PC_FALLBACK_INFO;
        return true;
    }
    const char *begin = path.ptr;
    if (out->sockjs) {
        path = pc_slice_skip(path, 1);
    } else if (pc_slice_starts(path, PC_S("/app/"))) {
        path = pc_slice_skip(path, sizeof "/app/" - 1);
        begin = path.ptr;
        out->key = cut(&path);
        if (out->key.len == 0)
            return false;
    } else {
        return false;
    }
    pusherc_slice server = cut(&path), session = cut(&path);
    if (!name_valid(server, 1) || !name_valid(session, MIN_SECRET))
        return false;
    out->name = pc_slice(begin, (size_t)(session.ptr + session.len - begin));
    if (pc_slice_eq(path, PC_S("xhr_streaming")))
        out->action = PC_FALLBACK_STREAM;
    else if (pc_slice_eq(path, PC_S("xhr")))
        out->action = PC_FALLBACK_POLL;
    else if (pc_slice_eq(path, PC_S("xhr_send")))
        out->action = PC_FALLBACK_SEND;
    else
        return false;
    out->number = number_of(m);
    return true;
}
