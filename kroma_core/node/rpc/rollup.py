"""`optimism_` and, with the same answers, `kroma_`: what batchers, proposers and explorers ask a rollup node.

Spec: rollup-node.md, "L2 Output RPC method".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kroma_core.chain.config import Family
from kroma_core.chain.rollup_json import rollup_config_to_json
from kroma_core.codec.hexadecimal import quantity
from kroma_core.errors import NotFound
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.jsonrpc.methods import Handler
from kroma_core.node.rpc import shapes
from kroma_core.node.rpc.outputs import Outputs
from kroma_core.node.rpc.versions import software
from kroma_core.node.view import NodeView
from kroma_core.types import L2Number

NAMESPACES = ("optimism", "kroma")


def rollup_methods(view: NodeView) -> Mapping[str, Handler]:
    """The methods by name, without their namespace."""
    family = view.chain.rollup.family
    outputs = Outputs(chain=view.chain, engine=view.engine, names_next_block=family is Family.KROMA)

    async def sync_status() -> Any:
        return shapes.sync_status(view.driver.status())

    async def rollup_config() -> Any:
        return rollup_config_to_json(view.chain.rollup)

    async def version() -> Any:
        return software()

    async def output_at_block(number: object) -> Any:
        wanted = L2Number(quantity(number, "block number"))
        status = view.driver.status()
        try:
            return await outputs.at(wanted, status)
        except NotFound as error:
            raise _not_found(f"output at L2 block {wanted}", error) from error

    async def output_with_proof_at_block(number: object) -> Any:
        wanted = L2Number(quantity(number, "block number"))
        status = view.driver.status()
        try:
            return await outputs.with_proof_at(wanted, status)
        except NotFound as error:
            raise _not_found(f"output with proof at L2 block {wanted}", error) from error

    async def safe_head_at_l1_block(number: object) -> Any:
        wanted = quantity(number, "L1 block number")
        try:
            l1, safe = view.safe_heads.at(wanted)
        except NotFound as error:
            raise _not_found(f"safe head at L1 block {wanted}", error) from error
        return {"l1Block": shapes.block_id(l1), "safeHead": shapes.block_id(safe)}

    async def dependency_set() -> Any:
        raise RpcError(Code.SERVER_ERROR, "not found: the chain has no dependency set")

    methods: dict[str, Handler] = {
        "syncStatus": sync_status,
        "rollupConfig": rollup_config,
        "version": version,
        "outputAtBlock": output_at_block,
        "safeHeadAtL1Block": safe_head_at_l1_block,
        "dependencySet": dependency_set,
    }
    if family is Family.KROMA:
        methods["outputWithProofAtBlock"] = output_with_proof_at_block
    return methods


def _not_found(what: str, error: NotFound) -> RpcError:
    """op-node's clients look for "not found" in the message."""
    return RpcError(Code.SERVER_ERROR, f"{what}: not found: {error}")
