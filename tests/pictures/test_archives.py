"""Tar archives in place: every writer's form is read, everything odd is refused in one line."""

import io
import os
import tarfile

import pytest

from replicate.errors import UserError
from replicate.pictures.archives import members, opened
from tests.pictures.official import odd, tar

FILES = [("a.JPEG", b"first"), ("b/c.JPEG", bytes(range(256)) * 5), ("b/empty.JPEG", b""), ("d.JPEG", b"x" * 512)]


def listed(data: bytes, start: int = 0, end: int | None = None):
    file = io.BytesIO(data)
    return [(m.name, data[m.offset : m.offset + m.size]) for m in members(file, "x.tar", start, end or len(data))]


def refused(data: bytes, match: str):
    with pytest.raises(UserError, match=match) as error:
        listed(data)
    assert "\n" not in str(error.value) and str(error.value).startswith("x.tar: ")


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_lie_where_they_are_said_to(format):
    data = tar(FILES, format)
    assert listed(data) == FILES
    assert listed(b"?" * 1000 + data, 1000, 1000 + len(data)) == FILES


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_times_with_fractions(format):
    long = odd("/".join(["folder" * 10] * 5) + "/a.JPEG")
    long.mtime = 1234567890.5  # a header of its own, in front of each member, as Python writes them
    assert listed(tar([(long, b"1"), ("b.JPEG", b"2")], format)) == [(long.name, b"1"), ("b.JPEG", b"2")]


def test_a_dot_in_front_and_folders_are_passed_over():
    folder = odd("./b", tarfile.DIRTYPE)
    assert listed(tar([(odd(".", tarfile.DIRTYPE), b""), ("./a.JPEG", b"1"), (folder, b""), ("./b//c.JPEG", b"2")])) == [
        ("a.JPEG", b"1"), ("b/c.JPEG", b"2"),
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_compressed_archives_are_read_forwards(tmp_path, suffix):
    path = tmp_path / f"x.tar{suffix}"
    path.write_bytes(tar(FILES, mode=f"w:{suffix[1:]}"))
    with opened(path) as file:
        found = []
        for member in members(file, str(path)):
            file.seek(member.offset)
            found.append((member.name, file.read(member.size)))
    assert found == FILES


@pytest.mark.parametrize(
    ("member", "match"),
    [
        (odd("/etc/passwd"), "path out"),
        (odd("../evil"), "path out"),
        (odd("a/../../evil"), "path out"),
        (odd("link", tarfile.SYMTYPE, "/etc/passwd"), "symbolic link"),
        (odd("hard", tarfile.LNKTYPE, "a.JPEG"), "hard link"),
        (odd("tty", tarfile.CHRTYPE), "device"),
        (odd("disk", tarfile.BLKTYPE), "device"),
        (odd("pipe", tarfile.FIFOTYPE), "pipe"),
        (odd("../folder", tarfile.DIRTYPE), "path out"),
        (odd("a.JPEG"), "twice"),
        (odd("./a.JPEG"), "twice"),
        (odd("strange", b"Z"), "unusual kind"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_odd_members_are_refused(member, match, format):
    refused(tar([*FILES, (member, b"")], format), match)


def test_a_name_that_only_an_extended_header_has_is_looked_at():
    evil = odd("innocent.JPEG")
    evil.pax_headers = {"path": "../../evil"}
    refused(tar([(evil, b"")], tarfile.PAX_FORMAT), "path out")


def changed(data: bytes, member: int, **fields) -> bytes:
    """The archive with other fields in one member's header, and a right checksum."""
    found = list(tarfile.open(fileobj=io.BytesIO(data)))[member]
    for field, value in fields.items():
        setattr(found, field, value)
    return data[: found.offset] + found.tobuf(tarfile.GNU_FORMAT) + data[found.offset + 512 :]


@pytest.mark.parametrize("size", [10**6, 2**40, 2**62, -512])
def test_sizes_beyond_the_archive_are_refused(size):
    refused(changed(tar(FILES), 3, size=size), "beyond the end")


def test_an_extended_header_may_not_be_large_or_nonsense():
    big = odd("x", tarfile.XHDTYPE)
    big.size = 2**20
    refused(big.tobuf() + bytes(2**20) + bytes(1024), "a header of")
    for text in (b"nonsense", b"99999999999 path=x\n", b"0 path=x\n", b"3 path=x\n", b"-1 path=x\n"):
        odd_header = odd("x", tarfile.XHDTYPE)
        odd_header.size = len(text)
        refused(odd_header.tobuf() + text.ljust(512, b"\0") + tar(FILES), "damaged")
    for value in ("x", "1e3", "1_0", "+1", "-1", " 1", "0x1", "\u0661", "", "9" * 30):
        wrong = odd("a.JPEG")
        wrong.pax_headers = {"size": value}
        refused(tar([(wrong, b"")], tarfile.PAX_FORMAT), "damaged")


def test_a_size_that_only_an_extended_header_has_is_used():
    """Octal digits of the plain header end at 8 GB."""
    large = odd("a.JPEG")
    large.pax_headers = {"size": "1029"}
    data = tar([(large, b"x" * 1029), ("b.JPEG", b"next")], tarfile.PAX_FORMAT)
    member = next(m for m in tarfile.open(fileobj=io.BytesIO(data)) if m.name == "a.JPEG")
    plain = odd("a.JPEG")
    assert plain.size == 0
    at = member.offset_data - 512
    assert listed(data[:at] + plain.tobuf() + data[at + 512 :]) == [("a.JPEG", b"x" * 1029), ("b.JPEG", b"next")]


@pytest.mark.parametrize("name", ["a\nb.JPEG", "a\tb.JPEG", "\x1b[31mred.JPEG", "a\udcff.JPEG", "gpj\u202eexe"])
def test_names_that_cannot_be_printed_are_refused(name):
    refused(tar([*FILES, (odd(name), b"")]), "cannot be printed")


@pytest.mark.parametrize(("mode", "kind"), [("w:gz", "gzip"), ("w:xz", "xz"), ("w:bz2", "bzip2")])
def test_an_archive_that_is_compressed_against_its_name_is_told(tmp_path, mode, kind):
    (tmp_path / "x.tar").write_bytes(tar(FILES, mode=mode))
    with pytest.raises(UserError, match=f"x.tar: compressed by {kind}, which its name does not say"), opened(tmp_path / "x.tar"):
        pass


def test_a_pipe_is_no_archive(tmp_path):
    os.mkfifo(tmp_path / "x.tar")
    with pytest.raises(UserError, match="x.tar: no regular file"), opened(tmp_path / "x.tar"):
        pass


def test_a_name_for_all_members_at_once_is_refused():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "evil"}) as archive:
        archive.addfile(odd("a"))
    refused(out.getvalue(), "all members at once")
    harmless = io.BytesIO()
    with tarfile.open(fileobj=harmless, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "made by x"}) as archive:
        archive.addfile(odd("a"))
    assert listed(harmless.getvalue()) == [("a", b"")]


def test_every_cut_is_noticed():
    """Python's own reader takes some of these for the end of the archive."""
    data = tar(FILES)
    marker = data.rindex(b"x" * 512) + 512
    for end in (*range(0, marker, 100), *range(512, marker + 1, 512)):
        refused(data[:end], "cut off|beyond the end")


def test_a_header_lost_to_zeros_does_not_hide_the_rest():
    whole = tar([("a", b"one"), ("b", b"two"), ("c", b"three")])
    second = 2 * 512  # behind the first member's header and its one block
    refused(whole[:second] + bytes(512) + whole[second + 512 :], "more follows the mark of its end")
    refused(whole + whole, "more follows the mark of its end")


def test_a_damaged_header_is_noticed():
    data = bytearray(tar(FILES))
    for member in list(tarfile.open(fileobj=io.BytesIO(bytes(data)))):
        spoiled = bytearray(data)
        spoiled[member.offset + 130] ^= 1
        refused(bytes(spoiled), "damaged at byte")


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_damaged_compression_is_one_line(tmp_path, suffix):
    path = tmp_path / f"x.tar{suffix}"
    whole = tar(FILES * 1 + [("noise.JPEG", bytes(range(256)) * 99)], mode=f"w:{suffix[1:]}")
    for data in (whole[: len(whole) // 2], b"text" * 100, whole[:60] + bytes(60) + whole[120:]):
        path.write_bytes(data)
        with pytest.raises(UserError, match="download it again") as error, opened(path) as file:
            list(members(file, str(path)))
        assert "\n" not in str(error.value)
