/* The log's lines about wrong signatures: what auth/blame.h needs to know is collected here. */
#ifndef PC_SESSION_BLAME_H
#define PC_SESSION_BLAME_H

#include "auth/blame.h"
#include "session/session.h"

/* What belongs to one attempt, and goes with it. */
struct pc_blame_apps {
    struct pc_app *apps[PC_BLAME_MAX_OTHERS]; /* counted */
    struct pc_blame_secret secrets[PC_BLAME_MAX_OTHERS];
    size_t count;
    struct pc_app *key_owner; /* counted; NULL = the key is the app's own, or no app's */
};

/* `app_key` is what was sent as such. pc_blame_end() follows. */
struct pc_blame pc_blame_begin(struct pc_engine *engine, const struct pc_app *app,
                               pusherc_slice signature, pusherc_slice app_key,
                               struct pc_blame_apps *apps);
void pc_blame_end(struct pc_blame_apps *apps);

/* Logs why the signature of a SUBSCRIBE or SIGNIN was wrong: at level "debug", and at most
 * PC_BLAME_PER_S times a second. */
void pc_blame_message(struct pc_session *s, const struct pc_message_in *in, pusherc_slice to_sign);

#endif
