/*
 * The one table of keys. Parsing, the environment, --help, --print-config, the example file and the
 * manual page's list come from it; a key that is new is one more line, and one more member of
 * struct config.
 */
#ifndef PORTOLAN_CONFIG_KEYS_H
#define PORTOLAN_CONFIG_KEYS_H

#include "config/config.h"
#include "config/types.h"

#include <stddef.h>

struct config_key {
    const char *name; /* family.rest */
    enum config_type type;
    size_t offset;            /* of its value in struct config */
    const char *initial;      /* the default; for some paths that of root (config_defaults) */
    const char *initial_epmd; /* under the name epmd; NULL: the same */
    bool live;                /* applied by a reload; else by the next start */
    const char *variable;     /* another name in the environment, or NULL */
    const char *meaning;      /* a sentence or two, without the last full stop */
};

extern const struct config_key config_keys[];
extern const size_t config_keys_count;

/* NULL: no such key. */
const struct config_key *config_key_find(const char *name);

/* Its place in the table. */
size_t config_key_number(const struct config_key *key);

/* Whether keys of ours begin as this one does, up to the first dot. */
bool config_key_family_is_ours(const char *name);

/* Of a family that is not ours: whether it is a mistyped key of ours, as custer.discovery is. */
bool config_key_family_is_mistyped(const char *name);

/* The known key that differs least from `name`, or NULL when none is near. EMQX's are known too. */
const char *config_key_nearest(const char *name);

/* The member of struct config. */
void *config_key_place(struct config *config, const struct config_key *key);

/* The value as the file would have it, in `buffer` (CONFIG_TEXT_SIZE) or borrowed from config. */
const char *config_key_text(const struct config *config, const struct config_key *key,
                            char *buffer);

/* The default of that personality, before config_defaults. */
const char *config_key_initial(const struct config_key *key, enum config_personality personality);

#endif
