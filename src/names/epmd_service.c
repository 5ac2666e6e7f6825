#include "names/epmd_service.h"

const char *const remote_names_names[] = {"off", "on", "members", NULL};

static struct epmd_answer close_with(const char *reason) {
    return (struct epmd_answer){.action = EPMD_ACTION_CLOSE, .reason = reason};
}

static struct epmd_answer reply_and_close(void) {
    return (struct epmd_answer){.action = EPMD_ACTION_REPLY};
}

static struct epmd_answer refuse_alive2(const struct epmd_node *node, const char *reason,
                                        struct writer *reply) {
    epmd_write_alive2_reply(reply, node->highest_version, false, EPMD_CREATION_REFUSED);
    return (struct epmd_answer){.action = EPMD_ACTION_REFUSE, .reason = reason};
}

static struct epmd_answer answer_alive2(const struct epmd_service *service,
                                        const struct epmd_node *node,
                                        const struct epmd_caller *caller, struct writer *reply) {
    const struct port_applicant applicant = {
        .name = node->name,
        .port = node->port,
        .loopback = caller->loopback,
        .user = caller->user,
    };
    struct registration *made = NULL;
    if (service->pool != NULL) {
        enum port_verdict admitted = port_pool_admits(service->pool, &applicant);
        if (admitted != PORT_OK) {
            port_pool_refused(service->pool, &applicant);
            return refuse_alive2(node, port_verdict_reason(admitted), reply);
        }
    }
    enum registry_verdict verdict =
        registry_register(service->registry, node, caller->holder, caller->holder_number, &made);
    if (verdict == REGISTRY_NO_MEMORY)
        return close_with(registry_reason(verdict));
    if (verdict != REGISTRY_OK)
        return refuse_alive2(node, registry_reason(verdict), reply);
    made->since_ms = caller->now_ms;
    made->user = caller->user;
    if (service->pool != NULL)
        port_pool_registered(service->pool, &applicant);
    epmd_write_alive2_reply(reply, node->highest_version, true, made->creation);
    return (struct epmd_answer){.action = EPMD_ACTION_HOLD, .registration = made};
}

static struct registration *conflict_of_node(const struct epmd_service *service,
                                             const struct epmd_node *node) {
    const struct port_applicant applicant = {.name = node->name, .port = node->port};
    struct registration *namesake = registry_find(service->registry, node->name);
    if (namesake != NULL || service->pool == NULL ||
        port_pool_admits(service->pool, &applicant) != PORT_LEASED_TO_OTHER)
        return namesake;
    return registry_find(service->registry, port_pool_holder(service->pool, node->port));
}

struct registration *epmd_service_conflict(const struct epmd_service *service,
                                           const struct epmd_request *request) {
    if (request->operation == EPMD_ALIVE2)
        return conflict_of_node(service, &request->node);
    if (request->operation == EPMD_KILL && service->quits_when_idle && !service->relaxed_commands)
        return registry_newest(service->registry);
    return NULL;
}

void epmd_service_end(const struct epmd_service *service, struct registration *registration) {
    if (service->pool != NULL)
        port_pool_unregistered(service->pool, registration->node.name);
    registry_remove(service->registry, registration);
}

static struct caller_view view_of(const struct epmd_caller *caller) {
    return (struct caller_view){.local = caller->local, .loopback = caller->loopback};
}

/* Hidden, for no node is to take the daemon for one of its own kind. */
static void write_own_reply(const struct epmd_service *service, struct writer *reply) {
    const struct epmd_node own_node = {
        .port = service->own_front_port,
        .type = EPMD_NODE_HIDDEN,
        .highest_version = 6,
        .lowest_version = 5,
        .name = service->own_name,
    };
    epmd_write_port2_reply(reply, &own_node);
}

static struct lookup lookup_of(struct registration *found, const struct epmd_caller *caller) {
    return (struct lookup){
        .registration = found,
        .address = caller->address,
        .round_trip_ms = caller->round_trip_ms == NULL ? 0 : caller->round_trip_ms(caller->holder),
        .now_ms = caller->now_ms,
    };
}

static bool may_connect(const struct epmd_caller *caller) {
    return caller->may_connect == NULL || caller->may_connect(caller->holder);
}

/* A look-up of a node by its front port. False: it is not its turn. Whoever only asks needs none,
 * and connects all the same with luck. */
static bool admit_lookup(const struct epmd_service *service, struct registration *found,
                         const struct epmd_caller *caller) {
    if (routes_count(service->routes, found->front_port) < 2)
        return true;
    struct lookup_queue *queue = routes_queue(service->routes);
    if (caller->waited == LOOKUP_IDLE && may_connect(caller)) {
        const struct lookup lookup = lookup_of(found, caller);
        if (lookup_queue_ask(queue, &lookup) == LOOKUP_WAIT)
            return false;
    }
    if (caller->waited == LOOKUP_OVERDUE)
        lookup_queue_count_unheld(queue);
    routes_looked_up(service->routes, found, caller->address, caller->now_ms);
    return true;
}

void epmd_service_wait(const struct epmd_service *service, struct registration *registration,
                       const struct epmd_caller *caller, struct lookup_waiter *waiter) {
    const struct lookup lookup = lookup_of(registration, caller);
    lookup_queue_wait(routes_queue(service->routes), &lookup, waiter);
}

static struct epmd_answer answer_port_please2(const struct epmd_service *service, struct bytes name,
                                              const struct epmd_caller *caller,
                                              struct writer *reply) {
    struct registration *found = registry_find(service->registry, name);
    if (found == NULL) {
        if (service->own_front_port != 0 && bytes_equal(name, service->own_name))
            write_own_reply(service, reply);
        else
            epmd_write_port2_reply(reply, NULL);
        return reply_and_close();
    }
    struct epmd_node advertised = found->node;
    advertised.port = caller_view_port(view_of(caller), found);
    if (advertised.port != found->node.port && !admit_lookup(service, found, caller))
        return (struct epmd_answer){.action = EPMD_ACTION_WAIT, .registration = found};
    epmd_write_port2_reply(reply, &advertised);
    return reply_and_close();
}

static bool may_list(const struct epmd_service *service, const struct epmd_caller *caller) {
    const struct member_hosts_query *members = &service->member_hosts;
    if (caller->local || service->remote_names == REMOTE_NAMES_ON)
        return true;
    return service->remote_names == REMOTE_NAMES_MEMBERS && members->has != NULL &&
           members->has(members->context, caller->address);
}

/* An empty list to whoever may not have one: clients take a close for a daemon that is broken. */
static struct epmd_answer answer_names(const struct epmd_service *service,
                                       const struct epmd_caller *caller) {
    if (may_list(service, caller))
        return (struct epmd_answer){
            .action = EPMD_ACTION_LIST, .listing = LISTING_NAMES, .view = view_of(caller)};
    const char *reason = service->remote_names == REMOTE_NAMES_OFF
                             ? "epmd.remote_names is off"
                             : "epmd.remote_names allows only hosts of members";
    return (struct epmd_answer){
        .action = EPMD_ACTION_LIST, .listing = LISTING_NO_NAMES, .reason = reason};
}

static struct epmd_answer answer_kill(const struct epmd_service *service, struct writer *reply) {
    bool idle = registry_count(service->registry) == 0;
    if (!service->relaxed_commands && !(service->quits_when_idle && idle)) {
        write_text(reply, "NO");
        return reply_and_close();
    }
    write_text(reply, "OK");
    return (struct epmd_answer){.action = EPMD_ACTION_QUIT};
}

static struct epmd_answer answer_stop(const struct epmd_service *service, struct bytes name,
                                      struct writer *reply) {
    if (!service->relaxed_commands)
        return close_with("STOP needs relaxed_command_check");
    struct registration *found = registry_find(service->registry, name);
    if (found == NULL) {
        write_text(reply, "NOEXIST");
        return reply_and_close();
    }
    write_text(reply, "STOPPED");
    return (struct epmd_answer){.action = EPMD_ACTION_EVICT, .registration = found};
}

struct epmd_answer epmd_service_answer(const struct epmd_service *service,
                                       const struct epmd_request *request,
                                       const struct epmd_caller *caller, struct writer *reply) {
    bool open_to_all = request->operation == EPMD_PORT_PLEASE2 || request->operation == EPMD_NAMES;
    if (!caller->local && !open_to_all)
        return close_with("caller is not on this host");
    switch (request->operation) {
    case EPMD_ALIVE2:
        return answer_alive2(service, &request->node, caller, reply);
    case EPMD_PORT_PLEASE2:
        return answer_port_please2(service, request->name, caller, reply);
    case EPMD_NAMES:
        return answer_names(service, caller);
    case EPMD_DUMP:
        return (struct epmd_answer){.action = EPMD_ACTION_LIST, .listing = LISTING_DUMP};
    case EPMD_KILL:
        return answer_kill(service, reply);
    case EPMD_STOP:
        return answer_stop(service, request->name, reply);
    }
    return close_with(epmd_decode_reason(EPMD_DECODE_UNKNOWN_OPERATION));
}
