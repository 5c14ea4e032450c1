/*
 * The rows of pusherc/settings.h as tables: they check option structs and fill in defaults of numbers, delays and
 * choices.
 */
#ifndef PC_BASE_SETTING_H
#define PC_BASE_SETTING_H

#include <stddef.h>
#include <stdint.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

#include "base/mem.h"

enum pc_setting_kind {
    PC_SETTING_TEXT,
    PC_SETTING_PATH,
    PC_SETTING_SECRET,
    PC_SETTING_FLAG,
    PC_SETTING_CHOICE,
    PC_SETTING_NUMBER,
    PC_SETTING_LIMIT,
    PC_SETTING_DELAY,
    PC_SETTING_BIG
};

struct pc_setting {
    const char *name;
    enum pc_setting_kind kind;
    size_t offset; /* in the options */
    uint64_t min, max, fallback;
};

/* A struct pc_setting made from one row of a map; `options` is the type of the option struct. */
#define PC_SETTING_ROW(options, kind, name, min, max, fallback)                                    \
    {#name, PC_SETTING_##kind, offsetof(options, name), min, max, fallback},

/* 0, or PUSHERC_EINVAL with a sentence in `info`: `about` and the name of the first setting out of its range. */
PC_CHECKED int pc_settings_check(const struct pc_setting settings[], size_t count,
                                 const void *options, const char *about, pusherc_errinfo *info);

/* Put each number's default where the options have 0. Afterwards 0 in a delay means 0. */
void pc_settings_fill(const struct pc_setting settings[], size_t count, void *options);

/* Index of the word in "one|two|three"; -1: it is not in the list. */
int pc_setting_word(const char *words, pusherc_slice word);

#endif
