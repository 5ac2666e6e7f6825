#include "config/reload.h"

#include "config/check.h"
#include "config/keys.h"

#include <stdlib.h>
#include <string.h>

/* Sets again what flags had set. */
static bool copy_flags(const struct config *running, struct config *fresh,
                       struct config_report *report) {
    char buffer[CONFIG_TEXT_SIZE];
    bool good = true;
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        const struct config_origin origin = {CONFIG_FROM_FLAG, running->wheres[i]};
        if (running->sources[i] == CONFIG_FROM_FLAG)
            good &= config_set(fresh, key->name, config_key_text(running, key, buffer), &origin,
                               report);
    }
    return good;
}

/* The daemon may have left the directory that it was started in. */
static bool copy_place(const struct config *running, struct config *fresh) {
    char *directory = strdup(running->directory);
    if (directory == NULL)
        return false;
    free(fresh->directory);
    fresh->directory = directory;
    return running->file == NULL || config_use_file(fresh, running->file);
}

bool config_reload_read(const struct config *running, struct config *fresh,
                        struct config_report *report) {
    if (!config_init(fresh, running->personality) || !copy_place(running, fresh)) {
        config_report_add(report, CONFIG_ERROR, "cannot read the configuration: out of memory");
        return false;
    }
    bool flags = copy_flags(running, fresh, report);
    bool rest = config_load(fresh, report);
    return flags && rest && config_check(fresh, report);
}

static bool differs(const struct config *a, const struct config *b, const struct config_key *key) {
    char buffers[2][CONFIG_TEXT_SIZE];
    return strcmp(config_key_text(a, key, buffers[0]), config_key_text(b, key, buffers[1])) != 0;
}

static void swap(void *a, void *b, size_t size) {
    char between[sizeof(union config_value)];
    memcpy(between, a, size);
    memcpy(a, b, size);
    memcpy(b, between, size);
}

static void take_over(struct config *running, struct config *fresh, const struct config_key *key) {
    size_t number = config_key_number(key);
    swap(config_key_place(running, key), config_key_place(fresh, key), config_type_size(key->type));
    swap(&running->sources[number], &fresh->sources[number], sizeof running->sources[number]);
    swap(&running->wheres[number], &fresh->wheres[number], sizeof running->wheres[number]);
}

void config_reload(struct config *running, struct config *fresh,
                   void (*changed)(void *context, const char *key, bool applied), void *context) {
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (differs(running, fresh, key))
            changed(context, key->name, key->live);
        if (key->live)
            take_over(running, fresh, key);
    }
    running->file_read = fresh->file_read;
    running->ignored = fresh->ignored;
}
