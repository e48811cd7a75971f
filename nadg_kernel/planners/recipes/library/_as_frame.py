def as_frame(value):
    """A table from what comes in: a frame, the shards of a mapped subtask, a series, records, or lines of text."""
    if isinstance(value, list) and value and all(isinstance(part, pd.DataFrame) for part in value):
        value = pd.concat([part for part in value if len(part)] or value[:1])
    if isinstance(value, pd.Series):
        value = value.to_frame("values" if value.name is None else value.name)
    if isinstance(value, str):
        value = pd.DataFrame({"text": [line for line in value.splitlines() if line.strip()]})
    table = value if isinstance(value, pd.DataFrame) else pd.DataFrame(value)
    return (
        table
        if all(isinstance(name, str) for name in table.columns)
        else table.set_axis(map(str, table.columns), axis=1)
    )
