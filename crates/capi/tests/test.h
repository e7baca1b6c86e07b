// Shared by the tests: checks that print where they failed, and calls with texts.
#ifndef TEST_H
#define TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automation_assistant.h"

#define EXPECT(condition)                                                              \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n  last error: %s\n", __FILE__, __LINE__, \
                    #condition, aa_last_error());                                      \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

#define OK(call) EXPECT((call) == AA_OK)
#define FAILS(status, call) EXPECT((call) == (status))

#define SECONDS_MAX_MS 30000u

#define LOCAL "{\"backend_type\": \"local\"}"

static inline aa_manager *manager_new(size_t helpers) {
    aa_manager *manager = NULL;
    OK(aa_manager_new(helpers, &manager));
    EXPECT(manager != NULL);
    return manager;
}

static inline aa_helper *spawn(aa_manager *manager, const char *config) {
    aa_helper *helper = NULL;
    OK(aa_manager_spawn(manager, config, strlen(config), &helper));
    return helper;
}

static inline uint64_t submit(aa_helper *helper, const char *request) {
    uint64_t task = 0;
    OK(aa_helper_submit(helper, request, strlen(request), &task));
    EXPECT(task != 0);
    return task;
}

static inline aa_task *wait_for(aa_helper *helper, uint64_t task) {
    aa_task *ended = NULL;
    OK(aa_helper_wait(helper, task, SECONDS_MAX_MS, &ended));
    return ended;
}

static inline bool has(const char *text, const char *part) {
    return text != NULL && strstr(text, part) != NULL;
}

// Checks a text that the caller owns, and frees it.
#define EXPECT_OWNED(part, call)      \
    do {                              \
        char *owned = (call);         \
        if (!has(owned, part)) {      \
            fprintf(stderr, "in: %s\n", owned != NULL ? owned : "NULL"); \
        }                             \
        EXPECT(has(owned, part));     \
        aa_string_free(owned);        \
    } while (0)

#endif
