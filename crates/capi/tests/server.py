#!/usr/bin/env python3
"""A model server that answers by script: OpenAI's Chat Completions on loopback.

Prints its base URL, serves until its standard input ends. The last message decides:
`think …` comes with reasoning, `slow …` after a minute, `fail 401` fails so; all else is said
back, in three deltas where a stream is asked for. A request with tools has the first one called
(`tool {…}` with these arguments), and its output said. The key `sk-bad` is refused.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_SECONDS = 60


def plain(content):
    """A message's text; pictures stand in it as their URLs, in brackets."""
    if isinstance(content, str):
        return content
    parts = [part.get("text") or f"[{part['image_url']['url']}]" for part in content]
    return " ".join(parts)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": "stand-in", "object": "model"}]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") == "Bearer sk-bad":
            return self.fail(401, "invalid_api_key")
        last = request["messages"][-1]
        prompt = plain(last["content"])
        if last["role"] == "tool":
            return self.say(request, "the tool said: " + prompt)
        word, _, rest = prompt.partition(" ")
        if word == "fail":
            return self.fail(int(rest), "scripted")
        if word == "slow":
            time.sleep(SLOW_SECONDS)
        if request.get("tools"):
            arguments = rest if word == "tool" else "{}"
            function = {"name": request["tools"][0]["function"]["name"], "arguments": arguments}
            call = {"id": "call_1", "type": "function", "function": function}
            return self.say(request, None, tool_calls=[call])
        if word == "think":
            return self.say(request, rest, reasoning_content="let me see")
        return self.say(request, "you said: " + prompt)

    def say(self, request, text, **more):
        if request.get("stream"):
            return self.stream(text, more)
        reason = "tool_calls" if "tool_calls" in more else "stop"
        message = {"role": "assistant", "content": text, **more}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        self.answer(200, {
            "id": "c", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [choice], "usage": usage,
        })

    def stream(self, text, more):
        deltas = [{"role": "assistant", **more}] if more else []
        third = max(1, len(text or "") // 3)
        if text:
            parts = [text[:third], text[third:2 * third], text[2 * third:]]
            deltas += [{"content": part} for part in parts if part]
        for delta in deltas:
            for at, call in enumerate(delta.get("tool_calls", [])):
                call["index"] = at
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        reason = "tool_calls" if "tool_calls" in more else "stop"
        for delta, finish in [(delta, None) for delta in deltas] + [({}, reason)]:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0,
                     "model": "stand-in", "choices": [choice]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def fail(self, status, code):
        error = {"message": "scripted failure", "type": "error", "param": None, "code": code}
        self.answer(status, {"error": error})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is part of the tests."""


def start():
    """A server on a thread of this process, and its base URL."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/v1"


if __name__ == "__main__":
    print(start()[1], flush=True)
    sys.stdin.read()
