#include "service/explain.h"

#include <stdio.h>
#include <string.h>

/* host:port as the user wrote the host, and the address that it has when they differ. */
static void format_endpoint(const char *name, const struct peer_failure *failure, char *out,
                            size_t size) {
    const char *at = strchr(name, '@');
    const char *host = at == NULL ? name : at + 1;
    char address[ADDRESS_TEXT_SIZE] = "";
    if (failure == NULL) {
        snprintf(out, size, "%s", name);
        return;
    }
    if (failure->address.any.sa_family != AF_UNSPEC)
        address_format(&failure->address, address);
    bool is_v6 = strchr(host, ':') != NULL;
    bool is_numeric = address[0] == '[' ? strncmp(address + 1, host, strlen(host)) == 0
                                        : strncmp(address, host, strlen(host)) == 0;
    if (address[0] == '\0' || is_numeric)
        snprintf(out, size, "%s%s%s:%u", is_v6 ? "[" : "", host, is_v6 ? "]" : "", failure->port);
    else
        snprintf(out, size, "%s:%u (%s)", host, failure->port, address);
}

/* Causes that concern the endpoint that was called. */
static void explain_connect_failure(const char *endpoint, enum cluster_cause cause,
                                    const struct peer_failure *failure, char *out) {
    const char *why = failure->reason[0] != '\0' ? failure->reason : NULL;
    size_t size = EXPLAIN_SIZE;
    switch (cause) {
    case CLUSTER_CAUSE_REFUSED:
        snprintf(
            out, size,
            "%s refused the connection; is portoland running there, under this name? the port is "
            "derived from it",
            endpoint);
        break;
    case CLUSTER_CAUSE_TIMED_OUT:
        snprintf(out, size,
                 "connection to %s timed out after %d s; is TCP %u open in its firewall?", endpoint,
                 CLUSTER_CONNECT_MS / 1000, (unsigned)failure->port);
        break;
    case CLUSTER_CAUSE_UNREACHABLE:
        snprintf(out, size, "%s cannot be reached: %s; is the address right, and the network up?",
                 endpoint, failure->error != 0 ? strerror(failure->error) : "no route to it");
        break;
    case CLUSTER_CAUSE_WRONG_COOKIE:
        snprintf(
            out, size,
            "the daemon at %s has another cookie; set the same node.cookie or node.cookie_file on "
            "both hosts",
            endpoint);
        break;
    case CLUSTER_CAUSE_WRONG_CLUSTER_NAME:
        snprintf(
            out, size,
            "the daemon at %s belongs to a cluster with another name; set the same cluster.name on "
            "both hosts",
            endpoint);
        break;
    case CLUSTER_CAUSE_CERTIFICATE:
        snprintf(out, size, "the certificates of this daemon and the one at %s do not match: %s",
                 endpoint,
                 why == NULL ? "both hosts need cluster.tls.* from one authority, each for the "
                               "host of its node.name"
                             : why);
        break;
    case CLUSTER_CAUSE_BUSY:
        snprintf(
            out, size,
            "the daemon at %s is busy with other handshakes; try again, and check its log for the "
            "callers",
            endpoint);
        break;
    case CLUSTER_CAUSE_NOT_PORTOLAN:
        snprintf(
            out, size,
            "the program at %s is not a portoland with a cluster: %s; is it another program, or a "
            "portoland without node.cookie?",
            endpoint, why == NULL ? "it closed the connection" : why);
        break;
    default:
        snprintf(out, size, "the connection to %s failed: %s; try again, and check its log",
                 endpoint,
                 failure->error != 0 ? strerror(failure->error) : cluster_cause_name(cause));
    }
}

/* The same, where a link stood or no call could be made. */
static void explain_link_failure(const char *endpoint, const struct cluster_event *event,
                                 char *out) {
    size_t size = EXPLAIN_SIZE;
    switch (event->cause) {
    case CLUSTER_CAUSE_TIMED_OUT:
        snprintf(
            out, size,
            "%s accepted the connection but did not finish in time; is its host overloaded, or the "
            "network slow? try again, and check its log",
            endpoint);
        break;
    case CLUSTER_CAUSE_BUSY:
        snprintf(out, size,
                 "%s was busy with other handshakes each time; check its log for the callers",
                 endpoint);
        break;
    case CLUSTER_CAUSE_WRONG_CLUSTER_NAME:
        snprintf(
            out, size,
            "%s belongs to a cluster with another name; set the same cluster.name on both hosts",
            endpoint);
        break;
    case CLUSTER_CAUSE_CERTIFICATE:
        snprintf(
            out, size,
            "the certificates of this daemon and %s do not match: %s certificate does not contain "
            "the host of its node.name",
            endpoint, event->by_us ? "its" : "this daemon's");
        break;
    default:
        snprintf(out, size, "the link with %s failed: %s; try again, and check its log", endpoint,
                 cluster_cause_name(event->cause));
    }
}

/* Causes that the two daemons found out about each other. */
static const struct explanation {
    const char *by_peer; /* the peer said so to this daemon */
    const char *by_us;   /* this daemon said so to the peer; NULL: the same words */
} explanations[CLUSTER_CAUSES] = {
    [CLUSTER_CAUSE_WRONG_VERSION] = {"it speaks another version of the cluster protocol; install "
                                     "the same release on both",
                                     NULL},
    [CLUSTER_CAUSE_NAME_IN_USE] =
        {"a running member of its cluster already has this daemon's name; choose another "
         "node.name here, or stop the other one",
         "a running member of this cluster already has that name; choose another node.name "
         "there, or stop the other one"},
    [CLUSTER_CAUSE_WRONG_NAME] =
        {"it called this daemon by another name; is the name that it uses right, and what does "
         "it resolve to there?",
         "the daemon there has another name; 'portolan status' on that host shows it"},
    [CLUSTER_CAUSE_OURSELVES] = {"its address leads back to this daemon; is the name right, and "
                                 "what does it resolve to?",
                                 NULL},
    [CLUSTER_CAUSE_NOT_MEMBER] =
        {"it does not know this daemon as a member; try again",
         "this daemon does not know it as a member; use 'portolan cluster join'"},
    [CLUSTER_CAUSE_OUT] =
        {"this daemon left its cluster, or was forced out of it; rejoin with 'portolan cluster "
         "join' and a member's name",
         "it left this daemon's cluster, or was forced out of it; use 'portolan cluster join' to"
         " join the two"},
    [CLUSTER_CAUSE_FULL] =
        {"its cluster has the maximum number of members; force some out",
         "this daemon's cluster has the maximum number of members; force some out"},
    [CLUSTER_CAUSE_CLOCK] =
        {"it reports that this daemon's numbers, which come from clocks, are over 100 years "
         "ahead of its clock; correct both clocks, and restart both daemons",
         "its numbers, which come from clocks, are over 100 years ahead of this host's clock; "
         "correct both clocks, and restart both daemons"},
    [CLUSTER_CAUSE_SILENT] = {"it went silent; is its host overloaded, or the network cut?", NULL},
    [CLUSTER_CAUSE_STOPPED] = {"it is stopping; try again when it is running",
                               "this daemon is stopping"},
    [CLUSTER_CAUSE_NO_MEMORY] = {"its host is out of memory; check its limits",
                                 "this host is out of memory or descriptors; check its limits"},
};

/* Which way the port was found, where an epmd was asked for it. */
static void append_port_source(const struct peer_query *query, char *out) {
    size_t len = strlen(out), size = EXPLAIN_SIZE - len;
    unsigned epmd = query->epmd_port, advertised = query->advertised, derived = query->derived;
    if (epmd == 0)
        return;
    if (advertised == 0)
        snprintf(out + len, size, " (its epmd, TCP %u, %s; so port %u is that of the rule)", epmd,
                 epmd_query_result_text(query->result), derived);
    else if (advertised == derived)
        snprintf(out + len, size, " (its epmd, TCP %u, reports port %u, and so does the rule)",
                 epmd, advertised);
    else
        snprintf(out + len, size,
                 " (its epmd, TCP %u, reports port %u, the rule gives port %u; both were tried)",
                 epmd, advertised, derived);
}

static void explain_call_failure(const struct cluster_event *event,
                                 const struct peer_failure *failure, char *out) {
    char endpoint[CLUSTER_NAME_MAX + ADDRESS_TEXT_SIZE + 16];
    const struct explanation *explanation = &explanations[event->cause];
    bool by_us = event->by_us || failure != NULL;
    const char *at = strchr(event->name, '@');
    if (event->cause == CLUSTER_CAUSE_NO_HOST) {
        snprintf(out, EXPLAIN_SIZE,
                 "no address found for the host %s: %s; check its spelling, DNS and /etc/hosts",
                 at == NULL ? event->name : at + 1,
                 failure != NULL && failure->reason[0] != '\0' ? failure->reason : "none known");
        return;
    }
    if (event->cause == CLUSTER_CAUSE_NO_PORT) {
        snprintf(
            out, EXPLAIN_SIZE,
            "no port can be derived from the name %s, so it cannot be called; see 'portolan port "
            "%s'",
            event->name, event->name);
        return;
    }
    if (explanation->by_peer != NULL) {
        snprintf(out, EXPLAIN_SIZE, "%s",
                 by_us && explanation->by_us != NULL ? explanation->by_us : explanation->by_peer);
        return;
    }
    format_endpoint(event->name, failure, endpoint, sizeof endpoint);
    if (failure == NULL) {
        explain_link_failure(endpoint, event, out);
        return;
    }
    explain_connect_failure(endpoint, event->cause, failure, out);
    append_port_source(&failure->query, out);
}

void explain_event(const struct cluster_event *event, const char *self,
                   const struct peer_failure *failure, char out[EXPLAIN_SIZE]) {
    bool is_of_self = strcmp(event->name, self) == 0;
    out[0] = '\0';
    if (event->type == CLUSTER_EVENT_JOIN_FAILED || event->type == CLUSTER_EVENT_LINK_REFUSED)
        explain_call_failure(event, failure, out);
    else if (event->type == CLUSTER_EVENT_NAME_CLASH)
        snprintf(out, EXPLAIN_SIZE,
                 "another daemon has the name of this one; stop it, or change its node.name");
    else if (event->type == CLUSTER_EVENT_FORCED_OUT && is_of_self)
        snprintf(out, EXPLAIN_SIZE,
                 "this daemon was forced out of its cluster and runs alone; rejoin with 'portolan "
                 "cluster join' and a member's name");
}

const char *explain_rejected_caller(const struct peer_failure *failure) {
    switch (failure->cause) {
    case CLUSTER_CAUSE_WRONG_COOKIE:
        return "it has another cookie; if it should be a member, set the same node.cookie on both "
               "hosts";
    case CLUSTER_CAUSE_WRONG_CLUSTER_NAME:
        return "it belongs to a cluster with another name; if it should be a member, set the same "
               "cluster.name on both hosts";
    case CLUSTER_CAUSE_CERTIFICATE:
        return failure->reason[0] != '\0' ? failure->reason
                                          : "both hosts need cluster.tls.* from one authority";
    case CLUSTER_CAUSE_NOT_PORTOLAN:
        return "it does not speak portolan/1";
    case CLUSTER_CAUSE_TIMED_OUT:
        return "it did not finish its handshake in time";
    case CLUSTER_CAUSE_BUSY:
        return "too many handshakes at once";
    default:
        return cluster_cause_name(failure->cause);
    }
}
