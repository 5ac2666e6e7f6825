#include "base/log_limits.h"

#include <string.h>

/* More than there are names of events; those beyond share the last place. */
#define KINDS_MAX 128

struct log_limit {
    const char *event;
    unsigned burst, per_second;
};

/*
 * All nodes of a full host may come back, or leave, at once, and each is in the log: 15,000 names
 * are what the daemon is made for. Members come and go together, too. What an operator asked for is
 * many lines at once, and seldom.
 */
static const struct log_limit limits[] = {
    {"registered", 16384, 20},
    {"unregistered", 16384, 20},
    {"leased", 4096, 20},
    {"lease_ended", 4096, 20},
    {"front_port_opened", 512, 20},
    {"front_port_closed", 512, 20},
    {"front_port_given", 512, 20},
    {"port_shared", 512, 20},
    {"no_front_port", 512, 20},
    {"refused", 20, 20},
    {"limit", 20, 20},
    {"caller_refused", 20, 20},
    {"configuration", 1024, 100},
    {"reloaded", 1024, 100},
    {"listening", 1024, 100},
    {"member_up", 1024, 20},
    {"member_down", 1024, 20},
    {"member_suspect", 1024, 20},
    {"member_joined", 1024, 20},
    {"member_left", 1024, 20},
};
static const struct log_limit of_others = {NULL, 100, 20};
static const struct log_limit of_details = {NULL, 10000, 1000};

struct kind {
    const struct log_limit *limit;
    const char *event;
    uint64_t millitokens; /* of lines that may be written */
    int64_t at_ms;        /* when that was counted */
    uint64_t suppressed;
};

static struct kind kinds[KINDS_MAX];
static size_t kind_count;

static const struct log_limit *limit_of(const char *event, bool detail) {
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (strcmp(limits[i].event, event) == 0)
            return &limits[i];
    }
    return detail ? &of_details : &of_others;
}

static struct kind *kind_of(const char *event, bool detail, int64_t now_ms) {
    for (size_t i = 0; i < kind_count; i++) {
        if (strcmp(kinds[i].event, event) == 0)
            return &kinds[i];
    }
    if (kind_count == KINDS_MAX)
        return &kinds[KINDS_MAX - 1];
    struct kind *kind = &kinds[kind_count++];
    kind->limit = limit_of(event, detail);
    kind->event = event;
    kind->millitokens = kind->limit->burst * UINT64_C(1000);
    kind->at_ms = now_ms;
    return kind;
}

/* Each millisecond that has passed allows so many thousandths of a line more. */
static void refill(struct kind *kind, int64_t now_ms) {
    uint64_t most = kind->limit->burst * UINT64_C(1000);
    uint64_t passed_ms = now_ms > kind->at_ms ? (uint64_t)(now_ms - kind->at_ms) : 0;
    kind->at_ms = now_ms;
    if (passed_ms > most)
        passed_ms = most; /* no sum overflows */
    kind->millitokens += passed_ms * kind->limit->per_second;
    if (kind->millitokens > most)
        kind->millitokens = most;
}

bool log_limits_allow(const char *event, bool detail, int64_t now_ms) {
    struct kind *kind = kind_of(event, detail, now_ms);
    refill(kind, now_ms);
    if (kind->millitokens >= 1000) {
        kind->millitokens -= 1000;
        return true;
    }
    kind->suppressed++;
    return false;
}

bool log_limits_next_suppressed(const char **event, uint64_t *lines) {
    for (size_t i = 0; i < kind_count; i++) {
        if (kinds[i].suppressed == 0)
            continue;
        *event = kinds[i].event;
        *lines = kinds[i].suppressed;
        kinds[i].suppressed = 0;
        return true;
    }
    return false;
}
