/*
 * A member of a cluster with more names than there could be nodes on a host: they are registered
 * at no socket. It joins, says "joined", and stays until it is killed; whoever joins it finds
 * nobody, as it listens nowhere.
 *
 *   crowd NAME TARGET BASE COOKIE_FILE DATA_DIR COUNT
 */
#include "base/user.h"
#include "config/config.h"
#include "service/cluster.h"
#include "service/credentials.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void end(const char *reason) {
    fprintf(stderr, "crowd: %s\n", reason);
    exit(EXIT_FAILURE);
}

static void set(struct config *config, const char *key, const char *value) {
    struct config_report report = {.first = NULL};
    const struct config_origin origin = {.source = CONFIG_FROM_FLAG, .where = "the command line"};
    if (!config_set(config, key, value, &origin, &report))
        end(key);
}

static void on_settled(void *context, uint64_t number) {
    (void)context;
    (void)number;
}

static void on_join(void *context, const struct cluster_event *event, const char *text) {
    (void)context;
    if (event->type == CLUSTER_EVENT_JOIN_FAILED)
        end(text);
    if (event->type == CLUSTER_EVENT_JOIN_DONE) {
        puts("joined");
        fflush(stdout);
    }
}

static void register_names(struct cluster_service *service, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        int len = snprintf(name, sizeof name, "node%u", i);
        const struct registration registration = {
            .node = {.name = bytes_of(name, (size_t)len),
                     .port = 40000,
                     .type = 77,
                     .highest_version = 6,
                     .lowest_version = 5},
            .creation = i + 1,
            .user = USER_NOBODY,
        };
        cluster_service_registered(service, &registration);
    }
}

int main(int argc, char **argv) {
    char error[CLUSTER_SERVICE_ERROR_SIZE], key_error[CLUSTER_KEY_ERROR_SIZE];
    struct config config;
    struct tls *tls = NULL;
    struct events nobody = {.watched = NULL};
    if (argc != 7 || !config_init(&config, CONFIG_AS_PORTOLAND))
        end("needs NAME TARGET BASE COOKIE_FILE DATA_DIR COUNT");
    set(&config, "node.name", argv[1]);
    set(&config, "node.dist_base_port", argv[3]);
    set(&config, "node.cookie_file", argv[4]);
    set(&config, "node.data_dir", argv[5]);
    if (!cluster_key_open(&config, &tls, key_error) || tls == NULL)
        end(key_error);
    struct event_base *base = event_base_new();
    struct state_worker *worker = base == NULL ? NULL : state_worker_new(base);
    struct cluster_events events = {.events = &nobody, .self = argv[1]};
    const struct cluster_service_options options = {.config = &config,
                                                    .base = base,
                                                    .tls = tls,
                                                    .events = &events,
                                                    .front_port = 1,
                                                    .worker = worker,
                                                    .settled = on_settled};
    struct cluster_service *service = worker == NULL ? NULL : cluster_service_new(&options, error);
    if (service == NULL)
        end("cannot start");
    register_names(service, (unsigned)strtoul(argv[6], NULL, 10));
    if (cluster_service_join(service, argv[2], on_join, NULL) != CLUSTER_OK)
        end("cannot join");
    event_base_dispatch(base);
    return EXIT_FAILURE;
}
