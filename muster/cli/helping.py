"""The help of commands, and the message about a wrong command line."""

import re
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_WORDS = {
    "^Input should be a valid integer, .*": "must be a whole number",
    "^Input should": "must",
    "^Value error, (.*)[.]$": r"\1",
}
"""What replaces the words of pydantic, which typer passes on."""

_MARKS = re.compile(r"\[required\]|\[x>=\d+\]|; x>=\d+")
"""What typer adds to a parameter's help and people need not read."""


class Command(TyperCommand):
    """A command whose help names arguments and values as one types them, not as Python does."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - typer's own context
        """Return what follows the command's name in the usage line."""
        arguments = [each for each in self.get_params(ctx) if isinstance(each, TyperArgument)]
        return ["[OPTIONS]", *map(_argument, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the arguments and the options."""
        _write_parameters(self.get_params(ctx), ctx, formatter)


class Group(TyperGroup):
    """The program, whose help shows what each command does in whole sentences."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the options and the commands."""
        _write_parameters(self.get_params(ctx), ctx, formatter)
        rows = [(name, _first_sentence(command)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def usage_message(error: typer.TyperException) -> str:
    """Return what is wrong in a command line, and where its help is, in one line."""
    param, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if isinstance(error, typer.BadParameter):
        text = error.message or "missing"
        for found, words in _WORDS.items():
            text = re.sub(found, words, text)
        if param is not None:
            text = f"{_hint(param)}: {text}" if error.message else f"missing: {_hint(param)}"
    else:
        text = error.format_message()
        text = text[:1].lower() + text[1:].rstrip(".")
        text = re.sub(r"^got unexpected extra argument\(s\) \((.*)\)$", r"not expected: \1", text)
    return f"{text} (see {context.command_path} --help)" if context is not None else text


def _hint(param: TyperArgument | TyperOption) -> str:
    """Return a parameter's name for a message."""
    return _argument(param).strip("[]") if isinstance(param, TyperArgument) else param.opts[-1]


def _argument(param: TyperArgument) -> str:
    name = param.metavar or param.name.upper()
    return name if param.required or name.startswith("[") else f"[{name}]"


def _option(param: TyperOption, ctx: Any) -> str:  # noqa: ANN401
    names = ", ".join(sorted([*param.opts, *param.secondary_opts], key=len))
    return names if param.is_flag else f"{names} {_value(param, ctx)}"


def _value(param: TyperOption, ctx: Any) -> str:  # noqa: ANN401
    """Return what stands for an option's value: `URL`, `N`, `disinto|muster`, or its last word."""
    kind = (param.display_type(ctx) or "").strip("<>")
    if param.metavar or "|" in kind:
        return str(param.metavar or kind)
    return "N" if kind == "int" else param.name.rpartition("_")[2].upper()


def _write_parameters(params: list[Any], ctx: Any, formatter: Any) -> None:  # noqa: ANN401
    arguments, options = [], []
    for param in params:
        if (record := param.get_help_record(ctx)) is None:
            continue
        text = _MARKS.sub("", record[1]).strip()
        if isinstance(param, TyperArgument):
            arguments.append((_argument(param), text))
        else:
            options.append((_option(param, ctx), text))
    for title, rows in (("Arguments", arguments), ("Options", options)):
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _first_sentence(command: Any) -> str:  # noqa: ANN401
    text = " ".join((command.short_help or command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", text)[0]
