// An answer as it is written, and what it took. Configuration as in quick_start.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automation_assistant.h"
#include "check.h"

// On a thread of the library. True: go on.
static bool on_text(void *userdata, const char *text, size_t len) {
    size_t *bytes = userdata;
    *bytes += len;
    fwrite(text, 1, len, stdout);
    fflush(stdout);
    return true;
}

int main(void) {
    const char *config = getenv("OPENAI_API_KEY") ? "{\"backend_type\": \"chatgpt\"}"
                                                  : "{\"backend_type\": \"local\"}";
    const char *json = "{\"prompt\": \"Write a story of three sentences.\"}";
    aa_manager *manager;
    aa_helper *helper;
    aa_request *request;
    aa_task *task;
    uint64_t number;
    size_t bytes = 0;

    CHECK(aa_manager_new(5, &manager));
    CHECK(aa_manager_spawn(manager, config, strlen(config), &helper));
    CHECK(aa_request_new(json, strlen(json), &request));
    CHECK(aa_request_on_text(request, on_text, &bytes));
    CHECK(aa_helper_submit_request(helper, request, &number));
    // Once the task has ended, no callback of its text comes any more.
    CHECK(aa_helper_wait(helper, number, 120000, &task));

    const char *error = aa_task_error(task);
    int outcome = error == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
    printf("\n%zu bytes%s%s\n", bytes, error != NULL ? "; it failed: " : "",
           error != NULL ? error : "");
    aa_task_free(task);
    aa_helper_free(helper);
    aa_manager_free(manager);
    return outcome;
}
