#include "secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SECRET_BYTES 4096

char *cli_secret_read(const char *source, const char *path, struct cli_error *error)
{
    char *text = calloc(1, MAX_SECRET_BYTES + 2);
    if (!text) {
        (void)cli_fail_no_memory(error);
        return NULL;
    }
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(text, 1, MAX_SECRET_BYTES + 1, file) : 0;
    int failed = !file || ferror(file) ? errno : 0;
    if (file)
        (void)fclose(file);
    size_t used = len;
    while (used > 0 && (text[used - 1] == '\n' || text[used - 1] == '\r'))
        text[--used] = '\0';
    if (failed)
        (void)cli_fail(error, "%s: cannot read %.200s: %s", source, path, strerror(failed));
    else if (len > MAX_SECRET_BYTES)
        (void)cli_fail(error, "%s: %.200s is longer than %d bytes", source, path, MAX_SECRET_BYTES);
    else if (used == 0 || strlen(text) != used)
        (void)cli_fail(error, "%s: %.200s must hold a secret and nothing else", source, path);
    else
        return text;
    free(text);
    return NULL;
}
