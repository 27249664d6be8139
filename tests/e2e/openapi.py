#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
openapi.py CHECK: holds the daemon on $SOCKET against monitor/daemon/openapi.yaml.

  schemas   the description is sound by itself: references, schemas, parameters
  routes    it and the daemon's table of routes (api.c) name the same
  methods   what the daemon allows on each path is what is described
  replies   every operation, done with real VMs, replies as is described
  errors    and so do their errors
  requests  what the schemas of bodies allow is accepted, what they forbid is refused

Says what is wrong on stderr and exits with 1. $GUEST is the directory of guest-cli programs.
"""
import base64
import http.client
import json
import os
import re
import socket
import sys
import threading

import jsonschema
import yaml

ROOT = os.path.join(os.path.dirname(__file__), "../..")
FILE = os.path.join(ROOT, "monitor/daemon/openapi.yaml")
ROUTES = os.path.join(ROOT, "monitor/daemon/api.c")
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
LIMIT = 30

with open(FILE, encoding="utf-8") as f:
    API = yaml.safe_load(f)
wrong = []


def complain(text):
    wrong.append(text)


def deref(node):
    """What a $ref stands for."""
    while "$ref" in node:
        at = API
        for part in node["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        node = at
    return node


def operations():
    """(METHOD, path, operation, its parameters with those of its path)"""
    for path, item in API["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                parameters = item.get("parameters", []) + operation.get("parameters", [])
                yield method.upper(), path, operation, [deref(p) for p in parameters]


def validator(schema):
    # Its references begin at the root, as in the description.
    schema = schema | {"components": API["components"]}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def check(schema, value, where):
    for error in validator(schema).iter_errors(value):
        place = "/".join(str(p) for p in error.absolute_path)
        complain(f"{where}: at '{place}': {error.message[:300]}")


# ---- asking the daemon ----


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(os.environ["SOCKET"])


def raw(method, path, body=None):
    connection = Connection("mayfly")
    connection.request(method, path, body)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response, data


seen = {}  # (METHOD, path template) -> statuses


def ask(method, template, status, query="", body=None, **values):
    """Does an operation, and holds the reply against its description."""
    path = template
    for name, value in values.items():
        path = path.replace("{" + name + "}", value)
    if body is not None and not isinstance(body, bytes):
        operation = API["paths"][template][method.lower()]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        if status < 300:
            check(schema, body, f"the request {method} {template} {body}")
        body = json.dumps(body).encode()
    response, data = raw(method, path + (f"?{query}" if query else ""), body)
    where = f"{method} {path}{'?' + query if query else ''}"
    if response.status != status:
        complain(f"{where}: {response.status}, not {status}: {data[:300]}")
        return None
    seen.setdefault((method, template), set()).add(status)
    return check_reply(method, template, response, data, where)


def check_reply(method, template, response, data, where):
    replies = API["paths"][template][method.lower()]["responses"]
    reply = replies.get(str(response.status), replies["default"])
    if response.status < 400 and str(response.status) not in replies:
        complain(f"{where}: the status {response.status} is not described")
    content = deref(reply).get("content")
    if not content:
        if data:
            complain(f"{where}: a body where there should be none")
        return None
    kind = response.getheader("Content-Type", "").split(";")[0]
    if kind not in content:
        complain(f"{where}: its type is {kind}, not one of {list(content)}")
        return None
    schema = content[kind]["schema"]
    if kind == "application/json":
        value = json.loads(data)
        check(schema, value, where)
        return value
    if kind == "application/x-ndjson":
        lines = [json.loads(line) for line in data.decode().splitlines()]
        for line in lines:
            check(schema, line, where)
        return lines
    return data


# ---- the checks ----


def schemas():
    if not re.match(r"3\.1\.\d+$", API["openapi"]):
        complain("it is not OpenAPI 3.1")
    text = json.dumps(API)
    for reference in set(re.findall(r'"\$ref": "([^"]*)"', text)):
        try:
            deref({"$ref": reference})
        except KeyError:
            complain(f"{reference} leads nowhere")
    for kind, parts in API["components"].items():
        for name, part in parts.items():
            if f"#/components/{kind}/{name}" not in text:
                complain(f"components/{kind}/{name} is not used")
            if kind == "schemas":
                jsonschema.Draft202012Validator.check_schema(part)
    ids = [operation["operationId"] for _, _, operation, _ in operations()]
    if len(ids) != len(set(ids)):
        complain("an operationId is there twice")
    for method, path, operation, parameters in operations():
        in_path = {p["name"] for p in parameters if p["in"] == "path" and p["required"]}
        if in_path != set(re.findall(r"{(\w+)}", path)):
            complain(f"{method} {path}: its path's parameters are {in_path}")
        if "default" not in operation["responses"] or not operation.get("summary"):
            complain(f"{method} {path} lacks a summary, or says nothing of errors")
        if not any(status.startswith("2") for status in operation["responses"]):
            complain(f"{method} {path} cannot succeed")
        for parameter in parameters:
            jsonschema.Draft202012Validator.check_schema(parameter["schema"])


def routes():
    with open(ROUTES, encoding="utf-8") as source:
        table = re.search(r"\} routes\[\] = \{(.*?)\n\};", source.read(), re.S).group(1)
    rows = re.findall(r'\{"(\w+)",\s*"([^"]+)",\s*\w+,\s*\{([^}]*)\}\s*\}', table)
    if len(rows) != table.count("api_"):
        complain(f"only {len(rows)} of the routes in api.c could be read")
    ours = {(m, p): set(re.findall(r'"(\w+)"', query)) for m, p, query in rows}
    theirs = {(m, p): {x["name"] for x in parameters if x["in"] == "query"}
              for m, p, _, parameters in operations()}
    for route in ours.keys() | theirs.keys():
        if route not in theirs:
            complain(f"{route} is not described")
        elif route not in ours:
            complain(f"{route} is described, and not in api.c")
        elif ours[route] != theirs[route]:
            complain(f"{route}: parameters {theirs[route]} described, {ours[route]} in api.c")


def methods():
    allowed = {}
    for method, path, _, _ in operations():
        allowed.setdefault(path, set()).add(method)
    for path, described in allowed.items():
        if "GET" in described:
            described.add("HEAD")
        response, data = raw("BREW", path.replace("{id}", "x"))
        check(API["components"]["schemas"]["Error"], json.loads(data), f"BREW {path}")
        allow = set(re.split(r", *", response.getheader("Allow", "")))
        if response.status != 405 or allow != described:
            complain(f"{path}: {response.status}, allows {allow}; described: {described}")


def program(name):
    return os.path.join(os.environ["GUEST"], name)


def later(function, *args, **kwargs):
    """While something waits in the foreground."""
    thread = threading.Timer(0.3, function, args, kwargs)
    thread.start()
    return thread


def replies():
    vms, vm = "/v1/vms", "/v1/vms/{id}"
    ask("POST", vms, 200, body={"image": program("hello"), "wait": True})
    ask("POST", vms, 200, body={"image": program("flood"), "wait": True, "capture_bytes": 9})
    ask("POST", vms, 200, body={"image": program("status"), "args": ["3"], "wait": True, "rm": False,
                                "name": "kept", "labels": {"a": "b"}, "env": {"A": "B"}})
    ask("GET", vm, 200, id="kept")
    ask("GET", vm + "/logs", 200, query="format=json", id="kept")
    ask("POST", vms, 201, body={"image": program("handler"), "args": ["spin"], "name": "later",
                                "start": False, "env": ["A=B"], "timeout_ms": 60000,
                                "net": ["user,dns=192.0.2.1,domain=example.org"]})
    ask("GET", vm, 200, id="later")
    ask("GET", vms, 200, query="all&state=created&name=later")
    ask("POST", vm + "/start", 200, id="later")
    ask("POST", vm + "/pause", 200, id="later")
    ask("GET", vm, 200, id="later")
    ask("GET", vm + "/stats", 200, id="later")
    ask("POST", vm + "/resume", 200, id="later")
    thread = later(ask, "POST", vm + "/kill", 200, body={"signal": "TERM"}, id="later")
    lines = ask("GET", vm + "/stats", 200, query="stream=true&interval_ms=100", id="later")
    thread.join()
    if len(lines or []) < 2:
        complain(f"stats as a stream: {lines}")
    ask("POST", vm + "/wait", 200, query="timeout_ms=1000", id="later")
    ask("GET", vm, 200, id="later")
    ask("POST", vms, 201, body={"image": program("handler"), "args": ["read"], "name": "reads",
                                "stdin_open": True, "stdin": {"base64": "AAA="}, "strace": True})
    ask("POST", vm + "/stdin", 200, query="eof", body=b"input\n", id="reads")
    ask("POST", vm + "/stop", 202, query="wait=false&grace_ms=100", id="reads")
    ask("POST", vm + "/stop", 200, id="reads")
    for query in "", "timestamps&tail=3&stdout", "follow&stderr":
        ask("GET", vm + "/logs", 200, query=query, id="reads")
    if not ask("GET", vm + "/logs", 200, query="format=json", id="reads"):
        complain("no log in JSON")
    for name in "kept", "later", "reads":
        ask("DELETE", vm, 204, query="force=false", id=name)
    pool = ask("GET", "/v1/pool", 200)
    keep = [{key: flavour[key] for key in ("memory_mib", "minimum", "maximum")}
            for flavour in pool["flavours"]]
    with_net = keep[0] | {"net": ["user"], "minimum": 0}
    ask("PUT", "/v1/pool", 200, body={"flavours": keep + [with_net]})
    ask("GET", "/v1/pool", 200)
    ask("PUT", "/v1/pool", 200, body={"flavours": keep})
    events = ask("GET", "/v1/events", 200, query="follow=false&since=0")
    missing = {"create", "start", "exit", "pause", "resume", "kill", "stop", "remove"} - {
        event["type"] for event in events or []}
    if missing:
        complain(f"there are no events {missing}")
    for path in "/v1/version", "/metrics", "/healthz":
        ask("GET", path, 200)
    with open(FILE, "rb") as described:
        if ask("GET", "/v1/openapi.yaml", 200) != described.read():
            complain("the daemon's description is another: build it anew")
    for method, path, operation, _ in operations():
        for status in operation["responses"]:
            if status != "default" and int(status) not in seen.get((method, path), ()):
                complain(f"{method} {path}: {status} was not seen")


def errors():
    for method, path, _, _ in operations():
        ask(method, path, 400, query="nonsense=1", id="x")
        if "{id}" in path:
            ask(method, path, 404, id="nobody")
    vms, vm = "/v1/vms", "/v1/vms/{id}"
    ask("POST", vms, 400, body=b"{")
    ask("POST", vms, 413, body=b" " * ((8 << 20) + 1))
    ask("POST", vms, 422, body={"image": "/nowhere"})
    ask("POST", vms, 422, body={"image": FILE, "wait": True})
    ask("POST", vms, 409, body={"image": program("hello"), "net": ["tap=lo"]})
    ask("POST", vms, 201, body={"image": program("hello"), "name": "taken", "start": False})
    ask("POST", vms, 409, body={"image": program("hello"), "name": "taken"})
    ask("POST", vm + "/wait", 504, query="timeout_ms=1", id="taken")
    for verb in "kill", "pause", "resume", "stop":
        ask("POST", f"{vm}/{verb}", 409, id="taken")
    ask("POST", vm + "/stdin", 409, body=b"x", id="taken")
    ask("PUT", "/v1/pool", 400, body={"flavours": []})
    ask("DELETE", vm, 204, id="taken")
    for query in "all=2", "state=gone":
        ask("GET", vms, 400, query=query)
    response, data = raw("GET", "/v1/nothing")
    check(API["components"]["schemas"]["Error"], json.loads(data), "GET /v1/nothing")
    if response.status != 404:
        complain(f"GET /v1/nothing: {response.status}")


def requests():
    schema = API["components"]["schemas"]["CreateRequest"]
    image = program("hello")
    samples = {  # of each field: what is good, what is bad
        "image": ([image], ["", 1, None]),
        "args": ([[], ["a", ""]], ["a", [1], {}]),
        "argv0": (["", "x"], [1]),
        "env": ([{}, {"A": "B"}, [], ["A=B"]], ["A=B", [1], {"A": 1}]),
        "workdir": (["/", "/tmp"], [1]),
        "name": (["a-name"], [1]),
        "labels": ([{}, {"a": "b"}], [[], {"a": 1}]),
        "memory_mib": ([16, 64], [0, -1, 1.5, "64", 1 << 30]),
        "timeout_ms": ([1000, 10**12], [0, "1s", 10**12 + 1]),
        "stdin": (["", "x", {"base64": ""}, {"base64": base64.b64encode(b"\0").decode()}],
                  [1, {}, {"base64": 1}, {"hex": "00"}]),
        "stdin_open": ([False, True], [0, "true"]),
        "start": ([False, True], [1]),
        "wait": ([False, True], [1, None]),
        "rm": ([False, True], ["yes"]),
        "capture_bytes": ([1, 1 << 30], [0, (1 << 30) + 1, "1"]),
        "strace": ([False, True], [1]),
        "limits": ([{}], [[], {"cpu": 1}, {"cpus": 0}, {"cpus": "1"}, {"cpu_weight": 0},
                         {"cpu_weight": 10001}, {"memory_max_mib": 0}, {"pids_max": 0}]),
        "net": ([[], ["user"], ["tap,ip=10.0.0.2/24", "user,name=out"]],
                ["user", [1], [""], {}, ["tap"] * 5]),
        "publish": ([[], ["8080:80"]], ["8080:80", [1], [""], {}]),
        "no_such_field": ([], [1]),
    }
    for field in set(schema["properties"]) ^ set(samples) - {"no_such_field"}:
        complain(f"CreateRequest's field {field} is only here, or has no sample here")
    for field, (good, bad) in samples.items():
        for value in good:
            body = {"image": image, "start": False, field: value}
            if field in ("wait", "capture_bytes"):
                body |= {"start": True, "wait": value is not False}
            check(schema, body, f"the sample {field}: {value}")
            status = 200 if body.get("wait") else 201
            reply = ask("POST", "/v1/vms", status, body=body)
            if status == 201 and reply:
                ask("DELETE", "/v1/vms/{id}", 204, query="force", id=reply["id"])
        for value in bad:
            body = {"image": image, field: value}
            if validator(schema).is_valid(body):
                complain(f"the schema allows {field}: {value}")
            ask("POST", "/v1/vms", 400, body=json.dumps(body).encode())
    same_fields("POST", "/v1/vms", "CreateRequest", lambda x: x)
    same_fields("POST", "/v1/vms", "CreateRequest/properties/limits", lambda x: {"limits": x})
    same_fields("POST", "/v1/vms", "Base64", lambda x: {"stdin": x})
    same_fields("POST", "/v1/vms/x/kill", "KillRequest", lambda x: x)
    same_fields("PUT", "/v1/pool", "PoolRequest", lambda x: x)
    same_fields("PUT", "/v1/pool", "Flavour", lambda x: {"flavours": [x]})


def same_fields(method, path, schema, wrap):
    """The daemon's message on a field that there is not lists those that there are."""
    _, data = raw(method, path, json.dumps(wrap({"no_such_field": 1})).encode())
    known = set(json.loads(data)["error"]["message"].split("known are: ")[-1].split(", "))
    described = set(deref({"$ref": f"#/components/schemas/{schema}"})["properties"])
    if known != described:
        complain(f"fields of {schema}: {described} described, {known} in the daemon")


check_name = {f.__name__: f for f in (schemas, routes, methods, replies, errors, requests)}
check_name[sys.argv[1]]()
for line in wrong:
    print(line, file=sys.stderr)
sys.exit(bool(wrong))
