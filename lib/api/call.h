/*
 * What the files of this folder share: the state of one request, and the functions that build a reply. Files outside of
 * api/ do not include this.
 */
#ifndef PC_API_CALL_H
#define PC_API_CALL_H

#include "api/api.h"
#include "codec/json.h"
#include "protocol/names.h"

#define PC_API_JSON   "application/json"
#define PC_API_SCRIPT "application/javascript"
#define PC_API_TEXT   "text/plain; charset=utf-8"

#define PC_API_BODY_ROOM                                                                           \
    8192 /* for decoded strings; a larger body with escapes costs an allocation */
#define PC_API_MAX_CAPTURE  2    /* segments of the path that a route captures */
#define PC_API_CHANNEL_ROOM 1024 /* for a decoded name in a path; a longer one is not valid */

struct pc_api_route;

/* A request with its route. On an app's routes the signature has been checked before the handler runs. A call lives on
 * the stack while it does not wait; pc_api_wait() makes a copy on the heap. */
struct pc_api_call {
    const struct pc_api_request *request;
    struct pc_api_reply *reply;
    struct pc_app *app; /* borrowed; NULL on health pages */
    /* the channel's name or the user's id: decoded from the path, not checked; len 0 = the route has neither */
    pusherc_slice channel;
    const struct pc_pair *params; /* of the query, decoded */
    size_t param_count;
    const struct pc_api_route *route;
    pusherc_slice captures[PC_API_MAX_CAPTURE]; /* of the path, as sent */
    struct pc_pending *answer;                  /* that the call has waited for */
    const struct pc_search *found; /* what pc_api_search() has found; NULL = nothing was asked */
    struct pc_once *once;          /* what pc_api_once() was answered; NULL = nothing was asked */
    void (*handler)(struct pc_api_call *call); /* of pc_api_search(), pc_api_once() */
    void (*next)(struct pc_api_call *call);    /* in the waiting copy: continues with the answer */
    uint32_t patience_ms;                      /* in the waiting copy, see pc_api_patience_ms() */
    struct pc_api_call *copy;                  /* that waits; NULL = the reply is complete */
};

/*
 * For handlers that need an answer first, in a `struct pc_pending`. The handler calls pc_pending_begin() with
 * call->request->await, if that is not NULL, and then this. False: memory ran out, the reply is the 500, and the
 * handler calls pc_pending_cancel(). True: the handler hands the pc_pending to the answering side, and returns without
 * a reply.
 *
 * `next` is called with the answer, on this worker, with a call that has the same app, channel and parameters, and a
 * new reply. It may wait again. It is not called if the client leaves or the wait times out.
 */
bool pc_api_wait(struct pc_api_call *call, void (*next)(struct pc_api_call *call));

/*
 * For handlers that answer about channels. If another party knows (fanout/elsewhere.h), asks it; `handler` is
 * called again with the answer, which is in call->found then. True: the caller returns; the call waits, or the reply is
 * the error. False: the answer is call->found or, if that is NULL, what this process knows. `text` as in struct
 * pc_search.
 */
bool pc_api_search(struct pc_api_call *call, enum pc_search_kind kind, pusherc_slice text,
                   void (*handler)(struct pc_api_call *call));

/* The handlers of the routes. Each fills the reply. */
void pc_api_events(struct pc_api_call *call);
void pc_api_batch_events(struct pc_api_call *call);
void pc_api_channel_events(struct pc_api_call *call);
void pc_api_channels(struct pc_api_call *call);
void pc_api_channel(struct pc_api_call *call);
void pc_api_channel_users(struct pc_api_call *call);
void pc_api_channel_stats(struct pc_api_call *call);
void pc_api_channel_history(struct pc_api_call *call);
void pc_api_connections(struct pc_api_call *call);
void pc_api_terminate(struct pc_api_call *call);
void pc_api_reauthorize(struct pc_api_call *call);

/* Handlers of pages that need no app. */
void pc_api_root(struct pc_api_call *call);
void pc_api_ready(struct pc_api_call *call);
void pc_api_up(struct pc_api_call *call);
void pc_api_timeline_script(struct pc_api_call *call);
void pc_api_timeline_object(struct pc_api_call *call);
void pc_api_accept_traffic(struct pc_api_call *call);

/* Prepares room for all strings of the body, decoded, so that reading one does not move those before; `storage` of
 * PC_API_BODY_ROOM bytes is used first. False: the reply is the 500. */
bool pc_api_body_scratch(struct pc_api_call *call, struct pc_buf *scratch, char *storage,
                         size_t size);
/* The body's object; NONE: the reply is the 400. */
struct pc_json pc_api_body_object(struct pc_api_call *call);

/* Count `count` events, or one read request, against the app's rate; false: the rate is exceeded, the reply is the
 * 429. */
bool pc_api_take_events(struct pc_api_call *call, uint32_t count);
bool pc_api_take_read(struct pc_api_call *call);

/* The idempotency key of a request or of an event of a batch; see idempotency.c. */
struct pc_api_idempotency {
    pusherc_slice key;                  /* len 0 = no key: the answer is not kept */
    uint64_t content;                   /* see pc_api_content() */
    struct pc_idempotency_entry *entry; /* NULL = not begun, or ended */
    struct pc_once_key *everywhere;     /* begun for all processes; NULL = not, or ended */
    bool repeat;                        /* the first answer is given again; publish nothing */
};
bool pc_api_idempotency_key_valid(pusherc_slice key);
/* Finds the key of a request: the header field's, or `member`, which is valid or empty. False: the reply is the 400. */
bool pc_api_idempotency_key(struct pc_api_call *call, pusherc_slice member, pusherc_slice *key);
/* Hashes the published content part by part; `before` is the hash of the parts so far, 0 for the first part. */
uint64_t pc_api_content(const struct pc_api_call *call, uint64_t before, pusherc_slice part);
/* If other processes serve the app, asks them about these keys, of which those with len 0 do not count; `handler` is
 * called again with their answer, in call->once. True: the caller returns; the call waits, or the reply is the error.
 * False: call->once is the answer or, if that is NULL, this process decides. */
bool pc_api_once(struct pc_api_call *call, const struct pc_api_idempotency *const *keys,
                 size_t count, void (*handler)(struct pc_api_call *call));
/* Takes the key. `answer` is kept for repeats. If this is a repeat, the first answer is appended to `stored`. False:
 * the reply is the error. */
bool pc_api_idempotency_begin(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
                              pusherc_slice answer, struct pc_buf *stored);
/* `done`: the content was published, and the answer is kept; otherwise the key is forgotten. Harmless without a key. */
void pc_api_idempotency_end(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
                            bool done);

/* True if this parameter is `name`, "name[]" or "name[3]". Case is ignored, because names are signed in lower case
 * (protocol section 4.4). */
bool pc_api_param_is(const struct pc_pair *param, pusherc_slice name);
/* The first parameter of exactly that name; NULL = absent. */
const pusherc_slice *pc_api_param(const struct pc_api_call *call, pusherc_slice name);

/* The attributes that an "info" list asks for. */
struct pc_api_info {
    bool given; /* there was at least one name */
    bool user_count, subscription_count, cache;
    pusherc_slice unknown; /* the first name that is not known; len 0 = all are known */
};
void pc_api_info_add(struct pc_api_info *info, pusherc_slice list);
/* Reads the list from the query, in each form that SDKs send. */
void pc_api_info_of_query(const struct pc_api_call *call, struct pc_api_info *info);
/* Appends user_count and subscription_count as members of a JSON object, if they are asked for and apply to the
 * channel. `first`: the object has no member yet. The channel's name is valid. */
void pc_api_put_counts(struct pc_api_call *call, pusherc_slice channel,
                       const struct pc_api_info *info, bool first);

/*
 * Building replies. The functions that begin a reply replace what it held.
 */
void pc_api_begin(struct pc_api_reply *reply, int status, const char *content_type);
void pc_api_field(struct pc_api_reply *reply, pusherc_slice name, pusherc_slice value);
/* Lets a page of this origin read the reply although its browser has sent cookies. `origin` must live as long as the
 * reply. */
void pc_api_allow_origin(struct pc_api_reply *reply, pusherc_slice origin);
static inline void pc_api_begin_text(struct pc_api_reply *reply, int status)
{
    pc_api_begin(reply, status, PC_API_TEXT);
}
/* Appends to an error's text. `text` may come from a client: what is appended is one line of valid UTF-8. */
void pc_api_say(struct pc_api_reply *reply, pusherc_slice text);
/* Appends the text in quotes, and cuts it if it is long. */
void pc_api_say_quoted(struct pc_api_reply *reply, pusherc_slice text);
/* Makes a 503 with Retry-After. */
void pc_api_unavailable(struct pc_api_reply *reply, const char *text);
/* Makes a 429. `remaining` of `limit_per_s` are left in this second, and the request needs more. */
void pc_api_too_many(struct pc_api_reply *reply, uint32_t limit_per_s, uint32_t remaining);
/* Makes a 500 without a body. */
void pc_api_out_of_memory(struct pc_api_reply *reply);

#endif
