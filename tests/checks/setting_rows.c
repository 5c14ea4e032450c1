/* Every setting there is, one a line, for the check `settings`: whose it is, kind, name, default and meaning, with tabs between. */
#include <inttypes.h>
#include <stdio.h>

#include "settings.h"

#define LIBRARY_ROW(kind, name, min, max, fallback, words, meaning)                                \
    print(whose, #kind, #name, fallback, meaning);

static void print(const char *whose, const char *kind, const char *name, uint64_t fallback,
                  const char *meaning)
{
    printf("%s\t%s\t%s\t%" PRIu64 "\t%s\n", whose, kind, name, fallback, meaning);
}

/* What pusherc/settings.h has, by the struct whose field it is; "host": `pusherc serve` has no use for it. */
static void print_library(void)
{
    const char *whose = "app";
    PUSHERC_APP_SETTING_MAP(LIBRARY_ROW)
    whose = "app host";
    PUSHERC_APP_HOST_SETTING_MAP(LIBRARY_ROW)
    whose = "server";
    PUSHERC_SERVER_SETTING_MAP(LIBRARY_ROW)
    whose = "server host";
    PUSHERC_SERVER_HOST_SETTING_MAP(LIBRARY_ROW)
}

/* The program's own and the library's, in the order of --check. */
static void print_program(void)
{
    for (size_t i = 0; i < cli_server_setting_count; i++) {
        const struct cli_setting *setting = &cli_server_settings[i];
        print("program", "", setting->name, setting->fallback, setting->meaning);
    }
}

int main(void)
{
    print_library();
    print_program();
    return 0;
}
