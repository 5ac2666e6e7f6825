/*
 * Tells what happens at the portoland of this host, until that ends.
 *
 *   $ cc -o watch watch.c $(pkg-config --cflags --libs portolan)
 *   $ ./watch
 *   registered rabbit 25672
 *   unregistered rabbit 25672
 */
#include <portolan.h>

#include <poll.h>
#include <stdio.h>

/* A name may hold anything that is UTF-8: nothing in it may reach the terminal as a command. */
static void print_event(const struct portolan_event *event) {
    printf("%s ", event->type);
    for (const char *at = event->name[0] != '\0' ? event->name : event->member; *at != '\0'; at++)
        putchar(*at > ' ' && *at < 0x7f ? *at : '?');
    printf(" %u\n", event->port);
    fflush(stdout);
}

int main(void) {
    struct portolan_options options;
    struct portolan_watch *watch;
    const struct portolan_event *event;
    struct portolan_error error;
    enum portolan_code code;

    portolan_options_init(&options, sizeof options);
    if (portolan_options_from_environment(&options, &error) != PORTOLAN_OK ||
        portolan_watch_start(&options, &watch, &error) != PORTOLAN_OK) {
        fprintf(stderr, "watch: %s\n", error.message);
        return 1;
    }
    struct pollfd ready = {.fd = portolan_watch_descriptor(watch), .events = POLLIN};
    for (;;) {
        code = portolan_watch_next(watch, &event, &error);
        if (code == PORTOLAN_OK)
            print_event(event);
        else if (code == PORTOLAN_PENDING)
            poll(&ready, 1, -1);
        else
            break;
    }
    fprintf(stderr, "watch: %s\n", error.message);
    portolan_watch_free(watch);
    return code == PORTOLAN_ERROR_CLOSED ? 0 : 1;
}
