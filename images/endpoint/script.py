"""The script's format: a JSON file of plays, each for the prompts that its pattern matches.

    {
      "window": 65536,
      "slots": 1,
      "plays": [
        {
          "when": "Greet people",
          "steps": [
            {"text": "I read the file.", "tool": "Bash", "input": {"command": "cat greet.py"}},
            {"tool": "Edit", "input": {"file_path": "{cwd}/greet.py", ...}},
            {"text": "Done."}
          ]
        }
      ]
    }

`when` is a regular expression, searched in the text of the system prompt and of the first user
message; the first play that matches is played. A request gets the step whose index is the number
of assistant messages that it holds, so a resumed or restarted session continues where it was.
After its last step a play repeats its last text. `{cwd}` in a tool's input is the working
directory that the request names.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

_CWD = re.compile(r"^[ *-]*(?:CWD|Primary working directory): *(.+?) *$", re.MULTILINE)
"""How Claude Code names its working directory, with `--bare` and without (2.1.331)."""


class ScriptError(Exception):
    """The script is not valid; the message names the play and the step."""


@dataclass(frozen=True)
class Step:
    """One answer: text, a tool call, both, or a fault.

    Attributes:
        text: The text of the answer.
        tool: The name of the tool that is called.
        input: The tool's input.
        delay: Seconds before the first byte of the answer.
        stall: Seconds of silence in the middle of a streamed answer.
        cut: Close the connection in the middle of the answer.
        status: Answer with this HTTP status and an error.
        error: The error's message.
        times: How often the fault (delay, stall, cut, status) happens before the step is answered
            normally; always if None.
    """

    text: str | None = None
    tool: str | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0
    stall: float = 0
    cut: bool = False
    status: int | None = None
    error: str = "an error that the script contains"
    times: int | None = None

    def without_fault(self) -> "Step":
        """Return the same answer, given at once and in full."""
        return Step(self.text, self.tool, self.input)


@dataclass(frozen=True)
class Play:
    """What happens in a session whose prompt matches `when`."""

    when: re.Pattern[str]
    steps: tuple[Step, ...]

    def step(self, number: int) -> Step:
        """Return the step with this number, or the last text if the play is over."""
        if number < len(self.steps):
            return self.steps[number]
        texts = [step.text for step in self.steps if step.text is not None and step.tool is None]
        return Step(text=texts[-1] if texts else "The script has no more steps.")


@dataclass(frozen=True)
class Script:
    """A server's plays, and the window and slots that it reports."""

    plays: tuple[Play, ...]
    window: int = 65536
    slots: int = 1

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read a script.

        Raises:
            ScriptError: The file is missing, not JSON or not a script.
        """
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ScriptError(f"cannot read {file}: {error.strerror}") from None
        except ValueError as error:
            raise ScriptError(f"{file} is not valid JSON: {error}") from None
        return cls.parse(raw)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Check a script and build it.

        Raises:
            ScriptError: `raw` is not a script.
        """
        _check_keys("the script", raw, known=("plays", "window", "slots"), required=("plays",))
        plays = tuple(_play(number, play) for number, play in enumerate(raw["plays"], 1))
        return cls(plays, raw.get("window", 65536), raw.get("slots", 1))


@dataclass(frozen=True)
class Cue:
    """The step that a request gets.

    Attributes:
        step: The step, with the request's working directory filled in.
        key: The play and the step, to count faults by; the play is 0 if none matches.
    """

    step: Step
    key: tuple[int, int]


def cue(script: Script, request: Mapping[str, Any]) -> Cue:
    """Choose the step that answers a Messages API request."""
    messages = request.get("messages", [])
    users = [message for message in messages if message["role"] == "user"]
    prompt = "\n".join(
        [text_of(request.get("system")), *(text_of(user["content"]) for user in users[:1])]
    )
    number = sum(message["role"] == "assistant" for message in messages)
    cwd = _CWD.search(prompt)
    for index, play in enumerate(script.plays, 1):
        if play.when.search(prompt):
            step = play.step(number)
            filled = _fill(step.input, cwd[1] if cwd else ".")
            return Cue(Step(**{**vars(step), "input": filled}), (index, number + 1))
    return Cue(Step(text="This endpoint plays a script, and no play matches this prompt."), (0, 1))


def text_of(content: str | Iterable[Mapping[str, Any]] | None) -> str:
    """Return the text of a system prompt or a message."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(block["text"] for block in content if block.get("type") == "text")


def _play(number: int, raw: Mapping[str, Any]) -> Play:
    name = f"play {number}"
    _check_keys(name, raw, known=("when", "steps"), required=("when", "steps"))
    try:
        when = re.compile(raw["when"])
    except re.error as error:
        raise ScriptError(f"{name}: `when` is not a valid regular expression: {error}") from None
    steps = [_step(f"{name}, step {index}", step) for index, step in enumerate(raw["steps"], 1)]
    return Play(when, tuple(steps))


def _step(name: str, raw: Mapping[str, Any]) -> Step:
    _check_keys(name, raw, known=tuple(Step.__dataclass_fields__))
    if not raw.keys() & {"text", "tool", "status"}:
        raise ScriptError(f"{name} needs text, tool or status")
    return Step(**raw)


def _check_keys(
    name: str, raw: Mapping[str, Any], known: Sequence[str], required: Sequence[str] = ()
) -> None:
    for key in raw.keys() - set(known):
        raise ScriptError(f"{name}: unknown key {key!r}; known keys are {', '.join(known)}")
    for key in set(required) - raw.keys():
        raise ScriptError(f"{name} needs {key}")


def _fill(value: Any, cwd: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.replace("{cwd}", cwd)
    if isinstance(value, Mapping):
        return {key: _fill(item, cwd) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, cwd) for item in value]
    return value
