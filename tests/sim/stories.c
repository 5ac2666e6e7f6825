/* Tells the stories: scenarios that read like one: who is there, what happens, what must be so. */
#include "stories.h"

#include "story_tools.h"

#include <stdio.h>
#include <string.h>

static bool tell(const struct story *story) {
    broken = NULL;
    world = NULL;
    story->tell();
    if (world != NULL && world->failed && broken == NULL)
        broken = world->complaint;
    bool good = broken == NULL;
    if (!good) {
        char why[256] = "";
        oracle_agreed(world, why, sizeof why);
        printf("%s: not so: %s (%s)\n", story->name, broken, why);
    }
    world_free(world);
    return good;
}

static void tell_all(const struct story *stories, const char *name, uint64_t *passed,
                     uint64_t *failed) {
    for (; stories->name != NULL; stories++) {
        if (name != NULL && strcmp(name, stories->name) != 0)
            continue;
        if (tell(stories))
            (*passed)++;
        else
            (*failed)++;
    }
}

void stories_run(const char *name, uint64_t *passed, uint64_t *failed) {
    tracing = name != NULL;
    tell_all(membership_stories, name, passed, failed);
    tell_all(failure_stories, name, passed, failed);
    tell_all(hostile_stories, name, passed, failed);
}
