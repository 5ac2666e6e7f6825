/* portolan watch */
#include "cli/commands.h"
#include "cli/output.h"

#include <string.h>

static const char *text_of(const json_t *event, const char *key) {
    const char *text = json_string_value(json_object_get(event, key));
    return text == NULL ? "" : text;
}

static enum colour colour_of(const char *event) {
    static const char *const good[] = {
        "registered",  "leased",       "name_registered", "member_up",        "member_joined",
        "path_healed", "split_healed", "join_done",       "front_port_given", NULL};
    static const char *const bad[] = {
        "refused",     "member_down", "member_suspect", "path_broken",   "split_seen",
        "join_failed", "name_clash",  "directory_full", "no_front_port", NULL};
    for (size_t i = 0; good[i] != NULL; i++) {
        if (strcmp(event, good[i]) == 0)
            return COLOUR_GOOD;
    }
    for (size_t i = 0; bad[i] != NULL; i++) {
        if (strcmp(event, bad[i]) == 0)
            return COLOUR_BAD;
    }
    return COLOUR_NONE;
}

static void print_member(const char *before, const json_t *event, const char *key,
                         const char *behind) {
    const json_t *value = json_object_get(event, key);
    if (json_is_integer(value)) {
        printf("%s%" JSON_INTEGER_FORMAT "%s", before, json_integer_value(value), behind);
    } else if (json_is_string(value)) {
        fputs(before, stdout);
        output_coloured(stdout, COLOUR_NONE, json_string_value(value));
        fputs(behind, stdout);
    }
}

/* Of a lease whose node did not come to its port: where it came, and who came to that. */
static void print_seen_instead(const json_t *event) {
    if (json_object_get(event, "other_port") != NULL) {
        print_member("; ", event, "name", " came to port ");
        print_member("", event, "other_port", "");
    }
    print_member("; its port was used by ", event, "other_name", "");
}

/* 2026-03-01T10:20:30.123Z  registered    rabbit  port 25672 (normal) */
static void print_event(const json_t *event) {
    char title[32];
    bool is_of_name = json_object_get(event, "name") != NULL;
    snprintf(title, sizeof title, "%-12s", text_of(event, "event"));
    output_coloured(stdout, COLOUR_FAINT, text_of(event, "at"));
    fputs("  ", stdout);
    output_coloured(stdout, colour_of(text_of(event, "event")), title);
    print_member("  ", event, "name", "");
    print_member(is_of_name ? " at " : "  ", event, "member", "");
    print_member("  port ", event, "port", "");
    print_member(" (", event, "cause", ")");
    print_member(" (", event, "type", ")");
    print_member(": ", event, "reason", "");
    print_seen_instead(event);
    print_member(" (", event, "peer", ")");
    putchar('\n');
}

/* Until stopped, or until the daemon goes. */
static enum exit_code follow(const struct call *call, struct control_client *client, int stop_fd) {
    struct control_failure failure;
    json_t *event;
    while ((event = control_client_next(client, stop_fd, &failure)) != NULL) {
        if (call->json)
            output_json(stdout, event);
        else
            print_event(event);
        json_decref(event);
        if (fflush(stdout) != 0)
            return CLI_FAILED;
    }
    if (failure.code[0] == '\0')
        return CLI_DONE;
    return call_fail_watching(call, "watch on", &failure);
}

static enum exit_code run_watch(struct call *call) {
    return call_watch(call, "watch the daemon", follow);
}

const struct command watch_command = {
    .name = "watch",
    .arguments = "",
    .summary = "print events as they happen",
    .details =
        "Prints a line for every registration, lease, refusal and cluster event until Ctrl-C;\n"
        "with --json, the events as objects, one per line.",
    .example = "portolan watch --json",
    .run = run_watch,
};
