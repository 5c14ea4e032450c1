/* Writing responses. */
#include "codec/http.h"

#include "base/utc.h"

/* "" if unknown */
static const char *reason_of(int status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 302:
        return "Found";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    case 307:
        return "Temporary Redirect";
    case 308:
        return "Permanent Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 402:
        return "Payment Required";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 421:
        return "Misdirected Request";
    case 422:
        return "Unprocessable Content";
    case 426:
        return "Upgrade Required";
    case 428:
        return "Precondition Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "";
    }
}

bool pc_http_is_token(pusherc_slice text)
{
    static const char token[] = "!#$%&'*+-.^_`|~"
                                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t i = 0; i < text.len; i++)
        if (!memchr(token, text.ptr[i], sizeof token - 1))
            return false;
    return text.len > 0;
}

bool pc_http_field_valid(pusherc_slice name, pusherc_slice value)
{
    if (!pc_http_is_token(name))
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
            return false;
    return true;
}

static void put_two_digits(char *to, unsigned number)
{
    to[0] = (char)('0' + number / 10);
    to[1] = (char)('0' + number % 10);
}

/* RFC 9110, section 5.6.7. Not strftime(), which uses the host's locale. */
static void write_date(char out[PC_HTTP_DATE_LEN], struct pc_utc utc)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    memcpy(out, "Day, dd Mon yyyy hh:mm:ss GMT", PC_HTTP_DATE_LEN);
    memcpy(out, days + 3 * utc.weekday, 3);
    put_two_digits(out + 5, utc.day);
    memcpy(out + 8, months + 3 * (utc.month - 1), 3);
    put_two_digits(out + 12, utc.year / 100);
    put_two_digits(out + 14, utc.year % 100);
    put_two_digits(out + 17, utc.hour);
    put_two_digits(out + 20, utc.minute);
    put_two_digits(out + 23, utc.second);
}

pusherc_slice pc_http_date(struct pc_http_date *date, uint64_t unix_time_s)
{
    if (date->unix_time_s != unix_time_s || date->text[0] == '\0') {
        date->unix_time_s = unix_time_s;
        write_date(date->text, pc_utc_of(unix_time_s));
    }
    return pc_slice(date->text, sizeof date->text);
}

/* Room for the fixed words and the two numbers of a reply's head: at most 133 bytes. */
#define FIXED_BYTES 192

static char *copy(char *to, pusherc_slice s)
{
    if (s.len)
        memcpy(to, s.ptr, s.len);
    return to + s.len;
}

static char *copy_field(char *to, pusherc_slice name, pusherc_slice value)
{
    to = copy(to, name);
    to = copy(to, PC_S(": "));
    to = copy(to, value);
    return copy(to, PC_S("\r\n"));
}

void pc_http_put_reply(struct pc_buf *buf, const struct pc_http_reply *reply)
{
    bool interim = reply->status < 200;
    bool bodiless = interim || reply->status == 204 || reply->status == 304;
    pusherc_slice body = bodiless || reply->head_only ? pc_slice(NULL, 0) : reply->body;
    pusherc_slice content_type = pc_slice_of(reply->content_type);

    /* Reserves the room for the whole reply and then copies: asking for room before each of a dozen
     * short pieces would cost more than the copies. */
    size_t size = FIXED_BYTES + reply->date.len + content_type.len + body.len;
    for (size_t i = 0; i < reply->field_count; i++)
        size += reply->fields[i].name.len + reply->fields[i].value.len + 4;
    char *start = pc_buf_reserve(buf, size);
    if (!start)
        return;

    char *to = copy(start, PC_S("HTTP/1.1 "));
    to += pc_format_u64((uint64_t)reply->status, to);
    *to++ = ' ';
    to = copy(to, pc_slice_of(reason_of(reply->status)));
    to = copy(to, PC_S("\r\n"));
    if (reply->date.len && !interim)
        to = copy_field(to, PC_S("Date"), reply->date);
    if (content_type.len)
        to = copy_field(to, PC_S("Content-Type"), content_type);
    if (!bodiless && !reply->streamed) {
        to = copy(to, PC_S("Content-Length: "));
        to += pc_format_u64(reply->body.len, to);
        to = copy(to, PC_S("\r\n"));
    }
    /* Always sent: without it an HTTP/1.0 client waits for the end of the connection. */
    if (!interim)
        to = copy(to, reply->keep_alive ? PC_S("Connection: keep-alive\r\n")
                                        : PC_S("Connection: close\r\n"));
    for (size_t i = 0; i < reply->field_count; i++)
        to = copy_field(to, reply->fields[i].name, reply->fields[i].value);
    to = copy(to, PC_S("\r\n"));
    to = copy(to, body);
    pc_buf_advance(buf, (size_t)(to - start));
}
