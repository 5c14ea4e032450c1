/* Responses out. */
#include "codec/http.h"

const char *pc_http_reason(int status)
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

bool pc_http_field_valid(pusherc_slice name, pusherc_slice value)
{
    static const char token[] = "!#$%&'*+-.^_`|~"
                                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!memchr(token, name.ptr[i], sizeof token - 1))
            return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
            return false;
    return true;
}

static void put_field(struct pc_buf *buf, pusherc_slice name, pusherc_slice value)
{
    pc_buf_put(buf, name);
    pc_buf_put(buf, PC_S(": "));
    pc_buf_put(buf, value);
    pc_buf_put(buf, PC_S("\r\n"));
}

void pc_http_put_reply(struct pc_buf *buf, const struct pc_http_reply *reply)
{
    bool interim = reply->status < 200;
    bool bodiless = interim || reply->status == 204 || reply->status == 304;
    pc_buf_put(buf, PC_S("HTTP/1.1 "));
    pc_buf_put_u64(buf, (uint64_t)reply->status);
    pc_buf_put_char(buf, ' ');
    pc_buf_put(buf, pc_slice_of(pc_http_reason(reply->status)));
    pc_buf_put(buf, PC_S("\r\n"));
    if (reply->content_type)
        put_field(buf, PC_S("Content-Type"), pc_slice_of(reply->content_type));
    if (!bodiless) {
        pc_buf_put(buf, PC_S("Content-Length: "));
        pc_buf_put_u64(buf, reply->body.len);
        pc_buf_put(buf, PC_S("\r\n"));
    }
    /* Always told: a client of HTTP/1.0 that hears nothing waits for the end of the connection. */
    if (!interim)
        pc_buf_put(buf, reply->keep_alive ? PC_S("Connection: keep-alive\r\n")
                                          : PC_S("Connection: close\r\n"));
    for (size_t i = 0; i < reply->field_count; i++)
        put_field(buf, reply->fields[i].name, reply->fields[i].value);
    pc_buf_put(buf, PC_S("\r\n"));
    if (!bodiless && !reply->head_only)
        pc_buf_put(buf, reply->body);
}
