"""Rules that linters do not know: access to time, chance, Redis and its keys; form of scripts."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Final

import pytest

from tests.house.sources import LUA, MODULES, PACKAGE, ROOT, SCRIPTS, LuaScript
from workkit.store.keys import Keys, QueueKeys

MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 70
#: How many other parts a constructor of the engine takes; more travel in a record.
CONSTRUCTOR_PARTS: Final = 4
#: The names in annotations of plain values, such as options.
PLAIN: Final = frozenset(
    {"Collection", "Iterable", "Mapping", "Sequence", "bool", "bytes", "float", "int", "str"}
)

CLOCK: Final = "workkit.core.clock"
ENGINE: Final = "workkit.engine"
ENTROPY: Final = "workkit.core.entropy"
#: Replaces both for the handlers of a simulation, so it names what it replaces.
VIRTUAL: Final = "workkit.simulation.machine.virtual"
VIRTUAL_CLOCKS: Final = "workkit.simulation.machine.clocks"
STORE: Final = "workkit.store"
KEYS: Final = "workkit.store.keys"

DICE: Final = ("random", "secrets", "uuid", "numpy.random", "os.urandom", "os.getrandom")
#: Methods of datetime and date that read the wall clock.
NOW: Final = frozenset({"now", "today", "utcnow"})
UNFINISHED: Final = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")

#: The beginning or the end of a key. A colon with a space next to it is prose.
KEY_PART: Final = re.compile(
    r"(?:\A|:)(jobs|worker_pools|worker|unique|slot|lease|history|trash|trashed|aside|acts"
    r"|signatures|stack):(?=\S|\Z)"
    r"|:(known_jobs|worker_pools|retry|scheduled|dead|history|recoveries|begun|periodic|limits|trash|acts"
    r"|inprogress|lock|lock_info|paused|max_concurrency|last_periodic_enqueue)\b"
)
#: Keys whose names have no other use as words.
WHOLE_KEYS: Final = frozenset({"known_jobs", "worker_pools", "last_periodic_enqueue", "lock_info"})

#: Calls that make a script depend on more than its arguments, or change a job's bytes.
IMPURE: Final = {
    "the server's clock": re.compile(r"['\"]TIME['\"]", re.IGNORECASE),
    "a random draw": re.compile(
        r"['\"](RANDOMKEY|SPOP|SRANDMEMBER|HRANDFIELD|ZRANDMEMBER)['\"]|math\.random", re.IGNORECASE
    ),
    "an id of the server's": re.compile(r"['\"]XADD['\"][^)]*['\"]\*['\"]", re.IGNORECASE),
    "an encoder that rounds numbers": re.compile(r"cjson\s*\.\s*encode|cmsgpack"),
}
INDEX: Final = re.compile(r"\b(KEYS|ARGV)\[(\d+)(?:\.\.[^\]]*)?\]")


def parts_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the arguments that are more than plain values and collections of these."""
    given = function.args
    named = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [
        arg.arg
        for arg in named
        if arg is not None
        and arg.annotation is not None
        and not {node.id for node in ast.walk(arg.annotation) if isinstance(node, ast.Name)}
        <= PLAIN
    ]


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


# Who may touch what


def test_only_the_clock_module_knows_the_time_module() -> None:
    assert not [
        module.place(node)
        for module in MODULES
        for node, name in module.imports()
        if is_within(name, "time") and module.name not in {CLOCK, VIRTUAL, VIRTUAL_CLOCKS}
    ]


def test_nobody_asks_datetime_for_the_present() -> None:
    assert not [
        module.place(node)
        for module in MODULES
        for node in module.attributes()
        if node.attr in NOW and ast.unparse(node.value).rpartition(".")[2] in {"date", "datetime"}
    ]


def test_only_the_entropy_module_draws_random_numbers() -> None:
    imported = [
        module.place(node)
        for module in MODULES
        for node, name in module.imports()
        if any(is_within(name, dice) for dice in DICE)
        and module.name not in {ENTROPY, VIRTUAL}
        and name != "uuid.UUID"  # the class of ids draws nothing
    ]
    called = [
        module.place(node)
        for module in MODULES
        for node in module.attributes()
        if ast.unparse(node) in DICE and module.name not in {ENTROPY, VIRTUAL}
    ]
    assert imported + called == []


def test_only_the_store_talks_to_redis() -> None:
    assert not [
        module.place(node)
        for module in MODULES
        for node, name in module.imports()
        if is_within(name, "redis") and not is_within(module.name, STORE)
    ]


def test_only_the_keys_module_builds_keys() -> None:
    others = [module for module in MODULES if module.name != KEYS]
    parts = [
        f"{module.place(node)}: {text!r}"
        for module in others
        for node, text in module.strings()
        if (text in WHOLE_KEYS and text not in module.exports) or KEY_PART.search(text)
    ]
    prefixes = [
        module.place(node)
        for module in others
        for node in module.attributes()
        if node.attr == "prefix" and ast.unparse(node.value).endswith("keys")
    ]
    assert parts + prefixes == []


def test_the_rule_about_keys_knows_every_key() -> None:
    keys = next(module for module in MODULES if module.name == KEYS)
    parts = {text for _, text in keys.strings() if re.fullmatch(r"[a-z_]*:[a-z_:]+|[a-z_]+:", text)}
    assert len(parts) > len(QueueKeys._fields)
    assert {part for part in parts if not KEY_PART.search(part)} == set()


# Size and state


def test_a_module_can_be_read_in_one_sitting() -> None:
    lengths = {module.name: len(module.text.splitlines()) for module in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_a_function_can_be_seen_whole() -> None:
    assert not [
        f"{module.place(function)} {function.name}"
        for module in MODULES
        for function in module.functions()
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
    ]


def test_a_constructor_of_the_engine_takes_few_parts_one_by_one() -> None:
    taken = {
        module.place(function): parts
        for module in MODULES
        if is_within(module.name, ENGINE)
        for function in module.functions()
        if function.name == "__init__" and len(parts := parts_in(function)) > CONSTRUCTOR_PARTS
    }
    assert taken == {}


def test_the_rule_about_constructors_counts_parts_and_no_plain_values() -> None:
    source = """
    def __init__(self, keys: Keys, ids: Sequence[str], host: str | None, *hooks: Hook,
                 notify: Callable[[], None], pid: int = 0, **more: Any) -> None: ...
    """
    (function,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(function, ast.FunctionDef)
    assert parts_in(function) == ["keys", "hooks", "notify", "more"]


def test_nothing_in_the_package_is_left_to_be_done() -> None:
    assert not [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in {".py", ".lua", ".md", ".toml"}
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]


# Scripts


def test_a_script_begins_with_its_contract() -> None:
    for lua in SCRIPTS:
        assert re.search(r"\.$", lua.header, re.MULTILINE), lua.name
        assert "KEYS[" in lua.header, lua.name
        assert "ARGV" in lua.header or "ARGV" not in lua.code, lua.name
        assert re.search(r"^Returns\b", lua.header, re.MULTILINE), lua.name


def test_the_contract_of_a_script_names_every_key_and_argument_it_uses() -> None:
    unnamed = {}
    for lua in SCRIPTS:
        contract = lua.header
        for other in re.findall(r"as in (\w+)\.lua", lua.header):
            contract += LuaScript(LUA / f"{other}.lua").header
        if missing := set(INDEX.findall(lua.code)) - set(INDEX.findall(contract)):
            unnamed[lua.name] = missing
    assert unnamed == {}


def test_a_script_is_a_function_of_what_it_is_given() -> None:
    assert not [
        f"{lua.name} uses {impurity}"
        for lua in SCRIPTS
        for impurity, pattern in IMPURE.items()
        if pattern.search(lua.code)
    ]


def test_every_script_is_used_and_every_used_script_exists() -> None:
    used = {
        node.args[0].value
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "script"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert used == {lua.name for lua in SCRIPTS}


# The legend of the keyspace


def test_each_script_has_a_constant_with_a_sentence() -> None:
    source = (ROOT / "workkit" / "store" / "scripts.py").read_text("utf-8")
    told = re.findall(
        r'^#: [A-Z][^\n]*\.\n([A-Z_]+): Final = script\("(\w+)"\)$', source, re.MULTILINE
    )
    assert [name.lower() for name, _ in told] == [stem for _, stem in told]
    assert {stem for _, stem in told} == {file.stem for file in LUA.glob("*.lua")}


def test_the_legend_names_every_key() -> None:
    keys = Keys("")
    examples = [value.decode() for value in vars(keys).values() if isinstance(value, bytes)]
    examples += [key.decode() for key in keys.queue("NAME", "NAME")]
    examples += [
        getattr(keys, function)("NAME").decode()
        for function in (
            "jobs",
            "paused",
            "pool",
            "worker",
            "slot",
            "lease",
            "operation",
            "trashed",
        )
    ]
    examples.append(keys.unique("NAME", b"{}").partition("{")[0])
    # The legend calls the variable parts NAME, POOL, WORKER and so on.
    patterns = {example: re.escape(example).replace("NAME", r"\w+") for example in examples}

    legend = (LUA / "README.md").read_text("utf-8")
    missing = {example for example, found in patterns.items() if not re.search(f"`{found}", legend)}
    assert missing == set()


#: From a place up to a bounded number of places after it, for a table of any length.
BOUNDED: Final = re.compile(
    r"unpack\(\w+, (\w+), (?:math\.min\(\1 \+ (?:[1-9]\d{0,2}|MOST - 1), [^()]+\)|\1 \+ \d)\)"
)


def test_what_a_script_unpacks_is_bounded() -> None:
    """Lua's stack takes about 8,000 values: a long table would fail in the server."""
    for lua in SCRIPTS:
        found = len(re.findall(r"\bunpack\(", lua.code))
        assert len(BOUNDED.findall(lua.code)) == found, lua.name


@pytest.mark.parametrize(
    "line",
    ["f(unpack(items))", "f(unpack(ARGV, 2))", "f(unpack(ARGV, 2, 1 + 2 * limits))",
     "f(unpack(ARGV, from, to))", "f(unpack(t, from, math.min(from + 9999, #t)))"],
)  # fmt: skip
def test_a_table_that_is_unpacked_whole_is_found(line: str) -> None:
    assert not BOUNDED.search(line)
