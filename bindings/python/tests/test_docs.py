"""The ten lines of docs/python.md run as they stand, the example is short, and what is generated is current."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOP, Client

BLOCKS = re.findall(r"^```python\n(.*?)^```$", (TOP / "docs/python.md").read_text(), re.M | re.S)

async def test_the_ten_lines_work_as_they_stand(tmp_path: Path) -> None:
    program = BLOCKS[0]
    lines = [line for line in program.split("\n") if line]
    assert len(lines) <= 11, "ten lines, and the one that starts them"
    # Port 6001 may be in use here; nothing else of it is changed.
    port = free_port()
    script = tmp_path / "ten_lines.py"
    script.write_text(program.replace("port=6001", f"port={port}"))
    process = subprocess.Popen([sys.executable, "-X", "dev", "-W", "error", str(script)], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    async with asyncio.timeout(20):
        while True:
            try:
                client = await Client.open(port)
                break
            except OSError:
                await asyncio.sleep(0.05)
    await client.joined("private-greetings")
    assert process.stdin
    process.stdin.write("Ahoj\n")
    process.stdin.flush()
    assert (await client.event("hello"))["data"] == "Ahoj"
    await client.close()
    process.stdin.close()
    process.stdin = None
    _, err = await asyncio.to_thread(process.communicate, timeout=60)
    # -X dev tells of every call of the loop that took long, which on a busy machine any may.
    err = "".join(line for line in err.splitlines(True) if not line.startswith("Executing <"))
    assert process.returncode == 0 and not err, err


def free_port() -> int:
    import socket
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("file", ["examples/status_core.py"])
def test_the_example_is_short(file: str) -> None:
    assert len((TOP / file).read_text().split("\n")) < 150


def test_settings_are_those_of_the_header() -> None:
    subprocess.run([sys.executable, str(TOP / "bindings/python/make_settings.py")], check=True)
