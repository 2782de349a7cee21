"""Many trainings on many machines, as pipelines/imagenet/README.md says it is done.

The commands are taken from that page. They run in a profile `small`: imagenet's pipeline with the demo's drawn pictures and
two of its trainings. What the page says of another machine is tried with another clone on this one.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import pytest
import yaml
from safetensors.torch import load_file

from replicate.commands.main import cli
from tests.conftest import ROOT, small_params

pytestmark = pytest.mark.slow
README = (ROOT / "pipelines" / "imagenet" / "README.md").read_text()
TRAININGS = ["base-1", "base-2"]
FILE, LOCK = "pipelines/small/dvc.yaml", "pipelines/small/dvc.lock"
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


def test_clones_with_one_folder_of_checkpoints_share_the_lock(two_clones):
    one, other = two_clones
    endless(one, other)
    (one / ".replicate/checkpoints").mkdir(parents=True)
    (other / ".replicate").mkdir(exist_ok=True)
    (other / ".replicate/checkpoints").symlink_to(one / ".replicate/checkpoints")
    with killed_at_the_end(start(one, "replicate train base-1 --profile small")) as trainer:
        assert "epoch 1" in trainer.stdout.readline()
        refused = run(other, "replicate train base-1 --profile small", ok=False)
    assert re.fullmatch(r"Error: training 'base-1' of profile 'small' is already running .*\n", refused)


# One training on several machines


def endless(*clones: Path) -> None:
    for clone in clones:
        path = clone / "pipelines/small/params.yaml"
        path.write_text(path.read_text().replace("epochs: 2 ", "epochs: 4000 "))


@contextmanager
def killed_at_the_end(*running: subprocess.Popen):
    """Yields the only or all of them, each a process group of its own."""
    try:
        yield running if len(running) > 1 else running[0]
    finally:
        for process in running:
            for pid in descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.communicate()


def descendants(pid: int) -> list[int]:
    """Of a process that was not waited for: itself and all that it started; torchrun gives its processes groups of their own."""
    children: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        children += map(int, listed.read_text().split())
    return [pid, *(d for child in children for d in descendants(child))]


@pytest.fixture
def two_clones(small_clone, tmp_path) -> tuple[Path, Path]:
    """Without git and DVC: the profile `small`, prepared."""
    (small_clone / "pipelines/small").mkdir()
    shutil.copy(small_clone / "params.yaml", small_clone / "pipelines/small")
    (small_clone / "data/demo").rename(small_clone / "data/small")
    return small_clone, shutil.copytree(small_clone, tmp_path / "other")


@pytest.fixture
def groups(two_clones):
    """Two clones; and a function that starts the page's `torchrun` in both, with one process each."""
    command = block("torchrun")
    assert "--nproc-per-node 2" in command
    with socket.socket() as free:
        free.bind(("localhost", 0))
        endpoint = f"localhost:{free.getsockname()[1]}"
    command = command.replace("--nproc-per-node 2", "--nproc-per-node 1").replace("HOST:29400", endpoint)
    command = command.replace("torchrun", f"exec {sys.executable} -m torch.distributed.run")
    return two_clones, lambda: [start(clone, command) for clone in two_clones]


def test_two_groups_end_with_the_weights_of_one_process(groups):
    """The bound is what 20 updates in float32 may differ by."""
    clones, started = groups
    run(clones[0], "replicate train base-1 --profile small")
    (clones[0] / "models/small/base-1/weights.safetensors").rename(clones[0] / "alone.safetensors")
    running = started()
    outputs = end(*running)
    assert [process.returncode for process in running] == [0, 0], outputs
    (path,) = [path for clone in clones for path in clone.glob("models/small/*/weights.safetensors")]
    alone, together = load_file(clones[0] / "alone.safetensors"), load_file(path)
    assert alone.keys() == together.keys()
    assert max(float((alone[name] - together[name]).abs().max()) for name in alone) < 1e-5


def test_groups_with_other_settings_are_refused(groups):
    clones, started = groups
    endless(clones[1])
    running = started()
    outputs = end(*running)
    assert all(process.returncode for process in running)
    assert sum("Error: process 1 has settings, network or pictures other than process 0" in output for output in outputs) > 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_when_a_group_dies_the_other_stops_with_a_line(groups):
    clones, started = groups
    endless(*clones)
    with killed_at_the_end(*started()) as running:
        end_of_wait = time.monotonic() + LONG
        while not (saved := list(clones[0].parent.glob("*/.replicate/checkpoints/small/base-1/checkpoint.safetensors"))):
            assert time.monotonic() < end_of_wait and all(process.poll() is None for process in running)
            time.sleep(0.1)
        first = clones.index(saved[0].parents[4])  # whose process is number 0
        dies, stays = running[first], running[1 - first]
        for pid in descendants(dies.pid):
            os.kill(pid, signal.SIGKILL)
        output, _ = stays.communicate(timeout=LONG)
    assert stays.returncode
    assert re.search(r"^Error: process 1: lost another .* goes on from its last checkpoint when the same command is given again$", output, re.M)


# The page's own words


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
