"""Writes the made-up reviews that ship as sample data; run as a script it rewrites the file, same seed, same bytes."""

from __future__ import annotations

import csv
import io
import random
from datetime import date, timedelta
from pathlib import Path

TARGET = Path(__file__).parents[2] / "nadg_kernel" / "sample_data" / "reviews.csv"
ROWS = 420
SEED = 20261124
FIELDS = ("product", "date", "rating", "region", "review")

PRODUCTS = {
    # name: (how often people like it, what it is called in a review, parts that are praised or blamed)
    "Aurora Lamp": (0.72, "lamp", ("the light", "the dimmer", "the base", "the cable")),
    "Trail Backpack": (0.66, "backpack", ("the straps", "the zip", "the rain cover", "the side pocket")),
    "Pulse Headphones": (0.45, "headset", ("the sound", "the battery", "the left ear cup", "the microphone")),
    "Nimbus Kettle": (0.58, "kettle", ("the lid", "the handle", "the switch", "the spout")),
    "Flex Yoga Mat": (0.8, "mat", ("the grip", "the surface", "the carry strap", "the padding")),
    "Orbit Speaker": (0.38, "speaker", ("the bass", "the pairing", "the volume dial", "the charging port")),
    "Terra Boots": (0.6, "pair of boots", ("the soles", "the laces", "the lining", "the fit")),
    "Quill Notebook": (0.85, "notebook", ("the paper", "the binding", "the cover", "the ruling")),
}
REGIONS = {"North": 0.05, "South": -0.1, "East": 0.0, "West": 0.03, "Central": -0.04}

PRAISE = (
    "{part} is excellent",
    "{part} feels solid and well made",
    "{part} is far better than I expected",
    "I really like {part}",
    "{part} works beautifully every single day",
    "{part} could hardly be better",
    "I never had a problem with {part}",
    "{part} is simply lovely",
    "{part} has impressed everyone in my family",
    "there is nothing wrong with {part}",
)
BLAME = (
    "{part} broke after {n} weeks",
    "{part} is a disappointment",
    "{part} feels cheap and flimsy",
    "I am not happy with {part}",
    "{part} stopped working within {n} days",
    "{part} is not nearly as good as advertised",
    "{part} is terrible",
    "I can't recommend {part} to anyone",
    "{part} annoys me more than I care to admit",
    "nobody in support could fix {part}",
)
PLAIN = (
    "{part} does what it should",
    "{part} looks the way it does in the pictures",
    "{part} is neither here nor there",
    "I have had {part} in use for {n} weeks",
    "{part} came in a plain box",
    "{part} is about the same as on my old one",
)
GOOD_STARTS = (
    "I bought this {thing} for my {who} and it is a hit.",
    "Great {thing}!",
    "What a wonderful {thing}.",
    "Best {thing} I have owned so far.",
    "After {n} months I still enjoy this {thing}.",
    "I was sceptical at first, but this {thing} won me over.",
    "Delivery took {n} days and the {thing} arrived in perfect shape.",
    "",
    "",
)
BAD_STARTS = (
    "I wanted to like this {thing}, I really did.",
    "Save your money.",
    "This {thing} is a waste of money.",
    "Sadly this {thing} let me down.",
    "My {who} sent this {thing} back after {n} days.",
    "It took {n} weeks to arrive and the box was damaged.",
    "Awful experience from start to finish.",
    "",
    "",
)
PLAIN_STARTS = (
    "Ordered this {thing} in {month}.",
    "It is a {thing}.",
    "My {who} uses this {thing} on weekdays.",
    "Second {thing} from this brand.",
    "",
)
GOOD_ENDS = (
    "Highly recommended!",
    "I would buy it again without thinking twice.",
    "Worth every cent.",
    "Thank you, this made my {who} very happy.",
    "No complaints at all.",
    "Five stars from me.",
    "",
    "",
)
BAD_ENDS = (
    "I want my money back.",
    "Never again.",
    "Avoid it.",
    "Customer service was rude and no help at all.",
    "I would not buy it again.",
    "The worst purchase of the year.",
    "",
    "",
)
PLAIN_ENDS = (
    "We will see how long it lasts.",
    "That is all there is to say.",
    "It is used about {n} times a month.",
    "",
    "",
)
MIXED = (
    "{good}, but {bad}.",
    "{bad}, although {good}.",
    "On the one hand {good}; on the other hand {bad}.",
    "{good}. Still, {bad}.",
    "Not bad: {good}. It is a pity that {bad}.",
)
SHORT = {
    "good": (
        "Love it.",
        "Perfect.",
        "Really good, thanks!",
        "Not bad at all!",
        "Super happy :)",
        "Can't complain.",
        "Brilliant {thing}.",
        "Exactly what I hoped for, great.",
        "My {who} loves it!",
    ),
    "bad": (
        "Hate it.",
        "Broken on arrival.",
        "Not good.",
        "Useless {thing}.",
        "Very disappointed :(",
        "Not worth the money.",
        "Horrible smell, returned it.",
        "Doesn't work, bad quality.",
    ),
    "plain": (
        "It's a {thing}.",
        "As described.",
        "Arrived on a {day}.",
        "Same as the old one.",
        "Used it {n} times so far.",
    ),
}
WHO = ("sister", "father", "neighbour", "daughter", "partner", "colleague", "grandmother", "son", "flatmate")
MONTHS = ("January", "March", "May", "July", "September", "November")
DAYS = ("Monday", "Tuesday", "Thursday", "Saturday")
STARS = {"good": (5, 5, 5, 4, 4), "bad": (1, 1, 2, 2), "plain": (3, 3, 4), "mixed": (2, 3, 3, 4)}


def write(seed: int = SEED, rows: int = ROWS) -> str:
    """Return the whole CSV: a header and `rows` reviews, `date` as ISO days of 2025, `rating` 1 to 5."""
    rng = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    seen: set[str] = set()
    while len(seen) < rows:
        product = rng.choice(list(PRODUCTS))
        region = rng.choices(list(REGIONS), weights=(5, 4, 3, 4, 2))[0]
        day = date(2025, 1, 1) + timedelta(days=rng.randrange(365))
        liking = PRODUCTS[product][0] + REGIONS[region] + (0.08 if day.month > 8 else 0)
        tone = _tone(rng, liking)
        text = _review(rng, product, tone)
        if text in seen:
            continue
        seen.add(text)
        writer.writerow((product, day.isoformat(), rng.choice(STARS[tone]), region, text))
    return out.getvalue()


def _tone(rng: random.Random, liking: float) -> str:
    roll = rng.random()
    if roll < 0.14:
        return "mixed"
    if roll < 0.26:
        return "plain"
    return "good" if rng.random() < liking else "bad"


def _review(rng: random.Random, product: str, tone: str) -> str:
    _, thing, parts = PRODUCTS[product]
    words = {"thing": thing, "who": rng.choice(WHO), "month": rng.choice(MONTHS), "day": rng.choice(DAYS)}

    def fill(text: str) -> str:
        return text.format(**words, n=rng.randint(2, 11)) if text else ""

    if tone != "mixed" and rng.random() < 0.16:
        return fill(rng.choice(SHORT[tone]))
    chosen = rng.sample(parts, k=3)
    if tone == "mixed":
        good, bad = (_claim(rng, bank, part) for bank, part in zip((PRAISE, BLAME), chosen, strict=False))
        return " ".join(
            filter(None, (fill(rng.choice(PLAIN_STARTS)), _sentence(rng.choice(MIXED).format(good=good, bad=bad))))
        )
    starts, bank, ends = {
        "good": (GOOD_STARTS, PRAISE, GOOD_ENDS),
        "bad": (BAD_STARTS, BLAME, BAD_ENDS),
        "plain": (PLAIN_STARTS, PLAIN, PLAIN_ENDS),
    }[tone]
    count = rng.choice((1, 1, 2, 2, 3))
    claims = [_claim(rng, (said,), part) for said, part in zip(rng.sample(bank, k=count), chosen, strict=False)]
    together = count == 2 and rng.random() < 0.5
    body = _sentence(" and ".join(claims) + ".") if together else " ".join(_sentence(f"{claim}.") for claim in claims)
    return " ".join(filter(None, (fill(rng.choice(starts)), body, fill(rng.choice(ends)))))


def _claim(rng: random.Random, bank: tuple[str, ...], part: str) -> str:
    text = rng.choice(bank).format(part=part, n=rng.randint(2, 9))
    if part in {"the straps", "the soles", "the laces"}:
        for singular, plural in (
            (" is ", " are "),
            (" feels ", " feel "),
            (" works ", " work "),
            (" has ", " have "),
            (" does ", " do "),
            (" looks ", " look "),
            (" annoys ", " annoy "),
        ):
            text = text.replace(f"{part}{singular}", f"{part}{plural}")
        text = text.replace("what it should", "what they should").replace("the way it does", "the way they do")
        text = text.replace("are a disappointment", "are disappointing")
    return text


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    TARGET.write_text(write(), encoding="utf-8")
    print(f"{TARGET}: {ROWS} reviews")
