/*
 * One event for one view: by a call of the host's render function (what it can read, and what its answer means), or by
 * leaving out what the rule says that the view does not see.
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
    /* the payload must be JSON: a member's info becomes a part of the roster's JSON */
    bool wants_json;
    struct pc_buf payload;
    bool replaced; /* the host has set a payload */
    int err;       /* PUSHERC_ENOMEM: the view gets nothing only because memory ran out */
};

/* Calls the host's function once, if the rule has one. *out is what `render->view` may see, valid until the next call: `render->data`
 * itself, the host's replacement, or {} where JSON is wanted. False: this view gets nothing. */
bool pc_render(struct pusherc_render *render, pusherc_slice *out);

#endif
