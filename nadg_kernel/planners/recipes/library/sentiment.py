# /// recipe
# name = "sentiment"
# title = "Sentiment of {TEXT}"
# summary = "Scores each row's text with the VADER lexicon; adds sentiment_score (-1 to 1) and sentiment (a label)."
# stage = "rows"
# words = [
#   "sentiment", "sentiment analysis", "polarity", "mood", "emotion", "emotional tone", "opinion mining",
#   "opinion", "tone of", "how happy", "how satisfied", "how unhappy", "how angry", "positive or negative",
#   "positive and negative", "positive vs negative", "negative or positive", "positivity", "feeling",
#   "how customers feel", "how people feel", "how they feel", "feel about", "think of", "think about",
#   "happy or unhappy", "happy or angry", "love or hate", "like or dislike", "good or bad", "bad or good",
#   "most negative", "most positive", "is positive", "is negative", "are positive", "are negative",
#   "complain", "complaint", "complaining", "angry or happy"
# ]
# columns = { TEXT = "text" }
# adds = { sentiment_score = "float64", sentiment = "str" }
# map_rows = 100
# ///
import pandas as pd
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

TEXT = "review"  # the column with the text
POSITIVE, NEGATIVE = 0.05, -0.05  # thresholds of VADER's authors for its compound score


# include: as_frame


def label(score):
    return "positive" if score >= POSITIVE else "negative" if score <= NEGATIVE else "neutral"


frame = as_frame(inputs["SOURCE"])
texts = frame[TEXT].astype("string").fillna("").tolist()
analyzer = SentimentIntensityAnalyzer()
scores = []
for number, text in enumerate(texts, 1):
    scores.append(analyzer.polarity_scores(text)["compound"])
    if number % 200 == 0 or number == len(texts):
        progress(number / len(texts), f"{number:,} of {len(texts):,} rows")

result = frame.assign(
    sentiment_score=pd.Series(scores, index=frame.index, dtype="float64"),
    sentiment=pd.Series([label(score) for score in scores], index=frame.index, dtype="str"),
)
