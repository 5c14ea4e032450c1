/*
 * One call of the host's render function: what the host may ask about it, and what comes of its answer.
 */
#ifndef PC_FANOUT_RENDER_H
#define PC_FANOUT_RENDER_H

#include "fanout/engine.h"

/* The texts are borrowed; `payload` is initialised and freed by the caller. */
struct pusherc_render {
    const struct pc_app *app;
    const struct pc_engine *engine;
    const struct pc_rule_match *match;
    pusherc_slice channel, event, data, view;
    bool wants_json; /* a member's info goes into the roster as it is */
    struct pc_buf payload;
    bool replaced; /* the host has given a payload */
};

/* Asks the host once. *out is what `render->view` may see, valid until the next call: `render->data` itself, the
 * host's replacement, or {} where JSON is wanted. False: this view gets nothing. */
bool pc_render(struct pusherc_render *render, pusherc_slice *out);

#endif
