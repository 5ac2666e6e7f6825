/*
 * A script of several connections against one registry. The target plays the shell: it gathers what
 * a connection sends, has it parsed, decoded and answered, and does what the answer says, as
 * epmd/conn does. After every step the registry must hold what the connections hold.
 *
 *   a step:  connection:8 verb:8 ...
 *     0  send len:16 and so many bytes
 *     1  send len:8 and so many bytes, as one whole request
 *     2  close
 *     3  read a piece of its listing into a buffer of LISTING_PIECE_MIN and size:8 bytes
 *     4  close, and come from this host or another: local:8
 *     5  change the rules: bit 0 relaxed commands, bit 1 remote names, bit 2 no quitting when idle
 */
#include "fuzz.h"

#include "erlang/node_name.h"
#include "names/epmd_service.h"
#include "shadow.h"

#include <string.h>

#define OWN_PORT 4369

enum state { READING, LISTING, REFUSED, HELD };

struct conn {
    enum state state;
    bool remote;
    size_t received;
    uint8_t request_buffer[EPMD_FRAME_MAX];
    struct registration *registration;
    struct shadow held; /* of the registration, as it was asked for */
    struct listing listing;
    struct shadow_listing expected;
};

static struct conn conns[SHADOWS];
static struct epmd_service service;
static uint64_t next_life;

static void end(struct conn *conn) {
    if (conn->state == HELD)
        registry_remove(service.registry, conn->registration);
    if (conn->state == LISTING)
        listing_end(&conn->listing);
    conn->state = READING;
    conn->held.life = 0;
    conn->received = 0;
}

static const struct shadow *find_shadow(struct bytes name) {
    for (size_t i = 0; i < SHADOWS; i++) {
        if (conns[i].held.life != 0 && bytes_equal(shadow_name(&conns[i].held), name))
            return &conns[i].held;
    }
    return NULL;
}

static size_t count_shadows(void) {
    size_t count = 0;
    for (size_t i = 0; i < SHADOWS; i++)
        count += conns[i].held.life != 0;
    return count;
}

/* --- what each answer must be, and doing what it says --- */

static bool of_members; /* other hosts are */

static bool is_member(void *context, struct bytes address) {
    (void)context;
    (void)address;
    return of_members;
}

static bool may_list(const struct conn *conn) {
    return !conn->remote || service.remote_names == REMOTE_NAMES_ON ||
           (service.remote_names == REMOTE_NAMES_MEMBERS && of_members);
}

static void begin_listing(struct conn *conn, enum listing_kind kind) {
    must(kind != LISTING_DUMP || !conn->remote);
    must(kind == LISTING_DUMP || (kind == LISTING_NAMES) == may_list(conn));
    listing_begin(&conn->listing, kind, service.registry, OWN_PORT, (struct caller_view){0});
    shadow_listing_begin(&conn->expected, kind, OWN_PORT);
    for (size_t i = 0; i < SHADOWS && kind != LISTING_NO_NAMES; i++)
        shadow_listing_add(&conn->expected, i, &conns[i].held);
    conn->state = LISTING;
}

static void hold(struct conn *conn, const struct epmd_node *node, struct registration *made) {
    must(!conn->remote);
    must(find_shadow(node->name) == NULL);
    must(alive_name_check(node->name) == ALIVE_NAME_OK && node->extra.len <= EPMD_EXTRA_MAX);
    must(made->creation >= (node->highest_version >= EPMD_WIDE_CREATION_VERSION ? 4 : 1));
    shadow_fill(&conn->held, ++next_life, node, made->holder_number);
    conn->registration = made;
    conn->state = HELD;
}

static void check_refusal(const struct epmd_node *node, struct bytes reply) {
    must(reply.len == (node->highest_version >= EPMD_WIDE_CREATION_VERSION ? 6 : 4));
    must(reply.data[1] == 1 && reply.data[reply.len - 1] == EPMD_CREATION_REFUSED);
    must(find_shadow(node->name) != NULL || alive_name_check(node->name) != ALIVE_NAME_OK ||
         node->extra.len > EPMD_EXTRA_MAX);
}

static void check_look_up(struct bytes name, struct bytes reply) {
    uint8_t expected[EPMD_SHORT_REPLY_MAX];
    struct writer writer = writer_of(expected, sizeof expected);
    const struct shadow *shadow = find_shadow(name);
    const struct epmd_node node =
        shadow == NULL ? (struct epmd_node){.port = 0} : shadow_node(shadow);
    epmd_write_port2_reply(&writer, shadow == NULL ? NULL : &node);
    must(bytes_equal(reply, writer_bytes(&writer)));
}

static void evict(struct conn *conn, const struct epmd_request *request, struct conn *holder) {
    must(!conn->remote && service.relaxed_commands);
    must(request->operation == EPMD_STOP);
    must(bytes_equal(shadow_name(&holder->held), request->name));
    end(holder);
    end(conn);
}

static void quit(const struct conn *conn) {
    must(!conn->remote);
    must(service.relaxed_commands || (service.quits_when_idle && count_shadows() == 0));
    for (size_t i = 0; i < SHADOWS; i++)
        end(&conns[i]);
}

static void answer(struct conn *conn, const struct epmd_request *request) {
    uint8_t *buffer = fuzz_copy(NULL, 0, EPMD_SHORT_REPLY_MAX);
    struct writer reply = writer_of(buffer, EPMD_SHORT_REPLY_MAX);
    const struct epmd_caller caller = {
        .local = !conn->remote, .holder = conn, .holder_number = (uint32_t)(conn - conns)};
    struct epmd_answer answer = epmd_service_answer(&service, request, &caller, &reply);
    must(!reply.failed);
    must((reply.len == 0) ==
         (answer.action == EPMD_ACTION_CLOSE || answer.action == EPMD_ACTION_LIST));
    switch (answer.action) {
    case EPMD_ACTION_REPLY:
        if (request->operation == EPMD_PORT_PLEASE2)
            check_look_up(request->name, writer_bytes(&reply));
        end(conn);
        break;
    case EPMD_ACTION_HOLD:
        hold(conn, &request->node, answer.registration);
        break;
    case EPMD_ACTION_REFUSE:
        check_refusal(&request->node, writer_bytes(&reply));
        conn->state = REFUSED;
        break;
    case EPMD_ACTION_LIST:
        begin_listing(conn, answer.listing);
        break;
    case EPMD_ACTION_EVICT:
        evict(conn, request, answer.registration->holder);
        break;
    case EPMD_ACTION_QUIT:
        quit(conn);
        break;
    case EPMD_ACTION_WAIT: /* there are no front ports here */
        must(false);
        break;
    case EPMD_ACTION_CLOSE:
        must(answer.reason != NULL);
        end(conn);
        break;
    }
    free(buffer);
}

/* --- the steps --- */

static void receive(struct conn *conn, struct bytes bytes) {
    struct epmd_request request;
    struct bytes payload;
    if (bytes.len == 0 || conn->state == LISTING)
        return;
    if (conn->state != READING) {
        end(conn); /* a registered node says no more */
        return;
    }
    size_t room = sizeof conn->request_buffer - conn->received;
    size_t taken = bytes.len < room ? bytes.len : room;
    memcpy(conn->request_buffer + conn->received, bytes.data, taken);
    conn->received += taken;
    enum epmd_frame frame =
        epmd_frame_parse(bytes_of(conn->request_buffer, conn->received), &payload);
    must(frame != EPMD_FRAME_INCOMPLETE || conn->received < sizeof conn->request_buffer);
    if (frame == EPMD_FRAME_INCOMPLETE)
        return;
    conn->received = 0;
    if (frame == EPMD_FRAME_COMPLETE && epmd_request_decode(payload, &request) == EPMD_DECODE_OK)
        answer(conn, &request);
    else
        end(conn);
}

static void receive_frame(struct conn *conn, struct bytes payload) {
    uint8_t frame[2 + UINT8_MAX];
    struct writer writer = writer_of(frame, sizeof frame);
    write_u16(&writer, (uint16_t)payload.len);
    write_bytes(&writer, payload);
    receive(conn, writer_bytes(&writer));
}

static void read_listing(struct conn *conn, size_t size) {
    if (conn->state != LISTING)
        return;
    for (size_t i = 0; i < SHADOWS; i++)
        shadow_listing_keep(&conn->expected, i, &conns[i].held);
    uint8_t *buffer = fuzz_copy(NULL, 0, size);
    size_t len = listing_read(&conn->listing, buffer, size);
    must(len <= size);
    shadow_listing_check(&conn->expected, bytes_of(buffer, len));
    free(buffer);
    if (len == 0)
        end(conn);
}

static struct bytes read_some(struct reader *script, size_t len) {
    return read_bytes(script, len < script->left ? len : script->left);
}

static void step(struct reader *script) {
    struct conn *conn = &conns[read_u8(script) % SHADOWS];
    uint8_t rules;
    switch (read_u8(script) % 6) {
    case 0:
        receive(conn, read_some(script, read_u16(script)));
        break;
    case 1:
        receive_frame(conn, read_some(script, read_u8(script)));
        break;
    case 2:
        end(conn);
        break;
    case 3:
        read_listing(conn, LISTING_PIECE_MIN + (size_t)read_u8(script));
        break;
    case 4:
        end(conn);
        conn->remote = read_u8(script) % 2 == 1;
        break;
    case 5:
        rules = read_u8(script);
        service.relaxed_commands = (rules & 1) != 0;
        service.remote_names = (rules & 2) != 0   ? REMOTE_NAMES_ON
                               : (rules & 8) != 0 ? REMOTE_NAMES_MEMBERS
                                                  : REMOTE_NAMES_OFF;
        of_members = (rules & 16) != 0;
        service.quits_when_idle = (rules & 4) == 0;
        break;
    }
}

static void check_registry(void) {
    must(registry_count(service.registry) == count_shadows());
    for (size_t i = 0; i < SHADOWS; i++) {
        const struct conn *conn = &conns[i];
        must((conn->held.life != 0) == (conn->state == HELD));
        if (conn->state != HELD)
            continue;
        must(registry_find(service.registry, shadow_name(&conn->held)) == conn->registration);
        must(conn->registration->holder == conn);
        must(shadow_is_of(&conn->held, &conn->registration->node));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader script = reader_of(bytes_of(data, size));
    struct creations *creations = creations_new(0);
    must(creations != NULL);
    service = (struct epmd_service){.registry = registry_new(creations),
                                    .quits_when_idle = true,
                                    .member_hosts = {.has = is_member}};
    must(service.registry != NULL);
    for (size_t i = 0; i < SHADOWS; i++)
        conns[i].remote = false; /* all else was left as it began */
    next_life = 0;
    while (script.left > 0 && !script.failed) {
        step(&script);
        check_registry();
    }
    for (size_t i = 0; i < SHADOWS; i++)
        end(&conns[i]);
    check_registry();
    registry_free(service.registry);
    creations_free(creations);
    return 0;
}
