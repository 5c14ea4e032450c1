/*
 * The input as a compressed message, and as a message that is compressed and comes back. A message that cannot be
 * decompressed must not change what the next one becomes.
 */
#include <stdint.h>
#include <stdlib.h>

#include <pusherc/error.h>

#include "codec/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 300000

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void decompress(struct pc_inflater *inflater, pusherc_slice input, struct pc_buf *out)
{
    pc_buf_clear(out);
    int err = pc_inflate(inflater, input, out);
    check(err == 0 || err == PUSHERC_EPROTO || err == PUSHERC_ELIMIT);
    check(out->len <= MAX);
    check(out->len <= PC_INFLATE_FREE || out->len <= input.len * PC_INFLATE_RATIO);
}

static void come_back(struct pc_deflaters *deflaters, struct pc_inflater *inflater,
                      pusherc_slice input, struct pc_buf *out)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf compressed;
    pc_buf_init(&compressed, &mem, SIZE_MAX);
    pc_buf_clear(out);
    if (pc_deflate(deflaters, input, &compressed)) {
        check(compressed.len < input.len);
        int err = pc_inflate(inflater, pc_buf_slice(&compressed), out);
        check(err == 0 ? pc_slice_eq(pc_buf_slice(out), input) : input.len > PC_INFLATE_FREE);
    }
    pc_buf_free(&compressed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_deflaters *deflaters;
    struct pc_inflater *inflater = pc_inflater_new(&mem);
    struct pc_buf out;
    pusherc_slice input = pc_slice((const char *)data, size);
    if (!inflater) /* without zlib */
        return 0;
    if (pc_deflaters_new(&deflaters, &mem))
        abort();
    pc_buf_init(&out, &mem, MAX);
    decompress(inflater, input, &out);
    if (size <= MAX)
        come_back(deflaters, inflater, input, &out);
    pc_buf_free(&out);
    pc_inflater_free(inflater);
    pc_deflaters_free(deflaters);
    return 0;
}
