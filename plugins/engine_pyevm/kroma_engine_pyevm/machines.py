"""The machine for a block's rules: instruction set, precompiles and limits, made once per set of rules."""

from __future__ import annotations

import functools

from kroma_core.forks import EvmRules, PrecompileRules, Rules
from kroma_engine_pyevm.frames import Machine
from kroma_engine_pyevm.instructions import instruction_set
from kroma_engine_pyevm.precompiles import precompiles_of

_INITCODE_LIMIT = 49_152


def machine_for(rules: Rules) -> Machine:
    return _machine(rules.evm, rules.precompiles, rules.selfdestruct)


@functools.cache
def _machine(evm: EvmRules, precompiles: PrecompileRules, selfdestruct: bool) -> Machine:
    prices, instructions = instruction_set(evm, selfdestruct=selfdestruct)
    return Machine(
        prices=prices,
        instructions=instructions,
        precompiles=precompiles_of(evm, precompiles),
        initcode_limit=_INITCODE_LIMIT if evm >= EvmRules.SHANGHAI else None,
        destroys_only_new=evm >= EvmRules.CANCUN,
        delegations=evm >= EvmRules.PRAGUE,
    )
