"""Copies models layer by layer, with the state of each."""

import tempfile
import warnings

import keras
from keras.src.models.functional import Functional, functional_like_constructor

from fastgen.conversion import substitution


class Copier:
    """Makes copies of layers and models, one of each, and notes what became of it.

    Args:
        corruption: whether noise layers are replaced.

    Attributes:
        rows: list of dicts, one for each layer.
        variables: dict, id of a variable of an original → the variable of the copy.
    """

    def __init__(self, corruption=False):
        self.corruption = corruption
        self.rows = []
        self.variables = {}
        self._pairs = {}  # id of the original → original, copy; outer models before inner ones
        self._settled = set()  # ids of originals whose state is copied

    def copy(self, layer, scope=None):
        """The copy of a layer or model: always the same one.

        Args:
            layer: layer, model or other operation.
            scope: names of the models that it is in, as a prefix; None for the outermost.
        """
        if id(layer) not in self._pairs:
            self._pairs[id(layer)] = (layer, None)
            copy = (self._copy_graph if _is_graph(layer) else self._copy_leaf)(layer, scope)
            self._pairs[id(layer)] = (layer, copy)
        return self._pairs[id(layer)][1]

    def copy_built(self, layer):
        """The copy of a layer that others refer to, with its weights."""
        copy = self.copy(layer, "")
        self._copy_state(layer, layer.name)
        return copy

    def pair(self, original, variable):
        """Copy one variable, and remember which is its copy.

        Returns:
            Whether it has no other copy yet.
        """
        variable.assign(original)
        return self.variables.setdefault(id(original), variable) is variable

    def settle(self, layer):
        """Note that the state of a layer is copied."""
        self._settled.add(id(layer))

    def models(self):
        """All models, the outermost first, each with its copy."""
        return [pair for pair in self._pairs.values() if isinstance(pair[0], keras.Model)]

    def copy_flags(self):
        """Copy what is trainable, when all is there: a model's flag sets those of its layers."""
        for layer, copy in self._pairs.values():
            if isinstance(layer, keras.Layer):
                copy.trainable = layer.trainable
        for layer, _ in self._pairs.values():
            for variable in getattr(layer, "variables", ()):
                if id(variable) in self.variables:  # not the seed of a layer that was replaced
                    self.variables[id(variable)].trainable = variable.trainable

    def _copy_graph(self, model, scope):
        inner = "" if scope is None else f"{scope}{model.name}/"
        if isinstance(model, keras.Sequential):
            layers = [self.copy(layer, inner) for layer in model.layers]
            inputs = getattr(model, "inputs", ())  # none before it is built
            copy = type(model)([*map(_input_like, inputs), *layers], name=model.name)
        else:
            # clone_model would compile the copy of a compiled model, by its config.
            bare = type(model)(model.input, model.output, name=model.name)
            inputs = keras.tree.map_structure(_input_like, model.input)
            copy = keras.models.clone_model(bare, inputs, lambda layer: self.copy(layer, inner))
        for layer in model.layers:
            if id(layer) in self._pairs and not _is_graph(layer):  # clone_model makes the inputs
                self._copy_state(layer, inner + layer.name)
        return copy

    def _copy_leaf(self, layer, scope):
        name = (scope or "") + layer.name
        copy, why = substitution.substitute(layer, self)
        becomes = "" if copy is None or why else f"fastgen.layers.{type(copy).__name__}"
        if isinstance(layer, keras.Layer):
            kind = type(layer).__name__
            self.rows.append({"part": name, "type": kind, "becomes": becomes, "why": why})
        copy = copy_by_config(layer, name) if copy is None else copy
        if scope is None:  # a model in no other that could copy its state
            self._pairs[id(layer)] = (layer, copy)
            self._copy_state(layer, name)
        return copy

    def _copy_state(self, layer, name):
        """Weights and all other variables, and what a layer keeps beside them."""
        if not getattr(layer, "built", False) or id(layer) in self._settled:
            return
        self.settle(layer)
        copy = self._pairs[id(layer)][1]
        if not copy.built:
            copy.build_from_config(layer.get_build_config())
        mine, theirs = copy.variables, layer.variables
        if _shapes(mine) != _shapes(theirs):  # of layers that draw, one may lack a seed
            mine, theirs = copy.weights, layer.weights
        if _shapes(mine) != _shapes(theirs):
            raise _not_copied(layer, name, f"its config makes weights of {_shapes(mine)}", theirs)
        for variable, original in zip(mine, theirs, strict=True):
            if not self.pair(original, variable):
                why = "its config does not tell that it shares a variable with another layer"
                raise _not_copied(layer, name, why, [original])
        if type(copy) is type(layer):
            _copy_assets(layer, copy)


def _not_copied(layer, name, why, variables):
    found = [(v.path, tuple(v.shape)) for v in variables]
    return ValueError(
        f"convert: {name!r} ({type(layer).__name__}) cannot be copied: {why}. Received: {found}"
    )


def _is_graph(layer):
    """Whether it is a model whose layers are known, not called by code of its own."""
    if isinstance(layer, keras.Sequential):
        return type(layer).__init__ is keras.Sequential.__init__
    return isinstance(layer, Functional) and functional_like_constructor(type(layer))


def _input_like(tensor):
    layer = tensor._keras_history.operation  # whose name the tensor need not have
    kwargs = {"batch_shape": tensor.shape, "dtype": tensor.dtype, "sparse": tensor.sparse}
    return keras.Input(**kwargs, name=layer.name, optional=layer.optional)


def _shapes(variables):
    return [tuple(v.shape) for v in variables]


def copy_by_config(layer, name):
    """A new layer, operation or model of the same class and config.

    Raises:
        ValueError: names the layer, if that fails.
    """
    if type(layer) is keras.layers.Lambda:  # its function itself, not the code of it
        kwargs = {"output_shape": layer._output_shape, "mask": layer.mask, "name": layer.name}
        arguments = {"arguments": layer.arguments, "dtype": layer.dtype_policy}
        return keras.layers.Lambda(layer.function, **kwargs, **arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a lambda is not going to be loaded
            config = layer.get_config()
        return type(layer).from_config(with_functions(layer, config))
    except Exception as error:
        reason = " ".join(str(error).partition("Example:")[0].split())
        raise ValueError(
            f"convert: {name!r} ({type(layer).__name__}) cannot be copied by its config: {reason} "
            f"Received: {layer!r}"
        ) from error


def with_functions(layer, config):
    """The config with the activation itself, which may be a function without a name."""
    if "activation" in config and callable(getattr(layer, "activation", None)):
        return {**config, "activation": layer.activation}
    return config


def _copy_assets(layer, copy):
    """What layers do on loading: fold the statistics of an adapted one, read a vocabulary."""
    for one, other in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
        if type(one).load_own_variables is not keras.Layer.load_own_variables:
            store = {}
            one.save_own_variables(store)
            other.load_own_variables(store)
        if hasattr(one, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                one.save_assets(folder)
                other.load_assets(folder)
