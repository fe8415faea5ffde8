"""Keys that sign transactions in tests, on L1 and on L2."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from coincurve import PrivateKey

from kroma_core.codec.keccak import keccak256
from kroma_core.codec.rlp import Encodable, encode
from kroma_core.types import Address, Hash32

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = range(5)


@attrs.frozen
class Wallet:
    """An account by its secret key (32 bytes)."""

    key: bytes = attrs.field(repr=False)

    @classmethod
    def named(cls, name: str) -> Wallet:
        """The same account for the same name, always."""
        return cls(keccak256(b"kroma test wallet: " + name.encode()))

    @property
    def address(self) -> Address:
        public: bytes = PrivateKey(self.key).public_key.format(compressed=False)
        return keccak256(public[1:])[12:]

    def sign_hash(self, message_hash: Hash32) -> tuple[int, int, int]:
        """Parity of y, r and s."""
        signature = PrivateKey(self.key).sign_recoverable(message_hash, hasher=None)
        return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")

    def legacy(
        self,
        *,
        chain_id: int | None,
        nonce: int,
        to: Address | None,
        data: bytes = b"",
        value: int = 0,
        gas: int = 1_000_000,
        gas_price: int = 10**9,
    ) -> bytes:
        """A legacy transaction; without a chain id it is not protected against replay (before EIP-155)."""
        fields: list[Encodable] = [nonce, gas_price, gas, to or b"", value, data]
        protection: list[Encodable] = [] if chain_id is None else [chain_id, 0, 0]
        parity, r, s = self.sign_hash(keccak256(encode(fields + protection)))
        v = parity + (27 if chain_id is None else 35 + 2 * chain_id)
        return encode([*fields, v, r, s])

    def access_list(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: Address | None,
        data: bytes = b"",
        value: int = 0,
        gas: int = 1_000_000,
        gas_price: int = 10**9,
        access_list: Sequence[Encodable] = (),
    ) -> bytes:
        """A transaction of type 1."""
        return self._typed(ACCESS_LIST, [chain_id, nonce, gas_price, gas, to or b"", value, data, access_list])

    def dynamic_fee(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: Address | None,
        data: bytes = b"",
        value: int = 0,
        gas: int = 1_000_000,
        tip: int = 10**9,
        fee_cap: int = 100 * 10**9,
        access_list: Sequence[Encodable] = (),
    ) -> bytes:
        """A transaction of type 2."""
        fields: list[Encodable] = [chain_id, nonce, tip, fee_cap, gas, to or b"", value, data, access_list]
        return self._typed(DYNAMIC_FEE, fields)

    def blob(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: Address,
        blob_hashes: Sequence[Hash32],
        data: bytes = b"",
        value: int = 0,
        gas: int = 21_000,
        tip: int = 10**9,
        fee_cap: int = 100 * 10**9,
        blob_fee_cap: int = 10**9,
    ) -> bytes:
        """A transaction of type 3 as it stands in a block: without its sidecar."""
        empty: list[Encodable] = []
        fields: list[Encodable] = [chain_id, nonce, tip, fee_cap, gas, to, value, data, empty, blob_fee_cap]
        return self._typed(BLOB, [*fields, list(blob_hashes)])

    def authorization(self, *, chain_id: int, address: Address, nonce: int) -> list[Encodable]:
        """Consent to run the code of `address`, for a transaction of type 4."""
        fields: list[Encodable] = [chain_id, address, nonce]
        return [*fields, *self.sign_hash(keccak256(b"\x05" + encode(fields)))]

    def set_code(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: Address,
        authorizations: Sequence[Encodable],
        data: bytes = b"",
        value: int = 0,
        gas: int = 1_000_000,
        tip: int = 10**9,
        fee_cap: int = 100 * 10**9,
    ) -> bytes:
        """A transaction of type 4."""
        empty: list[Encodable] = []
        fields: list[Encodable] = [chain_id, nonce, tip, fee_cap, gas, to, value, data, empty, list(authorizations)]
        return self._typed(SET_CODE, fields)

    def _typed(self, kind: int, fields: list[Encodable]) -> bytes:
        prefix = bytes((kind,))
        return prefix + encode([*fields, *self.sign_hash(keccak256(prefix + encode(fields)))])
