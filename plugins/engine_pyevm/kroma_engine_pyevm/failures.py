"""How a failed frame is called: py-evm's exceptions as the causes that queries and traces name."""

from __future__ import annotations

from collections.abc import Sequence

from eth import exceptions

from kroma_core.api import CallFailure
from kroma_engine_pyevm.calls import CodeTooExpensive, CodeTooLarge
from kroma_engine_pyevm.frames import Frame

_CAUSES: Sequence[tuple[type[exceptions.VMError], CallFailure]] = (
    (exceptions.Revert, CallFailure.REVERTED),
    (CodeTooLarge, CallFailure.CODE_SIZE),
    (CodeTooExpensive, CallFailure.CODE_STORE),
    (exceptions.OutOfGas, CallFailure.OUT_OF_GAS),
    (exceptions.InvalidInstruction, CallFailure.INVALID_OPCODE),
    (exceptions.InsufficientStack, CallFailure.STACK_UNDERFLOW),
    (exceptions.FullStack, CallFailure.STACK_OVERFLOW),
    (exceptions.InvalidJumpDestination, CallFailure.INVALID_JUMP),
    (exceptions.WriteProtection, CallFailure.WRITE_PROTECTION),
    (exceptions.OutOfBoundsRead, CallFailure.RETURN_DATA),
    (exceptions.ContractCreationCollision, CallFailure.COLLISION),
    (exceptions.ReservedBytesInCode, CallFailure.INVALID_CODE),
)


def failure_of(frame: Frame) -> tuple[CallFailure | None, str]:
    """Why a frame that has ended failed, with what is to be said besides; None if it did not."""
    error = frame.failure
    if error is None:
        return None, ""
    cause = cause_of(error)
    if cause is CallFailure.INVALID_OPCODE:
        return cause, opcode_name(frame.code[frame.pc - 1])
    if cause is CallFailure.OTHER and not frame.stack and not frame.pc:
        return CallFailure.PRECOMPILE, str(error)
    return cause, "" if cause is CallFailure.REVERTED else str(error)


def cause_of(error: exceptions.VMError) -> CallFailure:
    return next((cause for kind, cause in _CAUSES if isinstance(error, kind)), CallFailure.OTHER)


def opcode_name(opcode: int) -> str:
    """The mnemonic that tools know an opcode by."""
    return _NAMES.get(opcode, f"opcode {opcode:#x} not defined")


def _listed(start: int, names: str) -> dict[int, str]:
    return {start + index: name for index, name in enumerate(names.split())}


_NAMES = {
    **_listed(0x00, "STOP ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND"),
    **_listed(0x10, "LT GT SLT SGT EQ ISZERO AND OR XOR NOT BYTE SHL SHR SAR CLZ"),
    0x20: "KECCAK256",
    **_listed(0x30, "ADDRESS BALANCE ORIGIN CALLER CALLVALUE CALLDATALOAD CALLDATASIZE CALLDATACOPY CODESIZE CODECOPY"),
    **_listed(0x3A, "GASPRICE EXTCODESIZE EXTCODECOPY RETURNDATASIZE RETURNDATACOPY EXTCODEHASH BLOCKHASH COINBASE"),
    **_listed(0x42, "TIMESTAMP NUMBER DIFFICULTY GASLIMIT CHAINID SELFBALANCE BASEFEE BLOBHASH BLOBBASEFEE"),
    **_listed(0x50, "POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST TLOAD TSTORE MCOPY PUSH0"),
    **{0x60 + index: f"PUSH{index + 1}" for index in range(32)},
    **{0x80 + index: f"DUP{index + 1}" for index in range(16)},
    **{0x90 + index: f"SWAP{index + 1}" for index in range(16)},
    **{0xA0 + index: f"LOG{index}" for index in range(5)},
    **_listed(0xF0, "CREATE CALL CALLCODE RETURN DELEGATECALL CREATE2"),
    0xFA: "STATICCALL",
    0xFD: "REVERT",
    0xFE: "INVALID",
    0xFF: "SELFDESTRUCT",
}
