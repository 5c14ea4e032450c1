#include "common/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>
#include <wctype.h>

#include "common/http.h"
#include "common/multipart.h"

/* False if it is not a form with files. */
static bool copy_part(char *out, size_t out_bytes, const pusherc_http_request *request,
                      const char *name, bool *copied)
{
    struct multipart all;
    struct multipart_part part;
    if (!multipart_begin(&all, request))
        return false;
    while (multipart_next(&all, &part)) {
        if (!part.is_file && pusherc_slice_equal(part.name, pusherc_slice_of(name))) {
            *copied = http_copy(out, out_bytes, part.data);
            return true;
        }
    }
    *out = '\0';
    *copied = true;
    return true;
}

bool field_copy(char *out, size_t out_bytes, const pusherc_http_request *request, const char *name)
{
    static const char json[] = "application/json";
    bool copied;
    if (copy_part(out, out_bytes, request, name, &copied))
        return copied;
    pusherc_slice type = pusherc_http_header(request, "content-type");
    if (type.len < sizeof json - 1 || strncasecmp(type.ptr, json, sizeof json - 1) != 0)
        return http_copy(out, out_bytes, pusherc_http_form(request, name));
    pusherc_slice body = pusherc_http_body(request);
    cJSON *object = cJSON_ParseWithLength(body.ptr, body.len);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    char number[32] = "";
    if (cJSON_IsNumber(value)) /* 1.5 is not 2 */
        snprintf(number, sizeof number, "%.15g", value->valuedouble);
    const char *text = cJSON_IsString(value) ? value->valuestring
                       : cJSON_IsTrue(value) ? "1"
                                             : number;
    copied = http_copy(out, out_bytes, pusherc_slice_of(text));
    cJSON_Delete(object);
    return copied;
}

size_t field_characters(const char *text)
{
    return mbstowcs(NULL, text, 0); /* main() chose UTF-8 */
}

/* No control characters but those of `allowed`. */
static bool is_plain(const char *text, const char *allowed)
{
    wchar_t character;
    mbstate_t state = {0};
    for (size_t bytes; *text; text += bytes) {
        bytes = mbrtowc(&character, text, MB_CUR_MAX, &state);
        if (bytes > MB_CUR_MAX || (iswcntrl((wint_t)character) && !strchr(allowed, *text)))
            return false;
    }
    return true;
}

bool field_is_line(const char *text)
{
    return is_plain(text, "");
}

bool field_line(char *out, size_t out_bytes, const pusherc_http_request *request, const char *name)
{
    bool line = field_copy(out, out_bytes, request, name) && is_plain(out, "");
    if (!line)
        out[0] = '\0';
    return line;
}

/* Forms send lines with CR LF. */
static void tidy_lines(char *text)
{
    char *to = text;
    const char *from = text + strspn(text, " \t\r\n");
    for (; *from; from++) {
        if (*from != '\r')
            *to++ = *from;
    }
    while (to > text && strchr(" \t\n", to[-1]))
        to--;
    *to = '\0';
}

bool field_text(char *out, size_t out_bytes, const pusherc_http_request *request, const char *name)
{
    bool text = field_copy(out, out_bytes, request, name) && is_plain(out, "\r\n\t");
    if (!text)
        out[0] = '\0';
    tidy_lines(out);
    return text;
}

bool field_ticked(const pusherc_http_request *request, const char *name)
{
    char value[8];
    field_copy(value, sizeof value, request, name);
    return value[0] && strcmp(value, "0") != 0;
}
