// A model that asks the program: `tool BASE_URL [MODEL]`, such as http://127.0.0.1:8080/v1 of a
// model server on this device. The model may call `read_sensor`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "automation_assistant.h"
#include "check.h"

// On a thread of the library. The arguments are JSON; a real program would parse them.
static void read_sensor(void *userdata, aa_call *call) {
    const char *celsius = userdata;
    fprintf(stderr, "the model asks for the sensor with %s\n", aa_call_arguments(call));
    CHECK(aa_call_reply(call, celsius, strlen(celsius)));
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: %s BASE_URL [MODEL]\n", arguments[0]);
        return EXIT_FAILURE;
    }
    char config[1024];
    snprintf(config, sizeof config,
             "{\"backend_type\": \"local\", \"api_endpoint\": \"%s\"%s%s%s}", arguments[1],
             count > 2 ? ", \"model\": \"" : "", count > 2 ? arguments[2] : "",
             count > 2 ? "\"" : "");
    const char *json = "{\"prompt\": \"How warm is it? Ask the sensor.\"}";
    const char *name = "read_sensor", *description = "Reads the thermometer, in Celsius.";
    const char *schema = "{\"type\": \"object\", \"properties\": {}}";
    char celsius[] = "21.5";
    aa_manager *manager;
    aa_helper *helper;
    aa_request *request;
    aa_task *task;
    uint64_t number;

    CHECK(aa_manager_new(1, &manager));
    CHECK(aa_manager_spawn(manager, config, strlen(config), &helper));
    CHECK(aa_request_new(json, strlen(json), &request));
    CHECK(aa_request_add_tool(request, name, strlen(name), description, strlen(description),
                              schema, strlen(schema), read_sensor, celsius));
    CHECK(aa_helper_submit_request(helper, request, &number));
    CHECK(aa_helper_wait(helper, number, 300000, &task));

    const char *text = aa_task_text(task);
    printf("%s\n", text != NULL ? text : aa_task_error(task));
    int outcome = text != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
    aa_task_free(task);
    aa_helper_free(helper);
    aa_manager_free(manager);
    return outcome;
}
