/* portoland, and under its other name epmd: one program, two sets of defaults. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/random.h"
#include "base/standard_streams.h"
#include "daemon/daemon.h"
#include "daemon/options.h"
#include "process/secrets.h"

#include <string.h>
#include <unistd.h>

/* A kernel that gives nothing random, which is none of today's, leaves the time to be guessed. */
static void choose_hash_key(void) {
    uint64_t key[2];
    if (getentropy(key, sizeof key) != 0) {
        key[0] = random_mix((uint64_t)clock_wall_us());
        key[1] = random_mix(key[0] ^ (uint64_t)getpid());
    }
    hash_set_key(key[0], key[1]);
}

static void log_assertion(const char *text) {
    log_event(LOG_LEVEL_ERROR, "assertion_failed", log_text("what", text));
}

int main(int argc, char **argv) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "portoland";
    enum config_personality personality =
        strcmp(name, "epmd") == 0 ? CONFIG_AS_EPMD : CONFIG_AS_PORTOLAND;
    if (!standard_streams_open())
        return EXIT_FAILED;
    secrets_hide(argc, argv);
    choose_hash_key();
    assert_report_to(log_assertion);
    return epmd_command_main(personality, argc, argv);
}
