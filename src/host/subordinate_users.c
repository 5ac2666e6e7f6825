#include "host/subordinate_users.h"

#include "base/text.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 512
#define PASSWD_SIZE 16384 /* for the texts of an entry */

struct range {
    uint32_t first, last;
    uint32_t owner;
};

struct subordinate_users {
    struct range *ranges; /* in order of `first` */
    size_t count, size;
};

static bool find_owner(const char *name, uint32_t *owner) {
    char texts[PASSWD_SIZE];
    struct passwd entry, *found = NULL;
    uint64_t number;
    if (text_parse_number(name, 0, USER_NOBODY - 1, &number)) {
        *owner = (uint32_t)number;
        return true;
    }
    if (getpwnam_r(name, &entry, texts, sizeof texts, &found) != 0 || found == NULL)
        return false;
    *owner = found->pw_uid;
    return true;
}

/* Cuts the line. */
static bool parse_line(char *line, struct range *range) {
    uint64_t first, count;
    char *first_text = strchr(line, ':');
    char *count_text = first_text == NULL ? NULL : strchr(first_text + 1, ':');
    if (count_text == NULL)
        return false;
    *first_text++ = '\0';
    *count_text++ = '\0';
    if (!text_parse_number(first_text, 1, USER_NOBODY - 1, &first) ||
        !text_parse_number(count_text, 1, USER_NOBODY - first, &count))
        return false;
    range->first = (uint32_t)first;
    range->last = (uint32_t)(first + count - 1);
    return find_owner(line, &range->owner);
}

static bool add(struct subordinate_users *users, const struct range *range) {
    if (users->count == users->size) {
        size_t size = users->size == 0 ? 16 : users->size * 2;
        struct range *more = realloc(users->ranges, size * sizeof *more);
        if (more == NULL)
            return false;
        users->ranges = more;
        users->size = size;
    }
    users->ranges[users->count++] = *range;
    return true;
}

/* A line that does not fit is left out, with the rest of it. */
static bool next_line(FILE *file, char line[LINE_SIZE]) {
    while (fgets(line, LINE_SIZE, file) != NULL) {
        char *end = strchr(line, '\n');
        if (end != NULL || feof(file)) {
            if (end != NULL)
                *end = '\0';
            return true;
        }
        for (int c = 0; c != '\n' && c != EOF;)
            c = fgetc(file);
    }
    return false;
}

static bool read_all(struct subordinate_users *users, FILE *file) {
    char line[LINE_SIZE];
    struct range range;
    while (users->count < SUBORDINATE_RANGES_MAX && next_line(file, line)) {
        if (parse_line(line, &range) && !add(users, &range))
            return false;
    }
    return true;
}

static int by_first(const void *a, const void *b) {
    const struct range *one = a, *other = b;
    return (one->first > other->first) - (one->first < other->first);
}

struct subordinate_users *subordinate_users_read(const char *path) {
    struct subordinate_users *users = calloc(1, sizeof *users);
    FILE *file = users == NULL ? NULL : fopen(path, "re");
    if (file == NULL)
        return users;
    bool read = read_all(users, file);
    fclose(file);
    if (!read) {
        subordinate_users_free(users);
        return NULL;
    }
    if (users->count > 0)
        qsort(users->ranges, users->count, sizeof *users->ranges, by_first);
    return users;
}

void subordinate_users_free(struct subordinate_users *users) {
    if (users == NULL)
        return;
    free(users->ranges);
    free(users);
}

/* Ranges do not overlap in a file that makes sense; in another, the last that begins before counts.
 */
uint32_t subordinate_users_owner(const struct subordinate_users *users, uint32_t user) {
    size_t low = 0, high = users == NULL ? 0 : users->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (users->ranges[middle].first <= user)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && user <= users->ranges[low - 1].last ? users->ranges[low - 1].owner : user;
}

size_t subordinate_users_count(const struct subordinate_users *users) {
    return users == NULL ? 0 : users->count;
}
