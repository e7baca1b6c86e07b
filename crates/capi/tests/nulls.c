// Every function with NULL in every place: an error, and never a crash. `ci.sh` sees to it that
// every function of the header stands here.
#include "test.h"

static bool on_text(void *userdata, const char *text, size_t len) {
    (void)userdata, (void)text, (void)len;
    return true;
}
static void on_reasoning(void *userdata, const char *text, size_t len) {
    (void)userdata, (void)text, (void)len;
}
static void on_done(void *userdata, const aa_task *task) { (void)userdata, (void)task; }
static void on_call(void *userdata, aa_call *call) { (void)userdata, (void)call; }
static void on_release(void *userdata) { (void)userdata; }

#define NULLED(call) FAILS(AA_NULL_PARAMETER, call)
#define NOTHING(call) EXPECT((call) == NULL)

int main(void) {
    const char *request_json = "{\"prompt\": \"p\"}";
    const size_t request_len = strlen(request_json), local_len = strlen(LOCAL);
    aa_manager *manager = manager_new(3), *no_manager = NULL;
    aa_helper *helper = spawn(manager, LOCAL), *no_helper = NULL;
    uint64_t number = submit(helper, request_json);
    aa_task *task = wait_for(helper, number), *no_task = NULL;
    aa_request *request = NULL, *no_request = NULL;
    aa_telemetry *telemetry = NULL, *no_telemetry = NULL;
    aa_debrief *debrief = NULL, *no_debrief = NULL;
    aa_call *no_call = NULL;
    OK(aa_request_new(request_json, request_len, &request));
    const char *audit = getenv("AUDIT");
    EXPECT(audit != NULL);
    OK(aa_telemetry_new(audit, strlen(audit), &telemetry));

    EXPECT(aa_abi_version() == AA_ABI_VERSION);
    EXPECT(strlen(aa_version()) >= strlen("0.0.0"));

    NULLED(aa_manager_new(1, NULL));
    EXPECT(has(aa_last_error(), "NULL"));
    NULLED(aa_manager_new_with_telemetry(1, telemetry, NULL));
    NULLED(aa_manager_new_with_telemetry(1, NULL, &no_manager));
    aa_manager_free(NULL);
    NULLED(aa_manager_spawn(NULL, LOCAL, local_len, &no_helper));
    NULLED(aa_manager_spawn(manager, NULL, local_len, &no_helper));
    NULLED(aa_manager_spawn(manager, NULL, 0, &no_helper));
    NULLED(aa_manager_spawn(manager, LOCAL, local_len, NULL));
    NULLED(aa_manager_spawn_backend(NULL, LOCAL, local_len, "b", 1, on_call, NULL, on_release,
                                    &no_helper));
    NULLED(aa_manager_spawn_backend(manager, NULL, 0, "b", 1, on_call, NULL, NULL, &no_helper));
    NULLED(aa_manager_spawn_backend(manager, LOCAL, local_len, NULL, 1, on_call, NULL, NULL,
                                    &no_helper));
    NULLED(aa_manager_spawn_backend(manager, LOCAL, local_len, "b", 1, NULL, NULL, NULL,
                                    &no_helper));
    NULLED(aa_manager_spawn_backend(manager, LOCAL, local_len, "b", 1, on_call, NULL, NULL, NULL));
    NULLED(aa_manager_find(NULL, "01234567", 8, &no_helper));
    NULLED(aa_manager_find(manager, NULL, 8, &no_helper));
    NULLED(aa_manager_find(manager, "01234567", 8, NULL));
    EXPECT(aa_manager_helper_count(NULL) == 0);
    NOTHING(aa_manager_status_json(NULL));
    aa_task_ref any = {helper, number}, none = {NULL, number};
    size_t index = 7;
    NULLED(aa_manager_wait_any(NULL, &any, 1, 0, &index, &no_task));
    NULLED(aa_manager_wait_any(manager, NULL, 1, 0, &index, &no_task));
    NULLED(aa_manager_wait_any(manager, &none, 1, 0, &index, &no_task));
    NULLED(aa_manager_wait_any(manager, &any, 1, 0, NULL, &no_task));
    NULLED(aa_manager_wait_any(manager, &any, 1, 0, &index, NULL));
    EXPECT(index == 7);
    NULLED(aa_manager_terminate_all(NULL));

    NULLED(aa_helper_new(NULL, 0, &no_helper));
    NULLED(aa_helper_new(LOCAL, local_len, NULL));
    NULLED(aa_helper_new_with_telemetry(NULL, 0, telemetry, &no_helper));
    NULLED(aa_helper_new_with_telemetry(LOCAL, local_len, NULL, &no_helper));
    NULLED(aa_helper_new_with_telemetry(LOCAL, local_len, telemetry, NULL));
    NULLED(aa_helper_start(NULL));
    NULLED(aa_helper_stop(NULL));
    NULLED(aa_helper_terminate(NULL));
    aa_helper_free(NULL);
    NOTHING(aa_helper_id(NULL));
    NOTHING(aa_helper_status_json(NULL));
    NULLED(aa_helper_submit(NULL, request_json, request_len, &number));
    NULLED(aa_helper_submit(helper, NULL, request_len, &number));
    NULLED(aa_helper_submit(helper, request_json, request_len, NULL));
    NULLED(aa_helper_submit_wait(NULL, request_json, request_len, 1, &number));
    NULLED(aa_helper_submit_wait(helper, NULL, request_len, 1, &number));
    NULLED(aa_helper_submit_wait(helper, request_json, request_len, 1, NULL));
    NULLED(aa_helper_submit_request(NULL, request, &number));
    NULLED(aa_helper_submit_request(helper, NULL, &number));
    NULLED(aa_helper_submit_request(helper, request, NULL));
    NULLED(aa_helper_wait(NULL, number, 0, &no_task));
    NULLED(aa_helper_wait(helper, number, 0, NULL));
    NULLED(aa_helper_take(NULL, number, &no_task));
    NULLED(aa_helper_take(helper, number, NULL));
    NULLED(aa_helper_get(NULL, number, &no_task));
    NULLED(aa_helper_get(helper, number, NULL));
    EXPECT(!aa_helper_cancel(NULL, number));
    aa_task_state state;
    NULLED(aa_helper_look_up(NULL, number, &state));
    NULLED(aa_helper_look_up(helper, number, NULL));
    EXPECT(aa_helper_clear_results(NULL) == 0);
    NOTHING(aa_helper_task_id(NULL, number));
    NULLED(aa_helper_find_task(NULL, "01234567-00000001", 17, &number));
    NULLED(aa_helper_find_task(helper, NULL, 17, &number));
    NULLED(aa_helper_find_task(helper, "01234567-00000001", 17, NULL));

    NOTHING(aa_task_text(NULL));
    NOTHING(aa_task_error(NULL));
    NOTHING(aa_task_error_kind(NULL));
    EXPECT(aa_task_number(NULL) == 0);
    NOTHING(aa_task_json(NULL));
    aa_task_free(NULL);

    NULLED(aa_request_new(NULL, 0, &no_request));
    NULLED(aa_request_new(request_json, request_len, NULL));
    NULLED(aa_request_on_text(NULL, on_text, NULL));
    NULLED(aa_request_on_text(request, NULL, NULL));
    NULLED(aa_request_on_reasoning(NULL, on_reasoning, NULL));
    NULLED(aa_request_on_reasoning(request, NULL, NULL));
    NULLED(aa_request_on_done(NULL, on_done, NULL));
    NULLED(aa_request_on_done(request, NULL, NULL));
    NULLED(aa_request_on_release(NULL, on_release, NULL));
    NULLED(aa_request_on_release(request, NULL, NULL));
    NULLED(aa_request_add_tool(NULL, "t", 1, "d", 1, "{}", 2, on_call, NULL));
    NULLED(aa_request_add_tool(request, NULL, 1, "d", 1, "{}", 2, on_call, NULL));
    NULLED(aa_request_add_tool(request, "t", 1, NULL, 1, "{}", 2, on_call, NULL));
    NULLED(aa_request_add_tool(request, "t", 1, "d", 1, NULL, 2, on_call, NULL));
    NULLED(aa_request_add_tool(request, "t", 1, "d", 1, "{}", 2, NULL, NULL));
    NULLED(aa_request_add_image(NULL, "t", 1, (const uint8_t *)"b", 1));
    NULLED(aa_request_add_image(request, NULL, 1, (const uint8_t *)"b", 1));
    NULLED(aa_request_add_image(request, "t", 1, NULL, 1));
    NULLED(aa_request_add_image_url(NULL, "u", 1));
    NULLED(aa_request_add_image_url(request, NULL, 1));
    aa_request_free(NULL);

    NOTHING(aa_call_prompt(NULL));
    NOTHING(aa_call_arguments(NULL));
    NOTHING(aa_call_request_json(NULL));
    EXPECT(!aa_call_is_cancelled(NULL));
    EXPECT(!aa_call_pause(NULL, 1));
    EXPECT(aa_call_remaining_ms(NULL) == 0);
    NULLED(aa_call_send_text(NULL, "t", 1));
    NULLED(aa_call_send_text(no_call, NULL, 1));
    NULLED(aa_call_reply(NULL, "t", 1));
    NULLED(aa_call_reply(no_call, NULL, 1));
    NULLED(aa_call_fail(NULL, "other", 5, "m", 1));
    NULLED(aa_call_fail(no_call, NULL, 5, "m", 1));
    NULLED(aa_call_fail(no_call, "other", 5, NULL, 1));

    NULLED(aa_telemetry_new(NULL, 0, &no_telemetry));
    NULLED(aa_telemetry_new(audit, strlen(audit), NULL));
    NOTHING(aa_telemetry_run_id(NULL));
    NOTHING(aa_telemetry_stats_json(NULL));
    NULLED(aa_telemetry_sync(NULL));
    aa_telemetry_free(NULL);
    NULLED(aa_debrief_new(NULL, 0, &no_debrief));
    NULLED(aa_debrief_new(audit, strlen(audit), NULL));
    NULLED(aa_debrief_new_from_lines(NULL, 0, &no_debrief));
    NULLED(aa_debrief_new_from_lines("", 0, NULL));
    OK(aa_debrief_new_from_lines("", 0, &debrief));
    NOTHING(aa_debrief_text(NULL));
    NOTHING(aa_debrief_markdown(NULL));
    NOTHING(aa_debrief_json(NULL));
    aa_debrief_free(NULL);
    EXPECT_OWNED("memory", aa_device_json());
    aa_string_free(NULL);

    // Nothing was handed out, and nothing broke.
    EXPECT(!no_manager && !no_helper && !no_task && !no_request && !no_telemetry && !no_debrief);
    OK(aa_helper_submit_request(helper, request, &number));
    aa_task *again = wait_for(helper, number);
    EXPECT(has(aa_task_text(again), "Echo of 'p'"));
    aa_task_free(again);
    aa_task_free(task);
    aa_debrief_free(debrief);
    aa_telemetry_free(telemetry);
    aa_helper_free(helper);
    aa_manager_free(manager);
    puts("nulls: ok");
    return 0;
}
