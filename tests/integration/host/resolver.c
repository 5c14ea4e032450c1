/*
 * Names that end in ".slow.invalid" take long to look up, as those of a name server that does not answer: this stands
 * before the C library's function for everything in the process.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

typedef int getaddrinfo_fn(const char *node, const char *service, const struct addrinfo *hints,
                           struct addrinfo **res);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **res)
{
    static const char slow[] = ".slow.invalid";
    size_t len = node ? strlen(node) : 0;
    if (len >= sizeof slow && strcmp(node + len - (sizeof slow - 1), slow) == 0) {
        sleep(HOST_SLOW_LOOKUP_S);
        return EAI_AGAIN;
    }
    getaddrinfo_fn *next;
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    return next ? next(node, service, hints, res) : EAI_SYSTEM;
}
