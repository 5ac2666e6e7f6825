#include "host/listener_owner.h"

#include <stdio.h>
#include <string.h>

/* Where the kernel could not be asked, why. */
static void say_unknown(struct sock_diag *diag, enum sock_diag_verdict verdict, char *reason) {
    int error = sock_diag_error(diag);
    snprintf(reason, LISTENER_OWNER_REASON_SIZE, "%s%s%s", sock_diag_reason(verdict),
             error == 0 ? "" : ": ", error == 0 ? "" : strerror(error));
}

bool listener_owner_is(struct sock_diag *diag, uint32_t user, const struct address *address,
                       char reason[LISTENER_OWNER_REASON_SIZE]) {
    uint32_t listener;
    enum sock_diag_verdict verdict = sock_diag_listening(diag, &address->any, &listener);
    if (verdict == SOCK_DIAG_FOUND && user_same(user, listener))
        return true;
    if (verdict == SOCK_DIAG_DENIED || verdict == SOCK_DIAG_NO_ANSWER)
        say_unknown(diag, verdict, reason);
    else if (user == USER_NOBODY)
        snprintf(reason, LISTENER_OWNER_REASON_SIZE, "the user who registered the node is unknown");
    else if (verdict == SOCK_DIAG_NOT_FOUND)
        snprintf(reason, LISTENER_OWNER_REASON_SIZE, "nothing listens on its port any more");
    else if (verdict == SOCK_DIAG_NOBODYS)
        snprintf(reason, LISTENER_OWNER_REASON_SIZE,
                 "user %u registered the node, and an unknown user listens on its port", user);
    else
        snprintf(reason, LISTENER_OWNER_REASON_SIZE,
                 "user %u registered the node, and user %u listens on its port", user, listener);
    return false;
}

bool listener_owner_may_have(uint32_t user, uint16_t port) {
    return port >= LISTENER_OWNER_PRIVILEGED || user == USER_ROOT;
}
