// The whole face: with the embedded engine, and against the scripted server at `SERVER`.
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

static void nap(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// A place where callbacks say what came, and where the test waits for it.
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    char text[4096];
    int deltas, done, released, stop_after;
    bool task_failed;
    uint64_t number;
} note;

static void note_init(note *n) {
    memset(n, 0, sizeof *n);
    pthread_mutex_init(&n->mutex, NULL);
    pthread_cond_init(&n->changed, NULL);
}

static void await(note *n, int *what, int count) {
    pthread_mutex_lock(&n->mutex);
    while (*what < count) {
        pthread_cond_wait(&n->changed, &n->mutex);
    }
    pthread_mutex_unlock(&n->mutex);
}

static void bump(note *n, int *what) {
    pthread_mutex_lock(&n->mutex);
    ++*what;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mutex);
}

static void add_text(note *n, const char *text, size_t len) {
    EXPECT(strlen(text) == len);
    pthread_mutex_lock(&n->mutex);
    EXPECT(strlen(n->text) + len < sizeof n->text);
    strcat(n->text, text);
    pthread_mutex_unlock(&n->mutex);
    bump(n, &n->deltas);
}

static bool on_text(void *userdata, const char *text, size_t len) {
    note *n = (note *)userdata;
    add_text(n, text, len);
    return n->stop_after == 0 || n->deltas < n->stop_after;
}

static void on_reasoning(void *userdata, const char *text, size_t len) {
    add_text((note *)userdata, text, len);
}

static void on_done(void *userdata, const aa_task *task) {
    note *n = (note *)userdata;
    n->task_failed = aa_task_text(task) == NULL;
    n->number = aa_task_number(task);
    bump(n, &n->done);
}

static void on_release(void *userdata) { bump((note *)userdata, &((note *)userdata)->released); }

static aa_request *request_new(const char *json) {
    aa_request *request = NULL;
    OK(aa_request_new(json, strlen(json), &request));
    return request;
}

static const char *server_with_key(const char *key, const char *more) {
    static char config[512];
    const char *base = getenv("SERVER");
    EXPECT(base != NULL);
    snprintf(config, sizeof config,
             "{\"backend_type\": \"chatgpt\", \"api_endpoint\": \"%s\", \"api_key\": \"%s\"%s}",
             base, key, more);
    return config;
}

static const char *server(const char *more) {
    return server_with_key("sk-test", more);
}

static void tasks_and_results(void) {
    aa_manager *manager = manager_new(2);
    aa_helper *helper = spawn(manager, "{\"backend_type\": \"local\", \"name\": \"first\"}");
    aa_task *task = NULL;
    uint64_t number = submit(helper, "{\"prompt\": \"h\\u00e9llo\", \"context\": {\"a\": 1}}");

    task = wait_for(helper, number);
    EXPECT(strcmp(aa_task_text(task), "Local Response: Echo of 'h\xc3\xa9llo' [Context provided]") == 0);
    EXPECT(aa_task_text(task) == aa_task_text(task));
    EXPECT(aa_task_error(task) == NULL && aa_task_error_kind(task) == NULL);
    EXPECT(aa_task_number(task) == number);
    EXPECT_OWNED("\"prompt\":\"h\xc3\xa9llo\"", aa_task_json(task));
    aa_task_free(task);
    FAILS(AA_UNKNOWN_TASK, aa_helper_wait(helper, number, SECONDS_MAX_MS, &task));
    FAILS(AA_UNKNOWN_TASK, aa_helper_take(helper, number, &task));
    FAILS(AA_UNKNOWN_TASK, aa_helper_wait(helper, 0, SECONDS_MAX_MS, &task));
    FAILS(AA_UNKNOWN_TASK, aa_helper_wait(helper, UINT64_MAX, SECONDS_MAX_MS, &task));

    // A result that is read stays; one that is taken does not. A NUL comes out as a stand-in.
    number = submit(helper, "{\"prompt\": \"a\\u0000b\"}");
    aa_task_state state = AA_TASK_UNKNOWN;
    while (state != AA_TASK_FINISHED) {
        OK(aa_helper_look_up(helper, number, &state));
        EXPECT(state != AA_TASK_UNKNOWN && state != AA_TASK_DROPPED);
    }
    OK(aa_helper_get(helper, number, &task));
    EXPECT(has(aa_task_text(task), "'a\xef\xbf\xbd" "b'"));
    aa_task_free(task);
    OK(aa_helper_take(helper, number, &task));
    aa_task_free(task);
    OK(aa_helper_look_up(helper, number, &state));
    EXPECT(state == AA_TASK_UNKNOWN);

    // Ids as text, and back.
    char *id = aa_helper_id(helper), *task_id = aa_helper_task_id(helper, number);
    EXPECT(strlen(id) == 8 && strncmp(id, task_id, 8) == 0);
    uint64_t found = 0;
    OK(aa_helper_find_task(helper, task_id, strlen(task_id), &found));
    EXPECT(found == number);
    FAILS(AA_UNKNOWN_TASK, aa_helper_find_task(helper, "nonsense", 8, &found));
    aa_helper *same = NULL, *other = spawn(manager, LOCAL);
    OK(aa_manager_find(manager, id, strlen(id), &same));
    FAILS(AA_UNKNOWN_HELPER, aa_manager_find(manager, "00000000", 8, &same));
    FAILS(AA_UNKNOWN_HELPER, aa_manager_find(manager, "nonsense", 8, &same));
    number = submit(same, "{\"prompt\": \"by another handle\"}");
    FAILS(AA_UNKNOWN_TASK, aa_helper_wait(other, number, SECONDS_MAX_MS, &task));
    EXPECT(aa_helper_task_id(other, number) == NULL);
    OK(aa_helper_look_up(other, number, &state));
    EXPECT(state == AA_TASK_UNKNOWN);
    task = wait_for(helper, number);
    aa_task_free(task);
    aa_string_free(id);
    aa_string_free(task_id);

    // Status, counts, the limit on helpers, clearing.
    EXPECT(aa_manager_helper_count(manager) == 2);
    EXPECT_OWNED("\"name\":\"first\"", aa_manager_status_json(manager));
    EXPECT_OWNED("\"completed_tasks\":3", aa_helper_status_json(helper));
    FAILS(AA_MAX_HELPERS, aa_manager_spawn(manager, LOCAL, strlen(LOCAL), &same));
    EXPECT(strcmp(aa_last_error(), "Maximum number of helpers (2) reached") == 0);
    number = submit(helper, "{\"prompt\": \"kept\"}");
    aa_task_ref ref = {helper, number};
    size_t index = 9;
    OK(aa_manager_wait_any(manager, &ref, 1, SECONDS_MAX_MS, &index, &task));
    EXPECT(index == 0);
    aa_task_free(task);
    EXPECT(aa_helper_clear_results(helper) == 0);

    // Terminated: results stay readable through the handle.
    number = submit(other, "{\"prompt\": \"last\"}");
    while (state != AA_TASK_FINISHED) {
        OK(aa_helper_look_up(other, number, &state));
    }
    OK(aa_helper_terminate(other));
    FAILS(AA_UNKNOWN_HELPER, aa_helper_terminate(other));
    FAILS(AA_STOPPED, aa_helper_submit(other, "{\"prompt\": \"p\"}", 15, &found));
    task = wait_for(other, number);
    aa_task_free(task);
    EXPECT(aa_manager_helper_count(manager) == 1);
    OK(aa_manager_terminate_all(manager));
    EXPECT(aa_manager_helper_count(manager) == 0);

    // Freed under its helpers: their handles stay, their calls fail.
    helper = spawn(manager, LOCAL);
    number = submit(helper, "{\"prompt\": \"p\"}");
    aa_manager_free(manager);
    FAILS(AA_STOPPED, aa_helper_submit(helper, "{\"prompt\": \"p\"}", 15, &found));
    FAILS(AA_STOPPED, aa_helper_wait(helper, number, 0, &task));
    EXPECT(aa_helper_id(helper) == NULL && !aa_helper_cancel(helper, number));
    aa_helper_free(helper);
    aa_helper_free(other);
    FAILS(AA_INVALID_HANDLE, aa_manager_terminate_all(manager));
}

static void wait_for_one_of_several(void) {
    aa_manager *manager = manager_new(2);
    const char *slow = "{\"backend_type\": \"local\", \"custom_params\": {\"latency_ms\": 60000}}";
    aa_helper *helpers[2] = {spawn(manager, slow), spawn(manager, LOCAL)};
    aa_task_ref refs[2];
    aa_task *task = NULL;
    size_t index = 9;
    for (int n = 0; n < 2; ++n) {
        refs[n].helper = helpers[n];
        refs[n].task = submit(helpers[n], "{\"prompt\": \"p\"}");
    }
    OK(aa_manager_wait_any(manager, refs, 2, SECONDS_MAX_MS, &index, &task));
    EXPECT(index == 1 && aa_task_number(task) == refs[1].task);
    aa_task_free(task);
    FAILS(AA_WAIT_TIMED_OUT, aa_manager_wait_any(manager, refs, 1, 1, &index, &task));
    FAILS(AA_INVALID_REQUEST, aa_manager_wait_any(manager, refs, 0, 1, &index, &task));
    FAILS(AA_INVALID_REQUEST, aa_manager_wait_any(manager, refs, SIZE_MAX, 1, &index, &task));
    FAILS(AA_UNKNOWN_TASK, aa_manager_wait_any(manager, refs, 2, 1, &index, &task));
    FAILS(AA_WAIT_TIMED_OUT, aa_helper_wait(helpers[0], refs[0].task, 1, &task));
    FAILS(AA_WAIT_TIMED_OUT, aa_helper_get(helpers[0], refs[0].task, &task));

    EXPECT(aa_helper_cancel(helpers[0], refs[0].task));
    EXPECT(!aa_helper_cancel(helpers[0], refs[0].task));
    task = wait_for(helpers[0], refs[0].task);
    EXPECT(aa_task_text(task) == NULL && has(aa_task_error(task), "cancelled"));
    EXPECT(strcmp(aa_task_error_kind(task), "cancelled") == 0);
    aa_task_free(task);

    uint64_t late = submit(helpers[0], "{\"prompt\": \"p\", \"timeout_ms\": 10}");
    task = wait_for(helpers[0], late);
    EXPECT(strcmp(aa_task_error_kind(task), "timeout") == 0);
    aa_task_free(task);
    aa_helper_free(helpers[0]);
    aa_helper_free(helpers[1]);
    aa_manager_free(manager);
}

static void a_full_queue_gives_the_request_back(void) {
    aa_manager *manager = manager_new(1);
    aa_helper *helper = spawn(manager, "{\"backend_type\": \"local\", \"queue_capacity\": 1,"
                                       " \"custom_params\": {\"latency_ms\": 60000}}");
    uint64_t running = submit(helper, "{\"prompt\": \"runs\"}"), number = 0;
    aa_task_state state = AA_TASK_QUEUED;
    while (state != AA_TASK_RUNNING) {
        OK(aa_helper_look_up(helper, running, &state));
    }
    uint64_t queued = submit(helper, "{\"prompt\": \"waits\"}");
    note n;
    note_init(&n);
    aa_request *request = request_new("{\"prompt\": \"comes back\"}");
    OK(aa_request_on_release(request, on_release, &n));
    OK(aa_request_on_done(request, on_done, &n));
    FAILS(AA_QUEUE_FULL, aa_helper_submit_request(helper, request, &number));
    EXPECT(has(aa_last_error(), "aa_helper_submit_wait"));
    FAILS(AA_QUEUE_FULL, aa_helper_submit_wait(helper, "{\"prompt\": \"p\"}", 15, 1, &number));
    EXPECT(n.released == 0 && n.done == 0);
    EXPECT(aa_helper_cancel(helper, queued));
    OK(aa_helper_submit_request(helper, request, &number));
    FAILS(AA_INVALID_HANDLE, aa_helper_submit_request(helper, request, &number));
    EXPECT(aa_helper_cancel(helper, number) && aa_helper_cancel(helper, running));
    await(&n, &n.done, 1);
    await(&n, &n.released, 1);
    EXPECT(n.task_failed && n.number == number);

    // A request that cannot be accepted: its release comes when it is freed, at the latest.
    request = request_new("{\"prompt\": \" \"}");
    OK(aa_request_on_release(request, on_release, &n));
    OK(aa_request_on_done(request, on_done, &n));
    FAILS(AA_INVALID_REQUEST, aa_helper_submit_request(helper, request, &number));
    aa_request_free(request);
    EXPECT(n.released == 2 && n.done == 1);
    aa_helper_free(helper);
    aa_manager_free(manager);
}

static void a_helper_without_a_manager(void) {
    aa_helper *helper = NULL;
    OK(aa_helper_new(LOCAL, strlen(LOCAL), &helper));
    uint64_t number = submit(helper, "{\"prompt\": \"early\"}");
    aa_task_state state;
    OK(aa_helper_look_up(helper, number, &state));
    EXPECT(state == AA_TASK_QUEUED);
    EXPECT_OWNED("\"status\":\"initializing\"", aa_helper_status_json(helper));
    OK(aa_helper_start(helper));
    OK(aa_helper_start(helper));
    aa_task_free(wait_for(helper, number));
    FAILS(AA_UNKNOWN_HELPER, aa_helper_terminate(helper));
    OK(aa_helper_stop(helper));
    EXPECT_OWNED("\"status\":\"terminated\"", aa_helper_status_json(helper));
    FAILS(AA_INVALID_CONFIG, aa_helper_start(helper));
    aa_helper_free(helper);
}

static void handles_end(void) {
    aa_manager *manager = manager_new(1);
    aa_helper *helper = spawn(manager, LOCAL);
    aa_task *task = wait_for(helper, submit(helper, "{\"prompt\": \"p\"}")), *again = task;
    uint64_t number = 0;
    EXPECT(aa_task_text(task) != NULL);
    aa_task_free(task);
    aa_task_free(again);
    EXPECT(has(aa_last_error(), "freed"));
    EXPECT(aa_task_text(task) == NULL && aa_task_error(task) == NULL && aa_task_json(task) == NULL);
    task = wait_for(helper, submit(helper, "{\"prompt\": \"q\"}"));
    EXPECT(task != again && aa_task_text(again) == NULL && aa_task_text(task) != NULL);

    // Handles of another kind, and numbers that never were one.
    FAILS(AA_INVALID_HANDLE, aa_helper_submit((aa_helper *)task, "{}", 2, &number));
    FAILS(AA_INVALID_HANDLE, aa_helper_submit((aa_helper *)manager, "{}", 2, &number));
    FAILS(AA_INVALID_HANDLE, aa_manager_terminate_all((aa_manager *)helper));
    for (uintptr_t invalid = 1; invalid < 4096; invalid = invalid * 3 + 1) {
        FAILS(AA_INVALID_HANDLE, aa_manager_terminate_all((aa_manager *)(UINTPTR_MAX - invalid)));
        FAILS(AA_INVALID_HANDLE, aa_call_reply((aa_call *)invalid, "t", 1));
    }
    aa_task_free(task);
    aa_helper_free(helper);
    FAILS(AA_INVALID_HANDLE, aa_helper_submit(helper, "{}", 2, &number));
    aa_helper_free(helper);
    EXPECT(aa_manager_helper_count(manager) == 1);
    aa_manager_free(manager);
    aa_manager_free(manager);
    FAILS(AA_INVALID_HANDLE, aa_manager_terminate_all(manager));
}

static void what_is_wrong_is_named(void) {
    aa_manager *manager = manager_new(1);
    aa_helper *helper = NULL;
    static const struct {
        const char *config, *words;
        aa_status status;
    } configs[] = {
        {"{\"backend_type\": \"local\", \"timeout\": 3}", "timeout", AA_INVALID_CONFIG},
        {"{\"backend_type\": \"lokal\"}", "backend_type", AA_INVALID_CONFIG},
        {"{\"name\": \"x\"}", "backend_type", AA_INVALID_CONFIG},
        {"{\"backend_type\": \"custom\"}", "aa_manager_spawn_backend", AA_INVALID_CONFIG},
        {"{\"backend_type\": \"local\", \"max_concurrent_tasks\": 0}", "max_concurrent_tasks", AA_INVALID_CONFIG},
        {"{\"backend_type\": \"local\"", "EOF", AA_INVALID_CONFIG},
        {"", "EOF", AA_INVALID_CONFIG},
        {"\xff", "UTF-8", AA_INVALID_UTF8},
#ifndef LOCAL_ONLY
        {"{\"backend_type\": \"chatgpt\"}", "OPENAI_API_KEY", AA_MISSING_KEY},
#else
        {"{\"backend_type\": \"chatgpt\"}", "http", AA_UNSUPPORTED},
#endif
    };
    for (size_t n = 0; n < sizeof configs / sizeof *configs; ++n) {
        FAILS(configs[n].status,
              aa_manager_spawn(manager, configs[n].config, strlen(configs[n].config), &helper));
        EXPECT(has(aa_last_error(), configs[n].words));
    }
    FAILS(AA_INVALID_LENGTH, aa_manager_spawn(manager, LOCAL, SIZE_MAX, &helper));
    EXPECT(helper == NULL);

    helper = spawn(manager, LOCAL);
    static const struct {
        const char *request, *words;
    } requests[] = {
        {"{\"prompt\": \"p\", \"tiemout_ms\": 1, \"x\": 2}", "tiemout_ms, x"},
        {"{\"prompt\": \" \"}", "prompt is empty"},
        {"{\"prompt\": \"p\", \"priority\": \"urgent\"}", "priority"},
        {"{\"prompt\": \"p\", \"timeout_ms\": 0}", "timeout"},
        {"[]", "is a JSON object"},
        {"nonsense", "expected"},
    };
    uint64_t number = 0;
    for (size_t n = 0; n < sizeof requests / sizeof *requests; ++n) {
        const char *json = requests[n].request;
        FAILS(AA_INVALID_REQUEST, aa_helper_submit(helper, json, strlen(json), &number));
        EXPECT(has(aa_last_error(), requests[n].words));
    }
    EXPECT(number == 0);
    // The length decides, not a NUL.
    OK(aa_helper_submit(helper, "{\"prompt\": \"p\"}}}}", 15, &number));
    aa_helper_free(helper);
    aa_manager_free(manager);
    aa_debrief *debrief = NULL;
    FAILS(AA_IO, aa_debrief_new("/nowhere/at/all", 15, &debrief));
}

// --- A backend of the program's ---------------------------------------------------------------

static aa_call *invalided;

static void process(void *userdata, aa_call *call) {
    note *n = (note *)userdata;
    const char *prompt = aa_call_prompt(call);
    EXPECT(prompt != NULL && prompt == aa_call_prompt(call));
    EXPECT(aa_call_arguments(call) == NULL);
    invalided = call;
    if (strcmp(prompt, "fail") == 0) {
        FAILS(AA_INVALID_REQUEST, aa_call_fail(call, "nonsense", 8, "m", 1));
        OK(aa_call_fail(call, "rate_limited", 12, "too much", 8));
    } else if (strcmp(prompt, "nothing") == 0) {
        return;
    } else if (strcmp(prompt, "hang") == 0) {
        bump(n, &n->deltas);
        EXPECT(!aa_call_pause(call, 60000) && aa_call_is_cancelled(call));
        FAILS(AA_STOPPED, aa_call_send_text(call, "t", 1));
    } else if (strcmp(prompt, "stream") == 0) {
        OK(aa_call_send_text(call, "one ", 4));
        OK(aa_call_send_text(call, "two", 3));
        OK(aa_call_reply(call, "one two", 7));
    } else if (strcmp(prompt, "refused") == 0) {
        FAILS(AA_STOPPED, aa_call_send_text(call, "one", 3));
        EXPECT(aa_call_is_cancelled(call) && !aa_call_pause(call, 60000));
    } else {
        EXPECT(aa_call_remaining_ms(call) > 0 && aa_call_remaining_ms(call) <= 30000);
        EXPECT(aa_call_pause(call, 0) && !aa_call_is_cancelled(call));
        char *request = aa_call_request_json(call);
        OK(aa_call_reply(call, "first", 5));
        OK(aa_call_reply(call, request, strlen(request)));
        aa_string_free(request);
    }
}

static void a_backend_of_the_program(void) {
    aa_manager *manager = manager_new(2);
    aa_helper *helper = NULL;
    note n;
    note_init(&n);
    OK(aa_manager_spawn_backend(manager, LOCAL, strlen(LOCAL), "Mine", 4, process, &n, on_release,
                                &helper));
    EXPECT_OWNED("\"backend\":\"Mine\"", aa_helper_status_json(helper));
    aa_task *task = wait_for(helper, submit(helper, "{\"prompt\": \"p\", \"context\": {\"a\": [1]},"
                                                    " \"turns\": [{\"role\": \"user\", \"text\": \"t\"}]}"));
    EXPECT(has(aa_task_text(task), "\"context\":{\"a\":[1]}"));
    EXPECT(has(aa_task_text(task), "\"turns\":[{\"role\":\"user\",\"text\":\"t\"}]"));
    aa_task_free(task);
    FAILS(AA_INVALID_HANDLE, aa_call_reply(invalided, "late", 4));
    task = wait_for(helper, submit(helper, "{\"prompt\": \"fail\"}"));
    EXPECT(strcmp(aa_task_error_kind(task), "rate_limited") == 0 && has(aa_task_error(task), "too much"));
    aa_task_free(task);
    task = wait_for(helper, submit(helper, "{\"prompt\": \"nothing\"}"));
    EXPECT(strcmp(aa_task_error_kind(task), "protocol") == 0);
    aa_task_free(task);
    uint64_t hangs = submit(helper, "{\"prompt\": \"hang\"}");
    await(&n, &n.deltas, 1);
    EXPECT(aa_helper_cancel(helper, hangs));

    aa_request *request = request_new("{\"prompt\": \"stream\"}");
    OK(aa_request_on_text(request, on_text, &n));
    uint64_t number = 0;
    OK(aa_helper_submit_request(helper, request, &number));
    task = wait_for(helper, number);
    EXPECT(strcmp(aa_task_text(task), "one two") == 0 && strcmp(n.text, "one two") == 0);
    aa_task_free(task);

    n.deltas = 0;
    n.stop_after = 1;
    request = request_new("{\"prompt\": \"refused\"}");
    OK(aa_request_on_text(request, on_text, &n));
    OK(aa_helper_submit_request(helper, request, &number));
    task = wait_for(helper, number);
    EXPECT(strcmp(aa_task_error_kind(task), "cancelled") == 0);
    aa_task_free(task);
    EXPECT(n.released == 0);
    aa_helper_free(helper);
    aa_manager_free(manager);
    await(&n, &n.released, 1);
    EXPECT(n.released == 1);
}

// --- Against the server -----------------------------------------------------------------------

static void double_it(void *userdata, aa_call *call) {
    (void)userdata;
    char text[64];
    EXPECT(aa_call_prompt(call) == NULL && aa_call_request_json(call) == NULL);
    EXPECT(!aa_call_is_cancelled(call) && aa_call_remaining_ms(call) == 0);
    FAILS(AA_UNSUPPORTED, aa_call_send_text(call, "t", 1));
    int x = 0;
    const char *arguments = aa_call_arguments(call);
    if (sscanf(arguments, "{\"x\":%d}", &x) == 1) {
        snprintf(text, sizeof text, "%d", 2 * x);
        OK(aa_call_reply(call, text, strlen(text)));
    } else {
        OK(aa_call_fail(call, "sensor_broken", 13, "x is no number", 14));
    }
}

static aa_task *run(aa_helper *helper, aa_request *request) {
    uint64_t number = 0;
    OK(aa_helper_submit_request(helper, request, &number));
    return wait_for(helper, number);
}

static void answers_of_a_server(void) {
    aa_manager *manager = manager_new(4);
    aa_helper *helper = spawn(manager, server(", \"max_retries\": 0"));
    aa_task *task = wait_for(helper, submit(helper, "{\"prompt\": \"hello\"}"));
    EXPECT(strcmp(aa_task_text(task), "you said: hello") == 0);
    EXPECT_OWNED("\"total_tokens\":5", aa_task_json(task));
    aa_task_free(task);

    task = wait_for(helper, submit(helper, "{\"prompt\": \"fail 500\"}"));
    EXPECT(strcmp(aa_task_error_kind(task), "server") == 0 && has(aa_task_error(task), "HTTP 500"));
    aa_task_free(task);
    aa_helper *refused = spawn(manager, server_with_key("sk-bad", ""));
    task = wait_for(refused, submit(refused, "{\"prompt\": \"hello\"}"));
    EXPECT(strcmp(aa_task_error_kind(task), "authentication") == 0);
    aa_task_free(task);
    EXPECT_OWNED("\"status\":\"error\"", aa_helper_status_json(refused));

    note n;
    note_init(&n);
    aa_request *request = request_new("{\"prompt\": \"stream this please\"}");
    OK(aa_request_on_release(request, on_release, &n));
    OK(aa_request_on_text(request, on_text, &n));
    OK(aa_request_on_done(request, on_done, &n));
    task = run(helper, request);
    EXPECT(n.deltas == 3 && strcmp(n.text, "you said: stream this please") == 0);
    EXPECT(strcmp(aa_task_text(task), n.text) == 0);
    aa_task_free(task);
    await(&n, &n.done, 1);
    await(&n, &n.released, 1);
    EXPECT(!n.task_failed);

    note_init(&n);
    n.stop_after = 1;
    request = request_new("{\"prompt\": \"stream this please\"}");
    OK(aa_request_on_text(request, on_text, &n));
    task = run(helper, request);
    EXPECT(n.deltas == 1 && strcmp(aa_task_error_kind(task), "cancelled") == 0);
    EXPECT_OWNED("\"partial\":\"you said:", aa_task_json(task));
    aa_task_free(task);

    note_init(&n);
    request = request_new("{\"prompt\": \"think 42\"}");
    OK(aa_request_on_reasoning(request, on_reasoning, &n));
    task = run(helper, request);
    EXPECT(strcmp(n.text, "let me see") == 0 && strcmp(aa_task_text(task), "42") == 0);
    aa_task_free(task);

    const char *calls[][2] = {{"{\"prompt\": \"tool {\\\"x\\\": 21}\"}", "the tool said: 42"},
                              {"{\"prompt\": \"tool {\\\"x\\\": \\\"?\\\"}\"}", "error: x is no number"}};
    for (int at = 0; at < 2; ++at) {
        request = request_new(calls[at][0]);
        FAILS(AA_INVALID_REQUEST,
              aa_request_add_tool(request, "double", 6, "Doubles.", 8, "{", 1, double_it, NULL));
        OK(aa_request_add_tool(request, "double", 6, "Doubles.", 8, "{\"type\": \"object\"}", 18,
                               double_it, NULL));
        task = run(helper, request);
        EXPECT(has(aa_task_text(task), calls[at][1]));
        aa_task_free(task);
    }

    // Pictures are parts of the message; a file that is none is refused.
    const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0};
    request = request_new("{\"prompt\": \"look\"}");
    OK(aa_request_add_image(request, "image/png", 9, png, sizeof png));
    OK(aa_request_add_image_url(request, "https://h.example/a.png", 23));
    task = run(helper, request);
    EXPECT(has(aa_task_text(task), "[data:image/png;base64,iVBORw0KGgoA] [https://h.example/a.png]"));
    aa_task_free(task);
    request = request_new("{\"prompt\": \"look\"}");
    OK(aa_request_add_image(request, "image/png", 9, (const unsigned char *)"GIF", 3));
    uint64_t none = 0;
    FAILS(AA_INVALID_REQUEST, aa_helper_submit_request(helper, request, &none));
    aa_request_free(request);

    // Freed while a call hangs: it ends soon.
    uint64_t slow = submit(helper, "{\"prompt\": \"slow\"}");
    aa_task_state state = AA_TASK_QUEUED;
    while (state != AA_TASK_RUNNING) {
        OK(aa_helper_look_up(helper, slow, &state));
    }
    double began = now();
    aa_manager_free(manager);
    EXPECT(now() - began < 10);
    aa_helper_free(helper);
    aa_helper_free(refused);
}

static void an_audit_file_and_its_report(void) {
    const char *path = getenv("AUDIT");
    EXPECT(path != NULL);
    aa_telemetry *telemetry = NULL;
    aa_manager *manager = NULL;
    aa_helper *alone = NULL;
    OK(aa_telemetry_new(path, strlen(path), &telemetry));
    FAILS(AA_INVALID_CONFIG, aa_manager_new_with_telemetry(0, telemetry, &manager));
    OK(aa_manager_new_with_telemetry(1, telemetry, &manager));
    OK(aa_helper_new_with_telemetry(LOCAL, strlen(LOCAL), telemetry, &alone));
    char *run_id = aa_telemetry_run_id(telemetry);
    EXPECT(strlen(run_id) >= strlen("20260101_000000"));
    EXPECT_OWNED("\"lines_written\":0,", aa_telemetry_stats_json(telemetry));
    OK(aa_telemetry_sync(telemetry));
    aa_telemetry_free(telemetry);
    FAILS(AA_INVALID_HANDLE, aa_telemetry_sync(telemetry));
    aa_helper *helper = spawn(manager, LOCAL);
    OK(aa_helper_start(alone));
    aa_task_free(wait_for(helper, submit(helper, "{\"prompt\": \"one\"}")));
    aa_task_free(wait_for(alone, submit(alone, "{\"prompt\": \"two\"}")));
    aa_helper_free(alone);
    aa_helper_free(helper);
    aa_manager_free(manager);

    aa_debrief *debrief = NULL;
    OK(aa_debrief_new(path, strlen(path), &debrief));
    // Two spawns, two calls, two ends.
    EXPECT_OWNED("Total Events: 6", aa_debrief_text(debrief));
    EXPECT_OWNED("# Automation Assistant Telemetry Debrief", aa_debrief_markdown(debrief));
    EXPECT_OWNED("\"total_events\":6", aa_debrief_json(debrief));
    aa_debrief_free(debrief);
    char line[256];
    int len = snprintf(line, sizeof line,
                       "{\"run_id\":\"%s\",\"event\":\"backend_call\",\"backend\":\"B\","
                       "\"latency_ms\":5.0,\"success\":false}\nnonsense\n", run_id);
    OK(aa_debrief_new_from_lines(line, (size_t)len, &debrief));
    EXPECT_OWNED("\"error_count\":1", aa_debrief_json(debrief));
    aa_debrief_free(debrief);
    aa_string_free(run_id);
}

static void lines_of_a_full_disk_are_counted(void) {
    aa_telemetry *telemetry = NULL;
    aa_helper *helper = NULL;
    OK(aa_telemetry_new("/dev/full", 9, &telemetry));
    OK(aa_helper_new_with_telemetry(LOCAL, strlen(LOCAL), telemetry, &helper));
    OK(aa_helper_start(helper));
    aa_task_free(wait_for(helper, submit(helper, "{\"prompt\": \"p\"}")));
    aa_helper_free(helper);
    OK(aa_telemetry_sync(telemetry));
    char *stats = aa_telemetry_stats_json(telemetry);
    EXPECT(has(stats, "\"lines_written\":0,") && !has(stats, "\"lines_lost\":0,") && has(stats, "No space"));
    aa_string_free(stats);
    aa_telemetry_free(telemetry);
}

// --- Threads ----------------------------------------------------------------------------------

#define THREADS 8

typedef struct {
    aa_manager *manager;
    aa_helper *helper;
    int rounds;
} crowd;

typedef struct {
    pthread_t each[THREADS];
} started;

static started start(void *(*run)(void *), crowd *c) {
    started threads;
    for (int n = 0; n < THREADS; ++n) {
        EXPECT(pthread_create(&threads.each[n], NULL, run, c) == 0);
    }
    return threads;
}

static void join(started threads) {
    for (int n = 0; n < THREADS; ++n) {
        pthread_join(threads.each[n], NULL);
    }
}

// Until each has submitted its task.
static void await_submits(crowd *c) {
    while (__atomic_load_n(&c->rounds, __ATOMIC_SEQ_CST) < THREADS) {
        nap(1);
    }
}

static void *member(void *userdata) {
    crowd *c = (crowd *)userdata;
    for (int round = 0; round < c->rounds; ++round) {
        uint64_t number = submit(c->helper, "{\"prompt\": \"p\"}");
        aa_task *task = NULL;
        switch (round % 4) {
        case 0:
            aa_helper_cancel(c->helper, number);
            break;
        case 1: {
            aa_task_ref ref = {c->helper, number};
            size_t index;
            OK(aa_manager_wait_any(c->manager, &ref, 1, SECONDS_MAX_MS, &index, &task));
            aa_task_free(task);
            continue;
        }
        case 2:
            EXPECT_OWNED("queued_tasks", aa_manager_status_json(c->manager));
            break;
        default:
            FAILS(AA_INVALID_REQUEST, aa_helper_submit(c->helper, "{\"promt\": 1}", 12, &number));
            EXPECT(has(aa_last_error(), "promt"));
        }
        task = wait_for(c->helper, number);
        EXPECT((aa_task_text(task) == NULL) == (aa_task_error(task) != NULL));
        aa_task_free(task);
    }
    return NULL;
}

static void eight_threads(int rounds) {
    crowd c = {manager_new(1), NULL, rounds};
    c.helper = spawn(c.manager, "{\"backend_type\": \"local\", \"max_concurrent_tasks\": 4}");
    join(start(member, &c));
    aa_helper_free(c.helper);
    aa_manager_free(c.manager);
}

static void *waiter(void *userdata) {
    crowd *c = (crowd *)userdata;
    aa_task *task = NULL;
    uint64_t number = submit(c->helper, "{\"prompt\": \"p\"}");
    __atomic_fetch_add(&c->rounds, 1, __ATOMIC_SEQ_CST);
    aa_status status = aa_helper_wait(c->helper, number, SECONDS_MAX_MS, &task);
    EXPECT(status == AA_OK || status == AA_STOPPED || status == AA_INVALID_HANDLE);
    aa_task_free(task);
    return NULL;
}

// The manager and the helper's handle are freed while eight threads wait on them.
static void freed_under_waiters(void) {
    crowd c = {manager_new(1), NULL, 0};
    c.helper = spawn(c.manager, "{\"backend_type\": \"local\", \"custom_params\": {\"latency_ms\": 60000}}");
    started threads = start(waiter, &c);
    await_submits(&c);
    double began = now();
    aa_helper_free(c.helper);
    aa_manager_free(c.manager);
    join(threads);
    EXPECT(now() - began < 10);
}

static void *any_waiter(void *userdata) {
    crowd *c = (crowd *)userdata;
    aa_task *task = NULL;
    size_t index = 9;
    aa_task_ref ref = {c->helper, submit(c->helper, "{\"prompt\": \"p\"}")};
    __atomic_fetch_add(&c->rounds, 1, __ATOMIC_SEQ_CST);
    OK(aa_manager_wait_any(c->manager, &ref, 1, SECONDS_MAX_MS, &index, &task));
    EXPECT(index == 0 && aa_task_error_kind(task) != NULL);
    aa_task_free(task);
    return NULL;
}

// The outcome of a helper that is terminated reaches those who wait for one of several: threads that wait
// already or are about to, and one that begins to wait afterwards.
static void terminated_under_waiters(void) {
    crowd c = {manager_new(1), NULL, 0};
    c.helper = spawn(c.manager, "{\"backend_type\": \"local\", \"custom_params\": {\"latency_ms\": 60000}}");
    aa_task_ref ref = {c.helper, submit(c.helper, "{\"prompt\": \"p\"}")};
    started threads = start(any_waiter, &c);
    await_submits(&c);
    OK(aa_helper_terminate(c.helper));
    join(threads);
    aa_task *task = NULL;
    size_t index = 9;
    OK(aa_manager_wait_any(c.manager, &ref, 1, 0, &index, &task));
    EXPECT(index == 0 && aa_task_error_kind(task) != NULL);
    aa_task_free(task);
    aa_helper_free(c.helper);
    aa_manager_free(c.manager);
}

static void *hurried(void *userdata) {
    crowd *c = (crowd *)userdata;
    for (int round = 0; round < c->rounds; ++round) {
        uint64_t number = 0;
        aa_task *task = NULL;
        OK(aa_helper_submit_wait(c->helper, "{\"prompt\": \"p\"}", 15, SECONDS_MAX_MS, &number));
        aa_status status = aa_helper_wait(c->helper, number, SECONDS_MAX_MS, &task);
        EXPECT(status == AA_OK || status == AA_RESULT_DROPPED);
        aa_task_free(task);
    }
    return NULL;
}

// With a place for one result, each task is taken by the thread that waits for it, or was dropped.
static void one_place_for_results(int rounds) {
    crowd c = {manager_new(1), NULL, rounds};
    c.helper = spawn(c.manager, "{\"backend_type\": \"local\", \"max_results\": 1, \"max_concurrent_tasks\": 4}");
    join(start(hurried, &c));
    aa_helper_free(c.helper);
    aa_manager_free(c.manager);
}

// --- Memory -----------------------------------------------------------------------------------

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    EXPECT(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

// The rest of what an allocator keeps; 100,000 leaks of a task's handle would be 40 MB.
#define GROWTH_MAX_KIB 1024

static void flat_memory(int tasks, bool measure) {
    aa_manager *manager = manager_new(1);
    aa_helper *helper = spawn(manager, LOCAL);
    note n;
    note_init(&n);
    long before = 0;
    for (int at = 0; at < tasks; ++at) {
        if (at == tasks / 10) {
            before = resident_kib();
        }
        aa_request *request = request_new("{\"prompt\": \"p\", \"context\": {\"a\": 1}}");
        OK(aa_request_on_release(request, on_release, &n));
        OK(aa_request_on_done(request, on_done, &n));
        aa_task *task = run(helper, request);
        EXPECT(aa_task_text(task) != NULL);
        aa_string_free(aa_task_json(task));
        aa_task_free(task);
    }
    await(&n, &n.released, tasks);
    EXPECT(n.done == tasks && n.released == tasks);
    long grown = resident_kib() - before;
    printf("%d tasks: grown by %ld KiB\n", tasks, grown);
    EXPECT(!measure || grown <= GROWTH_MAX_KIB);
    aa_helper_free(helper);
    aa_manager_free(manager);
}

#ifdef WITH_PANIC
#ifdef __cplusplus
extern "C"
#endif
    aa_status
    aa_test_panic(void);
#endif

int main(int count, char **arguments) {
    int tasks = count > 1 ? atoi(arguments[1]) : 100000;
    bool measure = count > 2;
    tasks_and_results();
    wait_for_one_of_several();
    a_full_queue_gives_the_request_back();
    a_helper_without_a_manager();
    handles_end();
    what_is_wrong_is_named();
    a_backend_of_the_program();
#ifndef LOCAL_ONLY
    answers_of_a_server();
#else
    (void)answers_of_a_server;
#endif
    an_audit_file_and_its_report();
    lines_of_a_full_disk_are_counted();
    eight_threads(tasks / 400);
    freed_under_waiters();
    terminated_under_waiters();
    one_place_for_results(tasks / 40);
    flat_memory(tasks, measure);
#ifdef WITH_PANIC
    FAILS(AA_PANIC, aa_test_panic());
    EXPECT(has(aa_last_error(), "on purpose"));
#endif
    puts("face: ok");
    return 0;
}
