/* portolan port: ekka's rule alone. Asks the daemon of this host for its base, and nobody else;
 * reads a million names from standard input in well under a second, so nothing here allocates or
 * formats more than a line needs. */
#include "base/text.h"
#include "cli/commands.h"
#include "cli/daemon_ports.h"
#include "cli/output.h"
#include "erlang/ekka_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct port_listing {
    uint16_t base;
    bool json;
    size_t count;
    bool failed;
};

/* A name may be printed as it is when it has nothing that ends a line or moves a terminal. */
static bool is_plain(struct bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] >= 0x7f)
            return false;
    }
    return true;
}

static void print_escaped(struct bytes name) {
    char *escaped = output_printable(name);
    fputs(escaped, stdout);
    free(escaped);
}

static void print_number_line(uint32_t number, const char *before, const char *behind) {
    char text[40];
    struct writer writer = writer_of(text, sizeof text);
    write_text(&writer, before);
    write_decimal(&writer, number);
    write_text(&writer, behind);
    fwrite_unlocked(text, 1, writer.len, stdout);
}

#define ERROR_SIZE 160

static void describe_overflow(struct bytes node, uint16_t base, char *out) {
    unsigned offset = ekka_offset(node);
    snprintf(out, ERROR_SIZE, "base %u + offset %u = %u, above 65535; use a base of at most %u",
             (unsigned)base, offset, base + offset, UINT16_MAX - offset);
}

static void print_json(struct port_listing *listing, struct bytes node, uint32_t port,
                       const char *error) {
    fputs(listing->count == 0 ? "" : ",", stdout);
    fputs("{\"node\":\"", stdout);
    print_escaped(node);
    if (error == NULL)
        print_number_line(port, "\",\"port\":", "}");
    else
        printf("\",\"port\":null,\"error\":\"%s\"}", error);
}

static void print_plain(struct bytes node, uint32_t port) {
    if (is_plain(node))
        fwrite_unlocked(node.data, 1, node.len, stdout);
    else
        print_escaped(node);
    print_number_line(port, " ", "\n");
}

static void list_port(struct port_listing *listing, struct bytes node) {
    char error[ERROR_SIZE];
    uint32_t port;
    bool fits = ekka_port(node, listing->base, &port);
    if (!fits) {
        char *name = output_printable(node);
        describe_overflow(node, listing->base, error);
        cli_error("no port for %s: %s", name, error);
        free(name);
        listing->failed = true;
    }
    if (listing->json)
        print_json(listing, node, port, fits ? NULL : error);
    else if (fits)
        print_plain(node, port);
    listing->count++;
}

/* One name a line; blanks at its ends, and lines of nothing else, do not count. */
static void list_standard_input(struct port_listing *listing) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t got;
    while ((got = getline(&line, &capacity, stdin)) >= 0) {
        const char *start = line, *end = line + got;
        while (end > start && strchr("\n\r\t ", end[-1]) != NULL)
            end--;
        while (start < end && (*start == ' ' || *start == '\t'))
            start++;
        if (end > start)
            list_port(listing, bytes_of(start, (size_t)(end - start)));
    }
    if (ferror(stdin)) {
        cli_error("cannot read names from standard input: %s", strerror(errno));
        listing->failed = true;
    }
    free(line);
}

static enum exit_code run_port(struct call *call) {
    struct port_listing listing = {.json = call->json};
    const char *base = call_option(call, "--base");
    uint64_t number;
    if (base != NULL) {
        if (!text_parse_number(base, 1, UINT16_MAX, &number)) {
            cli_error("--base takes a port from 1 to 65535, not '%s'", base);
            return CLI_USAGE;
        }
        listing.base = (uint16_t)number;
    } else {
        listing.base = daemon_ports_ask(call).base;
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (call->json)
        printf("{\"v\":%d,\"ok\":true,\"base\":%u,\"ports\":[", CONTROL_PROTOCOL_VERSION,
               (unsigned)listing.base);
    for (int i = 0; i < call->operand_count; i++) {
        if (strcmp(call->operands[i], "-") == 0)
            list_standard_input(&listing);
        else
            list_port(&listing, bytes_of_text(call->operands[i]));
    }
    if (call->json)
        puts("]}");
    return listing.failed ? CLI_FAILED : CLI_DONE;
}

const struct command port_command = {
    .name = "port",
    .arguments = "NODE... [--base N]",
    .summary = "derive the port of a node by ekka's rule",
    .details =
        "Prints a line 'NODE PORT' for each node: the base plus the digits just before the @,\n"
        "modulo 60000. A name that begins with remsh has port 0. The base is that of the daemon"
        "\n"
        "of this host, or 4370 without a daemon. If NODE is -, names are read from standard\n"
        "input, one per line. A port above 65535 is an error, printed on standard error; the "
        "other\n"
        "nodes are still printed.",
    .example = "portolan port emqx-1@192.168.0.12",
    .min_operands = 1,
    .max_operands = COMMAND_MANY,
    .options = {{"--base", "N",
                 "the port of offset 0 (the daemon's, or 4370; EMQX's RPC uses 5370)"}},
    .run = run_port,
};
