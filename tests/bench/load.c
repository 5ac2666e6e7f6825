/*
 * load: loads an epmd, in a closed loop, and checks every answer.
 *
 * One thread keeps a number of connections in flight; as soon as one is done the next is opened.
 * As in life, a connection carries one request. Its latency runs from connect() to the end of
 * file. At the end one line of JSON is printed.
 *
 * lookup    PORT_PLEASE2 of bench0 ... bench<names - 1>, which `load hold` keeps registered
 * names     NAMES_REQ, read to the end of file; the same names must be all that is registered
 * register  ALIVE2, then the connection is shut down, which unregisters; each name is new
 * hold N    registers bench0 ... bench<N - 1>, prints "ready" when all have been accepted, and
 *           holds them until stdin ends or a signal kills it
 *
 * Ports on the client's side. A run opens some 100,000 connections, more than there are ephemeral
 * ports, so none may stay behind in TIME_WAIT. After a look-up the server has closed first;
 * closing with a linger time of 0 then frees this side at once, and the reset that goes out ends
 * the server's TIME_WAIT. A registration is closed from here first, as a node's would be, and
 * there the TIME_WAIT is ours; those are spread over many addresses of 127/8. So are the held ones:
 * thousands of ports taken on 127.0.0.1 would make connect() search long for each look-up's.
 */
#include "latency.h"
#include "load_options.h"
#include "load_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_AT_ONCE = 256,
    CHUNK = 64 * 1024,
    ANSWER_TIMEOUT_S = 10, /* what a node waits for epmd */
    ERRORS_SHOWN = 5,
    ERRORS_BEARABLE = 100, /* beyond these the server is gone, and more of them say nothing new */
};

#define NS_PER_S INT64_C(1000000000)

enum conn_state {
    CONN_IDLE,     /* no socket */
    CONN_SENDING,  /* connecting, or the request is not out yet */
    CONN_WAITING,  /* for the answer */
    CONN_ANSWERED, /* registered and about to be shut down; the server closes next */
    CONN_HELD,     /* registered, and stays so */
};

struct conn {
    enum conn_state state;
    int fd;
    uint32_t number; /* of the name it asks for or registers */
    int64_t started_ns;
    size_t got;                   /* bytes of the reply so far */
    uint8_t head[WIRE_REPLY_MAX]; /* the first of them */
};

struct load {
    struct load_options options;
    int loop;
    struct conn *conns;
    uint32_t conns_len;
    uint32_t in_flight;
    uint64_t opened, done, errors;
    int64_t started_ns, now_ns, stop_ns; /* stop_ns: open no more from then on, 0 for never */
    uint32_t random;
    uint8_t chunk[CHUNK];
    size_t listing_len;        /* the length that a reply to NAMES_REQ must have */
    char *listing;             /* the first such reply, which is checked line by line */
    struct conn *listing_from; /* the connection it comes by, until it is whole */
    struct latency latency;
};

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...) {
    va_list args;

    fputs("load: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static int64_t clock_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* xorshift32: the order need not be good, only cheap and not the order of registration */
static uint32_t next_random(struct load *load) {
    load->random ^= load->random << 13;
    load->random ^= load->random >> 17;
    load->random ^= load->random << 5;
    return load->random;
}

static bool may_open(const struct load *load) {
    const struct load_options *options = &load->options;

    if (load->errors >= ERRORS_BEARABLE)
        return false;
    if (options->requests && load->opened >= options->requests)
        return false;
    return !load->stop_ns || load->now_ns < load->stop_ns;
}

static uint32_t choose_number(struct load *load) {
    switch (load->options.mode) {
    case LOAD_LOOKUP:
        if (!load->options.round_robin)
            return next_random(load) % load->options.names;
        return (uint32_t)(load->opened % load->options.names);
    case LOAD_REGISTER:
    case LOAD_HOLD:
        return (uint32_t)load->opened;
    case LOAD_NAMES:
        break;
    }
    return 0;
}

static size_t put_request(const struct load *load, const struct conn *conn, uint8_t *out) {
    switch (load->options.mode) {
    case LOAD_LOOKUP:
        return wire_put_lookup(out, conn->number);
    case LOAD_REGISTER:
        return wire_put_register(out, "passing", conn->number);
    case LOAD_HOLD:
        return wire_put_register(out, "bench", conn->number);
    case LOAD_NAMES:
        break;
    }
    return wire_put_listing(out);
}

static void watch(struct load *load, struct conn *conn, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (epoll_ctl(load->loop, operation, conn->fd, &event) < 0)
        die("cannot watch a connection: %s", strerror(errno));
}

/* The end of a look-up comes with its answer, so waiting for the end alone saves a wake-up. */
static uint32_t events_awaited(const struct load *load) {
    return load->options.mode == LOAD_LOOKUP ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP;
}

static int open_socket(const struct load *load) {
    static const struct linger no_time_wait = {.l_onoff = 1, .l_linger = 0};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in source = {.sin_family = AF_INET};

    if (fd < 0)
        die("cannot make a socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_time_wait, sizeof(no_time_wait));
    if (load->options.sources == 1)
        return fd;
    /* 127.0.1.0 and up; the port is chosen at connect(), when the whole quadruple is known */
    source.sin_addr.s_addr =
        htonl(INADDR_LOOPBACK + 255 + (uint32_t)(load->opened % load->options.sources));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0)
        die("cannot bind to %s: %s", inet_ntoa(source.sin_addr), strerror(errno));
    return fd;
}

/* Sends the request when the connection stands. False: failed, errno says why. */
static bool try_to_send(struct load *load, struct conn *conn) {
    uint8_t request[WIRE_REQUEST_MAX];
    size_t len = put_request(load, conn, request);
    ssize_t sent = send(conn->fd, request, len, MSG_NOSIGNAL);

    if (sent == (ssize_t)len)
        conn->state = CONN_WAITING;
    return sent == (ssize_t)len || errno == EAGAIN;
}

static void fail(struct load *load, struct conn *conn, const char *why);

static void open_conn(struct load *load, struct conn *conn) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(load->options.port)};

    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    conn->number = choose_number(load);
    conn->got = 0;
    conn->fd = open_socket(load);
    conn->state = CONN_SENDING;
    conn->started_ns = load->now_ns = clock_ns();
    load->opened++;
    load->in_flight++;
    if (connect(conn->fd, (struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS) {
        fail(load, conn, strerror(errno));
        return;
    }
    /* over loopback the connection stands by now, unless the server's queue is full */
    if (!try_to_send(load, conn)) {
        fail(load, conn, strerror(errno));
        return;
    }
    watch(load, conn, EPOLL_CTL_ADD, conn->state == CONN_SENDING ? EPOLLOUT : events_awaited(load));
}

static void close_conn(struct load *load, struct conn *conn) {
    close(conn->fd);
    conn->state = CONN_IDLE;
    load->in_flight--;
}

static void fail(struct load *load, struct conn *conn, const char *why) {
    if (load->errors++ < ERRORS_SHOWN) {
        fprintf(stderr, "load: %s %u on port %u failed after %zu bytes of the reply: %s\n",
                load_mode_name(load->options.mode), conn->number, load->options.port, conn->got,
                why);
    }
    if (load->listing_from == conn)
        load->listing_from = NULL;
    close_conn(load, conn);
}

static void succeed(struct load *load, struct conn *conn) {
    load->now_ns = clock_ns();
    latency_add(&load->latency, load->now_ns - conn->started_ns);
    load->done++;
    close_conn(load, conn);
}

/* Keeps what the checks need of the bytes just read to load->chunk. */
static void take_bytes(struct load *load, struct conn *conn, size_t len) {
    if (conn->got < sizeof(conn->head)) {
        size_t room = sizeof(conn->head) - conn->got;

        memcpy(conn->head + conn->got, load->chunk, len < room ? len : room);
    }
    if (load->listing_from == conn && conn->got + len <= load->listing_len)
        memcpy(load->listing + conn->got, load->chunk, len);
    conn->got += len;
}

static bool is_whole_listing(struct load *load, const struct conn *conn) {
    size_t head_len = WIRE_LISTING_HEAD_LEN;

    if (conn->got != load->listing_len || !wire_is_listing_head(conn->head, load->options.port))
        return false;
    if (load->listing_from != conn)
        return true;
    load->listing_from = NULL;
    return wire_is_listing_text(load->listing + head_len, load->listing_len - head_len,
                                load->options.names);
}

static bool is_right(struct load *load, const struct conn *conn) {
    switch (load->options.mode) {
    case LOAD_LOOKUP:
        return wire_is_found(conn->head, conn->got, conn->number);
    case LOAD_NAMES:
        return is_whole_listing(load, conn);
    case LOAD_REGISTER:
    case LOAD_HOLD:
        break;
    }
    return conn->state == CONN_ANSWERED && conn->got == WIRE_REGISTERED_LEN;
}

static void registered(struct load *load, struct conn *conn) {
    if (!wire_is_registered(conn->head, conn->got)) {
        fail(load, conn, "the name was refused");
    } else if (load->options.mode == LOAD_HOLD) {
        conn->state = CONN_HELD;
        load->in_flight--;
        load->done++;
    } else {
        conn->state = CONN_ANSWERED;
        shutdown(conn->fd, SHUT_WR);
    }
}

static void at_end(struct load *load, struct conn *conn) {
    if (is_right(load, conn))
        succeed(load, conn);
    else
        fail(load, conn, "wrong or incomplete reply");
}

static void receive(struct load *load, struct conn *conn, uint32_t events) {
    ssize_t got = recv(conn->fd, load->chunk, sizeof(load->chunk), 0);
    bool registers = load->options.mode == LOAD_REGISTER || load->options.mode == LOAD_HOLD;

    if (got < 0) {
        if (errno != EAGAIN)
            fail(load, conn, strerror(errno));
        return;
    }
    take_bytes(load, conn, (size_t)got);
    if (registers && conn->state == CONN_WAITING && conn->got >= WIRE_REGISTERED_LEN) {
        registered(load, conn);
        return;
    }
    /* with the end announced, a read that leaves room has reached it */
    if (got == 0 || ((events & EPOLLRDHUP) && (size_t)got < sizeof(load->chunk)))
        at_end(load, conn);
}

static void on_event(struct load *load, struct conn *conn, uint32_t events) {
    if (conn->state == CONN_HELD)
        die("the server closed the connection that holds bench%u", conn->number);
    if (conn->state != CONN_SENDING) {
        receive(load, conn, events);
        return;
    }
    if (!try_to_send(load, conn))
        fail(load, conn, strerror(errno));
    else if (conn->state == CONN_WAITING)
        watch(load, conn, EPOLL_CTL_MOD, events_awaited(load));
}

static bool is_pending(const struct conn *conn) {
    return conn->state != CONN_IDLE && conn->state != CONN_HELD;
}

static void refill(struct load *load, struct conn *conn) {
    /* a connection may fail at once, hence the loop; ERRORS_BEARABLE bounds it */
    while (conn->state == CONN_IDLE && may_open(load))
        open_conn(load, conn);
}

static void replace_overdue(struct load *load) {
    int64_t oldest_ns = load->now_ns - ANSWER_TIMEOUT_S * NS_PER_S;

    for (uint32_t i = 0; i < load->conns_len; i++) {
        struct conn *conn = &load->conns[i];

        if (!is_pending(conn) || conn->started_ns >= oldest_ns)
            continue;
        fail(load, conn, "no answer in time");
        refill(load, conn);
    }
}

/* A held connection keeps its slot, so the next one goes to a slot that was never used. */
static struct conn *slot_after(struct load *load, struct conn *conn) {
    return conn->state == CONN_HELD && load->opened < load->conns_len ? &load->conns[load->opened]
                                                                      : conn;
}

static void run(struct load *load) {
    struct epoll_event events[EVENTS_AT_ONCE];
    int64_t checked_ns;

    load->started_ns = load->now_ns = checked_ns = clock_ns();
    if (load->options.seconds > 0)
        load->stop_ns = load->now_ns + (int64_t)(load->options.seconds * (double)NS_PER_S);
    for (uint32_t i = 0; i < load->conns_len && i < load->options.inflight; i++)
        refill(load, &load->conns[i]);
    while (load->in_flight > 0) {
        int ready = epoll_wait(load->loop, events, EVENTS_AT_ONCE, 1000);

        for (int i = 0; i < ready; i++) {
            struct conn *conn = events[i].data.ptr;

            on_event(load, conn, events[i].events);
            refill(load, slot_after(load, conn));
        }
        load->now_ns = clock_ns();
        if (load->now_ns - checked_ns > NS_PER_S) {
            checked_ns = load->now_ns;
            replace_overdue(load);
        }
    }
}

static void report(const struct load *load) {
    double seconds = (double)(load->now_ns - load->started_ns) / (double)NS_PER_S;

    printf("{\"mode\": \"%s\", \"requests\": %llu, \"errors\": %llu, \"seconds\": %.3f, "
           "\"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           load_mode_name(load->options.mode), (unsigned long long)load->done,
           (unsigned long long)load->errors, seconds, (double)load->done / seconds,
           latency_percentile_us(&load->latency, 0.50),
           latency_percentile_us(&load->latency, 0.99));
}

/* Holds the names until stdin ends. A signal needs no handler: dying lets go of them as well. */
static void hold(struct load *load) {
    struct pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = load->loop, .events = POLLIN}};
    struct epoll_event event;

    printf("ready\n");
    fflush(stdout);
    for (;;) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR)
            die("cannot wait: %s", strerror(errno));
        if (watched[0].revents && read(STDIN_FILENO, load->chunk, sizeof(load->chunk)) <= 0)
            return;
        if (watched[1].revents && epoll_wait(load->loop, &event, 1, 0) == 1)
            on_event(load, event.data.ptr, event.events);
    }
}

static void allow_descriptors(uint32_t wanted) {
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < wanted)
        die("%u connections need more than the %llu descriptors that `ulimit -Hn` allows", wanted,
            (unsigned long long)files.rlim_max);
}

static void prepare(struct load *load) {
    const struct load_options *options = &load->options;

    load->conns_len = options->mode == LOAD_HOLD ? (uint32_t)options->requests : options->inflight;
    allow_descriptors(load->conns_len + 16);
    load->random = 2463534242; /* the same order in every run, so that runs compare */
    load->conns = calloc(load->conns_len, sizeof(*load->conns));
    load->loop = epoll_create1(EPOLL_CLOEXEC);
    if (!load->conns || load->loop < 0)
        die("cannot prepare %u connections: %s", load->conns_len, strerror(errno));
    if (options->mode != LOAD_NAMES)
        return;
    load->listing_len = wire_listing_len(options->names);
    load->listing = malloc(load->listing_len);
    load->listing_from = load->listing ? &load->conns[0] : NULL;
}

int main(int argc, char **argv) {
    static struct load load;
    int status;

    load.options = load_options_parse(argc, argv);
    prepare(&load);
    run(&load);
    status = load.errors > 0;
    if (load.options.mode != LOAD_HOLD)
        report(&load);
    else if (status == 0)
        hold(&load);
    free(load.listing);
    free(load.conns);
    return status;
}
