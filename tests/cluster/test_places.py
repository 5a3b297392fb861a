"""Folders with odd names, folders that can't be used, and processes that only look like ours."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from eslab.cluster import Cluster, ClusterError, Node, Plan
from eslab.cluster.config import write_config
from eslab.cluster.control import Address, find_supervisor, write_address
from eslab.cluster.folder import options_argument, read_down, write_plan
from eslab.cluster.places import usable_folders
from eslab.cluster.process import kill_orphans, pid_file
from eslab.cluster.runtime import Java
from tests.cluster.conftest import eventually

NODES = tuple(
    Node(region, 1, f"127.64.0.{n}", f"127.64.0.{100 + n}") for n, region in enumerate(("us", "eu", "asia"), 1)
)
PLAN = Plan("lab", NODES)

# Folders


@pytest.mark.parametrize(
    "name", ["dö ner", "a:b", "a=b", "100%", "$X", "#!", 'it\'s "so"', "~", "*", "顧客", "x" * 200]
)
def test_an_odd_folder_for_data_is_used(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Java gets only paths relative to it where it would read a sign in a name as one of its own."""
    monkeypatch.setenv("ESLAB_DATA", str(tmp_path / name))
    with usable_folders():
        write_config(PLAN, NODES[0], tmp_path / name, Java(Path("java"), 17, "test"), [Path("/jars/jamm-1.jar")])
    options = (tmp_path / name / "us-1" / "conf" / "jvm.options").read_text(encoding="utf-8").splitlines()
    assert options[-2:] == ['"-cp"', '"conf:/jars/jamm-1.jar"']
    assert '"-Dcassandra.logdir=logs"' in options


@pytest.mark.parametrize(
    ("variable", "name", "reason"),
    [
        ("ESLAB_CACHE", "a:b", "Java can't find jars in a folder with ':'"),
        ("ESLAB_CACHE", "a=b", "Java can't find jars in a folder with '='"),
        ("ESLAB_CACHE", "a!", "Java can't find jars in a folder with '!'"),
        ("ESLAB_DATA", "two\nlines", r"Java can't read a name with '\\n'"),
        ("ESLAB_DATA", "\x7f", "Java can't read a name with"),
        ("ESLAB_DATA", "\U0001f369", "Java can't read a name with"),
        ("ESLAB_DATA", "d\udcf6ner", "not in UTF-8"),
        ("ESLAB_DATA", "/".join(["x" * 200] * 4), "bytes, and Cassandra needs 700 at most"),
        ("ESLAB_DATA", "file/inside", "Could not use .*: Not a directory"),
        ("ESLAB_DATA", "file", "Could not use "),
        ("ESLAB_DATA", "x" * 300, "Could not use .*: File name too long"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    variable: str, name: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before anything is started, with the reason and the variable that names another one."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / name))
    with pytest.raises(ClusterError, match=f"(?s){reason}.*{variable}"):
        Cluster.start(config={"no_such_setting": 1})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device on this system")
def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With both folders and the room that they need."""
    monkeypatch.setenv("ESLAB_DATA", str(tmp_path))
    with pytest.raises(ClusterError, match=r"No space left on device.*300 MB of room.*ESLAB_DATA"), usable_folders():
        Path("/dev/full").write_text("plan")


def test_half_a_plan_is_never_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A crash while the plan is written leaves the old one: else no cluster could be listed or started."""
    write_plan(tmp_path, PLAN, {})
    before = (tmp_path / "cluster.json").read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_plan(tmp_path, Plan("other", NODES), {})
    assert (tmp_path / "cluster.json").read_bytes() == before


# Processes


@pytest.fixture
def strangers(tmp_path: Path) -> Iterator[list[psutil.Process]]:
    """Processes that have the pid of a node or a supervisor after a restart of the machine, and name its folder."""
    sleep = "import time; time.sleep(600)"
    folder = tmp_path / "lab"
    words = [
        ["-f", str(folder / "us-1" / "logs" / "system.log")],
        [options_argument(folder / "us-1") + "~"],
        [options_argument(tmp_path / "lab" / "us-12")],
        ["eslab.cluster.supervisor", str(tmp_path / "lab2"), "0", ""],
        ["-m", "eslab.cluster.supervisor", str(folder / "us-1")],
    ]
    children = [subprocess.Popen([sys.executable, "-c", sleep, *arguments]) for arguments in words]
    yield [psutil.Process(child.pid) for child in children]
    for child in children:
        child.kill()
        child.wait()


def test_a_stranger_with_the_pid_of_a_node_is_left_alone(strangers: list[psutil.Process], tmp_path: Path) -> None:
    """A pid file outlives a restart of the machine; who has that pid by now is neither killed nor taken for ours."""
    folder = tmp_path / "lab"
    pid_file_of = pid_file(folder / "us-1")
    pid_file_of.parent.mkdir(parents=True)
    for stranger in strangers:
        pid_file_of.write_text(str(stranger.pid))
        write_address(folder, Address(stranger.pid, 1, "token"))
        assert kill_orphans(folder) == []
        assert find_supervisor(folder) is None
        assert stranger.is_running() and stranger.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("text", ["", "no number", "-1", "0", "²", "9" * 30, "\0", f"{2**31 - 1}"])
def test_a_pid_file_that_names_no_process_is_passed_over(text: str, tmp_path: Path) -> None:
    """Half written or damaged."""
    (tmp_path / "us-1").mkdir()
    pid_file(tmp_path / "us-1").write_text(text)
    assert kill_orphans(tmp_path) == []


def test_a_node_that_lost_its_supervisor_is_killed(tmp_path: Path) -> None:
    """It is known by the argument that starts it."""
    folder = tmp_path / "us-1"
    folder.mkdir()
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", options_argument(folder)])
    pid_file(folder).write_text(f"{orphan.pid}\n")
    assert eventually(lambda: options_argument(folder) in psutil.Process(orphan.pid).cmdline())  # not at once
    assert kill_orphans(tmp_path) == [orphan.pid]
    assert not psutil.pid_exists(orphan.pid)
    orphan.wait()


# What nodes think of each other


def log_lines(*lines: str) -> str:
    """A node's log."""
    return "".join(f"INFO  2026-01-01 00:00:00,000 [GossipStage:1] {line}\n" for line in lines)


UP = [f"Gossiper: InetAddress /{node.host}:7000 is now UP" for node in NODES]
DOWN = [line.replace("UP", "DOWN") for line in UP]
STARTED = "StorageService: Cassandra version: 5.0.9"


@pytest.mark.parametrize(
    ("lines", "down"),
    [
        ([], ["asia/1", "eu/1"]),
        ([STARTED], ["asia/1", "eu/1"]),
        ([STARTED, UP[1]], ["asia/1"]),
        ([STARTED, UP[1], UP[2]], []),
        ([STARTED, UP[1], UP[2], DOWN[2]], ["asia/1"]),
        ([STARTED, UP[1], UP[2], DOWN[2], UP[2]], []),
        ([STARTED, UP[1], UP[2], STARTED, UP[2]], ["eu/1"]),
        ([STARTED, UP[1], UP[2], "Gossiper: InetAddress /10.0.0.1:7000 is now DOWN"], []),
    ],
)
def test_a_nodes_log_tells_what_it_thinks_of_the_others(lines: list[str], down: list[str], tmp_path: Path) -> None:
    """The last word on each since it started; one that it has not met yet is down."""
    logs = tmp_path / "us-1" / "logs"
    logs.mkdir(parents=True)
    (logs / "system.log").write_text(log_lines(*lines))
    assert read_down(tmp_path, PLAN, NODES[0]) == down


def test_rotated_logs_count_in_their_order(tmp_path: Path) -> None:
    """The highest number is the oldest."""
    logs = tmp_path / "us-1" / "logs"
    logs.mkdir(parents=True)
    for number, lines in (("2.", [STARTED, *UP]), ("1.", DOWN[1:2]), ("", UP[1:2] + DOWN[2:])):
        (logs / f"system.{number}log").write_text(log_lines(*lines))
    assert read_down(tmp_path, PLAN, NODES[0]) == ["asia/1"]
