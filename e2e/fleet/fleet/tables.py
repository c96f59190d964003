"""Tables of what was measured, as Markdown that is readable as it is."""


def markdown(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    rows = [heads, *rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    lines = ["| " + " | ".join(word.ljust(width) for word, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
