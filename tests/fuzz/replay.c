/*
 * Runs a fuzz target over its corpus without a fuzzer: each file of the folder given, and each of
 * its prefixes, as one input. So every build checks what a fuzzer once found, whatever its compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MAX_INPUT_BYTES = 1 << 20,
    MAX_PREFIXES = 256
};

/* Inputs are copied to blocks of their exact size, so that reading past the end is seen. */
static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_file(const char *path, uint8_t *data)
{
    FILE *file = fopen(path, "rb");
    size_t size, step;

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size = fread(data, 1, MAX_INPUT_BYTES, file);
    fclose(file);

    step = size / MAX_PREFIXES + 1;
    for (size_t prefix = 0; prefix < size; prefix += step)
        run_one(data, prefix);
    run_one(data, size);
}

int main(int argc, char **argv)
{
    uint8_t *data = malloc(MAX_INPUT_BYTES);
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    int count = 0;

    if (folder == NULL || data == NULL) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(folder)) != NULL) {
        char path[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        run_file(path, data);
        count++;
    }
    closedir(folder);
    free(data);
    if (count == 0)
        fprintf(stderr, "%s: no input\n", argv[1]);
    return count == 0;
}
