"""Parsing of regions, names, settings and delays; and the tokens of the nodes."""

from itertools import pairwise
from pathlib import Path

import pytest

from eslab.cluster import ClusterError, Node, Plan
from eslab.cluster.config import jvm_options
from eslab.cluster.plan import RING, check_name, make_settings, parse_delay, parse_regions, regions_text


def plan(regions: str) -> Plan:
    """A plan of these regions, its addresses made up."""
    counts = parse_regions(regions).items()
    return Plan(
        "test", tuple(Node(region, n, f"{region}{n}", "") for region, count in counts for n in range(1, count + 1))
    )


@pytest.mark.parametrize("text", ["us", "us,eu,asia", "us:3", "us:2,eu"])
def test_regions_are_read_as_they_are_written(text: str) -> None:
    """A region has one node unless a number is given."""
    assert regions_text(parse_regions(text)) == text
    assert parse_regions("us:1, eu") == {"us": 1, "eu": 1}


@pytest.mark.parametrize("text", ["", "us,us", "us:0", "us:", "us:x", "1st", "us/1", "us:10", ",us", "us:-1"])
def test_regions_that_cannot_be_are_refused(text: str) -> None:
    """Names differ, and there are 1 to 9 nodes; the message shows the text."""
    with pytest.raises(ClusterError, match=r"Expected regions .*got"):
        parse_regions(text)


@pytest.mark.parametrize("name", ["", "../lab", "a b", "1st", "x" * 33, "läb"])
def test_a_name_is_fit_for_a_folder(name: str) -> None:
    """A name that could leave the folder of clusters is refused."""
    with pytest.raises(ClusterError, match="Expected a cluster's name"):
        check_name(name)


@pytest.mark.parametrize(("text", "seconds"), [("75ms", 0.075), ("0.2s", 0.2), (" 1 s", 1), ("0ms", 0)])
def test_a_delay_has_a_unit(text: str, seconds: float) -> None:
    """Milliseconds or seconds."""
    assert parse_delay(text) == seconds


@pytest.mark.parametrize("text", ["75", "-1ms", "soon", "1m", ""])
def test_a_delay_without_a_unit_is_refused(text: str) -> None:
    """75 of what?"""
    with pytest.raises(ClusterError, match="such as 75ms"):
        parse_delay(text)


@pytest.mark.parametrize(
    "options", [{"commitlog_sync": "never"}, {"heap": "a lot"}, {"heap": "64m"}, {"heap": "512"}, {"speed": "high"}]
)
def test_settings_that_cannot_be_are_refused(options: dict[str, str]) -> None:
    """The message shows what was asked for."""
    with pytest.raises(ClusterError, match=next(iter(options.values()))):
        make_settings(**options)


def test_a_target_is_a_region_or_a_node() -> None:
    """`us` means all nodes of us, `us/2` one; anything else is refused, with the names that exist."""
    assert [node.name for node in plan("us:2,eu").pick("us")] == ["us/1", "us/2"]
    assert [node.name for node in plan("us:2,eu").pick("us/2")] == ["us/2"]
    with pytest.raises(ClusterError, match=r"us, eu.*us/1, us/2, eu/1.*'mars'"):
        plan("us:2,eu").pick("mars")


@pytest.mark.parametrize("regions", ["us", "us:3", "us,eu,asia", "us:4,eu:2"])
def test_each_region_divides_the_ring_evenly(regions: str) -> None:
    """All tokens differ, none is the lowest, and within a region each is as far from the next."""
    whole = plan(regions)
    tokens = [token for node in whole.nodes for token in whole.tokens(node)]
    assert len(set(tokens)) == len(tokens) and min(tokens) > -(RING // 2) and max(tokens) < RING // 2
    for region in whole.regions:
        own = sorted(token for node in whole.pick(region) for token in whole.tokens(node))
        assert len({after - before for before, after in pairwise(own)}) == 1


@pytest.mark.parametrize("brief", [True, False])
def test_a_brief_node_compiles_lightly(tmp_path: Path, brief: bool) -> None:
    """Its start is most of its work; a node that is measured for long compiles as Java does."""
    one = Plan("lab", (Node("us", 1, "127.0.0.1", "127.0.0.1"),), make_settings(brief=brief))
    options = list(jvm_options(one, tmp_path, 17, [Path("jamm-0.jar")]))
    assert ("-XX:TieredStopAtLevel=1" in options) is brief
