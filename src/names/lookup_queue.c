#include "names/lookup_queue.h"

#include "base/assert.h"
#include "base/hash_table.h"

#include <stdlib.h>
#include <string.h>

#define HOST_V6_LEN 8 /* bytes of an IPv6 address that are its network's */
#define PAIRS_OF_HOST (LOOKUP_PAIRS_MAX / 4)

TAILQ_HEAD(waiters, lookup_waiter);

/* What pairs are found by, without padding. */
struct pair_key {
    uint8_t address[LOOKUP_ADDRESS_MAX];
    uint8_t address_len;
    uint8_t unused;
    uint16_t port;
};

struct lookup_pair {
    UT_hash_handle hh;
    struct pair_key key;
    struct registration *current; /* NULL: it has left */
    size_t outstanding;           /* counted look-ups whose connections have not come */
    int64_t answered_ms;          /* the first of this turn */
    int64_t until_ms;             /* the end of their time */
    int64_t last_answered_ms;
    int64_t window_ms;      /* how long that is */
    size_t late;            /* those of turns before, which may come still */
    int64_t late_until_ms;  /* or not */
    int64_t delay_ms;       /* what connections took lately */
    struct waiters waiters; /* the longest waiting first */
    size_t waiting;
    TAILQ_ENTRY(lookup_pair) entry;
};
TAILQ_HEAD(pairs, lookup_pair);

struct lookup_queue {
    struct lookup_pair *by_key;
    struct pairs idle;      /* pairs without waiting look-ups, the oldest answer first */
    struct pairs contended; /* the others */
    size_t pair_count;
    struct waiters by_age; /* all who wait, the longest waiting first */
    struct waiters ready;
    struct lookup_counters counters;
};

struct lookup_queue *lookup_queue_new(void) {
    struct lookup_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    TAILQ_INIT(&queue->idle);
    TAILQ_INIT(&queue->contended);
    TAILQ_INIT(&queue->by_age);
    TAILQ_INIT(&queue->ready);
    return queue;
}

/* --- pairs --- */

static struct pair_key key_of(struct bytes address, uint16_t port) {
    struct pair_key key = {.address_len = (uint8_t)address.len, .port = port};
    memcpy(key.address, address.data, address.len);
    return key;
}

static struct lookup_pair *find_pair(const struct lookup_queue *queue, struct bytes address,
                                     uint16_t port) {
    struct lookup_pair *found = NULL;
    if (address.len > LOOKUP_ADDRESS_MAX)
        return NULL;
    const struct pair_key key = key_of(address, port);
    HASH_FIND(hh, queue->by_key, &key, sizeof key, found);
    return found;
}

static void free_pair(struct lookup_queue *queue, struct lookup_pair *pair) {
    PORTOLAN_ASSERT(pair->waiting == 0 && queue->pair_count > 0);
    TAILQ_REMOVE(&queue->idle, pair, entry);
    HASH_DEL(queue->by_key, pair);
    queue->pair_count--;
    queue->counters.expired += pair->outstanding;
    free(pair);
}

static bool is_stale(const struct lookup_pair *pair, int64_t now_ms) {
    return now_ms >= pair->until_ms + LOOKUP_LATE_MS;
}

static void free_stale(struct lookup_queue *queue, int64_t now_ms) {
    struct lookup_pair *first;
    while ((first = TAILQ_FIRST(&queue->idle)) != NULL && is_stale(first, now_ms))
        free_pair(queue, first);
}

static bool is_of_host(const struct pair_key *key, struct bytes address) {
    size_t len = address.len == LOOKUP_ADDRESS_MAX ? HOST_V6_LEN : address.len;
    return key->address_len == address.len && memcmp(key->address, address.data, len) == 0;
}

static size_t pairs_of_host(const struct lookup_queue *queue, struct bytes address) {
    const struct lookup_pair *pair, *following;
    size_t count = 0;
    HASH_ITER(hh, queue->by_key, pair, following) {
        count += is_of_host(&pair->key, address);
    }
    return count;
}

static struct lookup_pair *new_pair(struct lookup_queue *queue, struct bytes address,
                                    uint16_t port) {
    if (address.len > LOOKUP_ADDRESS_MAX || queue->pair_count >= LOOKUP_PAIRS_MAX ||
        (queue->pair_count >= PAIRS_OF_HOST && pairs_of_host(queue, address) >= PAIRS_OF_HOST))
        return NULL;
    struct lookup_pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL)
        return NULL;
    pair->key = key_of(address, port);
    TAILQ_INIT(&pair->waiters);
    HASH_ADD(hh, queue->by_key, key, sizeof pair->key, pair);
    if (pair->hh.tbl == NULL) {
        free(pair);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&queue->idle, pair, entry);
    queue->pair_count++;
    PORTOLAN_ASSERT(queue->pair_count <= LOOKUP_PAIRS_MAX);
    return pair;
}

static int64_t longer(int64_t one_ms, int64_t other_ms) {
    return one_ms > other_ms ? one_ms : other_ms;
}

static int64_t window_of(const struct lookup_pair *pair, int64_t round_trip_ms) {
    int64_t window_ms = longer(LOOKUP_WINDOW_MIN_MS, LOOKUP_TRIPS * round_trip_ms);
    window_ms = longer(window_ms, LOOKUP_DELAYS * pair->delay_ms);
    return window_ms > LOOKUP_WINDOW_MAX_MS ? LOOKUP_WINDOW_MAX_MS : window_ms;
}

static void count(struct lookup_pair *pair, struct registration *registration,
                  int64_t round_trip_ms, int64_t now_ms) {
    if (pair->outstanding == 0)
        pair->answered_ms = now_ms;
    pair->current = registration;
    pair->outstanding++;
    pair->last_answered_ms = now_ms;
    pair->window_ms = longer(pair->window_ms, window_of(pair, round_trip_ms));
    pair->until_ms = longer(pair->until_ms, now_ms + pair->window_ms);
}

/* One of several has come: the others have as much time again. */
static void extend_turn(struct lookup_pair *pair, int64_t now_ms) {
    int64_t end_ms = pair->last_answered_ms + LOOKUP_WINDOW_MAX_MS;
    int64_t until_ms = longer(pair->until_ms, now_ms + pair->window_ms);
    pair->until_ms = until_ms < end_ms ? until_ms : end_ms;
}

/* The name is not current any more; connections that are outstanding will come too late. */
static void end_turn(struct lookup_queue *queue, struct lookup_pair *pair, int64_t now_ms) {
    queue->counters.expired += pair->outstanding;
    pair->until_ms = INT64_MIN;
    pair->window_ms = 0;
    if (now_ms >= pair->late_until_ms)
        pair->late = 0;
    if (pair->outstanding == 0)
        return;
    pair->late += pair->outstanding;
    pair->late_until_ms = now_ms + LOOKUP_LATE_MS;
    pair->outstanding = 0;
}

/* --- those who wait --- */

/* Out of the lists of those who wait. The pair may go with its last one. */
static void remove_waiter(struct lookup_waiter *waiter) {
    struct lookup_queue *queue = waiter->queue;
    struct lookup_pair *pair = waiter->pair;
    PORTOLAN_ASSERT(waiter->state == LOOKUP_WAITING && pair->waiting > 0);
    PORTOLAN_ASSERT(queue->counters.waiting >= pair->waiting);
    TAILQ_REMOVE(&pair->waiters, waiter, entry);
    TAILQ_REMOVE(&queue->by_age, waiter, by_age);
    waiter->pair = NULL;
    queue->counters.waiting--;
    if (--pair->waiting > 0)
        return;
    TAILQ_REMOVE(&queue->contended, pair, entry);
    TAILQ_INSERT_TAIL(&queue->idle, pair, entry);
}

static void make_ready(struct lookup_waiter *waiter, enum lookup_state state) {
    remove_waiter(waiter);
    waiter->state = state;
    TAILQ_INSERT_TAIL(&waiter->queue->ready, waiter, entry);
}

/* The look-up that has waited longest is next, with all that wait for the same name. */
static void pass_turn(struct lookup_pair *pair, int64_t now_ms) {
    struct lookup_waiter *waiter = TAILQ_FIRST(&pair->waiters), *following;
    PORTOLAN_ASSERT(waiter != NULL);
    struct registration *next = waiter->registration;
    end_turn(waiter->queue, pair, now_ms);
    for (; waiter != NULL; waiter = following) {
        following = TAILQ_NEXT(waiter, entry);
        if (waiter->registration != next)
            continue;
        count(pair, next, waiter->round_trip_ms, now_ms);
        make_ready(waiter, LOOKUP_GRANTED);
    }
}

static bool expects_late(const struct lookup_pair *pair, int64_t now_ms) {
    return pair->late > 0 && now_ms < pair->late_until_ms;
}

static bool is_turn_over(const struct lookup_pair *pair, int64_t now_ms) {
    return now_ms >= pair->until_ms || (pair->outstanding == 0 && !expects_late(pair, now_ms));
}

void lookup_queue_leave(struct lookup_waiter *waiter) {
    struct lookup_queue *queue = waiter->queue;
    if (queue == NULL)
        return;
    if (waiter->state == LOOKUP_WAITING)
        remove_waiter(waiter);
    else
        TAILQ_REMOVE(&queue->ready, waiter, entry);
    waiter->queue = NULL;
    waiter->state = LOOKUP_IDLE;
}

static void detach_all(struct waiters *waiters) {
    struct lookup_waiter *waiter;
    TAILQ_FOREACH(waiter, waiters, entry) {
        waiter->queue = NULL;
        waiter->state = LOOKUP_IDLE;
    }
}

void lookup_queue_free(struct lookup_queue *queue) {
    struct lookup_pair *pair, *following;
    if (queue == NULL)
        return;
    detach_all(&queue->ready);
    HASH_ITER(hh, queue->by_key, pair, following) {
        detach_all(&pair->waiters);
        HASH_DEL(queue->by_key, pair);
        free(pair);
    }
    free(queue);
}

/* --- what happens --- */

static bool is_full(const struct lookup_queue *queue, struct bytes address) {
    const struct lookup_pair *pair;
    size_t waiting = 0;
    TAILQ_FOREACH(pair, &queue->contended, entry) {
        if (bytes_equal(bytes_of(pair->key.address, pair->key.address_len), address))
            waiting += pair->waiting;
    }
    return waiting >= LOOKUP_WAITERS_OF_ADDRESS || queue->counters.waiting >= LOOKUP_WAITERS_MAX;
}

void lookup_queue_count_unheld(struct lookup_queue *queue) {
    queue->counters.unheld++;
}

static enum lookup_verdict answer_without_turn(struct lookup_queue *queue) {
    lookup_queue_count_unheld(queue);
    return LOOKUP_UNCOUNTED;
}

enum lookup_verdict lookup_queue_ask(struct lookup_queue *queue, const struct lookup *lookup) {
    uint16_t port = lookup->registration->front_port;
    free_stale(queue, lookup->now_ms);
    struct lookup_pair *pair = find_pair(queue, lookup->address, port);
    if (pair == NULL)
        pair = new_pair(queue, lookup->address, port);
    if (pair == NULL)
        return answer_without_turn(queue);
    bool over = is_turn_over(pair, lookup->now_ms);
    if (pair->waiting > 0 || (pair->current != lookup->registration && !over))
        return is_full(queue, lookup->address) ? answer_without_turn(queue) : LOOKUP_WAIT;
    if (over)
        end_turn(queue, pair, lookup->now_ms);
    count(pair, lookup->registration, lookup->round_trip_ms, lookup->now_ms);
    TAILQ_REMOVE(&queue->idle, pair, entry);
    TAILQ_INSERT_TAIL(&queue->idle, pair, entry);
    return LOOKUP_COUNTED;
}

void lookup_queue_wait(struct lookup_queue *queue, const struct lookup *lookup,
                       struct lookup_waiter *waiter) {
    struct lookup_pair *pair = find_pair(queue, lookup->address, lookup->registration->front_port);
    PORTOLAN_ASSERT(pair != NULL && waiter->queue == NULL); /* as lookup_queue_ask left it */
    *waiter = (struct lookup_waiter){.state = LOOKUP_WAITING,
                                     .queue = queue,
                                     .pair = pair,
                                     .registration = lookup->registration,
                                     .since_ms = lookup->now_ms,
                                     .round_trip_ms = lookup->round_trip_ms};
    TAILQ_INSERT_TAIL(&pair->waiters, waiter, entry);
    TAILQ_INSERT_TAIL(&queue->by_age, waiter, by_age);
    queue->counters.held++;
    queue->counters.waiting++;
    PORTOLAN_ASSERT(queue->counters.waiting <= LOOKUP_WAITERS_MAX);
    if (pair->waiting++ > 0)
        return;
    TAILQ_REMOVE(&queue->idle, pair, entry);
    TAILQ_INSERT_TAIL(&queue->contended, pair, entry);
}

struct registration *lookup_queue_connected(struct lookup_queue *queue, uint16_t port,
                                            struct bytes address, int64_t now_ms) {
    struct lookup_pair *pair = find_pair(queue, address, port);
    if (pair == NULL || pair->current == NULL || is_stale(pair, now_ms))
        return NULL;
    struct registration *wanted = pair->current;
    if (pair->outstanding > 0) {
        if (--pair->outstanding > 0)
            extend_turn(pair, now_ms);
        pair->delay_ms = longer(pair->delay_ms * 7 / 8, now_ms - pair->answered_ms);
    } else if (expects_late(pair, now_ms)) {
        pair->late--;
    } else {
        return NULL;
    }
    if (pair->waiting > 0 && is_turn_over(pair, now_ms))
        pass_turn(pair, now_ms);
    return wanted;
}

static void forget_in(struct lookup_pair *pair, const struct registration *registration,
                      int64_t now_ms) {
    struct lookup_waiter *waiter, *following;
    for (waiter = TAILQ_FIRST(&pair->waiters); waiter != NULL; waiter = following) {
        following = TAILQ_NEXT(waiter, entry);
        if (waiter->registration == registration)
            make_ready(waiter, LOOKUP_CANCELLED);
    }
    if (pair->current != registration)
        return;
    pair->current = NULL;
    pair->outstanding = 0; /* it cannot be connected to */
    if (pair->waiting > 0)
        pass_turn(pair, now_ms);
}

void lookup_queue_forget(struct lookup_queue *queue, const struct registration *registration,
                         int64_t now_ms) {
    struct lookup_pair *pair, *following;
    HASH_ITER(hh, queue->by_key, pair, following) {
        if (pair->key.port == registration->front_port)
            forget_in(pair, registration, now_ms);
        PORTOLAN_ASSERT(pair->current != registration);
    }
}

void lookup_queue_tick(struct lookup_queue *queue, int64_t now_ms) {
    struct lookup_pair *pair, *following;
    struct lookup_waiter *oldest;
    for (pair = TAILQ_FIRST(&queue->contended); pair != NULL; pair = following) {
        following = TAILQ_NEXT(pair, entry);
        if (is_turn_over(pair, now_ms))
            pass_turn(pair, now_ms);
    }
    while ((oldest = TAILQ_FIRST(&queue->by_age)) != NULL &&
           now_ms >= oldest->since_ms + LOOKUP_WAIT_MAX_MS)
        make_ready(oldest, LOOKUP_OVERDUE);
}

/* When the turn is over if nothing comes. */
static int64_t end_of_turn(const struct lookup_pair *pair) {
    bool all_there = pair->outstanding == 0 && pair->late_until_ms < pair->until_ms;
    return all_there ? pair->late_until_ms : pair->until_ms;
}

int64_t lookup_queue_deadline(const struct lookup_queue *queue) {
    const struct lookup_waiter *oldest = TAILQ_FIRST(&queue->by_age);
    const struct lookup_pair *pair;
    int64_t first_ms = oldest == NULL ? INT64_MAX : oldest->since_ms + LOOKUP_WAIT_MAX_MS;
    TAILQ_FOREACH(pair, &queue->contended, entry) {
        if (end_of_turn(pair) < first_ms)
            first_ms = end_of_turn(pair);
    }
    return first_ms;
}

struct lookup_waiter *lookup_queue_next_ready(struct lookup_queue *queue) {
    struct lookup_waiter *waiter = TAILQ_FIRST(&queue->ready);
    if (waiter == NULL)
        return NULL;
    PORTOLAN_ASSERT(waiter->queue == queue && waiter->state > LOOKUP_WAITING);
    TAILQ_REMOVE(&queue->ready, waiter, entry);
    waiter->queue = NULL;
    return waiter;
}

struct lookup_counters lookup_queue_counters(const struct lookup_queue *queue) {
    struct lookup_counters counters = queue->counters;
    counters.pairs = queue->pair_count;
    return counters;
}

/* --- what must hold --- */

static const char *check_pairs(const struct lookup_queue *queue, const struct pairs *pairs,
                               bool contended) {
    const struct lookup_pair *pair;
    const struct lookup_waiter *waiter;
    TAILQ_FOREACH(pair, pairs, entry) {
        size_t waiting = 0;
        TAILQ_FOREACH(waiter, &pair->waiters, entry) {
            if (waiter->state != LOOKUP_WAITING || waiter->pair != pair || waiter->queue != queue)
                return "a waiter does not know where it waits";
            waiting++;
        }
        if (waiting != pair->waiting || (waiting > 0) != contended)
            return "the waiters of a pair are miscounted";
        if (pair->outstanding > 0 && pair->current == NULL)
            return "connections are expected for nobody";
    }
    return NULL;
}

const char *lookup_queue_check(const struct lookup_queue *queue) {
    const struct lookup_waiter *waiter;
    size_t waiting = 0;
    const char *wrong = check_pairs(queue, &queue->idle, false);
    if (wrong == NULL)
        wrong = check_pairs(queue, &queue->contended, true);
    if (wrong != NULL)
        return wrong;
    if (HASH_COUNT(queue->by_key) != queue->pair_count || queue->pair_count > LOOKUP_PAIRS_MAX)
        return "pairs are miscounted";
    TAILQ_FOREACH(waiter, &queue->by_age, by_age) {
        waiting++;
    }
    if (waiting != queue->counters.waiting || waiting > LOOKUP_WAITERS_MAX)
        return "waiters are miscounted";
    TAILQ_FOREACH(waiter, &queue->ready, entry) {
        if (waiter->state <= LOOKUP_WAITING || waiter->pair != NULL)
            return "one is ready that waits still";
    }
    return NULL;
}
