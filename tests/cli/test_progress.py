"""How far a node is that catches up, how fast, and for how long yet."""

from __future__ import annotations

from kroma_core.chain.builtin import builtin
from kroma_core.cli.progress import CatchUp
from kroma_core.events import HeadsMoved, L1HeadsChanged
from kroma_core.l1 import L1Heads
from kroma_core.types import BlockId, L1Number, L1Ref, Timestamp

CHAIN = builtin("op-sepolia")
GENESIS_TIME = 1691802540
"""Of OP Sepolia; a block every 2 seconds, the first one has number 0."""


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def l1_head_at(time: int) -> L1HeadsChanged:
    ref = L1Ref(hash=bytes(32), number=L1Number(1), parent_hash=bytes(32), timestamp=Timestamp(time))
    return L1HeadsChanged(heads=L1Heads(unsafe=ref))


def safe_at(number: int) -> HeadsMoved:
    block = BlockId(bytes(32), number)
    return HeadsMoved(unsafe=block, safe=block, finalized=block, derived_l1=block)


def behind() -> tuple[CatchUp, Time]:
    clock = Time()
    catch_up = CatchUp(config=CHAIN, clock=clock)
    catch_up.on_event(l1_head_at(GENESIS_TIME + 2 * 100_000))
    return catch_up, clock


def test_the_target_is_the_block_of_the_time_of_the_l1_head() -> None:
    catch_up, _ = behind()
    catch_up.on_event(safe_at(7))
    pace = catch_up.pace()
    assert pace is not None
    assert (pace.safe, pace.target, pace.left) == (7, 100_000, None)


def test_speed_and_time_left_come_from_what_was_done_last() -> None:
    catch_up, clock = behind()
    for second in range(101):
        catch_up.on_event(safe_at(10 * second if second < 50 else 500 + 100 * (second - 50)))
        clock.now += 1
    pace = catch_up.pace()
    assert pace is not None
    assert pace.blocks_per_second == 100
    assert pace.left == (100_000 - 5500) / 100
    assert str(pace) == "block 5,500 of about 100,000, 100 blocks/s, 16 min left"


def test_a_node_near_its_target_is_not_catching_up() -> None:
    catch_up, _ = behind()
    catch_up.on_event(safe_at(99_200))
    assert catch_up.pace() is None


def test_before_the_l1_head_is_known_there_is_no_pace() -> None:
    catch_up = CatchUp(config=CHAIN, clock=Time())
    catch_up.on_event(safe_at(5))
    assert catch_up.pace() is None


def test_a_reset_begins_the_measurement_anew() -> None:
    catch_up, clock = behind()
    catch_up.on_event(safe_at(1000))
    clock.now += 1
    catch_up.on_event(safe_at(400))
    pace = catch_up.pace()
    assert pace is not None
    assert pace.blocks_per_second == 0


def test_thousands_of_moves_a_second_are_not_all_kept() -> None:
    catch_up, clock = behind()
    for number in range(50_000):
        clock.now += 0.0002
        catch_up.on_event(safe_at(number))
    assert len(catch_up._moved) < 100
    pace = catch_up.pace()
    assert pace is not None
    assert 4900 < pace.blocks_per_second < 5100
