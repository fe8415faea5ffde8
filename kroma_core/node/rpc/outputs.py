"""Outputs of L2 blocks: what a proposer puts on L1, and what Kroma's challenges ask for besides.

Spec: proposals.md, "L2 Output Commitment Construction"; kroma: zkevm-prover.md, "Public Input".
"""

from __future__ import annotations

from typing import Any

import attrs

from kroma_core.api import ExecutionEngine
from kroma_core.chain.config import ChainConfig
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.payloads import header_of
from kroma_core.derive.l2_blocks import l2_ref
from kroma_core.forks import Rules, StateCommitment
from kroma_core.l2 import Payload
from kroma_core.node.rpc import shapes
from kroma_core.node.rpc.consensus_json import header_json, transaction_json
from kroma_core.output import KromaOutput, Output
from kroma_core.status import SyncStatus
from kroma_core.types import L2Number, L2Ref

_VERSION = to_data(bytes(32))


@attrs.frozen(kw_only=True)
class Outputs:
    """Answers about outputs, read from the engine. Every method raises `NotFound` for a block that is not there."""

    chain: ChainConfig
    engine: ExecutionEngine
    names_next_block: bool
    """Whether answers have `nextBlockRef`, as kroma-node's do."""

    async def at(self, number: L2Number, status: SyncStatus) -> dict[str, Any]:
        """The answer of `outputAtBlock`. In Kroma's ZK-trie era the next block has to be there too."""
        block = await self.engine.block(number)
        rules = self._rules(block)
        root = to_data(await self._storage_root(block, rules))
        if rules.state is StateCommitment.ZK_TRIE:
            return self._with_next(block, root, await self._next(block), status)
        output = Output(
            state_root=block.state_root, message_passer_storage_root=bytes.fromhex(root[2:]), block_hash=block.hash
        )
        return self._answer(block, root, to_data(output.root), None, status)

    async def with_proof_at(self, number: L2Number, status: SyncStatus) -> dict[str, Any]:
        """The answer of Kroma's `outputWithProofAtBlock`: with what a zkEVM proof takes as its public input."""
        block = await self.engine.block(number)
        following = await self._next(block)
        proof = await self.engine.proof(self._passer, (), block.hash)
        answer = self._with_next(block, to_data(proof.storage_root), following, status)
        rules = self._rules(following)
        answer["publicInputProof"] = {
            "nextBlock": header_json(header_of(following)),
            "nextTransactions": [
                transaction_json(raw, legacy_deposits=rules.legacy_deposits) for raw in following.transactions
            ],
            "l2ToL1MessagePasserBalance": proof.balance,
            "l2ToL1MessagePasserCodeHash": to_data(proof.code_hash),
            "merkleProof": [to_data(node) for node in proof.account_proof],
        }
        return answer

    @property
    def _passer(self) -> bytes:
        return MESSAGE_PASSER[self.chain.rollup.family]

    def _rules(self, block: Payload) -> Rules:
        return self.chain.rollup.schedule.at(block.timestamp)

    async def _storage_root(self, block: Payload, rules: Rules) -> bytes:
        if rules.withdrawals_root_is_storage_root and block.withdrawals_root is not None:
            return block.withdrawals_root
        return await self.engine.storage_root(self._passer, block.hash)

    async def _next(self, block: Payload) -> Payload:
        return await self.engine.block(L2Number(block.number + 1))

    def _with_next(self, block: Payload, root: str, following: Payload, status: SyncStatus) -> dict[str, Any]:
        output = KromaOutput(
            state_root=block.state_root,
            message_passer_storage_root=bytes.fromhex(root[2:]),
            block_hash=block.hash,
            next_block_hash=following.hash,
        )
        return self._answer(block, root, to_data(output.root), l2_ref(following, self.chain), status)

    def _answer(
        self, block: Payload, storage_root: str, root: str, following: L2Ref | None, status: SyncStatus
    ) -> dict[str, Any]:
        answer = {
            "version": _VERSION,
            "outputRoot": root,
            "blockRef": shapes.l2_ref(l2_ref(block, self.chain)),
            "withdrawalStorageRoot": storage_root,
            "stateRoot": to_data(block.state_root),
            "syncStatus": shapes.sync_status(status),
        }
        if self.names_next_block:
            answer["nextBlockRef"] = shapes.l2_ref(following)
        return answer
