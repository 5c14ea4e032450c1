#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *libc_malloc(size_t size, void *user_data)
{
    (void)user_data;
    return malloc(size);
}

static void *libc_realloc(void *ptr, size_t size, void *user_data)
{
    (void)user_data;
    return realloc(ptr, size);
}

static void libc_free(void *ptr, void *user_data)
{
    (void)user_data;
    free(ptr);
}

struct pc_mem pc_mem_make(const pusherc_allocator *allocator)
{
    if (allocator)
        return (struct pc_mem){*allocator};
    return (struct pc_mem){{
        .malloc_fn = libc_malloc,
        .realloc_fn = libc_realloc,
        .free_fn = libc_free,
    }};
}

void *pc_alloc(const struct pc_mem *mem, size_t size)
{
    return mem->fns.malloc_fn(size, mem->fns.user_data);
}

void *pc_alloc_zero(const struct pc_mem *mem, size_t size)
{
    void *ptr = pc_alloc(mem, size);
    if (ptr)
        memset(ptr, 0, size);
    return ptr;
}

void *pc_alloc_array(const struct pc_mem *mem, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return pc_alloc_zero(mem, count * size);
}

void *pc_resize_array(const struct pc_mem *mem, void *ptr, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return mem->fns.realloc_fn(ptr, count * size, mem->fns.user_data);
}

char *pc_dup(const struct pc_mem *mem, pusherc_slice text)
{
    if (text.len == SIZE_MAX)
        return NULL;
    char *copy = pc_alloc(mem, text.len + 1);
    if (!copy)
        return NULL;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

void pc_free(const struct pc_mem *mem, void *ptr)
{
    /* pusherc/alloc.h makes the host's free accept NULL. The test protects hosts whose free does not. */
    if (ptr)
        mem->fns.free_fn(ptr, mem->fns.user_data);
}

void pc_wipe(void *ptr, size_t len)
{
    /* A plain memset before free is a dead store that compilers remove. */
#if defined(__GNUC__)
    memset(ptr, 0, len);
    __asm__ volatile("" : : "r"(ptr) : "memory"); /* the compiler must assume a reader */
#else
    volatile unsigned char *bytes = ptr;
    while (len--)
        *bytes++ = 0;
#endif
}
