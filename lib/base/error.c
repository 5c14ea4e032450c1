#include <pusherc/error.h>

const char *pusherc_err_name(int code)
{
    switch (code) {
    case PUSHERC_OK:
        return "OK";
#define CASE(name, value, text)                                                                    \
    case value:                                                                                    \
        return #name;
        PUSHERC_ERROR_MAP(CASE)
#undef CASE
    default:
        return "UNKNOWN";
    }
}

const char *pusherc_strerror(int code)
{
    switch (code) {
    case PUSHERC_OK:
        return "success";
#define CASE(name, value, text)                                                                    \
    case value:                                                                                    \
        return text;
        PUSHERC_ERROR_MAP(CASE)
#undef CASE
    default:
        return "unknown error";
    }
}
