#include "cli/epmd_command.h"

#include "base/text.h"
#include "cli/epmd_client.h"
#include "daemon/daemon.h"
#include "base/version.h"

#include <string.h>

struct command {
    struct config config;
    struct daemon_options options;
    unsigned debug_flags;
    enum epmd_call call;   /* EPMD_CALL_NONE: run the daemon */
    const char *call_name; /* of -stop */
    char error[CONFIG_ERROR_SIZE];
};

enum parsed { PARSED, PARSED_AND_DONE, PARSE_FAILED };

static enum parsed fail(struct command *command, const char *text, const char *word) {
    snprintf(command->error, sizeof command->error, "%s '%.200s'", text, word);
    return PARSE_FAILED;
}

/* --- what a flag does --- */

static void set_seconds(struct command *command, const char *flag, const char *value,
                        unsigned *place) {
    uint64_t seconds;
    if (text_parse_number(value, 0, 3600, &seconds))
        *place = (unsigned)seconds;
    else
        snprintf(command->error, sizeof command->error,
                 "%s takes seconds from 0 to 3600, not '%.100s'", flag, value);
}

static void set_address(struct command *command, const char *value) {
    config_set(&command->config, "epmd.address", value, command->error);
}

static void set_port(struct command *command, const char *value) {
    config_set(&command->config, "epmd.port", value, command->error);
}

static void set_packet_timeout(struct command *command, const char *value) {
    config_set(&command->config, "epmd.packet_timeout", value, command->error);
}

static void set_pair(struct command *command, const char *value) {
    config_set_pair(&command->config, value, command->error);
}

static void set_delay_accept(struct command *command, const char *value) {
    set_seconds(command, "-delay_accept", value, &command->options.delay_accept_s);
}

static void set_delay_write(struct command *command, const char *value) {
    set_seconds(command, "-delay_write", value, &command->options.delay_write_s);
}

static void set_debug(struct command *command, const char *value) {
    (void)value;
    command->debug_flags++;
    command->options.debugging = true;
}

static void set_daemon(struct command *command, const char *value) {
    (void)value;
    command->options.detach = true;
}

static void set_relaxed(struct command *command, const char *value) {
    (void)value;
    command->config.relaxed_commands = true;
}

static void set_systemd(struct command *command, const char *value) {
    (void)value;
    command->options.from_systemd = true;
}

static const struct flag {
    const char *name;
    const char *argument; /* NULL: it takes none */
    void (*set)(struct command *command, const char *value);
    const char *meaning;
} flags[] = {
    {"-address", "LIST", set_address,
     "listen on these addresses and loopback, not on all; commas between"},
    {"-port", "NO", set_port, "use another port than 4369"},
    {"-d", NULL, set_debug, "log what happens to standard error; twice: each request decoded"},
    {"-debug", NULL, set_debug, "the same"},
    {"-daemon", NULL, set_daemon, "go to the background once the port is bound"},
    {"-relaxed_command_check", NULL, set_relaxed,
     "allow -kill while names are registered, and -stop"},
    {"-systemd", NULL, set_systemd, "take the listening sockets from a systemd .socket unit"},
    {"-packet_timeout", "SECONDS", set_packet_timeout,
     "close a connection that is silent in the midst of a request for so long (60)"},
    {"-delay_accept", "SECONDS", set_delay_accept, "play a busy server: wait before each accept"},
    {"-delay_write", "SECONDS", set_delay_write, "play a busy server: wait before each reply"},
    {"--set", "KEY=VALUE", set_pair, "set any of the keys below"},
};
#define FLAGS (sizeof flags / sizeof flags[0])

static const struct {
    const char *name;
    enum epmd_call call;
    const char *argument;
    const char *meaning;
} calls[] = {
    {"-names", EPMD_CALL_NAMES, NULL, "list the names that are registered"},
    {"-dump", EPMD_CALL_DUMP, NULL, "list them, and those that have left"},
    {"-started", EPMD_CALL_STARTED, NULL, "exit with 0 if a daemon answers, else with 1"},
    {"-kill", EPMD_CALL_KILL, NULL,
     "end the running daemon, if no name is registered or it was "
     "started with -relaxed_command_check"},
    {"-stop", EPMD_CALL_STOP, "NAME",
     "unregister a name by force, if the daemon was started with "
     "-relaxed_command_check"},
};
#define CALLS (sizeof calls / sizeof calls[0])

/* --- help --- */

static void print_usage(FILE *out, const char *program) {
    fprintf(out, "usage: %s [flag ...]             run the daemon\n", program);
    fprintf(out, "       %s [-port NO] -names | -dump | -started | -kill | -stop NAME\n", program);
}

static void print_option(const char *name, const char *argument, const char *meaning) {
    printf("    %s%s%s\n        %s\n", name, argument == NULL ? "" : " ",
           argument == NULL ? "" : argument, meaning);
}

static void print_help(const char *program) {
    print_usage(stdout, program);
    printf("\nMaps the names of Erlang nodes to ports, as OTP's epmd does. Flags:\n");
    for (size_t i = 0; i < FLAGS; i++)
        print_option(flags[i].name, flags[i].argument, flags[i].meaning);
    print_option("--help, --version", NULL, "print this, or the version");
    printf("\nCalls to a running daemon:\n");
    for (size_t i = 0; i < CALLS; i++)
        print_option(calls[i].name, calls[i].argument, calls[i].meaning);
    printf("\nKeys (default), also taken from the environment: PORTOLAN_LOG__LEVEL is log.level\n");
    config_describe(stdout);
    printf("\nExample: %s -d -port 4370\n", program);
}

/* --- parsing --- */

static enum parsed parse_call(struct command *command, size_t which, int argc, char **argv) {
    bool has_argument = calls[which].argument != NULL;
    if (argc < (has_argument ? 2 : 1))
        return fail(command, "a name must follow", argv[0]);
    if (argc > (has_argument ? 2 : 1))
        return fail(command, "unexpected behind the call:", argv[argc - 1]);
    command->call = calls[which].call;
    command->call_name = has_argument ? argv[1] : NULL;
    return PARSED;
}

static enum parsed parse_flag(struct command *command, const struct flag *flag, int *argc,
                              char ***argv) {
    const char *value = NULL;
    if (flag->argument != NULL) {
        if (*argc < 2)
            return fail(command, "a value must follow", flag->name);
        value = (*argv)[1];
        (*argc)--;
        (*argv)++;
    }
    flag->set(command, value);
    (*argc)--;
    (*argv)++;
    return command->error[0] == '\0' ? PARSED : PARSE_FAILED;
}

static const struct flag *find_flag(const char *name) {
    for (size_t i = 0; i < FLAGS; i++) {
        if (strcmp(flags[i].name, name) == 0)
            return &flags[i];
    }
    return NULL;
}

static enum parsed parse(struct command *command, int argc, char **argv) {
    while (argc > 0) {
        const struct flag *flag = find_flag(argv[0]);
        if (flag != NULL) {
            enum parsed parsed = parse_flag(command, flag, &argc, &argv);
            if (parsed != PARSED)
                return parsed;
            continue;
        }
        if (strcmp(argv[0], "--help") == 0) {
            print_help(command->options.program);
            return PARSED_AND_DONE;
        }
        if (strcmp(argv[0], "--version") == 0) {
            printf("%s (Portolan) %s\n", command->options.program, PORTOLAN_VERSION);
            return PARSED_AND_DONE;
        }
        for (size_t i = 0; i < CALLS; i++) {
            if (strcmp(argv[0], calls[i].name) == 0)
                return parse_call(command, i, argc, argv);
        }
        return fail(command, "unknown flag", argv[0]);
    }
    return PARSED;
}

static void apply_debug_flags(struct command *command) {
    int level = command->debug_flags > 1 ? LOG_LEVEL_TRACE : LOG_LEVEL_DEBUG;
    if (command->debug_flags > 0 && command->config.log_level < level)
        command->config.log_level = level;
}

static int run(struct command *command) {
    if (command->call != EPMD_CALL_NONE)
        return epmd_client_call(command->config.epmd_port, command->call, command->call_name);
    apply_debug_flags(command);
    return (int)daemon_run(&command->config, &command->options);
}

int epmd_command_main(enum config_personality personality, int argc, char **argv) {
    struct command command = {.call = EPMD_CALL_NONE};
    command.options.program = personality == CONFIG_AS_EPMD ? "epmd" : "portoland";
    command.options.quiet_if_taken = personality == CONFIG_AS_EPMD;
    enum parsed parsed = PARSE_FAILED;
    if (!config_init(&command.config, personality))
        fail(&command, "out of memory while reading", "the defaults");
    else if (config_load_environment(&command.config, command.error))
        parsed = argc > 0 ? parse(&command, argc - 1, argv + 1) : PARSED;
    int code = EXIT_DONE;
    if (parsed == PARSE_FAILED) {
        fprintf(stderr, "%s: %s\n", command.options.program, command.error);
        print_usage(stderr, command.options.program);
        code = EXIT_FAILED;
    } else if (parsed == PARSED) {
        code = run(&command);
    }
    config_free(&command.config);
    return code;
}
