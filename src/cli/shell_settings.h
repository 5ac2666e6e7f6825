/*
 * What a file that a shell reads sets a variable to, as far as that can be told without running it:
 *
 *   # NAME=1              is a comment
 *   export NAME="value"   # is a setting; export and quotes may be there or not
 */
#ifndef PORTOLAN_CLI_SHELL_SETTINGS_H
#define PORTOLAN_CLI_SHELL_SETTINGS_H

#include <stdbool.h>

#define SHELL_SETTING_SIZE 256 /* of a value and its NUL; longer ones are cut */

/*
 * The last setting of the variable in the file. False: there is none, or no such file that can be
 * read, or the value is made from the variable itself, as a default is
 * (NAME=${NAME:-value}). `value` has room for SHELL_SETTING_SIZE bytes.
 */
bool shell_setting(const char *path, const char *variable, char *value);

#endif
