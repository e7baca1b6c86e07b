"""Telemetry of the prototype's names: one JSON object a line, appended to an audit file.

The library writes its own lines (helper_spawn, backend_call, task_complete) to the file of
get_telemetry(); what a program logs here stands between them under the same run_id.

Standard library alone, Python 3.9 or later.
"""

import json
import os
import threading
import time
from typing import Any, Dict, Optional

try:
    import fcntl
except ImportError:  # No advisory locks here: appending is all there is.
    fcntl = None

DEFAULT_AUDIT_PATH = "src/memory/audit.jsonl"


class TelemetryLogger:
    """Appends events to an audit file. The folders are made with the first line."""

    def __init__(self, audit_file: str = DEFAULT_AUDIT_PATH):
        self.audit_file = os.fspath(audit_file)
        self.run_id = time.strftime("%Y%m%d_%H%M%S", time.gmtime())

    def log_event(self, event: str, **fields: Any) -> None:
        line = {"timestamp": time.time(), "run_id": self.run_id, "event": event, **fields}
        data = (json.dumps(line, ensure_ascii=False, default=str) + "\n").encode()
        folder = os.path.dirname(self.audit_file)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(self.audit_file, "ab", buffering=0) as file:
            if fcntl is not None:
                # The mark of a live writer: others cut nothing while it is held.
                fcntl.flock(file, fcntl.LOCK_SH)
            file.write(data)

    def log_helper_spawn(self, helper_id: str, backend: str, latency_ms: float, success: bool,
                         error: Optional[str] = None) -> None:
        self._log("helper_spawn", error, helper_id=helper_id, backend=backend,
                  latency_ms=latency_ms, success=success)

    def log_backend_call(self, helper_id: str, backend: str, latency_ms: float, success: bool,
                         error: Optional[str] = None) -> None:
        self._log("backend_call", error, helper_id=helper_id, backend=backend,
                  latency_ms=latency_ms, success=success)

    def log_task_complete(self, helper_id: str, task_id: str, backend: str, latency_ms: float,
                          success: bool, error: Optional[str] = None) -> None:
        self._log("task_complete", error, helper_id=helper_id, task_id=task_id, backend=backend,
                  latency_ms=latency_ms, success=success)

    def _log(self, event: str, error: Optional[str], **fields: Any) -> None:
        more: Dict[str, Any] = {} if error is None else {"error": error}
        self.log_event(event, **fields, **more)


_lock = threading.Lock()
_logger: Optional[TelemetryLogger] = None


def get_telemetry() -> TelemetryLogger:
    """The logger of this process."""
    global _logger
    with _lock:
        if _logger is None:
            _logger = TelemetryLogger()
        return _logger


def compute_stability_score(success: int, errors: int) -> float:
    """1 - errors / all; 1.0 where there is nothing."""
    total = success + errors
    return 1.0 if total == 0 else 1.0 - errors / total
