def as_frame(value):
    """A table from what comes in: a frame, the shards of a mapped subtask, records, or lines of text."""
    if isinstance(value, list) and value and all(isinstance(part, pd.DataFrame) for part in value):
        return pd.concat([part for part in value if len(part)] or value[:1])
    if isinstance(value, str):
        return pd.DataFrame({"text": [line for line in value.splitlines() if line.strip()]})
    return value if isinstance(value, pd.DataFrame) else pd.DataFrame(value)
