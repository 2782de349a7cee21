"""The page pipelines/imagenet/README.md: its commands, made those of the profile `small`, and how they are run."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.conftest import ROOT

README = (ROOT / "pipelines" / "imagenet" / "README.md").read_text()
LONG = 1200  # seconds after which something hangs, on a machine that does much else


def block(*words: str) -> str:
    """The one fenced block of the page that has these words."""
    (found,) = [b for b in re.findall(r"```bash\n(.*?)```", README, re.S) if all(word in b for word in words)]
    return for_small(found)


def for_small(command: str) -> str:
    return re.sub("imagenet(?!te)", "small", command)


def line(start: str) -> str:
    """The one indented command of the page that starts so."""
    (found,) = set(re.findall(rf"^    ({re.escape(start)}.*)$", README, re.M))
    return for_small(found)


def start(folder: Path, command: str, **more) -> subprocess.Popen:
    return subprocess.Popen(
        ["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **more
    )


def end(*running: subprocess.Popen) -> list[str]:
    """What each printed; one that does not end is killed with all that it started."""
    try:
        return [process.communicate(timeout=LONG)[0] for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def run(folder: Path, command: str, ok: bool = True, **more) -> str:
    process = start(folder, command, **more)
    (output,) = end(process)
    assert not ok or process.returncode == 0, f"{command}: {output[-3000:]}"
    return output
