"""Who may import whom."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ("methods", "datasets", "probes")
ALLOWED = {"benchmark.types", "benchmark.contracts", "benchmark.registry", "benchmark.errors", "benchmark.modules"}
HEAVY = {"pandas", "sklearn", "matplotlib", "scipy", "ale_py", "orbax", "gymnasium", "rich"}
HEAVY |= {"dask", "distributed", "submitit", "yaml"}
BROUGHT_BY_FLAX = {"rich", "yaml"}


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "benchmark" else set()
            names |= {node.module or ""} if node.module != "benchmark" else set()
    return names


@pytest.mark.parametrize("package", PLUGINS)
def test_plugins_import_contracts_and_modules_and_nothing_else_of_ours(package):
    allowed = ALLOWED | {package} | ({"benchmark.training"} if package == "probes" else set())
    for path in sorted((ROOT / package).glob("*.py")):
        ours = {name for name in imports(path) if name.split(".")[0] in ("benchmark", *PLUGINS, "tests")}
        strange = {name for name in ours if not any(name == a or name.startswith(f"{a}.") for a in allowed)}
        assert not strange, f"{path.name} imports {strange}"


def test_the_engine_imports_no_plugin_except_where_it_loads_them():
    for path in sorted((ROOT / "benchmark").rglob("*.py")):
        plugins = {name for name in imports(path) if name.split(".")[0] in PLUGINS}
        assert not plugins or path.name == "plugins.py", f"{path.name} imports {plugins}"


def test_the_map_of_the_engine_names_each_of_its_modules_once():
    there = {path.stem for path in (ROOT / "benchmark").glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in (ROOT / "benchmark").glob("*/__init__.py")}
    places = [line for line in (benchmark.__doc__ or "").splitlines() if line.startswith("- ")]
    assert sorted(re.findall(r"`(\w+)`", "\n".join(places))) == sorted(there)


def test_heavy_packages_are_imported_where_they_are_used():
    for package in ("benchmark", *PLUGINS):
        for path in sorted((ROOT / package).rglob("*.py")):
            heavy = {name for name in imports(path, top_level_only=True) if name.split(".")[0] in HEAVY}
            allowed = {"ale_py", "gymnasium"} if path.name in ("atari_collect.py", "atari_gym.py") else set()
            assert not {n for n in heavy if n.split(".")[0] not in allowed}, f"{path.name} imports {heavy} at the top"


def test_listing_and_planning_load_nothing_heavy():
    script = (
        "import sys; from benchmark.command import main; "
        "assert main(sys.argv[1:]) == 0; "
        f"print('loaded', sorted(set({sorted(HEAVY - BROUGHT_BY_FLAX)}) & sys.modules.keys()))"
    )
    for arguments in (["--list"], ["--dry-run", "--datasets", "gridworld", "--suite", "synthetic"]):
        done = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.strip().endswith("loaded []"), done.stdout[-300:] + done.stderr[-2000:]
