/*
 * Diagnosis for the operator: why a signature was refused, why an event reached no subscriber, what decides about a
 * channel. These functions only explain; they do not decide. They are built with -Dexplain=enabled, the default.
 * Without it they do nothing, and apps do not keep their secrets as text.
 */
#ifndef PC_WHY_WHY_H
#define PC_WHY_WHY_H

#include <pusherc/error.h>

#include "auth/rules.h"
#include "auth/sign.h"
#include "base/log.h"
#include "channel/apps.h"
#include "channel/directory.h"
#include "inspect/happened.h"
#include "protocol/message_in.h"
#include "why/ended.h"

#define PC_WHY_MAX_OTHERS 32 /* other apps, and as many sockets, tried for a wrong signature */
#define PC_WHY_PER_S      5  /* wrong signatures that one place in the code explains in a second */

/* What a diagnosis looks at, and the log that it writes to. */
struct pc_why {
    const struct pc_mem *mem;
    struct pc_log *log;
    struct pc_apps *apps;
    struct pc_directory *directory;
    struct pc_happened *happened; /* NULL = there is no inspector */
};

/* A SUBSCRIBE or SIGNIN whose signature was refused. */
struct pc_why_message {
    const struct pc_app *app;
    pusherc_socket_id socket_id;
    const struct pc_message_in *in;
    pusherc_slice to_sign; /* what the signature had to be made of */
    /* Other connections of the app: a client that has two, or has connected again, may send what was signed for the
     * other one. */
    const pusherc_socket_id *others;
    size_t other_count; /* the first PC_WHY_MAX_OTHERS count */
    const pusherc_socket_id
        *ended; /* those that are no more, of which at most PC_WHY_MAX_ENDED count */
    size_t ended_count;
};

/* An HTTP request that pc_verify_request() refused. */
struct pc_why_request {
    const struct pc_app *app;
    const struct pc_signed_request *request;
    pusherc_slice key, signature;   /* as sent */
    pusherc_slice raw_query;        /* as sent */
    pusherc_slice forwarded_prefix; /* the field X-Forwarded-Prefix */
    uint64_t unix_time_s;
    uint32_t max_skew_s;
};

#ifdef PC_WITH_EXPLAIN

/* True if the log has level "debug" and this place in the code has asked fewer than PC_WHY_PER_S times this second. */
#    define PC_WHY_AFFORDS(log) PC_LOG_AFFORDS((log), DEBUG, PC_WHY_PER_S)

/* Each writes one log line. The caller asks PC_WHY_AFFORDS() first. */
void pc_why_message(const struct pc_why *why, const struct pc_why_message *message);
void pc_why_request(const struct pc_why *why, const struct pc_why_request *request);

/* Explains an event that reached no subscriber, for a log of level "debug" and for the inspector: names the channels that
 * have subscribers and a name that differs by a common mistake: a prefix too many or too few, '.' for '-' or '_', case.
 * The publisher is not told, because it may have no right to know other channels' names. Any thread; the caller holds
 * no lock. */
void pc_why_unmatched(const struct pc_why *why, const struct pc_app *app, pusherc_slice channel,
                      pusherc_slice event);

/* Appends the JSON of pusherc_explain(). 0, or PUSHERC_ENOSYS in a build without -Dexplain. */
int pc_why_decision(struct pc_buf *out, const struct pc_rule_table *rules, const struct pc_app *app,
                    pusherc_slice channel, pusherc_slice user_id);

#else

#    define PC_WHY_AFFORDS(log) ((void)(log), false)

static inline void pc_why_message(const struct pc_why *why, const struct pc_why_message *message)
{
    (void)why, (void)message;
}

static inline void pc_why_request(const struct pc_why *why, const struct pc_why_request *request)
{
    (void)why, (void)request;
}

static inline void pc_why_unmatched(const struct pc_why *why, const struct pc_app *app,
                                    pusherc_slice channel, pusherc_slice event)
{
    (void)why, (void)app, (void)channel, (void)event;
}

static inline int pc_why_decision(struct pc_buf *out, const struct pc_rule_table *rules,
                                  const struct pc_app *app, pusherc_slice channel,
                                  pusherc_slice user_id)
{
    (void)out, (void)rules, (void)app, (void)channel, (void)user_id;
    return PUSHERC_ENOSYS;
}

#endif

#endif
