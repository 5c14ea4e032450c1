#include "auth/denial.h"

const char *pusherc_denial_name(pusherc_denial_reason reason)
{
    switch (reason) {
#define CASE(name, value, label, type, text)                                                       \
    case PUSHERC_DENIED_##name:                                                                    \
        return #name;
        PUSHERC_DENIAL_MAP(CASE)
#undef CASE
    }
    return "UNKNOWN";
}

const char *pc_denial_type(pusherc_denial_reason reason)
{
    switch (reason) {
#define CASE(name, value, label, type, text)                                                       \
    case PUSHERC_DENIED_##name:                                                                    \
        return type;
        PUSHERC_DENIAL_MAP(CASE)
#undef CASE
    }
    return "SubscriptionError";
}
