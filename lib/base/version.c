#include <pusherc/version.h>

unsigned pusherc_version(void)
{
    return PUSHERC_VERSION_HEX;
}

const char *pusherc_version_string(void)
{
    return PUSHERC_VERSION_STRING;
}

/* The build defines PC_WITH_... for what it links. The empty string keeps the table valid alone. */
static const char features[] = ""
#ifdef PC_WITH_TLS
                               " tls"
#endif
#ifdef PC_WITH_ENCRYPTION
                               " encryption"
#endif
#ifdef PC_WITH_WEBHOOKS
                               " webhooks"
#endif
#ifdef PC_WITH_REDIS
                               " redis"
#endif
#ifdef PC_WITH_OUTBOX
                               " outbox"
#endif
#ifdef PC_WITH_EXPLAIN
                               " explain"
#endif
    ;

const char *pusherc_features(void)
{
    return features[0] ? features + 1 : features;
}
