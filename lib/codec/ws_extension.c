/* Which of the offered forms of permessage-deflate the server takes up: RFC 7692, sections 5 and 7.1. */
#include "codec/ws.h"

#include "codec/deflate.h"

#define PARAMETERS 4

/* The value of a parameter, which may be in quotes; len 0: it has none. */
static pusherc_slice value_of(pusherc_slice parameter, size_t name_len)
{
    pusherc_slice value = pc_slice_skip(parameter, name_len);
    if (value.len)
        value = pc_slice_skip(value, 1);
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        value = pc_slice(value.ptr + 1, value.len - 2);
    return value;
}

/* 8 to 15, without a leading zero. */
static bool window_bits(pusherc_slice value, uint8_t *out)
{
    uint64_t bits;
    if (value.len == 0 || value.ptr[0] == '0' || !pc_slice_to_u64(value, &bits) || bits < 8 ||
        bits > 15)
        return false;
    *out = (uint8_t)bits;
    return true;
}

/* Reads one parameter of an offer. False: the offer cannot be taken, because the parameter is unknown or malformed, or
 * came before (`seen`). */
static bool take_parameter(pusherc_slice parameter, unsigned *seen, struct pc_ws_deflate *out)
{
    static const struct {
        pusherc_slice name;
        bool bits, bits_optional;
    } known[PARAMETERS] = {
        {PUSHERC_LIT("server_no_context_takeover"), false, false},
        {PUSHERC_LIT("client_no_context_takeover"), false, false},
        {PUSHERC_LIT("server_max_window_bits"), true, false},
        {PUSHERC_LIT("client_max_window_bits"), true, true},
    };
    size_t name_len = pc_slice_find(parameter, '=');
    bool has_value = name_len < parameter.len;
    pusherc_slice name = pc_slice_first(parameter, name_len), value = value_of(parameter, name_len);
    unsigned i = 0;
    while (i < PARAMETERS && !pc_slice_eq(name, known[i].name))
        i++;
    if (i == PARAMETERS || (*seen & 1u << i))
        return false;
    *seen |= 1u << i;
    if (!has_value)
        return !known[i].bits || known[i].bits_optional;
    uint8_t client_bits; /* whatever it is, the server's decompressor has the largest window */
    return known[i].bits &&
           window_bits(value, known[i].bits_optional ? &client_bits : &out->window_bits);
}

static bool take_offer(pusherc_slice offer, struct pc_ws_deflate *out)
{
    pusherc_slice part;
    unsigned seen = 0;
    *out = (struct pc_ws_deflate){.agreed = false};
    if (!pc_http_part_next(&offer, &part) || !pc_slice_eq(part, PC_S("permessage-deflate")))
        return false;
    while (pc_http_part_next(&offer, &part))
        if (!take_parameter(part, &seen, out))
            return false;
    out->agreed = true;
    return true;
}

void pc_ws_choose_deflate(const struct pc_http_message *request, struct pc_ws_deflate *out)
{
    *out = (struct pc_ws_deflate){.agreed = false};
    for (size_t i = 0; i < request->field_count; i++) {
        pusherc_slice list = request->fields[i].value, offer;
        if (!pc_slice_eq_nocase(request->fields[i].name, PC_S("Sec-WebSocket-Extensions")))
            continue;
        while (pc_http_list_next(&list, &offer))
            if (take_offer(offer, out))
                return;
    }
    *out = (struct pc_ws_deflate){.agreed = false};
}

void pc_ws_put_deflate(struct pc_buf *out, const struct pc_ws_deflate *deflate)
{
    if (!deflate->agreed)
        return;
    pc_buf_put(out, PC_S("\r\nSec-WebSocket-Extensions: permessage-deflate"
                         "; server_no_context_takeover; client_no_context_takeover"));
    if (deflate->window_bits == 0)
        return;
    pc_buf_put(out, PC_S("; server_max_window_bits="));
    pc_buf_put_u64(out, deflate->window_bits < PC_DEFLATE_WINDOW_BITS ? deflate->window_bits
                                                                      : PC_DEFLATE_WINDOW_BITS);
}

bool pc_ws_deflate_fits(const struct pc_ws_deflate *deflate)
{
    return deflate->agreed &&
           (deflate->window_bits == 0 || deflate->window_bits >= PC_DEFLATE_WINDOW_BITS);
}
