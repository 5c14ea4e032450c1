/*
 * Memory: the host's allocator behind five functions. Every allocation can fail; nothing aborts.
 * A struct pc_mem is a small value; objects that may outlive their server keep a copy.
 */
#ifndef PC_BASE_MEM_H
#define PC_BASE_MEM_H

#include <stddef.h>

#include <pusherc/alloc.h>
#include <pusherc/types.h>

#if defined(__GNUC__)
#    define PC_CHECKED __attribute__((warn_unused_result))
#else
#    define PC_CHECKED
#endif

/* The object of `type` that holds `member` at address `ptr`. */
#define PC_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct pc_mem {
    pusherc_allocator fns;
};

/* NULL = the C library's. */
struct pc_mem pc_mem_make(const pusherc_allocator *allocator);

/* NULL: out of memory, or the product overflows. Callers do not ask for 0 bytes: that may return NULL. */
PC_CHECKED void *pc_alloc(const struct pc_mem *mem, size_t size);
PC_CHECKED void *pc_alloc_zero(const struct pc_mem *mem, size_t size);
PC_CHECKED void *pc_alloc_array(const struct pc_mem *mem, size_t count, size_t size); /* zeroed */
/* Keeps the old block on failure. New bytes are not cleared. */
PC_CHECKED void *pc_resize_array(const struct pc_mem *mem, void *ptr, size_t count, size_t size);
PC_CHECKED char *pc_dup(const struct pc_mem *mem, pusherc_slice text); /* NUL-terminated copy */
void pc_free(const struct pc_mem *mem, void *ptr);                     /* NULL is harmless */

/* Overwrites the bytes with zeros; the compiler cannot remove it. */
void pc_wipe(void *ptr, size_t len);

#endif
