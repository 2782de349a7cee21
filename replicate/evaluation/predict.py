"""What a trained network answers on the validation pictures: the stage `evaluate`, and `classify` for one picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from replicate import files, records
from replicate.errors import UserError
from replicate.evaluation.retrieval import retrieval
from replicate.evaluation.scores import error_rates
from replicate.modules import Net, build, weights
from replicate.modules.cpu import prepare_cpu
from replicate.networks import count, totals
from replicate.pictures.crops import Reading, ten_views
from replicate.pictures.store import Split, Store, open_store, verify
from replicate.settings import Profile

PICTURES_AT_ONCE = 64


def load_trained(profile: Profile, name: str, store: Store) -> tuple[Net, dict]:
    """The trained network `name` and its file's header; weights that are missing or of anything else are one line."""
    path = profile.weights(name)
    again = f"train it again: replicate train {name} --profile {profile.name}"
    if not path.exists():
        raise UserError(f"{path.relative_to(profile.root)}: no weights; make them: {again.removeprefix('train it again: ')}")
    tensors, header = weights.read(path)
    training = profile.training(name)
    for what, ours in {**training.model_dump(), "training": name, "profile": profile.name, "store": store.identity}.items():
        if header.get(what) != ours:
            raise UserError(f"{path}: weights of {what} {header.get(what)!r}, but {name} has {ours!r}; {again}")
    net = build(training.network, len(store.classes), header["side"])
    weights.load_into(net, tensors, path)
    prepare_cpu(net, PICTURES_AT_ONCE)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return net.eval().to(device, memory_format=torch.channels_last), header


@torch.no_grad()
def probabilities(net: Net, reading: Reading, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, side, side, 3) uint8 -> (centre view, mean of the ten views' softmax outputs), each (n, classes) float32."""
    n, side = pictures.shape[:2]
    views = ten_views(side, net.side)
    answers = []
    for row, column, mirrored in views:
        cut = reading.cut(pictures, np.full(n, row), np.full(n, column), np.full(n, mirrored), net.side)
        pixels = torch.from_numpy(cut).permute(0, 3, 1, 2).to(next(net.parameters()).device)
        answers.append(net(pixels).softmax(1).cpu().numpy())
    return answers[_centre(net, side)], np.mean(answers, axis=0, dtype=np.float64).astype(np.float32)


def _centre(net: Net, side: int) -> int:
    """Which of the ten views is the central crop, not mirrored."""
    middle = (side - net.side) // 2
    return ten_views(side, net.side).index((middle, middle, False))


@contextmanager
def last_hidden(net: Net) -> Iterator[list[torch.Tensor]]:
    """A list to which every batch that runs through `net` adds what its last layer with weights reads, (n, units): the
    4096 activities of Figure 4. Maps, where that layer is a convolution, count as their means."""
    (last,) = (layer.name for layer in net.description.layers if getattr(layer, "out", None) == "classes")
    seen: list[torch.Tensor] = []

    def look(_module: torch.nn.Module, read: tuple[torch.Tensor, ...]) -> None:
        seen.append(read[0].flatten(2).mean(2) if read[0].ndim == 4 else read[0])

    hook = net.get_submodule(last).register_forward_pre_hook(look)
    try:
        yield seen
    finally:
        hook.remove()


def evaluate(profile: Profile, name: str, command: str) -> records.Record:
    """Answers of training `name` on the validation pictures -> predictions (npz) and a record of the error rates."""
    started = records.now()
    store = open_store(profile.store)
    verify(store, ("val",))
    net, header = load_trained(profile, name, store)
    reading = Reading.of(net.description.input, store.mean)

    centre, ten, features = [], [], []
    bar = tqdm(total=len(store.val), unit=" images", desc=f"{name}: ten views", leave=False, disable=None)
    for start in range(0, len(store.val), PICTURES_AT_ONCE):
        which = np.arange(start, min(start + PICTURES_AT_ONCE, len(store.val)))
        with last_hidden(net) as seen:
            one, mean = probabilities(net, reading, store.val.take(which))
        centre.append(one)
        ten.append(mean)
        features.append(seen[_centre(net, store.side)].cpu().numpy())
        bar.update(len(which))
    bar.close()
    views = {"centre": np.concatenate(centre), "ten": np.concatenate(ten)}

    with files.atomic(profile.predictions(name)) as temporary:
        np.savez(
            temporary,
            training=np.array(name),
            network=np.array(net.description.name),
            classes=np.array(store.classes),
            names=np.array(store.val.names),
            labels=store.val.labels,
            conv1=net.conv1.weight.detach().cpu().numpy(),
            **views,
        )
    sums = totals(count(net.description, net.side, net.classes))
    values = records.Evaluation(
        run=header["run"],
        network=header["network"],
        seed=header["seed"],
        classes=net.classes,
        pictures=len(store.val),
        train_pictures=header["train_pictures"],
        held_out_pictures=header["held_out_pictures"],
        epochs=header["epochs"],
        updates=header["updates"],
        parameters=sums.parameters,
        macs=sums.macs,
        input_side=net.side,
        errors={view: records.Errors(**error_rates(p, store.val.labels)) for view, p in views.items()},
        retrieval=_retrieval(np.concatenate(features), store.val, net.side),
        weights_sha256=files.sha256(profile.weights(name)),
        store_identity=store.identity,
        trained=header["trained"],
    )
    device = str(next(net.parameters()).device)
    record = records.Record(
        kind="evaluation",
        profile=profile.name,
        source=profile.settings.source.name,
        training=name,
        values=values.model_dump(),
        provenance=records.provenance(
            command, profile.root, profile.settings.method, started, device, torch.get_num_threads()
        ),
    )
    records.write(profile.record(name), record)
    return record


def _retrieval(features: np.ndarray, split: Split, side: int) -> records.Retrieval:
    """Neighbours by the last hidden layer, and by the pixels of the central crop."""

    def pixels(which: np.ndarray) -> np.ndarray:
        pictures = split.take(which)
        at = (pictures.shape[1] - side) // 2
        return pictures[:, at : at + side, at : at + side]

    return records.Retrieval(**retrieval(features.__getitem__, pixels, split.labels))


def classify(profile: Profile, name: str, picture: Path) -> list[tuple[str, float]]:
    """(class, probability in percent) of one picture file, the most probable first: ten views, as in section 4.1."""
    from replicate.pictures.decode import BrokenPicture, decode

    store = open_store(profile.store)
    net, _ = load_trained(profile, name, store)
    settings = profile.settings.pictures
    try:
        pixels = decode(picture.read_bytes(), settings.side, settings.filter)
    except (BrokenPicture, OSError) as error:
        raise UserError(f"{picture}: not a picture that can be read: {error}") from None
    _, ten = probabilities(net, Reading.of(net.description.input, store.mean), pixels[None])
    order = np.argsort(-ten[0], kind="stable")
    return [(store.classes[i], 100 * float(ten[0, i])) for i in order]
