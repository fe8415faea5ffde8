"""What becomes of the parts in the shadow of others where a profile is used for a replay."""

from __future__ import annotations

from pathlib import Path

from kroma_core.api import Role
from kroma_core.node.plan import Plan, plan_replay
from kroma_core.node.registry import collect
from kroma_core.node.shadow.leading import follower_name
from tests.node.sample_parts import RecordingSettings, SamplePlugin, offer
from tests.node.test_plan import EXECUTES, RECORDING

INSTALLED = collect(
    [
        (
            "acme",
            "1.0",
            SamplePlugin(
                l1=[offer("rpc"), offer("cassette", config=RecordingSettings)],
                blobs=[offer("cassette", config=RecordingSettings)],
                data=[offer("calldata")],
                engine=[offer("fast", capabilities=EXECUTES)],
            ),
        )
    ]
)


def planned(tmp_path: Path, profile: str) -> Plan:
    path = tmp_path / "p.toml"
    path.write_text(profile)
    return plan_replay(RECORDING, path, INSTALLED, {}, tmp_path / "scratch")


def test_followers_of_an_l1_that_is_replaced_by_the_recording_follow_the_recording(tmp_path: Path) -> None:
    made = planned(tmp_path, "[l1]\nkind = 'rpc'\n[[l1.shadow]]\nkind = 'rpc'\n")
    [leader] = made.of_role(Role.L1)
    assert leader.installed.offer.kind == "cassette"
    assert [follower.installed.offer.kind for follower in leader.shadows] == ["rpc"]


def test_a_follower_plays_the_recording_of_the_replay_unless_it_names_another(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    made = planned(
        tmp_path,
        "[l1]\nkind = 'cassette'\nrecording = 'any.json'\n[[l1.shadow]]\nkind = 'cassette'\n"
        f"[[l1.shadow]]\nkind = 'cassette'\nrecording = {str(other)!r}\n",
    )
    [leader] = made.of_role(Role.L1)
    assert leader.settings.recording == RECORDING
    assert [follower.settings.recording for follower in leader.shadows] == [RECORDING, other]


def test_followers_of_several_tables_of_a_role_have_names_of_their_own(tmp_path: Path) -> None:
    table = "[[data]]\nkind = 'calldata'\n[[data.shadow]]\nkind = 'calldata'\n"
    made = planned(tmp_path, 2 * table)
    names = [follower_name(part, follower) for part in made.of_role(Role.DATA) for follower in part.shadows]
    assert names == ["data shadow 1 'calldata' (acme 1.0)", "data 2 shadow 1 'calldata' (acme 1.0)"]


def test_bundles_of_a_replay_are_kept_where_the_profiles_node_keeps_them(tmp_path: Path) -> None:
    assert planned(tmp_path, "").divergences == tmp_path / "data" / "p" / "divergences"
    elsewhere = planned(tmp_path, f"[node]\ndata_dir = {str(tmp_path / 'elsewhere')!r}\n")
    assert elsewhere.divergences == tmp_path / "elsewhere" / "divergences"
    assert elsewhere.data_dir == tmp_path / "scratch"
