"""Published weights on a folder of pictures: the same figures as the pipeline's, and what does not fit is one line."""

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from replicate.commands.evaluate import command
from replicate.errors import UserError
from replicate.evaluation.predict import evaluate
from replicate.evaluation.published import score
from replicate.evaluation.scores import error_rates, read_predictions
from replicate.pictures.store import open_store
from replicate.training.loop import train

FOREIGN = {  # other programs name layers by their place
    "conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8", "conv5": "features.10",
    "fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.12",
}  # fmt: skip


@pytest.fixture
def published(small_profile, tmp_path):
    """(profile, weights under foreign names, mean image, the pipeline's own errors)."""
    train(small_profile, "base-1", "replicate train base-1")
    errors = evaluate(small_profile, "base-1", "replicate evaluate base-1").values["errors"]
    mean = tmp_path / "mean.npy"
    np.save(mean, open_store(small_profile.store).mean)
    tensors = load_file(small_profile.weights("base-1"))
    renamed = {f"{FOREIGN[name.split('.')[0]]}.{name.split('.')[1]}": tensor for name, tensor in tensors.items()}
    save_file(renamed, tmp_path / "foreign.safetensors")
    return small_profile, tmp_path / "foreign.safetensors", mean, errors


def test_the_errors_are_those_of_the_pipeline(published):
    profile, file, mean, errors = published
    scored = score(file, "demo", profile.pictures / "val", profile.settings.pictures.side, mean)
    assert scored.errors == errors and not scored.broken
    assert scored.pictures == len(open_store(profile.store).val)


def test_a_list_of_classes_says_which_output_is_which_folder(published, tmp_path):
    profile, file, mean, errors = published
    names = open_store(profile.store).classes
    listed = tmp_path / "classes.txt"
    listed.write_text("".join(f"{name} in words\n" for name in names))
    scored = score(file, "demo", profile.pictures / "val", profile.settings.pictures.side, mean, listed)
    assert scored.errors == errors
    listed.write_text("".join(f"{name}\n" for name in reversed(names)))
    saved = read_predictions(profile.predictions("base-1"))
    reversed_ = {views: error_rates(getattr(saved, views), len(names) - 1 - saved.labels) for views in ("centre", "ten")}
    assert score(file, "demo", profile.pictures / "val", profile.settings.pictures.side, mean, listed).errors == reversed_
    listed.write_text("cat\n" * len(names))
    with pytest.raises(UserError, match="no class is called"):
        score(file, "demo", profile.pictures / "val", profile.settings.pictures.side, mean, listed)


def test_a_broken_picture_is_left_out_and_named(published):
    profile, file, mean, _ = published
    bad = sorted((profile.pictures / "val").glob("*/*"))[0]
    bad.write_bytes(b"no picture")
    scored = score(file, "demo", profile.pictures / "val", profile.settings.pictures.side, mean)
    assert [line.startswith(f"{bad}: ") for line in scored.broken] == [True]


def test_the_command_prints_how_pictures_were_read(published):
    profile, file, mean, errors = published
    arguments = ["--weights", file, "--network", "demo", "--pictures", profile.pictures / "val", "--mean", mean]
    done = CliRunner().invoke(command, [*map(str, arguments), "--resize", str(profile.settings.pictures.side)])
    assert done.exit_code == 0, done.output
    assert "RGB, 0..255" in done.output and "mean.npy" in done.output
    assert f"ten views: top-1 error {errors['ten']['top1']:.1f} %" in done.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": None}, "give it with --mean"),
        ({"resize": 30}, "at least --resize 32"),
        ({"network": "demo-no-conv4"}, "5 convolutional layers, 'demo-no-conv4' has 4"),
        ({"network": "demo-one-gpu"}, "weights of another network: conv1"),
    ],
)
def test_what_does_not_fit_is_one_line(published, change, said):
    profile, file, mean, _ = published
    given = {"file": file, "network": "demo", "folder": profile.pictures / "val", "resize": 36, "mean": mean} | change
    with pytest.raises(UserError, match=said):
        score(**given)


def test_a_pickle_is_not_opened(published, tmp_path):
    profile, _, mean, _ = published
    (tmp_path / "weights.pth").write_bytes(b"anything")
    with pytest.raises(UserError, match="can run a program"):
        score(tmp_path / "weights.pth", "demo", profile.pictures / "val", 36, mean)
