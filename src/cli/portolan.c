/* The command line of Portolan: main. */
#include "base/standard_streams.h"
#include "cli/command.h"

#include <errno.h>
#include <string.h>

static enum exit_code run(int argc, char **argv) {
    struct call call;
    enum exit_code code = call_parse(&call, argc, argv);
    if (code != CLI_DONE)
        return code;
    if (call.help) {
        command_help(call.command, stdout);
        return CLI_DONE;
    }
    return call.command->run(&call);
}

/* Also where the words went wrong before it was read; a program's own words do not count. */
static bool wants_json(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv) {
    bool json = wants_json(argc, argv); /* parsing takes the words apart in place */
    if (!standard_streams_open())
        return CLI_FAILED;
    enum exit_code code = run(argc, argv);
    if (code == CLI_USAGE && json)
        call_print_usage_error(cli_last_error());
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_error("cannot write to standard output: %s", strerror(errno));
        return code == CLI_DONE ? CLI_FAILED : (int)code;
    }
    return (int)code;
}
