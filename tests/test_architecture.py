"""Who may import whom, read from the source: three floors, no circles, nothing hidden."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "alignment",
    "models",
    "datamodules",
    "evaluation",
    "reporting",
    "callbacks",
    "commands",
    "tracking",
)
SCRIPTS = ("train", "probe", "compare")
DRIVERS = ("evaluation", "reporting", "tracking", "models.checkpoint")
TOP = (*DRIVERS, "callbacks", "commands")

ALLOWED: dict[str, tuple[str, ...]] = {
    "alignment": ("alignment",),
    "datamodules": ("datamodules",),
    "models.external": ("models",),
    "models": ("models",),
    "evaluation": ("alignment", "models", "datamodules", "evaluation"),
    "reporting": (
        "alignment.inference",
        "evaluation.rows",
        "evaluation.metrics",
        "evaluation.quantities",
        "reporting",
    ),
    "tracking": ("tracking", "evaluation", "reporting", "models.checkpoint"),
    "callbacks": (*DRIVERS, "callbacks"),
    "commands": TOP,
    "train": TOP,
    "probe": TOP,
    "compare": TOP,
}
FORBIDDEN = {"models": ("models.external",)}

Sources = Mapping[str, str]
"""Source text of every module, by its dotted name."""


def sources(root: Path) -> Sources:
    files = [file for package in PACKAGES for file in (root / package).rglob("*.py")]
    files += [file for name in SCRIPTS if (file := root / f"{name}.py").is_file()]
    return {module_name(root, file): file.read_text() for file in files}


def module_name(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@cache
def parsed(text: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(text)))


def imports(code: Sources, module: str) -> Iterator[str]:
    """Modules of ours that a module imports, inside functions and type checks too."""
    for node in parsed(code[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively: name the package"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in code else str(node.module) for name in whole]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in (*PACKAGES, *SCRIPTS))


def trespasses(code: Sources) -> list[str]:
    """Every import of ours that its importer's floor does not allow."""
    found = []
    for module in code:
        place = max((key for key in ALLOWED if inside(module, key)), key=len)
        for imported in imports(code, module):
            allowed = any(inside(imported, known) for known in ALLOWED[place])
            banned = any(inside(imported, name) for name in FORBIDDEN.get(place, ()))
            if banned or not allowed:
                found.append(f"{module} imports {imported}")
    return found


def circle(code: Sources) -> list[str]:
    """The modules of one import circle, or nothing."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done or module not in code:
            return []
        for imported in imports(code, module):
            found = walk(imported, [*path, module])
            if found:
                return found
        done.add(module)
        return []

    return next((found for module in code if (found := walk(module, []))), [])


def printing(code: Sources) -> list[str]:
    return [
        f"{module}:{node.lineno}"
        for module, text in code.items()
        for node in parsed(text)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "pprint")
    ]


CODE = sources(ROOT)


def test_the_tree_is_the_one_that_is_checked() -> None:
    assert {module.split(".")[0] for module in CODE} >= {*PACKAGES, "train"}
    assert "models.external.checkpoint" in CODE


def test_every_package_is_known() -> None:
    outside = {"tests", "bench", "docs", "conf"}
    found = {
        folder.name
        for folder in ROOT.iterdir()
        if not folder.name.startswith(".") and any(folder.glob("*.py"))
    }
    assert found - outside == set(PACKAGES)


def test_nobody_imports_from_a_floor_above_or_beside() -> None:
    assert trespasses(CODE) == []


def test_there_are_no_import_circles() -> None:
    assert circle(CODE) == []


def test_no_module_is_called_for_nothing() -> None:
    vague = {"utils", "util", "common", "core", "src", "helpers", "misc"}
    assert [module for module in CODE if vague & set(module.split("."))] == []
    assert [name for name in vague if (ROOT / name).exists()] == []


def test_every_init_is_empty() -> None:
    full = [
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("__init__.py")
        if file.read_text().strip()
    ]
    assert full == []


def test_every_folder_with_code_has_an_init() -> None:
    missing = {
        str(file.parent.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if not (file.parent / "__init__.py").is_file()
    }
    assert missing == set()


def test_nobody_prints() -> None:
    assert printing(CODE) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("alignment.ridge", "import models.encoder"),
        ("models.optim", "from datamodules.pretraining.audio import Corpus"),
        ("models.optim", "from models.external.checkpoint import build"),
        ("models.external.hear", "def f():\n    from alignment import rsa"),
        ("evaluation.fmri.response_alignment", "from reporting.tables import as_row"),
        ("evaluation.fmri.response_alignment", "import callbacks.progress"),
        ("reporting.tables", "from alignment.ridge import loo_ridge"),
        ("reporting.tables", "from alignment import ridge"),
        ("reporting.tables", "import evaluation.benchmark"),
        ("callbacks.progress", "from models.encodecmae import EncodecMAE"),
        ("callbacks.progress", "from models import encodecmae"),
        ("callbacks.progress", "import datamodules"),
        ("callbacks.progress", "import train"),
        ("callbacks.progress", "import commands.launch"),
        ("train", "from models.external.checkpoint import load_checkpoint"),
        ("probe", "import alignment.rsa"),
    ],
)
def test_a_forbidden_import_would_be_found(module: str, text: str) -> None:
    assert trespasses({**CODE, module: text}) != []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("models.external.hear", "from models.encoder import Frames"),
        ("reporting.tables", "from alignment import inference"),
        (
            "evaluation.fmri.response_alignment",
            "from alignment.rsa import rdm\nimport torch, models_of_others",
        ),
        ("probe", "from models.checkpoint import read_checkpoint\nimport commands.launch"),
    ],
)
def test_an_allowed_import_would_pass(module: str, text: str) -> None:
    assert trespasses({"alignment.inference": "", module: text}) == []


def test_a_circle_a_print_and_a_relative_import_would_be_found() -> None:
    ring = {"models.a": "import models.b", "models.b": "from models import c", "models.c": ""}
    assert circle(ring) == []
    ring["models.c"] = "def f():\n    import models.a"
    assert circle(ring) == ["models.a", "models.b", "models.c", "models.a"]
    loud = {"models.a": "x = 1\nprint(x)", "models.b": "console.print(1)"}
    assert printing(loud) == ["models.a:2"]
    with pytest.raises(AssertionError, match="relatively"):
        trespasses({"models.a": "from . import b"})
