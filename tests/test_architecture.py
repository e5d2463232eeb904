"""The rules of the house, read off the source: layers, packages, names, sizes, codes, cheap start-up."""

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import covoguard
from covoguard.cli.main import COMMANDS, cli
from covoguard.core.reasons import REASONS, STOPS

ROOT = Path(__file__).resolve().parents[1]
SIBLINGS = ("generate", "watermark", "datasets", "detect", "reports")
LAYERS = ("core", *SIBLINGS, "pipeline", "cli")
MAY_IMPORT = {
    "core": {"core"},
    **{sibling: {"core", sibling} for sibling in SIBLINGS},
    "pipeline": {"core", *SIBLINGS, "pipeline"},
    "cli": set(LAYERS),
}
HEAVY = ("torch", "transformers", "sklearn", "pyarrow", "av", "onnxruntime", "c2pa")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in [ROOT / "__init__.py", *MODULES]}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported_by(path: Path) -> list[str]:
    """Absolute dotted names of the modules of this package that a file imports, at any depth of its code."""
    package = ("covoguard", *path.relative_to(ROOT).parent.parts)
    found = []
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module.split(".") if node.module else ())))
            # `from .. import detect` names a module as well
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return [name for name in found if name.split(".")[0] == "covoguard"]


def test_there_is_something_to_check():
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_flow_one_way(path):
    layer = path.relative_to(ROOT).parts[0]
    layers = {name.split(".")[1] for name in imported_by(path) if name.count(".")} & set(LAYERS)
    assert layers <= MAY_IMPORT[layer]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_inside_the_package_are_relative(path):
    for node in ast.walk(TREES[path]):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        assert not [name for name in names if name.split(".")[0] == "covoguard"]


def test_the_package_list_is_the_folders_that_hold_modules():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {".".join(("covoguard", *path.relative_to(ROOT).parent.parts)) for path in [ROOT / "x.py", *MODULES]}
    assert settings["packages"] == sorted(settings["packages"])
    assert set(settings["packages"]) == folders


def test_datasets_has_no_init_so_that_it_never_hides_the_library_of_that_name():
    assert not (ROOT / "datasets" / "__init__.py").exists()


def test_public_names_are_complete_sorted_and_few():
    imported = [
        alias.asname or alias.name
        for node in ast.walk(TREES[ROOT / "__init__.py"])
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    ]
    assert covoguard.__all__ == sorted(imported)
    assert len(covoguard.__all__) <= 15
    for name in covoguard.__all__:
        assert getattr(covoguard, name) is not None


def test_no_module_is_called_utils():
    assert not [name_of(path) for path in MODULES if path.stem in ("utils", "util", "helpers", "common", "misc")]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


# --- codes -------------------------------------------------------------------------------------------------


def codes_given(tree: ast.AST) -> set[str]:
    """Texts passed as `code=...` anywhere, or set as an error class's `default_code`."""
    given = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "code"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            given += [node.value for target in targets if getattr(target, "id", "") == "default_code"]
    arms = [
        arm for value in given for arm in ((value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,))
    ]
    return {arm.value for arm in arms if isinstance(arm, ast.Constant) and isinstance(arm.value, str)}


def test_every_code_that_the_source_raises_is_explained():
    given = {code: name_of(path) for path, tree in TREES.items() for code in codes_given(tree)}
    assert {code: where for code, where in given.items() if code not in {**REASONS, **STOPS}} == {}
    assert {"not_found", "output_error", "usage"} <= set(given), "the search itself must work"


def test_every_code_is_used_somewhere_beside_its_explanation():
    source = "\n".join(path.read_text(encoding="utf-8") for path in MODULES if path != ROOT / "core" / "reasons.py")
    assert [code for code in {**REASONS, **STOPS} if f'"{code}"' not in source] == []


def test_codes_are_filed_under_their_own_name_in_one_table_only():
    for table in (REASONS, STOPS):
        assert all(code == reason.code and reason.meaning and reason.advice for code, reason in table.items())
    assert not REASONS.keys() & STOPS.keys()


# --- command line ------------------------------------------------------------------------------------------


def all_commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[" ".join((*path, name))] = command
        if isinstance(command, click.Group):
            found |= all_commands(command, (*path, name))
    return found


COMMAND_LINES = all_commands(cli)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_has_help_and_an_example(line):
    text = inspect.cleandoc(COMMAND_LINES[line].help or "")
    assert len(text.splitlines()[0]) > 20
    assert "\\b" not in text, "click needs the character, not its escape"
    example = text.split("\b\nExample", 1)[1]
    assert f"\n  covoguard {line}" in example


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_option_has_help(line):
    options = [each for each in COMMAND_LINES[line].params if isinstance(each, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_the_command_table_says_what_the_commands_say():
    for name, (_, text) in COMMANDS.items():
        assert inspect.cleandoc(COMMAND_LINES[name].help or "").splitlines()[0] == text


def modules_loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines())


@pytest.mark.parametrize(
    "code",
    [
        "import covoguard",
        "import covoguard.cli.main",
        "from covoguard.cli.main import cli\ncli.main(['--help'], standalone_mode=False)",
        "import covoguard.core.audio",
        "from covoguard.detect.registry import SCORERS\nSCORERS.names()",
        "import covoguard.cli.scan",
        "import covoguard.cli.credentials",
    ],
)
def test_start_up_loads_nothing_heavy(code):
    assert modules_loaded_by(code) & set(HEAVY) == set()


def test_onnx_runtime_is_loaded_in_one_place_where_its_telemetry_is_off():
    importers = {
        str(path.relative_to(ROOT))
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(each.name.split(".")[0] == "onnxruntime" for each in node.names))
        or (isinstance(node, ast.ImportFrom) and not node.level and str(node.module).split(".")[0] == "onnxruntime")
    }
    assert importers == {"core/onnx.py"}
