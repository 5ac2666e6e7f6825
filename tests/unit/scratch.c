#include "scratch.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void scratch_make(struct scratch *scratch) {
    const char *parent = getenv("TMPDIR");
    snprintf(scratch->directory, sizeof scratch->directory, "%s/portolan-unit-XXXXXX",
             parent != NULL ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch->directory));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void scratch_remove(const struct scratch *scratch) {
    nftw(scratch->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(struct scratch *scratch, const char *name) {
    snprintf(scratch->path, sizeof scratch->path, "%s/%.100s", scratch->directory, name);
    return scratch->path;
}

bool scratch_has(struct scratch *scratch, const char *name) {
    return access(scratch_path(scratch, name), F_OK) == 0;
}

void scratch_write(struct scratch *scratch, const char *name, struct bytes content) {
    FILE *file = fopen(scratch_path(scratch, name), "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content.data, 1, content.len, file), content.len);
    ck_assert_int_eq(fclose(file), 0);
}

struct bytes scratch_read(struct scratch *scratch, const char *name, void *buffer, size_t size) {
    FILE *file = fopen(scratch_path(scratch, name), "re");
    if (file == NULL)
        return bytes_of(buffer, 0);
    size_t len = fread(buffer, 1, size, file);
    fclose(file);
    return bytes_of(buffer, len);
}
