#include "net/peer_gate.h"

#include "net/peer_limit.h"

#include <stdlib.h>

struct peer_gate {
    struct peer_limit *of_strangers, *of_members; /* handshakes under way of each host */
    struct peer_limit *second;                    /* begun in the second that began then */
    int64_t second_began_ms;
    size_t strangers, members;
};

struct peer_gate *peer_gate_new(void) {
    struct peer_gate *gate = calloc(1, sizeof *gate);
    if (gate == NULL)
        return NULL;
    gate->of_strangers = peer_limit_new(PEER_GATE_OF_STRANGER);
    gate->of_members = peer_limit_new(PEER_GATE_OF_MEMBER);
    if (gate->of_strangers != NULL && gate->of_members != NULL)
        return gate;
    peer_gate_free(gate);
    return NULL;
}

void peer_gate_free(struct peer_gate *gate) {
    if (gate == NULL)
        return;
    peer_limit_free(gate->of_strangers);
    peer_limit_free(gate->of_members);
    peer_limit_free(gate->second);
    free(gate);
}

/* Members have the strangers' places too, while there are any. */
static bool has_place(const struct peer_gate *gate, bool of_member) {
    size_t all = gate->strangers + gate->members;
    return of_member ? all < PEER_GATE_STRANGERS + PEER_GATE_MEMBERS
                     : gate->strangers < PEER_GATE_STRANGERS &&
                           all < PEER_GATE_STRANGERS + PEER_GATE_MEMBERS;
}

bool peer_gate_is_crowded(const struct peer_gate *gate, bool of_member) {
    return gate->strangers > 0 && !has_place(gate, of_member);
}

static bool is_slow_enough(struct peer_gate *gate, const struct address *peer, int64_t now_ms) {
    if (gate->second == NULL || now_ms - gate->second_began_ms >= 1000) {
        peer_limit_free(gate->second);
        gate->second = peer_limit_new(PEER_GATE_A_SECOND);
        gate->second_began_ms = now_ms;
    }
    return gate->second != NULL && peer_limit_enter(gate->second, peer);
}

bool peer_gate_enter(struct peer_gate *gate, const struct address *peer, bool of_member,
                     int64_t now_ms) {
    struct peer_limit *of_host = of_member ? gate->of_members : gate->of_strangers;
    if (!has_place(gate, of_member) || !is_slow_enough(gate, peer, now_ms) ||
        !peer_limit_enter(of_host, peer))
        return false;
    *(of_member ? &gate->members : &gate->strangers) += 1;
    return true;
}

void peer_gate_leave(struct peer_gate *gate, const struct address *peer, bool of_member) {
    peer_limit_leave(of_member ? gate->of_members : gate->of_strangers, peer);
    *(of_member ? &gate->members : &gate->strangers) -= 1;
}
