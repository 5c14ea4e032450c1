/* Data of encrypted channels: any input is read without harm, and encrypted data can be decrypted. */
#include <stdlib.h>
#include <string.h>

#include <pusherc/error.h>

#include "auth/encrypt.h"
#include "codec/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[PUSHERC_MASTER_KEY_SIZE] = {1, 2, 3};
    struct pc_mem mem = pc_mem_make(NULL);
    pusherc_slice input = pc_slice((const char *)data, size), channel = PC_S("private-encrypted-x");
    struct pc_buf sealed, plain;

    require(pc_crypto_init() == 0);
    pc_buf_init(&sealed, &mem, SIZE_MAX / 2);
    pc_buf_init(&plain, &mem, SIZE_MAX / 2);
    int err = pc_decrypt(&plain, channel, input, key);
    require(err == PUSHERC_EINVAL || err == PUSHERC_EAUTH || err == PUSHERC_ENOSYS || err == 0);
    require(err == 0 || plain.len == 0);
    pc_buf_clear(&plain);

    err = pc_encrypt(&sealed, channel, input, key, NULL);
    if (err == 0) {
        require(sealed.len == pc_encrypted_size(size));
        require(pc_decrypt(&plain, channel, pc_buf_slice(&sealed), key) == 0);
        require(pc_slice_eq(pc_buf_slice(&plain), input));
    } else {
        require(err == PUSHERC_ENOSYS);
    }
    pc_buf_free(&plain);
    pc_buf_free(&sealed);
    return 0;
}
