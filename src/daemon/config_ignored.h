/* Counts the keys of a file that are EMQX's own, by their family. */
#ifndef PORTOLAN_DAEMON_CONFIG_IGNORED_H
#define PORTOLAN_DAEMON_CONFIG_IGNORED_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_FAMILIES_MAX 24
#define CONFIG_FAMILY_SIZE 24

struct config_ignored {
    size_t keys;
    size_t families;
    struct {
        char name[CONFIG_FAMILY_SIZE]; /* what stands before the first dot; "" for no dot */
        size_t keys;
    } family[CONFIG_FAMILIES_MAX]; /* what is beyond these counts in `keys` alone */
};

void config_ignored_add(struct config_ignored *ignored, const char *key);

/* "listener 96, zone 48, mqtt 12, without a family 8": the largest first, cut to `size`. */
void config_ignored_format(const struct config_ignored *ignored, char *out, size_t size);

/* Whether the key, of a family that is ours, is known as one of EMQX 4's own. */
bool config_ignored_is_emqx(const char *key);

/* Those keys, NULL at the end. */
extern const char *const config_emqx_keys[];

#endif
