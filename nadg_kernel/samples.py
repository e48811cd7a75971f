"""Sample data that ships with the package, so that a notebook works before a person has data of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def sample_reviews_path() -> Path:
    """The CSV file of the made-up reviews (its README says what is in it)."""
    return Path(__file__).parent / "sample_data" / "reviews.csv"


def sample_reviews() -> pd.DataFrame:
    """420 made-up product reviews, one per row: product, date (datetime64), rating (int, 1 to 5), region, review."""
    import pandas as pd

    return pd.read_csv(sample_reviews_path(), parse_dates=["date"], encoding="utf-8")
