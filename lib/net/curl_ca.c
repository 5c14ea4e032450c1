#include "net/authorities.h"
#include "net/curl.h"

static bool has_its_own(const struct pc_curl *curl, const char *root)
{
    char *path = NULL;
    CURL *easy = curl->easy_init();
    bool has = easy && curl->easy_getinfo(easy, CURLINFO_CAINFO, &path) == CURLE_OK && path &&
               pc_authorities_readable(root, path);
    curl->easy_cleanup(easy);
    return has;
}

const char *pc_curl_ca_file(const struct pc_curl *curl, const char *root)
{
    return has_its_own(curl, root) ? NULL : pc_authorities_file(root);
}
