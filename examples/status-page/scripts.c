#include "scripts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "assets.h"
#include "site.h"
#include "text.h"

#define SCRIPT_COUNT 2

static const struct {
    const char *name; /* below /static/ */
    const char *path; /* below node_modules/ */
} sources[SCRIPT_COUNT] = {
    {"pusher.js", "pusher-js/dist/web/pusher.min.js"},
    {"echo.js", "laravel-echo/dist/echo.iife.js"},
};

struct scripts {
    struct {
        struct text text;
        char etag[20];
    } files[SCRIPT_COUNT];
};

static int read_file(struct text *out, const char *path)
{
    char part[16384];
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    size_t got;
    while ((got = fread(part, 1, sizeof part, file)) > 0)
        text_add(out, part, got);
    int failed = ferror(file) || out->failed || out->len == 0;
    fclose(file);
    return failed ? -1 : 0;
}

int scripts_load(struct scripts **out, const char *node_modules)
{
    struct scripts *scripts = calloc(1, sizeof *scripts);
    *out = scripts;
    for (int i = 0; scripts && i < SCRIPT_COUNT; i++) {
        char path[4096];
        unsigned char hash[crypto_generichash_BYTES_MIN];
        char hex[sizeof hash * 2 + 1];
        struct text *text = &scripts->files[i].text;
        snprintf(path, sizeof path, "%s/%s", node_modules, sources[i].path);
        errno = 0;
        if (read_file(text, path) != 0) {
            fprintf(stderr,
                    "status-page: cannot read %s%s%s\n"
                    "The pages use pusher-js and laravel-echo from npm: \"make demo\" fetches "
                    "them, and\n"
                    "--node-modules DIR names another place that has them.\n",
                    path, errno ? ": " : "", errno ? strerror(errno) : "");
            scripts_free(scripts);
            *out = NULL;
            return -1;
        }
        crypto_generichash(hash, sizeof hash, (const unsigned char *)text->ptr, text->len, NULL, 0);
        sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
        snprintf(scripts->files[i].etag, sizeof scripts->files[i].etag, "\"%.16s\"", hex);
    }
    return scripts ? 0 : -1;
}

void scripts_free(struct scripts *scripts)
{
    if (!scripts)
        return;
    for (int i = 0; i < SCRIPT_COUNT; i++)
        text_free(&scripts->files[i].text);
    free(scripts);
}

static const char *type_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot && strcmp(dot, ".css") == 0)
        return "text/css; charset=utf-8";
    if (dot && strcmp(dot, ".svg") == 0)
        return "image/svg+xml";
    return "text/javascript; charset=utf-8";
}

void scripts_send(struct site *site, pusherc_http_request *request,
                  const struct http_params *params)
{
    const char *name = params->value[0];
    char path[HTTP_PARAM_BYTES + 16];
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        if (strcmp(sources[i].name, name) == 0) {
            http_send(request,
                      &(struct http_answer){.type = type_of(name),
                                            .etag = site->scripts->files[i].etag,
                                            .body = site->scripts->files[i].text.ptr,
                                            .body_bytes = site->scripts->files[i].text.len});
            return;
        }
    }
    snprintf(path, sizeof path, "static/%s", name);
    const struct asset *asset = asset_find(path);
    if (asset)
        http_send(request, &(struct http_answer){.type = type_of(name),
                                                 .etag = asset->etag,
                                                 .body = asset->data,
                                                 .body_bytes = asset->size});
    else
        http_send_error(request, 404, "There is nothing here.");
}
