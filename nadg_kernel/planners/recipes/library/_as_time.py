def as_time(column):
    """A column as UTC times; what is no date becomes missing."""
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.to_datetime(column.astype("string"), errors="coerce", utc=True, format="mixed")
    return pd.to_datetime(column, utc=True)
