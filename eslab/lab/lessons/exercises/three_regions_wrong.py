"""The wrong answers that the exercises of lesson 08 know, each with what its author must read."""

from eslab.lab.exercises import Wrong


def policy(body: str) -> str:
    """The exercise's cell with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"def sell(shop):\n{lines}"


def read_then_write(read: str, write: str, limit: str = "< 3") -> str:
    """A policy that reads at one level and writes at another."""
    return policy(f'if not shop.used("{read}") {limit}:\n    return False\nreturn shop.write("{write}")')


WRONG_POLICIES = [
    Wrong(read_then_write("LOCAL_QUORUM", "LOCAL_QUORUM"), "A row needs 40 ms from us to eu"),
    Wrong(read_then_write("QUORUM", "QUORUM"), "A read and a write are two steps"),
    Wrong(read_then_write("LOCAL_QUORUM", "LOCAL_QUORUM", "<= 3"), "The third is sold when two are used"),
    Wrong(
        policy("used = shop.used('QUORUM')\nreturn used < 3 and shop.write_if(used, 'LOCAL_SERIAL')"),
        "LOCAL_SERIAL asks the replicas of one region",
    ),
    Wrong(
        policy(
            "home = shop.at(shop.home)\nif home.used('LOCAL_QUORUM') >= 3:\n    return False\n"
            "return home.write('LOCAL_QUORUM')"
        ),
        "The home region decides alone, but two requests may be there at once",
    ),
    Wrong(
        "from eslab.lab.lessons.exercises.three_regions import NoAnswer\n"
        + policy(
            "try:\n    used = shop.used('QUORUM')\n    return used < 3 and shop.write_if(used, 'SERIAL')\n"
            "except NoAnswer:\n    return shop.used('LOCAL_QUORUM') < 3 and shop.write('LOCAL_QUORUM')"
        ),
        "No answer is no permission",
    ),
    Wrong(
        policy(
            "used = shop.used('QUORUM')\nif used >= 3:\n    return False\nshop.write_if(used, 'SERIAL')\nreturn True"
        ),
        "write_if returns False if it wrote nothing",
    ),
    Wrong(
        policy("used = shop.used('EACH_QUORUM')\nreturn used < 3 and shop.write_if(used, 'SERIAL')"),
        "Your policy waits for a region that is away",
    ),
    Wrong(policy("return False"), "Nothing is sold where nothing is wrong"),
    Wrong(
        policy("used = shop.used('QUORUM')\nreturn used < 1 and shop.write_if(used, 'SERIAL')"),
        "A region refuses what the studio allows",
    ),
    Wrong(
        policy("used = shop.used('QUORUM')\nif used < 3:\n    shop.write_if(used, 'SERIAL')\nreturn False"),
        "its row is there: it counts",
    ),
    Wrong(policy("used = shop.used('QUORUM')\nused < 3 and shop.write_if(used, 'SERIAL')"), "returns True if"),
]

WRONG_TRIALS = [
    Wrong("trial = Trial(seconds=20)", "delivered all of them when the link was back"),
    Wrong("trial = Trial(seconds=200)", "A longer fault needs more hints"),
    Wrong("trial = Trial(fault='freeze asia')", "A frozen region answers nobody"),
    Wrong("trial = Trial(fault='kill asia')", "What asia had was on its disk"),
    Wrong("trial = Trial(kill_us='after the end')", "its hints had been delivered"),
    Wrong("trial = Trial(level='EACH_QUORUM')", "it acknowledged nothing"),
    Wrong("trial = Trial(level='QUORUM')", "A level doesn't change who keeps hints"),
    Wrong("trial = Trial(kill_us='before the end', repair=True)", "the repair brought"),
    Wrong("trial = Trial(hint_window=60)", "was as long as the fault"),
    Wrong("trial = Trial(seconds=0, kill_us='before the end')", "Nothing is written while the fault lasts"),
]
