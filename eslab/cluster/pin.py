"""Rewrite the lock file: `python -m eslab.cluster.pin` resolves the newest Cassandra 5.0 and its jars.

Maintainers run this; users never do. The result is reviewed and committed like code.
"""

import sys
import tempfile
from pathlib import Path

from jgo.env import LockFile
from jgo.maven import MavenContext, PythonResolver

from eslab.cluster.jars import LOCK

GROUP = "org.apache.cassandra"
ARTIFACT = "cassandra-all"
LINE = "5.0."


def newest(context: MavenContext) -> str:
    """The newest release of 5.0; asks Maven Central for the list of versions."""
    project = context.project(GROUP, ARTIFACT)
    project.update()
    return max((v for v in project.metadata.versions if _is_release(v)), key=lambda v: int(v.removeprefix(LINE)))


def pin(version: str | None = None, lock: Path = LOCK) -> int:
    """Resolve Cassandra and its dependencies, fetch every jar, write their sha256 sums; returns the number of jars."""
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(PythonResolver(), repo_cache=Path(folder), timeout=60)
        wanted = context.create_dependency(f"{GROUP}:{ARTIFACT}:{version or newest(context)}")
        inputs, others = context.resolver.resolve([wanted])
        # Cassandra stays first, the rest in a stable order, so that a new lock file shows only real changes.
        others.sort(key=lambda jar: (jar.groupId, jar.artifactId, jar.classifier))
        LockFile.from_resolved_dependencies(inputs + others).save(lock)
    return len(inputs + others)


def _is_release(version: str) -> bool:
    return version.startswith(LINE) and version.removeprefix(LINE).isdigit()


if __name__ == "__main__":
    print(f"{pin(sys.argv[1] if sys.argv[1:] else None)} jars pinned in {LOCK}")
