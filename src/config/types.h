/* The types of values, and their text forms. */
#ifndef PORTOLAN_CONFIG_TYPES_H
#define PORTOLAN_CONFIG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_NODE,       /* text: Name@Host */
    CONFIG_NODES,      /* text: a comma list of them; empty: none */
    CONFIG_SECRET,     /* text that is shown to nobody; empty: none */
    CONFIG_WORD,       /* text: letters, digits, '_', '-' and '.' */
    CONFIG_PATH,       /* text: an absolute path; empty: none */
    CONFIG_DIRECTORY,  /* text: a path */
    CONFIG_SOCKET,     /* text: a path; empty: none */
    CONFIG_ADDRESSES,  /* text: a comma list of IP addresses; empty: all */
    CONFIG_ALLOWED,    /* text: see net/allow_list */
    CONFIG_LOG_TARGET, /* text */
    CONFIG_PORT,       /* port */
    CONFIG_DURATION,   /* ms */
    CONFIG_INTERVAL,   /* ms; 0: off */
    CONFIG_SWITCH,     /* on */
    CONFIG_COUNT,      /* count */
    CONFIG_PERCENT,    /* count: 1 to 100 */
    CONFIG_POLICY,     /* choice: enum port_policy */
    CONFIG_LISTERS,    /* choice: enum remote_names */
    CONFIG_DISCOVERY,  /* choice: enum discovery_kind */
    CONFIG_LOG_LEVEL,  /* choice: enum log_level */
    CONFIG_LOG_FORMAT, /* choice: enum log_format */
};

/* As it lies in struct config: one member, by the type. */
union config_value {
    char *text;
    uint16_t port;
    int64_t ms;
    bool on;
    uint64_t count;
    int choice;
};

/*
 * Parses the text form; relative paths start from `directory`. NULL when all is well: a text in
 * *out is then the caller's to free (and NULL when out of memory). Else why not: *out is left
 * alone.
 */
const char *config_type_parse(enum config_type type, const char *text, const char *directory,
                              union config_value *out);

/* What the type takes: "a port from 1 to 65535". */
const char *config_type_takes(enum config_type type);

bool config_type_is_text(enum config_type type);

/* The size of its member of struct config. */
size_t config_type_size(enum config_type type);

/* Frees a text; one that is secret is wiped before. NULL is fine. */
void config_type_free_text(enum config_type type, char *text);

/* Stores the value at a member of struct config; an old text is freed. */
void config_type_store(enum config_type type, void *place, union config_value value);

/* What to print in place of the text form: of a secret only whether there is one. */
const char *config_type_shown(enum config_type type, const char *text);

/* The text form, in `buffer` (CONFIG_TEXT_SIZE bytes) or borrowed from the place. */
#define CONFIG_TEXT_SIZE 32
const char *config_type_format(enum config_type type, const void *place, char *buffer);

#endif
