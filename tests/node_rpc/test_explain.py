"""`node_explain`: why, asked of a running node."""

from __future__ import annotations

from pathlib import Path

from tests.node.recorded_worlds import world
from tests.node_rpc.recorded_node import Asked, asked

BEDROCK = "op-chains/plain-bedrock"


def test_a_running_node_tells_why(tmp_path: Path) -> None:
    async def check(node: Asked) -> None:
        block = await node.result("node_explainBlock", "0x1")
        assert block["safe"] is True
        (made,) = block["transactions"]
        l1 = await node.result("node_explainL1Block", hex(made["l1"]))
        assert 1 in [one["number"] for one in l1["blocks"]]
        transaction = await node.result("node_explainTransaction", made["transaction"])
        assert transaction["layer"] == "L1"
        assert 1 in transaction["channels"][0]["blocks"]
        stall = await node.result("node_explainStall")
        assert stall["safe"] == node.driver.heads.safe.number
        assert stall["cause"]

    asked(tmp_path / "node", world(BEDROCK, 12), check)
