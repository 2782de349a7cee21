"""Many trainings on many machines, as pipelines/imagenet/README.md says it is done.

The commands are taken from that page. They run in a profile `small`: imagenet's pipeline with the demo's drawn pictures and
two of its trainings. What the page says of another machine is tried with another clone on this one.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from replicate.commands.main import cli
from tests.conftest import ROOT, small_params
from tests.pipeline.page import README, block, end, for_small, line, run, start

pytestmark = pytest.mark.slow
TRAININGS = ["base-1", "base-2"]
FILE, LOCK = "pipelines/small/dvc.yaml", "pipelines/small/dvc.lock"


def ran(*outputs: str) -> list[str]:
    return sorted(stage for output in outputs for stage in re.findall(r"Running stage '(?:[^':\n]*:)?([^':\n]+)'", output))


def locked(folder: Path) -> dict:
    return yaml.safe_load((folder / LOCK).read_text())["stages"]


def weights(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("models/small/*/weights.safetensors"))


@pytest.fixture(scope="module")
def after_pca(tmp_path_factory) -> Path:
    """A clone with two trainings in which `pca` has run and everything is committed. Not to be written to: copy it."""
    folder = tmp_path_factory.mktemp("many") / "clone"
    listed = run(ROOT, "git ls-files --cached --others --exclude-standard").splitlines()
    for name in listed:
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    params = small_params()
    params["trainings"] = {name: params["trainings"][name] for name in TRAININGS}
    (folder / FILE).parent.mkdir()
    (folder / FILE).write_text(for_small((ROOT / "pipelines/imagenet/dvc.yaml").read_text()))
    (folder / FILE).with_name("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "data/small/source").mkdir(parents=True)  # the user's pictures; here they are drawn
    run(folder, "git init -q && git config user.name t && git config user.email t@example.org")
    run(folder, f"{line('dvc repro pipelines/imagenet/dvc.yaml:pca')} && git add -A && git commit -qm prepared")
    return folder


@pytest.fixture
def first(after_pca, tmp_path) -> Path:
    """A copy of it to work in."""
    folder = tmp_path / "lab" / "alexnet-replication"
    shutil.copytree(after_pca, folder, symlinks=True)
    return folder


def test_several_processes_train_at_once(first):
    command = line("dvc --wait-for-lock repro --single-item")
    running = [start(first, command.replace("base-1", name)) for name in TRAININGS]
    outputs = end(*running)
    assert [process.returncode for process in running] == [0, 0], outputs
    stages = ["evaluate@base-1", "evaluate@base-2", "train@base-1", "train@base-2"]
    assert ran(*outputs) == stages and weights(first) == TRAININGS
    assert set(stages) <= set(locked(first))
    assert not {*stages, "prepare", "pca"} & set(ran(run(first, f"dvc repro {FILE}:compare")))


@pytest.mark.skipif(not shutil.which("parallel"), reason="GNU parallel is not here")
def test_gnu_parallel(first):
    output = run(first, block("parallel"))
    assert ran(output) == ["compare", "evaluate@base-1", "evaluate@base-2", "report", "train@base-1", "train@base-2"]


def test_the_same_training_twice_at_once(first):
    """One trains. The other is refused, or, where it came late enough, finds nothing to do."""
    running = [start(first, f"dvc --wait-for-lock repro --single-item {FILE}:train@base-1") for _ in range(2)]
    outputs = end(*running)
    assert ran(*outputs) == ["train@base-1"] and weights(first) == ["base-1"] and "train@base-1" in locked(first)
    for process, output in zip(running, outputs, strict=True):
        assert process.returncode == 0 or "is busy" in output


def test_clones_with_one_cache(first, tmp_path):
    """The script for SLURM on two machines; then the first clone has everything and trains and evaluates nothing."""
    (first / ".venv/bin").mkdir(parents=True)
    (first / ".venv/bin/activate").touch()  # here the commands are on the path already
    script = tmp_path / "train.sbatch"
    script.write_text(block("#SBATCH").replace("/lab/", f"{tmp_path}/lab/"))

    def task(number: int, machine: str) -> subprocess.Popen:
        return start(tmp_path, f"bash {script}", env=os.environ | {"SLURM_ARRAY_TASK_ID": str(number), "SLURMD_NODENAME": machine})

    running = [task(1, "a"), task(2, "b")]
    outputs = end(*running)
    assert [process.returncode for process in running] == [0, 0], outputs
    a, b = (tmp_path / "lab/clones" / machine for machine in "ab")
    assert weights(a) == ["base-1"] and weights(b) == ["base-2"]

    (again,) = end(task(1, "b"))
    assert ran(again) == [] and weights(b) == TRAININGS, again

    whole = run(first, f"dvc repro {FILE}")
    assert ran(whole) == ["compare", "report"] and weights(first) == TRAININGS
    for clone, name in ((a, "base-1"), (b, "base-2")):
        for path in (f"reports/small/records/{name}.json", f"reports/small/logs/{name}.csv", f"models/small/{name}/predictions.npz"):
            assert (first / path).read_bytes() == (clone / path).read_bytes()


def test_two_clones_that_commit(first, tmp_path):
    """Git cannot merge what they add to dvc.lock; the page's way out works."""
    a, b = tmp_path / "a", tmp_path / "b"
    (shared,) = set(re.findall(r"`(dvc config --local cache.shared .*?)`", README))
    for clone, name in ((a, "base-1"), (b, "base-2")):
        run(tmp_path, f"git clone -q {first} {clone} && cp -r {first}/data {clone}/")
        run(clone, "git config user.name t && git config user.email t@example.org")
        run(clone, shared)
        run(clone, f"dvc cache dir --local {first}/.dvc/cache && dvc repro --single-item {FILE}:train@{name} && git add -A && git commit -qm {name}")
    assert "CONFLICT" in run(a, f"git pull -q --no-rebase {b} HEAD", ok=False)
    assert (a / LOCK).read_text().count("<<<<<<<") > 1
    (ours,) = set(re.findall(r"`(git checkout --ours .*?)`", README))
    run(a, for_small(ours))
    assert "train@base-1" in locked(a) and "train@base-2" not in locked(a)
    assert ran(run(a, f"dvc repro --single-item {FILE}:train@base-2")) == [] and weights(a) == TRAININGS
    assert "train@base-2" in locked(a)


def test_a_cache_that_is_copied(first, tmp_path):
    """Without a shared disk: another clone with pictures of its own, whose cache is copied in the end."""
    other = tmp_path / "other"
    run(tmp_path, f"git clone -q {first} {other}")
    for name in ("store", "pca.json"):
        assert f"data/imagenet/{name}" in README
        run(first, f"mkdir -p {other}/data/small && cp -r data/small/{name} {other}/data/small/")
    run(other, f"dvc repro --single-item {FILE}:train@base-1")
    assert "rsync -a --ignore-existing HOST:alexnet-replication/.dvc/cache/ .dvc/cache/" in README
    shutil.copytree(other / ".dvc/cache", first / ".dvc/cache", dirs_exist_ok=True)
    assert ran(run(first, f"dvc repro --single-item {FILE}:train@base-1")) == [] and weights(first) == ["base-1"]


def test_weights_that_dvc_did_not_see(first):
    """As after torchrun, or when `dvc` died and its trainer did not: `dvc commit` takes them, for the other clones too."""
    run(first, "replicate train base-1 --profile small")
    assert ran(run(first, f"dvc repro --dry --single-item {FILE}:train@base-1")) == ["train@base-1"]
    (commit,) = {for_small(found) for found in re.findall(r"`(dvc commit --force .*?)`", README)}
    run(first, commit)
    assert ran(run(first, f"dvc repro --single-item {FILE}:train@base-1")) == []
    run(first, f"git checkout -q {LOCK} && rm -r models")
    assert ran(run(first, f"dvc repro --single-item {FILE}:train@base-1")) == [] and weights(first) == ["base-1"]


def commands() -> list[list[str]]:
    """Every `dvc` and `replicate` of the page, in its blocks, indented lines and sentences, as words."""
    code = re.findall(r"```bash\n(.*?)```", README, re.S) + re.findall(r"^    (.*)$", README, re.M) + re.findall(r"`([^`\n]+)`", README)
    text = "\n".join(code).replace("\\\n", " ")
    return [found.split() for found in re.findall(r"(?<![\w./-])((?:dvc|replicate) [a-z-][^|)'\n#&;]*)", text)]


def test_every_command_and_option_of_the_page_exists():
    assert len(commands()) > 12
    helps: dict[tuple[str, ...], str] = {}
    for program, *words in commands():
        names = [word for word in words if re.fullmatch("[a-z-]+", word) and not word.startswith("-")]
        options = {word.split("=")[0] for word in words if word.startswith("--")}
        if program == "replicate":
            command = cli.get_command(click.Context(cli), names[0])
            assert options <= {option for parameter in command.params for option in parameter.opts}, words
        else:
            sub = names[:2] if names[0] in ("stage", "cache", "metrics") else names[:1]
            for call in ((), tuple(sub)):
                if call not in helps:
                    helps[call] = run(ROOT, f"dvc {' '.join(call)} --help")
            assert options <= set(re.findall(r"--[a-z-]+", helps[()] + helps[tuple(sub)])), words


def test_the_blocks_are_shell():
    blocks = re.findall(r"```bash\n(.*?)```", README, re.S)
    assert len(blocks) == 4
    for text in blocks:
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_a_task_of_the_array_for_every_training(after_pca):
    """The numbers of the array and the names that the script finds by them are those of the parameters."""
    count = re.search(r"\$\((.*?)\)", block("sbatch --array"))[1]
    assert int(run(after_pca, count)) == len(TRAININGS)
    names = re.search(r"name=\$\((.*?) \| sed -n \"", block("#SBATCH"))[1]
    assert run((after_pca / FILE).parent, names).split() == TRAININGS
