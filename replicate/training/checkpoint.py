"""What an unfinished training keeps, so that it can be killed at any moment: the last two checkpoints, each a file.

A checkpoint holds the weights, their velocity, and the training's progress: finished epochs with their log, the updates
done since, and the sums of the running figures. The rest has no state of its own. The rate, the best epoch and the end of
training follow from the held-out errors in the log (`schedule`); the order of the pictures, crops, noise and dropout are
functions of the seed, the epoch and the update (`randomness`).
"""

import json
import sys
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from replicate.errors import UserError
from replicate.modules import weights

SECONDS = 120  # the most work that a kill may cost; an epoch's, if that takes less
SHARE = 0.03  # the most of the time that checkpoints may take


class Keeper:
    """Writes the checkpoints of one training beside it: `checkpoint.safetensors`, and the one before, `previous.safetensors`.

    Training waits while the tensors are copied in memory; a thread hashes the copy and writes it. So this takes memory for
    one copy, and the disk room for three files. To be used under the training's lock.
    """

    def __init__(self, folder: Path, identity: str, name: str):
        """`identity` is a hash of all that defines the training; `name` is what messages call it."""
        self.newest, self.previous = folder / "checkpoint.safetensors", folder / "previous.safetensors"
        self.identity, self.name = identity, name
        self._newest_is_whole = False
        self._copy: dict[str, Tensor] = {}
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None
        self._epoch_ended = False
        self._told = ""  # what went wrong the last time
        self._copied = time.monotonic()
        self._copying = self._written_in = self._processor = 0.0  # seconds that the last one took
        weights.remove_unfinished(self.newest)

    def restore(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and progress of the newest checkpoint that is whole; None if there is none at all.

        One that was cut short or altered is told in a line on stderr. UserError where none is whole, and where it is of
        another training. The tensors are views of the file: they are to be copied.
        """
        broken = []
        for path in (self.newest, self.previous):
            if not path.exists():
                continue
            if (kept := _read(path)) is None:
                broken.append(path.name)
                continue
            tensors, header = kept
            if header["identity"] != self.identity:
                raise UserError(
                    f"{path}: belongs to a training with other settings, network or pictures; "
                    f"to start anew, delete it: rm -r {path.parent}"
                )
            if broken:
                print(f"{self.name}: {self.newest} is cut short or altered: the one before it is used", file=sys.stderr)
            self._newest_is_whole = path == self.newest
            return tensors, header["progress"]
        if broken:
            raise UserError(
                f"{self.newest.parent}: no whole checkpoint ({' and '.join(broken)}: cut short, altered or not readable); "
                f"to start anew, delete it: rm -r {self.newest.parent}"
            )
        return None

    def due(self, epoch_ended: bool = False) -> bool:
        """Whether to save now: at the end of an epoch, and before the last state on the disk is `SECONDS` old.

        Never while the last one is still being written. The end of an epoch waits where it would cost more than `SHARE` of
        the time since the last one; it stays due. To be asked after every update.
        """
        self._epoch_ended |= epoch_ended
        if self._writing and not self._writing.done():
            return False
        since = time.monotonic() - self._copied
        cost = self._copying + self._processor / torch.get_num_threads()  # the thread takes one of the processors that train
        return since + self._written_in >= SECONDS or (self._epoch_ended and cost <= SHARE * since)

    @torch.no_grad()
    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any], wait: bool = False) -> None:
        """Copies all, and writes it in the background, or before it returns (`wait`). `progress` is anything that JSON can hold.

        A disk that is full, or fails, leaves the checkpoint before this one. In the background that is a line on stderr, once,
        and the next turn tries again, for room may be made while training goes on; with `wait` it is a UserError.
        """
        if self._writing:
            self._writing.result()
        self._copied, self._epoch_ended = time.monotonic(), False
        for name, tensor in tensors.items():
            if name not in self._copy:
                self._copy[name] = torch.empty(tensor.shape, dtype=tensor.dtype)
            self._copy[name].copy_(tensor)
        header = {"identity": self.identity, "progress": json.loads(json.dumps(progress))}
        self._copying = time.monotonic() - self._copied
        if wait:
            try:
                self._write(header)
            except OSError as error:
                raise UserError(f"{self._not_written(error)}; make room and run the same command again") from None
        else:
            self._writing = self._thread.submit(self._write_or_warn, header)

    def close(self) -> None:
        """Returns when nothing is being written any more."""
        self._thread.shutdown()
        if self._writing:
            self._writing.result()

    def finished(self) -> None:
        """Removes the checkpoints: to be called when the weights of the finished training are on the disk."""
        self.close()
        self.previous.unlink(missing_ok=True)
        self.newest.unlink(missing_ok=True)

    def _write_or_warn(self, header: dict[str, Any]) -> None:
        before, self._told = self._told, ""
        try:
            self._write(header)
        except OSError as error:
            self._told = self._not_written(error)
            if self._told != before:
                tqdm.write(f"{self._told}; training goes on and tries again each time one is due", file=sys.stderr)

    def _write(self, header: dict[str, Any]) -> None:
        processor = time.thread_time()
        header["check"] = _check(self._copy, header)
        weights.save(self.newest, self._copy, header, self.previous if self._newest_is_whole else None)
        self._newest_is_whole = True
        self._processor = time.thread_time() - processor
        self._written_in = time.monotonic() - self._copied

    def _not_written(self, error: OSError) -> str:
        kept = "the one before it is kept" if self.newest.exists() or self.previous.exists() else "there is none before it"
        return f"{self.name}: checkpoint {self.newest} not written: {error.strerror}; {kept}"


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and header, if they are what was saved."""
    try:
        tensors, header = weights.read(path)
    except UserError:
        return None
    return (tensors, header) if header.pop("check", None) == _check(tensors, header) else None


def _check(tensors: dict[str, Tensor], header: dict[str, Any]) -> int:
    """A checksum of all that a checkpoint says. It is to find accidents, not forgers: CRC-32 is cheaper than a hash."""
    kinds = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in sorted(tensors)]
    check = zlib.crc32(json.dumps([header, kinds], sort_keys=True).encode())
    for name in sorted(tensors):
        check = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), check)
    return check
