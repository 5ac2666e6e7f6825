/*
 * The control protocol, through its real server: whatever bytes a client sends, in pieces of
 * whatever size, each line gets one reply, an object with "v" and "ok", and what is no request ends
 * the connection with one that says so.
 *
 * The input's first byte is the size of the pieces, the second chooses the policy of the ports and
 * whether a reload works. Behind every input the daemon must still answer another client.
 */
#include "fuzz.h"

#include "control/control.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OUTPUT_MAX (8u << 20)
#define STARTED INT64_C(1772360430000)

static char socket_path[108];
static struct event_base *base;
static struct config config;
static struct listeners no_listeners;
static struct events events;
static struct epmd_service service;
static struct front_service no_front;
static struct loop_turns no_turns;
static struct control_context host;
static bool reload_works;

/* --- the daemon's part --- */

static uint64_t on_leases_changed(void *context) {
    (void)context;
    return 0;
}

static bool on_reload(void *context, json_t **applied, json_t **restart, char *error) {
    (void)context;
    if (!reload_works) {
        snprintf(error, CONTROL_ERROR_SIZE, "it cannot be read");
        return false;
    }
    json_array_append_new(*applied, json_string("log.level"));
    json_array_append_new(*restart, json_string("epmd.port"));
    return true;
}

static void on_stop(void *context) {
    (void)context;
}

static void remove_socket(void) {
    unlink(socket_path);
}

static void start_once(void) {
    const struct epmd_server_options options = {.packet_timeout_ms = 60000};
    static const struct epmd_server_hooks hooks;
    if (base != NULL)
        return;
    must(log_open("fuzz", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, "console") == 0);
    must((base = event_base_new()) != NULL);
    must(config_init(&config, CONFIG_AS_PORTOLAND));
    snprintf(socket_path, sizeof socket_path, "/tmp/fuzz_control.%d", (int)getpid());
    atexit(remove_socket);
    host = (struct control_context){
        .config = &config,
        .service = &service,
        .epmd_server = epmd_server_new(base, &service, NULL, &options, &hooks),
        .events = &events,
        .listeners = &no_listeners,
        .front = &no_front,
        .turns = &no_turns,
        .started_wall_ms = STARTED,
        .own_epmd_port = 4370,
        .leases_changed = on_leases_changed,
        .reload = on_reload,
        .stop = on_stop,
    };
    must(host.epmd_server != NULL);
}

/* Two nodes are registered, and a third name has a lease. */
static struct creations *fill(uint8_t choices) {
    static const char *const names[] = {"rabbit", "søster"};
    struct registration *made;
    const struct port_pool_options options = {.policy = (enum port_policy)(choices % 3),
                                              .first = 6369,
                                              .last = 6371,
                                              .base = config.dist_base_port};
    struct creations *creations = creations_new(STARTED);
    service =
        (struct epmd_service){.registry = registry_new(creations), .pool = port_pool_new(&options)};
    must(creations != NULL && service.registry != NULL && service.pool != NULL);
    for (uint16_t i = 0; i < 2; i++) {
        const struct epmd_node node = {.port = (uint16_t)(6369 + i),
                                       .type = EPMD_NODE_NORMAL,
                                       .highest_version = 6,
                                       .lowest_version = 5,
                                       .name = bytes_of_text(names[i])};
        must(registry_register(service.registry, &node, NULL, 1, &made) == REGISTRY_OK);
        const struct port_applicant applicant = {.name = node.name, .port = node.port};
        port_pool_registered(service.pool, &applicant);
    }
    reload_works = choices & 0x80;
    return creations;
}

/* --- a client --- */

static int call(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, socket_path);
    must(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

struct output {
    uint8_t *data;
    size_t len;
    bool ended;
};

/* Lets the server have its turns, and takes what it has sent. */
static void run(int fd, struct output *output) {
    ssize_t got;
    do {
        event_base_loop(base, EVLOOP_NONBLOCK);
        while ((got = recv(fd, output->data + output->len, OUTPUT_MAX - output->len, 0)) > 0)
            output->len += (size_t)got;
        output->ended = output->ended || got == 0;
        must(output->len < OUTPUT_MAX);
    } while (event_base_loop(base, EVLOOP_NONBLOCK) == 0 &&
             recv(fd, output->data, 1, MSG_PEEK) > 0);
}

static void send_in_pieces(int fd, struct bytes bytes, size_t piece, struct output *output) {
    for (size_t at = 0; at < bytes.len && !output->ended; at += piece) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        if (send(fd, bytes.data + at, len, MSG_NOSIGNAL) < 0)
            break; /* it has closed: so said the last reply */
        run(fd, output);
    }
    run(fd, output);
}

/* --- what must hold --- */

struct seen {
    size_t replies;
    bool dismissed; /* the last one was to what is no request */
};

static void check_line(const uint8_t *line, size_t len, struct seen *seen) {
    json_t *object = json_loadb((const char *)line, len, JSON_REJECT_DUPLICATES, NULL);
    must(json_is_object(object));
    must(json_integer_value(json_object_get(object, "v")) == 1);
    if (json_object_get(object, "event") == NULL) {
        const json_t *ok = json_object_get(object, "ok");
        const json_t *error = json_object_get(object, "error");
        must(json_is_boolean(ok) && json_is_true(ok) == (error == NULL));
        seen->replies++;
        if (error != NULL) {
            const char *code = json_string_value(json_object_get(error, "code"));
            must(code != NULL && json_is_string(json_object_get(error, "message")));
            seen->dismissed = strcmp(code, "bad_request") == 0;
        }
    }
    json_decref(object);
}

static struct seen check_output(const struct output *output) {
    struct seen seen = {.replies = 0};
    const uint8_t *at = output->data, *end = output->data + output->len;
    while (at < end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        must(newline != NULL);
        check_line(at, (size_t)(newline - at), &seen);
        at = newline + 1;
    }
    return seen;
}

static size_t lines_of(struct bytes bytes) {
    size_t lines = 0;
    for (size_t i = 0; i < bytes.len; i++)
        lines += bytes.data[i] == '\n';
    return lines;
}

static void check_that_it_answers(struct output *output) {
    const struct bytes request = bytes_of_text("{\"v\":1,\"command\":\"leases\"}\n");
    int fd = call();
    output->len = 0;
    output->ended = false;
    send_in_pieces(fd, request, request.len, output);
    must(check_output(output).replies == 1 && !output->ended);
    close(fd);
}

static void check_input(struct bytes input, size_t piece) {
    struct output output = {.data = fuzz_copy(NULL, 0, OUTPUT_MAX)};
    int fd = call();
    send_in_pieces(fd, input, piece, &output);
    struct seen seen = check_output(&output);
    if (output.ended)
        must(seen.dismissed && seen.replies <= lines_of(input) + 1);
    else
        must(seen.replies == lines_of(input));
    close(fd);
    check_that_it_answers(&output);
    free(output.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    start_once();
    struct creations *creations = fill(data[1]);
    const struct control_server_options options = {.user_share = 100, .waiting_max = 16};
    int listener = control_listen(socket_path);
    must(listener >= 0);
    struct control_server *server =
        control_server_new(base, listener, socket_path, &options, control_handle, &host);
    must(server != NULL);
    host.server = server;
    control_connect_events(&events, server);
    check_input(bytes_of(data + 2, size - 2), data[0] == 0 ? 4096 : data[0]);
    control_connect_events(&events, NULL);
    control_server_free(server);
    port_pool_free(service.pool);
    registry_free(service.registry);
    creations_free(creations);
    return 0;
}
