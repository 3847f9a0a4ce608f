"""How a layer refers to the dense layer whose kernel it shares, in memory, in files, in clones."""

import keras
from keras.src.backend.common import global_state


class Tie:
    """Reference to a dense layer.

    Keras tracks and counts what is an attribute of a layer. This stands in between: only the kernel
    belongs to both layers, not the bias.

    Attributes:
        dense: the layer, or None where only the config of the layer is known, in a clone.
    """

    def __init__(self, dense):
        self._config = dense if isinstance(dense, dict) else None
        self.dense = None
        if self._config is None:
            self._set(dense)

    @property
    def name(self):
        """Name of the dense layer."""
        return self.dense.name if self.dense is not None else self._config["config"]["name"]

    def kernel(self):
        """The kernel of the dense layer: a variable, or with LoRA a tensor."""
        if self.dense.quantization_mode:
            raise ValueError(
                "DenseTranspose: dense must not be quantized. "
                f"Received: {self.name!r}, {self.dense.quantization_mode}"
            )
        return self.dense.kernel

    def shape(self):
        """Shape of the kernel, `(inputs, units)`; inputs is None where a clone does not know it."""
        if self.dense is None:
            inputs = self._config.get("build_config", {}).get("input_shape", [None])[-1]
            return inputs, self._config["config"]["units"]
        if not self.dense.built:
            raise ValueError(
                "DenseTranspose: dense must be built, that is called or put into a model with an "
                f"Input, before this layer is. Received: {self.name!r}, which is not"
            )
        return tuple(self.dense.kernel.shape)

    def find(self, layers):
        """Refer to the dense layer of the name and the shape that are known.

        Args:
            layers: iterable of operations and layers to look for it in.

        Returns:
            Whether it was there.
        """
        found = {id(x): x for x in layers if isinstance(x, keras.layers.Dense) and self._is(x)}
        if len(found) > 1:
            raise ValueError(
                f"DenseTranspose: layers to be tied to need names of their own in a model that is "
                f"cloned. Received: {len(found)} layers of the name {self.name!r}"
            )
        for layer in found.values():
            self._set(layer)
        return bool(found)

    def get_config(self):
        """The dense layer as Keras serializes it."""
        if self.dense is None:
            return self._config
        return keras.saving.serialize_keras_object(self.dense)

    def _is(self, layer):
        if layer.name != self.name or not layer.built:
            return False
        inputs, units = self.shape()
        return inputs in (None, layer.kernel.shape[0]) and units == layer.kernel.shape[1]

    def _set(self, dense):
        if not isinstance(dense, keras.layers.Dense):
            raise ValueError(
                "DenseTranspose: dense must be a keras.layers.Dense or fastgen.layers.FusedDense. "
                f"Received: dense={dense!r}"
            )
        self.dense = dense
        _write_identity(dense)


def from_config(config):
    """What a `Tie` is made of: the layer where Keras knows which one, or else its config.

    Args:
        config: the dense layer as Keras serialized it. In a file it has an identity, which the
            config of the dense layer in the encoder has, too. In a clone there is only its name.
    """
    if "shared_object_id" in config:
        return keras.saving.deserialize_keras_object(config)
    return config


def upstream(tensors):
    """The operations and layers that Keras' symbolic tensors come from, those of models included.

    Args:
        tensors: any structure of tensors; those that are not symbolic come from nowhere.
    """
    waiting, seen = keras.tree.flatten(tensors), set()
    while waiting:
        tensor = waiting.pop()
        if not isinstance(tensor, keras.KerasTensor) or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation, index, _ = tensor._keras_history
        yield operation
        if isinstance(operation, keras.Model):
            yield from operation._flatten_layers(include_self=False)
        waiting.extend(operation._inbound_nodes[index].input_tensors)


def _write_identity(dense):
    """Make Keras write the identity of a layer wherever it saves the layer.

    Keras adds it to the layer's first config when it meets the layer for the second time. A nested
    model has handed out a copy of its config by then: the encoder's would stay without.
    """
    if "get_build_config" in vars(dense):  # done, for another layer tied to it
        return
    build_config = dense.get_build_config

    def get_build_config():
        met = global_state.get_global_attribute("shared_objects/id_to_config_map")
        if met is not None:  # None while nothing is being saved
            met.setdefault(id(dense), {})
        return build_config()

    dense.get_build_config = get_build_config
