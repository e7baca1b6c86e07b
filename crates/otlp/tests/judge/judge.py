"""Receives what the example `spans` posts, and holds it against opentelemetry-proto (is it an
ExportTraceServiceRequest?) and opentelemetry-semantic-conventions (does each name exist?)."""

import base64
import copy
import http.server
import json
import os
import subprocess
import sys
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, openai_attributes
from opentelemetry.semconv._incubating.attributes import service_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes

SECRET = "hush hush, 100%"
MODULES = [gen_ai_attributes, openai_attributes, service_attributes, error_attributes, http_attributes]
KNOWN = {v for m in MODULES for k, v in vars(m).items() if k.isupper() and isinstance(v, str)}
# Names that the conventions have given up must not be sent.
OLD = {"gen_ai.system", "gen_ai.prompt", "gen_ai.completion", "gen_ai.usage.prompt_tokens",
       "gen_ai.usage.completion_tokens"}
INTS = {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning.output_tokens",
        "http.response.status_code", "automation_assistant.attempts",
        "automation_assistant.attempt", "automation_assistant.prompt_bytes",
        "automation_assistant.reply_bytes"}
DOUBLES = {"automation_assistant.queue_time", "gen_ai.response.time_to_first_chunk"}


def hex_to_base64(text, length):
    """Ids are hex in OTLP/JSON; protobuf's reader takes them for base64 without a word."""
    assert len(text) == 2 * length and text == text.lower(), text
    raw = bytes.fromhex(text)
    assert any(raw), "an id of zeros stands for none"
    return base64.b64encode(raw).decode()


def parse(body):
    body = copy.deepcopy(body)
    for resource in body["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                # 64-bit integers are texts; protobuf's reader would take numbers too.
                numbers = [span["startTimeUnixNano"], span["endTimeUnixNano"]]
                values = [attribute["value"] for attribute in span["attributes"]]
                numbers += [value["intValue"] for value in values if "intValue" in value]
                assert all(isinstance(number, str) for number in numbers), numbers
                span["traceId"] = hex_to_base64(span["traceId"], 16)
                span["spanId"] = hex_to_base64(span["spanId"], 8)
                if "parentSpanId" in span:
                    span["parentSpanId"] = hex_to_base64(span["parentSpanId"], 8)
    return json_format.ParseDict(body, ExportTraceServiceRequest())


def must_fail(body, change):
    """The judge can say no: a body with this change is refused."""
    body = copy.deepcopy(body)
    change(body["resourceSpans"][0]["scopeSpans"][0]["spans"][0])
    try:
        parse(body)
    except (json_format.ParseError, AssertionError, ValueError):
        return
    raise SystemExit("the judge took what is no OTLP")


def value_of(attribute):
    kind = attribute.value.WhichOneof("value")
    value = getattr(attribute.value, kind)
    return kind, [v.string_value for v in value.values] if kind == "array_value" else value


def post_of(program, arguments):
    """The body of the one request that the program posts, as OTLP over HTTP has it."""
    posts = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            posts.append((self.path, dict(self.headers), body))
            answer = json_format.MessageToJson(ExportTraceServiceResponse()).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}/",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=hush%20hush%2C%20100%25, x-other = 1",
        "OTEL_SERVICE_NAME": "judged",
    }
    out = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True,
                         timeout=60, check=False)
    server.shutdown()
    assert out.returncode == 0, out.stdout + out.stderr
    [(path, headers, body)] = posts
    headers = {name.lower(): value for name, value in headers.items()}
    assert path == "/v1/traces" and headers["content-type"] == "application/json", headers
    assert headers["x-key"] == SECRET and headers["x-other"] == "1", headers
    for said in [out.stdout, out.stderr, body.decode()]:
        assert "hush" not in said
    return json.loads(body), body.decode()


def check_request(body):
    request = parse(body)
    [resource] = request.resource_spans
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == [
        ("service.name", "judged")]
    [scope] = resource.scope_spans
    assert scope.scope.name == "automation-assistant" and scope.scope.version
    return list(scope.spans)


def check_span(span):
    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano < 2**63
    assert span.kind in (Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT) and span.name
    attributes = {a.key: value_of(a) for a in span.attributes}
    assert len(attributes) == len(span.attributes), "each name once"
    for key, (kind, _) in attributes.items():
        assert key in KNOWN or key.startswith("automation_assistant."), f"unknown: {key}"
        assert key not in OLD, key
        expect = "int_value" if key in INTS else "double_value" if key in DOUBLES else None
        expect = expect or ("array_value" if key.endswith("finish_reasons") else "string_value")
        assert kind == expect, (key, kind)
    failed = "error.type" in attributes
    assert (span.status.code == Status.STATUS_CODE_ERROR) == failed
    assert bool(span.status.message) == failed
    return {key: value for key, (_, value) in attributes.items()}


def main(program):
    body, text = post_of(program, [])
    assert "hello" not in text and "be quick" not in text and "Done." not in text, "no content"
    spans = [(span, check_span(span)) for span in check_request(body)]
    tasks = [(s, a) for s, a in spans if not s.parent_span_id]
    calls = [(s, a) for s, a in spans if s.parent_span_id]
    assert [s.name for s, _ in tasks] == ["chat local-mock", "chat busy", "chat local-mock"]
    assert all(a["gen_ai.operation.name"] == "chat" for _, a in tasks)
    by_id = {s.span_id: s for s, _ in tasks}
    assert len({s.span_id for s, _ in spans}) == len(spans) == 7, "ids of their own"
    for call, _ in calls:
        task = by_id[call.parent_span_id]
        assert call.trace_id == task.trace_id
        assert call.end_time_unix_nano <= task.end_time_unix_nano
    echo, busy, slow = (a for _, a in tasks)
    assert echo["gen_ai.provider.name"] == "local" and echo["gen_ai.conversation.id"] == "tour"
    expect = {
        "gen_ai.provider.name": "openai", "gen_ai.request.model": "busy",
        "gen_ai.response.model": "busy-1", "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34, "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 21, "automation_assistant.attempts": 2,
    }
    assert expect.items() <= busy.items(), busy
    assert slow["error.type"] == "timeout"
    assert [a.get("http.response.status_code") for _, a in calls].count(503) == 1

    must_fail(body, lambda span: span.update(surprise=1))
    must_fail(body, lambda span: span.update(traceId="ab"))
    must_fail(body, lambda span: span.update(startTimeUnixNano="soon"))
    must_fail(body, lambda span: span.update(endTimeUnixNano=1))
    must_fail(body, lambda span: span["attributes"][0]["value"].update(intValue="one"))

    body, _ = post_of(program, ["--content"])
    spans = [check_span(span) for span in check_request(body)]
    [echo] = [a for a in spans if a.get("gen_ai.conversation.id") == "tour"]
    [message] = json.loads(echo["gen_ai.input.messages"])
    assert message == {"role": "user", "parts": [{"type": "text", "content": "hello"}]}
    [message] = json.loads(echo["gen_ai.output.messages"])
    assert message["role"] == "assistant" and "hello" in message["parts"][0]["content"]
    assert json.loads(echo["automation_assistant.context"]) == {"where": "kitchen"}
    print(f"{len(KNOWN)} known names; 7 spans, twice: as the protocol and the conventions say")


main(sys.argv[1])
