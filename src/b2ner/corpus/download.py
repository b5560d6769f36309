"""The published release, from the Hugging Face hub: fetched, checked, unpacked, noted.

A file that was cut off goes on where it stopped, also in another run; a revision can be pinned, and
is noted as a commit. The hub says how many bytes a file has and their SHA-256: what differs is
thrown away. Knows nothing of terms: whoever calls has shown them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b2ner import files
from b2ner.corpus.published import task_of_key
from b2ner.corpus.unpack import Member, members, unpack
from b2ner.errors import DataError, MissingExtra

REPOSITORY = "Umean/B2NERD"
RECORD = "download.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Release:
    """One archive at one commit of the hub. `sha256` is empty where the hub does not say it."""

    repository: str
    commit: str
    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """Where a member belongs in the published layout; all empty: it is no file of a data set."""

    edition: str = ""  # the folder above the task keys: B2NERD, B2NERD_all, B2NERD_raw
    task: str = ""
    data_set: str = ""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What lies in a folder now. `data_sets` are the names found in the archive and written."""

    release: Release
    files: int
    left_out: int  # members that were not wanted
    data_sets: tuple[str, ...]


def find_release(
    *, repository: str = REPOSITORY, revision: str | None = None, file: str | None = None
) -> Release:
    """The archive of the release, as the hub describes it; `file` where there are several zips.

    Raises DataError when the hub has none or does not answer.
    """
    api = _hub().HfApi()
    try:
        info = api.dataset_info(repository, revision=revision, files_metadata=True)
    except Exception as fault:  # among them those of whatever HTTP library the hub's one uses
        raise _refused(repository, fault) from fault
    found = {each.rfilename: each for each in info.siblings or ()}
    zips = sorted(name for name in found if name.lower().endswith(".zip"))
    if file is None and len(zips) != 1:
        raise DataError(
            f"{repository}: expected one zip, found {', '.join(zips) or 'none'}; name it by --file"
        )
    name = file or zips[0]
    if name not in found:
        raise DataError(f"{repository}: has no {name!r}, but {', '.join(sorted(found))}")
    one = found[name]
    sha256 = one.lfs.sha256 if one.lfs else ""
    return Release(repository, str(info.sha), name, int(one.size or 0), str(sha256))


def download(
    release: Release,
    folder: Path,
    *,
    wanted: Callable[[PublishedFile], bool] = lambda file: True,
) -> Downloaded:
    """Fetch the archive, unpack what is wanted below the folder, and note it in `download.json`.

    The archive is removed when all is written. Raises DataError when it cannot be fetched, is not
    what the hub says, or holds what `unpack` refuses.
    """
    archive = _fetched(release, folder)
    total = len(members(archive))
    written: list[tuple[Path, str]] = []
    names: dict[str, None] = {}

    def is_wanted(member: Member) -> bool:
        place = published_file(member.path)
        if place.data_set and not wanted(place):
            return False
        if place.data_set:
            names[place.data_set] = None
        return True

    for path in unpack(archive, folder, wanted=is_wanted):
        written.append((path, files.sha256(path)))
    files.write_json(
        folder / RECORD,
        {
            "repository": release.repository,
            "commit": release.commit,
            "file": release.file,
            "sha256": release.sha256,
            "data_sets": sorted(names),
            "files": {path.relative_to(folder).as_posix(): digest for path, digest in written},
        },
    )
    archive.unlink()
    logger.info("%s files=%d left_out=%d", release.file, len(written), total - len(written))
    return Downloaded(release, len(written), total - len(written), tuple(sorted(names)))


def published_file(path: str) -> PublishedFile:
    """What a member's path says: `.../EDITION/TASK KEY/DATA SET/FILE`."""
    parts = path.split("/")
    if len(parts) < 3 or task_of_key(parts[-3]) is None:
        return PublishedFile()
    return PublishedFile(parts[-4] if len(parts) > 3 else "", parts[-3], parts[-2])


def _fetched(release: Release, folder: Path) -> Path:
    """The archive on this machine, complete and checked."""
    # The name says which bytes these are, so that a part of another release is never continued.
    path = folder / f".{(release.sha256 or release.commit)[:16]}.zip"
    part = path.with_suffix(".part")
    if not path.exists():
        _fetch(release, part)
        if release.sha256 and (found := files.sha256(part)) != release.sha256:
            part.unlink()
            raise DataError(
                f"{release.file}: came with SHA-256 {found}, and the hub says {release.sha256};"
                " it was removed, try again"
            )
        part.replace(path)
    return path


def _fetch(release: Release, part: Path) -> None:
    """All bytes of the archive into `part`, behind those that are there already."""
    hub = _hub()
    from huggingface_hub.file_download import http_get

    url = hub.hf_hub_url(
        release.repository, release.file, repo_type="dataset", revision=release.commit
    )
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as begun:
            size = begun.tell()
        if release.bytes and size > release.bytes:
            part.unlink()
            size = 0
        with part.open("r+b" if size else "w+b") as file:
            file.seek(size)
            http_get(
                url,
                file,
                resume_size=size,
                headers=hub.utils.build_hf_headers(),
                expected_size=release.bytes or None,
            )
    except Exception as fault:  # as in `find_release`
        raise _refused(f"{release.repository}/{release.file}", fault) from fault


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as fault:
        raise MissingExtra(
            f'downloading needs the extra `data`: pip install "b2ner[data]" ({fault})'
        ) from fault
    return huggingface_hub


def _refused(place: str, fault: Exception) -> DataError:
    reason = next(iter(str(fault).strip().splitlines()), "") or repr(fault)
    return DataError(f"{place} could not be fetched from the Hugging Face hub: {reason}")
