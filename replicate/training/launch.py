"""Starts one process a device on this machine and watches them: `replicate train --devices N`, by torchrun's own launcher."""

import logging
import os
import signal
import sys
import tempfile
import uuid
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ErrorHandler, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from replicate import files
from replicate.errors import UserError
from replicate.modules.towers import LostRank
from replicate.training import LAUNCHED

PATIENCE = 600  # seconds for a process that was told to stop: a checkpoint may be large and the disk slow


def launch(devices: int, name: str, kept: str = "") -> None:
    """Runs this very command once for each of `devices` devices, and waits; a UserError names the process that failed.

    `name` is what messages call the work, `kept` what they say is left of it when a process is killed.
    """
    logging.disable()  # what goes wrong is said below, in one line
    os.environ[LAUNCHED] = str(os.getpid())
    with tempfile.TemporaryDirectory(prefix="replicate-") as logs:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=devices, max_restarts=0, run_id=uuid.uuid4().hex,
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", logs_specs=DefaultLogsSpecs(log_dir=logs),
            signals_to_handle="SIGTERM,SIGINT", shutdown_timeout=PATIENCE,
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", "replicate", *sys.argv[1:])
        except ChildFailedError as error:
            raise UserError(said(name, error.failures, kept)) from None
        except SignalException:
            handed = [files.read_json(path) for path in sorted(Path(logs).rglob("error.json"))]
            raise UserError(_own([one["message"]["message"] for one in handed]) or f"{name}: stopped{kept}") from None
        finally:
            del os.environ[LAUNCHED]


def said(name: str, failures: dict[int, ProcessFailure], kept: str) -> str:
    """What they died of: the first that did not die of another's death; those that the launcher then stopped come last."""

    def followed(item: tuple[int, ProcessFailure]) -> tuple[bool, int, int]:
        rank, failure = item
        return failure.exitcode == -signal.SIGTERM or _handed(failure).startswith(LostRank.__name__), failure.timestamp, rank

    rank, first = min(failures.items(), key=followed)
    if first.exitcode < 0:
        return f"{name}: process {rank} was killed ({signal.Signals(-first.exitcode).name}), the others were stopped{kept}"
    return _own([_handed(first)]) or f"{name}: process {rank} failed, with an error that is printed above{kept}"


def _handed(failure: ProcessFailure) -> str:
    """The error that a process handed over, its kind before it; empty if it had no time to."""
    message = failure.error_file_data.get("message")
    return message["message"] if isinstance(message, dict) else ""  # torch puts a word there if there is none


def _own(messages: list[str]) -> str:
    """The first message that is about its own process, or else about the loss of another; empty if there is none."""
    messages = sorted(filter(None, messages), key=lambda message: message.startswith(LostRank.__name__))
    return messages[0].partition(": ")[2] if messages else ""


def hand_over(error: UserError) -> None:
    """In a process that `launch` started: leaves the error for it to say."""
    ErrorHandler().record_exception(error)
