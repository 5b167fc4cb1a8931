"""One table against the keyword parameters of a function."""

from __future__ import annotations

import string
from collections.abc import Sequence  # noqa: TC003  # the factories below are read at run time, as any author's are
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator

from logmonitor.configuration.binding import bind, parameters_of
from logmonitor.configuration.document import parse
from logmonitor.errors import ConfigurationError, OperationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

FOLDER = Path("/etc/bots")


class Colour(StrEnum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Level:
    """A table of its own."""

    name: str
    above: float = 0.0


def even(value: int) -> int:
    """Refuse odd numbers, as an author's own check does."""
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value


def refuse(text: str) -> str:
    """Quote what is refused."""
    raise ValueError(f"{text!r} is bad")


def factory(
    *,
    match: str,
    quiet: float = 300.0,
    count: int = 3,
    loud: bool = False,
    path: Path = Path("x"),
    folders: tuple[Path, ...] = (),
    words: list[str] | None = None,
    either: str | tuple[str, ...] = "",
    mode: Literal["fast", "slow"] = "fast",
    colour: Colour = Colour.RED,
    levels: tuple[Level, ...] = (),
    token: str = "",
    even_number: Annotated[int, AfterValidator(even)] = 0,
) -> None:
    """Stand for an operation's factory."""


def read(
    text: str, function: Callable[..., object] = factory, *, is_open: bool = False, **environ: str
) -> tuple[dict[str, Any], list[str]]:
    """Bind the table `[t]` of `text`; return values and sentences."""
    document, _ = parse(f"[t]\n{text}", name="f", environ=environ)
    table = document.values["t"]
    assert isinstance(table, dict)
    values, findings = bind(
        table, parameters_of(function), location=("t",), document=document, folder=FOLDER, is_open=is_open
    )
    return values, [document.sentence(finding).removeprefix("f: ").removeprefix("[t] ") for finding in findings]


def test_bind_gives_values_of_the_types_asked_for() -> None:
    """A list becomes the tuple meant, a whole number the float, a text the path, which starts at the folder."""
    values, sentences = read(
        'match = "x"\nquiet = 5\ncount = 7\nloud = true\npath = "a/b"\nfolders = ["/abs", "c"]\nwords = ["a"]\n'
        'either = ["p", "q"]\nmode = "slow"\ncolour = "blue"\nlevels = [{name = "top", above = 1}]\ntoken = "t"'
    )
    assert sentences == []
    assert values == {
        "match": "x",
        "quiet": 5.0,
        "count": 7,
        "loud": True,
        "path": FOLDER / "a/b",
        "folders": (Path("/abs"), FOLDER / "c"),
        "words": ["a"],
        "either": ("p", "q"),
        "mode": "slow",
        "colour": Colour.BLUE,
        "levels": (Level(name="top", above=1.0),),
        "token": "t",
    }
    assert type(values["quiet"]) is float


def test_bind_takes_the_home_folder_as_the_shell_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may begin with `~`."""
    monkeypatch.setenv("HOME", "/home/bot")
    assert read('match = ""\npath = "~/x"')[0]["path"] == Path("/home/bot/x")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("match = 3", "match = 3: expected a text in quotes"),
        ('quiet = "x"', "quiet = 'x': expected a number"),
        ("quiet = true", "quiet = true: expected a number"),
        ("quiet = nan", "quiet = nan: expected a finite number"),
        ("quiet = inf", "quiet = inf: expected a finite number"),
        ("count = 1.5", "count = 1.5: expected a whole number"),
        ('count = "1"', "count = '1': expected a whole number"),
        ("loud = 1", "loud = 1: expected true or false"),
        ('loud = "yes"', "loud = 'yes': expected true or false"),
        ("path = 1", "path = 1: expected a text in quotes"),
        ('folders = "x"', "folders = 'x': expected a list"),
        ('folders = ["x", 1]', "folders #2 = 1: expected a text in quotes"),
        ("words = 1", "words = 1: expected a list"),
        ("either = 1", "either = 1: expected a text in quotes or a list"),
        ('either = ["x", 1]', "either #2 = 1: expected a text in quotes"),
        ('mode = "slwo"', "mode = 'slwo': expected 'fast' or 'slow'; did you mean 'slow'?"),
        ('mode = "x"', "mode = 'x': expected 'fast' or 'slow'"),
        ("mode = 1", "mode = 1: expected 'fast' or 'slow'"),
        ('colour = "blu"', "colour = 'blu': expected 'red' or 'blue'; did you mean 'blue'?"),
        ("levels = [1]", "levels #1 = 1: expected a table"),
        ("levels = [{above = 1}]", "levels #1: expected the key 'name' in it"),
        ('levels = [{name = "x", above = "y"}]', "levels #1 above = 'y': expected a number"),
        ("even_number = 3", "even_number = 3: 3 is odd"),
        ("token = 3", "token = '[redacted]': expected a text in quotes"),
        ("match = 2026-11-20", None),
    ],
)
def test_bind_tells_what_was_expected(line: str, sentence: str | None) -> None:
    """Each wrong value gives one sentence with its place, itself and what was expected."""
    text = line if line.startswith("match") else f'match = ""\n{line}'
    assert read(text)[1] == ([] if sentence is None else [sentence])


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    """A table of its own that takes no other keys, and judges for itself."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    port: int

    def __post_init__(self) -> None:
        """Refuse as a record of ours does."""
        if not self.port:
            raise OperationError(f"bad port {self.port!r}; expected 1 or more")


def strict(*, services: tuple[Strict, ...]) -> None:
    """Stand for the factory of an operation about several things."""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("services = [{port = 1}, {prot = 1, port = 1}]", "services #2 prot = 1: unknown key"),
        ("services = [{port = 1}, {port = 0}]", "services: bad port 0; expected 1 or more"),
    ],
)
def test_bind_tells_what_a_record_in_a_list_refuses(line: str, sentence: str) -> None:
    """A key that such a record does not have, and what it refuses itself, are findings as any other."""
    assert read(line, strict) == ({}, [sentence])


def bounded(
    *,
    a: Annotated[int, Gt(0)] = 1,
    b: Annotated[int, Ge(1)] = 1,
    c: Annotated[int, Lt(9)] = 1,
    d: Annotated[int, Le(9)] = 1,
    e: Annotated[tuple[str, ...], MinLen(1), MaxLen(2)] = ("",),
    f: Annotated[str, MinLen(2), MaxLen(3)] = "xx",
    g: Sequence[str] = (),
    h: frozenset[str] = frozenset(),
    i: dict[str, int] | None = None,
) -> None:
    """Stand for a factory with bounds."""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a = 0", "a = 0: expected more than 0"),
        ("b = 0", "b = 0: expected at least 1"),
        ("c = 9", "c = 9: expected less than 9"),
        ("d = 10", "d = 10: expected at most 9"),
        ("e = []", "e = []: expected at least 1 in the list"),
        ('e = ["a", "b", "c"]', "e = ['a', 'b', 'c']: expected at most 2 in the list"),
        ('f = "x"', "f = 'x': expected at least 2 characters"),
        ('f = "xxxx"', "f = 'xxxx': expected at most 3 characters"),
        ("h = 1", "h = 1: expected a list"),
        ("i = 1", "i = 1: expected a table"),
        ('i = {x = "y"}', "[t.i] x = 'y': expected a whole number"),
    ],
)
def test_bind_tells_which_bound_was_passed(line: str, sentence: str) -> None:
    """A bound given by the author appears in the sentence."""
    assert read(line, bounded)[1] == [sentence]


def test_bind_names_what_is_missing_and_its_type() -> None:
    """A required key that is not there is told with what it has to be."""

    def asks(*, text: str, choice: Literal["a", "b"], either: str | tuple[str, ...], path: Path, any_: object) -> None:
        """Stand for a factory."""

    assert read("", asks)[1] == [
        "text: missing; expected a text in quotes",
        "choice: missing; expected 'a' or 'b'",
        "either: missing; expected a text in quotes or a list",
        "path: missing; expected a text in quotes",
        "any_: missing; expected a value",
    ]


def test_bind_suggests_the_key_that_was_meant() -> None:
    """A misspelt key is told with the right one, which is then not said to be missing; its value is not shown."""

    def asks(*, match: str, colour: str = "", mode: str = "") -> None:
        """Stand for a factory."""

    assert read('mtach = "secret"\ncolor = 1\nzzz = 1', asks) == (
        {},
        [
            "mtach: unknown key; did you mean 'match'?",
            "color: unknown key; did you mean 'colour'?",
            "zzz: unknown key; expected 'colour', 'match' or 'mode'",
        ],
    )


@given(name=st.sampled_from(sorted(factory.__annotations__.keys() - {"return"})), data=st.data())
def test_bind_suggests_the_right_key_after_any_one_slip(name: str, data: st.DataObject) -> None:
    """One letter left out, doubled, or swapped with the next: the key meant is named, or the slip made another key."""
    at = data.draw(st.integers(0, len(name) - 2))
    slip = data.draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[: at + 1] + name[at:],
                name[:at] + name[at + 1] + name[at] + name[at + 2 :],
                name.upper(),
            ]
        )
    )
    known = {parameter.name for parameter in parameters_of(factory)}
    if slip in known:
        return
    assert f"{slip}: unknown key; did you mean {name!r}?" in read(f"{slip} = 1")[1]


@given(key=st.text(alphabet=string.ascii_letters + string.digits + "_-", min_size=1))
def test_bind_accepts_no_key_that_is_not_known(key: str) -> None:
    """Whatever the key, it is a parameter's name or a finding."""
    values, sentences = read(f'match = ""\n"{key}x" = ""')
    assert (f"{key}x" in values) != any("unknown key" in sentence for sentence in sentences)


def test_bind_leaves_unknown_keys_of_an_open_table_alone() -> None:
    """Where the factory is not known, its keys cannot be wrong."""
    assert read('match = "x"\nzzz = 1', is_open=True) == ({"match": "x"}, [])


def test_bind_says_nothing_of_a_value_the_environment_lacks() -> None:
    """A variable that is not set is told once, by the document."""
    assert read('match = "${NO}"\nwords = ["${NO}"]') == ({}, [])


def test_bind_shows_no_secret() -> None:
    """An author's own check may quote the value; where it came from the environment, its name is shown."""

    def asks(*, text: Annotated[str, AfterValidator(refuse)]) -> None:
        """Stand for a factory."""

    sentences = read('text = "a${S}b"', asks, S="hunter2")[1]
    assert sentences == ["text = 'a${S}b': 'a${S}b' is bad"]


def no_type(*, match) -> object:  # type: ignore[no-untyped-def]  # noqa: ANN001, ARG001  # what is refused
    """Lack a type."""
    raise AssertionError


def positional(match: str) -> None:
    """Take what only a name may give."""


def open_ended(**keys: str) -> None:
    """Take anything."""


def odd_type(*, match: Callable[[], None], path: Path) -> None:
    """Ask for what TOML has not."""


def hidden_type(*, match: Decimal) -> None:
    """Ask for a type that is only there for the type checker."""


class Opaque:
    """No data."""


def opaque(*, match: Opaque) -> None:
    """Ask for an object."""


@pytest.mark.parametrize(
    ("function", "positional_count", "start"),
    [
        (no_type, 0, "has the parameter 'match' without a type"),
        (positional, 0, "has the parameter 'match'; expected keyword-only"),
        (open_ended, 0, "has the parameter 'keys'; expected keyword-only"),
        (opaque, 0, "has the parameter 'match' with a type that a configuration cannot give: "),
        (hidden_type, 0, "has the parameter 'match' with a type that is not there at run time: name 'Decimal' is not"),
        (factory, 1, "takes 0 positional parameters; expected 1"),
        (dict, 0, "has no signature that could be read; expected a function written in Python"),
    ],
)
def test_parameters_of_refuses_what_a_table_cannot_give(
    function: Callable[..., object], positional_count: int, start: str
) -> None:
    """A function outside the contract is told what is wrong with it."""
    with pytest.raises(ConfigurationError) as caught:
        parameters_of(function, positional=positional_count)
    assert str(caught.value).startswith(start)


def test_parameters_of_knows_types_imported_for_the_checker_only() -> None:
    """`Path`, `Sequence` and `Mapping` may be imported under TYPE_CHECKING, where linters put them."""
    namespace: dict[str, Any] = {"__name__": "nowhere"}
    source = "def make(config, *, path: 'Path', names: 'Sequence[str]' = (), table: 'Mapping[str, int]' = {}): ..."
    exec(source, namespace)  # noqa: S102  # a module of its own, as an author's is
    found = parameters_of(namespace["make"], positional=1)
    assert [(one.name, one.is_required) for one in found] == [("path", True), ("names", False), ("table", False)]
