"""geth's genesis.json: the header fields of an L2's block 0 and the accounts it begins with.

Numbers may be integers, decimal text or 0x-prefixed text; addresses in `alloc` may lack their 0x. From the accounts
follow the state root, the header, and the hash that rollup.json names.
Spec: superchain-configuration.md, "L2 Genesis"; isthmus/exec-engine.md, "Genesis Block".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kroma_core.chain.config import Family, GenesisAccount, GenesisBlock
from kroma_core.chain.config_fields import U256, Fields, Findings, hex_data, shown
from kroma_core.chain.predeploys import MESSAGE_PASSER
from kroma_core.chain.rollup_json import json_value
from kroma_core.codec.headers import EMPTY_REQUESTS_HASH, EMPTY_ROOT, Header
from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import encode
from kroma_core.codec.trie_root import trie_root
from kroma_core.errors import ConfigError
from kroma_core.forks import Rules, StateCommitment
from kroma_core.types import ZERO_HASH, Address, Gas, Hash32, Timestamp
from kroma_core.zktrie import accounts as zk_accounts
from kroma_core.zktrie.faults import TrieFault

_DEFAULT_BASE_FEE = 1_000_000_000
_DEFAULT_GAS_LIMIT = 4_712_388


def genesis_from_text(text: str | bytes, *, source: str) -> GenesisBlock:
    """A genesis from the text of a genesis.json; see `genesis_from_json`."""
    findings = Findings()
    value = json_value(text, source=source, findings=findings)
    return _read(Fields.of(value, source=source, findings=findings))


def genesis_from_json(obj: object, *, source: str) -> GenesisBlock:
    """A genesis from a decoded genesis.json. Raises `ConfigError` with every problem; `source` names the file."""
    return _read(Fields.of(obj, source=source))


def storage_root(storage: Mapping[bytes, bytes]) -> Hash32:
    """Root of an account's storage trie: keccak of the slot to the word without leading zeros."""
    return trie_root((keccak256(slot), encode(word.lstrip(b"\0"))) for slot, word in storage.items() if any(word))


def state_root(alloc: Mapping[Address, GenesisAccount]) -> Hash32:
    """Root of the account trie of these accounts, empty ones included, as geth has it."""
    return trie_root(_account_pairs(alloc))


def zk_state_root(alloc: Mapping[Address, GenesisAccount]) -> Hash32:
    """Root of the ZK trie of these accounts, empty ones included.

    Raises `ConfigError` for a balance that is no field element: such a trie cannot hold it.
    """
    accounts = {}
    for address, account in alloc.items():
        accounts[address] = zk_accounts.Account(
            nonce=account.nonce,
            balance=account.balance,
            code_hash=keccak256(account.code),
            storage_root=zk_accounts.storage_root(account.storage),
        )
    try:
        return zk_accounts.state_root(accounts)
    except TrieFault as error:
        raise ConfigError(f"genesis: {error}") from error


def genesis_state(genesis: GenesisBlock, rules: Rules) -> Hash32:
    """The state root of a genesis with the rules of its time. Raises `ConfigError`, as `zk_state_root` does."""
    if genesis.state_root is not None:
        return genesis.state_root
    if rules.state is StateCommitment.ZK_TRIE:
        return zk_state_root(genesis.alloc)
    return state_root(genesis.alloc)


def genesis_header(genesis: GenesisBlock, state: Hash32, rules: Rules) -> Header:
    """The header of block 0 with the rules of its time; `state` is its state root."""
    withdrawals_root: Hash32 | None = None
    if rules.withdrawals_root_is_storage_root:
        passer = genesis.alloc.get(MESSAGE_PASSER[Family.OP])
        withdrawals_root = ZERO_HASH if passer is None else storage_root(passer.storage)
    elif rules.withdrawals:
        withdrawals_root = EMPTY_ROOT
    has_beacon_root = rules.parent_beacon_root
    return Header(
        parent_hash=genesis.parent_hash,
        coinbase=genesis.coinbase,
        state_root=state,
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        bloom=bytes(256),
        difficulty=genesis.difficulty,
        number=genesis.number,
        gas_limit=genesis.gas_limit,
        gas_used=genesis.gas_used,
        timestamp=genesis.timestamp,
        extra_data=genesis.extra_data,
        mix_hash=genesis.mix_hash,
        nonce=genesis.nonce.to_bytes(8, "big"),
        base_fee=genesis.base_fee,
        withdrawals_root=withdrawals_root,
        blob_gas_used=genesis.blob_gas_used or 0 if has_beacon_root else None,
        excess_blob_gas=genesis.excess_blob_gas or 0 if has_beacon_root else None,
        parent_beacon_root=ZERO_HASH if has_beacon_root else None,
        requests_hash=EMPTY_REQUESTS_HASH if rules.withdrawals_root_is_storage_root else None,
    )


def _account_pairs(alloc: Mapping[Address, GenesisAccount]) -> Iterable[tuple[bytes, bytes]]:
    codes: dict[bytes, Hash32] = {}
    for address, account in alloc.items():
        code_hash = codes.get(account.code)
        if code_hash is None:
            code_hash = codes[account.code] = keccak256(account.code)
        yield keccak256(address), encode([account.nonce, account.balance, storage_root(account.storage), code_hash])


def _read(fields: Fields) -> GenesisBlock:
    config = fields.optional_under("config")
    base_fee = fields.optional_quantity("baseFeePerGas", bits=U256)
    alloc = _read_alloc(fields)
    given_root = fields.data("stateHash", 32) if fields.value("stateHash") is not None else None
    if given_root is not None and alloc:
        fields.problem("stateHash", "stands beside accounts; only one of them can say what the state is")
    genesis = GenesisBlock(
        timestamp=Timestamp(fields.quantity("timestamp")),
        gas_limit=Gas(fields.quantity("gasLimit", required=True) or _DEFAULT_GAS_LIMIT),
        base_fee=_DEFAULT_BASE_FEE if base_fee is None else base_fee,
        extra_data=fields.any_data("extraData"),
        coinbase=fields.data("coinbase", 20, nullable=True),
        mix_hash=fields.data("mixHash", 32, nullable=True),
        parent_hash=fields.data("parentHash", 32, nullable=True),
        nonce=fields.quantity("nonce"),
        difficulty=fields.quantity("difficulty", bits=U256, required=True),
        number=fields.quantity("number"),
        gas_used=Gas(fields.quantity("gasUsed")),
        blob_gas_used=fields.optional_quantity("blobGasUsed"),
        excess_blob_gas=fields.optional_quantity("excessBlobGas"),
        alloc=alloc,
        state_root=given_root,
        chain_config={} if config is None else config.entries,
    )
    fields.findings.settle(strict=True)
    return genesis


def _read_alloc(fields: Fields) -> dict[Address, GenesisAccount]:
    if fields.value("alloc") is None:
        fields.problem("alloc", "missing")
    inner = fields.under("alloc")
    alloc: dict[Address, GenesisAccount] = {}
    for key in inner.entries:
        address = hex_data(key if key[:2] in ("0x", "0X") else f"0x{key}")
        if address is None or len(address) != 20:
            inner.problem(key[:80], "expected an address of 40 hex digits")
        elif address in alloc:
            inner.problem(key, "the same address comes twice")
        else:
            alloc[address] = _read_account(inner.under(key))
    return alloc


def _read_account(fields: Fields) -> GenesisAccount:
    return GenesisAccount(
        balance=fields.quantity("balance", bits=U256, required=True),
        nonce=fields.quantity("nonce"),
        code=fields.any_data("code"),
        storage=_read_storage(fields.under("storage")),
    )


def _read_storage(fields: Fields) -> dict[bytes, bytes]:
    """Slots and words, each padded to 32 bytes; words of zero are left out: they are not there."""
    storage: dict[bytes, bytes] = {}
    for key, value in fields.entries.items():
        slot, word = _word(key), _word(value)
        if slot is None or word is None:
            fields.problem(key[:80], f"expected words of at most 64 hex digits, got {shown(value)}")
        elif any(word):
            storage[slot] = word
    return storage


def _word(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    data = hex_data(value if value.startswith("0x") else f"0x{value}")
    return None if data is None or len(data) > 32 else data.rjust(32, b"\0")
