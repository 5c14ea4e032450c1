#include "base/options.h"

#include <string.h>

#include "base/log.h"

/* Above the size of all these structs: a larger struct_size was not initialised. */
#define MAX_SIZE 16384

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

#define DEFINE(name, last, reserved)                                                               \
    const struct pc_sized_struct pc_sized_##name = {                                               \
        "pusherc_" #name, sizeof(pusherc_##name), END_OF(pusherc_##name, last),                    \
        (reserved) ? sizeof(((pusherc_##name *)0)->last) : 0};                                     \
    void pusherc_##name##_init(pusherc_##name *out, size_t struct_size)                            \
    {                                                                                              \
        memset(out, 0, struct_size);                                                               \
        memcpy(out, &struct_size, sizeof struct_size);                                             \
    }
PC_SIZED_STRUCTS(DEFINE)

static size_t size_of(const void *sized)
{
    size_t size;
    memcpy(&size, sized, sizeof size);
    return size;
}

static bool all_zero(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

int pc_take_options(void *out, const void *in, const struct pc_sized_struct *kind,
                    pusherc_errinfo *info)
{
    const size_t size = size_of(in);
    if (!pc_can_give(in, kind))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "%s: struct_size is %zu: begin with the struct's _INIT macro or function",
                          kind->name, size);
    const size_t known = size < kind->size ? size : kind->size;
    if (!all_zero((const char *)in + known, size - known))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "%s: a newer member is set that this library (%s) does not know",
                          kind->name, PUSHERC_VERSION_STRING);
    if (!all_zero((const char *)in + kind->first_size - kind->reserved_size, kind->reserved_size))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s: reserved_ must be zero", kind->name);
    memcpy(out, in, known);
    memset((char *)out + known, 0, kind->size - known);
    memcpy(out, &kind->size, sizeof kind->size);
    return 0;
}

bool pc_can_give(const void *out, const struct pc_sized_struct *kind)
{
    const size_t size = size_of(out);
    return size >= kind->first_size && size <= MAX_SIZE;
}

void pc_give(void *out, const void *from, const struct pc_sized_struct *kind)
{
    const size_t size = size_of(out);
    const size_t known = size < kind->size ? size : kind->size;
    memcpy(out, from, known);
    memset((char *)out + known, 0, size - known);
    memcpy(out, &size, sizeof size);
}
