"""Methods that a subclass of a model has in place of what a kernel does the work of."""

import itertools


def own_method(model, names):
    """What of a model is not as the class has it whose `train_rows` runs the kernel.

    Args:
        model: `keras.Model` with `train_rows`.
        names: of methods and properties that the kernel does the work of.

    Returns:
        A sentence that names the first, or None.
    """
    below = itertools.takewhile(lambda c: "train_rows" not in vars(c), type(model).__mro__)
    owners = [model, *below]
    found = (name for name in names if any(name in vars(owner) for owner in owners))
    name = next(found, None)
    return name and f"{type(model).__name__} has a {name} of its own"
