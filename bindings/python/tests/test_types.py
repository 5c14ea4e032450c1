"""The types of the package, of its example, and of what docs/python.md shows: strict in mypy and in pyright."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOP

BINDING = TOP / "bindings/python"
PROGRAMS = [TOP / "examples/status_core.py", *sorted((TOP / "tests/bench/bindings").glob("*.py"))]
PYRIGHT = TOP / "tests/node_modules/pyright/index.js"


@pytest.fixture
def blocks(tmp_path: Path) -> list[Path]:
    """The blocks of the page as files."""
    found = re.findall(r"^```python\n(.*?)^```$", (TOP / "docs/python.md").read_text(), re.M | re.S)
    assert len(found) >= 7
    files = [tmp_path / f"block{n}.py" for n in range(len(found))]
    for file, text in zip(files, found, strict=True):
        file.write_text(text)
    return files


def test_mypy_finds_nothing(blocks: list[Path], tmp_path: Path) -> None:
    files = [BINDING / "pusherc", *sorted((BINDING / "tests").glob("*.py")), *PROGRAMS, *blocks]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--disable-error-code=empty-body", "--cache-dir", str(tmp_path / "cache"),
         "--config-file", str(TOP / "pyproject.toml"), *map(str, files)],
        capture_output=True, text=True, cwd=TOP, env={**os.environ, "MYPYPATH": str(BINDING)})
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(not PYRIGHT.exists(), reason="tools/npm-packages has not installed pyright")
def test_pyright_finds_nothing(blocks: list[Path], tmp_path: Path) -> None:
    rules = {"typeCheckingMode": "strict", "reportPrivateUsage": False, "reportUnknownLambdaType": False,
             # The page's classes without a body, and the functions that decorators take.
             "reportReturnType": False, "reportUnusedFunction": False, "reportUnusedClass": False,
             "include": [os.path.relpath(path, tmp_path) for path in (BINDING / "pusherc", *PROGRAMS, *blocks)],
             "extraPaths": [str(BINDING), *map(os.path.abspath, os.environ.get("PYTHONPATH", "").split(os.pathsep))]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(rules))
    checked = subprocess.run([str(TOP / "tools/node"), str(PYRIGHT), "--pythonpath", sys.executable, "-p", str(tmp_path)],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
