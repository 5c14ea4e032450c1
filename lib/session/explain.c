#include "session/explain.h"

#include "why/why.h"

#define MAX_LOOKED_AT (4 * PC_WHY_MAX_OTHERS)

/* Other connections of the same app on this worker, the latest first. */
static size_t other_sockets(const struct pc_session *s, pusherc_socket_id ids[PC_WHY_MAX_OTHERS])
{
    size_t count = 0, looked_at = 0;
    const struct pc_list *all = &s->worker->sessions;
    for (struct pc_list *l = all->prev;
         l != all && looked_at < MAX_LOOKED_AT && count < PC_WHY_MAX_OTHERS;
         l = l->prev, looked_at++) {
        const struct pc_session *other = PC_CONTAINER(l, struct pc_session, of_worker);
        if (other != s && other->app->state == s->app->state)
            ids[count++] = other->q->owner;
    }
    return count;
}

void pc_session_explain(struct pc_session *s, const struct pc_app *app,
                        const struct pc_message_in *in, pusherc_slice to_sign)
{
    struct pc_engine *engine = s->worker->engine;
    pusherc_socket_id others[PC_WHY_MAX_OTHERS], ended[PC_WHY_MAX_ENDED];
    if (!PC_WHY_AFFORDS(&engine->log))
        return;
    const struct pc_why why = pc_engine_why(engine);
    const struct pc_why_message message = {
        .app = app,
        .socket_id = s->q->owner,
        .in = in,
        .to_sign = to_sign,
        .others = others,
        .other_count = other_sockets(s, others),
        .ended = ended,
        .ended_count = pc_why_ended_of(&engine->ended, s->app->state, ended, PC_WHY_MAX_ENDED)};
    pc_why_message(&why, &message);
}
