# /// recipe
# name = "statistics"
# title = "Summary statistics"
# summary = "Count, missing, mean, standard deviation, minimum, quartiles and maximum of each numeric column."
# stage = "summary"
# words = ["summary statistics", "descriptive statistics", "basic statistics", "statistics", "stats",
#          "statistical summary", "describe", "mean and median", "standard deviation", "quartile",
#          "five number summary", "mean and standard deviation"]
# columns = { NUMBERS = "number+" }
# keeps = []
# [adds]
# column = "str"
# count = "int64"
# missing = "int64"
# mean = "float64"
# std = "float64"
# min = "float64"
# median = "float64"
# max = "float64"
# ///
import pandas as pd

NUMBERS = ["rating"]  # the numeric columns


# include: as_frame


frame = as_frame(inputs["SOURCE"])
numbers = frame[NUMBERS].apply(pd.to_numeric, errors="coerce").astype("float64")
result = pd.DataFrame(
    {
        "column": NUMBERS,
        "count": [int(numbers[name].count()) for name in NUMBERS],
        "missing": [int(numbers[name].isna().sum()) for name in NUMBERS],
        "mean": [numbers[name].mean() for name in NUMBERS],
        "std": [numbers[name].std() for name in NUMBERS],
        "min": [numbers[name].min() for name in NUMBERS],
        "q25": [numbers[name].quantile(0.25) for name in NUMBERS],
        "median": [numbers[name].median() for name in NUMBERS],
        "q75": [numbers[name].quantile(0.75) for name in NUMBERS],
        "max": [numbers[name].max() for name in NUMBERS],
    }
)
display(result)
