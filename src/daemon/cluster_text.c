#include "daemon/cluster_text.h"

#include <stdio.h>
#include <string.h>

/* host:port as the user wrote the host, and the address that it has when they differ. */
static void format_place(const char *name, const struct peer_failure *failure, char *out,
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

/* Causes that are told of the place that was called; %s is the place, %u its port. */
static void say_of_place(const char *place, unsigned port, enum cluster_cause cause,
                         const struct peer_failure *failure, char *out) {
    const char *why = failure != NULL && failure->reason[0] != '\0' ? failure->reason : NULL;
    size_t size = CLUSTER_TEXT_SIZE;
    switch (cause) {
    case CLUSTER_CAUSE_REFUSED:
        snprintf(
            out, size,
            "%s refused the connection; does portoland run there, and is the name right, which "
            "the port follows from?",
            place);
        break;
    case CLUSTER_CAUSE_TIMED_OUT:
        snprintf(out, size,
                 "connection to %s timed out after %d s; is TCP %u open in its firewall?", place,
                 CLUSTER_CONNECT_MS / 1000, port);
        break;
    case CLUSTER_CAUSE_UNREACHABLE:
        snprintf(out, size, "%s cannot be reached: %s; is the address right, and the network up?",
                 place,
                 failure != NULL && failure->error != 0 ? strerror(failure->error)
                                                        : "there is no way to it");
        break;
    case CLUSTER_CAUSE_WRONG_COOKIE:
        snprintf(out, size,
                 "the daemon at %s has another cookie; set node.cookie (or the file of "
                 "node.cookie_file) alike on both hosts",
                 place);
        break;
    case CLUSTER_CAUSE_WRONG_CLUSTER_NAME:
        snprintf(out, size,
                 "the daemon at %s is of a cluster with another name; set cluster.name alike on "
                 "both hosts",
                 place);
        break;
    case CLUSTER_CAUSE_CERTIFICATE:
        snprintf(out, size,
                 "the certificates of this daemon and of the one at %s do not fit each other: %s; "
                 "both need cluster.tls.* of one authority, each with its node.name's host",
                 place, why == NULL ? "a name in them is not the host's" : why);
        break;
    case CLUSTER_CAUSE_NOT_PORTOLAN:
        snprintf(out, size,
                 "what listens at %s does not answer as a portoland of a cluster: %s; is it "
                 "another program, or has its portoland no node.cookie?",
                 place, why == NULL ? "it closed the connection" : why);
        break;
    default:
        snprintf(out, size, "the connection to %s broke: %s; try again, and see its log", place,
                 failure != NULL && failure->error != 0 ? strerror(failure->error)
                                                        : cluster_cause_name(cause));
    }
}

/* Causes that the two daemons found out about each other. */
static const char *text_of_talk(enum cluster_cause cause) {
    switch (cause) {
    case CLUSTER_CAUSE_WRONG_VERSION:
        return "it speaks another version of the cluster protocol; install the same release on "
               "both";
    case CLUSTER_CAUSE_NAME_IN_USE:
        return "a running member of its cluster has this daemon's name already; choose another "
               "node.name here, or stop the other one";
    case CLUSTER_CAUSE_WRONG_NAME:
        return "the daemon that answers there has another name; 'portolan status' on that host "
               "tells which";
    case CLUSTER_CAUSE_OURSELVES:
        return "its address leads back to this daemon; is the name right, and what does it resolve "
               "to?";
    case CLUSTER_CAUSE_NOT_MEMBER:
        return "it does not count this daemon among its members; try again";
    case CLUSTER_CAUSE_OUT:
        return "this daemon left, or was forced out, meanwhile; try again";
    case CLUSTER_CAUSE_FULL:
        return "its cluster has as many members as a cluster can have; force some out";
    case CLUSTER_CAUSE_SILENT:
        return "it went silent; is its host overloaded, or the network cut?";
    case CLUSTER_CAUSE_STOPPED:
        return "it is being stopped; try again when it runs";
    case CLUSTER_CAUSE_NO_MEMORY:
        return "there is no memory or descriptor left for it on this host; see its limits";
    default:
        return NULL;
    }
}

/* Which way the port was found, where an epmd was asked for it. */
static void add_way(const struct peer_asked *asked, char *out) {
    size_t len = strlen(out), size = CLUSTER_TEXT_SIZE - len;
    unsigned epmd = asked->epmd_port, told = asked->told, known = asked->known;
    if (epmd == 0)
        return;
    if (told == 0)
        snprintf(out + len, size, " (its epmd, TCP %u, %s; so port %u is that of the rule)", epmd,
                 epmd_word_text(asked->word), known);
    else if (told == known)
        snprintf(out + len, size, " (its epmd, TCP %u, tells port %u, and so does the rule)", epmd,
                 told);
    else
        snprintf(out + len, size,
                 " (its epmd, TCP %u, tells port %u, the rule port %u; both were tried)", epmd,
                 told, known);
}

void cluster_text_of_call(const char *name, enum cluster_cause cause,
                          const struct peer_failure *failure, char out[CLUSTER_TEXT_SIZE]) {
    char place[CLUSTER_NAME_MAX + ADDRESS_TEXT_SIZE + 16];
    const char *talk = text_of_talk(cause);
    const char *at = strchr(name, '@');
    if (cause == CLUSTER_CAUSE_NO_HOST) {
        snprintf(out, CLUSTER_TEXT_SIZE,
                 "no address is found for the host %s: %s; is it spelt right, and known to DNS or "
                 "/etc/hosts?",
                 at == NULL ? name : at + 1,
                 failure != NULL && failure->reason[0] != '\0' ? failure->reason : "none is known");
        return;
    }
    if (talk != NULL) {
        snprintf(out, CLUSTER_TEXT_SIZE, "%s", talk);
        return;
    }
    format_place(name, failure, place, sizeof place);
    say_of_place(place, failure == NULL ? 0 : failure->port, cause, failure, out);
    if (failure != NULL)
        add_way(&failure->asked, out);
}

const char *cluster_text_of_caller(enum cluster_cause cause) {
    switch (cause) {
    case CLUSTER_CAUSE_WRONG_COOKIE:
        return "it has another cookie; set node.cookie alike on both hosts, if it is to be a "
               "member";
    case CLUSTER_CAUSE_WRONG_CLUSTER_NAME:
        return "it is of a cluster with another name; set cluster.name alike on both hosts, if it "
               "is to be a member";
    case CLUSTER_CAUSE_CERTIFICATE:
        return "its certificate is none of our authority's, or names another host";
    case CLUSTER_CAUSE_NOT_PORTOLAN:
        return "it does not speak portolan/1";
    case CLUSTER_CAUSE_TIMED_OUT:
        return "it did not finish its handshake in time";
    case CLUSTER_CAUSE_FULL:
        return "too many handshakes at a time";
    default:
        return cluster_cause_name(cause);
    }
}
