"""What the gateway changes in a request, and what it reads from an answer."""

import pytest
from messages_api import end, error, event, start, text
from runtime.messages import Answer, fold_system

USER = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
SYSTEM = {"role": "system", "content": "on linux"}
ASSISTANT = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1"}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]}
HELLO = {"type": "text", "text": "hello"}
NOTE = {"type": "text", "text": "<system-reminder>\non linux\n</system-reminder>"}


def test_messages_without_a_system_message_stay_as_they_are() -> None:
    messages = [USER, ASSISTANT, RESULT]
    assert fold_system(messages) is messages


def test_a_system_message_joins_the_user_turn_before_it() -> None:
    folded = fold_system([USER, SYSTEM, ASSISTANT])
    assert folded == [{"role": "user", "content": [HELLO, NOTE]}, ASSISTANT]


def test_a_system_message_joins_the_user_turn_after_it() -> None:
    assert fold_system([SYSTEM, USER]) == [{"role": "user", "content": [NOTE, HELLO]}]


def test_two_user_turns_around_a_system_message_become_one() -> None:
    folded = fold_system([USER, SYSTEM, USER])
    assert folded == [{"role": "user", "content": [HELLO, NOTE, HELLO]}]


def test_a_system_message_between_two_assistant_turns_becomes_a_user_turn() -> None:
    folded = fold_system([USER, ASSISTANT, SYSTEM, ASSISTANT])
    assert folded == [USER, ASSISTANT, {"role": "user", "content": [NOTE]}, ASSISTANT]


def test_the_results_of_tools_stay_first_in_their_turn() -> None:
    folded = fold_system([USER, ASSISTANT, SYSTEM, RESULT])
    assert folded[-1] == {"role": "user", "content": [*RESULT["content"], NOTE]}


def test_text_and_blocks_fold_into_the_same_words() -> None:
    blocks = {"role": "system", "content": [{"type": "text", "text": "on linux"}]}
    assert fold_system([USER, blocks]) == fold_system([USER, SYSTEM])


def test_a_fold_leaves_the_other_user_turns_alone() -> None:
    said = {"role": "user", "content": "plain words"}
    assert fold_system([said, ASSISTANT, USER, SYSTEM])[0] is said


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_tokens_are_counted_however_the_stream_is_cut(size: int) -> None:
    stream = (
        start(
            input_tokens=10,
            cache_creation_input_tokens=5,
            cache_read_input_tokens=100,
            output_tokens=1,
        )
        + text("hello\n\nyou")
        + end(output_tokens=42)
    )
    answer = Answer()
    for at in range(0, len(stream), size):
        answer.read_events(stream[at : at + size])
    assert (answer.input_tokens, answer.output_tokens, answer.is_complete) == (115, 42, True)


def test_input_tokens_that_come_only_at_the_end_are_counted() -> None:
    answer = Answer()
    answer.read_events(start(input_tokens=0) + end(input_tokens=33, output_tokens=4))
    assert (answer.input_tokens, answer.output_tokens) == (33, 4)


def test_repeated_counts_are_totals_and_not_added() -> None:
    answer = Answer()
    answer.read_events(
        start(output_tokens=1)
        + event("message_delta", usage={"output_tokens": 5})
        + event("message_delta", usage={"output_tokens": 9})
    )
    assert answer.output_tokens == 9


def test_lines_may_end_with_carriage_returns() -> None:
    answer = Answer()
    answer.read_events((start(input_tokens=3) + end(output_tokens=2)).replace(b"\n", b"\r\n"))
    assert (answer.input_tokens, answer.output_tokens, answer.is_complete) == (3, 2, True)
    assert answer.is_between_events


def test_a_stream_without_its_last_event_is_incomplete() -> None:
    answer = Answer()
    answer.read_events(start(input_tokens=3) + text("hel"))
    assert not answer.is_complete


def test_an_error_event_is_kept() -> None:
    answer = Answer()
    answer.read_events(start() + event("error", **error("overloaded_error", "busy")))
    assert b"busy" in (answer.error or b"")


@pytest.mark.parametrize("chunk", [b"", text("hi"), b": a comment\n\n"])
def test_a_blank_line_ends_an_event(chunk: bytes) -> None:
    answer = Answer()
    answer.read_events(chunk)
    assert answer.is_between_events


@pytest.mark.parametrize("chunk", [b"event: ping", b"event: ping\n", text("hi") + b"event"])
def test_nothing_else_ends_an_event(chunk: bytes) -> None:
    answer = Answer()
    answer.read_events(chunk)
    assert not answer.is_between_events


@pytest.mark.parametrize("usage", [None, 7, "many", {"input_tokens": "many"}])
def test_a_strange_usage_counts_nothing(usage: object) -> None:
    answer = Answer()
    answer.read_events(event("message_delta", usage=usage))
    assert (answer.input_tokens, answer.output_tokens) == (0, 0)


def test_a_whole_answer_is_counted() -> None:
    answer = Answer()
    answer.read_whole(b'{"usage": {"input_tokens": 3, "output_tokens": 4}}')
    assert (answer.input_tokens, answer.output_tokens, answer.is_complete) == (3, 4, True)
