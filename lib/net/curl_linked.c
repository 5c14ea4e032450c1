/* libcurl is linked. */
#include <stdbool.h>

#include "net/curl.h"

bool pc_curl_load(struct pc_curl *out)
{
#define PC_ENTRY(name) .name = curl_##name,
    *out = (struct pc_curl){PC_CURL_FUNCTIONS(PC_ENTRY)};
#undef PC_ENTRY
    return true;
}
