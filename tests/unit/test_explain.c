/* The texts about links and joins that came to nothing: each whole, for every cause. */
#include "service/explain.h"
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME "emqx@s2.emqx.io"
#define SELF "emqx@s1.emqx.io"

static char text[EXPLAIN_SIZE];

static struct peer_failure failure_at(const char *address, uint16_t port) {
    struct peer_failure failure = {.port = port};
    if (address != NULL)
        ck_assert(address_parse(address, port, &failure.address));
    return failure;
}

static const char *explain(enum cluster_event_type type, const char *name, enum cluster_cause cause,
                           bool by_us, const struct peer_failure *failure) {
    const struct cluster_event event = {.type = type, .name = name, .cause = cause, .by_us = by_us};
    memset(text, 'x', sizeof text);
    explain_event(&event, SELF, failure, text);
    return text;
}

static const struct {
    enum cluster_cause cause;
    const char *call; /* a call of ours failed so */
    const char *link; /* found on a link that stood: by the peer */
    const char *ours; /* and by us; NULL: the same */
} causes[] = {
    {CLUSTER_CAUSE_NO_HOST,
     "no address found for the host s2.emqx.io: none known; check its spelling, DNS and /etc/hosts",
     "no address found for the host s2.emqx.io: none known; check its spelling, DNS and /etc/hosts",
     NULL},
    {CLUSTER_CAUSE_NO_PORT,
     "no port can be derived from the name " NAME
     ", so it cannot be called; see 'portolan port " NAME "'",
     "no port can be derived from the name " NAME
     ", so it cannot be called; see 'portolan port " NAME "'",
     NULL},
    {CLUSTER_CAUSE_REFUSED,
     "s2.emqx.io:4370 (192.0.2.2:4370) refused the connection; is portoland running there, under "
     "this name? the port is derived from it",
     "the link with " NAME " failed: refused; try again, and check its log", NULL},
    {CLUSTER_CAUSE_TIMED_OUT,
     "connection to s2.emqx.io:4370 (192.0.2.2:4370) timed out after 5 s; is TCP 4370 open in its "
     "firewall?",
     NAME " accepted the connection but did not finish in time; is its host overloaded, or the "
          "network slow? try again, and check its log",
     NULL},
    {CLUSTER_CAUSE_UNREACHABLE,
     "s2.emqx.io:4370 (192.0.2.2:4370) cannot be reached: no route to it; is the address right, "
     "and the network up?",
     "the link with " NAME " failed: unreachable; try again, and check its log", NULL},
    {CLUSTER_CAUSE_WRONG_COOKIE,
     "the daemon at s2.emqx.io:4370 (192.0.2.2:4370) has another cookie; set the same node.cookie "
     "or node.cookie_file on both hosts",
     "the link with " NAME " failed: wrong-cookie; try again, and check its log", NULL},
    {CLUSTER_CAUSE_WRONG_CLUSTER_NAME,
     "the daemon at s2.emqx.io:4370 (192.0.2.2:4370) belongs to a cluster with another name; set "
     "the same cluster.name on both hosts",
     NAME " belongs to a cluster with another name; set the same cluster.name on both hosts", NULL},
    {CLUSTER_CAUSE_CERTIFICATE,
     "the certificates of this daemon and the one at s2.emqx.io:4370 (192.0.2.2:4370) do not "
     "match: both hosts need cluster.tls.* from one authority, each for the host of its node.name",
     "the certificates of this daemon and " NAME
     " do not match: this daemon's certificate does not contain the host of its node.name",
     "the certificates of this daemon and " NAME
     " do not match: its certificate does not contain the host of its node.name"},
    {CLUSTER_CAUSE_BUSY,
     "the daemon at s2.emqx.io:4370 (192.0.2.2:4370) is busy with other handshakes; try again, and "
     "check its log for the callers",
     NAME " was busy with other handshakes each time; check its log for the callers", NULL},
    {CLUSTER_CAUSE_NOT_PORTOLAN,
     "the program at s2.emqx.io:4370 (192.0.2.2:4370) is not a portoland with a cluster: it closed "
     "the connection; is it another program, or a portoland without node.cookie?",
     "the link with " NAME " failed: not-portolan; try again, and check its log", NULL},
    {CLUSTER_CAUSE_CLOSED,
     "the connection to s2.emqx.io:4370 (192.0.2.2:4370) failed: closed; try again, and check its "
     "log",
     "the link with " NAME " failed: closed; try again, and check its log", NULL},
    {CLUSTER_CAUSE_WRONG_VERSION,
     "it speaks another version of the cluster protocol; install the same release on both",
     "it speaks another version of the cluster protocol; install the same release on both", NULL},
    {CLUSTER_CAUSE_NAME_IN_USE,
     "a running member of this cluster already has that name; choose another node.name there, or "
     "stop the other one",
     "a running member of its cluster already has this daemon's name; choose another node.name "
     "here, or stop the other one",
     "a running member of this cluster already has that name; choose another node.name there, or "
     "stop the other one"},
    {CLUSTER_CAUSE_WRONG_NAME,
     "the daemon there has another name; 'portolan status' on that host shows it",
     "it called this daemon by another name; is the name that it uses right, and what does it "
     "resolve to there?",
     "the daemon there has another name; 'portolan status' on that host shows it"},
    {CLUSTER_CAUSE_OURSELVES,
     "its address leads back to this daemon; is the name right, and what does it resolve to?",
     "its address leads back to this daemon; is the name right, and what does it resolve to?",
     NULL},
    {CLUSTER_CAUSE_NOT_MEMBER,
     "this daemon does not know it as a member; use 'portolan cluster join'",
     "it does not know this daemon as a member; try again",
     "this daemon does not know it as a member; use 'portolan cluster join'"},
    {CLUSTER_CAUSE_OUT,
     "it left this daemon's cluster, or was forced out of it; use 'portolan cluster join' to join "
     "the two",
     "this daemon left its cluster, or was forced out of it; rejoin with 'portolan cluster join' "
     "and a member's name",
     "it left this daemon's cluster, or was forced out of it; use 'portolan cluster join' to join "
     "the two"},
    {CLUSTER_CAUSE_FULL, "this daemon's cluster has the maximum number of members; force some out",
     "its cluster has the maximum number of members; force some out",
     "this daemon's cluster has the maximum number of members; force some out"},
    {CLUSTER_CAUSE_CLOCK,
     "its numbers, which come from clocks, are over 100 years ahead of this host's clock; correct "
     "both clocks, and restart both daemons",
     "it reports that this daemon's numbers, which come from clocks, are over 100 years ahead of "
     "its clock; correct both clocks, and restart both daemons",
     "its numbers, which come from clocks, are over 100 years ahead of this host's clock; correct "
     "both clocks, and restart both daemons"},
    {CLUSTER_CAUSE_SILENT, "it went silent; is its host overloaded, or the network cut?",
     "it went silent; is its host overloaded, or the network cut?", NULL},
    {CLUSTER_CAUSE_STOPPED, "this daemon is stopping",
     "it is stopping; try again when it is running", "this daemon is stopping"},
    {CLUSTER_CAUSE_NO_MEMORY, "this host is out of memory or descriptors; check its limits",
     "its host is out of memory; check its limits",
     "this host is out of memory or descriptors; check its limits"},
};

START_TEST(every_cause_has_its_words) {
    const struct peer_failure failure = failure_at("192.0.2.2", 4370);
    enum cluster_event_type type = _i == 0 ? CLUSTER_EVENT_JOIN_FAILED : CLUSTER_EVENT_LINK_REFUSED;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        const char *ours = causes[i].ours == NULL ? causes[i].link : causes[i].ours;
        ck_assert_str_eq(explain(type, NAME, causes[i].cause, false, &failure), causes[i].call);
        ck_assert_str_eq(explain(type, NAME, causes[i].cause, false, NULL), causes[i].link);
        ck_assert_str_eq(explain(type, NAME, causes[i].cause, true, NULL), ours);
    }
}
END_TEST

START_TEST(what_is_known_of_the_reason_is_said) {
    struct peer_failure failure = failure_at("192.0.2.2", 4370);
    strcpy(failure.reason, "it has expired");
    ck_assert_str_eq(
        explain(CLUSTER_EVENT_JOIN_FAILED, NAME, CLUSTER_CAUSE_CERTIFICATE, false, &failure),
        "the certificates of this daemon and the one at s2.emqx.io:4370 (192.0.2.2:4370) do not "
        "match: it has expired");
    ck_assert_str_eq(
        explain(CLUSTER_EVENT_JOIN_FAILED, NAME, CLUSTER_CAUSE_NOT_PORTOLAN, false, &failure),
        "the program at s2.emqx.io:4370 (192.0.2.2:4370) is not a portoland with a cluster: it has "
        "expired; is it another program, or a portoland without node.cookie?");
    ck_assert_str_eq(
        explain(CLUSTER_EVENT_JOIN_FAILED, NAME, CLUSTER_CAUSE_NO_HOST, false, &failure),
        "no address found for the host s2.emqx.io: it has expired; check its spelling, DNS and "
        "/etc/hosts");
    failure.error = ENETUNREACH;
    ck_assert_str_eq(
        explain(CLUSTER_EVENT_JOIN_FAILED, NAME, CLUSTER_CAUSE_UNREACHABLE, false, &failure),
        "s2.emqx.io:4370 (192.0.2.2:4370) cannot be reached: Network is unreachable; is the "
        "address right, and the network up?");
    ck_assert_str_eq(explain(CLUSTER_EVENT_JOIN_FAILED, NAME, CLUSTER_CAUSE_LOST, false, &failure),
                     "the connection to s2.emqx.io:4370 (192.0.2.2:4370) failed: Network is "
                     "unreachable; try again, and check its log");
}
END_TEST

/* Of the name, whose host may be an address, and the address that it has. */
static const struct {
    const char *name, *address, *endpoint;
} endpoints[] = {
    {"a@s2.emqx.io", "192.0.2.2", "s2.emqx.io:4371 (192.0.2.2:4371)"},
    {"a@s2.emqx.io", "2001:db8::2", "s2.emqx.io:4371 ([2001:db8::2]:4371)"},
    {"a@192.0.2.2", "192.0.2.2", "192.0.2.2:4371"},
    {"a@2001:db8::2", "2001:db8::2", "[2001:db8::2]:4371"},
    {"a@s2.emqx.io", NULL, "s2.emqx.io:4371"},
    {"a@2001:db8::2", NULL, "[2001:db8::2]:4371"},
    {"s2", "192.0.2.2", "s2:4371 (192.0.2.2:4371)"},
};

START_TEST(an_endpoint_is_as_it_was_written_and_where_it_is) {
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const struct peer_failure failure = failure_at(endpoints[i].address, 4371);
        char expected[EXPLAIN_SIZE];
        snprintf(expected, sizeof expected,
                 "connection to %s timed out after 5 s; is TCP 4371 open in its firewall?",
                 endpoints[i].endpoint);
        ck_assert_str_eq(explain(CLUSTER_EVENT_JOIN_FAILED, endpoints[i].name,
                                 CLUSTER_CAUSE_TIMED_OUT, false, &failure),
                         expected);
    }
}
END_TEST

static const char *explain_query(uint16_t advertised, uint16_t derived) {
    struct peer_failure failure = failure_at(NULL, 4370);
    failure.query = (struct peer_query){.epmd_port = 4369,
                                        .result = EPMD_QUERY_UNKNOWN,
                                        .advertised = advertised,
                                        .derived = derived};
    const char *whole =
        explain(CLUSTER_EVENT_JOIN_FAILED, NAME, CLUSTER_CAUSE_CLOSED, false, &failure);
    const char *before = "the connection to s2.emqx.io:4370 failed: closed; try again, and check "
                         "its log";
    ck_assert_int_eq(strncmp(whole, before, strlen(before)), 0);
    return whole + strlen(before);
}

START_TEST(where_the_port_is_from_is_said_where_an_epmd_was_asked) {
    ck_assert_str_eq(explain_query(0, 4370), " (its epmd, TCP 4369, does not know the name; so "
                                             "port 4370 is that of the rule)");
    ck_assert_str_eq(explain_query(4370, 4370),
                     " (its epmd, TCP 4369, reports port 4370, and so does the rule)");
    ck_assert_str_eq(explain_query(5000, 4370), " (its epmd, TCP 4369, reports port 5000, the rule "
                                                "gives port 4370; both were tried)");
}
END_TEST

START_TEST(other_events_say_enough_by_themselves) {
    ck_assert_str_eq(explain(CLUSTER_EVENT_DOWN, NAME, CLUSTER_CAUSE_SILENT, false, NULL), "");
    ck_assert_str_eq(explain(CLUSTER_EVENT_FORCED_OUT, NAME, CLUSTER_CAUSE_NONE, false, NULL), "");
    ck_assert_str_eq(explain(CLUSTER_EVENT_FORCED_OUT, SELF, CLUSTER_CAUSE_NONE, false, NULL),
                     "this daemon was forced out of its cluster and runs alone; rejoin with "
                     "'portolan cluster join' and a member's name");
    ck_assert_str_eq(explain(CLUSTER_EVENT_NAME_CLASH, SELF, CLUSTER_CAUSE_NAME_IN_USE, true, NULL),
                     "another daemon has the name of this one; stop it, or change its node.name");
}
END_TEST

START_TEST(a_caller_that_is_turned_away) {
    static const struct {
        enum cluster_cause cause;
        const char *text;
    } rejections[] = {
        {CLUSTER_CAUSE_WRONG_COOKIE,
         "it has another cookie; if it should be a member, set the same node.cookie on both hosts"},
        {CLUSTER_CAUSE_WRONG_CLUSTER_NAME,
         "it belongs to a cluster with another name; if it should be a member, set the same "
         "cluster.name on both hosts"},
        {CLUSTER_CAUSE_CERTIFICATE, "both hosts need cluster.tls.* from one authority"},
        {CLUSTER_CAUSE_NOT_PORTOLAN, "it does not speak portolan/1"},
        {CLUSTER_CAUSE_TIMED_OUT, "it did not finish its handshake in time"},
        {CLUSTER_CAUSE_BUSY, "too many handshakes at once"},
        {CLUSTER_CAUSE_LOST, "lost"},
    };
    struct peer_failure failure = failure_at(NULL, 0);
    for (size_t i = 0; i < sizeof rejections / sizeof rejections[0]; i++) {
        failure.cause = rejections[i].cause;
        ck_assert_str_eq(explain_rejected_caller(&failure), rejections[i].text);
    }
    failure.cause = CLUSTER_CAUSE_CERTIFICATE;
    strcpy(failure.reason, "it has expired");
    ck_assert_str_eq(explain_rejected_caller(&failure), "it has expired");
}
END_TEST

Suite *explain_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("explain", &tests);
    tcase_add_loop_test(tests, every_cause_has_its_words, 0, 2);
    tcase_add_test(tests, what_is_known_of_the_reason_is_said);
    tcase_add_test(tests, an_endpoint_is_as_it_was_written_and_where_it_is);
    tcase_add_test(tests, where_the_port_is_from_is_said_where_an_epmd_was_asked);
    tcase_add_test(tests, other_events_say_enough_by_themselves);
    tcase_add_test(tests, a_caller_that_is_turned_away);
    return suite;
}
