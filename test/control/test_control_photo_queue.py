"""The queue of photos: one at a time, never on a glass that was not shaken, never without a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketch_cell.control.photo_queue import PhotoQueue, QueueInputs, QueueOrder, QueueState
from sketch_cell.errors import MachineError

JOB_STATES = ["", "idle", "homing", "drawing", "paused", "done", "failed"]


def steps(queue, *several):
    orders = []
    for seen in several:
        queue, order = queue.step(seen)
        orders.append(order)
    return queue, orders


def waiting_for(photo="a.jpg", *more):
    queue, orders = steps(PhotoQueue(), QueueInputs([photo, *more]), QueueInputs(planned=True, job="idle"))
    assert orders == [QueueOrder.PUBLISH, None]
    assert queue.state is QueueState.WAITING
    return queue


def drawn(queue):
    queue, orders = steps(
        queue.confirm(), QueueInputs(), QueueInputs(answer="", job="homing"), QueueInputs(job="drawing")
    )
    assert orders == [QueueOrder.DRAW, None, None]
    return queue


def test_photos_are_drawn_one_after_another_with_a_person_in_between():
    queue = drawn(waiting_for("a.jpg", "b.jpg"))
    assert (queue.state, queue.shake_needed) == (QueueState.DRAWING, True)
    queue, orders = steps(queue, QueueInputs(job="done"), QueueInputs(job="done"))
    assert orders == [None, QueueOrder.PUBLISH]
    assert (queue.photo, queue.drawn, queue.shake_needed) == ("b.jpg", 1, True)
    queue, orders = steps(queue, *[QueueInputs(planned=True, job="idle")] * 5)
    assert orders == [None] * 5, "nothing moves before a person says so"
    queue, orders = steps(queue.confirm(), QueueInputs())
    assert orders == [QueueOrder.DRAW]
    assert not queue.shake_needed


def test_the_controller_must_have_taken_the_new_line():
    queue, _ = steps(PhotoQueue(), QueueInputs(["a.jpg"]), QueueInputs(planned=True, job="done"))
    assert queue.state is QueueState.PLANNING


def test_a_refused_drawing_waits_for_a_person_again():
    queue, _ = steps(waiting_for().confirm(), QueueInputs(), QueueInputs(answer="the machine is absent"))
    assert (queue.state, queue.reason) == (QueueState.WAITING, "the machine is absent")
    assert not queue.confirmed


def test_a_drawing_that_ends_early_can_be_drawn_again_or_skipped():
    queue, _ = steps(drawn(waiting_for("a.jpg", "b.jpg")), QueueInputs(job="failed"))
    assert (queue.state, queue.photo, queue.shake_needed) == (QueueState.STOPPED, "a.jpg", True)
    again, orders = steps(queue.confirm(), QueueInputs(job="failed"))
    assert (again.photo, orders) == ("a.jpg", [QueueOrder.DRAW])
    skipped, orders = steps(queue.skip(), QueueInputs(job="failed"))
    assert (skipped.photo, orders, skipped.shake_needed) == ("b.jpg", [QueueOrder.PUBLISH], True)


def test_a_drawing_that_is_resumed_is_waited_for_and_not_drawn_again():
    queue, _ = steps(drawn(waiting_for("a.jpg", "b.jpg")), QueueInputs(job="failed"))
    queue, orders = steps(queue, *[QueueInputs(job=job) for job in ("homing", "drawing", "paused")])
    assert (queue.state, queue.photo, queue.reason) == (QueueState.DRAWING, "a.jpg", "")
    queue, orders = steps(queue, QueueInputs(job="done"), QueueInputs(job="done"))
    assert (queue.photo, queue.drawn, orders) == ("b.jpg", 1, [None, QueueOrder.PUBLISH])


def test_a_photo_that_changes_while_it_waits_waits_once():
    queue, _ = steps(waiting_for("a.jpg", "b.jpg"), QueueInputs(["c.jpg", "b.jpg"]), QueueInputs(["c.jpg"]))
    assert queue.waiting == ("b.jpg", "c.jpg")


def test_a_photo_that_cannot_be_read_makes_way():
    queue, orders = steps(
        PhotoQueue(), QueueInputs(["a.jpg", "b.jpg"]), QueueInputs(refused="gone"), QueueInputs()
    )
    assert orders == [QueueOrder.PUBLISH, None, QueueOrder.PUBLISH]
    assert queue.photo == "b.jpg"


def test_nothing_is_published_while_somebody_else_draws():
    _, orders = steps(PhotoQueue(), QueueInputs(["a.jpg"], job="drawing"))
    assert orders == [None]


@pytest.mark.parametrize("asked", ["confirm", "skip"])
def test_asking_for_what_makes_no_sense_says_so(asked):
    with pytest.raises(MachineError, match="the queue is empty"):
        getattr(PhotoQueue(), asked)()


EVENTS = st.one_of(
    st.sampled_from(["confirm", "skip"]),
    st.builds(
        QueueInputs,
        arrived=st.lists(st.sampled_from("abc"), max_size=2),
        planned=st.booleans(),
        refused=st.sampled_from(["", "gone"]),
        job=st.sampled_from(JOB_STATES),
        answer=st.sampled_from([None, "", "no"]),
    ),
)


@given(st.lists(EVENTS, max_size=40))
def test_every_drawing_has_a_confirmation_of_its_own_and_no_photo_is_lost(events):
    queue, confirmed, arrived, published = PhotoQueue(), 0, [], []
    for event in events:
        if isinstance(event, str):
            try:
                queue = getattr(queue, event)()
            except MachineError:
                continue
            confirmed = event == "confirm"
            continue
        arrived += [photo for photo in dict.fromkeys(event.arrived) if photo not in queue.waiting]
        queue, order = queue.step(event)
        if order is QueueOrder.DRAW:
            assert confirmed
            confirmed = False
        if order is QueueOrder.PUBLISH:
            published.append(queue.photo)
    assert published + list(queue.waiting) == arrived
