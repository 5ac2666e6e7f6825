/* Whether a directory is whole: what its owners and its table say of each other. */
#include "names/directory.h"

static const char *check_owner(const struct directory_owner *owner) {
    const struct directory_entry *entry;
    uint64_t last = 0;
    size_t count = 0;
    for (entry = directory_entry_first(owner); entry != NULL; entry = directory_entry_next(entry)) {
        if (entry->owner != owner || directory_find_own(owner, entry->node.name) != entry)
            return "an entry is listed and not found";
        if (entry->sequence <= last || entry->sequence > directory_owner_version(owner).sequence)
            return "an owner's entries are not in the order of their sequence";
        last = entry->sequence;
        count++;
    }
    return count == directory_owner_count(owner) ? NULL : "an owner's entries are miscounted";
}

const char *directory_check(const struct directory *directory) {
    const struct directory_owner *owner;
    size_t count = 0;
    for (owner = directory_owner_first(directory); owner != NULL;
         owner = directory_owner_next(owner)) {
        const char *wrong = check_owner(owner);
        if (wrong != NULL)
            return wrong;
        count += directory_owner_count(owner);
    }
    return count == directory_count(directory) ? NULL : "the entries of all owners are miscounted";
}
