"""Reading and writing files: atomic writes, hashes, locks, YAML and JSON that are safe to open."""

import errno
import fcntl
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from replicate.errors import UserError

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Model = TypeVar("Model", bound=BaseModel)
PLAIN = {  # pydantic's types of errors, in words
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be a mapping of keys to values"),
    "string_type": "must be text",
    "list_type": "must be a list",
    "union_tag_not_found": "has no {discriminator}",
    "too_short": "must have at least {min_length}",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt:.12g}",
    "greater_than_equal": "must be at least {ge:.12g}",
    "less_than": "must be below {lt:.12g}",
    "less_than_equal": "must be at most {le:.12g}",
}


@contextmanager
def atomic(path: Path, previous: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which replaces `path` only when the block ends well.

    What was at `path` is lost, or becomes `previous`. When this returns, file and folder are on the disk: a power cut
    leaves the old file or the new one, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        _to_disk(temporary)
        if previous and path.exists():
            path.replace(previous)
        temporary.replace(path)
        with suppress(PermissionError):  # a folder that may be written into, and not listed
            _to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Returns when a file's bytes, or a folder's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):  # some network filesystems sync no folders
            raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); delete it and run its stage again") from None


class _UniqueKeys(Loader):
    """YAML in which a key given twice is an error instead of silently the last one."""


def _mapping(loader: yaml.Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None


def dotted(error: Any, value: Any) -> str:
    """Where one of pydantic's errors is, as pydantic says it."""
    return ".".join(map(str, error["loc"]))


def by_name(error: Any, value: Any) -> str:
    """Where it is in the file: by keys, and in a list by name or else number; the types that pydantic names are left out."""
    keys = []
    for part in error["loc"]:
        if isinstance(value, list) and isinstance(part, int):
            value = value[part]
            keys.append((isinstance(value, dict) and value.get("name")) or f"number {part + 1}")
        elif isinstance(value, dict) and part in value:
            value = value[part]
            keys.append(part)
    if error["type"] == "missing":
        keys.append(error["loc"][-1])
    return ": ".join(map(str, keys))


def parse(model: type[Model], value: Any, where: str, place: Callable[[Any, Any], str] = dotted) -> Model:
    """`value` as `model`; every fault becomes one line that names file, key (in the words of `place`) and reason."""
    if value is None:
        raise UserError(f"{where}: empty")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [": ".join(filter(None, [place(e, value), reason(e)])) for e in error.errors()]
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise UserError(f"{where}: {'; '.join(faults[:3])}{more}") from None


def reason(error: Any) -> str:
    """One of pydantic's errors in words, with the value that was given."""
    kind, given, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "missing":
        return "missing"
    if kind == "union_tag_invalid":
        return _none_of(context)
    message = PLAIN[kind].format(**context) if kind in PLAIN else error["msg"].removeprefix("Value error, ")
    if not isinstance(given, str | int | float | bool | None):
        return message
    shown = "empty" if given is None else repr(given)
    return f"{message}, is {shown}" if message.startswith("must") else f"{message} (is {shown})"


def _none_of(context: dict[str, str]) -> str:
    """A `kind` that there is not, with those that there are and the nearest of them."""
    tag, known = context["tag"], sorted(context["expected_tags"].replace("'", "").split(", "))
    near = get_close_matches(tag, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{context['discriminator'][1:-1]} {tag!r} is none of {', '.join(known)}{hint}"


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(value: Any) -> str:
    """A hash of anything that JSON can hold; equal values have equal identities."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Holds an exclusive lock; where another process has it, a UserError that says which, and that `what` is running.

    The lock belongs to the open file, so the system drops it when the process dies, in whatever way. Only this process
    has the file open: Python closes it in programs that are started (PEP 446), `_close_locks` in children that are forked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{what} is already running{_owner(file)}") from None
        except OSError as error:
            raise UserError(
                f"{path}: its filesystem has no locks ({error.strerror}); "
                f"make {path.parent} a link to a folder on one that has them"
            ) from None
        _locks.add(file)
        try:
            with suppress(OSError):  # on a full disk the lock holds all the same
                file.truncate(0)
                owner = {"process": os.getpid(), "host": platform.node(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
                file.write(json.dumps(owner))
                file.flush()
            yield
        finally:
            _locks.discard(file)


def _owner(file: IO[str]) -> str:
    """Who wrote the lock file, as the end of a sentence, with what to do."""
    file.seek(0)
    try:
        owner = json.loads(file.read())
        process = f"process {owner['process']} since {owner['since']}"
    except (ValueError, KeyError, TypeError):  # taken this moment, not yet written
        return "; wait for it or stop it"
    if owner["host"] != platform.node():
        return f" ({process} on {owner['host']}); wait for it or stop it there"
    return f" ({process}); wait for it or stop it: kill {owner['process']}"


_locks: set[IO[str]] = set()


def _close_locks() -> None:
    for file in _locks:
        file.close()


os.register_at_fork(after_in_child=_close_locks)
