/* Replaces deflate.c in a library without zlib. pc_deflaters_new() always fails, so no other function is called. */
#include "codec/deflate.h"

#include <pusherc/error.h>

int pc_deflaters_new(struct pc_deflaters **out, const struct pc_mem *mem)
{
    (void)mem;
    *out = NULL;
    return PUSHERC_ENOSYS;
}

void pc_deflaters_free(struct pc_deflaters *deflaters)
{
    (void)deflaters;
}

bool pc_deflate(struct pc_deflaters *deflaters, pusherc_slice message, struct pc_buf *out)
{
    (void)deflaters;
    (void)message;
    (void)out;
    return false;
}

struct pc_inflater *pc_inflater_new(const struct pc_mem *mem)
{
    (void)mem;
    return NULL;
}

void pc_inflater_free(struct pc_inflater *inflater)
{
    (void)inflater;
}

int pc_inflate(struct pc_inflater *inflater, pusherc_slice compressed, struct pc_buf *out)
{
    (void)inflater;
    (void)compressed;
    (void)out;
    return PUSHERC_ENOSYS;
}
