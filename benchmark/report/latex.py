"""A table as LaTeX: needs the packages booktabs and graphicx, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.table import DASH, Cell, Column, Row, Table, number

__all__ = ["document", "escape", "render"]

SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "²": r"\textsuperscript{2}",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "ö": r"\"{o}",
    DASH: "---",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}

FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Shrinks what is wider than the page, and nothing else."""


def document(inputs: Sequence[str]) -> str:
    """A whole document that shows the tables in those files."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage[margin=2cm]{geometry}",
        r"\usepackage{booktabs,graphicx}",
        r"\begin{document}",
        *(f"\\input{{{name}}}" for name in inputs),
        *(() if inputs else ("No tables: there are no records.",)),
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def render(table: Table, folder: str) -> str:
    """A floating table, its caption above, as wide as the page at most; labelled "tab:<folder>-<name>"."""
    body = [line for row in table.rows for line in ((r"\midrule",) if row.summary else ()) + (_row(table, row),)]
    spans = [2 if column.paper else 1 for column in table.columns]
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        r"\begin{table}[htbp]",
        r"\centering",
        f"\\caption{{{escape(table.caption)}}}",
        f"\\label{{tab:{folder}-{table.name}}}",
        r"\medskip\setlength{\tabcolsep}{4pt}",
        FIT,
        f"\\begin{{tabular}}{{l{'r' * sum(spans)}}}",
        r"\toprule",
        *_header(table, spans),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        f"\\par\\smallskip{{\\footnotesize {escape(' '.join(table.notes))}\\par}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Plain text as LaTeX; a character that pdfLaTeX cannot set becomes a question mark."""
    return "".join(SIGNS.get(sign, sign if sign.isascii() else "?") for sign in " ".join(text.split()))


def _header(table: Table, spans: Sequence[int]) -> list[str]:
    """One line of titles, and where papers' values stand beside ours a second one that tells them apart."""
    titles = [
        f"\\multicolumn{{{span}}}{{c}}{{{escape(c.title)}}}" for c, span in zip(table.columns, spans, strict=True)
    ]
    first = " & ".join([escape(table.corner), *titles]) + r" \\"
    if max(spans, default=1) == 1:
        return [first]
    ends = [1 + sum(spans[: i + 1]) for i in range(len(spans))]
    rules = "".join(
        f"\\cmidrule(lr){{{end - span + 1}-{end}}}" for end, span in zip(ends, spans, strict=True) if span == 2
    )
    return [first, rules, " & ".join(["", *("ours & paper" if span == 2 else "" for span in spans)]) + r" \\"]


def _row(table: Table, row: Row) -> str:
    texts = [escape(f"{row.title} {row.mark}".strip())]
    for column, cell in zip(table.columns, row.cells, strict=True):
        texts += _cell(cell, column, table.num_seeds)
    return " & ".join(texts) + r" \\"


def _cell(cell: Cell, column: Column, num_seeds: int) -> list[str]:
    theirs = _signed(number(cell.paper, column.decimals)) + _error(cell.paper_se, column)
    paper = [theirs] if column.paper else []
    if cell.ours is None:
        return [escape(DASH), *paper]
    mean = _signed(number(cell.ours.mean, column.decimals))
    spread, n = _error(cell.ours.se, column), cell.ours.n
    seeds = f" {{\\scriptsize({n} of {num_seeds})}}" if n != num_seeds else ""
    return [(f"\\textbf{{{mean}}}" if cell.best else mean) + spread + seeds, *paper]


def _error(se: float | None, column: Column) -> str:
    return f" {{\\scriptsize$\\pm$ {number(se, column.decimals)}}}" if se is not None else ""


def _signed(text: str) -> str:
    return f"$-${text[1:]}" if text.startswith("-") else escape(text)
