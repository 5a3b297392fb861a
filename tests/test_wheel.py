"""A wheel holds everything that a user without a clone needs: code, data, lessons."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from this source."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def files(folder: str, pattern: str = "*") -> set[str]:
    """The files of a folder of this source, without what was compiled or run there."""
    found = (path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob(pattern) if path.is_file())
    return {name for name in found if "__pycache__" not in name and ".ipynb_checkpoints" not in name}


def test_the_wheel_holds_code_data_and_lessons(wheel):
    """Each where the code looks for it."""
    held = set(ZipFile(wheel).namelist())
    assert files("eslab") | {f"eslab/{name}" for name in files("data") | files("notebooks", "*.ipynb")} <= held


class Installed:
    """An environment with the wheel, and a shell in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.here = folder / "empty"
        self.here.mkdir()
        self.python = folder / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)

    def pip(self, *names: object) -> None:
        """Install packages."""
        command = [self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *names]
        subprocess.run(command, check=True)

    def eslab(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
        """Run the command in the folder that was empty, or in another."""
        command = [self.python.with_name("eslab"), *arguments]
        return subprocess.run(command, cwd=cwd or self.here, capture_output=True, text=True, check=False)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_an_installed_wheel_brings_the_lessons(wheel, tmp_path):
    """Without extras, `doctor` says what to install, once for each extra; with them, a copied lesson runs."""
    installed = Installed(tmp_path)
    installed.pip(wheel)
    checked = installed.eslab("doctor")
    assert (checked.returncode, checked.stdout.count("pip install 'eslab[")) == (1, 2)
    assert "No module named" not in checked.stdout
    copied = installed.eslab("lessons", "copy", "notebooks")
    assert copied.returncode == 0, copied.stderr
    assert {path.name for path in installed.here.glob("notebooks/*.ipynb")} == {
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    }
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))  # the extras, without a download of 300 MB
    (tmp_path / "venv" / "share" / "jupyter").parent.mkdir(exist_ok=True)
    (tmp_path / "venv" / "share" / "jupyter").symlink_to(Path(sys.prefix) / "share" / "jupyter")
    assert "`eslab lessons copy notebooks`" in installed.eslab("run", cwd=tmp_path).stderr
    ran = installed.eslab("run", "notebooks/00_start_here.ipynb")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (installed.here / "build" / "reports" / "00_start_here.html").exists()
