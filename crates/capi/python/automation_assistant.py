"""AI helpers for Python programs, under the names of the prototype: a thin layer over
automation-assistant's C library.

The library is the file that AUTOMATION_ASSISTANT_LIB names, or lies beside this module
(libautomation_assistant_capi.so as cargo builds it, libautomation_assistant.so as installed), or is
found by the system's loader.

ChatGPT and Comet helpers ask real providers: they need a key (api_key, or OPENAI_API_KEY and
OPIK_API_KEY in the environment), or an endpoint on this device. Local ones need nothing. Events are
appended to the audit file of telemetry.get_telemetry().

Standard library alone, Python 3.9 or later.
"""

import asyncio
import atexit
import ctypes
import ctypes.util
import inspect
import json
import os
import threading
import time
import warnings
import weakref
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Dict, List, Optional

import telemetry

__all__ = [
    "AIBackend", "AutomationAssistantManager", "AutomationHelper", "BackendType", "ChatGPTBackend",
    "CometBackend", "HelperConfig", "HelperStatus", "LocalBackend", "Task", "create_chatgpt_helper",
    "create_comet_helper", "create_local_helper",
]

# --- The library ------------------------------------------------------------------------------

ABI_VERSION = 1
LIBRARY_VARIABLE = "AUTOMATION_ASSISTANT_LIB"
LIBRARY_STEMS = ("libautomation_assistant_capi", "libautomation_assistant")
LIBRARY_SUFFIXES = (".so", ".dylib")

OK, WAIT_TIMED_OUT, UNKNOWN_TASK, RESULT_DROPPED, STOPPED = 0, 10, 8, 9, 12
# Statuses that a caller mends by calling otherwise: ValueError. All others are RuntimeError.
VALUE_ERRORS = {3, 4, 5, 7, 8, 13}
WAIT_FOREVER_MS = 0xFFFFFFFF

_ADVICE = (
    "build it with `cargo build --release` in crates/capi and put the .so beside "
    f"automation_assistant.py, install it with `cargo cinstall`, or name its file in {LIBRARY_VARIABLE}"
)


def _candidates():
    """Where the library may be, in order."""
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return [named]
    here = os.path.dirname(os.path.abspath(__file__))
    beside = [os.path.join(here, stem + suffix) for stem in LIBRARY_STEMS for suffix in LIBRARY_SUFFIXES]
    found = [path for path in beside if os.path.exists(path)]
    system = ctypes.util.find_library("automation_assistant")
    return found + ([system] if system else [])


def _load():
    candidates = _candidates()
    if not candidates:
        raise ImportError(f"the automation-assistant library is not there: {_ADVICE}")
    path = candidates[0]
    try:
        library = ctypes.CDLL(path)
    except OSError as fault:
        raise ImportError(f"the automation-assistant library does not load ({fault}): {_ADVICE}") from None
    version = getattr(library, "aa_abi_version", None)
    if version is None or version() != ABI_VERSION:
        what = "has no aa_abi_version" if version is None else f"is of interface {version()}"
        raise ImportError(
            f"the automation-assistant library {path} {what}; this module is for {ABI_VERSION}: {_ADVICE}"
        )
    return library


# Functions of ours that the library calls, on its own threads: ctypes takes the interpreter's lock.
_PROCESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Library:
    """The C functions. Those with a status raise where they fail."""

    def __init__(self, library):
        text, size, handle = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p
        out, number = ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint64
        number_out = ctypes.POINTER(ctypes.c_uint64)
        self._functions = functions = {}

        def declare(result, name, *arguments):
            function = getattr(library, "aa_" + name)
            # A `char *` is the caller's to free: as a plain address, lest ctypes copy and lose it.
            function.restype, function.argtypes = result, arguments
            functions[name] = function

        declare(text, "last_error")
        declare(None, "string_free", handle)
        for name in ("manager", "helper", "task", "telemetry", "debrief"):
            declare(None, f"{name}_free", handle)
        for name, arguments in {
            "manager_new_with_telemetry": (size, handle, out),
            "manager_new": (size, out),
            "manager_spawn": (handle, text, size, out),
            "manager_terminate_all": (handle,),
            "helper_new": (text, size, out),
            "helper_new_with_telemetry": (text, size, handle, out),
            "helper_start": (handle,),
            "helper_stop": (handle,),
            "helper_terminate": (handle,),
            "helper_submit": (handle, text, size, number_out),
            "helper_wait": (handle, number, ctypes.c_uint32, out),
            "helper_get": (handle, number, out),
            "helper_find_task": (handle, text, size, number_out),
            "telemetry_new": (text, size, out),
            "debrief_new_from_lines": (text, size, out),
            "manager_spawn_backend":
                (handle, text, size, text, size, _PROCESS, handle, _RELEASE, out),
            "call_reply": (handle, text, size),
            "call_fail": (handle, text, size, text, size),
        }.items():
            declare(ctypes.c_int, name, *arguments)
        declare(ctypes.c_bool, "helper_cancel", handle, number)
        for name, arguments in {
            "helper_id": (handle,),
            "helper_status_json": (handle,),
            "helper_task_id": (handle, number),
            "task_json": (handle,),
            "telemetry_run_id": (handle,),
            "debrief_json": (handle,),
            "call_request_json": (handle,),
        }.items():
            declare(handle, name, *arguments)
        declare(text, "task_error", handle)

    def status(self, name, *arguments):
        """Calls a function with a status, and returns it."""
        _refuse_fork()
        return self._functions[name](*arguments)

    def call(self, name, *arguments):
        """Calls a function with a status, and raises what it says."""
        status = self.status(name, *arguments)
        if status != OK:
            raise self.error(status)

    def error(self, status):
        words = self._functions["last_error"]().decode()
        return (ValueError if status in VALUE_ERRORS else RuntimeError)(words)

    def make(self, name, *arguments):
        """Calls a function whose last parameter is a place for a handle."""
        place = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(place))
        return place.value

    def number(self, name, *arguments):
        place = ctypes.c_uint64()
        self.call(name, *arguments, ctypes.byref(place))
        return place.value

    def plain(self, name, *arguments):
        """Calls a function that cannot fail, or says so by what it returns."""
        _refuse_fork()
        return self._functions[name](*arguments)

    def text(self, name, *arguments):
        """Calls a function that returns a text of ours, and frees it."""
        address = self.plain(name, *arguments)
        if address is None:
            raise RuntimeError(self._functions["last_error"]().decode())
        try:
            return ctypes.string_at(address).decode()
        finally:
            self._functions["string_free"](address)

    def free(self, kind, handle):
        """Frees a handle; in a forked child there is nothing that could be freed."""
        if _is_owner():
            self._functions[f"{kind}_free"](handle)


_library = _Library(_load())
# The process that made the first helper: its threads are there, and not in children.
_owner: Optional[int] = None


def _is_owner():
    return _owner is None or _owner == os.getpid()


def _own():
    global _owner
    _refuse_fork()
    _owner = os.getpid()


def _refuse_fork():
    if not _is_owner():
        raise RuntimeError(
            "this process was forked after the first helper was made: the helpers' threads stayed with "
            "the parent. Fork before that, or start processes with multiprocessing's method 'spawn'"
        )


def _arguments(value):
    """A value as the two arguments that C takes for a text."""
    data = (value if isinstance(value, str) else json.dumps(value, default=str)).encode()
    return data, len(data)


class _Handle:
    """A handle of the library's, freed with the last reference to this, or at the end."""

    def __init__(self, kind, value):
        self.value = value
        self.free = weakref.finalize(self, _library.free, kind, value)


# One audit file for all managers and helpers of the process.
_audit_lock = threading.Lock()
_audits: Dict[str, Optional[_Handle]] = {}


def _audit() -> Optional[_Handle]:
    """The library's writer for the audit file of this process; None where there can be none."""
    logger = telemetry.get_telemetry()
    path = os.path.abspath(logger.audit_file)
    with _audit_lock:
        if path not in _audits:
            _own()
            try:
                _audits[path] = _Handle("telemetry", _library.make("telemetry_new", *_arguments(path)))
            except RuntimeError as fault:
                warnings.warn(f"no telemetry: {fault}", RuntimeWarning, stacklevel=4)
                _audits[path] = None
            else:
                logger.run_id = _library.text("telemetry_run_id", _audits[path].value)
        return _audits[path]


# --- The prototype's names --------------------------------------------------------------------


class BackendType(Enum):
    CHATGPT = "chatgpt"
    COMET = "comet"
    LOCAL = "local"
    ANTHROPIC = "anthropic"
    CUSTOM = "custom"


class HelperStatus(Enum):
    INITIALIZING = "initializing"
    READY = "ready"
    PROCESSING = "processing"
    IDLE = "idle"
    ERROR = "error"
    TERMINATED = "terminated"


@dataclass
class HelperConfig:
    """What a helper is to be. The library checks it when the helper is made."""

    backend_type: BackendType
    name: Optional[str] = None
    max_concurrent_tasks: int = 1
    timeout_seconds: int = 30
    api_key: Optional[str] = field(default=None, repr=False)
    api_endpoint: Optional[str] = None
    model: Optional[str] = None
    custom_params: Dict[str, Any] = field(default_factory=dict)

    def _members(self):
        members = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**members, "backend_type": BackendType(self.backend_type).value}


@dataclass
class Task:
    """A finished task: exactly one of result and error is set."""

    task_id: str
    prompt: str
    context: Optional[Dict[str, Any]] = None
    created_at: datetime = field(default_factory=datetime.now)
    completed_at: Optional[datetime] = None
    result: Optional[Any] = None
    error: Optional[str] = None

    @classmethod
    def _take(cls, handle):
        """Reads a task's handle, and frees it."""
        try:
            members = json.loads(_library.text("task_json", handle))
            error = _library.plain("task_error", handle)
        finally:
            _library.free("task", handle)
        moment = lambda name: members[name] and datetime.fromtimestamp(members[name])
        return cls(
            task_id=members["task_id"],
            prompt=members["prompt"],
            context=members["context"] or None,
            created_at=moment("created_at"),
            completed_at=moment("completed_at"),
            result=members["result"],
            error=error and error.decode(),
        )


class AIBackend:
    """Who answers. Subclasses have a name and answer one prompt at a time."""

    async def process(self, prompt: str, context: Optional[Dict[str, Any]] = None) -> str:
        raise NotImplementedError

    def get_name(self) -> str:
        raise NotImplementedError


class _LibraryBackend(AIBackend):
    """One of the library's backends by itself: a helper without a manager, made when it is first
    asked."""

    backend_type: BackendType
    label: str

    def __init__(self, api_key=None, model=None, api_endpoint=None, **custom_params):
        self.api_key, self.model, self.api_endpoint = api_key, model, api_endpoint
        self._custom_params = custom_params
        self._helper = None
        self._lock = threading.Lock()

    def get_name(self) -> str:
        return f"{self.label} ({self.model})"

    def _running(self):
        with self._lock:
            if self._helper is None:
                helper = AutomationHelper(HelperConfig(
                    self.backend_type, api_key=self.api_key, model=self.model,
                    api_endpoint=self.api_endpoint, custom_params=self._custom_params,
                ))
                helper.start()
                self._helper = helper
            return self._helper

    async def process(self, prompt: str, context: Optional[Dict[str, Any]] = None) -> str:
        helper = self._running()
        number = helper._submit(prompt, context)
        wait = asyncio.get_running_loop().run_in_executor(None, helper._wait, number)
        try:
            task = await asyncio.shield(wait)
        except asyncio.CancelledError:
            _library.plain("helper_cancel", helper._handle.value, number)
            raise
        if task.error is not None:
            raise RuntimeError(task.error)
        return task.result


class ChatGPTBackend(_LibraryBackend):
    backend_type, label = BackendType.CHATGPT, "ChatGPT"

    def __init__(self, api_key=None, model="gpt-3.5-turbo", api_endpoint=None, **custom_params):
        super().__init__(api_key, model, api_endpoint, **custom_params)


class CometBackend(_LibraryBackend):
    backend_type, label = BackendType.COMET, "Comet"

    def __init__(self, api_key=None, model="gpt-4o-mini", api_endpoint=None, **custom_params):
        super().__init__(api_key, model, api_endpoint, **custom_params)


class LocalBackend(_LibraryBackend):
    backend_type, label = BackendType.LOCAL, "Local"

    def __init__(self, model="local-mock", api_endpoint=None, **custom_params):
        super().__init__(None, model, api_endpoint, **custom_params)


_BACKENDS = {kind.backend_type: kind for kind in (ChatGPTBackend, CometBackend, LocalBackend)}


def _backend_of(config, name):
    kind = _BACKENDS.get(config.backend_type, _LibraryBackend)
    backend = kind.__new__(kind)
    _LibraryBackend.__init__(backend, config.api_key, config.model, config.api_endpoint, **config.custom_params)
    backend.backend_type = config.backend_type
    backend.get_name = lambda: name
    return backend


class _Custom:
    """The backends of the program itself, by the number that the library knows each by."""

    def __init__(self):
        self._lock = threading.Lock()
        self._backends: Dict[int, AIBackend] = {}
        self._last = 0
        # The threads that are in a backend now.
        self._threads: Dict[int, int] = {}
        self.process, self.release = _PROCESS(self._process), _RELEASE(self._release)
        atexit.register(self._leave)

    def add(self, backend: AIBackend) -> int:
        with self._lock:
            self._last += 1
            self._backends[self._last] = backend
            return self._last

    def _release(self, number):
        with self._lock:
            self._backends.pop(number, None)

    def _process(self, number, call):
        thread = threading.get_ident()
        with self._lock:
            backend = self._backends[number]
            self._threads[thread] = number
        try:
            request = json.loads(_library.text("call_request_json", call))
            answer = backend.process(request["prompt"], request["context"] or None)
            if inspect.isawaitable(answer):
                answer = asyncio.run(_finish(answer))
            _library.call("call_reply", call, *_arguments(str(answer)))
        except BaseException as fault:  # Nothing may leave a function that C has called.
            words = _arguments(f"{type(fault).__name__}: {fault}")
            _library.call("call_fail", call, *_arguments("other"), *words)
        finally:
            with self._lock:
                self._threads.pop(thread, None)

    def _leave(self):
        """Ends what backends still do when the program ends; a thread in a blocking call is left."""
        if not _is_owner():
            return
        until = time.monotonic() + LEAVE_SECONDS_MAX
        while self._threads and time.monotonic() < until:
            for thread in list(self._threads):
                exit_thread = ctypes.py_object(SystemExit)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exit_thread)
            time.sleep(LEAVE_LOOK_SECONDS)


LEAVE_SECONDS_MAX, LEAVE_LOOK_SECONDS = 0.5, 0.01


async def _finish(answer):
    return await answer


_custom = _Custom()


class AutomationHelper:
    """Threads that take tasks from a queue and have a backend answer them."""

    def __init__(self, config: HelperConfig):
        members, audit = _arguments(config._members()), _audit()
        _own()
        if audit is None:
            handle = _library.make("helper_new", *members)
        else:
            handle = _library.make("helper_new_with_telemetry", *members, audit.value)
        self._begin(config, _Handle("helper", handle), None)

    @classmethod
    def _of_manager(cls, config, handle, manager):
        helper = cls.__new__(cls)
        helper._begin(config, handle, manager)
        helper._running = True
        return helper

    def _begin(self, config, handle, manager):
        # The manager's handle is held, so that no helper outlives it.
        self.config, self._handle, self._manager = config, handle, manager
        self._running = False
        status = self.get_status()
        self.helper_id: str = status["helper_id"]
        self.name: str = status["name"]
        self.backend: AIBackend = _backend_of(config, status["backend"])

    @property
    def status(self) -> HelperStatus:
        return HelperStatus(self.get_status()["status"])

    def start(self) -> None:
        """Starts the threads. Tasks submitted before wait for this."""
        _library.call("helper_start", self._handle.value)
        self._running = True

    def stop(self) -> None:
        """Stops the helper for good; results stay readable."""
        _library.call("helper_stop", self._handle.value)
        self._running = False

    def _submit(self, prompt, context):
        request = {"prompt": prompt, "context": context}
        return _library.number("helper_submit", self._handle.value, *_arguments(request))

    def submit_task(self, prompt: str, context: Optional[Dict[str, Any]] = None) -> str:
        return _library.text("helper_task_id", self._handle.value, self._submit(prompt, context))

    def _wait(self, number):
        return Task._take(_library.make("helper_wait", self._handle.value, number, WAIT_FOREVER_MS))

    def get_task_result(self, task_id: str) -> Optional[Task]:
        """The finished task, which stays; None while it runs, or if it is unknown."""
        number, place = ctypes.c_uint64(), ctypes.c_void_p()
        status = _library.status("helper_find_task", self._handle.value, *_arguments(task_id), ctypes.byref(number))
        if status == OK:
            status = _library.status("helper_get", self._handle.value, number, ctypes.byref(place))
        if status in (WAIT_TIMED_OUT, UNKNOWN_TASK, RESULT_DROPPED):
            return None
        if status != OK:
            raise _library.error(status)
        return Task._take(place.value)

    def get_status(self) -> Dict[str, Any]:
        """helper_id, name, backend, status, queued_tasks, active_tasks, completed_tasks, and what
        else the library counts."""
        return json.loads(_library.text("helper_status_json", self._handle.value))


class AutomationAssistantManager:
    """Spawns helpers, gives them tasks, and has the results. Dropping it stops its helpers."""

    def __init__(self, max_helpers: int = 5):
        self.max_helpers = max_helpers
        self.helpers: Dict[str, AutomationHelper] = {}
        audit = _audit()
        _own()
        if audit is None:
            handle = _library.make("manager_new", max_helpers)
        else:
            handle = _library.make("manager_new_with_telemetry", max_helpers, audit.value)
        self._handle = _Handle("manager", handle)

    def spawn_helper(self, config: HelperConfig, backend: Optional[AIBackend] = None) -> str:
        """Makes and starts a helper. With a backend of the program's own, that answers, whatever
        the configuration's type; several threads may be in it at once."""
        members, manager = _arguments(config._members()), self._handle.value
        if backend is None:
            handle = _library.make("manager_spawn", manager, *members)
        else:
            name, number = _arguments(backend.get_name()), _custom.add(backend)
            functions = (_custom.process, number, _custom.release)
            try:
                handle = _library.make("manager_spawn_backend", manager, *members, *name, *functions)
            except BaseException:
                _custom.release(number)
                raise
        helper = AutomationHelper._of_manager(config, _Handle("helper", handle), self._handle)
        helper.backend = backend or helper.backend
        self.helpers[helper.helper_id] = helper
        return helper.helper_id

    def _found(self, helper_id) -> AutomationHelper:
        helper = self.helpers.get(helper_id)
        if helper is None:
            raise ValueError(f"Helper ID not found: {helper_id}")
        return helper

    def terminate_helper(self, helper_id: str) -> None:
        helper = self._found(helper_id)
        del self.helpers[helper_id]
        _library.call("helper_terminate", helper._handle.value)
        helper._running = False

    def get_helper(self, helper_id: str) -> Optional[AutomationHelper]:
        return self.helpers.get(helper_id)

    def submit_task(self, helper_id: str, prompt: str, context: Optional[Dict[str, Any]] = None) -> str:
        return self._found(helper_id).submit_task(prompt, context)

    def get_task_result(self, helper_id: str, task_id: str) -> Optional[Task]:
        helper = self.helpers.get(helper_id)
        return helper and helper.get_task_result(task_id)

    def get_all_helpers_status(self) -> List[Dict[str, Any]]:
        return [helper.get_status() for helper in list(self.helpers.values())]

    def terminate_all(self) -> None:
        ended, self.helpers = list(self.helpers.values()), {}
        _library.call("manager_terminate_all", self._handle.value)
        for helper in ended:
            helper._running = False


def create_chatgpt_helper(manager, name="ChatGPT Helper", model="gpt-3.5-turbo", api_key=None) -> str:
    return manager.spawn_helper(HelperConfig(BackendType.CHATGPT, name=name, model=model, api_key=api_key))


def create_comet_helper(manager, name="Comet Helper", model="gpt-4o-mini", api_key=None) -> str:
    return manager.spawn_helper(HelperConfig(BackendType.COMET, name=name, model=model, api_key=api_key))


def create_local_helper(manager, name="Local Helper", model="local-mock") -> str:
    return manager.spawn_helper(HelperConfig(BackendType.LOCAL, name=name, model=model))
