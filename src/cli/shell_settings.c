#include "cli/shell_settings.h"

#include "base/regular_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 10000 /* that are read of a file */
#define LINE_SIZE 1024

static const char *skip_blanks(const char *at) {
    return at + strspn(at, " \t");
}

/* What stands behind "NAME=", or NULL. */
static const char *assigned(const char *line, const char *variable) {
    size_t len = strlen(variable);
    line = skip_blanks(line);
    if (strncmp(line, "export", 6) == 0 && line[6 + strspn(line + 6, " \t")] != '\0' &&
        strspn(line + 6, " \t") > 0)
        line = skip_blanks(line + 6);
    return strncmp(line, variable, len) == 0 && line[len] == '=' ? line + len + 1 : NULL;
}

/* The word of a shell, without its quotes. */
static void copy_word(const char *text, char *value) {
    size_t len = 0;
    char quote = '\0';
    for (; *text != '\0' && len + 1 < SHELL_SETTING_SIZE; text++) {
        if (quote == '\0' && strchr(" \t\r\n;", *text) != NULL)
            break;
        if (*text == '\n')
            break;
        if (*text == quote)
            quote = '\0';
        else if (quote == '\0' && (*text == '"' || *text == '\''))
            quote = *text;
        else
            value[len++] = *text;
    }
    value[len] = '\0';
}

/* A default: ${NAME:-value} */
static bool mentions(const char *value, const char *variable) {
    const char *at = strstr(value, variable);
    return at != NULL && strchr(value, '$') != NULL;
}

static FILE *open_file(const char *path) {
    int fd = regular_file_open(AT_FDCWD, path, O_RDONLY, 0);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL && fd >= 0)
        close(fd);
    return file;
}

bool shell_setting(const char *path, const char *variable, char *value) {
    char line[LINE_SIZE];
    bool found = false;
    FILE *file = open_file(path);
    if (file == NULL)
        return false;
    for (int i = 0; i < LINES_MAX && fgets(line, sizeof line, file) != NULL; i++) {
        const char *text = assigned(line, variable);
        if (text == NULL)
            continue;
        copy_word(text, value);
        found = value[0] != '\0' && !mentions(value, variable);
    }
    fclose(file);
    return found;
}
