"""op-geth as an execution engine, op-node on it, and op-batcher beside them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.peers.l1 import BATCHER, WITHOUT_P2P
from tests.peers.programs import Running, free_port, program, running
from tests.peers.rollup import Rollup
from tests.peers.rpc import Rpc, until

SECRET = bytes(range(32))
"""The engines' shared secret, in `jwt.txt` of their folders."""
SEQUENCER_KEY = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"


@attrs.frozen(kw_only=True)
class EngineAt:
    """Any Engine API: its URL, and the file with the secret that it wants."""

    engine_url: str
    jwt: Path


@attrs.frozen(kw_only=True)
class OpGeth(EngineAt):
    """A running engine; `rpc` is its public side."""

    rpc: Rpc
    running: Running

    @property
    def engine(self) -> Rpc:
        """The Engine API."""
        return Rpc(self.engine_url, lambda: {"Authorization": f"Bearer {token(SECRET)}"})


@asynccontextmanager
async def op_geth(
    folder: Path,
    rollup: Rollup,
    *,
    cache: int = 128,
    p2p: bool = False,
    archive: bool = True,
    name: str = "op-geth",
) -> AsyncIterator[OpGeth]:
    """A node on the rollup's genesis, or on what an earlier one left in `folder`.

    `archive`: it keeps every state; otherwise, once it is stopped, those of its last two blocks.
    `p2p`: it may have peers, on loopback; `admin_addPeer` names them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    geth, data, settings, jwt = program("geth"), folder / "data", folder / "geth.toml", folder / "jwt.txt"
    genesis = folder / "genesis.json"
    settings.write_text(f'[Node.P2P]\nListenAddr = "127.0.0.1:{free_port()}"\n' if p2p else WITHOUT_P2P)
    jwt.write_text(SECRET.hex())
    if not data.exists():
        genesis.write_text(json.dumps(rollup.genesis))
        init = [geth, "--datadir", data, "--state.scheme", "hash", "init", genesis]
        async with running("geth-init", init, folder) as making:
            assert await making.ended(60) == 0, making.tail()
    port, authenticated = free_port(), free_port()
    rpc = Rpc(f"http://127.0.0.1:{port}")
    command = [geth, "--config", settings, "--datadir", data, "--networkid", rollup.chain_id]
    command += ["--http", "--http.addr", "127.0.0.1", "--http.port", port]
    command += ["--http.api", "eth,net,web3,debug,txpool,miner,engine,admin"]
    command += ["--authrpc.addr", "127.0.0.1", "--authrpc.port", authenticated, "--authrpc.jwtsecret", jwt]
    command += ["--authrpc.vhosts", "*", "--syncmode", "full", "--state.scheme", "hash"]
    command += ["--gcmode", "archive" if archive else "full"]
    command += ["--ipcdisable", "--nodiscover", "--rollup.disabletxpoolgossip", "--nat", "none", "--cache", cache]
    command += ["--netrestrict", "127.0.0.1/32"] if p2p else ["--maxpeers", 0]
    async with running(name, [str(part) for part in command], folder, ready=rpc.answers) as started:
        yield OpGeth(rpc=rpc, engine_url=f"http://127.0.0.1:{authenticated}", jwt=jwt, running=started)


async def with_genesis_hash(rollup: Rollup, folder: Path) -> Rollup:
    """The rollup with the hash that op-geth gives its L2 genesis."""
    async with op_geth(folder, rollup) as engine:
        return rollup.with_genesis((await engine.rpc.block(0))["hash"])


@attrs.frozen(kw_only=True)
class OpNode:
    """A running op-node."""

    rpc: Rpc
    running: Running

    @property
    def url(self) -> str:
        return self.rpc.url

    async def status(self) -> dict[str, Any]:
        """`optimism_syncStatus`."""
        status: dict[str, Any] = await self.rpc.call("optimism_syncStatus")
        return status

    async def until_safe(self, number: int, seconds: float = 120.0) -> dict[str, Any]:
        """The sync status, once the safe head has `number`."""
        return await until(
            self.status,
            lambda status: bool(status["safe_l2"]["number"] >= number),
            seconds=seconds,
            what=f"{self.running.name}'s safe head at {number}",
        )

    async def until_unsafe(self, number: int, seconds: float = 120.0) -> dict[str, Any]:
        """The sync status, once the unsafe head has `number`."""
        return await until(
            self.status,
            lambda status: bool(status["unsafe_l2"]["number"] >= number),
            seconds=seconds,
            what=f"{self.running.name}'s unsafe head at {number}",
        )

    async def stop_sequencing(self) -> str:
        """Hash of the last block that it made."""
        last: str = await self.rpc.call("admin_stopSequencer")
        return last


@asynccontextmanager
async def op_node(
    folder: Path,
    *,
    rollup: Rollup,
    l1: str,
    engine: EngineAt,
    beacon: str | None = None,
    sequencer: bool = False,
    trust_l1: bool = False,
    options: Sequence[str] = (),
    name: str = "op-node",
) -> AsyncIterator[OpNode]:
    """op-node on any L1 and any Engine API, ours among them; `sequencer`: it makes blocks, with no wait for L1.

    `trust_l1`: it does not check what the L1 says (blob transactions of anvil need that).
    """
    files = rollup.write(folder)
    port = free_port()
    rpc = Rpc(f"http://127.0.0.1:{port}")
    command = [program("op-node"), "--l1", l1, "--l1.http-poll-interval", "500ms", "--l1.epoch-poll-interval", "2s"]
    command += ["--l1.rpckind", "standard", *(["--l1.trustrpc"] if trust_l1 else [])]
    command += ["--l1.beacon", beacon] if beacon is not None else ["--l1.beacon.ignore"]
    command += ["--l2", engine.engine_url, "--l2.jwt-secret", engine.jwt, "--rollup.config", files / "rollup.json"]
    command += ["--rollup.l1-chain-config", files / "l1.json", "--metrics.enabled=false", "--p2p.disable"]
    command += ["--rpc.addr", "127.0.0.1", "--rpc.port", port, "--rpc.enable-admin", "--verifier.l1-confs", 0]
    command += ["--safedb.path", folder / "safedb"]
    if sequencer:
        command += ["--sequencer.enabled", "--sequencer.l1-confs", 0, "--p2p.sequencer.key", SEQUENCER_KEY]

    async def ready() -> bool:
        return await rpc.answers("optimism_syncStatus")

    async with running(name, [str(part) for part in [*command, *options]], folder, ready=ready) as started:
        yield OpNode(rpc=rpc, running=started)


@attrs.frozen(kw_only=True)
class OpBatcher:
    """A running op-batcher."""

    rpc: Rpc
    running: Running

    async def flush(self) -> None:
        """End the open channel and post it."""
        await self.rpc.call("admin_flushBatcher")


@asynccontextmanager
async def op_batcher(
    folder: Path,
    *,
    l1: str,
    engine: OpGeth,
    node: OpNode,
    blobs: bool = False,
    span_batches: bool = True,
    options: Sequence[str] = (),
) -> AsyncIterator[OpBatcher]:
    """op-batcher posts what `node` has made, to `l1`, from the account `BATCHER`."""
    port = free_port()
    rpc = Rpc(f"http://127.0.0.1:{port}")
    command = [program("op-batcher"), "--l1-eth-rpc", l1, "--l2-eth-rpc", engine.rpc.url, "--rollup-rpc", node.url]
    command += ["--private-key", BATCHER.key.hex(), "--data-availability-type", "blobs" if blobs else "calldata"]
    command += ["--batch-type", int(span_batches), "--max-channel-duration", 1, "--poll-interval", "500ms"]
    command += ["--num-confirmations", 1, "--sub-safety-margin", 4, "--max-pending-tx", 4]
    command += ["--txmgr.receipt-query-interval", "500ms", "--txmgr.min-tip-cap", "0.000000001"]
    command += ["--rpc.addr", "127.0.0.1", "--rpc.port", port, "--rpc.enable-admin", "--metrics.enabled=false"]

    async def ready() -> bool:
        return await rpc.answers("admin_getThrottleController")

    parts = [str(part) for part in [*command, *options]]
    async with running("op-batcher", parts, folder, ready=ready) as started:
        yield OpBatcher(rpc=rpc, running=started)


def token(secret: bytes, now: float | None = None) -> str:
    """A token of the Engine API: HS256 over the time of issue."""
    claims = {"iat": int(time.time() if now is None else now)}
    head = b".".join(_text(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (head + b"." + _text(hmac.new(secret, head, hashlib.sha256).digest())).decode()


def _text(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
