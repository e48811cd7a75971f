"""Random plans, machines and happenings for the simulator, small enough for hypothesis to shrink."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.simulator.world import Machine
from tests.support.scheduling import subtask

MOST = 200


@st.composite
def plans(draw, most=MOST):
    """Up to `most` subtasks in layers of any shape, some mapped, some labelled, some held."""
    size = draw(st.integers(1, most))
    seed = draw(st.randoms(use_true_random=False))
    density = draw(st.sampled_from([0, 1, 2, 5]))
    out = []
    for number in range(size):
        needs = tuple(f"s{n}" for n in sorted(seed.sample(range(number), min(number, seed.randint(0, density)))))
        given = {"priority": seed.choice([0, 0, 0, 5]), "retries": seed.choice([0, 0, 1])}
        if needs and seed.random() < 0.15:
            given["over"] = needs[0]
        if seed.random() < 0.1:
            given["labels"] = ("gpu",)
        if seed.random() < 0.03:
            given["hold"] = True
        out.append(subtask(f"s{number}", *needs, **given))
    return out


@st.composite
def machines(draw):
    """One to eight workers; the first is well and offers every label, so that every plan can end."""
    lost = draw(st.sampled_from([0.0, 0.05]))
    first = Machine(name="w0", capacity=draw(st.integers(1, 4)), labels=("gpu",), lost=lost)
    others = [
        Machine(
            name=f"w{number + 1}",
            capacity=draw(st.integers(1, 4)),
            labels=draw(st.sampled_from([(), ("gpu",)])),
            speed=draw(st.sampled_from([0.2, 1.0, 5.0])),
            latency_s=draw(st.sampled_from([0.0, 0.05, 1.0])),
            lost=draw(st.sampled_from([0.0, 0.1, 1.0])),
            rejected=draw(st.sampled_from([0.0, 0.1, 1.0])),
            full=draw(st.sampled_from([0.0, 0.2])),
            asleep_until=draw(st.sampled_from([0.0, 0.0, 5.0, 50.0])),
            crashes=tuple(draw(st.lists(st.sampled_from([0.5, 1.0, 3.0, 10.0, 30.0]), max_size=3))),
            down_s=draw(st.sampled_from([0.1, 2.0, 20.0])),
        )
        for number in range(draw(st.integers(0, 7)))
    ]
    return [first, *others]


happenings = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5, 7.0, 20.0]),
        st.sampled_from(["hold", "release", "cancel", "skip", "rerun", "hold all", "release all", "die", "resume"]),
        st.integers(0, MOST - 1),
    ),
    max_size=8,
)


def schedule(world, happened, size):
    """Let the happenings happen in a world; at last everything held is released."""
    actions = {
        "hold": lambda name: world.hold(name, on=True),
        "release": lambda name: world.hold(name, on=False),
        "cancel": world.cancel,
        "skip": world.skip,
        "rerun": world.rerun,
        "hold all": lambda _: world.hold(None, on=True),
        "release all": lambda _: world.hold(None, on=False),
        "die": lambda _: world.kernel_dies(survive=False),
        "resume": lambda _: world.kernel_dies(survive=True),
    }
    for moment, what, which in happened:
        name = f"s{which % size}"
        world.at(moment, lambda what=what, name=name: actions[what](name))
    world.at(1000.0, lambda: world.hold(None, on=False))
