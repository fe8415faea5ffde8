"""L1 chains on loopback: anvil, and op-geth's developer mode (whose blob transactions are real).

Neither has rollup contracts: at the portal's and the system config's addresses stand log emitters, so that a
transaction makes any deposit or config update.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from kroma_core.codec.receipts import Log
from kroma_core.testing.wallet import Wallet
from tests.peers.programs import Running, free_port, program, running
from tests.peers.rpc import Rpc, until

EMITTERS = {
    3: bytes.fromhex("3660609003806060600037604035602035600035836000a300"),
    4: bytes.fromhex("3660809003806080600037606035604035602035600035846000a400"),
}
"""Code that emits one log, by number of topics: the call data are the topics, then the log's data."""
PORTAL = bytes.fromhex("deb0000000000000000000000000000000000001")
SYSTEM_CONFIG = bytes.fromhex("5c00000000000000000000000000000000000001")
CONTRACTS = {PORTAL: EMITTERS[4], SYSTEM_CONFIG: EMITTERS[3]}
"""What stands at the rollup's addresses, on every L1 here."""
UNSAFE_SIGNER_SLOT = "0x65a7ed542fb37fe237fdfbdd70b31598523fe5b32879e307bae27a0bd9581c08"
"""Where op-node looks for the sequencer's p2p address in the system config; it proves the slot, so it is set."""
UNSAFE_SIGNER = "0x" + 12 * "00" + 20 * "11"
BATCHER = Wallet(bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"))
"""The account that posts batches: anvil's second."""
CHAIN_ID = 900
ETHER = 10**18
GENESIS_AGE = 600
"""Seconds that the first block lies in the past, so that a sequencer has something to catch up with at full speed."""


@attrs.frozen(kw_only=True)
class L1:
    """A running L1. `config` is the chain config of its program, as op-node reads it (l1.json)."""

    rpc: Rpc
    running: Running
    account: str
    """One with ether, that the program signs for."""
    config: dict[str, Any]

    @property
    def url(self) -> str:
        return self.rpc.url

    async def send(self, to: bytes | str, data: bytes = b"", value: int = 0) -> str:
        """Give a transaction to the pool; its hash."""
        target = to if isinstance(to, str) else "0x" + to.hex()
        request = {"from": self.account, "to": target, "data": "0x" + data.hex(), "value": hex(value), "gas": "0x7a120"}
        sent: str = await self.rpc.call("eth_sendTransaction", request)
        return sent

    async def emit(self, log: Log) -> str:
        """Have `log` emitted by the emitter at its address; the hash of the transaction."""
        return await self.send(log.address, b"".join(log.topics) + log.data)

    async def included(self, transaction: str, seconds: float = 30.0) -> int:
        """The number of the block that has the transaction, which must have succeeded."""
        receipt = await until(
            lambda: self.rpc.call("eth_getTransactionReceipt", transaction),
            lambda found: found is not None,
            seconds=seconds,
            what=f"inclusion of {transaction}",
        )
        assert receipt["status"] == "0x1", receipt
        return int(receipt["blockNumber"], 16)


@attrs.frozen(kw_only=True)
class Anvil(L1):
    """anvil, which mines when told."""

    block_time: int

    async def mine(self, blocks: int = 1) -> int:
        """Mine at once, `block_time` apart; the number of the new head."""
        await self.rpc.call("anvil_mine", hex(blocks), hex(self.block_time), seconds=120)
        return await self.rpc.number()

    async def keep_mining(self, seconds: int) -> None:
        """A block each `seconds` from now on; 0 stops it. Their times are `block_time` apart all the same."""
        await self.rpc.call("evm_setIntervalMining", seconds)

    async def reorg(self, depth: int) -> None:
        """Replace the last `depth` blocks by as many others, of which the first has a transaction; mine one more.

        The batcher's transactions in them are lost; its next nonce stays what it was, so that it can go on.
        """
        batcher = "0x" + BATCHER.address.hex()
        nonce = await self.rpc.call("eth_getTransactionCount", batcher, "latest")
        different = {"from": self.account, "to": batcher, "value": "0x1", "gas": "0x5208"}
        await self.rpc.call("anvil_reorg", depth, [[different, 0]])
        await self.rpc.call("anvil_setNonce", batcher, nonce)
        await self.mine()


@asynccontextmanager
async def anvil(folder: Path, *, block_time: int = 2, start: int | None = None, epoch: int = 4) -> AsyncIterator[Anvil]:
    """anvil at block 1, mining nothing by itself; the safe block lies `epoch` behind the head, the finalised one twice.

    Its block 0 has the root of an empty state, in which no proof holds: op-node asks for one before it begins.
    `start`: time of block 0, `GENESIS_AGE` ago by default.
    """
    port = free_port()
    rpc = Rpc(f"http://127.0.0.1:{port}")
    first = int(time.time()) - GENESIS_AGE if start is None else start
    command = [program("anvil"), "--host", "127.0.0.1", "--port", port, "--chain-id", CHAIN_ID, "--hardfork", "prague"]
    command += [
        "--timestamp",
        first,
        "--accounts",
        4,
        "--slots-in-an-epoch",
        epoch,
        "--no-mining",
        "--order",
        "fifo",
        "-q",
    ]
    async with running("anvil", [str(part) for part in command], folder, ready=rpc.answers) as started:
        await rpc.call("anvil_setBlockTimestampInterval", block_time)
        for address, code in CONTRACTS.items():
            await rpc.call("anvil_setCode", "0x" + address.hex(), "0x" + code.hex())
        await rpc.call("anvil_setStorageAt", "0x" + SYSTEM_CONFIG.hex(), UNSAFE_SIGNER_SLOT, UNSAFE_SIGNER)
        accounts: list[str] = await rpc.call("eth_accounts")
        config = l1_chain_config(prague=True)
        l1 = Anvil(rpc=rpc, running=started, account=accounts[0], config=config, block_time=block_time)
        await l1.mine()
        yield l1


@attrs.frozen(kw_only=True)
class GethDev(L1):
    """op-geth in developer mode, which mines by the clock."""

    period: int


@asynccontextmanager
async def geth_dev(folder: Path, *, period: int = 1, start: int | None = None) -> AsyncIterator[GethDev]:
    """An L1 with a block each `period` seconds, on a genesis of its own that is `GENESIS_AGE` old by default."""
    folder.mkdir(parents=True, exist_ok=True)
    port, authenticated = free_port(), free_port()
    rpc = Rpc(f"http://127.0.0.1:{port}")
    first = int(time.time()) - GENESIS_AGE if start is None else start
    config = l1_chain_config(prague=False)
    genesis = folder / "genesis.json"
    genesis.write_text(json.dumps(_dev_genesis(config, first)))
    geth, data = program("geth"), folder / "data"
    settings = folder / "geth.toml"
    settings.write_text(WITHOUT_P2P)
    init = [geth, "--datadir", data, "--state.scheme", "hash", "init", genesis]
    async with running("geth-init", init, folder) as making:
        assert await making.ended(60) == 0, making.tail()
    command = [geth, "--dev", "--dev.period", period, "--config", settings, "--datadir", data, "--networkid", CHAIN_ID]
    command += [
        "--http",
        "--http.addr",
        "127.0.0.1",
        "--http.port",
        port,
        "--http.api",
        "eth,net,web3,debug,txpool,miner",
    ]
    command += ["--authrpc.addr", "127.0.0.1", "--authrpc.port", authenticated, "--state.scheme", "hash"]
    command += ["--gcmode", "archive", "--ipcdisable", "--nodiscover", "--maxpeers", 0, "--nat", "none", "--cache", 64]
    command += ["--miner.recommit", "200ms", "--miner.gasprice", 1, "--txpool.pricelimit", 1]
    async with running("geth-dev", [str(part) for part in command], folder, ready=rpc.answers) as started:
        accounts: list[str] = await rpc.call("eth_accounts")
        yield GethDev(rpc=rpc, running=started, account=accounts[0], config=config, period=period)


WITHOUT_P2P = '[Node.P2P]\nListenAddr = ""\nNoDiscovery = true\nMaxPeers = 0\n'
"""Without it op-geth listens on every address."""


def l1_chain_config(*, prague: bool) -> dict[str, Any]:
    """A chain config with every upgrade up to Cancun, or Prague, from the first block."""
    blocks = "homestead eip150 eip155 eip158 byzantium constantinople petersburg istanbul muirGlacier berlin london"
    config: dict[str, Any] = {"chainId": CHAIN_ID, **{f"{name}Block": 0 for name in blocks.split()}}
    config |= {"arrowGlacierBlock": 0, "grayGlacierBlock": 0, "mergeNetsplitBlock": 0}
    config |= {"shanghaiTime": 0, "cancunTime": 0, "terminalTotalDifficulty": 0}
    schedule = {"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477}}
    if prague:
        config["pragueTime"] = 0
        schedule["prague"] = {"target": 6, "max": 9, "baseFeeUpdateFraction": 5007716}
    return config | {"blobSchedule": schedule}


def _dev_genesis(config: dict[str, Any], start: int) -> dict[str, Any]:
    alloc: dict[str, dict[str, Any]] = {
        "0x" + BATCHER.address.hex(): {"balance": hex(1000 * ETHER)},
        DEVELOPER: {"balance": hex(1000 * ETHER)},
        BEACON_ROOTS: {"balance": "0x0", "nonce": "0x1", "code": BEACON_ROOTS_CODE},
    }
    for address, code in CONTRACTS.items():
        alloc["0x" + address.hex()] = {"balance": "0x0", "code": "0x" + code.hex()}
    alloc["0x" + SYSTEM_CONFIG.hex()]["storage"] = {UNSAFE_SIGNER_SLOT: UNSAFE_SIGNER}
    return {
        "config": config,
        "timestamp": hex(start),
        "gasLimit": hex(30_000_000),
        "difficulty": "0x0",
        "baseFeePerGas": hex(10**9),
        "alloc": alloc,
    }


DEVELOPER = "0x71562b71999873db5b286df957af199ec94617f7"
"""The account that developer mode signs for."""
BEACON_ROOTS = "0x000f3df6d732807ef1319fb7b8bb8522d0beac02"
BEACON_ROOTS_CODE = (
    "0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff8106"
    "90815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"
)
"""The contract of EIP-4788, which every block since Cancun calls."""
