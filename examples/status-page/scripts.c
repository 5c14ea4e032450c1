#include "assets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "site.h"

#define SCRIPT_COUNT 2

static const struct {
    const char *name; /* as an asset */
    const char *path; /* below node_modules/ */
} sources[SCRIPT_COUNT] = {
    {"static/pusher.js", "pusher-js/dist/web/pusher.min.js"},
    {"static/echo.js", "laravel-echo/dist/echo.iife.js"},
};

struct scripts {
    struct {
        struct asset asset;
        char *data; /* owned */
        char etag[20];
    } files[SCRIPT_COUNT];
};

static char *read_file(size_t *size_out, const char *path)
{
    char *data = NULL;
    FILE *file = fopen(path, "rb");
    long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size > 0 && (data = malloc((size_t)size)) != NULL) {
        rewind(file);
        *size_out = fread(data, 1, (size_t)size, file);
    }
    if (file)
        fclose(file);
    return data;
}

static int load(struct scripts *scripts, int i, const char *node_modules)
{
    char path[4096];
    char hex[2 * crypto_generichash_BYTES_MIN + 1];
    unsigned char hash[crypto_generichash_BYTES_MIN];
    struct asset *asset = &scripts->files[i].asset;
    snprintf(path, sizeof path, "%s/%s", node_modules, sources[i].path);
    scripts->files[i].data = read_file(&asset->size, path);
    if (!scripts->files[i].data) {
        fprintf(
            stderr,
            "status-page: cannot read %s\n"
            "The pages use pusher-js and laravel-echo from npm: \"make demo\" fetches them, and\n"
            "--node-modules DIR names another place that has them.\n",
            path);
        return -1;
    }
    asset->name = sources[i].name;
    asset->data = scripts->files[i].data;
    asset->etag = scripts->files[i].etag;
    crypto_generichash(hash, sizeof hash, (const unsigned char *)asset->data, asset->size, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(scripts->files[i].etag, sizeof scripts->files[i].etag, "\"%.16s\"", hex);
    return 0;
}

int scripts_load(struct scripts **out, const char *node_modules)
{
    *out = calloc(1, sizeof **out);
    for (int i = 0; *out && i < SCRIPT_COUNT; i++) {
        if (load(*out, i, node_modules) != 0) {
            scripts_free(*out);
            *out = NULL;
        }
    }
    return *out ? 0 : -1;
}

void scripts_free(struct scripts *scripts)
{
    for (int i = 0; scripts && i < SCRIPT_COUNT; i++)
        free(scripts->files[i].data);
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
    char name[HTTP_PARAM_BYTES + 16];
    snprintf(name, sizeof name, "static/%s", params->value[0]);
    const struct asset *asset = asset_find(name);
    for (int i = 0; !asset && i < SCRIPT_COUNT; i++)
        asset = strcmp(sources[i].name, name) == 0 ? &site->scripts->files[i].asset : NULL;
    if (asset)
        http_send(request, &(struct http_answer){.type = type_of(name),
                                                 .etag = asset->etag,
                                                 .body = asset->data,
                                                 .body_bytes = asset->size});
    else
        http_send_error(request, 404, "There is nothing here.");
}
