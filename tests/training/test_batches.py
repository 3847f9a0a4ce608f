import numpy as np
import pytest

from fastgen.training import batches, steps_per_epoch

X = np.arange(23, dtype=np.uint8).reshape(23, 1)


def take(n, **options):
    return [batch.numpy()[:, 0] for batch in batches(X, 5, **options).take(n)]


def test_an_epoch_holds_every_image_once():
    steps = steps_per_epoch(len(X), 5)
    found = take(2 * steps)
    assert [len(batch) for batch in found] == [5, 5, 5, 5, 3] * 2
    first, second = np.concatenate(found[:steps]), np.concatenate(found[steps:])
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch), X[:, 0])
        assert np.any(epoch != X[:, 0])
    assert np.any(first != second)


def test_a_later_epoch_is_the_same_without_those_before_it():
    expected = take(15, seed=7)
    for epoch in (1, 2):
        found = take(5, seed=7, first_epoch=epoch)
        for a, b in zip(found, expected[5 * epoch :], strict=False):
            np.testing.assert_array_equal(a, b)


def test_seed_chooses_the_order():
    orders = [np.concatenate(take(5, seed=seed)) for seed in (0, 1, 2**32 - 1, 2**40)]
    assert len({order.tobytes() for order in orders}) == len(orders)


def test_every_order_of_three_is_as_likely():
    found = np.array([batch.numpy()[:, 0] for batch in batches(X[:3], 3).take(90)])
    _, counts = np.unique(found @ [9, 3, 1], return_counts=True)
    # Six orders, 15 expected of each: chi-squared with 5 degrees of freedom is < 20.5 in 99.9 %.
    assert len(counts) == 6 and np.sum((counts - 15) ** 2 / 15) < 20.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:0], 5), "x must hold one image"),
        ((X, 0), "Received: batch_size=0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        batches(*arguments)


def test_epochs_before_the_first():
    with pytest.raises(ValueError, match="first_epoch=-1"):
        batches(X, 5, first_epoch=-1)
