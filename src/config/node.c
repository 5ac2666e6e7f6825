#include "config/node.h"

#include "base/text.h"
#include "erlang/node_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define HOST_MAX 253 /* RFC 1035 */
#define LABEL_MAX 63

static bool is_word(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '_' && text[i] != '-')
            return false;
    }
    return true;
}

static bool is_all_digits_and_dots(const char *host) {
    return strspn(host, "0123456789.") == strlen(host);
}

static const char *check_host(const char *host) {
    bool qualified = false;
    if (host[0] == '\0')
        return "no host after the @";
    if (text_is_ip_address(host))
        return NULL;
    if (is_all_digits_and_dots(host))
        return "its host is not a valid IP address";
    if (strlen(host) > HOST_MAX)
        return "its host name is too long";
    for (const char *label = host; *label != '\0';) {
        size_t len = strcspn(label, ".");
        if (len == 0 || len > LABEL_MAX || !is_word(label, len))
            return "its host is not a valid host name";
        label += len;
        if (*label == '.') {
            qualified = true;
            label++;
        }
    }
    return qualified ? NULL : "its host name is not fully qualified, so other hosts cannot find it";
}

const char *config_node_check(const char *node) {
    const char *at = strchr(node, '@');
    if (at == NULL)
        return "no @ in it";
    if (strchr(at + 1, '@') != NULL)
        return "more than one @ in it";
    size_t len = (size_t)(at - node);
    if (alive_name_check(bytes_of(node, len)) != ALIVE_NAME_OK || !is_word(node, len))
        return "invalid name before the @";
    return check_host(at + 1);
}
