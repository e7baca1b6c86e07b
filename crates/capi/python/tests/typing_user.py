"""typing_user.py FILE: runs a snippet statement by statement, as a user types it: each comes when
the helpers of the ones before have had time to work. Prints the names that it left, and how each
helper's tasks ended."""

import ast
import json
import sys
import time

from automation_assistant import (  # noqa: F401: what a user has imported before
    AutomationAssistantManager,
    BackendType,
    HelperConfig,
    create_chatgpt_helper,
    create_local_helper,
)

SECONDS_MAX = 20
LOOK_SECONDS = 0.005


def rest(names):
    until = time.monotonic() + SECONDS_MAX
    managers = [value for value in names.values() if isinstance(value, AutomationAssistantManager)]
    while any(status["queued_tasks"] + status["active_tasks"]
              for manager in managers for status in manager.get_all_helpers_status()):
        assert time.monotonic() < until, "the helpers do not come to rest"
        time.sleep(LOOK_SECONDS)


def take_as_given(names):
    """Snippets without a helper of their own speak of one that the manager has."""
    helper_id = create_local_helper(names["manager"], name="before")
    names.update(helper_id=helper_id, helper=names["manager"].get_helper(helper_id))


def main(path):
    manager = AutomationAssistantManager(max_helpers=5)
    names = {**globals(), "manager": manager, "network_logs": "10.0.0.7 login failed"}
    take_as_given(names)
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for statement in tree.body:
        manager = names["manager"]
        exec(compile(ast.Module([statement], []), path, "exec"), names)
        if names["manager"] is not manager:
            take_as_given(names)
        rest(names)
    ends = [(status["completed_tasks"], status["failed_tasks"])
            for status in names["manager"].get_all_helpers_status()]
    print("ENDS", json.dumps(ends))


main(sys.argv[1])
