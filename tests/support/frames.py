"""A frame that has to arrive exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd


def large_frame(rows=200_000):
    """Every dtype that has to arrive, over a MultiIndex."""
    rng = np.random.default_rng(7)
    gaps = rng.random(rows) < 0.1
    whole = pd.array(rng.integers(-(2**62), 2**62, rows), dtype="Int64")
    whole[gaps] = pd.NA
    small = pd.array(rng.integers(0, 255, rows), dtype="UInt8")
    small[gaps] = pd.NA
    days = pd.Timestamp("2026-01-01", tz="Europe/Berlin") + pd.to_timedelta(rng.integers(0, 10**7, rows), unit="s")
    flags = pd.array(rng.random(rows) < 0.5, dtype="boolean")
    flags[gaps] = pd.NA
    frame = pd.DataFrame(
        {
            "whole": whole,
            "small": small,
            "flag": flags,
            "real": np.where(gaps, np.nan, rng.random(rows)),
            "when": pd.Series(days).where(~gaps),
            "took": pd.Series(pd.to_timedelta(rng.integers(0, 10**12, rows), unit="us")).where(~gaps),
            "size": pd.Categorical(
                rng.choice(["low", "mid", "high"], rows), categories=["low", "mid", "high", "never"], ordered=True
            ),
            "raw": pd.Series([bytes([n % 256, 0, 255]) for n in range(rows)], dtype=object).where(~gaps, None),
            "month": pd.Series(pd.PeriodIndex.from_ordinals(rng.integers(500, 700, rows), freq="M")).where(~gaps),
            "words": pd.Series([f"review {n} is fine — ünïcode" for n in range(rows)]).where(~gaps),
        }
    )
    frame.index = pd.MultiIndex.from_arrays(
        [pd.Index(rng.choice(["north", "south"], rows)), pd.date_range("2026", periods=rows, freq="min", tz="UTC")],
        names=["region", None],
    )
    return frame
