/* Counts the keys of a file that are EMQX's own, by their family. */
#ifndef PORTOLAN_CONFIG_EMQX_KEYS_H
#define PORTOLAN_CONFIG_EMQX_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_FAMILIES_MAX 24
#define CONFIG_FAMILY_SIZE 24

struct emqx_keys {
    size_t keys;
    size_t families;
    struct {
        char name[CONFIG_FAMILY_SIZE]; /* what stands before the first dot; "" for no dot */
        size_t keys;
    } family[CONFIG_FAMILIES_MAX]; /* what is beyond these counts in `keys` alone */
};

void emqx_keys_add(struct emqx_keys *ignored, const char *key);

/* "listener 96, zone 48, mqtt 12, without a family 8": the largest first, cut to `size`. */
void emqx_keys_format(const struct emqx_keys *ignored, char *out, size_t size);

/* Whether the key, of a family that is ours, is known as one of EMQX 4's own. */
bool emqx_keys_has(const char *key);

/* Those keys, NULL at the end. */
extern const char *const emqx_keys_known[];

#endif
