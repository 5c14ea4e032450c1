#ifndef PUSHERC_VERSION_H
#define PUSHERC_VERSION_H

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

#define PUSHERC_VERSION_MAJOR  0
#define PUSHERC_VERSION_MINOR  1
#define PUSHERC_VERSION_PATCH  0
#define PUSHERC_VERSION_STRING "0.1.0"
#define PUSHERC_VERSION_HEX                                                                        \
    ((PUSHERC_VERSION_MAJOR << 16) | (PUSHERC_VERSION_MINOR << 8) | PUSHERC_VERSION_PATCH)

PUSHERC_API unsigned pusherc_version(void);           /* of the library linked, as ..._HEX */
PUSHERC_API const char *pusherc_version_string(void); /* static */
PUSHERC_API const char *pusherc_features(void);       /* "tls redis": static */

PUSHERC_END_DECLS

#endif /* PUSHERC_VERSION_H */
