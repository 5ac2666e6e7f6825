#include "cluster/types.h"

const char *cluster_state_name(enum cluster_state state) {
    static const char *const names[] = {
        [CLUSTER_ALIVE] = "alive", [CLUSTER_SUSPECT] = "suspect",
        [CLUSTER_DOWN] = "down",   [CLUSTER_CLEANED] = "cleaned",
        [CLUSTER_LEFT] = "left",   [CLUSTER_FORCED_OUT] = "forced-out",
    };
    return names[state];
}

const char *cluster_cause_name(enum cluster_cause cause) {
    static const char *const names[CLUSTER_CAUSES] = {
        [CLUSTER_CAUSE_NONE] = "none",
        [CLUSTER_CAUSE_REFUSED] = "refused",
        [CLUSTER_CAUSE_TIMED_OUT] = "timed-out",
        [CLUSTER_CAUSE_UNREACHABLE] = "unreachable",
        [CLUSTER_CAUSE_NO_HOST] = "no-host",
        [CLUSTER_CAUSE_WRONG_COOKIE] = "wrong-cookie",
        [CLUSTER_CAUSE_CERTIFICATE] = "certificate",
        [CLUSTER_CAUSE_LOST] = "lost",
        [CLUSTER_CAUSE_CLOSED] = "closed",
        [CLUSTER_CAUSE_NOT_PORTOLAN] = "not-portolan",
        [CLUSTER_CAUSE_WRONG_CLUSTER_NAME] = "wrong-cluster-name",
        [CLUSTER_CAUSE_WRONG_VERSION] = "wrong-version",
        [CLUSTER_CAUSE_NAME_IN_USE] = "name-in-use",
        [CLUSTER_CAUSE_WRONG_NAME] = "wrong-name",
        [CLUSTER_CAUSE_NOT_MEMBER] = "not-member",
        [CLUSTER_CAUSE_OUT] = "out",
        [CLUSTER_CAUSE_FULL] = "full",
        [CLUSTER_CAUSE_DUPLICATE] = "duplicate",
        [CLUSTER_CAUSE_PROTOCOL] = "protocol",
        [CLUSTER_CAUSE_SILENT] = "silent",
        [CLUSTER_CAUSE_OVERFLOW] = "overflow",
        [CLUSTER_CAUSE_NO_MEMORY] = "no-memory",
        [CLUSTER_CAUSE_NOT_NEEDED] = "not-needed",
        [CLUSTER_CAUSE_OURSELVES] = "ourselves",
        [CLUSTER_CAUSE_STOPPED] = "stopped",
        [CLUSTER_CAUSE_NO_PORT] = "no-port",
        [CLUSTER_CAUSE_BUSY] = "busy",
        [CLUSTER_CAUSE_CLOCK] = "clock",
    };
    return names[cause];
}

const char *cluster_event_name(enum cluster_event_type type) {
    static const char *const names[] = {
        [CLUSTER_EVENT_UP] = "up",
        [CLUSTER_EVENT_SUSPECT] = "suspect",
        [CLUSTER_EVENT_DOWN] = "down",
        [CLUSTER_EVENT_JOINED] = "joined",
        [CLUSTER_EVENT_LEFT] = "left",
        [CLUSTER_EVENT_FORCED_OUT] = "forced-out",
        [CLUSTER_EVENT_CLEANED] = "cleaned",
        [CLUSTER_EVENT_PATH_BROKEN] = "path-broken",
        [CLUSTER_EVENT_PATH_HEALED] = "path-healed",
        [CLUSTER_EVENT_SPLIT_SEEN] = "split-seen",
        [CLUSTER_EVENT_SPLIT_HEALED] = "split-healed",
        [CLUSTER_EVENT_NAME_REGISTERED] = "name-registered",
        [CLUSTER_EVENT_NAME_UNREGISTERED] = "name-unregistered",
        [CLUSTER_EVENT_JOIN_PROGRESS] = "join-progress",
        [CLUSTER_EVENT_JOIN_DONE] = "join-done",
        [CLUSTER_EVENT_JOIN_FAILED] = "join-failed",
        [CLUSTER_EVENT_LINK_UP] = "link-up",
        [CLUSTER_EVENT_LINK_DOWN] = "link-down",
        [CLUSTER_EVENT_LINK_REFUSED] = "link-refused",
        [CLUSTER_EVENT_MERGED] = "merged",
        [CLUSTER_EVENT_NAME_CLASH] = "name-clash",
        [CLUSTER_EVENT_DIRECTORY_FULL] = "directory-full",
    };
    return names[type];
}
