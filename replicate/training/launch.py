"""Starts one process a device on this machine and watches them: `replicate train --devices N`, by torchrun's own launcher."""

import logging
import os
import signal
import sys
import tempfile
import uuid

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ErrorHandler, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from replicate.errors import UserError
from replicate.modules.towers import LostRank

LAUNCHED = "REPLICATE_LAUNCHED"  # set for the processes that we start: their errors are ours to print


def launch(devices: int, name: str) -> None:
    """Runs this very command once for each of `devices` devices, and waits; a UserError names the process that failed."""
    logging.disable()  # what goes wrong is said below, in one line
    os.environ[LAUNCHED] = "1"
    with tempfile.TemporaryDirectory(prefix="replicate-") as logs:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=devices, max_restarts=0, run_id=uuid.uuid4().hex,
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", logs_specs=DefaultLogsSpecs(log_dir=logs),
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", "replicate", *sys.argv[1:])
        except ChildFailedError as error:
            raise UserError(_said(name, error.failures)) from None
        except SignalException:
            raise UserError(f"{name}: stopped; what was learned is kept, and the same command goes on from there") from None
        finally:
            del os.environ[LAUNCHED]


def _said(name: str, failures: dict[int, ProcessFailure]) -> str:
    """What they died of: the process that was killed, or else the first that had a reason of its own to stop."""
    for rank, failure in sorted(failures.items()):
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:  # SIGTERM is what the others get then
            return (
                f"{name}: process {rank} was killed ({signal.Signals(-failure.exitcode).name}), the others were stopped; "
                "the last checkpoint is kept, and the same command goes on from there"
            )
    reasons = [handed["message"] for _, failure in sorted(failures.items()) if (handed := failure.error_file_data.get("message"))]
    reasons.sort(key=lambda reason: reason.startswith(LostRank.__name__))  # of one that only lost another, last
    return reasons[0].partition(": ")[2] if reasons else f"{name}: process {min(failures)} failed; its error is printed above"


def hand_over(error: UserError) -> None:
    """In a process that `launch` started: leaves the error for it to say."""
    ErrorHandler().record_exception(error)
