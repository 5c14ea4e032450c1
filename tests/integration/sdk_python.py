"""Calls the Python SDK for a test: one call per line, {"do": method, "args": [...], "named": {...}}, answered by
{"returned": ...} or {"raised": class, "text": ...}. The first line is what pusher.Pusher is made with."""
import json
import sys

import pusher

client = pusher.Pusher(**json.loads(sys.stdin.readline()))
for line in sys.stdin:
    call = json.loads(line)
    try:
        answer = {"returned": getattr(client, call["do"])(*call["args"], **call["named"])}
    except Exception as error:  # whatever it is, the test wants to know
        answer = {"raised": type(error).__name__, "text": str(error)}
    print(json.dumps(answer, default=bytes.decode), flush=True)  # shared secrets are bytes
