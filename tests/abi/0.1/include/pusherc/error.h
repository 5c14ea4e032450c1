/**
 * @file error.h
 * What calls return when they fail.
 */
#ifndef PUSHERC_ERROR_H
#define PUSHERC_ERROR_H

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

/**
 * Every error as X(name, value, text). The enum, pusherc_err_name() and pusherc_strerror() are made of this
 * list; bindings can be, too. Values lie in [-20999, -20000], where neither -errno nor a UV_E* code does.
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
 * 0, or what went wrong. A value keeps its meaning for ever; later versions may add some.
 *
 * | code      | what it says                                      | what to do                                |
 * |-----------|---------------------------------------------------|-------------------------------------------|
 * | EINVAL    | an argument breaks a rule of its function         | correct the call; trying again is no use  |
 * | ENOMEM    | the allocator had nothing left                    | nothing happened unless the call says so  |
 * | ESTATE    | not in this state of the server, not on this thread | see "Thread:" and the call's description |
 * | ENOENT    | no such app, channel or connection                | it may come later, or be gone             |
 * | EEXIST    | the name or key is taken                          | choose another one                        |
 * | ELIMIT    | above a limit that an option sets                 | send less, or set the limit               |
 * | ENOBUFS   | the output does not fit                           | call again with the capacity told         |
 * | EPROTO    | the peer broke the protocol                       | the connection is lost                    |
 * | EAUTH     | a signature or permission is not right            | refuse the peer                           |
 * | EIO       | socket, file or system failed                     | look at pusherc_errinfo.sys               |
 * | ETLS      | certificate, key or handshake                     | look at pusherc_errinfo.text              |
 * | ETIMEDOUT | no answer, or the answer came too late            | whoever waited has been told so           |
 * | ECANCELED | the connection or the server has gone             | nothing: whatever was handed in is freed  |
 * | EBACKLOG  | a queue between threads is full                   | try later, or drop it                     |
 * | ENOSYS    | left out when the library was built               | see pusherc_features()                    |
 */
typedef enum pusherc_error {
    PUSHERC_OK = 0, /**< success */
#define PUSHERC_ENUM_(name, value, text) PUSHERC_##name = (value),
    PUSHERC_ERROR_MAP(PUSHERC_ENUM_)
#undef PUSHERC_ENUM_
} pusherc_error;

/**
 * Why a set-up call failed, for people: bind, key files, options. Calls that take one accept NULL; on success
 * it is as it was.
 */
typedef struct pusherc_errinfo {
    int code;       /**< pusherc_error: what the call returned */
    int sys;        /**< -errno, UV_E* or Mbed TLS's code; 0 if there is none */
    char text[192]; /**< one sentence, NUL-terminated, cut if too long; names no secret */
} pusherc_errinfo;

/**
 * The name of a code.
 *
 * @param code  any number
 * @return "EINVAL", "OK" for 0, "UNKNOWN" for what is none of ours; static, never NULL
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API const char *pusherc_err_name(int code);

/**
 * What a code means, in English and without context.
 *
 * @param code  any number
 * @return the text of PUSHERC_ERROR_MAP, "success" for 0, "unknown error" for what is none of ours; static,
 *         never NULL
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API const char *pusherc_strerror(int code);

PUSHERC_END_DECLS

#endif /* PUSHERC_ERROR_H */
