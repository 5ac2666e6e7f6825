/* The parser of the configuration file: whatever the bytes, it says what is wrong and goes on. */
#include "config/check.h"
#include "config/file.h"
#include "config/keys.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

/* What the parser took, it takes again from its own text form. */
static void set_again(struct config *config, struct config_report *report) {
    const struct config_origin origin = {CONFIG_FROM_FLAG, "--set"};
    char buffer[CONFIG_TEXT_SIZE];
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        char *text = strdup(config_key_text(config, key, buffer));
        require(text != NULL);
        require(config_set(config, key->name, text, &origin, report));
        require(strcmp(config_key_text(config, key, buffer), text) == 0);
        free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct config config;
    struct config_report report = {.first = NULL};
    FILE *stream = size == 0 ? NULL : fmemopen((void *)(uintptr_t)data, size, "r");
    if (stream == NULL)
        return 0;
    require(config_init(&config, CONFIG_AS_PORTOLAND));
    bool good = config_file_parse(&config, stream, "fuzz.conf", &report);
    require(good == (report.counts[CONFIG_ERROR] == 0));
    config_check(&config, &report);
    set_again(&config, &report);
    config_report_free(&report);
    config_free(&config);
    fclose(stream);
    return 0;
}
