/*
 * Questions about channels of all processes that serve them, not only of this one. Without an optional party that knows
 * (a link to other processes), what this process knows is the answer.
 */
#ifndef PC_FANOUT_ELSEWHERE_H
#define PC_FANOUT_ELSEWHERE_H

#include "base/buf.h"
#include "fanout/pending.h"

enum pc_search_kind {
    PC_SEARCH_PREFIX, /* the occupied channels whose names begin with the text */
    PC_SEARCH_COUNTS, /* the counts of the channels that the text names, one a line, in that order */
    PC_SEARCH_MEMBERS, /* the members of the presence channel that the text names */
    /* the counts of the cache channel that the text names; then its event, if it keeps one: the data as the name,
     * `subscriptions` are the milliseconds that are left */
    PC_SEARCH_KEPT
};

/* One channel or member that was found. Its texts follow in the buffer. */
struct pc_found {
    uint64_t subscriptions, members;
    size_t name_len; /* of the channel, or the user id */
    size_t info_len; /* of the member's info */
};

/* A question, and its answer: a struct pc_pending of the party that answers. */
struct pc_search {
    struct pc_pending pending; /* first */
    enum pc_search_kind kind;
    struct pc_buf app_id, text;
    int err;             /* of the answer: 0, PUSHERC_ETIMEDOUT: there is no link, PUSHERC_ENOMEM */
    struct pc_buf found; /* struct pc_found, with texts */
    /* the answering party's */
    struct pc_list in_order;
    uint32_t part, index;
    uint64_t cursor;
    size_t at;
};

struct pc_elsewhere {
    /* Called on the worker that waits. 0: what this process knows is to be the answer; PC_SEARCH_ASKED: takes over the
     * search, and answers it; PUSHERC_ETIMEDOUT: there is no link. NULL = there is no such party. */
    int (*ask)(void *ctx, struct pc_search *search);
    void *ctx;
};
#define PC_SEARCH_ASKED 1

/* The next one found, from *at on, which begins at 0. False: there is none. */
static inline bool pc_search_next(const struct pc_search *search, size_t *at, struct pc_found *out,
                                  pusherc_slice *name, pusherc_slice *info)
{
    if (*at >= search->found.len)
        return false;
    memcpy(out, search->found.ptr + *at, sizeof *out);
    *name = pc_slice(search->found.ptr + *at + sizeof *out, out->name_len);
    *info = pc_slice(name->ptr + name->len, out->info_len);
    *at += sizeof *out + out->name_len + out->info_len;
    return true;
}

static inline void pc_search_add(struct pc_search *search, pusherc_slice name, pusherc_slice info,
                                 uint64_t subscriptions, uint64_t members)
{
    const struct pc_found found = {subscriptions, members, name.len, info.len};
    pc_buf_put(&search->found, pc_slice((const char *)&found, sizeof found));
    pc_buf_put(&search->found, name);
    pc_buf_put(&search->found, info);
}

#endif
