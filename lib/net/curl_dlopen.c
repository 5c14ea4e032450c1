/* libcurl is found when the program runs. It is never unloaded: threads of its resolver may still run in it, and the host
 * may use it as well. */
#include <stdbool.h>
#include <string.h>

#include <dlfcn.h>

#include "net/curl.h"

/* The same interface since 2006. Debian also has it with another library for TLS. */
static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};

static bool find_all(void *library, struct pc_curl *out)
{
    void *found;
#define PC_FIND(name)                                                                              \
    found = dlsym(library, "curl_" #name);                                                         \
    if (!found)                                                                                    \
        return false;                                                                              \
    memcpy(&out->name, &found, sizeof found); /* POSIX: both kinds of pointers are alike */
    PC_CURL_FUNCTIONS(PC_FIND)
#undef PC_FIND
    return true;
}

bool pc_curl_load_from(struct pc_curl *out, const char *name)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    bool found = library && find_all(library, out);
    if (library && !found)
        dlclose(library); /* nothing of it was called */
    return found;
}

bool pc_curl_load(struct pc_curl *out)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (pc_curl_load_from(out, names[i]))
            return true;
    return false;
}
