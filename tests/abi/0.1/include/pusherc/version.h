/**
 * @file version.h
 * The version of these headers, and of the library that is linked.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_VERSION_H
#define PUSHERC_VERSION_H

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

/** Grows when a change breaks hosts. Before 1.0 the minor version grows instead. */
#define PUSHERC_VERSION_MAJOR 0
/** Grows when something is new. */
#define PUSHERC_VERSION_MINOR 1
/** Grows when something is corrected. */
#define PUSHERC_VERSION_PATCH 0
/** The version as text. */
#define PUSHERC_VERSION_STRING "0.1.0"
/** The version as one number: major, minor and patch, eight bits each; 0x000100 for 0.1.0. */
#define PUSHERC_VERSION_HEX                                                                        \
    ((PUSHERC_VERSION_MAJOR << 16) | (PUSHERC_VERSION_MINOR << 8) | PUSHERC_VERSION_PATCH)

/**
 * The version of the library that is linked. Compare it with PUSHERC_VERSION_HEX.
 *
 * @return PUSHERC_VERSION_HEX of the library's own headers
 */
PUSHERC_API unsigned pusherc_version(void);

/**
 * The version of the library that is linked, as text.
 *
 * @return for example "0.1.0"; static
 */
PUSHERC_API const char *pusherc_version_string(void);

/**
 * Which optional parts the library was built with. A call that needs another part returns PUSHERC_ENOSYS.
 *
 * @return words separated by spaces, such as "tls", "encryption", "webhooks" and "explain"; "" for none; static
 */
PUSHERC_API const char *pusherc_features(void);

PUSHERC_END_DECLS

#endif /* PUSHERC_VERSION_H */
