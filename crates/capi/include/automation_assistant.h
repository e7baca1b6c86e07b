/*
 * automation-assistant for C: AI helpers on threads of their own, for small programs.
 *
 * Statuses. Functions that can fail return `aa_status`; AA_OK is 0. `aa_last_error` has the words
 * for this thread's latest failure. Functions without a status return false, 0, NULL or nothing
 * where they fail. A NULL where a pointer is needed is AA_NULL_PARAMETER, never a crash; the
 * functions that free take NULL, and `userdata` may be NULL. Where a call fails, its places for
 * results are left as they were.
 *
 * Texts are UTF-8. They go in as pointer and length in bytes (no NUL is needed), and come out
 * NUL-terminated. A NUL within one comes out as U+FFFD; in JSON it is an escape. What is returned
 * as `char *` is the caller's and freed with `aa_string_free`, once: that cannot be checked. What
 * is returned as `const char *` is borrowed; each function says for how long.
 *
 * Handles (aa_manager, aa_helper, aa_task, aa_request, aa_telemetry, aa_debrief, aa_call) are
 * numbers that point nowhere. One that was freed, or is of another kind, is AA_INVALID_HANDLE; so
 * is one that was freed twice. (A count that makes this so comes round after 2^37 handles in one
 * place of a table; on 32-bit devices after 2^15.) Each kind that the caller owns has its `_free`.
 * Borrowed texts are not covered: those of a freed task must not be read.
 *
 * Threads. Every function may be called from every thread, and one handle from several. Callbacks
 * run on threads of the library unless they say otherwise, outside all locks; they may call every
 * function, but should not wait for a task of the helper whose thread they are on. A callback must
 * not unwind (no C++ exception, no longjmp): that ends the process. `fork` leaves a child without
 * the library's threads: it must not call the library before an exec.
 *
 * A panic, which would be a fault of the library's, ends at its boundary as AA_PANIC.
 */

#ifndef AUTOMATION_ASSISTANT_H
#define AUTOMATION_ASSISTANT_H

/* Made by cbindgen from crates/capi/src: change it there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of this interface. It rises when a program that was built against an older header
// would no longer work.
#define AA_ABI_VERSION 1

// The result of a call. `aa_last_error` has the error text.
typedef enum aa_status {
    // Success.
    AA_OK = 0,
    // A pointer that must not be NULL was NULL.
    AA_NULL_PARAMETER = 1,
    // The handle was freed, is of another kind, or never was one.
    AA_INVALID_HANDLE = 2,
    // A text is no UTF-8.
    AA_INVALID_UTF8 = 3,
    // The configuration is not the required JSON, or is invalid.
    AA_INVALID_CONFIG = 4,
    // The request is not the required JSON, or is invalid.
    AA_INVALID_REQUEST = 5,
    // The manager has its greatest number of helpers.
    AA_MAX_HELPERS = 6,
    // The manager has no such helper, or no longer.
    AA_UNKNOWN_HELPER = 7,
    // The helper never had this task, or its result was taken or cleared.
    AA_UNKNOWN_TASK = 8,
    // The task ended, but its result was dropped for newer ones.
    AA_RESULT_DROPPED = 9,
    // The task has not ended yet; it keeps running.
    AA_WAIT_TIMED_OUT = 10,
    // The helper's queue is full.
    AA_QUEUE_FULL = 11,
    // The helper was stopped, or its manager was freed.
    AA_STOPPED = 12,
    // No API key was given, and the environment has none.
    AA_MISSING_KEY = 13,
    // The library was built without the cargo feature that this needs.
    AA_UNSUPPORTED = 14,
    // The operating system reported an error, for a file or a thread.
    AA_IO = 15,
    // More handles than the library can number.
    AA_TOO_MANY_HANDLES = 16,
    // A failure that fits no other status.
    AA_OTHER = 17,
    // A panic in the library itself, which was caught.
    AA_PANIC = 18,
    // A length is larger than any object can be.
    AA_INVALID_LENGTH = 19,
} aa_status;

// The state of a task.
typedef enum aa_task_state {
    // The helper never had it, or its result was taken or cleared.
    AA_TASK_UNKNOWN = 0,
    // It waits for a thread.
    AA_TASK_QUEUED = 1,
    // A thread works on it.
    AA_TASK_RUNNING = 2,
    // It has ended, with or without success: the result can be taken.
    AA_TASK_FINISHED = 3,
    // It ended, but its result was dropped for newer ones.
    AA_TASK_DROPPED = 4,
} aa_task_state;

// One call of a tool or a backend of the program's. Valid on the thread of the callback that got
// it, until that returns.
typedef struct aa_call aa_call;

// The report on an audit file.
typedef struct aa_debrief aa_debrief;

// A helper: threads that take tasks from a queue and answer them.
typedef struct aa_helper aa_helper;

// Spawns helpers and keeps them running.
typedef struct aa_manager aa_manager;

// A request under construction: JSON, then pictures, tools and callbacks.
typedef struct aa_request aa_request;

// A finished task: the request and its outcome.
typedef struct aa_task aa_task;

// An audit file that is written to: one JSON object a line for each event.
typedef struct aa_telemetry aa_telemetry;

// A task, named by its helper and the number that the submit gave.
typedef struct aa_task_ref {
    // The helper.
    struct aa_helper *helper;
    // The task's number.
    uint64_t task;
} aa_task_ref;

// Called with each delta of the answer's text as it arrives, on a thread of the helper. False
// ends the task as `cancelled`.
typedef bool (*aa_text_callback)(void *userdata, const char *text, size_t len);

// Called with each delta of the model's reasoning, where the provider shows it, on a thread of
// the helper.
typedef void (*aa_reasoning_callback)(void *userdata, const char *text, size_t len);

// Called once when the task has ended. The task is borrowed: valid until the callback returns.
// Runs on a thread of the helper, or on the one that calls `aa_helper_cancel`, or that stops or
// frees a helper which was never started; it may come before the submit has returned. It may call
// every function of the library.
typedef void (*aa_done_callback)(void *userdata, const struct aa_task *task);

// Called once when nothing that it was given with is called any more: the place to free
// `userdata`.
typedef void (*aa_release_callback)(void *userdata);

// A tool of the program's: reads `aa_call_arguments`, and answers with `aa_call_reply` or
// `aa_call_fail`; both texts go to the model. Runs on a thread of the helper, with several
// threads on several at once.
typedef void (*aa_tool_callback)(void *userdata, struct aa_call *call);

// A backend of the program's: reads `aa_call_prompt` or `aa_call_request_json`, and answers with
// `aa_call_reply` or `aa_call_fail`. Runs on a thread of the helper, with several threads on
// several at once. It should return soon after `aa_call_is_cancelled` says true.
typedef void (*aa_process_callback)(void *userdata, struct aa_call *call);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The `AA_ABI_VERSION` that the library was built with.
uint32_t aa_abi_version(void);

// The library's version, such as `0.1.0`. Static: never freed.
const char *aa_version(void);

// The error text of this thread's latest failed call; empty where none has failed. Never NULL.
// Valid until the next call of the library that fails on this thread, and until the thread ends
// (empty in destructors of the thread's own data, and in `atexit`).
const char *aa_last_error(void);

// Frees a text that a function returned as `char *`; NULL is fine. No text may be freed twice:
// that cannot be checked, as it can for handles.
void aa_string_free(char *text);

// Makes a manager of at most this many helpers. Owned by the caller: `aa_manager_free`.
enum aa_status aa_manager_new(size_t max_helpers, struct aa_manager **out);

// The same for at least one helper, with every event of every helper written to an audit file.
// The telemetry's handle may be freed afterwards.
enum aa_status aa_manager_new_with_telemetry(size_t max_helpers,
                                             const struct aa_telemetry *telemetry,
                                             struct aa_manager **out);

// Stops all helpers, as `aa_manager_terminate_all` does, and frees the manager. Helper handles
// stay valid: their calls fail (`AA_STOPPED`) until `aa_helper_free`. NULL is fine.
void aa_manager_free(struct aa_manager *manager);

// Spawns a helper from its configuration: JSON with `backend_type` (`chatgpt`, `comet`, `local`,
// `anthropic`) and, where wanted, `name`, `model`, `api_key`, `api_endpoint`,
// `max_concurrent_tasks`, `timeout_seconds`, `system_prompt`, `custom_params` and the others that
// README lists. An unknown member is an error that names it. The helper's handle is owned by the
// caller: `aa_helper_free`. The manager keeps the helper running without it.
enum aa_status aa_manager_spawn(struct aa_manager *manager,
                                const char *config_json,
                                size_t len,
                                struct aa_helper **out);

// Another handle to the helper of this id (as in status reports and audit lines). Owned by the
// caller: `aa_helper_free`.
enum aa_status aa_manager_find(const struct aa_manager *manager,
                               const char *helper_id,
                               size_t len,
                               struct aa_helper **out);

// The number of helpers; 0 where the handle is invalid.
size_t aa_manager_helper_count(const struct aa_manager *manager);

// The state and counters of every helper: a JSON array of what `aa_helper_status_json` returns.
// Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
char *aa_manager_status_json(const struct aa_manager *manager);

// Waits until one of several tasks of this manager's helpers has ended, and takes its result.
// `index` gets its place in the list (the first, where several have ended). Times, statuses and
// ownership are those of `aa_helper_wait`; no tasks are `AA_INVALID_REQUEST`, and a helper of
// another manager is `AA_UNKNOWN_HELPER`.
enum aa_status aa_manager_wait_any(const struct aa_manager *manager,
                                   const struct aa_task_ref *tasks,
                                   size_t count,
                                   uint32_t timeout_ms,
                                   size_t *index,
                                   struct aa_task **out);

// Stops all helpers at the same time and removes them. Running tasks are cancelled, queued ones
// end as `terminated`. The call takes about a second at most; with helpers that speak HTTP longer by
// their connect time-out (10 s unless set), which a thread that is connecting takes, or one that is
// in a tool. New helpers can be spawned afterwards.
enum aa_status aa_manager_terminate_all(struct aa_manager *manager);

// Makes a helper without a manager, from a configuration as `aa_manager_spawn` takes it. It
// takes tasks at once, and works on them after `aa_helper_start`. Owned by the caller:
// `aa_helper_free`, which stops it.
enum aa_status aa_helper_new(const char *config_json, size_t len, struct aa_helper **out);

// The same with every event of the helper written to an audit file.
enum aa_status aa_helper_new_with_telemetry(const char *config_json,
                                            size_t len,
                                            const struct aa_telemetry *telemetry,
                                            struct aa_helper **out);

// Starts the threads of a helper of `aa_helper_new`. A helper that runs is left as it is.
enum aa_status aa_helper_start(struct aa_helper *helper);

// Stops a helper for good: running tasks are cancelled, queued ones end as `terminated`, results
// stay readable. A manager still counts it until `aa_helper_terminate`.
enum aa_status aa_helper_stop(struct aa_helper *helper);

// Stops a manager's helper and removes it from the manager. Its results stay readable through
// this handle. `AA_UNKNOWN_HELPER` for one that is removed already, or has no manager.
enum aa_status aa_helper_terminate(struct aa_helper *helper);

// Frees the handle. A manager's helper keeps running; one of `aa_helper_new` is stopped. NULL is
// fine.
void aa_helper_free(struct aa_helper *helper);

// The helper's id, as in status reports and audit lines. Owned by the caller: `aa_string_free`.
// NULL where the handle is invalid, or the manager was freed.
char *aa_helper_id(const struct aa_helper *helper);

// The helper's state and counters as JSON: `helper_id`, `name`, `backend`, `status`,
// `queued_tasks`, `active_tasks`, `completed_tasks`, `failed_tasks` and more. Owned by the
// caller: `aa_string_free`. NULL where the handle is invalid, or the manager was freed.
char *aa_helper_status_json(const struct aa_helper *helper);

// Puts a task into the helper's queue. The request is JSON with `prompt` and, where wanted,
// `context`, `priority` (`high`, `normal`, `low`), `timeout_ms`, `deadline_ms`, `system_prompt`,
// `turns`, `custom_params`, `reply_schema` and the others that README lists; an unknown one is an
// error that names it. `task` gets the number that names the task at this helper.
enum aa_status aa_helper_submit(struct aa_helper *helper,
                                const char *request_json,
                                size_t len,
                                uint64_t *task);

// The same; waits for a free place in the queue at most this long (`UINT32_MAX`: without limit).
enum aa_status aa_helper_submit_wait(struct aa_helper *helper,
                                     const char *request_json,
                                     size_t len,
                                     uint32_t timeout_ms,
                                     uint64_t *task);

// Waits until the task has ended, at most this long (`UINT32_MAX`: without limit), and takes its
// result: a second wait is `AA_UNKNOWN_TASK`. `AA_WAIT_TIMED_OUT` where it has not ended; it goes
// on then. `AA_OK` says that it ended, well or not: see `aa_task_error`. Owned by the caller:
// `aa_task_free`.
enum aa_status aa_helper_wait(struct aa_helper *helper,
                              uint64_t task,
                              uint32_t timeout_ms,
                              struct aa_task **out);

// The same without waiting.
enum aa_status aa_helper_take(struct aa_helper *helper, uint64_t task, struct aa_task **out);

// The same without waiting, and the result stays: it can be read again.
enum aa_status aa_helper_get(const struct aa_helper *helper, uint64_t task, struct aa_task **out);

// Ends a waiting or running task as `cancelled`. False where it has ended already, or is unknown.
bool aa_helper_cancel(struct aa_helper *helper, uint64_t task);

// The state of a task. An unknown one is `AA_TASK_UNKNOWN`, and no error.
enum aa_status aa_helper_look_up(const struct aa_helper *helper,
                                 uint64_t task,
                                 enum aa_task_state *state);

// Removes all finished tasks of the helper; returns their number, 0 where the handle is invalid.
size_t aa_helper_clear_results(struct aa_helper *helper);

// The task's id as it stands in audit lines and in `aa_task_json`. Owned by the caller:
// `aa_string_free`. NULL where the helper cannot have a task of this number.
char *aa_helper_task_id(const struct aa_helper *helper, uint64_t task);

// The number of the task with this id, which is one of this helper's ids. `aa_helper_look_up`
// reports whether the helper has the task.
enum aa_status aa_helper_find_task(const struct aa_helper *helper,
                                   const char *task_id,
                                   size_t len,
                                   uint64_t *task);

// The answer, or NULL where the task failed. Borrowed: valid until `aa_task_free`.
const char *aa_task_text(const struct aa_task *task);

// The error text, or NULL where there is one. Borrowed: valid until
// `aa_task_free`.
const char *aa_task_error(const struct aa_task *task);

// The kind of the failure, such as `timeout` or `rate_limited`, or NULL where there is an answer.
// Programs decide by the kind, not by the text. Borrowed: valid until `aa_task_free`.
const char *aa_task_error_kind(const struct aa_task *task);

// The number that the submit gave; 0 where the handle is invalid.
uint64_t aa_task_number(const struct aa_task *task);

// All of the task as JSON: `task_id`, `helper_id`, `prompt`, `context`, `created_at` and
// `completed_at` (Unix seconds), `result`, `error` (`kind`, `summary`, `message`, `status`,
// `code`, `request_id`, `retry_after_seconds`, `partial`), `model`, `usage`, `cost`,
// `finish_reason`, `api`, `attempts`, `queue_ms`, `latency_ms`, `echoed`. Owned by the caller:
// `aa_string_free`. NULL where the handle is invalid.
char *aa_task_json(const struct aa_task *task);

// Frees the task, and the texts borrowed of it. NULL is fine.
void aa_task_free(struct aa_task *task);

// Makes a request from JSON as `aa_helper_submit` takes it. Owned by the caller:
// `aa_request_free`, until `aa_helper_submit_request` has taken it.
enum aa_status aa_request_new(const char *request_json, size_t len, struct aa_request **out);

// Sets the callback that gets the answer's deltas; a second one replaces the first.
enum aa_status aa_request_on_text(struct aa_request *request,
                                  aa_text_callback callback,
                                  void *userdata);

// Sets the callback that gets the model's reasoning in deltas; a second replaces the first.
enum aa_status aa_request_on_reasoning(struct aa_request *request,
                                       aa_reasoning_callback callback,
                                       void *userdata);

// Sets the callback that is called when the task has ended; a second one replaces the first.
enum aa_status aa_request_on_done(struct aa_request *request,
                                  aa_done_callback callback,
                                  void *userdata);

// Sets a callback that is called once when no other callback and no tool of this request will be
// called any more, also where the request is freed unsubmitted. It frees the data behind their
// `userdata`. Set it before the other callbacks.
enum aa_status aa_request_on_release(struct aa_request *request,
                                     aa_release_callback callback,
                                     void *userdata);

// Gives the model a tool that it may call while it works on this task: a name of letters,
// digits, `_` and `-`, what it does in words, and the JSON schema of its arguments. The callback
// answers with `aa_call_reply` or `aa_call_fail`.
enum aa_status aa_request_add_tool(struct aa_request *request,
                                   const char *name,
                                   size_t name_len,
                                   const char *description,
                                   size_t description_len,
                                   const char *schema_json,
                                   size_t schema_len,
                                   aa_tool_callback callback,
                                   void *userdata);

// Adds a picture to the prompt: the bytes of a PNG, JPEG, WebP or GIF file, which are copied, and
// the media type, such as `image/png`. Whether they are accepted shows when the request is
// submitted; a backend that takes no pictures ends the task as `unsupported`.
enum aa_status aa_request_add_image(struct aa_request *request,
                                    const char *media_type,
                                    size_t media_type_len,
                                    const uint8_t *bytes,
                                    size_t len);

// Adds a picture to the prompt that the provider fetches from this URL; the library does not.
enum aa_status aa_request_add_image_url(struct aa_request *request, const char *url, size_t len);

// Submits a request with its callbacks and tools. Where this returns `AA_OK` the library has
// taken the request, and its handle is no longer valid. `AA_QUEUE_FULL` and `AA_STOPPED` leave it
// as it was, to be submitted again; after any other failure of the submit it can only be freed.
enum aa_status aa_helper_submit_request(struct aa_helper *helper,
                                        struct aa_request *request,
                                        uint64_t *task);

// Frees a request that was not submitted. NULL is fine.
void aa_request_free(struct aa_request *request);

// Spawns a helper whose tasks the program itself answers. `name` is the backend's name in status
// reports and audit lines. The configuration's `backend_type` has no effect: `custom`, say.
// `release` may be NULL; it is called with `userdata` once the backend is no longer called, or
// where this fails after its parameters were validated. The handle is owned by the caller:
// `aa_helper_free`.
enum aa_status aa_manager_spawn_backend(struct aa_manager *manager,
                                        const char *config_json,
                                        size_t len,
                                        const char *name,
                                        size_t name_len,
                                        aa_process_callback process,
                                        void *userdata,
                                        aa_release_callback release,
                                        struct aa_helper **out);

// The prompt of a backend's call; NULL for a tool's. Borrowed: valid until the callback returns.
const char *aa_call_prompt(const struct aa_call *call);

// The arguments of a tool's call, a JSON object; NULL for a backend's. Borrowed: valid until the
// callback returns.
const char *aa_call_arguments(const struct aa_call *call);

// The request of a backend's call as JSON: `task_id`, `helper_id`, `prompt`, `context`,
// `system_prompt`, `turns`, `custom_params`. NULL for a tool's. Owned by the caller:
// `aa_string_free`.
char *aa_call_request_json(const struct aa_call *call);

// Whether the task of a backend's call was cancelled, or its `aa_text_callback` has returned false;
// false for a tool's call.
bool aa_call_is_cancelled(const struct aa_call *call);

// Waits this long, or until the task is cancelled (as `aa_call_is_cancelled` says) or its time is
// up; false then, and for a tool's call.
bool aa_call_pause(const struct aa_call *call, uint32_t wait_ms);

// Milliseconds that a backend's call has left; `UINT32_MAX` for no limit, 0 for a tool's call.
uint32_t aa_call_remaining_ms(const struct aa_call *call);

// Passes a delta of a backend's answer to the request's `aa_text_callback`, if it has one. The
// whole answer goes to `aa_call_reply` nevertheless. `AA_STOPPED` once the task is cancelled.
enum aa_status aa_call_send_text(struct aa_call *call, const char *text, size_t len);

// Answers the call; a later answer replaces an earlier one.
enum aa_status aa_call_reply(struct aa_call *call, const char *text, size_t len);

// Answers the call with a failure: a kind as `aa_task_error_kind` returns it (`other` is always
// valid; ignored for a tool), and a text, which becomes part of the task's error, quoted there as a
// server's words are, and of no audit line.
enum aa_status aa_call_fail(struct aa_call *call,
                            const char *kind,
                            size_t kind_len,
                            const char *message,
                            size_t message_len);

// Opens an audit file for appending, and makes it and its folders where they are missing. Owned
// by the caller: `aa_telemetry_free`.
enum aa_status aa_telemetry_new(const char *path, size_t len, struct aa_telemetry **out);

// The id of this run, which each of its lines has. Owned by the caller: `aa_string_free`. NULL
// where the handle is invalid.
char *aa_telemetry_run_id(const struct aa_telemetry *telemetry);

// Counts of the lines so far, as JSON: `lines_written`, `lines_lost` (they could not be written),
// `reopened`, `rotations`, `rotations_skipped`, and `last_error`, the system's words of the last
// failure, or null. Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
char *aa_telemetry_stats_json(const struct aa_telemetry *telemetry);

// Waits until the disk has all lines written so far. Lines that could not be written are no failure
// of this call: `aa_telemetry_stats_json` counts them.
enum aa_status aa_telemetry_sync(const struct aa_telemetry *telemetry);

// Frees the handle. The file is closed when no manager or helper writes to it any more. NULL is
// fine.
void aa_telemetry_free(struct aa_telemetry *telemetry);

// Reads an audit file. Lines that cannot be read are counted, and no error. Owned by the caller:
// `aa_debrief_free`.
enum aa_status aa_debrief_new(const char *path, size_t len, struct aa_debrief **out);

// The same for lines that the program has in memory.
enum aa_status aa_debrief_new_from_lines(const char *lines, size_t len, struct aa_debrief **out);

// The report for a console. Owned by the caller: `aa_string_free`. NULL where the handle is
// invalid.
char *aa_debrief_text(const struct aa_debrief *debrief);

// The report as Markdown. Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
char *aa_debrief_markdown(const struct aa_debrief *debrief);

// The report as JSON. Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
char *aa_debrief_json(const struct aa_debrief *debrief);

// Frees the report. NULL is fine.
void aa_debrief_free(struct aa_debrief *debrief);

// The state of the device as JSON: memory, load, temperature, battery, network and so on; a value
// that it does not report is replaced by the reason. Owned by the caller: `aa_string_free`. NULL
// on failure.
char *aa_device_json(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* AUTOMATION_ASSISTANT_H */
