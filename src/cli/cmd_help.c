/* portolan help, portolan version */
#include "base/version.h"
#include "cli/commands.h"
#include "cli/output.h"

/* --- help --- */

static json_t *json_of_options(const struct command *command) {
    json_t *options = alloc_or_exit(json_array());
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        if (command->options[i].name != NULL)
            json_array_append_new(options, alloc_or_exit(json_string(command->options[i].name)));
    }
    return options;
}

static json_t *json_of_command(const struct command *command) {
    return alloc_or_exit(json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", command->name, "arguments",
                                   command->arguments, "summary", command->summary, "example",
                                   command->example, "options", json_of_options(command)));
}

/* One command, or with NULL all of them. */
static void print_commands_json(const struct command *only) {
    json_t *list = alloc_or_exit(json_array());
    for (const struct command *const *at = portolan_commands; *at != NULL; at++) {
        if (only == NULL || only == *at)
            json_array_append_new(list, json_of_command(*at));
    }
    json_t *document = alloc_or_exit(
        json_pack("{s:i, s:b, s:o}", "v", CONTROL_PROTOCOL_VERSION, "ok", 1, "commands", list));
    output_json(stdout, document);
    json_decref(document);
}

static void print_commands(void) {
    static const struct column columns[] = {{NULL, false}, {NULL, false}};
    struct table *table = table_new(columns, 2);
    puts("usage: portolan [--socket PATH] [--timeout DURATION] [--json] COMMAND ...\n"
         "\n"
         "Finds Erlang nodes, leases ports to them and controls portoland. Commands:\n");
    for (const struct command *const *at = portolan_commands; *at != NULL; at++) {
        table_add(table, (*at)->name);
        table_add(table, (*at)->summary);
    }
    table_print(table, stdout);
    table_free(table);
    puts("\n"
         "'portolan help COMMAND' and 'portolan COMMAND --help' show details and an example.\n"
         "Exit codes: 0 success, 1 failure, 2 usage error, 3 no daemon, 4 not found, 5 denied.");
}

static enum exit_code run_help(struct call *call) {
    const struct command *command = NULL;
    if (call->operand_count == 1) {
        command = command_of_word(call->operands[0]);
        if (command == NULL)
            return CLI_USAGE;
    }
    if (call->json)
        print_commands_json(command);
    else if (command == NULL)
        print_commands();
    else
        command_help(command, stdout);
    return CLI_DONE;
}

const struct command help_command = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "list the commands, or explain one",
    .details = "Lists the commands, or explains one of them. With --json the list has names,\n"
               "arguments, options and examples.",
    .example = "portolan help lease",
    .max_operands = 1,
    .run = run_help,
};

/* --- version --- */

static enum exit_code run_version(struct call *call) {
    if (!call->json) {
        printf("portolan %s\n", PORTOLAN_VERSION);
        return CLI_DONE;
    }
    json_t *document = alloc_or_exit(json_pack("{s:i, s:b, s:s}", "v", CONTROL_PROTOCOL_VERSION,
                                               "ok", 1, "version", PORTOLAN_VERSION));
    output_json(stdout, document);
    json_decref(document);
    return CLI_DONE;
}

const struct command version_command = {
    .name = "version",
    .arguments = "",
    .summary = "print the version of this program",
    .details = "Prints the version of this program; 'portolan status' has the daemon's.",
    .example = "portolan version",
    .run = run_version,
};
