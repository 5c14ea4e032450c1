/* Replaces fetch.c in a library without libcurl. No fetcher exists then, so only the first two functions are called. */
#include "net/fetch.h"

#include <pusherc/error.h>

int pc_fetcher_new(struct pc_fetcher **out, const struct pc_fetcher_home *home,
                   const struct pc_fetcher_options *options)
{
    (void)home;
    (void)options;
    *out = NULL;
    return PUSHERC_ENOSYS;
}

void pc_fetcher_free(struct pc_fetcher *fetcher)
{
    (void)fetcher;
}

void pc_fetcher_stop(struct pc_fetcher *fetcher)
{
    (void)fetcher;
}

bool pc_fetcher_ended(struct pc_fetcher *fetcher)
{
    (void)fetcher;
    return true;
}

bool pc_fetcher_has_room(const struct pc_fetcher *fetcher)
{
    (void)fetcher;
    return false;
}

struct pc_fetch *pc_fetch_begin(struct pc_fetcher *fetcher, const struct pc_fetch_request *request)
{
    (void)fetcher;
    (void)request;
    return NULL;
}

void pc_fetch_cancel(struct pc_fetch *fetch)
{
    (void)fetch;
}
