"""A table as LaTeX, for documents of one column or two: as a float, and its tabular alone for a float of one's own.

Needs the packages booktabs and graphicx, siunitx where numbers are aligned by it, and rotating where a table is too
wide to stand upright.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from benchmark.report.table import DASH, Cell, Column, Row, Table, number, signed

SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "²": r"\textsuperscript{2}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "\N{MINUS SIGN}": r"$-$",
    "\N{EN DASH}": "--",
    "…": r"\dots{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": "``",
    "”": "''",
    '"': "''",
    "|": r"\textbar{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "ß": r"\ss{}",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "°": r"\textsuperscript{$\circ$}",
    "§": r"\textsuperscript{\S}",
    "¶": r"\textsuperscript{\P}",
    "≥": r"$\geq$",
    DASH: "---",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}

FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Shrinks what is wider than the page, and nothing else."""

COLUMN, WIDEST = 60, 140
"""Characters of a line of a table in one of two columns, and of an upright one: a wider one's would be shrunk until
they cannot be read."""
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u030c\u030a\u0327", "`'^~\"vrc", strict=True))
"""What sets them on a Latin letter: grave, acute, circumflex, tilde, diaeresis, caron, ring, cedilla."""
CAPITALS = ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega")
SMALL_ONLY = ("alpha", "beta", "epsilon", "zeta", "eta", "iota", "kappa", "mu", "nu", "rho", "tau", "chi")
"""Greek letters that LaTeX knows; other capitals look like Latin ones."""
GAP, SMALL = 1.5, 0.7
"""Characters between two columns; the width of a small one."""


@dataclass(frozen=True)
class Form:
    """How numbers are set: the packages for it, the type of a column of such texts, and a number, bold or not.

    What follows a number (its error, marks) is set after it in the same column, or where `split` in one of its own.
    """

    packages: str
    column: Callable[[Sequence[str]], str]
    value: Callable[[str, bool], str]
    split: bool = False

    def joined(self, mean: str, rest: str) -> str:
        """A number and what follows it, as they stand in a row."""
        return f"{mean} &{rest}" if self.split else mean + rest


def _in_signs(text: str, bold: bool) -> str:
    set_text = f"$-${text[1:]}" if text.startswith("-") else escape(text)
    return f"\\textbf{{{set_text}}}" if bold else set_text


def _at_the_point(texts: Sequence[str]) -> str:
    """A column of siunitx, as wide as its longest number."""
    parts = [text.lstrip("+-").partition(".") for text in texts if text != DASH]
    whole, decimals = (max((len(part[i]) for part in parts), default=1) for i in (0, 2))
    sign = "-" if any(text[0] in "+-" for text in texts) else ""
    return f"S[table-format={sign}{whole}.{decimals}]"


def _as_number(text: str, bold: bool) -> str:
    if text == DASH:
        return f"{{{escape(text)}}}"
    return f"\\bfseries {text}" if bold else text


PLAIN = Form("booktabs,graphicx", lambda texts: "r", _in_signs)
ALIGNED = Form("booktabs,graphicx,siunitx", _at_the_point, _as_number, split=True)
"""By siunitx, at the decimal point; the document must say SET_UP."""

ROTATING = "rotating"
SET_UP = r"\sisetup{detect-weight=true,text-series-to-math=true,retain-explicit-plus=true}"


def document(inputs: Sequence[str], form: Form = PLAIN) -> str:
    """A whole document that shows the tables in those files."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage[margin=2cm]{geometry}",
        f"\\usepackage{{{form.packages},{ROTATING}}}",
        *((SET_UP,) if form is ALIGNED else ()),
        r"\begin{document}",
        *(f"\\input{{{name}}}" for name in inputs),
        *(() if inputs else ("No tables: there are no records.",)),
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def render(table: Table, folder: str, form: Form = PLAIN) -> str:
    """A floating table, its caption above, as wide as the page at most; labelled "tab:<folder>-<name>".

    One of lines longer than COLUMN goes over both columns where there are two, one longer than WIDEST on its side.
    """
    width = _characters(table)
    kind = "sidewaystable*" if width > WIDEST else "table*" if width > COLUMN else "table"
    lines = [
        *_comments(table, form, f",{ROTATING}" if width > WIDEST else ""),
        f"\\begin{{{kind}}}{'[htbp]' if width <= WIDEST else ''}",
        r"\centering",
        f"\\caption{{{escape(table.caption)}}}",
        f"\\label{{tab:{folder}-{table.name}}}",
        r"\medskip\setlength{\tabcolsep}{4pt}",
        FIT,
        *_tabular(table, form),
        "}",
        f"\\par\\smallskip{{\\footnotesize {escape(' '.join(table.notes))}\\par}}",
        f"\\end{{{kind}}}",
    ]
    return "\n".join(lines) + "\n"


def render_tabular(table: Table, form: Form = PLAIN) -> str:
    """The tabular alone, for a float with a caption of one's own; the notes are comments in it."""
    notes = [f"% {' '.join(note.split())}" for note in table.notes]
    return "\n".join([*_comments(table, form), *notes, *_tabular(table, form)]) + "\n"


def _comments(table: Table, form: Form, more: str = "") -> list[str]:
    """The packages that are needed, `more` among them, and where the numbers come from."""
    needs = f"% Needs \\usepackage{{{form.packages}{more}}}{f' and {SET_UP}' if form is ALIGNED else ''}."
    return [needs, *([f"% {' '.join(table.provenance.split())}"] if table.provenance else [])]


def _tabular(table: Table, form: Form) -> list[str]:
    """Its lines, the last of them ending in a comment sign so that no blank follows."""
    body = [_row(table, row, form) for row in table.rows]
    if table.rows and table.rows[-1].summary:
        body.insert(sum(not row.summary for row in table.rows), r"\midrule")
    return [
        f"\\begin{{tabular}}{{l{_columns(table, form)}}}",
        r"\toprule",
        *_header(table, form),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}%",
    ]


def escape(text: str) -> str:
    """Plain text as LaTeX in ASCII; a character that pdfLaTeX cannot set becomes a question mark."""
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    signs = "".join(SIGNS.get(sign, sign if sign.isascii() else _letter(sign)) for sign in line.replace("--", "-\0-"))
    return signs.replace("\0", "{}")  # which keeps two hyphens from being set as a dash


def _letter(sign: str) -> str:
    """A Latin letter with an accent, or a Greek one."""
    plain, *accents = list(unicodedata.normalize("NFKD", sign))
    if plain.isascii() and len(accents) == 1 and accents[0] in ACCENTS:
        return f"\\{ACCENTS[accents[0]]}{{{plain}}}"
    case, _, name = unicodedata.name(plain, "").lower().replace("lamda", "lambda").partition(" letter ")
    if case == "greek small" and name in CAPITALS + SMALL_ONLY and not accents:
        return f"$\\{name}$"
    return f"$\\{name.capitalize()}$" if case == "greek capital" and name in CAPITALS and not accents else "?"


def _characters(table: Table) -> float:
    """How many, about, a line of the table has, the gaps between columns among them; small ones count less."""
    lines = [[table.corner, *(column.title for column in table.columns)]]
    for row in table.rows:
        cells = zip(table.columns, row.cells, strict=True)
        lines.append([row.title, *(" & ".join(_texts(table, column, cell, PLAIN)) for column, cell in cells)])
    return sum(max(map(_length, column)) + GAP for column in zip(*lines, strict=True))


def _length(text: str) -> float:
    """Of a cell as it is printed."""
    shown, small = re.sub(r"\\[A-Za-z]+|[\\{}$&]", "", text), "".join(re.findall(r"scriptsize([^{}]*)", text))
    return len(shown) - (1 - SMALL) * len(small)


def _columns(table: Table, form: Form) -> str:
    """The type of every column: ours and, where they are there, the paper's and the distance."""
    types, rest = [], r"@{\,}l" if form.split else ""
    for i, column in enumerate(table.columns):
        cells = [row.cells[i] for row in table.rows]
        types.append(form.column([number(cell.mean, column.decimals) for cell in cells]))
        types.append(rest)
        if column.paper:
            types.append(form.column([number(cell.paper, column.decimals) for cell in cells]) + rest)
        if column.distance:
            types.append(form.column([signed(cell.distance) for cell in cells]))
    return "".join(types)


def _header(table: Table, form: Form) -> list[str]:
    """Titles of groups and of columns, and where papers' values stand beside ours a line that tells them apart."""
    wide = 2 if form.split else 1
    spans = [wide * (1 + column.paper) + column.distance for column in table.columns]
    titles = [
        f"\\multicolumn{{{span}}}{{c}}{{{escape(c.title)}}}" for c, span in zip(table.columns, spans, strict=True)
    ]
    lines = [*_groups(table.columns, spans), " & ".join([escape(table.corner), *titles]) + r" \\"]
    if any(column.paper for column in table.columns):
        both = [_heads(column, wide) for column in table.columns]
        lines += [_rules(spans, [column.paper for column in table.columns]), " & ".join(["", *both]) + r" \\"]
    return lines


def _heads(column: Column, wide: int) -> str:
    """What tells our values, the paper's and the distance apart; nothing where ours stand alone."""
    if not column.paper:
        return f"\\multicolumn{{{wide}}}{{c}}{{}}" if wide > 1 else ""
    names = [f"\\multicolumn{{{wide}}}{{c}}{{{name}}}" if wide > 1 else name for name in ("here", "paper")]
    return " & ".join([*names, *["{diff.}"] * column.distance])


def _groups(columns: Sequence[Column], spans: Sequence[int]) -> list[str]:
    """A title over each run of columns of one group; no line where no column has one."""
    if not any(column.group for column in columns):
        return []
    grouped = [(name, [*members]) for name, members in groupby(range(len(spans)), lambda i: columns[i].group)]
    names, widths = [name for name, _ in grouped], [sum(spans[i] for i in members) for _, members in grouped]
    titles = [f"\\multicolumn{{{width}}}{{c}}{{{escape(name)}}}" for name, width in zip(names, widths, strict=True)]
    return [" & ".join(["", *titles]) + r" \\", _rules(widths, [bool(name) for name in names])]


def _rules(widths: Sequence[int], drawn: Iterable[bool]) -> str:
    """A short rule below each of those that are drawn."""
    ends = [1 + total for total in accumulate(widths)]
    spots = [(end - width + 1, end) for end, width, draw in zip(ends, widths, drawn, strict=True) if draw]
    return "".join(f"\\cmidrule(lr){{{first}-{last}}}" for first, last in spots)


def _row(table: Table, row: Row, form: Form) -> str:
    texts = [escape(f"{row.title} {row.mark}".strip())]
    for column, cell in zip(table.columns, row.cells, strict=True):
        texts += _texts(table, column, cell, form)
    return " & ".join(texts) + r" \\"


def _texts(table: Table, column: Column, cell: Cell, form: Form) -> Iterator[str]:
    """A cell's number, the paper's and the distance between them, where the column has them."""
    mean = form.value(number(cell.mean, column.decimals), cell.best)
    rest = _small(cell.spread(column.decimals)) + _small(table.remark(column, cell)) + escape(cell.signs)
    yield form.joined(mean, rest)
    if column.paper:
        paper = form.value(number(cell.paper, column.decimals), False)
        yield form.joined(paper, _small(cell.paper_spread(column.decimals)))
    if column.distance:
        yield form.value(signed(cell.distance), False)


def _small(text: str) -> str:
    """What follows a number; each hyphen is a minus."""
    return f" {{\\scriptsize{escape(text).replace('-', '$-$')}}}" if text else ""
