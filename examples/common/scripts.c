#include "common/assets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/program.h"
#include "common/say.h"

#define MAX_SCRIPTS 8

struct scripts {
    struct {
        struct asset asset;
        char *data; /* owned */
        char etag[20];
    } files[MAX_SCRIPTS];
    size_t count;
};

static const struct asset *find_in(const struct asset *list, const char *name)
{
    for (; list->name; list++) {
        if (strcmp(list->name, name) == 0)
            return list;
    }
    return NULL;
}

const struct asset *asset_find(const char *name)
{
    const struct asset *found = find_in(program_assets, name);
    return found ? found : find_in(common_assets, name);
}

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

static int load(struct scripts *scripts, const struct script_source *source,
                const char *node_modules)
{
    size_t at = scripts->count;
    char path[4096];
    char hex[2 * crypto_generichash_BYTES_MIN + 1];
    unsigned char hash[crypto_generichash_BYTES_MIN];
    struct asset *asset = &scripts->files[at].asset;
    snprintf(path, sizeof path, "%s/%s", node_modules, source->path);
    scripts->files[at].data = read_file(&asset->size, path);
    if (!scripts->files[at].data) {
        say("cannot read %s\n"
            "The pages use scripts from npm: \"make demo\" fetches them, and\n"
            "--node-modules DIR names another place that has them.",
            path);
        return -1;
    }
    scripts->count++;
    asset->name = source->name;
    asset->data = scripts->files[at].data;
    asset->etag = scripts->files[at].etag;
    crypto_generichash(hash, sizeof hash, (const unsigned char *)asset->data, asset->size, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(scripts->files[at].etag, sizeof scripts->files[at].etag, "\"%.16s\"", hex);
    return 0;
}

int scripts_load(struct scripts **out, const struct script_source *sources,
                 const char *node_modules)
{
    *out = calloc(1, sizeof **out);
    for (; *out && sources && sources->name; sources++) {
        if ((*out)->count == MAX_SCRIPTS || load(*out, sources, node_modules) != 0) {
            scripts_free(*out);
            *out = NULL;
        }
    }
    return *out ? 0 : -1;
}

void scripts_free(struct scripts *scripts)
{
    for (size_t i = 0; scripts && i < scripts->count; i++)
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

void scripts_send(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    char name[HTTP_PARAM_BYTES + 16];
    snprintf(name, sizeof name, "static/%s", params->value[0]);
    const struct asset *asset = asset_find(name);
    for (size_t i = 0; !asset && i < program->scripts->count; i++) {
        const struct asset *script = &program->scripts->files[i].asset;
        asset = strcmp(script->name, name) == 0 ? script : NULL;
    }
    if (asset)
        http_send(request, &(struct http_answer){.type = type_of(name),
                                                 .etag = asset->etag,
                                                 .body = asset->data,
                                                 .body_bytes = asset->size});
    else
        http_send_error(request, 404, "There is nothing here.");
}
