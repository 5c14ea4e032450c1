/* Settings of a broadcaster: any text is read without harm, and what is read keeps its rules; and any answer of an HTTP
 * server is judged. */
#include <string.h>

#include "broadcast/http_format.h"
#include "codec/crypto.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(const struct pc_broadcast_url *url, pusherc_slice s)
{
    return s.len == 0 || (s.ptr >= url->text && s.ptr + s.len <= url->text + url->text_size);
}

static void check_url(const struct pc_broadcast_url *url, const struct pc_mem *mem)
{
    const pusherc_slice pieces[] = {url->user, url->password, url->app_id,
                                    url->path, url->prefix,   url->rest};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        REQUIRE(inside(url, pieces[i]));
    REQUIRE(url->host_count <= PC_BROADCAST_MAX_HOSTS);
    for (size_t i = 0; i < url->host_count; i++)
        REQUIRE(inside(url, url->hosts[i].name) && url->hosts[i].name.len && url->hosts[i].port);
    if (url->kind != PC_CARRIER_HTTP)
        return;
    REQUIRE(url->host_count > 0 && url->user.len && url->password.len && url->app_id.len);
    const struct pc_http_publisher publisher = {url, false};
    struct pc_buf text;
    pc_buf_init(&text, mem, SIZE_MAX);
    int err = pc_http_put_url(&text, &publisher, 0, false, PC_S("{}"), 1);
    REQUIRE(err == 0 || err == PUSHERC_EINVAL || err == PUSHERC_ENOBUFS);
    for (size_t i = 0; err == 0 && i + 1 < text.len; i++)
        REQUIRE((unsigned char)text.ptr[i] > 0x20 && (unsigned char)text.ptr[i] < 0x7f);
    pc_buf_free(&text);
}

static void check_answer(const uint8_t *data, size_t size)
{
    struct pc_broadcast_answer out;
    char room[160];
    if (size < 8)
        return;
    const struct pc_http_answer answer = {.status = data[0] % 7 * 100 + data[1] % 100,
                                          .error = data[2] & 1 ? "broken" : NULL,
                                          .retry_after_s = (uint32_t)data[3] << (data[4] % 25),
                                          .body = {(const char *)data + 8, size - 8}};
    pc_http_judge(&out, &answer, room);
    REQUIRE((out.outcome == PC_BROADCAST_ACCEPTED) == (out.code == 0));
    REQUIRE(pc_utf8_valid(out.reason) && out.reason.len < 160);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    pusherc_slice text = {(const char *)data, size}, list = text, one;
    struct pc_broadcast_url url;
    const char *why;
    size_t parts = 0;
    REQUIRE(pc_crypto_init() == 0);
    int err = pc_broadcast_url_parse(&url, &mem, text, &why);
    REQUIRE(err == 0 || (err == PUSHERC_EINVAL && why && !url.text));
    if (err == 0)
        check_url(&url, &mem);
    pc_broadcast_url_free(&url);
    while (pc_broadcast_url_next(&list, &one))
        parts++;
    REQUIRE(parts <= size);
    check_answer(data, size);
    return 0;
}
