/* portoland, and under its other name epmd: one program, two sets of defaults. */
#include "cli/epmd_command.h"
#include "daemon/daemon.h"
#include "daemon/process.h"
#include "daemon/secrets.h"

#include <string.h>

int main(int argc, char **argv) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "portoland";
    enum config_personality personality =
        strcmp(name, "epmd") == 0 ? CONFIG_AS_EPMD : CONFIG_AS_PORTOLAND;
    if (!process_open_standard())
        return EXIT_FAILED; /* there may be no place to say why */
    secrets_hide(argc, argv);
    return epmd_command_main(personality, argc, argv);
}
