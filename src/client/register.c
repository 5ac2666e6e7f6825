/* portolan_register, and the registration it makes: a connection to epmd that is kept open. */
#include "base/would_block.h"
#include "client/operation_notes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What nodes of OTP 25 and later say of themselves. */
#define HIGHEST_VERSION 6
#define LOWEST_VERSION 5

/* ALIVE2_X_RESP is 6 bytes. */
#define REPLY_MAX 16

struct portolan_registration {
    int fd;
    pid_t owner;
    uint32_t creation;
};

static void write_request(const struct portolan_operation *operation, struct writer *writer) {
    struct bytes name = bytes_of_text(operation->node.name);
    write_u16(writer, (uint16_t)(1 + 8 + 2 + name.len + 2));
    write_u8(writer, EPMD_ALIVE2);
    write_u16(writer, operation->port);
    write_u8(writer, (uint8_t)operation->type);
    write_u8(writer, 0); /* protocol: TCP */
    write_u16(writer, HIGHEST_VERSION);
    write_u16(writer, LOWEST_VERSION);
    write_u16(writer, (uint16_t)name.len);
    write_bytes(writer, name);
    write_u16(writer, 0); /* no extra data */
}

static enum verdict keep(struct portolan_operation *operation, uint32_t creation) {
    struct portolan_registration *registration = malloc(sizeof *registration);
    if (registration == NULL)
        return operation_bad_reply(operation, EPMD_REPLY_NO_MEMORY, false);
    poller_forget(&operation->poller);
    registration->fd = roundtrip_take_socket(&operation->roundtrip);
    registration->owner = getpid();
    registration->creation = creation;
    operation->registration = registration;
    return VERDICT_DONE;
}

static enum verdict receive(struct portolan_operation *operation, struct bytes reply, bool ended) {
    char server[OPERATION_SERVER_SIZE];
    uint32_t creation;
    enum epmd_reply got = epmd_reply_alive2(reply, &creation);
    if (got == EPMD_REPLY_COMPLETE)
        return keep(operation, creation);
    if (got != EPMD_REPLY_NO)
        return operation_bad_reply(operation, got, ended);
    failure_note(&operation->failure, PORTOLAN_ERROR_REFUSED,
                 "%s refused the name, probably because it is in use",
                 operation_server(operation, server));
    return VERDICT_STOP;
}

static const struct operation_kind register_kind = {
    .verb = "register",
    .epmd_reply_max = REPLY_MAX,
    .write_request = write_request,
    .receive = receive,
};

static struct portolan_operation *prepare(const char *name, uint16_t port,
                                          enum portolan_node_type type,
                                          const struct portolan_options *options,
                                          enum portolan_code *code, struct portolan_error *error) {
    struct node parsed;
    const char *wrong = node_parse_alive(name, &parsed);
    if (wrong == NULL && port == 0)
        wrong = "port 0 cannot be connected to";
    if (wrong == NULL && type != PORTOLAN_NODE_NORMAL && type != PORTOLAN_NODE_HIDDEN)
        wrong = "the node's type is neither normal (77) nor hidden (72)";
    struct portolan_operation *made =
        operation_new(&register_kind, options, name, wrong, code, error);
    if (made == NULL)
        return NULL;
    made->node = parsed;
    made->port = port;
    made->type = type;
    made->asks_epmd = true;
    return made;
}

enum portolan_code portolan_register_start(const char *name, uint16_t port,
                                           enum portolan_node_type type,
                                           const struct portolan_options *options,
                                           struct portolan_operation **operation,
                                           struct portolan_error *error) {
    enum portolan_code code;
    *operation = NULL;
    struct portolan_operation *made = prepare(name, port, type, options, &code, error);
    return made == NULL ? code : operation_start(made, operation, error);
}

enum portolan_code portolan_register(const char *name, uint16_t port, enum portolan_node_type type,
                                     const struct portolan_options *options,
                                     struct portolan_registration **registration,
                                     struct portolan_error *error) {
    enum portolan_code code;
    *registration = NULL;
    struct portolan_operation *made = prepare(name, port, type, options, &code, error);
    if (made == NULL)
        return code;
    code = operation_run(made, error);
    if (code == PORTOLAN_OK)
        portolan_operation_take_registration(made, registration);
    portolan_operation_free(made);
    return code;
}

enum portolan_code
portolan_operation_take_registration(struct portolan_operation *operation,
                                     struct portolan_registration **registration) {
    *registration = operation->registration;
    operation->registration = NULL;
    return *registration != NULL ? PORTOLAN_OK : PORTOLAN_ERROR_ARGUMENT;
}

void portolan_unregister(struct portolan_registration *registration) {
    if (registration == NULL)
        return;
    /* children that were forked meanwhile have the connection too: closing would not end it */
    if (registration->owner == getpid())
        shutdown(registration->fd, SHUT_RDWR);
    close(registration->fd);
    free(registration);
}

uint32_t portolan_registration_creation(const struct portolan_registration *registration) {
    return registration->creation;
}

int portolan_registration_descriptor(const struct portolan_registration *registration) {
    return registration->fd;
}

bool portolan_registration_is_held(const struct portolan_registration *registration) {
    uint8_t byte;
    ssize_t got = recv(registration->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && would_block(errno);
}
