/*
 * portolan cluster join, leave, force-leave, status.
 *
 * Standard output has what EMQX's control command prints, word for word, so that scripts made for
 * that go on working; what is more for people to know stands on standard error.
 */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "erlang/term_text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOIN_TIMEOUT_MS 40000 /* the daemon gives up before */
#define PROGRESS_AFTER_MS 1000

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static int64_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

/* --- the status line --- */

static int by_bytes(const void *a, const void *b) {
    const struct bytes *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->data, right->data, len);
    return order != 0 ? order : (left->len > right->len) - (left->len < right->len);
}

static bool is_stopped(const json_t *member) {
    return strcmp(text_of(member, "state"), "down") == 0;
}

/* The names of the members that are stopped, or of the others, sorted; free the list. */
static struct bytes *names_of(const json_t *members, bool stopped, size_t *count) {
    struct bytes *names = alloc_or_exit(calloc(json_array_size(members) + 1, sizeof *names));
    size_t i;
    const json_t *member;
    *count = 0;
    json_array_foreach(members, i, member) {
        if (is_stopped(member) == stopped)
            names[(*count)++] = bytes_of_text(text_of(member, "name"));
    }
    qsort(names, *count, sizeof *names, by_bytes);
    return names;
}

static size_t size_of_lists(const json_t *members) {
    size_t size = 256, i;
    const json_t *member;
    json_array_foreach(members, i, member) size +=
        TERM_ATOM_SIZE(strlen(text_of(member, "name"))) + 1;
    return size;
}

/* "Cluster status: [{running_nodes,['a@h.x']},{stopped_nodes,['b@h.x']}]"; free it. */
static char *status_line(const json_t *reply) {
    const json_t *members = json_object_get(reply, "members");
    size_t size = size_of_lists(members), running_count, stopped_count;
    struct bytes *running = names_of(members, false, &running_count);
    struct bytes *stopped = names_of(members, true, &stopped_count);
    char *line = alloc_or_exit(malloc(size));
    struct writer writer = writer_of(line, size);
    write_text(&writer, "Cluster status: [{running_nodes,");
    term_write_atom_list(&writer, running, running_count);
    write_text(&writer, "}");
    if (stopped_count > 0) {
        write_text(&writer, ",{stopped_nodes,");
        term_write_atom_list(&writer, stopped, stopped_count);
        write_text(&writer, "}");
    }
    write_text(&writer, "]");
    write_u8(&writer, '\0');
    free(running);
    free(stopped);
    return line;
}

static void print_status(const json_t *reply) {
    char *line = status_line(reply);
    puts(line);
    free(line);
}

/* What the line does not show. */
static void print_remaining_error(const json_t *reply) {
    bool discovers = strcmp(text_of(reply, "discovery"), "manual") != 0;
    if (json_is_true(json_object_get(reply, "forced_out")))
        cli_error("this daemon was forced out of its cluster; 'portolan cluster join' with a "
                  "member's name brings it back");
    else if (json_is_true(json_object_get(reply, "resting")) && discovers)
        cli_error(
            "discovery is paused since the last leave; 'portolan cluster join' or a restart resumes"
            " it");
}

static void print_paths_error(const json_t *reply) {
    size_t i;
    const json_t *member;
    json_array_foreach(json_object_get(reply, "members"), i, member) {
        if (json_is_true(json_object_get(member, "path_broken")))
            cli_error(
                "partial partition: this daemon cannot reach %s, but other members can; check the "
                "firewalls between these two hosts",
                text_of(member, "name"));
    }
}

/* --- results --- */

/* The reply of a command that went well; takes it over. */
static enum exit_code succeed(const struct call *call, const char *sentence, json_t *reply) {
    if (call->json) {
        output_json(stdout, reply);
    } else if (json_is_true(json_object_get(reply, "ignored"))) {
        puts("Ignore.");
    } else {
        puts(sentence);
        print_status(reply);
    }
    json_decref(reply);
    return CLI_DONE;
}

/* "Failed to join the cluster: {node_down,'emqx@s2.emqx.io'}": the reasons that EMQX has. */
static void print_failure(const char *what, const char *code, const char *node) {
    char atom[TERM_ATOM_SIZE(1024)];
    struct writer writer = writer_of(atom, sizeof atom);
    bool names_node = strcmp(code, "node_down") == 0 || strcmp(code, "already_in_cluster") == 0;
    if (node != NULL)
        term_write_atom(&writer, bytes_of_text(node));
    if (names_node && node != NULL && !writer.failed)
        printf("Failed to %s: {%s,%.*s}\n", what, code, (int)writer.len, atom);
    else if (names_node || strcmp(code, "node_not_in_cluster") == 0 || strcmp(code, "busy") == 0)
        printf("Failed to %s: %s\n", what, code);
}

static enum exit_code fail(const struct call *call, const char *what, const char *action,
                           const char *node, struct control_failure *failure) {
    char words[1100];
    snprintf(words, sizeof words, "%s%s%.1000s", action, node == NULL ? "" : " ",
             node == NULL ? "" : node);
    if (!call->json) {
        print_failure(what, failure->code, node);
        fflush(stdout);
    }
    return call_fail(call, words, failure);
}

/* --- join --- */

struct progress {
    int64_t began_ms;
    bool is_shown;
};

static void show_progress(void *context, const json_t *line) {
    struct progress *progress = context;
    const json_t *numbers = json_object_get(line, "progress");
    if (!isatty(STDERR_FILENO) || clock_monotonic_ms() - progress->began_ms < PROGRESS_AFTER_MS)
        return;
    fprintf(stderr, "\rjoining: %" JSON_INTEGER_FORMAT " members, %" JSON_INTEGER_FORMAT " names",
            json_integer_value(json_object_get(numbers, "members")),
            json_integer_value(json_object_get(numbers, "names")));
    progress->is_shown = true;
}

static void say_what_came(const json_t *reply) {
    const json_t *taken = json_object_get(reply, "taken_over");
    int64_t members = number_of(taken, "members"), names = number_of(taken, "names");
    if (taken != NULL)
        cli_error("took over %lld member%s and %lld name%s", (long long)members,
                  members == 1 ? "" : "s", (long long)names, names == 1 ? "" : "s");
}

static enum exit_code run_join(struct call *call, const char *node) {
    struct control_failure failure;
    struct progress progress = {.began_ms = clock_monotonic_ms()};
    json_t *request = request_new("cluster_join", node), *reply = NULL;
    if (call->timeout_ms < JOIN_TIMEOUT_MS)
        call->timeout_ms = JOIN_TIMEOUT_MS;
    struct control_client *client = call_connect(call, &failure);
    if (client != NULL)
        reply = control_client_ask_long(client, request, show_progress, &progress, &failure);
    control_client_close(client);
    json_decref(request);
    if (progress.is_shown)
        fputs("\r\033[K", stderr);
    if (reply == NULL)
        return fail(call, "join the cluster", "join", node, &failure);
    if (!call->json)
        say_what_came(reply);
    return succeed(call, "Join the cluster successfully.", reply);
}

/* --- the others --- */

static enum exit_code ask(const struct call *call, const char *command, const char *node,
                          json_t **reply, struct control_failure *failure) {
    json_t *request = request_new(command, node);
    struct control_client *client = call_connect(call, failure);
    *reply = client == NULL ? NULL : control_client_ask(client, request, failure);
    control_client_close(client);
    json_decref(request);
    return *reply == NULL ? CLI_FAILED : CLI_DONE;
}

static enum exit_code run_leave(struct call *call, const char *node) {
    struct control_failure failure;
    json_t *reply;
    (void)node;
    if (ask(call, "cluster_leave", NULL, &reply, &failure) != CLI_DONE)
        return fail(call, "leave the cluster", "leave the cluster", NULL, &failure);
    return succeed(call, "Leave the cluster successfully.", reply);
}

static enum exit_code run_force_leave(struct call *call, const char *node) {
    struct control_failure failure;
    json_t *reply;
    if (ask(call, "cluster_force_leave", node, &reply, &failure) == CLI_DONE)
        return succeed(call, "Remove the node from cluster successfully.", reply);
    char words[1100];
    snprintf(words, sizeof words, "remove %.1000s from the cluster", node);
    return fail(call, "remove the node from cluster", words, NULL, &failure);
}

/* Prints the status if its line is another than `*before`, which it becomes. */
static enum exit_code print_change(const struct call *call, char **before) {
    struct control_failure failure;
    json_t *reply;
    if (ask(call, "cluster_status", NULL, &reply, &failure) != CLI_DONE)
        return call_fail_watching(call, "get the status of the cluster", &failure);
    char *line = status_line(reply);
    bool changed = *before == NULL || strcmp(line, *before) != 0;
    if (changed && call->json)
        output_json(stdout, reply);
    else if (changed)
        puts(line);
    free(*before);
    *before = line;
    json_decref(reply);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

/* Until stopped, or until the daemon goes. Any event may be the reason of a change. */
static enum exit_code follow_status(const struct call *call, struct control_client *client,
                                    int stop_fd) {
    struct control_failure failure;
    char *before = NULL;
    json_t *event = NULL;
    enum exit_code code;
    do {
        json_decref(event);
        event = NULL;
        code = print_change(call, &before);
    } while (code == CLI_DONE && (event = control_client_next(client, stop_fd, &failure)) != NULL);
    free(before);
    if (code == CLI_DONE && failure.code[0] != '\0')
        return call_fail_watching(call, "watch the cluster", &failure);
    return code;
}

static enum exit_code run_status(struct call *call, const char *node) {
    json_t *reply;
    (void)node;
    if (call_option(call, "--watch") != NULL)
        return call_watch(call, "watch the cluster", follow_status);
    enum exit_code code = call_ask(call, "get the status of the cluster",
                                   request_new("cluster_status", NULL), &reply);
    if (code != CLI_DONE)
        return code;
    if (call->json) {
        output_json(stdout, reply);
    } else {
        print_status(reply);
        print_remaining_error(reply);
        print_paths_error(reply);
    }
    json_decref(reply);
    return CLI_DONE;
}

/* --- the command --- */

static const struct verb {
    const char *name;
    bool takes_node;
    enum exit_code (*run)(struct call *call, const char *node);
} verbs[] = {
    {"join", true, run_join},
    {"leave", false, run_leave},
    {"force-leave", true, run_force_leave},
    {"status", false, run_status},
};

static enum exit_code run_cluster(struct call *call) {
    const char *word = call->operands[0];
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, word) != 0)
            continue;
        const char *node = call->operand_count > 1 ? call->operands[1] : NULL;
        if (verbs[i].takes_node == (node != NULL))
            return node == NULL || check_node(node) ? verbs[i].run(call, node) : CLI_USAGE;
        cli_error(verbs[i].takes_node ? "cluster %s needs the name of a daemon, such as "
                                        "emqx@s1.emqx.io"
                                      : "cluster %s takes no name",
                  word);
        return CLI_USAGE;
    }
    cli_error("unknown command 'cluster %s'; the commands are join, leave, force-leave and status",
              word);
    return CLI_USAGE;
}

const struct command cluster_command = {
    .name = "cluster",
    .arguments = "join NODE | leave | force-leave NODE | status [--watch]",
    .summary = "join, leave and show clusters of daemons",
    .details =
        "join NODE         joins the cluster of the daemon NODE (Name@Host), after leaving the"
        "\n"
        "                  current one\n"
        "leave             leaves the cluster\n"
        "force-leave NODE  removes a member, even one that is down; it stays out until it joins"
        "\n"
        "status            shows running and stopped members; with --json all details\n"
        "\n"
        "Standard output has the texts of EMQX's command of this name.",
    .example = "portolan cluster join emqx@s1.emqx.io",
    .min_operands = 1,
    .max_operands = 2,
    .options = {{"--watch", NULL, "for status: print it again whenever it changes, until Ctrl-C"}},
    .run = run_cluster,
};
