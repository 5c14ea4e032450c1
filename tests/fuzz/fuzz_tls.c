/*
 * Bytes that are no TLS, or not all of it, at a TLS port: they end the connection, wait for more, or are plain HTTP. The
 * first byte of the input says in which pieces the rest arrives.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/crypto.h"
#include "net/tls.h"
#include "require.h"
#include "unit/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name(char path[64], const char *text)
{
    int fd = memfd_create("pem", 0);
    REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    snprintf(path, 64, "/proc/self/fd/%d", fd);
}

/* Made once: it is nothing that input changes. */
static struct pc_tls_config *config(void)
{
    static struct pc_tls_config *made;
    static struct pc_mem mem;
    char cert[64], key[64];
    pusherc_tls_options options = PUSHERC_TLS_OPTIONS_INIT;
    if (made)
        return made;
    mem = pc_mem_make(NULL);
    name(cert, test_certificate);
    name(key, test_certificate_key);
    options.cert_file = cert, options.key_file = key;
    REQUIRE(pc_crypto_init() == 0);
    static struct pc_log log;
    REQUIRE(pc_tls_config_new(&made, &mem, &log, &options, NULL) == 0);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[PC_TLS_RECORD];
    static struct pc_worker_stats stats;
    struct pc_tls_spare spare = {0};
    enum pc_tls_result result = PC_TLS_MORE;
    int fds[2];
    if (size < 2)
        return 0;
    size_t piece = data[0] ? data[0] : size;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    struct pc_tls *tls = pc_tls_new(config(), fds[0]);
    REQUIRE(tls);
    pc_tls_move_in(tls, &stats, &spare);
    for (size_t at = 1; at < size && result == PC_TLS_MORE; at += piece) {
        size_t n = size - at < piece ? size - at : piece, len = 0;
        pc_tls_feed(tls, (pusherc_slice){(const char *)data + at, n});
        do {
            result = pc_tls_read(tls, text, &len);
        } while (result == PC_TLS_TEXT && len <= sizeof text);
    }
    REQUIRE(result != PC_TLS_TEXT && !pc_tls_is_open(tls)); /* without keys there is no text */
    pc_tls_free(tls);
    pc_tls_spare_free(&spare);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
