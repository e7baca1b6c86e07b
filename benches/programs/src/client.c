/* What client.rs does, by the C library: `PROGRAM BASE_URL N [PEM]` asks N helpers of one slot each
 * at once, and waits for all answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automation_assistant.h"

#define HELPERS_MAX 64
#define PATIENCE_MS 120000
/* A stack no other mapping of the process has, so that it can be found in smaps. */
#define STACK_BYTES ((1 << 20) + (68 << 10))

static void check(aa_status status) {
    if (status != AA_OK) {
        fprintf(stderr, "%s\n", aa_last_error());
        exit(EXIT_FAILURE);
    }
}

int main(int count, char **arguments) {
    const char *base = count > 1 ? arguments[1] : "http://127.0.0.1:9/v1";
    int helpers = count > 2 ? atoi(arguments[2]) : 1;
    char config[1024], roots[512] = "", prompt[64];
    aa_manager *manager;
    aa_helper *helper[HELPERS_MAX];
    uint64_t number[HELPERS_MAX];

    if (helpers > HELPERS_MAX) {
        return EXIT_FAILURE;
    }
    if (count > 3) {
        snprintf(roots, sizeof roots, ", \"root_certificates\": \"%s\"", arguments[3]);
    }
    snprintf(config, sizeof config,
             "{\"backend_type\": \"chatgpt\", \"api_endpoint\": \"%s\", \"api_key\": \"sk-bench\", "
             "\"model\": \"m\", \"timeout_seconds\": 120, \"stack_bytes\": %d%s}",
             base, STACK_BYTES, roots);
    check(aa_manager_new(HELPERS_MAX, &manager));
    for (int n = 0; n < helpers; ++n) {
        snprintf(prompt, sizeof prompt, "{\"prompt\": \"prompt %d\"}", n);
        check(aa_manager_spawn(manager, config, strlen(config), &helper[n]));
        check(aa_helper_submit(helper[n], prompt, strlen(prompt), &number[n]));
    }
    for (int n = 0; n < helpers; ++n) {
        aa_task *task;
        check(aa_helper_wait(helper[n], number[n], PATIENCE_MS, &task));
        puts(aa_task_text(task) != NULL ? aa_task_text(task) : aa_task_error(task));
        aa_task_free(task);
    }
    aa_manager_free(manager);
    return EXIT_SUCCESS;
}
