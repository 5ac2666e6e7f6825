#include "daemon/options.h"

#include "base/text.h"
#include "base/version.h"
#include "config/check.h"
#include "config/print.h"
#include "config/reload.h"
#include "daemon/daemon.h"
#include "epmd/client.h"
#include "preflight/preflight.h"

#include <string.h>

/* What there is to do instead of running the daemon. */
enum task {
    TASK_RUN,
    TASK_CALL,
    TASK_CHECK_CONFIG,
    TASK_PRINT_CONFIG,
    TASK_PRINT_EXAMPLE,
    TASK_PRINT_MDOC,
};

struct command {
    struct config config;
    struct config_report report;
    struct start_options options;
    unsigned debug_flags;
    enum task task;
    bool as_json;
    enum epmd_call call;
    const char *call_name; /* of -stop */
};

enum parsed { PARSED, PARSED_AND_DONE, PARSE_FAILED };

static enum parsed fail(struct command *command, const char *text, const char *word) {
    char quoted[CONFIG_QUOTE_SIZE];
    config_report_add(&command->report, CONFIG_ERROR, "%s '%s'", text, config_quote(word, quoted));
    return PARSE_FAILED;
}

/* --- what a flag does --- */

static void set_seconds(struct command *command, const char *flag, const char *value,
                        unsigned *place) {
    uint64_t seconds;
    if (text_parse_number(value, 0, 3600, &seconds))
        *place = (unsigned)seconds;
    else
        config_report_add(&command->report, CONFIG_ERROR,
                          "%s takes seconds from 0 to 3600, not '%.100s'", flag, value);
}

static void set_key(struct command *command, const char *flag, const char *key, const char *value) {
    const struct config_origin origin = {CONFIG_FROM_FLAG, flag};
    config_set(&command->config, key, value, &origin, &command->report);
}

/* A command line with epmd's flags for port or addresses wants its port open. */
static void set_address(struct command *command, const char *value) {
    set_key(command, "-address", "epmd.address", value);
    set_key(command, "-address", "epmd.enable", "on");
}

static void set_port(struct command *command, const char *value) {
    set_key(command, "-port", "epmd.port", value);
    set_key(command, "-port", "epmd.enable", "on");
}

static void set_packet_timeout(struct command *command, const char *value) {
    set_key(command, "-packet_timeout", "epmd.packet_timeout", value);
}

static void set_pair(struct command *command, const char *value) {
    config_set_pair(&command->config, value, "--set", &command->report);
}

static void set_file(struct command *command, const char *value) {
    if (!config_use_file(&command->config, value))
        fail(command, "out of memory at", value);
}

static void set_check_config(struct command *command, const char *value) {
    (void)value;
    command->task = TASK_CHECK_CONFIG;
}

static void set_print_config(struct command *command, const char *value) {
    (void)value;
    command->task = TASK_PRINT_CONFIG;
}

static void set_print_example(struct command *command, const char *value) {
    (void)value;
    command->task = TASK_PRINT_EXAMPLE;
}

static void set_print_mdoc(struct command *command, const char *value) {
    (void)value;
    command->task = TASK_PRINT_MDOC;
}

static void set_json(struct command *command, const char *value) {
    (void)value;
    command->as_json = true;
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
    set_key(command, "-relaxed_command_check", "epmd.relaxed_command_check", "on");
}

static void set_systemd(struct command *command, const char *value) {
    (void)value;
    command->options.from_systemd = true;
}

static const struct flag {
    const char *name;
    const char *argument; /* NULL: it takes none */
    void (*set)(struct command *command, const char *value);
    const char *meaning; /* NULL: for the makers of Portolan, not shown */
} flags[] = {
    {"-address", "LIST", set_address,
     "listen on these addresses (separated by commas) and on loopback only"},
    {"-port", "NO", set_port, "use another port than 4369"},
    {"-d", NULL, set_debug, "log more to standard error; given twice, each decoded request"},
    {"-debug", NULL, set_debug, "the same"},
    {"-daemon", NULL, set_daemon,
     "run in the background; return once connections are accepted, or with an error"},
    {"-relaxed_command_check", NULL, set_relaxed,
     "allow -kill while names are registered, and -stop"},
    {"-systemd", NULL, set_systemd, "take the listening sockets from a systemd .socket unit"},
    {"-packet_timeout", "SECONDS", set_packet_timeout,
     "close a connection that is idle within a request for this long (60)"},
    {"-delay_accept", "SECONDS", set_delay_accept,
     "simulate a busy server: wait before each accept"},
    {"-delay_write", "SECONDS", set_delay_write, "simulate a busy server: wait before each reply"},
    {"-c", "FILE", set_file,
     "read this file; by default, portoland reads " CONFIG_DEFAULT_FILE ", if it exists"},
    {"--config", "FILE", set_file, "the same"},
    {"--set", "KEY=VALUE", set_pair, "set one of the keys below"},
    {"--check-config", NULL, set_check_config,
     "check the configuration and everything that a start would open; exit with 0 or 1"},
    {"--print-config", NULL, set_print_config, "print every key, its value and its origin"},
    {"--json", NULL, set_json, "print the configuration as JSON"},
    {"--print-example", NULL, set_print_example, NULL},
    {"--print-mdoc", NULL, set_print_mdoc, NULL},
};
#define FLAGS (sizeof flags / sizeof flags[0])

static const struct {
    const char *name;
    enum epmd_call call;
    const char *argument;
    const char *meaning;
} calls[] = {
    {"-names", EPMD_CALL_NAMES, NULL, "list the registered names"},
    {"-dump", EPMD_CALL_DUMP, NULL, "list them, and those that have unregistered"},
    {"-started", EPMD_CALL_STARTED, NULL, "exit with 0 if a daemon answers, else with 1"},
    {"-kill", EPMD_CALL_KILL, NULL, "stop the running daemon"},
    {"-stop", EPMD_CALL_STOP, "NAME", "unregister a name by force"},
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

static void print_help(const struct command *command) {
    const char *program = command->options.program;
    print_usage(stdout, program);
    printf("\nMaps the names of Erlang nodes to ports, as OTP's epmd does. Flags:\n");
    for (size_t i = 0; i < FLAGS; i++) {
        if (flags[i].meaning != NULL)
            print_option(flags[i].name, flags[i].argument, flags[i].meaning);
    }
    print_option("--help, --version", NULL, "print this, or the version");
    printf("\nCalls to a running daemon:\n");
    for (size_t i = 0; i < CALLS; i++)
        print_option(calls[i].name, calls[i].argument, calls[i].meaning);
    printf("\nKeys (default), also taken from the environment: PORTOLAN_LOG__LEVEL is log.level\n");
    config_print_help(command->config.personality, stdout);
    printf("\nExample: %s -d -port 4370\n", program);
}

/* --- parsing --- */

static enum parsed parse_call(struct command *command, size_t which, int argc, char **argv) {
    bool has_argument = calls[which].argument != NULL;
    if (argc < (has_argument ? 2 : 1))
        return fail(command, "no name given for", argv[0]);
    if (argc > (has_argument ? 2 : 1))
        return fail(command, "unexpected argument", argv[argc - 1]);
    command->task = TASK_CALL;
    command->call = calls[which].call;
    command->call_name = has_argument ? argv[1] : NULL;
    return PARSED;
}

static enum parsed parse_flag(struct command *command, const struct flag *flag, int *argc,
                              char ***argv) {
    const char *value = NULL;
    if (flag->argument != NULL) {
        if (*argc < 2)
            return fail(command, "no value given for", flag->name);
        value = (*argv)[1];
        (*argc)--;
        (*argv)++;
    }
    flag->set(command, value);
    (*argc)--;
    (*argv)++;
    return command->report.counts[CONFIG_ERROR] == 0 ? PARSED : PARSE_FAILED;
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
            print_help(command);
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

/* --- doing --- */

static void apply_debug_flags(struct command *command) {
    int level = command->debug_flags > 1 ? LOG_LEVEL_TRACE : LOG_LEVEL_DEBUG;
    if (command->debug_flags > 0 && command->config.log_level < level)
        set_key(command, "-d", "log.level", log_level_names[level]);
}

/* Whether what the command needs of the configuration is right; what is not has been said. */
static bool load_config(struct command *command) {
    const char *program = command->options.program;
    bool good = config_load(&command->config, &command->report);
    apply_debug_flags(command);
    if (command->task == TASK_RUN || command->task == TASK_CHECK_CONFIG)
        good &= config_check(&command->config, &command->report);
    if (good && command->task == TASK_CHECK_CONFIG)
        good = preflight(&command->config, &command->report);
    config_report_print(&command->report, CONFIG_WARNING, program, stderr);
    config_report_print(&command->report, CONFIG_ERROR, program, stderr);
    return good;
}

static enum exit_code print(const struct command *command) {
    if (command->task == TASK_CHECK_CONFIG)
        config_print_checked(&command->config, &command->report, command->options.program, stdout);
    else if (command->as_json)
        config_print_json(&command->config, stdout);
    else
        config_print(&command->config, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int run(struct command *command) {
    if (command->task == TASK_PRINT_EXAMPLE || command->task == TASK_PRINT_MDOC) {
        command->task == TASK_PRINT_MDOC ? config_print_mdoc(stdout) : config_print_example(stdout);
        return EXIT_DONE;
    }
    if (!load_config(command))
        return EXIT_FAILED;
    if (command->task == TASK_CALL)
        return epmd_client_call(command->config.epmd_port, command->call, command->call_name);
    if (command->task == TASK_RUN)
        return (int)daemon_run(&command->config, &command->options);
    return (int)print(command);
}

/* The daemon's way back here when it is to read its configuration again. */
static bool read_config(void *context, struct config *config, char *error, size_t error_size) {
    const struct command *command = context;
    struct config_report report = {.first = NULL};
    bool good = config_reload_read(&command->config, config, &report);
    config_report_errors(&report, error, error_size);
    config_report_log(&report);
    config_report_free(&report);
    return good;
}

int epmd_command_main(enum config_personality personality, int argc, char **argv) {
    struct command command = {.task = TASK_RUN};
    command.options.program = personality == CONFIG_AS_EPMD ? "epmd" : "portoland";
    command.options.quiet_if_taken = personality == CONFIG_AS_EPMD;
    command.options.read_config = read_config;
    command.options.read_context = &command;
    enum parsed parsed;
    if (config_init(&command.config, personality))
        parsed = argc > 0 ? parse(&command, argc - 1, argv + 1) : PARSED;
    else
        parsed = fail(&command, "out of memory while reading", "the defaults");
    int code = EXIT_DONE;
    if (parsed == PARSE_FAILED) {
        config_report_print(&command.report, CONFIG_ERROR, command.options.program, stderr);
        print_usage(stderr, command.options.program);
        code = EXIT_FAILED;
    } else if (parsed == PARSED) {
        code = run(&command);
    }
    config_free(&command.config);
    config_report_free(&command.report);
    return code;
}
