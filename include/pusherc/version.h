/**
 * @file version.h
 * The version of these headers, and of the library that is linked.
 */
#ifndef PUSHERC_VERSION_H
#define PUSHERC_VERSION_H

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

/** Changes with what breaks a host. Before 1.0 the minor version does. */
#define PUSHERC_VERSION_MAJOR 0
/** Changes with what is new. */
#define PUSHERC_VERSION_MINOR 1
/** Changes with what is corrected. */
#define PUSHERC_VERSION_PATCH 0
/** The three as text. */
#define PUSHERC_VERSION_STRING "0.1.0"
/** The three as one number: major, minor and patch, eight bits each, 0x000100 for 0.1.0. */
#define PUSHERC_VERSION_HEX                                                                        \
    ((PUSHERC_VERSION_MAJOR << 16) | (PUSHERC_VERSION_MINOR << 8) | PUSHERC_VERSION_PATCH)

/**
 * The version of the library that is linked, to be compared with PUSHERC_VERSION_HEX.
 *
 * @return as PUSHERC_VERSION_HEX of the library's own headers
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API unsigned pusherc_version(void);

/**
 * The same as text.
 *
 * @return "0.1.0"; static
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API const char *pusherc_version_string(void);

/**
 * What was compiled in that can be left out. A call that needs something else returns PUSHERC_ENOSYS.
 *
 * @return words with a space between, such as "tls", "encryption", "webhooks" and "explain"; "" for none; static
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API const char *pusherc_features(void);

PUSHERC_END_DECLS

#endif /* PUSHERC_VERSION_H */
