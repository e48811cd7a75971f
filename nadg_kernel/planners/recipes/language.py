"""The English that commands are written in: verbs, stop words, and the turns of phrase that link and negate."""

from __future__ import annotations

import re


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _any(text: str) -> str:
    """A pattern for any of the phrases, one per line or separated by ` | `; each is a pattern of its own."""
    parts = [part.strip() for line in text.strip().splitlines() for part in line.split(" | ")]
    return "(?:" + "|".join(part for part in parts if part) + ")"


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


VERBS = _set("""
    add aggregate analyse analyze anonymize answer apply assess average book break build buy calculate call chart check
    classify clean cluster collect combine compare compile compute convert cook copy correlate count crawl create cut
    deduplicate delete deploy derive describe design detect determine discover display download draft draw drop email
    encrypt enrich estimate evaluate examine explain explore export extract fetch figure fill filter find fit fix flag
    forecast format generate get give group histogram identify import impute inspect investigate join label list load
    look make map mark measure merge model move normalize open optimise optimize order organize perform pivot place play
    plot post predict prepare present print produce profile provide publish pull put rank rate read recommend remove
    rename replace report resample restart rotate run sample save schedule score scrape search segment send show
    simulate
    sort split stack standardize store study suggest sum summarise summarize tabulate tag tell test total track
    train transcribe transform translate tune turn understand update upload use validate visualise visualize write
""")
"""Words that begin a job when a clause begins with them."""

OTHER_WORK = _set("""
    anonymize book buy call classify clean cluster cook copy crawl deduplicate delete deploy download drop email encrypt
    remove rename sort split
    export fill filter forecast import impute label move open optimise optimize order play post predict publish
    recommend remove restart rotate schedule scrape search send train transcribe transform translate tune update upload
""")
"""Verbs of work that no recipe does, whatever else the clause mentions."""

STOPWORDS = _set("""
    a about all also an and any are as at based be been by can could did do does down each every for from had has have
    here her his how i if in into is it its just many me more most much my new no not of on only or our out over own per
    please same should so some such that the their them then there these they this those to up us use using very was we
    were what when which who will with would you your
""")

GENERIC = _set("""
    attached brief column complete content csv customer data dataset detail detailed entire file following frame given
    information me number nice
    people please quick quickly record row sale short simple spreadsheet support table thing thorough user value whole
""")
"""Words that say nothing about which work is meant."""

IDLE = _set("""
    across analysis another attention available based carefully different each finding full good great job kind less
    little long lot many much next output overall pair part possible result set several simple single size so sort
    than then time title together total type various version very via way well
""")
"""Words that nothing is lost with."""
PREPARE = _set("fetch get import load look open read take use")
"""Verbs that only name the data, where nothing else is said: attached data is there already."""

CHANGES_ROWS = _set("""
    anonymize clean classify convert deduplicate drop fill filter impute label normalize remove rename replace sort
    standardize tag transform translate
""")
"""Verbs of work that gives the table again, changed: what comes later reads that."""

AGGREGATES = _set("average count max maximum mean median min minimum sum total")
"""Words that need a column after them."""

GERUNDS = {verb + "ing": verb for verb in VERBS} | {
    (verb[:-1] if verb.endswith("e") else verb + verb[-1]) + "ing": verb for verb in VERBS
}

_DONT = "(?:do(?:es)? not|don't|doesn't|never)"
_RESULTS = "(?:the|this|that|its|their|your|these|those) (?:result | output | outcome | score | finding)s?".replace(
    " | ", "|"
)
_IT = f"(?:it|them|that|this|those|these|{_RESULTS})"
_DONE = "(?:once|when) (?:that|this|it)(?: is|'s) done"
_THEN = _any(f"""
    then | after that | after this | afterwards | thereafter | subsequently | followed by | finally | lastly | next
    {_DONE}
""")

FILLER = _compile(
    "^(?:"
    + _any(f"""
    and | but | or | plus | please | also
    first(?:ly)? | second(?:ly)? | third(?:ly)? | finally | lastly | next | just | simply | kindly
    so | now | ok | okay | hi | hello | hey
    i(?:'d| would) like (?:you )?to | (?:i|we) (?:want|need)(?: you)? to | (?:i|we) (?:want|need)
    (?:can|could|would|will) you(?: please)? | you (?:should|must|can) | let'?s | let us | help me(?: to)?
    before that | beforehand | do (?:everything|all|the following|all of (?:this|the following)) | everything
    be sure to | make sure (?:to|you) | {_DONT} (?:forget|fail|hesitate)(?: to)? | {_DONT} (?:skip|omit|leave out)
    """)
    + r"\b[\s,:]*)+"
)
"""Politeness and order words at the start, and negated negations ("do not forget to")."""

LIST_MARK = _compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")
SENTENCE_END = _compile(r"[.!?]+(?=\s|$)|;+|:(?=\s)")
SEPARATOR = _compile(
    r"\s*,(?!\d{3}(?!\d))\s*|\s+(?:-|->|=>)\s+|\s+"
    + _any("""
    and | & | but | plus | then | as well as | along with | together with | followed by | after that | after this
    afterwards | thereafter | subsequently | finally | lastly
    """)
    + r"(?=\s|$)"
)
FOLLOWS = _compile(rf"\b{_THEN}\b|[-=]>")
STARTS_FOLLOWING = _compile(rf"^\s*(?:and\s+)?{_THEN}\b[\s,]*")
REFERS = _compile(
    r"\b"
    + _any(f"""
    (?:from|of|on|for|about|with|using|to|out of) {_IT} | based on {_IT}
    (?:plot|chart|visuali[sz]e|summari[sz]e|graph|draw|show|present|group|aggregate|average|rank|sort|count) {_IT}
    (?:save|send|email|export|upload|store|publish|clean|print|translate|convert|share|post|format|filter) {_IT}
    """)
    + r"\b"
)
POINTS = _compile(rf"^(?:from|of|on|with|using|out of|based on) {_IT}$")
"""Only points back: "from it, make a report"."""
NEGATION = _compile(
    r"\b"
    + _any(f"""
    {_DONT} | without | no | not | skip(?:ping)? | omit(?:ting)? | leav(?:e|ing) out | exclud(?:e|es|ing)
    except(?: for)? | instead of | rather than | avoid(?:ing)? | no need (?:for|to) | neither | nor | minus
    """)
    + r"\b"
)
NO_NEGATION = _compile(
    r"\b"
    + _any(f"""
    not only | not just | not yet | if not | whether or not | or not | no matter | no more than | not more than
    {_DONT} (?:like|mention|work|have|know|contain|answer)
    without (?:leaving|sending|waiting|missing|null|nan|empty)
    """)
    + r"\b"
)
POSITIVE_START = _compile(r"^\s*(?:but|just|only|instead)\b|\bonly\W*$")
POSITIVE_INSIDE = _compile(r"\b(?:but|just|only|instead|when|while)\b(?! of)")
NO_ANSWER = _compile(r"([^.?!\n]{1,120})\?\s*(?:no|nope|never|not needed)\b[.!,]?")
YES_ANSWER = _compile(r"([^.?!\n]{1,120})\?\s*(?:yes|yep|sure|please|of course)\b[.!,]?")
"""A person who asks and answers: "Charts? No. Report? Yes."."""
HELP = _compile(r"^\W*(?:help(?: me)?|what can (?:you|i|this) do|what do you do|usage|\?+)\W*$")
BACKGROUND = _compile(
    r"^(?:i|we|you|they|he|she|it|this|that|these|those|there|the|our|my|here|each|every|all|some|data|attached)\b"
    r"(?=.*\b(?:is|are|was|were|has|have|had|holds?|contains?|comes?|came|includes?|got|gave|belongs?|attached)\b)"
)
COURTESY = _compile(
    "^"
    + _any(r"""
    thanks? | thank you | thx | cheers | hello | hi | hey | dear \w+ | good (?:morning|day|evening) | please | ok | okay
    best | regards | sincerely
    """)
    + r"\b[^a-z]*(?:\w+[^a-z]*)?$"
)
_ONCE = "(?:after|once you(?:'ve| have)?|when you(?:'ve| have)?)"
AFTER_FIRST = _compile(rf"^\s*{_ONCE}\s+(\w+(?:ing|ed)\b.+)$")
AFTER_LATER = _compile(rf"^(.+?)\s+{_ONCE}\s+(\w+(?:ing|ed)\b.*)$")
BEFORE = _compile(r"^(.+?)\s+before\s+((\w+ing)\b.*)$")
CONDITION = _compile(
    r"\b"
    + _any("""
    where | whose | who | only (?:for|those|if) | excluding | except | without | since | between \\S*\\d | older than
    (?:negative|positive|bad|good|angry|happy) (?:review|comment|message|ticket|row|rating|answer|post)s?
    with (?:an? )?(?:high|low|good|bad|poor|negative|positive|few|many|\\d)
    newer than | less than | more than | greater than | at least | at most | above | below
    (?:in|of|from|for) the (?:last|past|previous) | (?:in|since|from|for|of) (?:19|20)\\d\\d
    """)
    + r"\b.*"
)
"""What sounds like a filter; recipes take all rows and say so."""

BY = _compile(r"\b(?:by|per|for each|for every|in each|across|between)\s+(?:the\s+|each\s+|every\s+)?([a-z_][\w ]*)")
RANKED = _compile(r"\b(?:top|first|best|worst|bottom|last|highest|lowest|largest|smallest)\s+(\d+|\w+)\b")
NUMERALS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
    "twenty": 20,
    "fifty": 50,
    "hundred": 100,
}
