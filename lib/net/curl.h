/*
 * The functions of libcurl that fetch.c and the program call, as a table: they are the linker's (curl_linked.c), or are found in the
 * libcurl of the machine when the program runs (curl_dlopen.c, -Dwebhooks=dlopen). A library that is built for many
 * systems then needs none of the some forty libraries behind libcurl, and uses the system's certificates.
 */
#ifndef PC_NET_CURL_H
#define PC_NET_CURL_H

#include <stdbool.h>

#include <curl/curl.h>

#define PC_CURL_FUNCTIONS(X)                                                                       \
    X(easy_cleanup)                                                                                \
    X(easy_getinfo)                                                                                \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_strerror)                                                                               \
    X(global_init)                                                                                 \
    X(multi_add_handle)                                                                            \
    X(multi_assign)                                                                                \
    X(multi_cleanup)                                                                               \
    X(multi_info_read)                                                                             \
    X(multi_init)                                                                                  \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_remove_handle)                                                                         \
    X(multi_setopt)                                                                                \
    X(multi_socket_action)                                                                         \
    X(multi_wakeup)                                                                                \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(version_info)

/* Members are named as the functions, without "curl_": curl.h has macros of the same names. */
struct pc_curl {
#define PC_MEMBER(name) __typeof__(&curl_##name) name;
    PC_CURL_FUNCTIONS(PC_MEMBER)
#undef PC_MEMBER
};

/* False: there is no libcurl that has all of them. A libcurl that was found stays in the process. */
bool pc_curl_load(struct pc_curl *out);
/* Only in curl_dlopen.c: the same, from one library. */
bool pc_curl_load_from(struct pc_curl *out, const char *name);

/* The file of authorities to name to libcurl: NULL if the one that was compiled into it is there, which it is not when
 * libcurl was built for another system, or if there is none in the usual places. `root` is put before each path of a
 * file: "", or a directory of a test. */
const char *pc_curl_ca_file(const struct pc_curl *curl, const char *root);

#endif
