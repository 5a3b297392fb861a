"""Cassandra's jars: the lock file names them; fetched once per user, and checked by their sha256 sums."""

import hashlib
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from eslab.cluster.errors import NoJars
from eslab.cluster.places import cache_folder
from eslab.cluster.progress import OnProgress

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("cassandra.lock.toml")
AT_ONCE = 4  # parallel downloads; more are no faster from Maven Central
TRIES = 3  # for every jar
ABANDONED_AFTER = 3600.0  # seconds; a download folder untouched for that long belongs to a dead process


class Jar(msgspec.Struct, frozen=True, rename="camel"):
    """One jar of the lock file, identified by its sha256 sum."""

    group_id: str
    artifact_id: str
    version: str
    sha256: str
    packaging: str = "jar"
    classifier: str = ""

    @property
    def coordinate(self) -> str:
        """Maven's name for it: `group:artifact:version`, and the classifier if there is one."""
        parts = [self.group_id, self.artifact_id, self.version, self.classifier]
        return ":".join(part for part in parts if part)

    @property
    def filename(self) -> str:
        """Its file name, the same in the cache as in Maven Central."""
        return "-".join(part for part in (self.artifact_id, self.version, self.classifier) if part) + ".jar"


class LockFile(msgspec.Struct, frozen=True):
    """The part of jgo's lock file that this module reads."""

    dependencies: tuple[Jar, ...]


def locked_jars() -> tuple[Jar, ...]:
    """All jars of the lock file, Cassandra's own first."""
    return msgspec.convert(tomllib.loads(LOCK.read_text(encoding="utf-8")), LockFile).dependencies


def cassandra_version() -> str:
    """The version of Apache Cassandra that the lock file pins."""
    return locked_jars()[0].version


def fetch_jars(on_progress: OnProgress = print) -> list[Path]:
    """Fetch the missing and damaged jars of the lock file into the cache; returns the paths of all jars.

    With a full cache it reads 70 MB and needs no network. A jar is downloaded to a folder beside the cache and moved
    in once its sum is right, so a download may be interrupted at any time, and two processes may download at once.
    Raises NoJars.
    """
    folder = cache_folder() / "jars" / cassandra_version()
    jars = locked_jars()
    missing = [jar for jar in jars if not is_whole(folder / jar.filename, jar)]
    if missing:
        _fetch(missing, folder, on_progress)
    return [folder / jar.filename for jar in jars]


def is_whole(file: Path, jar: Jar) -> bool:
    """Does this file exist, with the sha256 sum of the lock file?"""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch(missing: list[Jar], folder: Path, on_progress: OnProgress) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    on_progress(f"Fetching Cassandra {cassandra_version()} into {folder}, 70 MB in all; jars to come: {len(missing)}")
    started = time.monotonic()
    with _staging(folder.parent) as staging, ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(_fetch_one, jar, folder, staging / str(number)) for number, jar in enumerate(missing)]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                if done % 20 == 0 or done == len(jobs):
                    on_progress(f"Fetched jars: {done} of {len(jobs)}, {time.monotonic() - started:.0f} s")
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _staging(parent: Path) -> Iterator[Path]:
    """A folder for downloads under way. Removed at the end; a killed process's is removed by a later download."""
    for abandoned in parent.glob("incoming-*"):
        if time.time() - abandoned.stat().st_mtime > ABANDONED_AFTER:
            shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _fetch_one(jar: Jar, folder: Path, staging: Path) -> None:
    error: Exception | None = None
    for attempt in range(TRIES):
        time.sleep(attempt)  # 0, 1 and 2 s
        try:
            # A folder for every attempt: in the same one, jgo would take the damaged file for the jar.
            arrived = _download(jar, staging / str(attempt))
        except (OSError, RuntimeError) as failure:  # requests' errors are OSErrors, jgo raises RuntimeError
            error = failure
            continue
        if is_whole(arrived, jar):
            arrived.replace(folder / jar.filename)
            return
        error = ValueError(f"the downloaded file has another sha256 sum than {jar.sha256}")
    raise NoJars(
        f"Could not fetch {jar.coordinate} from {_sources()} into {folder} in {TRIES} tries: {error}. "
        "Connect to the network and start again; the jars that arrived are kept. To use a mirror, name it in "
        "~/.config/jgo.conf: a section [repositories] with a line central = URL."
    ) from error


def _download(jar: Jar, staging: Path) -> Path:
    context = _context(staging)
    component = context.project(jar.group_id, jar.artifact_id).at_version(jar.version)
    return component.artifact(classifier=jar.classifier, packaging=jar.packaging).resolve()


def _context(repo_cache: Path) -> "MavenContext":
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    # The user's own settings come last and win, so a mirror named `central` replaces Maven Central.
    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(PythonResolver(), repo_cache=repo_cache, remote_repos=repositories, timeout=60)


def _sources() -> str:
    return " and ".join(_context(Path()).remote_repos.values())
