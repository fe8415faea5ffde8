"""web3.py as a client, unchanged: a contract is deployed, called, and its events are found."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import trio
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError

from kroma_core.codec.hexadecimal import to_data
from kroma_core.codec.keccak import keccak256
from kroma_core.l2 import Payload
from tests.eth_rpc.test_pool import ALICE, CHAIN_ID, COUNT, attributes_of, on_funded_world
from tests.eth_rpc.worlds import World

VALUE = 42
RUNTIME = bytes.fromhex("5f545f5260205ff3")
"""Returns what slot 0 holds, whoever asks for whatever."""
TOPIC = keccak256(b"Made(uint256)")
CREATION = (
    bytes((0x60, VALUE, 0x5F, 0x55, 0x60, VALUE, 0x5F, 0x52, 0x7F))
    + TOPIC
    + bytes.fromhex("60205fa1")
    + bytes((0x67,))
    + RUNTIME
    + bytes.fromhex("5f5260086018f3")
)
"""Writes slot 0, emits Made(VALUE), and leaves RUNTIME behind."""
ABI = [
    {"type": "function", "name": "get", "inputs": [], "outputs": [{"type": "uint256"}], "stateMutability": "view"},
    {
        "type": "event",
        "name": "Made",
        "anonymous": False,
        "inputs": [{"name": "value", "type": "uint256", "indexed": False}],
    },
]


def client(url: str) -> Web3:
    session = requests.Session()
    session.trust_env = False
    return Web3(HTTPProvider(url, session=session))


def deploy(url: str) -> Any:
    """Estimate, sign and send; the hash of the transaction. Runs in a thread."""
    web3 = client(url)
    assert web3.eth.chain_id == CHAIN_ID
    account = web3.eth.account.from_key(ALICE.key)
    assert account.address == Web3.to_checksum_address(to_data(ALICE.address))
    assert web3.eth.get_balance(account.address) > 0
    contract = web3.eth.contract(abi=ABI, bytecode=CREATION)
    nonce = web3.eth.get_transaction_count(account.address)
    transaction = contract.constructor().build_transaction({"from": account.address, "nonce": nonce})
    return web3.eth.send_raw_transaction(account.sign_transaction(transaction).raw_transaction)


def use(url: str, sent: Any) -> None:
    """Everything that a user does with a contract that is there. Runs in a thread."""
    web3 = client(url)
    receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=10, poll_latency=0.01)
    assert receipt["status"] == 1
    assert receipt["l1Fee"]
    contract = web3.eth.contract(address=receipt["contractAddress"], abi=ABI)
    assert contract.functions.get().call() == VALUE
    assert web3.eth.get_code(receipt["contractAddress"]) == RUNTIME
    (event,) = contract.events.Made().get_logs(from_block=0)
    assert (event["args"]["value"], event["transactionHash"]) == (VALUE, sent)
    assert web3.eth.get_storage_at(receipt["contractAddress"], 0) == VALUE.to_bytes(32, "big")
    proof = web3.eth.get_proof(receipt["contractAddress"], [0])
    assert proof["storageProof"][0]["value"] == VALUE.to_bytes(1, "big")
    block = web3.eth.get_block("latest", full_transactions=True)
    assert block["transactions"][-1]["hash"] == sent
    assert len(web3.eth.fee_history(2, "latest", [50.0])["baseFeePerGas"]) == 3
    with pytest.raises(ContractLogicError, match="reverted"):
        web3.eth.call({"data": to_data(bytes.fromhex("5f5ffd")), "from": receipt["from"]})


def test_contract_is_deployed_called_and_its_events_found() -> None:
    async def body(world: World, head: Payload) -> None:
        sent = await trio.to_thread.run_sync(deploy, world.url)
        await world.adopt(await world.build(head.hash, attributes_of(COUNT + 2)))
        await trio.to_thread.run_sync(use, world.url, sent)

    on_funded_world(body)
