/*
 * What a session sends to its client, and how the server ends a session. Every message goes through
 * pc_session_say(), which obeys the limit of the out-queue.
 */
#ifndef PC_SESSION_REPLY_H
#define PC_SESSION_REPLY_H

#include "session/session.h"

/* Bytes on the stack for one message. */
#define PC_SESSION_STACK 2048

/* Sends the message and frees the buffer. Closes the session with 1011 if the buffer or the
 * queue ran out of memory. */
void pc_session_say(struct pc_session *session, struct pc_buf *message);
/* The same for a message that carries the event, so that the host learns when the user has it; NULL: it need not. */
void pc_session_say_tracked(struct pc_session *session, struct pc_buf *message,
                            struct pc_tracked *event, pusherc_slice user_id);
/* A message without variable parts: pc_out_ping, pc_out_pong. */
void pc_session_say_fixed(struct pc_session *session, void (*write)(struct pc_buf *message));
/* An error after which the connection stays open. */
void pc_session_say_error(struct pc_session *session, enum pc_error_code code, const char *text);

/* Does pc_session_close() send pusher:error before the close? Clients of these versions look at the error, not at the
 * close code (section 1.2). */
static inline bool pc_session_close_is_told(const struct pc_session *session, uint16_t code)
{
    return session->protocol <= 5 && code >= 4000;
}
/* Closes the session from the server's side. Only the first call has an effect. */
void pc_session_close(struct pc_session *session, uint16_t code, pusherc_slice reason);
/* The queue is full, or has been above its soft limit for too long. */
void pc_session_overflow(struct pc_session *session);
/* Call it after each write. True while the queue is above the soft limit: do not read from this
 * client. */
bool pc_session_slow(struct pc_session *session);

/* A timer that most sessions do not need, so it is allocated when it starts. */
struct pc_session_timer {
    struct pc_timer timer;
    struct pc_session *session;
};
/* Starts the timer, and allocates it if it is NULL. Closes the session if memory is short. */
void pc_session_timer_start(struct pc_session *session, struct pc_session_timer **timer,
                            pc_timer_fn fire, uint64_t ms);
void pc_session_timer_free(struct pc_session *session, struct pc_session_timer **timer);

/* The client signed in or joined a channel that needs authorization, so it is not closed for
 * being anonymous (section 1.9). */
void pc_session_authorized(struct pc_session *session);

#endif
