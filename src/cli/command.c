#include "cli/command.h"

#include "base/nearest.h"
#include "base/text.h"
#include "cli/output.h"
#include "erlang/node_name.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000

enum global { GLOBAL_SOCKET, GLOBAL_TIMEOUT, GLOBAL_JSON, GLOBAL_HELP, GLOBALS };

static const struct command_option global_options[GLOBALS] = {
    [GLOBAL_SOCKET] = {"--socket", "PATH", "the daemon's control socket"},
    [GLOBAL_TIMEOUT] = {"--timeout", "DURATION", "how long to wait for an answer: 500ms, 5s (5s)"},
    [GLOBAL_JSON] = {"--json", NULL, "print the result as JSON"},
    [GLOBAL_HELP] = {"--help", NULL, "print this help"},
};

/* --- errors for people --- */

/* What was said last, made printable. */
static char last_error[4096];

const char *cli_last_error(void) {
    return last_error;
}

void cli_error(const char *format, ...) {
    va_list arguments;
    char text[4096];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *printable = output_printable(bytes_of_text(text));
    fprintf(stderr, "portolan: %s\n", printable);
    snprintf(last_error, sizeof last_error, "%s", printable);
    free(printable);
}

static void print_usage(FILE *out, const struct command *command) {
    fprintf(out, "usage: portolan %s%s%s\n", command->name, *command->arguments == '\0' ? "" : " ",
            command->arguments);
}

static enum exit_code usage_error(const struct call *call) {
    if (call->command != NULL)
        print_usage(stderr, call->command);
    else
        fputs("usage: portolan COMMAND ...; 'portolan help' lists the commands\n", stderr);
    return CLI_USAGE;
}

static bool is_host(const char *text) {
    return *text != '\0' && strchr(text, '@') == NULL;
}

bool check_node(const char *node) {
    size_t characters;
    if (*node == '\0' || *node == '@')
        cli_error("'%s' is not a valid node name: no name before the @", node);
    else if (strchr(node, '@') != NULL && !is_host(strchr(node, '@') + 1))
        cli_error("'%s' is not a valid node name: no host after the @", node);
    else if (!text_is_utf8(bytes_of_text(node), &characters))
        cli_error("'%s' is not a valid node name: not UTF-8", node);
    else if (characters > 2 * ALIVE_NAME_MAX_CHARACTERS + 1)
        cli_error("'%.40s...' is not a valid node name: it has %zu characters", node, characters);
    else
        return true;
    return false;
}

/* --- parsing --- */

const struct command *command_find(const char *name) {
    for (const struct command *const *command = portolan_commands; *command != NULL; command++) {
        if (strcmp((*command)->name, name) == 0)
            return *command;
    }
    return NULL;
}

const struct command *command_of_word(const char *word) {
    const struct command *command = command_find(word);
    struct nearest search = nearest_to(word);
    if (command != NULL)
        return command;
    for (const struct command *const *at = portolan_commands; *at != NULL; at++)
        nearest_try(&search, (*at)->name);
    if (search.found == NULL)
        cli_error("unknown command '%s'; 'portolan help' lists all commands", word);
    else
        cli_error("unknown command '%s'; did you mean '%s'?", word, search.found);
    return NULL;
}

static bool set_global(struct call *call, enum global which, const char *value) {
    switch (which) {
    case GLOBAL_SOCKET:
        call->socket_path = value;
        return true;
    case GLOBAL_JSON:
        call->json = true;
        return true;
    case GLOBAL_HELP:
        call->help = true;
        return true;
    case GLOBAL_TIMEOUT:
        if (text_parse_duration_ms(value, &call->timeout_ms) && call->timeout_ms > 0)
            return true;
        cli_error("--timeout takes a duration such as 500ms, 5s or 1m, not '%s'", value);
        return false;
    case GLOBALS:
        break;
    }
    return false;
}

/* An option is known by what stands before its '='. */
static bool is_named(const struct command_option *option, const char *word) {
    size_t len = strcspn(word, "=");
    return option->name != NULL && strncmp(word, option->name, len) == 0 &&
           option->name[len] == '\0';
}

static bool unknown_option(const struct call *call, const char *word) {
    struct nearest search = nearest_to(word);
    for (size_t i = 0; i < GLOBALS; i++)
        nearest_try(&search, global_options[i].name);
    for (size_t i = 0; call->command != NULL && i < COMMAND_OPTIONS_MAX; i++) {
        if (call->command->options[i].name != NULL)
            nearest_try(&search, call->command->options[i].name);
    }
    const char *of = call->command == NULL ? "portolan" : call->command->name;
    if (call->command != NULL && call->command->takes_program)
        cli_error("%s: unknown option '%s'; options of the program go after --", of, word);
    else if (search.found != NULL)
        cli_error("%s: unknown option '%s'; did you mean '%s'?", of, word, search.found);
    else
        cli_error("%s: unknown option '%s'", of, word);
    return false;
}

static const struct command_option *find_option(const struct command_option *options, size_t count,
                                                const char *word) {
    for (size_t i = 0; i < count; i++) {
        if (is_named(&options[i], word))
            return &options[i];
    }
    return NULL;
}

/* The value of the option at argv[*at]: "" where it takes none, NULL where it is missing. */
static const char *option_value(const struct command_option *option, char **argv, int *at) {
    const char *equals = strchr(argv[*at], '=');
    if (option->argument == NULL) {
        if (equals != NULL)
            cli_error("%s takes no value", option->name);
        return equals == NULL ? "" : NULL;
    }
    const char *value = equals != NULL ? equals + 1 : argv[++*at];
    if (value == NULL)
        cli_error("%s needs a value: %s", option->name, option->argument);
    return value;
}

/* Takes argv[*at] and, where that is its value, the word behind it. */
static bool take_option(struct call *call, char **argv, int *at) {
    const char *word = strcmp(argv[*at], "-h") == 0 ? "--help" : argv[*at];
    const struct command_option *option = find_option(global_options, GLOBALS, word);
    bool is_global = option != NULL;
    if (!is_global && call->command != NULL)
        option = find_option(call->command->options, COMMAND_OPTIONS_MAX, word);
    if (option == NULL)
        return unknown_option(call, word);
    const char *value = option_value(option, argv, at);
    if (value == NULL)
        return false;
    if (is_global)
        return set_global(call, (enum global)(option - global_options), value);
    call->values[option - call->command->options] = value;
    return true;
}

static enum exit_code check_operands(const struct call *call) {
    const struct command *command = call->command;
    if (call->operand_count < command->min_operands) {
        cli_error("%s: too few arguments", command->name);
        return usage_error(call);
    }
    if (command->max_operands != COMMAND_MANY && call->operand_count > command->max_operands) {
        cli_error("%s: unexpected argument '%s'%s", command->name,
                  call->operands[command->max_operands],
                  command->takes_program ? "; the program goes after --" : "");
        return usage_error(call);
    }
    if (command->takes_program && (call->program == NULL || call->program[0] == NULL)) {
        cli_error("%s: no program given after --", command->name);
        return usage_error(call);
    }
    return CLI_DONE;
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

/* Takes the words up to the end of the command's own; false with the error printed. */
static bool take_words(struct call *call, int argc, char **argv) {
    bool options_ended = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        bool is_option = !options_ended && word[0] == '-' && word[1] != '\0';
        if (is_option && strcmp(word, "--") == 0) {
            options_ended = true;
            if (call->command != NULL && call->command->takes_program) {
                call->program = argv + i + 1;
                return true;
            }
        } else if (is_option && call->command == NULL && strcmp(word, "--version") == 0) {
            call->command = command_find("version");
        } else if (is_option) {
            if (!take_option(call, argv, &i))
                return false;
        } else if (call->command == NULL) {
            call->command = command_of_word(word);
            if (call->command == NULL)
                return false;
        } else {
            call->operands[call->operand_count++] = word; /* never beyond the word itself */
        }
    }
    return true;
}

enum exit_code call_parse(struct call *call, int argc, char **argv) {
    *call = (struct call){.socket_path = variable("PORTOLAN_CONTROL__SOCKET"),
                          .timeout_ms = DEFAULT_TIMEOUT_MS,
                          .operands = argv};
    if (!take_words(call, argc, argv))
        return usage_error(call);
    if (call->command != NULL && call->help)
        return CLI_DONE;
    if (call->help) { /* of no command: the list of them */
        call->help = false;
        call->command = command_find("help");
    }
    if (call->command == NULL) {
        cli_error("no command given");
        return usage_error(call);
    }
    return check_operands(call);
}

const char *call_option(const struct call *call, const char *name) {
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        const char *own = call->command->options[i].name;
        if (own != NULL && strcmp(own, name) == 0)
            return call->values[i];
    }
    return NULL;
}

/* --- help --- */

static void print_option(FILE *out, const struct command_option *option) {
    char left[64];
    snprintf(left, sizeof left, "%s%s%s", option->name, option->argument == NULL ? "" : " ",
             option->argument == NULL ? "" : option->argument);
    fprintf(out, "  %-20s  %s\n", left, option->meaning);
}

void command_help(const struct command *command, FILE *out) {
    print_usage(out, command);
    fprintf(out, "\n%s\n\noptions:\n", command->details);
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        if (command->options[i].name != NULL)
            print_option(out, &command->options[i]);
    }
    for (size_t i = 0; i < GLOBALS; i++)
        print_option(out, &global_options[i]);
    fprintf(out,
            "\n"
            "exit codes: 0 success, 1 failure, 2 usage error, 3 no daemon, 4 not found, 5 denied%s"
            "\n"
            "\n"
            "example:\n"
            "  $ %s\n",
            command->takes_program
                ? ",\n"
                  "            126 the program cannot be run, 127 program not found"
                : "",
            command->example);
}
