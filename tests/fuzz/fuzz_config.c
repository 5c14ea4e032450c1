/* A config file of the program: any bytes are read, or refused with a reason of one line. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cli_settings settings;
    struct cli_apps apps;
    struct cli_error error = {""};
    char path[64];
    int fd = memfd_create("config", 0);
    REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cli_settings_init(&settings);
    cli_apps_init(&apps);
    int status = cli_config_read(path, &settings, &apps, NULL, &error);
    REQUIRE(status == 0 || (status == -1 && error.text[0]));
    if (status == 0 && cli_settings_complete(&settings, &error) == 0) {
        FILE *shown = fopen("/dev/null", "w");
        REQUIRE(shown);
        for (size_t i = 0; i < cli_server_setting_count; i++)
            cli_setting_print(shown, &settings, &cli_server_settings[i]);
        fclose(shown);
    }
    cli_apps_free(&apps);
    cli_settings_free(&settings);
    close(fd);
    return 0;
}
