"""How our optimizers and Keras' stand in for each other."""

import keras

CLASSES = {}


def stands_in(cls):
    """Make an optimizer class the one that Keras finds under the name of its own.

    A `.keras` file names an optimizer by its module and by a registered name. Ours says
    `keras.optimizers` and, as Keras demands there, the class's bare name: with fastgen imported
    Keras finds our class under that name, without it the stock one. Files of stock optimizers have
    no registered name, and stay stock.
    """
    cls.__module__ = "keras.optimizers"
    CLASSES[cls.__name__] = cls
    keras.saving.get_custom_objects().setdefault(cls.__name__, cls)
    return cls


def counterpart(optimizer):
    """Our class in the place of an optimizer of Keras' own; None for any other optimizer."""
    ours = CLASSES.get(type(optimizer).__name__)
    stock = ours and getattr(keras.optimizers, ours.__name__)
    return ours if type(optimizer) is stock else None


def from_keras(optimizer):
    """Our optimizer in place of one of Keras', with its config and its state.

    Example:
    >>> import keras
    >>> import fastgen
    >>> optimizer = fastgen.optimizers.from_keras(keras.optimizers.Adam(1e-4))
    >>> isinstance(optimizer, fastgen.optimizers.Adam), float(optimizer.learning_rate)
    (True, 9.999999747378752e-05)

    Args:
        optimizer: a Keras optimizer; it stays as it is.

    Returns:
        The new optimizer, built on the same variables if `optimizer` was; `optimizer` itself where
        there is none of ours in its place.

    Raises:
        TypeError: for what is no optimizer; `fastgen.optimizers.get` takes names and configs.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise TypeError(
            "from_keras: optimizer must be a Keras optimizer; fastgen.optimizers.get takes names "
            f"and configs. Received: optimizer={optimizer!r}"
        )
    ours = counterpart(optimizer)
    if ours is None:
        return optimizer
    new = ours.from_config(optimizer.get_config())
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):
            setattr(new, name, getattr(optimizer, name))
    if optimizer.built:
        with keras.name_scope(new.name, caller=new):
            new.build(optimizer._trainable_variables)
        new.set_weights(optimizer.variables)
    return new


def get(identifier):
    """`keras.optimizers.get`, with ours for the names that we have.

    Example:
    >>> import fastgen
    >>> type(fastgen.optimizers.get("nadam")) is fastgen.optimizers.Nadam
    True

    Args:
        identifier: a name, a config, or an optimizer, which is returned as it is.

    Returns:
        An optimizer; None for None.

    Raises:
        ValueError: if Keras knows no such optimizer.
    """
    named = isinstance(identifier, (str, dict))
    optimizer = keras.optimizers.get(identifier)
    return from_keras(optimizer) if named else optimizer
