class Markdown(str):
    """Text that a notebook renders."""

    __slots__ = ()

    def _repr_markdown_(self):
        return str(self)


def cell(value):
    """One cell of a Markdown table."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = " ".join(str(value).split())
    for mark in "\\|<>*_`[]#~$":
        text = text.replace(mark, "\\" + mark)
    return text if len(text) <= 200 else text[:199] + "…"


def as_table(frame):
    """A Markdown table of a frame's columns."""
    lines = ["| " + " | ".join(cell(name) for name in frame.columns) + " |", "|" + " --- |" * len(frame.columns)]
    lines += [
        "| " + " | ".join(cell(value) for value in row) + " |" for row in frame.astype(object).to_numpy().tolist()
    ]
    return "\n".join(lines)
