#include "process/secrets.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY "node.cookie="
#define VARIABLE "COOKIE="

/* Puts a copy in the place of the text, and overwrites its value, from `value` on. */
static void hide(char **text, size_t value) {
    char *shown = *text;
    char *copy = strdup(shown);
    if (copy == NULL)
        return;
    *text = copy;
    OPENSSL_cleanse(shown + value, strlen(shown + value));
}

static void hide_argument(char **argument) {
    const char *key = strstr(*argument, KEY);
    bool is_it = key == *argument || (key != NULL && strncmp(*argument, "--set=", 6) == 0);
    if (is_it)
        hide(argument, (size_t)(key - *argument) + strlen(KEY));
}

static void hide_variable(char **variable) {
    const char *name_end = strchr(*variable, '=');
    size_t len = name_end == NULL ? 0 : (size_t)(name_end - *variable) + 1;
    if (len > strlen(VARIABLE) &&
        strncmp(*variable + len - strlen(VARIABLE), VARIABLE, strlen(VARIABLE)) == 0)
        hide(variable, len);
}

void secrets_hide(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        hide_argument(&argv[i]);
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++)
        hide_variable(variable);
}
