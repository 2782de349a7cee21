"""The error of published weights on a folder of validation pictures, read as the network's file states."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from replicate.errors import UserError
from replicate.evaluation.predict import PICTURES_AT_ONCE, probabilities
from replicate.evaluation.scores import error_rates
from replicate.modules import Net, build, weights
from replicate.modules.cpu import prepare_cpu
from replicate.pictures.crops import Reading
from replicate.pictures.decode import BrokenPicture, decode
from replicate.pictures.listing import scan_classes

FILTER = "bilinear"  # as in torchvision's published recipes; the paper names none


@dataclass(frozen=True)
class Scored:
    """`reading` says in words how the pictures were read; errors in percent by views; `broken` are left out."""

    reading: str
    pictures: int
    classes: int
    broken: list[str]
    errors: dict[str, dict[str, float | None]]


def score(file: Path, network: str, folder: Path, resize: int, mean: Path | None = None, classes: Path | None = None) -> Scored:
    """Centre-view and ten-view errors of the weights in `file` (safetensors) for `network` on FOLDER/<class>/<picture>.

    Pictures: shorter side to `resize`, central square, then the network's views. `mean`: a mean image (.npy, side ×
    side × 3, RGB, 0..255) for a network that subtracts one. `classes`: the network's classes in order, one a line, the
    first word as the folders are called; without it the folders in order of their names. Views have the network's side, or
    the one that weights of this suite were trained at. UserError for what does not fit.
    """
    tensors, header = weights.read_any(file)
    net = build(network, weights.classes(tensors, file), header.get("side"))
    weights.adopt(net, tensors, file)
    if net.side > resize:
        raise UserError(f"network {network!r} reads {net.side} pixels, more than --resize {resize}; give at least --resize {net.side}")
    names, pictures = scan_classes(folder)
    labels = np.array(_class_indices(names, net.classes, classes))
    reading = Reading.of(net.description.input, _mean_image(net, mean, resize))
    prepare_cpu(net, PICTURES_AT_ONCE)
    net = net.eval().to(torch.device("cuda" if torch.cuda.is_available() else "cpu"), memory_format=torch.channels_last)

    answers: dict[str, list[np.ndarray]] = {"centre": [], "ten": []}
    right, broken = [], []
    with tqdm(total=len(pictures), unit=" images", leave=False, disable=None) as bar:
        for start in range(0, len(pictures), PICTURES_AT_ONCE):
            read = []
            for path, label in pictures[start : start + PICTURES_AT_ONCE]:
                try:
                    read.append(decode(path.read_bytes(), resize, FILTER))
                    right.append(labels[label])
                except (BrokenPicture, OSError) as error:
                    broken.append(f"{path}: {error}")
                bar.update()
            if read:
                for views, some in zip(answers, probabilities(net, reading, np.stack(read)), strict=True):
                    answers[views].append(some)
    if not right:
        raise UserError(f"{folder}: none of its {len(pictures)} pictures can be read; the first: {broken[0]}")
    errors = {views: error_rates(np.concatenate(some), np.array(right)) for views, some in answers.items()}
    return Scored(_in_words(net, resize, mean), len(right), net.classes, broken, errors)


def _class_indices(folders: list[str], classes: int, file: Path | None) -> list[int]:
    """The network's class of each folder."""
    if file is None:
        if len(folders) != classes:
            raise UserError(f"{len(folders)} folders of pictures, but the weights know {classes} classes; say which is which: --classes FILE")
        return list(range(classes))
    try:
        known = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not a readable list of classes ({error})") from None
    if len(known) != classes:
        raise UserError(f"{file}: {len(known)} classes, but the weights know {classes}")
    if missing := [name for name in folders if name not in known]:
        raise UserError(f"{file}: no class is called {missing[0]!r}, as one of the folders is; the first word of a line counts")
    return [known.index(name) for name in folders]


def _mean_image(net: Net, file: Path | None, side: int) -> np.ndarray:
    """(side, side, 3) float32, RGB: from the file if the network subtracts a mean image, else not used."""
    if not net.description.input.reads_mean_image:
        if file is not None:
            raise UserError(f"network {net.description.name!r} subtracts {net.description.input.mean}, no mean image; leave out --mean")
        return np.zeros((side, side, 3), np.float32)
    if file is None:
        raise UserError(f"network {net.description.name!r} subtracts a mean image: give it with --mean FILE.npy ({side}x{side}x3, RGB)")
    try:
        image = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{file}: not a NumPy array ({error})") from None
    if image.shape != (side, side, 3):
        raise UserError(f"{file}: is {'x'.join(map(str, image.shape))}, must be {side}x{side}x3; --resize gives the side")
    return image.astype(np.float32)


def _in_words(net: Net, resize: int, mean: Path | None) -> str:
    reads = net.description.input
    less = f"the mean image {mean.name}" if mean else f"mean {reads.mean}"
    std = f"divided by {reads.std}" if reads.std else "not divided by a standard deviation"
    return (
        f"shorter side {resize} ({FILTER}), central square, views of {net.side} pixels; {reads.channels}, 0..255, "
        f"less {less}, times {reads.scale:g}, {std}"
    )
