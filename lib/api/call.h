/*
 * What the files of this folder share: one request on its way through a handler, and the words an
 * answer is put together with. Files outside of api/ do not include this.
 */
#ifndef PC_API_CALL_H
#define PC_API_CALL_H

#include "api/api.h"
#include "protocol/names.h"

#define PC_API_JSON   "application/json"
#define PC_API_SCRIPT "application/javascript"
#define PC_API_TEXT   "text/plain; charset=utf-8"

#define PC_API_CHANNEL_ROOM 1024 /* a name in a path, decoded; longer ones are no names */

/* A request whose route is known; for an app's routes, also whose signature is right. */
struct pc_api_call {
    const struct pc_api_request *request;
    struct pc_api_reply *reply;
    struct pc_app *app; /* borrowed; NULL on health pages */
    /* or the user's id: decoded from the path, not checked; len 0 = the route has none */
    pusherc_slice channel;
    const struct pc_pair *params; /* of the query, decoded */
    size_t param_count;
};

/* The routes' handlers. Each fills the reply. */
void pc_api_events(struct pc_api_call *call);
void pc_api_batch_events(struct pc_api_call *call);
void pc_api_channel_events(struct pc_api_call *call);
void pc_api_channels(struct pc_api_call *call);
void pc_api_channel(struct pc_api_call *call);
void pc_api_channel_users(struct pc_api_call *call);
void pc_api_channel_stats(struct pc_api_call *call);
void pc_api_connections(struct pc_api_call *call);
void pc_api_terminate(struct pc_api_call *call);

/* Pages, which need no app. */
void pc_api_root(struct pc_api_call *call);
void pc_api_ready(struct pc_api_call *call);
void pc_api_up(struct pc_api_call *call);
void pc_api_timeline_script(struct pc_api_call *call);
void pc_api_timeline_object(struct pc_api_call *call);
void pc_api_accept_traffic(struct pc_api_call *call);

/* Take `count` events, or one reading request, off the app's rate; false: the reply is the 429. */
bool pc_api_take_events(struct pc_api_call *call, uint32_t count);
bool pc_api_take_read(struct pc_api_call *call);

/*
 * Publishing once: once.c says how.
 */
struct pc_api_once {
    pusherc_slice key;                  /* len 0 = no key was given: nothing is remembered */
    uint64_t content;                   /* see pc_api_content() */
    struct pc_idempotency_entry *entry; /* NULL = not begun, or ended */
    bool repeat;                        /* the answer is that of the first time; publish nothing */
};
bool pc_api_once_valid(pusherc_slice key);
/* The key of a request: the header field's, or `member`, which is valid or empty. False: the reply is the 400. */
bool pc_api_once_key(struct pc_api_call *call, pusherc_slice member, pusherc_slice *key);
/* A number for what is published, fed part by part; `before` is that of the parts so far, first 0. */
uint64_t pc_api_content(const struct pc_api_call *call, uint64_t before, pusherc_slice part);
/* Takes the key. `answer` is what a repeat will get; what this repeat gets is appended to `stored`. False: the
 * reply is the error. */
bool pc_api_once_begin(struct pc_api_call *call, struct pc_api_once *once, pusherc_slice answer,
                       struct pc_buf *stored);
/* Published, or not. Harmless without a key. */
void pc_api_once_end(struct pc_api_call *call, struct pc_api_once *once, bool done);

/* Is this parameter `name`, "name[]" or "name[3]"? Names are compared without regard to case, for
 * they are signed in lower case (protocol section 4.4). */
bool pc_api_param_is(const struct pc_pair *param, pusherc_slice name);
/* The first parameter of exactly that name; NULL = absent. */
const pusherc_slice *pc_api_param(const struct pc_api_call *call, pusherc_slice name);

/* The attributes that an "info" list asks for. */
struct pc_api_info {
    bool given; /* there was at least one name */
    bool user_count, subscription_count, cache;
    pusherc_slice unknown; /* the first name that is none of these; len 0 = none */
};
void pc_api_info_add(struct pc_api_info *info, pusherc_slice list);
/* From the query, in each of the forms that SDKs send lists in. */
void pc_api_info_of_query(const struct pc_api_call *call, struct pc_api_info *info);
/* Appends what of user_count and subscription_count is asked for and applies, as members of a JSON
 * object. `first`: none stands before them. The channel's name is valid. */
void pc_api_put_counts(struct pc_api_call *call, pusherc_slice channel,
                       const struct pc_api_info *info, bool first);

/*
 * Answers. What begins one replaces whatever the reply held.
 */
void pc_api_begin(struct pc_api_reply *reply, int status, const char *content_type);
void pc_api_field(struct pc_api_reply *reply, pusherc_slice name, pusherc_slice value);
static inline void pc_api_begin_text(struct pc_api_reply *reply, int status)
{
    pc_api_begin(reply, status, PC_API_TEXT);
}
/* Appends to an error's text what may come from a client: it stays one line of valid UTF-8. */
void pc_api_say(struct pc_api_reply *reply, pusherc_slice text);
/* The same, cut if it is long, and in quotes. */
void pc_api_say_quoted(struct pc_api_reply *reply, pusherc_slice text);
/* 503 with Retry-After. */
void pc_api_unavailable(struct pc_api_reply *reply, const char *text);
/* 429: `remaining` of `limit_per_s` are left in this second, and more were asked for. */
void pc_api_too_many(struct pc_api_reply *reply, uint32_t limit_per_s, uint32_t remaining);
/* 500 without a body. */
void pc_api_out_of_memory(struct pc_api_reply *reply);

#endif
