#include "base/setting.h"

#include <stdbool.h>

#include <pusherc/app.h>

#include "base/log.h"
#include "base/slice.h"

_Static_assert(sizeof(pusherc_slow_policy) == sizeof(uint32_t), "a choice is read as a number");

static bool is_big(const struct pc_setting *setting)
{
    return setting->kind == PC_SETTING_BIG;
}

static bool has_range(const struct pc_setting *setting)
{
    switch (setting->kind) {
    case PC_SETTING_TEXT:
    case PC_SETTING_PATH:
    case PC_SETTING_SECRET:
    case PC_SETTING_FLAG:
        return false;
    case PC_SETTING_CHOICE:
    case PC_SETTING_NUMBER:
    case PC_SETTING_LIMIT:
    case PC_SETTING_DELAY:
    case PC_SETTING_BIG:
        return true;
    }
    return false;
}

/* True for PUSHERC_NO_LIMIT and PUSHERC_NO_DELAY, which are outside the range. */
static bool is_no_limit_or_delay(const struct pc_setting *setting, uint64_t value)
{
    return value == UINT32_MAX &&
           (setting->kind == PC_SETTING_LIMIT || setting->kind == PC_SETTING_DELAY);
}

static uint64_t read(const struct pc_setting *setting, const void *options)
{
    const void *at = (const char *)options + setting->offset;
    return is_big(setting) ? *(const uint64_t *)at : *(const uint32_t *)at;
}

int pc_settings_check(const struct pc_setting settings[], size_t count, const void *options,
                      const char *about, pusherc_errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        const struct pc_setting *setting = &settings[i];
        uint64_t value = has_range(setting) ? read(setting, options) : 0;
        if (value == 0 || is_no_limit_or_delay(setting, value))
            continue;
        if (value > setting->max && setting->kind == PC_SETTING_CHOICE)
            return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s%s is no value of its enum", about,
                              setting->name);
        if (value > setting->max)
            return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s%s must be at most %llu", about,
                              setting->name, (unsigned long long)setting->max);
        if (value < setting->min)
            return pc_errinfo(info, PUSHERC_EINVAL, 0, "%s%s must be %llu or more", about,
                              setting->name, (unsigned long long)setting->min);
    }
    return 0;
}

void pc_settings_fill(const struct pc_setting settings[], size_t count, void *options)
{
    for (size_t i = 0; i < count; i++) {
        const struct pc_setting *setting = &settings[i];
        void *at = (char *)options + setting->offset;
        if (!has_range(setting))
            continue;
        if (is_big(setting) && *(uint64_t *)at == 0)
            *(uint64_t *)at = setting->fallback;
        else if (!is_big(setting) && *(uint32_t *)at == 0)
            *(uint32_t *)at = (uint32_t)setting->fallback;
        else if (setting->kind == PC_SETTING_DELAY && *(uint32_t *)at == PUSHERC_NO_DELAY)
            *(uint32_t *)at = 0;
    }
}

int pc_setting_word(const char *words, pusherc_slice word)
{
    pusherc_slice rest = pc_slice_of(words);
    for (int i = 0; rest.len > 0; i++) {
        size_t len = pc_slice_find(rest, '|');
        if (pc_slice_eq(pc_slice_first(rest, len), word))
            return i;
        rest = pc_slice_skip(rest, len < rest.len ? len + 1 : len);
    }
    return -1;
}
