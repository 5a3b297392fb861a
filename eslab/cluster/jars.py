"""Cassandra itself: the jars that the lock file names, fetched once per user, each proved by its sha256 sum."""

import hashlib
import shutil
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from eslab.cluster.errors import NoJars
from eslab.cluster.places import cache_folder

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("cassandra.lock.toml")
AT_ONCE = 4  # downloads; more don't make Maven Central any faster
TRIES = 3
ABANDONED_AFTER = 3600.0  # seconds; a download that nobody has touched for so long has died

Say = Callable[[str], None]


class Jar(msgspec.Struct, frozen=True, rename="camel"):
    """One jar as the lock file names it; `sha256` is the proof that it is the one."""

    group_id: str
    artifact_id: str
    version: str
    sha256: str
    packaging: str = "jar"
    classifier: str = ""

    @property
    def coordinate(self) -> str:
        """How Maven writes it: `group:artifact:version`, with the classifier if there is one."""
        parts = [self.group_id, self.artifact_id, self.version, self.classifier]
        return ":".join(part for part in parts if part)

    @property
    def filename(self) -> str:
        """Its name in the cache, which is its name in Maven Central."""
        return "-".join(part for part in (self.artifact_id, self.version, self.classifier) if part) + ".jar"


class LockFile(msgspec.Struct, frozen=True):
    """The part of jgo's lock file that is read here."""

    dependencies: tuple[Jar, ...]


def locked_jars() -> tuple[Jar, ...]:
    """All jars of the lock file, Cassandra's own first."""
    return msgspec.convert(tomllib.loads(LOCK.read_text(encoding="utf-8")), LockFile).dependencies


def cassandra_version() -> str:
    """The version of Apache Cassandra that the lock file pins."""
    return locked_jars()[0].version


def fetch_jars(say: Say = print) -> list[Path]:
    """Every jar of the lock file, in this machine's cache, whole; what is missing or damaged is fetched.

    Costs one pass over 70 MB when the cache is warm, and no network. Each jar arrives beside the cache and
    moves in when its sum is right, so a download may be interrupted at any moment, and two may run at once.
    Raises NoJars.
    """
    folder = cache_folder() / "jars" / cassandra_version()
    jars = locked_jars()
    missing = [jar for jar in jars if not is_whole(folder / jar.filename, jar)]
    if missing:
        _fetch(missing, folder, say)
    return [folder / jar.filename for jar in jars]


def is_whole(file: Path, jar: Jar) -> bool:
    """Is this file here, and the very jar that was locked?"""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch(missing: list[Jar], folder: Path, say: Say) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Fetching Cassandra {cassandra_version()} once, into {folder}: {len(missing)} jars, about 70 MB in all")
    started = time.monotonic()
    with _staging(folder.parent) as staging, ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(_fetch_one, jar, folder, staging / str(number)) for number, jar in enumerate(missing)]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                if done % 20 == 0 or done == len(jobs):
                    say(f"Fetched {done} of {len(jobs)} jars, {time.monotonic() - started:.0f} s")
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _staging(parent: Path) -> Iterator[Path]:
    """A folder for what arrives; it goes when the download ends, and one that was killed goes with a later one."""
    for left in parent.glob("incoming-*"):
        if time.time() - left.stat().st_mtime > ABANDONED_AFTER:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _fetch_one(jar: Jar, folder: Path, staging: Path) -> None:
    error: Exception | None = None
    for attempt in range(TRIES):
        time.sleep(attempt)
        try:
            arrived = _download(jar, staging / str(attempt))
        except (OSError, RuntimeError) as failure:  # requests' errors are OSErrors, jgo raises RuntimeError
            error = failure
            continue
        if is_whole(arrived, jar):
            arrived.replace(folder / jar.filename)
            return
        error = ValueError(f"the file that arrived has another sha256 sum than {jar.sha256}")
    raise NoJars(
        f"Expected {jar.coordinate} in {folder} or from {_sources()}, found no way to get it in {TRIES} tries: "
        f"{error}. Connect to the network once; the jars that did arrive are kept. Behind a mirror, name it in "
        f"~/.config/jgo.conf: a section [repositories] with a line central = URL."
    ) from error


def _download(jar: Jar, staging: Path) -> Path:
    context = _context(staging)
    component = context.project(jar.group_id, jar.artifact_id).at_version(jar.version)
    return component.artifact(classifier=jar.classifier, packaging=jar.packaging).resolve()


def _context(repo_cache: Path) -> "MavenContext":
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(PythonResolver(), repo_cache=repo_cache, remote_repos=repositories, timeout=60)


def _sources() -> str:
    return " and ".join(_context(Path()).remote_repos.values())
