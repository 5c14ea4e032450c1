/*
 * How it works. A walk goes through the containers that a path leads into, with a stack instead of recursion; all others
 * are copied whole. A path takes one step in each object on its way, so all paths that lead into a container have taken
 * the same number of steps: it is the depth of objects. A set of bits says which paths these are.
 */
#include "codec/json_without.h"

struct level {
    struct pc_json_iter iter;
    uint64_t paths; /* bit i: paths[i] leads in here */
    size_t step;    /* the name of these paths that is looked for next */
    bool object, empty;
};

struct walk {
    struct pc_buf *buf;
    const struct pc_json_path *paths;
    size_t count, depth;
    bool left_out;
    struct level levels[PC_JSON_MAX_DEPTH];
};

static void enter(struct walk *w, struct pc_json container, uint64_t paths, size_t step)
{
    bool object = container.type == PC_JSON_OBJECT;
    w->levels[w->depth++] = (struct level){.iter = pc_json_iter_of(container),
                                           .paths = paths,
                                           .step = step,
                                           .object = object,
                                           .empty = true};
    pc_buf_put_char(w->buf, object ? '{' : '[');
}

static void leave(struct walk *w)
{
    pc_buf_put_char(w->buf, w->levels[--w->depth].object ? '}' : ']');
}

/* Which of the level's paths lead into the member. *ends: one of them names it. */
static uint64_t paths_into(const struct walk *w, const struct level *at, bool *ends)
{
    uint64_t into = 0;
    *ends = false;
    for (size_t i = 0; i < w->count; i++) {
        const struct pc_json_path *path = &w->paths[i];
        if (!(at->paths >> i & 1) || !pc_json_name_is(at->iter.key, path->names[at->step]))
            continue;
        *ends |= path->count == at->step + 1;
        into |= UINT64_C(1) << i;
    }
    return into;
}

/* Copies the member or item at which the iterator stands, unless a path names it. */
static void pass(struct walk *w, struct level *at)
{
    bool named = false;
    uint64_t into = at->object ? paths_into(w, at, &named) : at->paths;
    struct pc_json value = at->iter.value;
    if (named) {
        w->left_out = true;
        return;
    }
    if (!at->empty)
        pc_buf_put_char(w->buf, ',');
    at->empty = false;
    if (at->object) {
        pc_buf_put(w->buf, at->iter.key.raw);
        pc_buf_put_char(w->buf, ':');
    }
    if (into && (value.type == PC_JSON_OBJECT || value.type == PC_JSON_ARRAY))
        enter(w, value, into, at->step + at->object);
    else
        pc_buf_put(w->buf, value.raw);
}

bool pc_json_put_without(struct pc_buf *buf, struct pc_json object,
                         const struct pc_json_path *paths, size_t count)
{
    struct walk w;
    w.buf = buf;
    w.paths = paths;
    w.count = count;
    w.depth = 0; /* the levels are written before they are read */
    w.left_out = false;
    enter(&w, object, count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX, 0);
    while (w.depth > 0) {
        struct level *at = &w.levels[w.depth - 1];
        if (pc_json_next(&at->iter))
            pass(&w, at);
        else
            leave(&w);
    }
    return w.left_out;
}
