# /// recipe
# name = "word_frequencies"
# title = "Most frequent words of {TEXT}"
# summary = "Counts the words of a text column; common words are left out."
# stage = "table"
# words = [
#   "word frequency", "frequency of word", "word count", "count word", "count the word", "frequent word",
#   "common word", "top word", "keyword", "word cloud", "term frequency", "most used word", "which word",
#   "vocabulary", "top * word", "count * word"
# ]
# columns = { TEXT = "text" }
# counts = ["TOP"]
# keeps = []
# adds = { word = "str", count = "int64", rows = "int64" }
# ///
import re
from collections import Counter

import pandas as pd

TEXT = "review"  # the column with the text
TOP = 30  # how many words to keep
SHORTEST = 2  # letters of a word that counts
COMMON = (
    "a about after all also am an and any are as at be because been but by can could did do does for from get "
    "got had has have he her his how i if in into is it its just me more most my no not of on one only or our "
    "out over she so some than that the their them then there these they this to too up us very was we were "
    "what when which who will with would you your "
)  # words that say little


# include: as_frame


common = set(COMMON.split())
counts, rows = Counter(), Counter()
texts = as_frame(inputs["SOURCE"])[TEXT].astype("string").fillna("").tolist()
for number, text in enumerate(texts, 1):
    found = [word.strip("'") for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.lower().replace("\u2019", "'"))]
    found = [word for word in found if len(word) >= SHORTEST and word not in common]
    counts.update(found)
    rows.update(set(found))
    if number % 1000 == 0:
        progress(number / len(texts), f"{number:,} of {len(texts):,} rows")

ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
result = pd.DataFrame(
    {
        "word": pd.Series([word for word, _ in ranked], dtype="str"),
        "count": pd.Series([count for _, count in ranked], dtype="int64"),
        "rows": pd.Series([rows[word] for word, _ in ranked], dtype="int64"),
    }
)
display(result)
