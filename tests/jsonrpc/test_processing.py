"""From the text of a request to the text of its answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from kroma_core.events import Event
from kroma_core.jsonrpc.errors import Code
from kroma_core.jsonrpc.limits import DEFAULT, Limits
from kroma_core.jsonrpc.methods import Methods
from kroma_core.jsonrpc.processing import Processor
from tests.jsonrpc.clients import call, methods


def answer(body: bytes, limits: Limits = DEFAULT, emit: Any = lambda event: None) -> Any:
    processor = Processor(methods=methods(), server="rpc", limits=limits, emit=emit)
    text = trio.run(processor.answer, body)
    return None if text is None else orjson.loads(text)


def asked(request: Any, **more: Any) -> Any:
    return answer(orjson.dumps(request), **more)


def code_of(found: Any) -> int:
    return int(found["error"]["code"])


def test_a_call_is_answered_with_its_result() -> None:
    assert asked(call("test_echo", 5)) == {"jsonrpc": "2.0", "id": 1, "result": [5, None]}


@pytest.mark.parametrize("identity", ["text", "", 0, -7, 1.5, None, 2**53])
def test_the_id_comes_back_as_it_was(identity: Any) -> None:
    assert asked(call("test_echo", 1, identity=identity))["id"] == identity


def test_a_result_that_is_json_text_already_is_passed_on() -> None:
    assert asked(call("test_encoded"))["result"] == {"ready": "made"}


def test_params_may_be_left_out() -> None:
    assert asked({"jsonrpc": "2.0", "id": 1, "method": "test_encoded"})["result"] == {"ready": "made"}


@pytest.mark.parametrize("params", [[], [1, 2, 3], {"value": 1}, "text", 5])
def test_params_that_do_not_fit_are_refused(params: Any) -> None:
    assert code_of(asked({"jsonrpc": "2.0", "id": 1, "method": "test_echo", "params": params})) == -32602


def test_an_unknown_method_is_refused_with_its_name() -> None:
    found = asked(call("admin_stopSequencer"))
    assert code_of(found) == -32601
    assert "admin_stopSequencer does not exist" in found["error"]["message"]


def test_an_endless_method_name_is_not_repeated() -> None:
    assert len(asked(call("x" * 100_000))["error"]["message"]) < 200


def test_the_error_of_a_method_keeps_code_message_and_data() -> None:
    found = asked(call("test_refused"))
    assert found["error"] == {"code": -38001, "message": "no such payload", "data": {"id": 1}}


def test_a_mistake_in_a_method_answers_an_error_and_tells_the_operator_where() -> None:
    events: list[Event] = []
    found = asked(call("test_broken"), emit=events.append)
    assert code_of(found) == Code.INTERNAL_ERROR
    assert "clients.py" not in found["error"]["message"]
    [event] = events
    assert "KeyError: 'no such key'" in event.error  # type: ignore[union-attr]  # the only kind there is
    assert "clients.py" in event.error  # type: ignore[union-attr]  # the only kind there is


def test_a_notification_gets_no_answer() -> None:
    assert asked({"jsonrpc": "2.0", "method": "test_echo", "params": [1]}) is None
    assert asked([{"jsonrpc": "2.0", "method": "test_echo", "params": [1]}]) is None


def test_a_batch_is_answered_in_order_without_its_notifications() -> None:
    found = asked(
        [call("test_echo", 1, identity=1), {"jsonrpc": "2.0", "method": "test_encoded"}, call("x", identity=3)]
    )
    assert [item["id"] for item in found] == [1, 3]


def test_what_is_no_call_in_a_batch_spoils_only_itself() -> None:
    found = asked([5, call("test_encoded"), None, [call("test_encoded")]])
    assert [item.get("error", {}).get("code") for item in found] == [-32600, None, -32600, -32600]


def test_an_empty_batch_is_refused() -> None:
    assert code_of(asked([])) == -32600


def test_ten_thousand_calls_in_a_batch_are_refused_as_one() -> None:
    assert code_of(asked([call("test_encoded")] * 10_000)) == -32600


def test_a_batch_stops_where_its_answer_becomes_too_large() -> None:
    found = asked([call("test_large", identity=number) for number in range(5)], limits=Limits(response=2500))
    assert [item.get("error", {}).get("code") for item in found] == [None, None, None, -32003, -32003]


def test_an_answer_that_is_too_large_is_an_error() -> None:
    assert code_of(asked(call("test_large"), limits=Limits(response=500))) == -32003


def test_a_method_that_takes_too_long_is_given_up() -> None:
    processor = Processor(methods=methods(), server="rpc", limits=Limits(request_seconds=10))
    request = orjson.dumps([call("test_stuck"), call("test_encoded", identity=2)])
    clock = trio.testing.MockClock(autojump_threshold=0)
    found = orjson.loads(trio.run(processor.answer, request, clock=clock) or b"")
    assert found[0]["error"]["code"] == -32002


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"{", b'{"jsonrpc":"2.0"', b'"\xc3("', b"nul", b"[1,]", b'{"a":1}x', b"\x00"],
)
def test_what_is_not_json_is_told(body: bytes) -> None:
    assert code_of(answer(body)) == -32700


@pytest.mark.parametrize("depth", [65, 500, 2000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"test_echo","params":' + b"[" * depth + b"]" * depth + b"}"
    assert code_of(answer(body)) == -32700


def test_nesting_within_the_limit_is_read() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"test_echo","params":' + b"[" * 60 + b"]" * 60 + b"}"
    assert "error" not in answer(body)


def test_many_brackets_that_are_not_deep_are_read() -> None:
    assert "result" in asked(call("test_echo", [[]] * 1000, "[" * 1000))


@pytest.mark.parametrize(
    "change", [{"jsonrpc": "1.0"}, {"method": 5}, {"method": None}, {"id": []}, {"id": True}, {"id": 2.0**70}]
)
def test_a_call_of_another_form_is_invalid(change: dict[str, Any]) -> None:
    assert code_of(asked({**call("test_encoded"), **change})) == -32600


def test_calls_are_counted_under_known_names_alone() -> None:
    events: list[Any] = []
    asked([call("test_encoded"), call("made-up"), call("test_refused")], emit=events.append)
    assert [(event.server, event.method, event.outcome) for event in events] == [
        ("rpc", "test_encoded", "ok"),
        ("rpc", "test_refused", "rpc_-38001"),
    ]


def test_a_name_can_be_given_once() -> None:
    async def nothing() -> None: ...

    found = Methods()
    found.add("a_b", nothing)
    with pytest.raises(ValueError, match="a_b"):
        found.add("a_b", nothing)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_answered(value: Any) -> None:
    found = asked(value)
    for item in found if isinstance(found, list) else [found]:
        assert item is None or item["jsonrpc"] == "2.0"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_answered(body: bytes) -> None:
    answer(body)
