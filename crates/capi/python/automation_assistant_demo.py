#!/usr/bin/env python3
"""Two local helpers and, where a key is set, a ChatGPT one, running at once.

automation_assistant_demo.py [--debrief]
"""

import os
import subprocess
import sys
import time

from automation_assistant import (
    AutomationAssistantManager,
    create_chatgpt_helper,
    create_local_helper,
)

PROMPTS = ["Check battery health", "Analyze app usage", "Monitor system resources"]
PATIENCE_SECONDS = 60


def main() -> int:
    manager = AutomationAssistantManager(max_helpers=3)
    helpers = [create_local_helper(manager, name=f"Local-{number}") for number in (1, 2)]
    if os.environ.get("OPENAI_API_KEY"):
        helpers.append(create_chatgpt_helper(manager, name="Cloud"))
    tasks = [(helper, manager.submit_task(helper, prompt)) for prompt in PROMPTS for helper in helpers]
    until = time.monotonic() + PATIENCE_SECONDS
    for helper, task in tasks:
        while (result := manager.get_task_result(helper, task)) is None and time.monotonic() < until:
            time.sleep(0.01)
        print(f"{manager.get_helper(helper).name}: {result and (result.result or result.error)}")
    for status in manager.get_all_helpers_status():
        print(f"{status['name']} ({status['backend']}): {status['completed_tasks']} tasks")
    manager.terminate_all()
    if "--debrief" in sys.argv[1:]:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts", "debrief.py")
        return subprocess.run([sys.executable, script], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
