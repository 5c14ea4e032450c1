#include "session/doing.h"

#include "base/pack.h"
#include "fanout/publish.h"
#include "fanout/view.h"
#include "session/auth_request.h"
#include "session/reply.h"

#define MAX_WHO                                                                                    \
    1024 /* "u" and a user's id: 128 characters of a member's, or PC_IDENTITY_MAX_ID bytes */

_Static_assert(MAX_WHO > 1 + 4 * PC_MEMBER_ID_MAX && MAX_WHO > 1 + PC_IDENTITY_MAX_ID, "both fit");

/* As pc_said.who: the member, or else the user, or else the connection. */
static pusherc_slice who_is(const struct pc_session *s, pusherc_slice member_id, char room[MAX_WHO])
{
    pusherc_slice user = member_id.len ? member_id : pc_identity_user_id(pc_session_identity(s));
    char *at = room;
    if (user.len) {
        pc_pack(&at, PC_S("u"));
        pc_pack(&at, user);
    } else {
        char id[PUSHERC_SOCKET_ID_STRLEN];
        pusherc_socket_id_format(s->q->owner, id);
        pc_pack(&at, PC_S("s"));
        pc_pack(&at, pc_slice_of(id));
    }
    return pc_slice(room, (size_t)(at - room));
}

int pc_doing_read(struct pc_session *s, struct pc_subscription *sub,
                  const struct pc_ephemeral_rule *rule, pusherc_slice event, pusherc_slice data,
                  struct pc_ephemeral_change *out)
{
    char room[MAX_WHO], stack[PC_EPHEMERAL_KEY_MAX];
    struct pc_buf scratch;
    pusherc_slice key;
    int err = 0;
    *out = (struct pc_ephemeral_change){
        .step = pc_ephemeral_says_ended(data) ? PC_EPHEMERAL_ENDED : PC_EPHEMERAL_SAID,
        .bounds = {.rule = rule, .max_bytes = s->app->options.max_ephemeral_bytes},
        .holder = &sub->ephemeral,
        .tell = pc_publish_over};
    pc_buf_init_in(&scratch, s->worker->mem, sizeof stack, stack, sizeof stack);
    if (pc_ephemeral_key(rule, data, &scratch, &key)) {
        const pusherc_slice member = sub->member ? sub->member->node.key : PC_S("");
        out->said = pc_said_new(s->worker->mem, event, who_is(s, member, room), key, data);
        err = out->said ? 0 : PUSHERC_ENOMEM;
    }
    if (out->said) {
        out->said->by = s->q->owner;
        out->said->shows_user = sub->member != NULL;
    }
    pc_buf_free(&scratch);
    return err;
}

/* False: the client's view may not see it. */
static void say(struct pc_session *s, const struct pc_join *join, const struct pc_said *said)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_render_past(s->worker->engine, join, said->event, said->data,
                   said->shows_user ? pc_said_user_id(said) : PC_S(""), &message);
    if (message.len > 0 || pc_buf_status(&message))
        pc_session_say(s, &message);
    else
        pc_buf_free(&message);
}

/* At most half of what may wait for a client, as of its past: a client that got more would be closed as too slow. */
void pc_doing_say_all(struct pc_session *s, const struct pc_join *join,
                      const struct pc_said_list *list)
{
    char room[MAX_WHO];
    const size_t max = s->worker->engine->options.out_hard_bytes / 2;
    const pusherc_slice me = list->count ? who_is(s, join->user_id, room) : PC_S("");
    for (size_t i = 0; i < list->count; i++) {
        const struct pc_said *said = list->items[i];
        if (pc_slice_eq(said->who, me))
            continue;
        if (s->q->held + sizeof *said + said->data.len > max || s->state != PC_SESSION_OPEN)
            return;
        say(s, join, said);
    }
}
