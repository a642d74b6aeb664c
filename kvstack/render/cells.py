"""Tables of data for other programs, Markdown and CSV, in which no cell is markup, a formula, or another cell."""

from collections.abc import Iterable, Iterator, Sequence

from kvstack.render.escape import code_span, plain

# What a spreadsheet takes for the beginning of a formula. OWASP, CSV Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of GitHub's Markdown. head: words of our own; cells: data, shown as code."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += (f"| {' | '.join(map(markdown_cell, row))} |" for row in rows)
    return "\n".join(lines)


def markdown_cell(text: str) -> str:
    """Return data as one cell, in which nothing is markup. A bar ends a cell even within code, unless escaped."""
    return code_span(text).replace("|", "\\|") if text else ""


def csv_text(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return CSV (RFC 4180) that no spreadsheet calculates with: what would be a formula begins with an apostrophe."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows(_cells((head, *rows)))
    return out.getvalue()


def _cells(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    for row in rows:
        yield [f"'{plain(cell)}" if cell.startswith(_FORMULA) else plain(cell) for cell in row]
