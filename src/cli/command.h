/*
 * The commands of `portolan`.
 *
 * A command is a table entry in the file of its family (cmd_*.c); portolan.c lists the entries.
 * Usage, --help, parsing and the check of the operands come from the entry, so that they agree.
 * Results go to standard output, everything else to standard error. With --json the result, also a
 * failure, is one object in the form of docs/control.md.
 */
#ifndef PORTOLAN_CLI_COMMAND_H
#define PORTOLAN_CLI_COMMAND_H

#include "cli/control_client.h"

#include <stdio.h>

/* What `portolan` exits with. */
enum exit_code {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_NO_DAEMON = 3,
    CLI_NOT_FOUND = 4,
    CLI_DENIED = 5,
};

struct command_option {
    const char *name;     /* "--base" */
    const char *argument; /* "N"; NULL: the option takes none */
    const char *meaning;
};

#define COMMAND_OPTIONS_MAX 4
#define COMMAND_MANY (-1)

struct call;

struct command {
    const char *name;
    const char *arguments; /* as usage shows them */
    const char *summary;   /* a line of `portolan help` */
    const char *details;   /* the body of --help */
    const char *example;   /* a command line that works */
    int min_operands, max_operands;
    bool takes_program; /* the words behind "--" are one */
    struct command_option options[COMMAND_OPTIONS_MAX];
    enum exit_code (*run)(struct call *call);
};

/* The table of portolan.c, NULL at the end. */
extern const struct command *const portolan_commands[];

/* A command line, taken apart; borrows argv and the environment. */
struct call {
    const struct command *command;
    const char *socket_path; /* NULL: the default places */
    int64_t timeout_ms;
    bool json;
    bool help;
    int operand_count;
    char **operands;
    char **program; /* what follows "--", NULL at the end; NULL without a "--" */
    const char *values[COMMAND_OPTIONS_MAX];
};

/* Takes the words of main apart, in place. CLI_DONE, or CLI_USAGE with the error printed. */
enum exit_code call_parse(struct call *call, int argc, char **argv);

/* The value of an option of the command: NULL when it was not given, "" for one without argument.
 */
const char *call_option(const struct call *call, const char *name);

/* The text of `portolan COMMAND --help`. */
void command_help(const struct command *command, FILE *out);

/* The entry of that name, or NULL. */
const struct command *command_find(const char *name);

/* Like it, for a word that a user wrote: prints an error with the nearest command when there is
 * none of that name. */
const struct command *command_of_word(const char *word);

/* --- talking to the daemon --- */

/* Connects. NULL: *failure says why, for call_fail. */
struct control_client *call_connect(const struct call *call, struct control_failure *failure);

/*
 * Connects, asks and disconnects. `request` is taken over. On CLI_DONE *reply is the caller's; else
 * it is NULL and the error is printed: "cannot ACTION: why".
 */
enum exit_code call_ask(const struct call *call, const char *action, json_t *request,
                        json_t **reply);

/* The same, where an error is as good as no answer: then NULL, and nothing is printed. */
json_t *call_ask_quietly(const struct call *call, json_t *request);

/* Prints the failure and frees it; returns the exit code that belongs to it. With `action` NULL the
 * message says that itself. */
enum exit_code call_fail(const struct call *call, const char *action,
                         struct control_failure *failure);

/* Like it, for a watch, which ends with the daemon: then no daemon answers any more. */
enum exit_code call_fail_watching(const struct call *call, const char *action,
                                  struct control_failure *failure);

/* Like call_fail, for a failure that is met here. `code` is one of docs/control.md. */
enum exit_code call_fail_with(const struct call *call, const char *action, const char *code,
                              const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Asks for the daemon's events and lets `follow` take them from the client, until it returns its
 * exit code. Meanwhile Ctrl-C and SIGTERM end nothing and become readable on stop_fd; -1: they do
 * not.
 */
enum exit_code call_watch(const struct call *call, const char *action,
                          enum exit_code (*follow)(const struct call *call,
                                                   struct control_client *client, int stop_fd));

/* "portolan: " and the text on standard error; characters that are not printable are escaped. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The last text, "" before. */
const char *cli_last_error(void);

/* Prints, as JSON, that the command line cannot be, and why. */
void call_print_usage_error(const char *message);

/* A request of that command; `node` NULL: without that member. */
json_t *request_new(const char *command, const char *node);

/* Whether it can be the name of a node; prints an error when it cannot. */
bool check_node(const char *node);

#endif
