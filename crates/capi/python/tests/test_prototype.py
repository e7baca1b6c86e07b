"""The prototype's users: each snippet of its README, each behaviour of its modules."""

import asyncio
import ctypes
import dataclasses
import gc
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import typing
import unittest
from datetime import datetime

TESTS = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.dirname(TESTS)
SECONDS_MAX = 30
LOOK_SECONDS = 0.005


def module_of(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SERVER, BASE_URL = module_of(os.path.join(PYTHON, "..", "tests", "server.py"), "server").start()
# What the environment offers must not decide, but for the stand-in endpoints.
for variable in ("OPENAI_API_KEY", "OPIK_API_KEY"):
    os.environ.pop(variable, None)
os.environ["OPENAI_BASE_URL"] = BASE_URL
FOLDER = tempfile.TemporaryDirectory()
unittest.addModuleCleanup(FOLDER.cleanup)
os.chdir(FOLDER.name)
sys.path.insert(0, PYTHON)

import automation_assistant as aa  # noqa: E402
import telemetry  # noqa: E402

debrief = module_of(os.path.join(PYTHON, "scripts", "debrief.py"), "debrief")
SLOW = {"latency_ms": 60_000}


def until(ready, seconds=SECONDS_MAX):
    """What ready() gives once it gives something."""
    end = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(LOOK_SECONDS)
    return found


def run(code_or_path, *arguments, environment=None, cwd=None, expect=0):
    """Runs a program in a process and a folder of its own; its output."""
    given = [code_or_path, *arguments] if code_or_path.endswith(".py") else ["-c", code_or_path]
    variables = {**os.environ, "PYTHONPATH": PYTHON, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, *given], cwd=cwd or folder, env=variables,
                              capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expect, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


class Snippets(unittest.TestCase):
    """Each snippet of the prototype's README, as it stands there."""

    def test_each_runs_as_typed(self):
        with open(os.path.join(TESTS, "snippets.md"), encoding="utf-8") as file:
            snippets = re.findall(r"```python\n(.*?)```", file.read(), re.S)
        programs = [snippet for snippet in snippets if not snippet.startswith("@dataclass")]
        self.assertEqual(len(programs), 11)
        for snippet in programs:
            with self.subTest(snippet=snippet), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "snippet.txt")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(snippet)
                output = run(os.path.join(TESTS, "typing_user.py"), path)
                ends = json.loads(re.search(r"^ENDS (.*)$", output, re.M)[1])
                self.assertEqual([failed for _, failed in ends], [0] * len(ends), output)
                # Answers that it prints, and tasks that it leaves to a helper.
                printed = 2 * ("Model result" in snippet) + ("print(result.result)" in snippet)
                self.assertEqual(output.count("you said: "), printed, output)
                if "submit_task(" in snippet and "terminate_all" not in snippet:
                    self.assertGreater(sum(done for done, _ in ends), 0, output)

    def test_the_dataclasses_have_the_fields_that_it_shows(self):
        with open(os.path.join(TESTS, "snippets.md"), encoding="utf-8") as file:
            shown = re.findall(r"```python\n(@dataclass.*?)```", file.read(), re.S)
        names = {**vars(typing), "dataclass": dataclasses.dataclass, "field": dataclasses.field,
                 "BackendType": aa.BackendType, "datetime": datetime}
        self.assertEqual(len(shown), 2)
        for snippet in shown:
            exec(snippet, names)
        for ours in (aa.HelperConfig, aa.Task):
            theirs = names[ours.__name__]
            fields = [[(field.name, field.type) for field in dataclasses.fields(kind)] for kind in (ours, theirs)]
            self.assertEqual(*fields)
        for ours, theirs in zip(dataclasses.fields(aa.HelperConfig), dataclasses.fields(names["HelperConfig"])):
            self.assertEqual((ours.default, ours.default_factory), (theirs.default, theirs.default_factory))

    def test_the_demo_and_the_debrief_run(self):
        with tempfile.TemporaryDirectory() as folder:
            # As installed: beside the program's own files.
            for name in ("automation_assistant.py", "telemetry.py", "automation_assistant_demo.py"):
                shutil.copy(os.path.join(PYTHON, name), folder)
            shutil.copytree(os.path.join(PYTHON, "scripts"), os.path.join(folder, "scripts"))
            output = run("automation_assistant_demo.py", cwd=folder)
            self.assertIn("Local Response: Echo of 'Check battery health'", output)
            self.assertNotIn("Overall Health", output)
            output = run("automation_assistant_demo.py", "--debrief", cwd=folder)
            self.assertIn("Overall Health: 🟢 OK\nTotal Runs: 2\n", output)
            output = run("scripts/debrief.py", cwd=folder)
            self.assertIn("✅ Detailed report saved to: docs/debrief/latest.md", output)
            with open(os.path.join(folder, "docs", "debrief", "latest.md"), encoding="utf-8") as file:
                self.assertIn("**Failure Rate:** 0.00%", file.read())


class Backends(unittest.TestCase):
    def test_a_local_one_answers_and_says_where_there_is_context(self):
        backend = aa.LocalBackend()
        self.assertEqual(backend.get_name(), "Local (local-mock)")
        answer = asyncio.run(backend.process("hello"))
        self.assertTrue(answer.startswith("Local Response: "), answer)
        self.assertNotIn("Context provided", answer)
        self.assertIn("Context provided", asyncio.run(backend.process("hello", {"a": 1})))

    def test_the_names_hold_the_model(self):
        self.assertIn("gpt-4", aa.ChatGPTBackend(api_key="k", model="gpt-4").get_name())
        self.assertIn("gpt-3.5-turbo", aa.ChatGPTBackend().get_name())
        self.assertIn("m", aa.CometBackend(model="m").get_name())
        self.assertIn("other", aa.LocalBackend(model="other").get_name())

    def test_chatgpt_asks_the_endpoint_and_failures_raise(self):
        backend = aa.ChatGPTBackend(api_key="k")
        self.assertEqual(asyncio.run(backend.process("hello")), "you said: hello")
        with self.assertRaisesRegex(RuntimeError, "HTTP 401"):
            asyncio.run(aa.ChatGPTBackend(api_key="sk-bad").process("hello"))

    def test_comet_asks_its_endpoint(self):
        config = aa.HelperConfig(aa.BackendType.COMET, api_key="k", model="m", api_endpoint=BASE_URL)
        helper = aa.AutomationHelper(config)
        self.assertEqual(helper.backend.get_name(), "Comet (m)")
        self.assertIsInstance(helper.backend, aa.CometBackend)

    def test_a_cancelled_call_cancels_its_task(self):
        backend = aa.LocalBackend(**SLOW)

        async def give_up():
            await asyncio.wait_for(backend.process("hello"), 0.05)

        with self.assertRaises(asyncio.TimeoutError):
            asyncio.run(give_up())
        until(lambda: backend._helper.get_status()["active_tasks"] == 0)

    def test_one_of_the_program_s_own_answers_on_the_library_s_threads(self):
        class Shout(aa.AIBackend):
            def get_name(self):
                return "Shout"

            async def process(self, prompt, context=None):
                if prompt == "fail":
                    raise KeyError("no such thing")
                await asyncio.sleep(0)
                return f"{prompt.upper()} {context} {threading.current_thread() is threading.main_thread()}"

        manager = aa.AutomationAssistantManager()
        helper = manager.spawn_helper(aa.HelperConfig(aa.BackendType.CUSTOM, name="s"), Shout())
        self.assertEqual(manager.get_all_helpers_status()[0]["backend"], "Shout")
        task = manager.submit_task(helper, "hello", {"a": 1})
        result = until(lambda: manager.get_task_result(helper, task))
        self.assertEqual(result.result, "HELLO {'a': 1} False")
        task = manager.submit_task(helper, "fail")
        self.assertIn("no such thing", until(lambda: manager.get_task_result(helper, task)).error)
        self.assertEqual(len(aa._custom._backends), 1)
        with self.assertRaises(ValueError):
            manager.spawn_helper(aa.HelperConfig(aa.BackendType.CUSTOM, max_concurrent_tasks=0), Shout())
        manager.terminate_all()
        del manager
        gc.collect()
        self.assertEqual(aa._custom._backends, {})


class Helper(unittest.TestCase):
    def test_its_life(self):
        helper = aa.AutomationHelper(aa.HelperConfig(aa.BackendType.LOCAL, name="mine"))
        self.assertEqual((helper.name, helper.status, helper._running), ("mine", aa.HelperStatus.INITIALIZING, False))
        self.assertIsInstance(helper.backend, aa.LocalBackend)
        self.assertEqual(helper.backend.get_name(), "Local (local-mock)")
        early = helper.submit_task("early", {"a": [1, None]})
        self.assertIsNone(helper.get_task_result(early))
        self.assertEqual(helper.get_status()["queued_tasks"], 1)
        before = datetime.now()
        helper.start()
        self.assertTrue(helper._running)
        task = until(lambda: helper.get_task_result(early))
        self.assertIn("Context provided", task.result)
        self.assertEqual((task.task_id, task.prompt, task.context, task.error), (early, "early", {"a": [1, None]}, None))
        self.assertIsInstance(task.created_at, datetime)
        self.assertLess(abs((task.completed_at - before).total_seconds()), SECONDS_MAX)
        self.assertEqual(helper.get_task_result(early).result, task.result, "it can be read again")
        self.assertIn(helper.status, (aa.HelperStatus.READY, aa.HelperStatus.IDLE))
        status = helper.get_status()
        expected = {"helper_id": helper.helper_id, "name": "mine", "backend": "Local (local-mock)", "status": "idle",
                    "queued_tasks": 0, "active_tasks": 0, "completed_tasks": 1}
        self.assertEqual({name: status[name] for name in expected}, expected)
        self.assertIsNone(helper.get_task_result("nonsense"))
        helper.stop()
        self.assertEqual((helper._running, helper.status), (False, aa.HelperStatus.TERMINATED))
        with self.assertRaisesRegex(RuntimeError, "stopped"):
            helper.submit_task("late")

    def test_what_cannot_work_is_said_at_once(self):
        local = aa.BackendType.LOCAL
        for config, error, words in [
            (aa.HelperConfig(local, max_concurrent_tasks=0), ValueError, "max_concurrent_tasks is 0"),
            (aa.HelperConfig(local, custom_params={"latency_ms": "x"}), ValueError, "latency_ms"),
            (aa.HelperConfig(aa.BackendType.COMET, api_key="k"), ValueError, "needs a model"),
            (aa.HelperConfig(aa.BackendType.CUSTOM), ValueError, "invalid configuration"),
            (aa.HelperConfig(aa.BackendType.CHATGPT, api_endpoint="https://api.openai.com/v1"), ValueError, "OPENAI_API_KEY"),
            (aa.HelperConfig(aa.BackendType.COMET, model="m"), ValueError, "OPIK_API_KEY"),
        ]:
            with self.subTest(config=config), self.assertRaisesRegex(error, words):
                aa.AutomationHelper(config)
        helper = aa.AutomationHelper(aa.HelperConfig(local))
        for prompt, context in [(" ", None), (7, None), ("p", ["no", "map"]), ("\ud800", None)]:
            with self.subTest(prompt=prompt), self.assertRaises(ValueError):
                helper.submit_task(prompt, context)

    def test_a_failed_task_has_an_error_and_no_result(self):
        helper = aa.AutomationHelper(aa.HelperConfig(aa.BackendType.LOCAL, timeout_seconds=0.01, custom_params=SLOW))
        helper.start()
        number = helper.submit_task("p")
        task = until(lambda: helper.get_task_result(number))
        self.assertIsNone(task.result)
        self.assertIn("no answer within the task's time", task.error)

    def test_a_key_is_not_shown(self):
        self.assertNotIn("sk-1", repr(aa.HelperConfig(aa.BackendType.CHATGPT, api_key="sk-1")))


class Manager(unittest.TestCase):
    def test_the_enums(self):
        kinds = {kind.name: kind.value for kind in aa.BackendType}
        self.assertLessEqual({"CHATGPT": "chatgpt", "COMET": "comet", "LOCAL": "local", "CUSTOM": "custom"}.items(), kinds.items())
        names = ["INITIALIZING", "READY", "PROCESSING", "IDLE", "ERROR", "TERMINATED"]
        self.assertEqual([(status.name, status.value) for status in aa.HelperStatus], [(n, n.lower()) for n in names])

    def test_helpers_tasks_and_the_limit(self):
        self.assertEqual(aa.AutomationAssistantManager().max_helpers, 5)
        manager = aa.AutomationAssistantManager(max_helpers=2)
        first = manager.spawn_helper(aa.HelperConfig(aa.BackendType.LOCAL))
        second = aa.create_local_helper(manager, name="second")
        self.assertIsInstance(first, str)
        self.assertEqual((len(manager.helpers), list(manager.helpers)), (2, [first, second]))
        with self.assertRaisesRegex(RuntimeError, r"Maximum number of helpers \(2\) reached"):
            aa.create_local_helper(manager)
        self.assertEqual(manager.get_helper(second).name, "second")
        task = manager.submit_task(second, "p")
        self.assertIsInstance(task, str)
        self.assertIn("Echo of 'p'", until(lambda: manager.get_task_result(second, task)).result)
        self.assertEqual([status["name"] for status in manager.get_all_helpers_status()], ["local", "second"])

        helper = manager.get_helper(second)
        manager.terminate_helper(second)
        self.assertEqual((len(manager.helpers), helper.status), (1, aa.HelperStatus.TERMINATED))
        self.assertIsNone(manager.get_helper(second))
        self.assertIsNone(manager.get_task_result(second, task))
        for unknown in (second, "nonsense", "00000000"):
            with self.assertRaisesRegex(ValueError, "Helper ID not found"):
                manager.terminate_helper(unknown)
            with self.assertRaisesRegex(ValueError, "Helper ID not found"):
                manager.submit_task(unknown, "p")
            self.assertIsNone(manager.get_task_result(unknown, task))
        self.assertIsNone(manager.get_task_result(first, task), "another helper's task")
        manager.terminate_all()
        self.assertEqual((manager.helpers, manager.get_all_helpers_status()), ({}, []))
        self.assertEqual(len(aa.create_local_helper(manager)), 8, "there is a free place again")

    def test_the_short_forms(self):
        manager = aa.AutomationAssistantManager()
        chatgpt = aa.create_chatgpt_helper(manager, name="c", api_key="k")
        self.assertEqual(manager.get_helper(chatgpt).backend.get_name(), "ChatGPT (gpt-3.5-turbo)")
        task = manager.submit_task(chatgpt, "hello", context={"priority": "high"})
        self.assertEqual(until(lambda: manager.get_task_result(chatgpt, task)).result, "you said: hello")
        comet = aa.create_comet_helper(manager, api_key="k")
        self.assertIn("Comet", manager.get_helper(comet).backend.get_name())

    def test_a_hundred_leave_no_thread_and_no_memory(self):
        def turn():
            manager = aa.AutomationAssistantManager()
            helpers = [aa.create_local_helper(manager) for _ in range(3)]
            tasks = [(helper, manager.submit_task(helper, "p" * 1000)) for helper in helpers]
            for helper, task in tasks:
                until(lambda: manager.get_task_result(helper, task))

        def threads_and_kib():
            with open("/proc/self/statm", encoding="ascii") as file:
                pages = int(file.read().split()[1])
            return len(os.listdir("/proc/self/task")), pages * os.sysconf("SC_PAGESIZE") // 1024

        for _ in range(10):
            turn()
        gc.collect()
        threads, kib = threads_and_kib()
        for _ in range(100):
            turn()
        self.assertEqual(threads_and_kib()[0], threads)
        self.assertLess(threads_and_kib()[1] - kib, 4096)


class Process(unittest.TestCase):
    """What becomes of a process around the library."""

    def test_a_program_ends_with_tasks_running(self):
        began = time.monotonic()
        for backend in ("", """
class Busy(aa.AIBackend):
    def get_name(self): return "Busy"
    def process(self, prompt, context=None):
        while True: pass
""", """
class Busy(aa.AIBackend):
    def get_name(self): return "Busy"
    def process(self, prompt, context=None): time.sleep(60)
"""):
            own = ", Busy()" if backend else ""
            output = run(f"""
import automation_assistant as aa, time{backend}
manager = aa.AutomationAssistantManager()
config = aa.HelperConfig(aa.BackendType.LOCAL, custom_params={{"latency_ms": 60000}})
helper = manager.spawn_helper(config{own})
manager.submit_task(helper, "p")
while manager.get_helper(helper).status != aa.HelperStatus.PROCESSING: time.sleep(0.01)
time.sleep(0.05)
print("ends")
""")
            self.assertEqual(output, "ends\n")
        self.assertLess(time.monotonic() - began, 30)

    def test_a_fork_after_the_first_helper_is_refused_in_words(self):
        output = run("""
import os, sys, automation_assistant as aa
if os.fork() == 0:
    # Before the first helper a child may use it.
    print(len(aa.create_local_helper(aa.AutomationAssistantManager())), flush=True)
    sys.exit()
os.wait()
manager = aa.AutomationAssistantManager()
helper = aa.create_local_helper(manager)
if os.fork() == 0:
    for call in (lambda: manager.submit_task(helper, "p"), aa.AutomationAssistantManager):
        try:
            call()
        except RuntimeError as refusal:
            print(refusal, flush=True)
    sys.exit()
print("child", os.wait()[1], flush=True)
print(len(manager.submit_task(helper, "p")))
""")
        self.assertEqual(output.count("was forked after the first helper"), 2, output)
        self.assertTrue(output.startswith("8\n") and output.endswith("child 0\n17\n"), output)

    def test_the_library_is_found_or_the_error_says_what_to_do(self):
        code = "import automation_assistant as aa; print(len(aa.create_local_helper(aa.AutomationAssistantManager())))"
        library = aa._candidates()[0]
        with tempfile.TemporaryDirectory() as folder:
            for name in ("automation_assistant.py", "telemetry.py"):
                shutil.copy(os.path.join(PYTHON, name), folder)
            alone = {"PYTHONPATH": folder, "AUTOMATION_ASSISTANT_LIB": ""}
            output = run(code, environment=alone, expect=1)
            self.assertIn("library is not there: build it with", output)
            for name in ("libautomation_assistant_capi.so", "libautomation_assistant.so"):
                beside = os.path.join(folder, name)
                shutil.copy(library, beside)
                self.assertEqual(run(code, environment=alone), "8\n")
                os.remove(beside)
            missing = {**alone, "AUTOMATION_ASSISTANT_LIB": "/nowhere/lib.so"}
            self.assertIn("does not load", run(code, environment=missing, expect=1))
            source, old = os.path.join(folder, "old.c"), os.path.join(folder, "old.so")
            for text, words in [("int aa_abi_version(void) { return 0; }", "is of interface 0; this module is for 1"),
                                ("int nothing;", "has no aa_abi_version")]:
                with open(source, "w", encoding="ascii") as file:
                    file.write(text)
                subprocess.run(["cc", "-shared", "-o", old, source], check=True)
                output = run(code, environment={**alone, "AUTOMATION_ASSISTANT_LIB": old}, expect=1)
                self.assertIn(words, output)
                self.assertIn("cargo build --release", output)

    def test_an_audit_file_that_cannot_be_stops_nothing(self):
        output = run("""
import automation_assistant as aa, telemetry
telemetry.get_telemetry().audit_file = "/proc/nothing/audit.jsonl"
manager = aa.AutomationAssistantManager()
print(len(aa.create_local_helper(manager)), len(aa.AutomationHelper(aa.HelperConfig(aa.BackendType.LOCAL)).name))
""")
        self.assertIn("no telemetry: ", output)
        self.assertTrue(output.splitlines()[0] == "8 5" or output.endswith("8 5\n"), output)


class Telemetry(unittest.TestCase):
    def test_each_call_appends_a_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "new", "folder", "audit.jsonl")
            logger = telemetry.TelemetryLogger(path)
            logger.log_event("note", text="é", number=1)
            logger.log_helper_spawn("h", "B", 1.5, True)
            logger.log_backend_call("h", "B", 2.5, False, error="no")
            logger.log_task_complete("h", "t", "B", 3.5, True)
            entries = debrief.load_telemetry(path)
        self.assertTrue(all(abs(entry["timestamp"] - time.time()) < SECONDS_MAX for entry in entries))
        self.assertEqual({entry["run_id"] for entry in entries}, {logger.run_id})
        self.assertRegex(logger.run_id, r"^\d{8}_\d{6}$")
        rest = [{key: value for key, value in entry.items() if key not in ("timestamp", "run_id")} for entry in entries]
        self.assertEqual(rest, [
            {"event": "note", "text": "é", "number": 1},
            {"event": "helper_spawn", "helper_id": "h", "backend": "B", "latency_ms": 1.5, "success": True},
            {"event": "backend_call", "helper_id": "h", "backend": "B", "latency_ms": 2.5, "success": False, "error": "no"},
            {"event": "task_complete", "helper_id": "h", "task_id": "t", "backend": "B", "latency_ms": 3.5, "success": True},
        ])
        analysis = debrief.analyze_telemetry(entries)
        self.assertEqual(analysis["total_runs"], 1)
        overall = {"total_events": 3, "success_count": 2, "error_count": 1}
        self.assertLessEqual(overall.items(), analysis["overall"].items())
        self.assertAlmostEqual(analysis["overall"]["failure_rate"], 1 / 3)
        backend = analysis["per_backend"]["B"]
        self.assertEqual((backend["count"], backend["success"], backend["errors"]), (3, 2, 1))
        self.assertEqual(backend["p50_latency_ms"], 2.5)
        report = debrief.generate_markdown_report(analysis)
        self.assertTrue(report.startswith("# Automation Assistant Telemetry Debrief"), report)
        self.assertIn("🔴 Critical", report)
        self.assertIn("- 1 × no", report)

    def test_there_is_one_for_the_process_and_the_library_writes_to_it(self):
        logger = telemetry.get_telemetry()
        self.assertIs(logger, telemetry.get_telemetry())
        self.assertEqual(logger.audit_file, "src/memory/audit.jsonl")
        manager = aa.AutomationAssistantManager()
        helper = aa.create_local_helper(manager)
        task = manager.submit_task(helper, "p")
        until(lambda: manager.get_task_result(helper, task))
        logger.log_event("note", helper_id=helper)
        entries = [entry for entry in debrief.load_telemetry() if entry.get("helper_id") == helper]
        self.assertEqual([entry["event"] for entry in entries], ["helper_spawn", "backend_call", "task_complete", "note"])
        self.assertEqual({entry["run_id"] for entry in entries}, {logger.run_id})

    def test_stability(self):
        for success, errors, score in [(0, 0, 1.0), (9, 1, 0.9), (0, 2, 0.0)]:
            self.assertEqual(telemetry.compute_stability_score(success, errors), score)

    def test_nothing_makes_a_report(self):
        self.assertEqual(debrief.load_telemetry("/nowhere"), [])
        analysis = debrief.analyze_telemetry([])
        self.assertEqual((analysis["total_runs"], analysis["overall"]["failure_rate"], analysis["per_backend"]), (0, 0.0, {}))
        self.assertIn("**Total Runs:** 0", debrief.generate_markdown_report(analysis))


if __name__ == "__main__":
    unittest.main()
