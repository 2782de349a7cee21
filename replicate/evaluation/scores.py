"""Errors, ties and ensembles, from arrays of probabilities. NumPy only.

A predictions file (`models/<profile>/<training>/predictions.npz`) holds, for N validation pictures and C classes:

    labels   int64 (N,)           index of the right class
    centre   float32 (N, C)       softmax of the centre view
    ten      float32 (N, C)       mean of the softmax outputs of the ten views (section 4.1)
    names    unicode (N,)         names of the pictures
    classes  unicode (C,)         names of the classes
    conv1    float32 (K, 3, k, k) kernels of the first layer (Figure 3)
    training, network             unicode, 0-d
"""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replicate.errors import UserError

TOP = (1, 5)  # top-1 and top-5 error (section 2)


def top_k_errors(probabilities: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(N, C), (N,) -> bool (N,): is the label not among the `k` most probable classes?

    Of equal probabilities the lower class index comes first, as in the 2012 scoring script, which takes the arg-max
    away k times.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    before = (probabilities > own) | ((probabilities == own) & earlier)
    # A label without a probability (NaN) is never among the most probable.
    return (before.sum(1) >= k) | np.isnan(own[:, 0])


def error_rate(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Top-`k` error in percent."""
    return 100 * float(top_k_errors(probabilities, labels, k).mean())


def error_rates(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """`{"top1": percent, "top5": percent}`; top-5 is None where five classes or fewer make it empty."""
    classes = probabilities.shape[1]
    return {f"top{k}": error_rate(probabilities, labels, k) if classes > k else None for k in TOP}


def ensemble(probabilities: Iterable[np.ndarray]) -> np.ndarray:
    """Mean of several networks' probabilities (section 6), each (N, C); takes one at a time."""
    total, n = None, 0
    for one in probabilities:
        if total is None:
            total = np.zeros(one.shape, np.float64)
        if one.shape != total.shape:
            raise ValueError(f"probabilities of shapes {total.shape} and {one.shape} have no mean")
        total += one
        n += 1
    if total is None:
        raise ValueError("nothing to average")
    return total / n


@dataclass(frozen=True)
class Predictions:
    """One predictions file; the fields are described at the head of this module."""

    training: str
    network: str
    labels: np.ndarray
    centre: np.ndarray
    ten: np.ndarray
    names: np.ndarray
    classes: np.ndarray
    conv1: np.ndarray


def read_predictions(path: Path) -> Predictions:
    """The predictions in `path`; a file that is missing, damaged or of another format is one line."""
    again = "run `replicate evaluate` for its training again"
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {key: file[key] for key in Predictions.__annotations__}
    except FileNotFoundError:
        raise UserError(f"{path}: no predictions; {again}") from None
    except KeyError as error:
        raise UserError(f"{path}: not a predictions file ({error.args[0]}); {again}") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, AttributeError, TypeError):
        raise UserError(f"{path}: damaged, or not a predictions file; {again}") from None
    fault = _fault(found)
    if fault:
        raise UserError(f"{path}: {fault}; {again}")
    return Predictions(**found | {key: str(found[key]) for key in ("training", "network")})


def _fault(found: dict[str, np.ndarray]) -> str | None:
    n, classes = len(np.atleast_1d(found["labels"])), len(np.atleast_1d(found["classes"]))
    shapes = {
        "labels": (n,),
        "names": (n,),
        "classes": (classes,),
        "centre": (n, classes),
        "ten": (n, classes),
        "training": (),
        "network": (),
    }
    for key, shape in shapes.items():
        if found[key].shape != shape:
            return f"{key} has shape {found[key].shape}, expected {shape}"
    labels = found["labels"]
    if not np.issubdtype(labels.dtype, np.integer) or n == 0 or labels.min() < 0 or labels.max() >= classes:
        return f"labels must be {n or 'some'} integers from 0 to {classes - 1}"
    for key in ("centre", "ten"):
        if not np.issubdtype(found[key].dtype, np.floating) or not np.isfinite(found[key]).all():
            return f"{key} holds something that is no probability"
    return None
