// One helper, one prompt, one answer. With OPENAI_API_KEY set a model answers; without, the
// embedded engine says the prompt back.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automation_assistant.h"
#include "check.h"

int main(void) {
    const char *config = getenv("OPENAI_API_KEY") ? "{\"backend_type\": \"chatgpt\"}"
                                                  : "{\"backend_type\": \"local\"}";
    const char *request = "{\"prompt\": \"Why is the sky blue? One sentence.\"}";
    aa_manager *manager;
    aa_helper *helper;
    aa_task *task;
    uint64_t number;

    CHECK(aa_manager_new(5, &manager));
    CHECK(aa_manager_spawn(manager, config, strlen(config), &helper));
    CHECK(aa_helper_submit(helper, request, strlen(request), &number));
    CHECK(aa_helper_wait(helper, number, 60000, &task));

    const char *text = aa_task_text(task);
    if (text != NULL) {
        printf("%s\n", text);
    } else {
        fprintf(stderr, "%s: %s\n", aa_task_error_kind(task), aa_task_error(task));
    }
    int outcome = text != NULL ? EXIT_SUCCESS : EXIT_FAILURE;

    aa_task_free(task);
    aa_helper_free(helper);
    aa_manager_free(manager);
    return outcome;
}
