#include "protocol/close.h"

pusherc_slice pc_close_text(uint16_t code)
{
    switch (code) {
#define CASE(name, code, error, text)                                                              \
    case PC_CLOSE_##name:                                                                          \
        return PC_S(text);
        PC_CLOSE_MAP(CASE)
#undef CASE
    }
    return PC_S("");
}

enum pc_connect_error pc_connect_error_of(uint16_t code)
{
    switch (code) {
#define CASE(name, code, error, text)                                                              \
    case PC_CLOSE_##name:                                                                          \
        return PC_CONNECT_##error;
        PC_CLOSE_MAP(CASE)
#undef CASE
    }
    return PC_CONNECT_OTHER;
}
