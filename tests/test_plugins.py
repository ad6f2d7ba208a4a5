"""A user's own files: loaded from anywhere, and one line for each mistake in them."""

import hashlib
import importlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import machine, plan, plugins, records
from benchmark.command import main
from benchmark.errors import UserError
from benchmark.plugins import load_plugins
from benchmark.registry import code, code_below, configuration, methods, probes

VARIANT = """
from benchmark.registry import methods
methods.register("{name}", diversity_weight=0.25)(methods.entry("scn")[0])
"""

CLASS = """
from dataclasses import dataclass
from benchmark.contracts import Method, Probe
from benchmark.registry import methods, probes
scn = methods.entry("scn")[0]

{body}
"""

pytestmark = pytest.mark.usefixtures("registries", "no_figures")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file into an empty folder, which is the working folder, and returns its path."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_file_that_another_imports_is_not_named_too(write, capsys):
    body = "@methods.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn): pass"
    write(CLASS.format(body=body))
    write("import mine\n" + VARIANT.format(name="other"), "other.py")
    assert main(["--plugin", "other.py", "--plugin", "mine.py", "--list"]) == 2
    told = "this file is imported twice; name it once, or only the plug-in that imports it\n"
    assert capsys.readouterr().err.endswith(told)


def test_a_file_is_loaded_by_its_path_once(write):
    path = write(VARIANT.format(name="mine"))
    load_plugins([str(path)])
    load_plugins([str(path)])
    assert methods.create("mine").diversity_weight == 0.25


def test_a_module_is_loaded_by_its_name_from_the_working_folder(write):
    write(VARIANT.format(name="mine"), "a_module_of_mine.py")
    load_plugins(["a_module_of_mine"])
    assert "mine" in methods


def test_a_file_may_import_what_lies_beside_it(write):
    write("WEIGHT = 0.25", "what_lies_beside.py")
    load_plugins([str(write("import what_lies_beside\n" + VARIANT.format(name="mine")))])
    assert "mine" in methods


def test_two_files_of_one_name_are_two_plugins(write, tmp_path):
    (tmp_path / "other").mkdir()
    paths = [write(VARIANT.format(name=name), path) for name, path in (("a", "mine.py"), ("b", "other/mine.py"))]
    load_plugins(map(str, paths))
    assert {"a", "b"} <= set(methods)


def test_what_is_recorded_of_the_code_is_the_file_as_it_was_imported(write):
    text = CLASS.format(body="@methods.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn): pass")
    path = write(text)
    load_plugins([str(path)])
    path.write_text(text + "# edited while it runs")
    assert code(methods.entry("mine")[0]) == {"file": "mine.py", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert code(methods.entry("scn")[0])["file"] == "methods/scn.py"


MINE = CLASS.format(
    body="@methods.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn):\n    {body}"
)

PROBE = CLASS.format(
    body="@probes.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(Probe):\n    {body}"
)


def test_what_a_class_is_made_of_are_its_file_and_what_that_imports_beside_it_and_of_ours(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("def twice(x): return 2 * x\n")
    (tmp_path / "apart.py").write_text("from beside import twice\nclass Mine: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = importlib.import_module("apart").Mine
    before = code_below.__wrapped__(mine)
    (tmp_path / "beside.py").write_text("def twice(x): return x + x\n")
    assert code_below.__wrapped__(mine) != before
    for name, text in (("sizes", "WIDTH = 8\n"), ("later", "RATE = 1\n")):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "third.py").write_text("from sizes import WIDTH\nclass Mine:\n  def late(self):\n    import later\n")
    third = importlib.import_module("third").Mine
    seals = [code_below.__wrapped__(third)]
    for name, text in (("sizes", "WIDTH = 16\n"), ("later", "RATE = 2\n")):
        (tmp_path / f"{name}.py").write_text(text)
        seals.append(code_below.__wrapped__(third))
    assert len({*seals}) == 3, "a constant that is imported, and what a function imports"
    read, whole = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.stem) or whole(path))
    code_below.__wrapped__(methods.entry("setcon")[0])
    expected = {"setcon", "slot_prediction", "info_nce", "transition", "set_encoder", "slot_attention", "fm_mlp"}
    assert expected <= set(read) and not {"slotwise", "scn", "registry"} & set(read)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import there_is_no_such_module", "mine.py, line 1: ModuleNotFoundError: No module named 'there_is"),
        ("\ndef f(:", "mine.py, line 2: SyntaxError"),
        ("x = 1\n\nint('many')", "mine.py, line 3: ValueError: invalid literal"),
        ("exit(1)", "mine.py, line 1: SystemExit"),
        ("x = 1", "mine.py registers no method, data set or probe; docs/add-a-method.md"),
        ("x = 1\n\0", "mine.py': it holds null bytes"),
        (VARIANT.format(name="scn"), "mine.py, line 3: method 'scn' in "),
        (VARIANT.format(name="all"), "'all'; choose another"),
        (VARIANT.format(name="a/b"), "a name is made of letters"),
        (PROBE.format(body="pass").replace("'mine'", "'mine.v2'"), "a probe's name has no dot"),
        (VARIANT.format(name="mine").replace("diversity_weight", "weight"), "sets weight, but its fields are"),
        (CLASS.format(body="@methods.register('mine')\nclass Mine(scn): pass"), "directly above the class"),
        (
            CLASS.format(body="@dataclass(frozen=True)\n@methods.register('mine')\nclass Mine(scn):\n    a: int = 1"),
            "mine.py: put @dataclass(frozen=True, kw_only=True) directly above the class, below every register(...)",
        ),
        (
            CLASS.format(body="@methods.register\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn): pass"),
            'mine.py: write @....register("a-name")',
        ),
        (
            CLASS.format(body="@methods.register('mine')\n@dataclass\nclass Mine(scn): pass"),
            "mine.py, line 8: TypeError: cannot inherit non-frozen dataclass from a frozen one; put @dataclass(",
        ),
        (
            CLASS.format(
                body="@methods.register('m')\n@dataclass(frozen=True, kw_only=True)\nclass M(scn):\n    a: int"
            ),
            "mine.py: a must have a default",
        ),
        (
            CLASS.format(body="@probes.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn): pass"),
            "probe 'mine' in ",
        ),
        (
            CLASS.format(body="@probes.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass M(Probe): pass"),
            "mine.py: it lacks __call__; benchmark/contracts.py",
        ),
        (
            MINE.format(body="def window(self): return 2"),
            "mine.py: window takes (self); it is called with (self, spec)",
        ),
        (
            MINE.format(body="def supports(self): return None"),
            "mine.py: supports takes (self); it is called with (self, spec)",
        ),
        (
            MINE.format(body="def encode(self, model, frames, key): return None"),
            "mine.py: encode takes (self, model, frames, key); it is called with (self, model, frames)",
        ),
        (
            PROBE.format(body="def __call__(self, train, test, key): return None"),
            "mine.py: __call__ takes (self, train, test, key); it is called with (self, train, val, test, key)",
        ),
        (MINE.format(body="supports = None"), "mine.py: supports is None; it is called with (self, spec)"),
        (MINE.format(body="window: int = 3"), "mine.py: window is 3; it is called with (self, spec)"),
        (MINE.format(body="depth = 3"), "mine.py: depth = 3 has no type, so that it is no field; write depth: int = 3"),
        (MINE.format(body="slot_size = 16"), "mine.py: slot_size = 16 has no type, so that it is no field"),
        (
            MINE.format(body="act: object = len"),
            "mine.py: act is <built-in function len>, a builtin_function_or",
        ),
        (MINE.format(body="eps: float = float('nan')"), "mine.py: eps is nan, a float; a field holds finite numbers"),
        (
            MINE.format(
                body="import dataclasses\n    w: dict = dataclasses.field(default_factory=lambda: {9: 1, 10: 2})"
            ),
            "mine.py: w is {9: 1, 10: 2}, a dict; a field holds finite numbers",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_it(write, capsys, text, message):
    write(text)
    assert main(["--plugin", "mine.py", "--list"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert message in shown.err and "mine.py" in shown.err


def test_what_a_class_says_of_itself_and_its_constants_are_no_fields(write):
    body = "context = 2\n    trains = False\n    HEADS = 4\n    _kept = 1\n    width: ClassVar[int] = 3"
    write("from typing import ClassVar\n" + MINE.format(body=body))
    load_plugins(["mine.py"])
    mine = methods.create("mine")
    assert not mine.trains and mine.context == 2 and "width" not in configuration(mine)


@pytest.mark.parametrize(
    "body",
    [
        "@staticmethod\n    def window(spec): return 2",
        "@classmethod\n    def window(cls, spec): return 2",
        "def window(self, *arguments, **others): return 2",
        "def window(self, data, more=1): return 2",
        "window = partialmethod(lambda self, n, spec: n, 2)",
        "window = property(lambda self: lambda spec: 2)",
        "@wraps(lambda self, spec, more: 3)\n    def window(self, spec): return 2",
    ],
)
def test_a_part_of_the_contract_may_be_written_in_any_way_that_can_be_called(write, body):
    write("from functools import partialmethod, wraps\n" + MINE.format(body=body))
    load_plugins(["mine.py"])
    assert methods.create("mine").window(None) == 2


def test_files_may_be_named_behind_one_another(write, capsys):
    write(VARIANT.format(name="one"), "one.py")
    write(VARIANT.format(name="two"), "two.py")
    write(VARIANT.format(name="three"), "three.py")
    assert main(["--plugin", "one.py", "two.py", "--plugin", "three.py", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("nowhere.py", "'nowhere.py': there is no such file"),
        (".", "it is no Python file"),
        ("no_such_module_anywhere", "there is no module of that name"),
        ("json", "registers no method.*docs/add-a-method.md shows how"),
        ("folder", "folder registers no method.*; name the files in it"),
    ],
)
def test_a_plugin_that_is_not_there_is_one_line(write, tmp_path, monkeypatch, plugin, message):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        load_plugins([plugin])


def test_what_a_plugin_brings_is_run_and_the_report_does_without_it(write, tmp_path, capsys, monkeypatch):
    write(
        "from benchmark.registry import methods, probes\n"
        "methods.register('my-method', slot_size=8)(methods.entry('random-cnn')[0])\n"
        "probes.register('my-probe')(probes.entry('linear')[0])\n"
    )
    out = ["--out", str(tmp_path / "out")]
    asked = ["--plugin", "mine.py", "--datasets", "tiny", "--methods", "my-method", "--budget", "smoke", *out]
    assert main(asked) == 0
    (record,) = records.read_all(tmp_path / "out")[0]
    assert record.probes.keys() == {"linear", "diagnostics", "my-probe"}, (
        "a probe that no suite names is asked beside the suite's"
    )
    assert record.probes["my-probe"]["code"]["file"] == "probes/linear.py"
    capsys.readouterr()
    assert main([*asked, "--probes", "my-probe", "--dry-run"]) == 0
    assert "1 done" in capsys.readouterr().out

    monkeypatch.delitem(methods._entries, "my-method")
    monkeypatch.delitem(probes._entries, "my-probe")
    assert main(["--report-only", *out]) == 0
    shown = capsys.readouterr()
    assert "my-method" in shown.out
    assert shown.err.startswith("not registered here: my-method, my-probe; with their --plugin")


RANDOM = """
@methods.register("mine")
@dataclass(frozen=True, kw_only=True)
class Mine(methods.entry("random-cnn")[0]):
    pass
"""
ON_TINY = ["--datasets", "tiny", "--budget", "smoke", "--probes", "linear"]


def edit(write, body):
    write(CLASS.format(body=body))
    plugins._loaded.clear()
    methods._entries.pop("mine", None)


def test_a_file_that_has_changed_since_its_records_is_named(write, tmp_path, capsys):
    asked = ["--plugin", "mine.py", "--methods", "mine", *ON_TINY, "--out", str(tmp_path / "out")]
    edit(write, RANDOM)
    assert main(asked) == 0
    assert main([*asked, "--dry-run"]) == 0
    assert "changed since" not in capsys.readouterr().out
    edit(write, f"{RANDOM}# more")
    assert main([*asked, "--dry-run"]) == 0
    assert "done: mine (1): mine.py has changed since then; if what is computed has changed" in capsys.readouterr().out
    assert main([*asked, "--seeds", "2"]) == 0
    notes = "Edited between runs: mine (mine.py), whose version was not raised, so that earlier runs stand beside later"
    assert notes in capsys.readouterr().out


def test_of_a_run_that_failed_it_is_told_that_its_file_has_changed_since(write, tmp_path, capsys):
    asked = ["--plugin", "mine.py", "--methods", "mine", *ON_TINY, "--out", str(tmp_path / "out")]
    edit(write, f"{RANDOM}\n    def encode(self, model, frames):\n        raise OSError('spoilt')\n")
    assert main(asked) == 1
    edit(write, RANDOM)
    assert main([*asked, "--dry-run"]) == 0
    assert "failed: mine (1): OSError: spoilt" in (told := capsys.readouterr().out)
    assert "; mine.py has changed since then\n" in told


def test_uncommitted_files_are_those_that_git_knows_no_such_content_of(tmp_path, monkeypatch):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    monkeypatch.setattr(machine, "ROOT", tmp_path)
    uncommitted = machine.uncommitted.__wrapped__
    assert uncommitted() == frozenset()  # no repository yet
    git("init")
    (tmp_path / "methods").mkdir()
    for name in ("same", "changed", "staged"):
        (tmp_path / "methods" / f"{name}.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "all")
    assert uncommitted() == frozenset()
    for name in ("changed", "staged", "mä"):
        (tmp_path / "methods" / f"{name}.py").write_text("2")
    git("add", "methods/staged.py")
    assert uncommitted() == {"methods/changed.py", "methods/staged.py", "methods/mä.py"}


def test_a_file_of_the_repository_is_named_while_its_change_is_not_committed(write, tmp_path, capsys, monkeypatch):
    asked = ["--methods", "random-cnn", *ON_TINY, "--out", str(tmp_path / "out")]
    assert main(asked) == 0
    (record,) = records.read_all(tmp_path / "out")[0]
    other = {**record.provenance, "code": {"method": {"file": "methods/random_cnn.py", "sha256": "0"}}}
    records.write(tmp_path / "out", replace(record, provenance=other))
    for files, told in ((frozenset(), False), (frozenset({"methods/random_cnn.py"}), True)):
        monkeypatch.setattr(plan, "uncommitted", lambda files=files: files)
        capsys.readouterr()
        assert main([*asked, "--dry-run"]) == 0
        assert ("done: random-cnn (1): methods/random_cnn.py has changed since" in capsys.readouterr().out) is told


UNANSWERING = [
    (
        "    def supports(self, spec):\n        return True",
        "PATH, line 10: supports gave True for tiny; expected None, or a text",
    ),
    ("    def supports(self, spec):\n        return {}['reason']", "KeyError: 'reason' (PATH, line 11)"),
    (
        "    def window(self, spec):\n        return 0",
        "PATH, line 10: window gave 0 on tiny; expected an int of at least 1",
    ),
    (
        "    def window(self, spec):\n        return 'three'",
        "PATH, line 10: window gave 'three' on tiny; expected an int",
    ),
    ("    def window(self, spec):\n        return 3.0", "window gave 3.0"),
]


@pytest.mark.parametrize(("body", "message"), UNANSWERING)
@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_a_method_that_cannot_answer_before_it_runs_is_one_line(write, tmp_path, capsys, body, message, options):
    path = write(
        CLASS.format(
            body=f"@methods.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn):\n{body}\n"
        )
    )
    where = ["--suite", "atari", "--datasets", "tiny", "--budget", "smoke", "--out", str(tmp_path / "out")]
    assert main(["--plugin", str(path), "--methods", "mine", *where, *options]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "tiny" in shown and message.replace("PATH", str(path)) in shown


def test_fields_that_a_method_refuses_are_one_line(write, tmp_path, capsys):
    head = "@methods.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn):\n"
    path = write(
        CLASS.format(body=f"{head}    def __post_init__(self):\n        assert self.slot_size < 99, 'too wide'")
    )
    asked = ["--plugin", str(path), "--methods", "mine", "--datasets", "tiny", "--out", str(tmp_path / "out")]
    assert main([*asked, "--set", "methods.mine.slot_size=100"]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "method 'mine' with {'slot_size': 100}: it raises AssertionError" in shown
    assert f"too wide ({path}, line 11)" in shown


@pytest.mark.parametrize("backbone", ["resnet", "nature_cnn"])
def test_a_backbone_that_is_none_or_does_not_take_the_frames_is_said_of_the_data_set(write, tmp_path, capsys, backbone):
    head = (
        "from dataclasses import replace\nfrom benchmark.registry import datasets\ntiny = datasets.entry('tiny')[0]\n"
    )
    head += "@datasets.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(tiny):\n"
    spec = f"replace(super().spec(), name='mine', frame_shape=(48, 48, 3), backbone='{backbone}')"
    path = write(CLASS.format(body=f"{head}    def spec(self):\n        return {spec}\n"))
    asked = ["--plugin", str(path), "--methods", "random-cnn", "--datasets", "mine", "--out", str(tmp_path / "out")]
    code = main([*asked, "--suite", "atari", "--budget", "smoke"])
    if backbone == "resnet":
        shown = capsys.readouterr().err
        assert code == 2 and shown.count("\n") == 1
        assert "unknown backbone of data set 'mine': 'resnet'; known: cswm_large" in shown
    else:
        (record,) = records.read_all(tmp_path / "out")[0]
        assert code == 1 and "of frames of 48x48 nature_cnn leaves 1x1 positions, at least 3x3" in record.reason


def test_a_field_may_have_the_name_name(write, tmp_path, capsys):
    body = "@methods.register('mine')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(scn):\n    name: str = 'a'\n"
    path = write(CLASS.format(body=body))
    asked = ["--plugin", str(path), "--methods", "mine", "--datasets", "tiny", "--out", str(tmp_path / "out")]
    assert main([*asked, "--dry-run", "--set", "methods.mine.name=b"]) == 0
    assert methods.create("mine", name="c").name == "c"


def test_a_data_set_that_cannot_say_what_is_missing_is_one_line(write, tmp_path, capsys):
    body = "from benchmark.registry import datasets\ntiny = datasets.entry('tiny')[0]\n"
    body += "@datasets.register('mine')\n@dataclass(frozen=True, kw_only=True)\n"
    path = write(CLASS.format(body=f"{body}class Mine(tiny):\n    def missing(self, cache):\n        return 3\n"))
    where = ["--suite", "atari", "--datasets", "mine", "--budget", "smoke", "--out", str(tmp_path / "out")]
    assert main(["--plugin", str(path), "--methods", "scn", *where, "--dry-run"]) == 2
    assert "asked what is missing: it raises TypeError" in capsys.readouterr().err
