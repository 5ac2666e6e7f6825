/* portolan streams */
#include "cli/commands.h"
#include "cli/output.h"

static void add_stream(struct table *table, const json_t *stream) {
    char since[OUTPUT_DURATION_SIZE];
    output_duration(json_integer_value(json_object_get(stream, "since_s")), since);
    table_add_value(table, json_object_get(stream, "node"));
    table_add_value(table, json_object_get(stream, "peer"));
    table_add_value(table, json_object_get(stream, "address"));
    table_add_value(table, json_object_get(stream, "front_port"));
    table_add(table, since);
    table_add_value(table, json_object_get(stream, "bytes_in"));
    table_add_value(table, json_object_get(stream, "bytes_out"));
}

static void print_streams(const json_t *streams) {
    static const struct column columns[] = {{"NODE", false}, {"PEER", false}, {"ADDRESS", false},
                                            {"PORT", true},  {"SINCE", true}, {"IN", true},
                                            {"OUT", true}};
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    size_t i;
    const json_t *stream;
    json_array_foreach(streams, i, stream) {
        add_stream(table, stream);
    }
    if (table_rows(table) == 0)
        cli_error("no connections through the front ports");
    else
        table_print(table, stdout);
    table_free(table);
}

static enum exit_code run_streams(struct call *call) {
    json_t *reply;
    enum exit_code code = call_ask(call, "list the streams", request_new("streams", NULL), &reply);
    if (code != CLI_DONE)
        return code;
    if (call->json)
        output_json(stdout, reply);
    else
        print_streams(json_object_get(reply, "streams"));
    json_decref(reply);
    return CLI_DONE;
}

const struct command streams_command = {
    .name = "streams",
    .arguments = "",
    .summary = "list connections through the front ports",
    .details =
        "Lists the distribution connections that the daemon of this host forwards, the oldest\n"
        "first: the node, its peer ('-' where TLS hides the name) and the peer's address, the\n"
        "front port, the age, and the bytes to and from the node.",
    .example = "portolan streams",
    .run = run_streams,
};
