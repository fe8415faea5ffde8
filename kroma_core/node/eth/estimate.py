"""The least gas limit with which a call succeeds, found by trying. Spec: execution-apis, "eth_estimateGas"."""

from __future__ import annotations

from typing import Final

import attrs

from kroma_core.api import CallFailure, CallOutcome, MessageCall, Ran, Refusal, Refused, StateQueries, Supposition
from kroma_core.jsonrpc.errors import Code, RpcError
from kroma_core.node.eth.failures import call_error, refusal_error
from kroma_core.types import Hash32

TRANSFER_GAS: Final = 21_000
STIPEND: Final = 2300
GOOD_ENOUGH: Final = 0.015
"""The search ends when the answer can only be this part too high."""
_MORE_GAS = (Refusal.INTRINSIC_GAS,)


@attrs.frozen(kw_only=True)
class GasEstimator:
    """One estimate. `gas_limit` is the block's, `most` what no call may exceed."""

    queries: StateQueries
    call: MessageCall
    block_hash: Hash32
    supposed: Supposition
    gas_limit: int
    most: int

    async def estimate(self, asked: int | None) -> int:
        """The gas limit; `asked` is the most that the caller wants to give. Raises `RpcError`."""
        highest = asked if asked is not None and asked >= TRANSFER_GAS else self.gas_limit
        highest = min(await self._payable(highest), self.most)
        if await self._is_transfer() and await self._succeeds(TRANSFER_GAS):
            return TRANSFER_GAS
        done = await self._try(highest)
        if isinstance(done, Refused):
            if done.cause in _MORE_GAS:
                raise _exceeds(highest)
            raise refusal_error(done, f"failed with {highest} gas")
        if done.failure is CallFailure.OUT_OF_GAS:
            raise _exceeds(highest)
        if done.failure is not None:
            raise call_error(done)
        return await self._search(done.gas_used - 1, highest, (done.peak_gas + STIPEND) * 64 // 63)

    async def _search(self, lowest: int, highest: int, likely: int) -> int:
        """Between a limit that fails and one that succeeds; `likely` is tried first."""
        if likely < highest:
            if await self._succeeds(likely):
                highest = likely
            else:
                lowest = likely
        while lowest + 1 < highest and (highest - lowest) / highest >= GOOD_ENOUGH:
            middle = min((lowest + highest) // 2, lowest * 2)
            if await self._succeeds(middle):
                highest = middle
            else:
                lowest = middle
        return highest

    async def _payable(self, highest: int) -> int:
        """The gas that the sender can pay with what the call's value leaves of its balance."""
        if not self.call.max_fee:
            return highest
        override = self.supposed.accounts.get(self.call.sender)
        if override is not None and override.balance is not None:
            balance = override.balance
        else:
            balance = (await self.queries.account(self.call.sender, self.block_hash)).balance
        if self.call.value and self.call.value >= balance:
            raise RpcError(Code.SERVER_ERROR, str(Refusal.VALUE))
        return min(highest, (balance - self.call.value) // self.call.max_fee)

    async def _is_transfer(self) -> bool:
        """Whether there is nothing to run."""
        if self.call.data or self.call.to is None:
            return False
        override = self.supposed.accounts.get(self.call.to)
        if override is not None and override.code is not None:
            return not override.code
        return not await self.queries.code(self.call.to, self.block_hash)

    async def _try(self, gas: int) -> CallOutcome:
        return await self.queries.call(attrs.evolve(self.call, gas=gas), self.block_hash, self.supposed)

    async def _succeeds(self, gas: int) -> bool:
        done = await self._try(gas)
        return isinstance(done, Ran) and done.failure is None


def _exceeds(highest: int) -> RpcError:
    return RpcError(Code.SERVER_ERROR, f"gas required exceeds allowance ({highest})")
