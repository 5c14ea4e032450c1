#include "net/sockjs.h"

#include <pusherc/error.h>

#include "api/call.h"
#include "codec/crypto.h"
#include "codec/json.h"
#include "codec/xhr.h"
#include "net/entrance.h"
#include "protocol/close.h"
#include "session/seats.h"

/* The session that sent the request, which asks for an app now. NULL: it has gone meanwhile. */
static struct pc_fallback *session_of(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_http_message sent = *m;
    struct pc_fallback_path path;
    sent.path = m->sent_path;
    return pc_fallback_path_read(conn->loop->engine, &sent, &path)
               ? pc_fallback_find(conn->loop, path.name)
               : NULL;
}

static void reply(struct pc_conn *conn, const struct pc_http_message *m, int status,
                  const char *text)
{
    pc_fallback_reply(conn, m, status, text, true);
}

/* What came behind the first message, with the same request. */
static void take_rest(struct pc_fallback *f, const struct pc_http_message *m)
{
    struct pc_json_iter items;
    size_t count;
    if (pc_xhr_read(m->body, &items, &count) == 0 && pc_json_next(&items))
        pc_fallback_take_messages(f, items);
}

static int enter(struct pc_conn *conn, const struct pc_http_message *m,
                 struct pc_newcomer *newcomer, uint32_t expires_in_ms)
{
    struct pc_fallback *f = session_of(conn, m);
    if (!f || f->open || f->close_code) { /* it has gone, or another request was faster */
        pc_conn_uncount_client(conn);
        pc_newcomer_free(newcomer);
        reply(conn, m, 404, "There is no such session");
        return 0;
    }
    int err = pc_fallback_open(f, conn, newcomer, expires_in_ms);
    if (err) {
        uint16_t code = err == PUSHERC_ELIMIT ? PC_CLOSE_OVER_QUOTA : PC_CLOSE_INTERNAL;
        pc_admit_count_error(conn->loop->engine, newcomer->app, code);
        pc_conn_uncount_client(conn);
        pc_newcomer_free(newcomer);
        pc_fallback_close(f, code,
                          err == PUSHERC_ELIMIT ? PC_S(PC_USER_OVER_QUOTA) : pc_close_text(code));
    } else {
        pc_fallback_establish(f);
        take_rest(f, m);
    }
    reply(conn, m, 204, "");
    return err;
}

static void turn_away(struct pc_conn *conn, const struct pc_http_message *m,
                      const struct pc_app *app, uint16_t code, pusherc_slice reason)
{
    struct pc_fallback *f = session_of(conn, m);
    pc_admit_count_error(conn->loop->engine, app, code);
    pc_conn_uncount_client(conn);
    if (f && !f->open && !f->close_code)
        pc_fallback_close(f, code, reason);
    reply(conn, m, 204, "");
}

void pc_sockjs_take_first(struct pc_fallback *f, struct pc_conn *conn,
                          const struct pc_http_message *m)
{
    static const struct pc_entrance entrance = {enter, turn_away};
    const struct pc_mem *mem = conn->loop->worker->mem;
    struct pc_buf message_text, target_text;
    struct pc_json_iter items;
    pusherc_slice message, target;
    size_t count;
    pc_buf_init(&message_text, mem, SIZE_MAX);
    pc_buf_init(&target_text, mem, SIZE_MAX);
    if (m->body.len == 0) {
        reply(conn, m, 500, "Payload expected.");
    } else if (pc_xhr_read(m->body, &items, &count) || count > PC_FALLBACK_MAX_MESSAGES) {
        reply(conn, m, 500, "Broken JSON encoding.");
    } else if (!pc_json_next(&items)) {
        reply(conn, m, 204, "");
    } else if (pc_json_string(items.value, &message_text, &message) ||
               pc_sockjs_read_target(message, &target_text, &target)) {
        pc_fallback_close(f, PC_CLOSE_PATH_NOT_FOUND,
                          PC_S("The first message must be {\"path\":\"/app/{key}?protocol=7\"}"));
        reply(conn, m, 204, "");
    } else if (pc_http_retarget(conn, target)) {
        reply(conn, m, 500, "Out of memory");
    } else {
        pc_enter(conn, m, pc_slice_skip(m->path, sizeof "/app/" - 1), &entrance);
    }
    pc_buf_free(&message_text);
    pc_buf_free(&target_text);
}

void pc_sockjs_serve_info(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_api_reply info;
    uint32_t entropy = 0;
    int err = pc_random(&entropy, sizeof entropy);
    pc_api_reply_init(&info, conn->loop->worker->mem);
    pc_api_begin(&info, 200, PC_API_JSON);
    pc_fallback_name_origin(&info, m);
    pc_api_field(&info, PC_S("Cache-Control"),
                 PC_S("no-store, no-cache, no-transform, "
                      "must-revalidate, max-age=0"));
    pc_buf_put(&info.body, PC_S("{\"websocket\":false,\"origins\":[\"*:*\"],"
                                "\"cookie_needed\":false,\"entropy\":"));
    pc_buf_put_u64(&info.body, entropy);
    pc_buf_put_char(&info.body, '}');
    if (err)
        pc_api_plain(&info, 500, "No random number");
    else if (pc_buf_status(&info.body))
        pc_api_out_of_memory(&info);
    pc_http_reply(conn, &info, m);
    pc_api_reply_free(&info);
}
