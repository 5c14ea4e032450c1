/**
 * @file error.h
 * What calls return when they fail.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_ERROR_H
#define PUSHERC_ERROR_H

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

/**
 * Every error as X(name, value, text). The enum, pusherc_err_name() and pusherc_strerror() are made from this
 * list, and bindings can use it. Values lie in [-20999, -20000], apart from -errno and the UV_E* codes.
 */
#define PUSHERC_ERROR_MAP(X)                                                                       \
    X(EINVAL, -20001, "invalid argument")                                                          \
    X(ENOMEM, -20002, "out of memory")                                                             \
    X(ESTATE, -20003, "not allowed in this state or on this thread")                               \
    X(ENOENT, -20004, "no such app, channel or connection")                                        \
    X(EEXIST, -20005, "already exists")                                                            \
    X(ELIMIT, -20006, "a configured limit was exceeded")                                           \
    X(ENOBUFS, -20007, "output buffer too small")                                                  \
    X(EPROTO, -20008, "peer broke the protocol")                                                   \
    X(EAUTH, -20009, "signature or permission check failed")                                       \
    X(EIO, -20010, "transport or file failure; see pusherc_errinfo.sys")                           \
    X(ETLS, -20011, "TLS configuration or handshake failure")                                      \
    X(ETIMEDOUT, -20012, "no answer in time")                                                      \
    X(ECANCELED, -20013, "abandoned: connection or server went away")                              \
    X(EBACKLOG, -20014, "an internal queue is full; try later")                                    \
    X(ENOSYS, -20015, "not compiled in")

/**
 * 0, or what went wrong. A value never changes its meaning. Later versions may add values.
 *
 * | code      | meaning                                           | what to do                                |
 * |-----------|---------------------------------------------------|-------------------------------------------|
 * | EINVAL    | an argument breaks a rule of the function         | correct the call; do not try it again     |
 * | ENOMEM    | the allocator returned NULL                       | nothing happened unless the call says so  |
 * | ESTATE    | the state, the thread or the process forbids it   | see "Thread:" and the call's description  |
 * | ENOENT    | the app, channel or connection does not exist     | it may be gone, or not there yet          |
 * | EEXIST    | the name or key is in use                         | choose another one                        |
 * | ELIMIT    | a limit that an option sets was exceeded          | send less, or raise the limit             |
 * | ENOBUFS   | the output does not fit                           | call again with the capacity in *len      |
 * | EPROTO    | the peer broke the protocol                       | the connection is lost                    |
 * | EAUTH     | a signature or permission check failed            | refuse the peer                           |
 * | EIO       | a socket, a file or the system failed             | look at pusherc_errinfo.sys               |
 * | ETLS      | a certificate, key or handshake failed            | look at pusherc_errinfo.text              |
 * | ETIMEDOUT | there was no answer, or it came too late          | the client has been told                  |
 * | ECANCELED | the connection or the server is gone              | nothing: what was handed in is freed      |
 * | EBACKLOG  | a queue between threads is full                   | try later, or drop it                     |
 * | ENOSYS    | the library was built without this                | see pusherc_features()                    |
 */
typedef enum pusherc_error {
    PUSHERC_OK = 0, /**< success */
#define PUSHERC_ENUM_(name, value, text) PUSHERC_##name = (value),
    PUSHERC_ERROR_MAP(PUSHERC_ENUM_)
#undef PUSHERC_ENUM_
} pusherc_error;

/**
 * Why a set-up call failed (bind, key files, options), in words for people. Calls that take one accept NULL, and
 * leave it as it was on success.
 */
typedef struct pusherc_errinfo {
    int code;       /**< pusherc_error: what the call returned */
    int sys;        /**< -errno, UV_E* or a code of Mbed TLS; 0 = none */
    char text[192]; /**< one sentence, NUL-terminated, cut if too long; without secrets */
} pusherc_errinfo;

/**
 * The name of a code.
 *
 * @param code  any number
 * @return for example "EINVAL"; "OK" for 0, "UNKNOWN" for other numbers; static, never NULL
 */
PUSHERC_API const char *pusherc_err_name(int code);

/**
 * What a code means, in English and without context.
 *
 * @param code  any number
 * @return the text in PUSHERC_ERROR_MAP; "success" for 0, "unknown error" for other numbers; static, never NULL
 */
PUSHERC_API const char *pusherc_strerror(int code);

PUSHERC_END_DECLS

#endif /* PUSHERC_ERROR_H */
