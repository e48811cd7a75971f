"""The panel in a real JupyterLab: how long until a key is painted, an edit is answered, and a long plan is shown."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.report import Row, at_most, run
from tests.browser.lab import Lab, Person, chromium, open_browser

SUBTASKS, MANY = 200, 5_000
KEYS, EDITS, SHOWS = 120, 40, 5
QUICK_KEYS, QUICK_EDITS, QUICK_SHOWS = 20, 5, 1
KEY_MS = 50
"""Between two keys: a quick typist."""
OPEN = """\
import time
from nadg_kernel import Grid
from nadg_kernel.model import Plan, Subtask
from nadg_kernel.panel import actions
grid = Grid(local_workers=0, home={home!r})
panel = grid.panel()

def made(count, mark):
    code = "import math\\nimport statistics\\n\\nnumbers = [{{0}}, 2, 3]\\n"
    code += "result = math.sqrt(statistics.fmean(numbers))\\n"
    subtasks = tuple(
        Subtask(
            id=f"s{{n}}", title=f"Subtask {{n}} {{mark}}", instruction="The root of the mean.", code=code.format(n),
            depends_on=(f"s{{n - 7}}",) if n >= 7 else (),
        )
        for n in range(count)
    )
    plan = Plan(command=f"Show {{count}} subtasks {{mark}}", subtasks=subtasks, draft=subtasks)
    began = time.perf_counter()
    plan.problems  # as a planner's draft is when it arrives
    print("checked", time.perf_counter() - began)
    return plan

def show(plan):
    began = time.time()
    panel._controller.send(actions.Opened(plan=plan))
    print("shown", began)

panel
"""
WATCH_ROWS = """([count, mark]) => new Promise((resolve) => {
  const there = () => [...document.querySelectorAll(".nadg-row")].some(
    (row) => row.getAttribute("aria-setsize") === String(count) && row.textContent.includes(mark));
  const painted = () => setTimeout(() => resolve(Date.now()));
  const look = () => requestAnimationFrame(there() ? painted : look);
  look();
})"""
WATCH_KEYS = """() => {
  window.painted = [];
  document.querySelector(".nadg-area").addEventListener("keydown", (event) => {
    const began = event.timeStamp;
    const after = new MessageChannel(); // its message comes when the frame is drawn
    after.port1.onmessage = () => window.painted.push(performance.now() - began);
    requestAnimationFrame(() => after.port2.postMessage(0));
  }, true);
}"""
WATCH_EDITS = """() => {
  window.answered = [];
  const fields = [...document.querySelectorAll(".nadg-editor .nadg-field")];
  const field = fields.find((node) => node.textContent.startsWith("Timeout"));
  let began = null;
  const pressed = (event) => { if (event.key === "Enter") began = event.timeStamp; };
  field.querySelector("input").addEventListener("keydown", pressed, true);
  new MutationObserver(() => {
    if (began === null || field.classList.contains("nadg-sending")) return;
    const from = began;
    began = null;
    requestAnimationFrame(() => window.answered.push(performance.now() - from));
  }).observe(field, { attributes: true, attributeFilter: ["class"] });
}"""


class Desk:
    """A person at the panel, and cells to give it plans."""

    def __init__(self, person: Person, home: Path, shows: int) -> None:
        """Open the notebook and wait for the panel."""
        self.person, self.page = person, person.page
        cells = [OPEN.format(home=str(home)), f'show(made({SUBTASKS}, "first"))']
        cells += [f'plan = made({MANY}, "round{n}")' for n in range(shows)]
        self._cells = len(cells)
        cells += ["show(plan)"]
        person.open(person.lab.notebook(*cells))
        person.run_cell(0)
        person.panel()
        person.idle()

    def printed(self, cell: int, word: str) -> float:
        """The number that a cell printed behind a word."""
        line = self.person.output(cell).get_by_text(word)
        line.first.wait_for()
        return float(line.first.inner_text().split(f"{word} ")[-1].split()[0])

    def keys(self, count: int) -> list[float]:
        """Milliseconds from key to paint, of each key typed into the code."""
        self.page.locator(".nadg-area").click()
        self.page.keyboard.press("Control+Home")
        self.page.evaluate(WATCH_KEYS)
        self.page.keyboard.type(("# quick words " * count)[:count], delay=KEY_MS)
        self.page.wait_for_function("(n) => window.painted.length >= n", arg=count)
        return list(self.page.evaluate("window.painted"))

    def edits(self, count: int) -> list[float]:
        """Milliseconds from Enter in a field to its answer on the screen."""
        field = self.page.locator(".nadg-editor").get_by_label("Timeout (s)")
        self.page.evaluate(WATCH_EDITS)
        for number in range(count):
            field.fill(str(61 + number))
            field.press("Enter")
            self.page.wait_for_function("(n) => window.answered.length > n", arg=number)
        return list(self.page.evaluate("window.answered"))

    def shows(self, count: int) -> tuple[list[float], list[float]]:
        """Milliseconds from the plan in the kernel to rows on the screen; seconds that checking it took."""
        shown, checked = [], []
        for number in range(count):
            cell = 2 + number
            self.person.run_cell(cell)
            checked.append(self.printed(cell, "checked"))
            self.person.idle()
            self.page.evaluate("window.there = undefined")
            self.page.evaluate(f"void ({WATCH_ROWS})([{MANY}, 'round{number}']).then((at) => {{ window.there = at; }})")
            self.person.run_cell(self._cells)
            self.page.wait_for_function("window.there")
            self.person.idle()
            shown.append(self.page.evaluate("window.there") - self.printed(self._cells, "shown") * 1000)
        return shown, checked


def measured(keys: int, edits: int, shows: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """All that is measured, in one browser."""
    if chromium() is None:
        message = "there is no Chromium: apt-get install chromium"
        raise RuntimeError(message)
    with tempfile.TemporaryDirectory(prefix="nadg-bench-") as place:
        lab = Lab(Path(place) / "lab")
        try:
            lab.start()
            with open_browser() as browser:
                page = browser.new_page(viewport={"width": 1300, "height": 1400})
                page.set_default_timeout(120_000)
                desk = Desk(Person(lab, page), Path(place) / "home", shows)
                desk.person.run_cell(1)
                page.locator(f".nadg-row[aria-setsize='{SUBTASKS}']").first.wait_for()
                page.locator(".nadg-sum", has_text="time").wait_for()  # all is loaded that an edit needs
                desk.person.idle()
                return desk.keys(keys), desk.edits(edits), *desk.shows(shows)
        finally:
            lab.stop()


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """All three bars."""
    keys, edits, shows, checks = measured(
        QUICK_KEYS if quick else KEYS, QUICK_EDITS if quick else EDITS, QUICK_SHOWS if quick else SHOWS
    )
    return [
        Row(
            what=f"key to paint in the code, {SUBTASKS} subtasks, p95", measured=_p95(keys), unit="ms",
            bar=at_most(50, "ms"), note=f"median {statistics.median(keys):.0f} ms, {len(keys)} keys, headless",
        ),
        Row(
            what=f"edit answered and drawn, {SUBTASKS} subtasks, p95", measured=_p95(edits), unit="ms",
            bar=at_most(200, "ms"), note=f"median {statistics.median(edits):.0f} ms, {len(edits)} edits, each saved",
        ),
        Row(
            what=f"a plan of {MANY:,} subtasks shown, median", measured=statistics.median(shows) / 1000, unit="s",
            bar=at_most(1, "s"), note=f"slowest {max(shows) / 1000:.2f} s; from the kernel to painted rows",
        ),
        Row(what="checking it before, median", measured=statistics.median(checks), unit="s", note="once per code"),
    ]  # fmt: skip


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
