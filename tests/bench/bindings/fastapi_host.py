"""An application's auth endpoint in FastAPI and uvicorn: fastapi_auth.js compares it with rules in the process.

    fastapi_host.py

It decides as the rule of python_host.py does: a client that has a user may. The parameter `token` is the user. Pusher's
SDK signs. uvicorn has uvloop and httptools, and no access log.
"""
import signal
import socket
import sys
import urllib.parse
from typing import Any

import fastapi
import pusher
import uvicorn

sdk: Any = pusher.Pusher("1", "app-key", "app-secret")
app = fastapi.FastAPI()


@app.post("/broadcasting/auth")
async def authorize(request: fastapi.Request, token: str = "") -> dict[str, str]:
    if not token:
        raise fastapi.HTTPException(403)
    form = dict(urllib.parse.parse_qsl((await request.body()).decode()))
    signed: dict[str, str] = sdk.authenticate(form["channel_name"], form["socket_id"])
    return signed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # uvicorn raises it again at its end
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")).run([listener])
