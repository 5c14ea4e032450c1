/*
 * Several texts in one allocation, one after the other, mostly behind the struct that points to them:
 *
 *     struct item *item = pc_alloc(mem, sizeof *item + name.len + value.len);
 *     char *at = (char *)(item + 1);
 *     item->name = pc_pack(&at, name);
 *     item->value = pc_pack(&at, value);
 */
#ifndef PC_BASE_PACK_H
#define PC_BASE_PACK_H

#include "base/slice.h"

/* Copies `text` to *at and moves *at behind the copy, which is returned. */
static inline pusherc_slice pc_pack(char **at, pusherc_slice text)
{
    char *copy = *at;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    *at += text.len;
    return pc_slice(copy, text.len);
}

#endif
