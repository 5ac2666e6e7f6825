#include "cli/race.h"

#include "base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

struct course {
    struct race *race;
    int64_t began_ms, ends_ms; /* the second: of those that run, after an answer */
    size_t winner;             /* RACE_MAX: none */
};

static void grant(struct course *course, int64_t least_ms) {
    int64_t now_ms = clock_monotonic_ms(), took_ms = now_ms - course->began_ms;
    int64_t grace_ms = took_ms < least_ms ? least_ms : took_ms;
    if (grace_ms > RACE_GRACE_MAX_MS)
        grace_ms = RACE_GRACE_MAX_MS;
    if (now_ms + grace_ms < course->ends_ms)
        course->ends_ms = now_ms + grace_ms;
}

static void take_end(struct course *course, size_t which) {
    enum portolan_code code = course->race->codes[which];
    bool asked_epmd = course->race->ports[which] != 0;
    if (code == PORTOLAN_ERROR_NOT_FOUND && asked_epmd)
        grant(course, RACE_GRACE_MAX_MS);
    if (code != PORTOLAN_OK)
        return;
    if (which < course->winner)
        course->winner = which;
    grant(course, RACE_GRACE_MIN_MS);
}

/* Whether it is worth waiting for: nobody that is preferred has won. */
static bool is_running(const struct course *course, size_t which) {
    return which < course->winner && course->race->codes[which] == PORTOLAN_PENDING;
}

/* False when there is none left to wait for. */
static bool wait_for_some(const struct course *course, struct pollfd fds[RACE_MAX]) {
    bool any = false;
    for (size_t i = 0; i < course->race->count; i++) {
        bool runs = is_running(course, i);
        fds[i] = (struct pollfd){
            .fd = runs ? portolan_operation_descriptor(course->race->operations[i]) : -1,
            .events = POLLIN};
        any |= runs;
    }
    if (course->ends_ms == INT64_MAX)
        return any && poll(fds, course->race->count, -1) >= -1; /* a signal ends nothing */
    int64_t left_ms = course->ends_ms - clock_monotonic_ms();
    return any && left_ms > 0 && poll(fds, course->race->count, (int)left_ms) >= -1;
}

static void step(struct course *course, size_t which) {
    if (course->race->codes[which] != PORTOLAN_PENDING)
        return;
    course->race->codes[which] = portolan_operation_step(course->race->operations[which]);
    if (course->race->codes[which] != PORTOLAN_PENDING)
        take_end(course, which);
}

/* --- when all have failed --- */

/* The most telling first. */
static const enum portolan_code telling[] = {
    PORTOLAN_ERROR_MEMORY, PORTOLAN_ERROR_SYSTEM,  PORTOLAN_ERROR_NO_PORT, PORTOLAN_ERROR_NOT_FOUND,
    PORTOLAN_ERROR_REPLY,  PORTOLAN_ERROR_CLOSED,  PORTOLAN_ERROR_TIMEOUT, PORTOLAN_ERROR_TRY_AGAIN,
    PORTOLAN_ERROR_HOST,   PORTOLAN_ERROR_CONNECT,
};

static bool counts(const struct race *race, size_t which) {
    return !race->is_elsewhere || race->ports[which] != 0 ||
           race->codes[which] != PORTOLAN_ERROR_NOT_FOUND;
}

/* Which of the failures that is; 0 where none of them is listed. */
static size_t most_telling(const struct race *race) {
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        for (size_t j = 0; j < race->count; j++) {
            if (race->codes[j] == telling[i] && counts(race, j))
                return j;
        }
    }
    return 0;
}

/* Most hosts have no daemon: where others were asked too, that is not worth a word. */
static bool says_something(const struct race *race, size_t which) {
    bool no_daemon = race->codes[which] == PORTOLAN_ERROR_NO_DAEMON && race->count > 1;
    return race->codes[which] != PORTOLAN_PENDING && !no_daemon;
}

/* "cannot resolve 'NODE': what happened; what to do?": where the second part begins. */
static const char *behind_subject(const char *message) {
    const char *found = strstr(message, "': ");
    return found == NULL ? message : found + 3;
}

/* Where the third one does, with what parts them; the end: there is none. */
static const char *advice_of(const char *message) {
    const char *end = message + strlen(message), *advice = end;
    for (const char *at = message; (at = strstr(at, "; ")) != NULL; at += 2)
        advice = at;
    return end > message && end[-1] == '?' ? advice : end;
}

static void add(char *out, const char *between, const char *text, size_t len) {
    size_t used = strlen(out);
    snprintf(out + used, PORTOLAN_MESSAGE_SIZE - used, "%s%.*s", between, (int)len, text);
}

/* Whether one before it has said the same, as all ports of a host without an address do. */
static bool is_said(const char *message, const char *what) {
    size_t len = strlen(what);
    const char *told = behind_subject(message);
    for (const char *at = told; (at = strstr(at, what)) != NULL; at++) {
        bool begins = at == told || (at >= told + 2 && strncmp(at - 2, "; ", 2) == 0);
        if (begins && (at[len] == '\0' || strncmp(at + len, "; ", 2) == 0))
            return true;
    }
    return false;
}

/* The first failure of that code that says what to do; of any code where none does. */
static const char *best_advice(const struct race *race, enum portolan_code code) {
    const char *any = "";
    for (size_t i = 0; i < race->count; i++) {
        const char *advice = says_something(race, i)
                                 ? advice_of(portolan_operation_message(race->operations[i]))
                                 : "";
        if (advice[0] != '\0' && race->codes[i] == code)
            return advice;
        if (advice[0] != '\0')
            any = advice;
    }
    return any;
}

/* What happened to each, and what to do about the most telling. */
static void describe(const struct race *race, struct portolan_error *error) {
    size_t best = most_telling(race);
    const char *message = portolan_operation_message(race->operations[best]), *between = "";
    const char *after = behind_subject(message);
    error->code = race->codes[best];
    error->message[0] = '\0';
    add(error->message, "", message, (size_t)(after - message));
    for (size_t i = 0; i < race->count; i++) {
        if (!says_something(race, i))
            continue;
        const char *what = behind_subject(portolan_operation_message(race->operations[i]));
        char part[PORTOLAN_MESSAGE_SIZE];
        snprintf(part, sizeof part, "%.*s", (int)(advice_of(what) - what), what);
        if (is_said(error->message, part))
            continue;
        add(error->message, between, part, strlen(part));
        between = "; ";
    }
    for (size_t i = 0; i < race->count; i++) {
        char late[64] = "no reply from the daemon of this host so far";
        if (race->codes[i] != PORTOLAN_PENDING)
            continue;
        if (race->ports[i] != 0)
            snprintf(late, sizeof late, "no reply from port %u so far", race->ports[i]);
        add(error->message, between, late, strlen(late));
    }
    const char *advice = best_advice(race, error->code);
    add(error->message, "", advice, strlen(advice));
}

struct portolan_operation *race_run(struct race *race, struct portolan_error *error) {
    struct course course = {
        .race = race, .began_ms = clock_monotonic_ms(), .ends_ms = INT64_MAX, .winner = RACE_MAX};
    struct pollfd fds[RACE_MAX];
    for (size_t i = 0; i < race->count; i++)
        race->codes[i] = PORTOLAN_PENDING;
    do {
        for (size_t i = 0; i < race->count; i++)
            step(&course, i);
    } while (wait_for_some(&course, fds));
    if (course.winner == RACE_MAX) {
        describe(race, error);
        return NULL;
    }
    error->code = PORTOLAN_OK;
    snprintf(error->message, sizeof error->message, "%s",
             portolan_operation_message(race->operations[course.winner]));
    return race->operations[course.winner];
}

void race_end(struct race *race) {
    for (size_t i = 0; i < race->count; i++)
        portolan_operation_free(race->operations[i]);
    race->count = 0;
}
