/*
 * The port pool against a model that cannot be wrong for being clever: a few names in an array,
 * searched from end to end. Random histories play both: leases, registrations, releases, time that
 * passes, other programs that listen, new options, and daemons that end with and without saving.
 */
#include "port_pool_model.h"

#include "assertions.h"
#include "seeded.h"
#include "some_pool.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMES 24
#define FIRST 20000
#define LAST 20011
#define BASE 20004

struct model_name {
    char text[24];
    uint32_t derived;                /* 0: none */
    const struct model_name *server; /* whose helper it is; NULL: of none */
    bool registered;
    bool has;      /* a claim, with: */
    unsigned came; /* the lower, the earlier */
    uint16_t port;
    bool held, leased;
    uint32_t user;
    int64_t expires_ms;
    uint16_t last;       /* 0: no lease yet */
    uint16_t other_port; /* seen while its lease waits */
    const struct model_name *other;
};

/* What is on disk of a name. */
struct saved_name {
    bool leased;
    uint32_t user;
    uint16_t port;
    int64_t left_ms;
    uint16_t last;
};

struct play {
    struct seeded random;
    int64_t now_ms;
    struct port_pool_options options;
    struct port_pool *pool;
    struct some_host host;
    bool fronts[UINT16_MAX + 1]; /* ports that the daemon has opened */
    struct model_name names[NAMES];
    bool unsaved;
    struct saved_name saved[NAMES];
    uint8_t text[64 * 1024];
    size_t text_len; /* 0: nothing was ever saved */
    unsigned refused, leases, restarts, expired, behind;
    unsigned moved, guests;
    unsigned claims;                 /* so far */
    const struct model_name *ending; /* whose lease is to end, in this way */
    enum port_lease_end end;
};

static struct bytes bytes_of_name(const struct model_name *name) {
    return bytes_of_text(name->text);
}

static struct model_name *some_name(struct play *play) {
    return &play->names[seeded_below(&play->random, NAMES)];
}

static uint16_t some_port(struct play *play) {
    return (uint16_t)(FIRST - 2 + seeded_below(&play->random, LAST - FIRST + 5));
}

/* The first of those that have the port. */
static struct model_name *claimant_of(struct play *play, uint32_t port) {
    struct model_name *first = NULL;
    for (int i = 0; i < NAMES; i++) {
        struct model_name *name = &play->names[i];
        if (name->has && name->port == port && (first == NULL || name->came < first->came))
            first = name;
    }
    return first;
}

/* What of leases is to be saved is that of the first of each port. */
static void drop(struct play *play, struct model_name *name) {
    bool was_first = claimant_of(play, name->port) == name;
    play->unsaved = play->unsaved || (was_first && name->leased);
    name->has = name->held = name->leased = false;
    name->other_port = 0;
    name->other = NULL;
    const struct model_name *next = claimant_of(play, name->port);
    play->unsaved = play->unsaved || (was_first && next != NULL && next->leased);
}

static void take(struct play *play, struct model_name *name, uint16_t port) {
    name->has = true;
    name->came = play->claims++;
    name->held = name->leased = false;
    name->port = port;
}

/* --- the rules of the model --- */

static bool is_in_range(const struct play *play, uint32_t port) {
    return port >= play->options.first && port <= play->options.last;
}

static bool is_for_tools(const struct play *play, uint32_t port) {
    return is_in_range(play, port) && port + play->options.tools > play->options.last;
}

static bool is_for_leases(const struct play *play, uint32_t port) {
    return is_in_range(play, port) && !is_for_tools(play, port);
}

static bool could_give(const struct play *play, const struct model_name *name, uint16_t port) {
    if (play->options.policy == PORT_POLICY_DERIVED)
        return port == name->derived && !is_for_tools(play, port);
    return is_for_leases(play, port);
}

static uint32_t some_user(struct play *play) {
    static const uint32_t users[] = {USER_ROOT, 100, 2000, 2001, USER_NOBODY};
    return users[seeded_below(&play->random, sizeof users / sizeof users[0])];
}

static bool may_claim(const struct play *play, uint32_t owner, uint32_t user) {
    if (play->options.any_user || owner == USER_NOBODY || user == USER_ROOT)
        return true;
    return owner == USER_ROOT ? user < 1000 : owner == user;
}

static bool is_guest(const struct play *play, const struct model_name *claimant,
                     const struct model_name *name, uint32_t user) {
    return claimant != NULL && name->server == claimant && may_claim(play, claimant->user, user);
}

static bool is_free(struct play *play, uint32_t port) {
    return claimant_of(play, port) == NULL && !play->fronts[port] && !play->host.listens[port];
}

static enum port_verdict choose(struct play *play, const struct model_name *name, uint16_t *port) {
    if (play->options.policy == PORT_POLICY_DERIVED) {
        if (name->derived == 0)
            return PORT_DERIVED_NONE;
        if (is_for_tools(play, name->derived))
            return PORT_DERIVED_TOOLS;
        *port = (uint16_t)name->derived;
        return is_free(play, name->derived) ? PORT_OK : PORT_DERIVED_TAKEN;
    }
    *port = name->last;
    if (name->last != 0 && is_for_leases(play, name->last) && is_free(play, name->last))
        return PORT_OK;
    for (uint32_t one = play->options.first; one <= play->options.last; one++) {
        *port = (uint16_t)one;
        if (is_for_leases(play, one) && is_free(play, one))
            return PORT_OK;
    }
    return PORT_POOL_FULL;
}

static enum port_verdict fits(const struct play *play, const struct model_name *name,
                              uint16_t port) {
    if (play->options.policy == PORT_POLICY_RANGE && !is_in_range(play, port))
        return PORT_NOT_IN_RANGE;
    if (play->options.policy == PORT_POLICY_DERIVED && port != name->derived &&
        !is_for_tools(play, port))
        return PORT_NOT_DERIVED;
    return PORT_OK;
}

static enum port_verdict admitted(struct play *play, const struct model_name *name, uint16_t port,
                                  uint32_t user) {
    const struct model_name *claimant = claimant_of(play, port);
    if (name->has && !name->held && !may_claim(play, name->user, user))
        return user == USER_NOBODY ? PORT_LEASED_TO_UNKNOWN : PORT_LEASED_TO_USER;
    if (!play->options.enforce || is_guest(play, claimant, name, user))
        return PORT_OK;
    if (claimant != NULL && claimant != name)
        return PORT_LEASED_TO_OTHER;
    return fits(play, name, port);
}

static void note(struct play *play, struct model_name *name, uint16_t port) {
    struct model_name *claimant = claimant_of(play, port);
    if (name->has && !name->held && claimant != name)
        name->other_port = port;
    if (claimant != NULL && !claimant->held && claimant != name && claimant->other == NULL)
        claimant->other = name;
}

/* --- steps --- */

/* The pool tells of the end of a lease, which is as the model has it. */
static void end_one(void *context, const struct port_lease_ending *ending) {
    struct play *play = context;
    struct model_name *name = NULL;
    for (int i = 0; i < NAMES; i++) {
        if (bytes_equal(bytes_of_name(&play->names[i]), ending->lease.name))
            name = &play->names[i];
    }
    ck_assert(name != NULL && name->has && !name->held && name->port == ending->lease.port);
    ck_assert_uint_eq(ending->other_port, name->other_port);
    assert_bytes(ending->other_name,
                 name->other == NULL ? bytes_of(NULL, 0) : bytes_of_name(name->other));
    if (ending->end == PORT_LEASE_EXPIRED) {
        ck_assert_int_le(name->expires_ms, play->now_ms);
        play->expired++;
    } else {
        ck_assert(play->ending == name && play->end == ending->end);
        play->ending = NULL;
    }
    drop(play, name);
}

static void expect(struct play *play, const struct model_name *name, enum port_lease_end end) {
    play->ending = name;
    play->end = end;
}

static void lease_one(struct play *play) {
    struct model_name *name = some_name(play);
    const struct port_probe probe = some_host_probe(&play->host);
    uint16_t expected = name->port, port = 0;
    const struct model_name before = *name;
    bool withdrawn = name->has && !name->held && !could_give(play, name, name->port);
    if (withdrawn) { /* promised under another policy */
        expect(play, name, PORT_LEASE_WITHDRAWN);
        name->has = false; /* while the model chooses */
    }
    enum port_verdict wanted = name->has ? PORT_OK : choose(play, name, &expected);
    name->has = before.has;
    uint32_t user = some_user(play);
    enum port_verdict verdict =
        port_pool_lease(play->pool, bytes_of_name(name), user, play->now_ms, &probe, &port);

    ck_assert_ptr_null(play->ending);
    ck_assert_int_eq(verdict, wanted);
    if (verdict != PORT_OK) {
        play->refused++;
        return;
    }
    ck_assert_uint_eq(port, expected);
    play->leases++;
    if (!name->has) {
        take(play, name, port);
        name->last = port;
    }
    name->leased = play->unsaved = true;
    if (name->held)
        return;
    name->user = user;
    name->expires_ms = play->now_ms + PORT_LEASE_MS;
}

static void settle_owner(struct play *play, struct model_name *name, uint32_t user) {
    bool is_open = name->user == USER_ROOT || name->user == USER_NOBODY;
    if (name->leased && is_open && user != USER_NOBODY && user != name->user) {
        name->user = user;
        play->unsaved = play->unsaved || claimant_of(play, name->port) == name;
    }
    if (!name->leased)
        name->user = user;
}

static void register_one(struct play *play) {
    struct model_name *name = some_name(play);
    uint16_t port = name->has && seeded_chance(&play->random, 70) ? name->port : some_port(play);
    if (name->server != NULL && name->server->has && seeded_chance(&play->random, 50))
        port = name->server->port;
    uint32_t user = seeded_chance(&play->random, 50) ? USER_ROOT : some_user(play);
    const struct port_applicant applicant = {
        .name = bytes_of_name(name), .port = port, .loopback = true, .user = user};
    if (name->registered)
        return;
    enum port_verdict verdict = port_pool_admits(play->pool, &applicant);
    ck_assert_int_eq(verdict, admitted(play, name, port, user));
    if (verdict != PORT_OK) {
        port_pool_refused(play->pool, &applicant);
        note(play, name, port);
        play->refused++;
        return;
    }
    name->registered = true;
    if (is_guest(play, claimant_of(play, port), name, user)) {
        port_pool_registered(play->pool, &applicant);
        play->guests++;
        return;
    }
    bool moved = name->has && name->port != port, follows = moved && name->leased;
    note(play, name, port);
    if (moved)
        expect(play, name, PORT_LEASE_MOVED);
    port_pool_registered(play->pool, &applicant);
    ck_assert_ptr_null(play->ending);
    play->moved += moved ? 1 : 0;
    if (!name->has)
        take(play, name, port);
    name->held = true;
    name->other_port = 0;
    name->other = NULL;
    settle_owner(play, name, user);
    if (follows && could_give(play, name, port) && claimant_of(play, port) == name &&
        !play->fronts[port])
        name->leased = play->unsaved = true;
    play->behind += claimant_of(play, port) == name ? 0 : 1;
}

static void unregister_one(struct play *play) {
    struct model_name *name = some_name(play);
    if (!name->registered)
        return;
    port_pool_unregistered(play->pool, bytes_of_name(name));
    name->registered = false;
    if (name->held)
        drop(play, name);
}

static void release_one(struct play *play) {
    struct model_name *name = some_name(play);
    bool can = name->has && !name->held;
    if (can)
        expect(play, name, PORT_LEASE_RELEASED);
    ck_assert_int_eq(port_pool_release(play->pool, bytes_of_name(name)), can);
    ck_assert_ptr_null(play->ending);
}

static void pass_time(struct play *play) {
    int64_t next_ms = INT64_MAX;
    play->now_ms += (int64_t)seeded_below(&play->random, 20000);
    int64_t told_ms = port_pool_expire(play->pool, play->now_ms);
    for (int i = 0; i < NAMES; i++) {
        const struct model_name *name = &play->names[i];
        if (!name->has || name->held)
            continue;
        ck_assert_int_gt(name->expires_ms, play->now_ms); /* it would have been ended */
        next_ms = name->expires_ms < next_ms ? name->expires_ms : next_ms;
    }
    ck_assert_int_eq(told_ms, next_ms);
}

/* Another program begins or ends to listen. */
static void disturb(struct play *play) {
    uint16_t port = some_port(play);
    play->host.listens[port] = !play->host.listens[port] && seeded_chance(&play->random, 30);
}

/* The daemon opens a front port, or closes it. */
static void open_or_close(struct play *play) {
    uint16_t port = some_port(play);
    play->fronts[port] = !play->fronts[port] && seeded_chance(&play->random, 50);
    if (play->fronts[port])
        port_pool_front_opened(play->pool, port);
    else
        port_pool_front_closed(play->pool, port);
}

static void configure(struct play *play) {
    play->options.policy = (enum port_policy)seeded_below(&play->random, 3);
    play->options.enforce = seeded_chance(&play->random, 50);
    play->options.first = (uint16_t)(FIRST + seeded_below(&play->random, 4));
    play->options.any_user = seeded_chance(&play->random, 10);
    play->options.tools = (uint16_t)seeded_below(&play->random, 4);
    port_pool_configure(play->pool, &play->options);
}

static void save(struct play *play) {
    struct bytes text = some_pool_text(play->pool, play->now_ms);
    ck_assert_uint_le(text.len, sizeof play->text);
    memcpy(play->text, text.data, text.len);
    play->text_len = text.len;
    for (int i = 0; i < NAMES; i++) {
        const struct model_name *name = &play->names[i];
        bool first = claimant_of(play, name->port) == name;
        int64_t left_ms = name->held ? PORT_LEASE_MS : name->expires_ms - play->now_ms;
        play->saved[i] = (struct saved_name){.leased = first && name->leased,
                                             .user = name->user,
                                             .port = name->port,
                                             .left_ms = left_ms < 0 ? 0 : left_ms,
                                             .last = name->last};
    }
    port_pool_saved(play->pool);
    play->unsaved = false;
}

/* The daemon is gone, and its nodes are not registered; another one begins with what is on disk. */
static void restart(struct play *play) {
    if (seeded_chance(&play->random, 50))
        save(play);
    port_pool_free(play->pool);
    play->pool = port_pool_new(&play->options);
    ck_assert_ptr_nonnull(play->pool);
    port_pool_on_ended(play->pool, end_one, play);
    memset(play->fronts, 0, sizeof play->fronts);
    play->now_ms = (int64_t)seeded_below(&play->random, 1000000);
    play->restarts++;
    if (play->text_len > 0)
        ck_assert(
            port_pool_restore(play->pool, bytes_of(play->text, play->text_len), play->now_ms));
    for (int i = 0; i < NAMES; i++) {
        struct model_name *name = &play->names[i];
        const struct saved_name *saved = &play->saved[i];
        name->registered = name->has = name->held = name->leased = false;
        name->other_port = 0;
        name->other = NULL;
        name->last = saved->last;
        if (!saved->leased)
            continue;
        take(play, name, saved->port);
        name->leased = true;
        name->user = saved->user;
        name->expires_ms = play->now_ms + saved->left_ms;
    }
    play->unsaved = false;
}

/* --- what must hold after every step --- */

/* An assertion of check costs a system call even where it holds: too much for millions. */
#define must(condition) ((condition) ? (void)0 : ck_abort_msg("does not hold: " #condition))

struct walk {
    struct play *play;
    size_t seen, fronts;
    uint16_t before;
    unsigned came;
};

/* Whether it is a front port that could be leased else. */
static bool is_shown(const struct play *play, uint16_t port) {
    return play->fronts[port] &&
           (play->options.policy == PORT_POLICY_DERIVED || is_in_range(play, port));
}

static const struct model_name *name_of(const struct play *play, struct bytes text) {
    for (int i = 0; i < NAMES; i++) {
        if (bytes_equal(bytes_of_name(&play->names[i]), text))
            return &play->names[i];
    }
    return NULL;
}

static void see(void *context, const struct port_lease *lease) {
    struct walk *walk = context;
    const struct model_name *name = name_of(walk->play, lease->name);
    if (lease->front) { /* before the names of its port */
        must(is_shown(walk->play, lease->port) && lease->port > walk->before);
        walk->fronts++;
        return;
    }
    must(name != NULL && name->has && name->port == lease->port);
    must(lease->port >= walk->before); /* in order, and those of one port as they came */
    must(lease->port != walk->before || (name->came > walk->came && name->held));
    must(lease->held == name->held && lease->user == name->user);
    must((lease->conflict.len > 0) == (claimant_of(walk->play, lease->port) != name));
    must(lease->conflict_is_front == walk->play->fronts[lease->port]);
    must(lease->held || lease->expires_ms == name->expires_ms);
    walk->before = lease->port;
    walk->came = name->came;
    walk->seen++;
}

static void assert_same(struct play *play) {
    struct walk walk = {.play = play};
    size_t claims = 0, fronts = 0;
    struct port_pool_cursor cursor;
    struct port_lease lease;
    for (int i = 0; i < NAMES; i++) {
        const struct model_name *name = &play->names[i];
        struct port_lease found;
        bool has = port_pool_find(play->pool, bytes_of_name(name), &found);
        must(has == name->has);
        must(!has || found.port == name->port);
        claims += has ? 1 : 0;
    }
    for (uint16_t port = FIRST - 2; port <= LAST + 2; port++)
        fronts += is_shown(play, port) ? 1 : 0;
    port_pool_cursor_begin(&cursor, play->pool);
    for (; port_pool_cursor_peek(&cursor, &lease); port_pool_cursor_advance(&cursor))
        see(&walk, &lease);
    port_pool_cursor_end(&cursor);
    must(walk.seen == claims && walk.fronts == fronts);
    must(port_pool_count(play->pool) == claims);
    must(port_pool_unsaved(play->pool) == play->unsaved);
    must(port_pool_check(play->pool) == NULL);
}

/* --- the play --- */

static void step(struct play *play) {
    size_t which = seeded_below(&play->random, 100);
    if (which < 35)
        lease_one(play);
    else if (which < 55)
        register_one(play);
    else if (which < 70)
        unregister_one(play);
    else if (which < 78)
        release_one(play);
    else if (which < 88)
        pass_time(play);
    else if (which < 91)
        disturb(play);
    else if (which < 93)
        open_or_close(play);
    else if (which < 96)
        configure(play);
    else if (which < 98)
        save(play);
    else
        restart(play);
    assert_same(play);
}

/* Some share a port of the rule, some have none, and one has one over 65,535. */
static void name_all(struct play *play) {
    for (int i = 0; i < NAMES; i++) {
        struct model_name *name = &play->names[i];
        unsigned offset = (unsigned)i % 9;
        snprintf(name->text, sizeof name->text, "%c%u", 'a' + i, offset);
        name->derived = BASE + offset;
    }
    play->names[0] = (struct model_name){.text = "remsh7"};
    play->names[1] = (struct model_name){.text = "far59999"};
    for (int i = 2; i < 6; i++) {
        struct model_name *helper = &play->names[i + 10], *server = &play->names[i];
        snprintf(helper->text, sizeof helper->text, "%.3s_prelaunch_%d", server->text, i);
        helper->derived = BASE + (unsigned)i;
        helper->server = server;
    }
}

static void play_history(unsigned round, unsigned *totals) {
    struct play *play = calloc(1, sizeof *play);
    ck_assert_ptr_nonnull(play);
    play->random = seeded_stream("port pool");
    play->random.state += round;
    play->now_ms = (int64_t)seeded_below(&play->random, 1000000);
    play->options = (struct port_pool_options){.first = FIRST, .last = LAST, .base = BASE};
    play->pool = port_pool_new(&play->options);
    ck_assert_ptr_nonnull(play->pool);
    port_pool_on_ended(play->pool, end_one, play);
    name_all(play);
    configure(play);
    for (int i = 0; i < 1000; i++)
        step(play);
    totals[0] += play->leases;
    totals[1] += play->refused;
    totals[2] += play->expired;
    totals[3] += play->restarts;
    totals[4] += play->behind;
    totals[5] += play->moved;
    totals[6] += play->guests;
    port_pool_free(play->pool);
    free(play);
}

START_TEST(it_behaves_as_its_model) {
    unsigned totals[7] = {0};
    for (unsigned round = 0; round < 100; round++)
        play_history(round, totals);
    for (int i = 0; i < 7; i++) /* all that can happen did */
        ck_assert_uint_gt(totals[i], 100);
}
END_TEST

void port_pool_model_add(TCase *tests) {
    tcase_add_test(tests, it_behaves_as_its_model);
}
