"""A dense layer: matrix product, bias and activation."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import activations, arguments


@tf.autograph.experimental.do_not_convert
def dense(x, kernel, bias=None, activation=None):
    """A dense layer.

    `y = activation(x @ kernel + bias)`

    On a GPU 16-bit floats are multiplied on tensor cores, and float32 as
    `tf.config.experimental.enable_tensor_float_32_execution` says.

    Example:
    >>> import fastgen
    >>> fastgen.ops.dense([[1.0, 2.0]], [[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], activation="relu")
    <tf.Tensor: shape=(1, 3), dtype=float32, numpy=array([[1., 2., 0.]], dtype=float32)>

    Args:
        x: `(..., inputs)` float16, bfloat16, float32 or float64, of rank 2 or more.
        kernel: `(inputs, units)`, of the dtype of `x`.
        bias: None, or `(units,)` of the dtype of `x`.
        activation: None, the name of an activation or a function of one tensor. linear, relu,
            selu, elu, gelu_tanh, leaky_relu, sigmoid, tanh, softplus and silu (swish), by name or
            as Keras' function, are part of the kernel. All others, gelu with erf among them, are
            stock ops on its result.

    Returns:
        `(..., units)` tensor of the dtype of `x`.

    Raises:
        ValueError: if shapes or dtypes do not fit, for other dtypes, for an unknown activation.

    Source: keras.layers.Dense.
    """
    return layer("dense", x, kernel, bias, activation)


def dense_composite(x, kernel, bias=None, activation=None):
    """`dense` in stock TensorFlow ops."""
    return activations.resolve("dense", activation)[1](affine(x, kernel, bias))


def dense_grad(x, kernel, bias, saved, d_y, activation, skip=()):
    """Gradients of `dense`: `d_x, d_kernel` and a list of `d_bias` or of nothing.

    Args:
        x: as for `dense`.
        kernel: likewise.
        bias: a list of one or none.
        saved: `pre_activation` of the op for `activations.FROM_INPUT`, else `y`.
        d_y: gradient of `y`.
        activation: a name.
        skip: those of 0 and 1 whose gradients nobody wants; they are None.
    """
    return layer_grad("dense", x, kernel, bias, saved, d_y, activation, skip)


def layer(op, x, kernel, bias, activation):
    """`dense` or `dense_transpose`."""
    transposed = op == "dense_transpose"
    x, kernel, bias = arguments.matmul(op, x, kernel, bias, inputs_axis=int(transposed))
    name, function = activations.resolve(op, activation)
    rows = x.shape[:-1].num_elements() if x.shape.rank else None
    fused = dispatch.fused_op(op, x.dtype, (rows or 0, kernel.shape.num_elements() or 0))
    if fused is None:
        with dispatch.composite_scope(op):
            return function(affine(x, kernel, bias, transposed))
    bias = [] if bias is None else [bias]
    y = fused(x=x, kernel=kernel, bias=bias, activation=name or "linear", name=op)[0]
    return y if name else function(y)


def layer_grad(op, x, kernel, bias, saved, d_y, activation, skip):
    """`dense_grad` of `dense` or `dense_transpose`."""
    fused = dispatch.fused_op(f"{op}_grad", x.dtype)
    if fused is None:
        transposed = op == "dense_transpose"
        d_x, d_kernel, *d_bias = layer_gradients(x, kernel, bias, d_y, activation, transposed)
    else:
        d_x, d_kernel, d_bias = fused(
            x=x,
            kernel=kernel,
            bias=bias,
            saved=saved,
            d_y=d_y,
            activation=activation,
            need_x=0 not in skip,
            need_kernel=1 not in skip,
            name=f"{op}_grad",
        )
    return None if 0 in skip else d_x, None if 1 in skip else d_kernel, d_bias


def layer_gradients(x, kernel, bias, d_y, activation, transposed, loops=False):
    """`d_x, d_kernel, *d_bias` in stock TensorFlow ops; they hang on no result of the op."""
    inputs = [x, kernel, *bias]
    function = activations.resolve("dense", activation)[1]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function((stacked_affine if loops else affine)(x, kernel, *bias, transposed=transposed))
    return tape.gradient(y, inputs, d_y, unconnected_gradients="zero")


def register_gradients(op, op_type):
    """Register the gradients of the op type and of its gradient op."""

    @tf.RegisterGradient(op_type)
    @dispatch.on_device_of_op
    def _gradient(node, d_y, _):
        x, kernel, *bias = node.inputs
        activation = node.get_attr("activation").decode()
        saved = node.outputs[1 if activation in activations.FROM_INPUT else 0]
        skip = getattr(node, "skip_input_indices", None) or ()
        d_y = tf.convert_to_tensor(d_y)
        d_x, d_kernel, d_bias = layer_grad(op, x, kernel, bias, saved, d_y, activation, skip)
        return d_x, d_kernel, *d_bias

    @tf.RegisterGradient(f"{op_type}Grad")
    @dispatch.on_device_of_op
    def _second_gradient(node, g_x, g_kernel, *g_bias):
        x, kernel, *bias = node.inputs[:-2]
        activation = node.get_attr("activation").decode()
        needed = [node.get_attr("need_x"), node.get_attr("need_kernel"), *(True for _ in bias)]
        inputs = [x, kernel, *bias, node.inputs[-1]]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            first = layer_gradients(
                x, kernel, bias, inputs[-1], activation, op == "dense_transpose"
            )
        upstream = [tf.convert_to_tensor(g) for g in (g_x, g_kernel, *g_bias)]
        targets = [(d, g) for d, g, wanted in zip(first, upstream, needed, strict=True) if wanted]
        *d_inputs, d_d_y = tape.gradient(
            [d for d, _ in targets], inputs, [g for _, g in targets], unconnected_gradients="zero"
        )
        # What y passes on is in d_inputs: layer_gradients starts from them.
        return *d_inputs, None, d_d_y


register_gradients("dense", "FastgenDense")


def layer_of_loops(x, kernel, *bias, activation, transposed):
    """Both outputs of the op, for inputs with an axis of loops in front."""
    z = stacked_affine(x, kernel, *bias, transposed=transposed)
    kept = z if activation in activations.FROM_INPUT else tf.zeros([tf.shape(x)[0], 0], x.dtype)
    return activations.resolve("dense", activation)[1](z), kept


def layer_grad_of_loops(x, kernel, *rest, activation, need_x, need_kernel, transposed):
    """All outputs of the gradient op, for inputs with an axis of loops in front."""
    *bias, _, d_y = rest
    grads = layer_gradients(x, kernel, bias, d_y, activation, transposed, loops=True)
    empty = tf.zeros([tf.shape(x)[0], 0], x.dtype)
    return grads[0] if need_x else empty, grads[1] if need_kernel else empty, *grads[2:]


def stacked_affine(x, kernel, bias=None, transposed=False):
    """`affine` of each of the first axis."""
    shape = tf.shape(x)
    flat = tf.reshape(x, [shape[0], tf.reduce_prod(shape[1:-1]), shape[-1]])
    z = tf.matmul(flat, kernel, transpose_b=transposed)
    if bias is not None:
        z += bias[:, tf.newaxis]
    return tf.reshape(z, tf.concat([shape[:-1], tf.shape(z)[2:]], 0))


def affine(x, kernel, bias=None, transposed=False):
    """`x @ kernel + bias`, or `x @ kernel.T + bias`, in stock TensorFlow ops."""
    flat = x
    if x.shape.rank != 2:
        shape = tf.shape(x)
        flat = tf.reshape(x, [tf.reduce_prod(shape[:-1]), shape[-1]])
    z = tf.matmul(flat, kernel, transpose_b=transposed)
    if bias is not None:
        z = tf.nn.bias_add(z, bias)  # the form that TensorFlow fuses with the product
    if x.shape.rank == 2:
        return z
    z = tf.reshape(z, tf.concat([shape[:-1], tf.shape(z)[1:]], 0))
    units = kernel.shape[0 if transposed else 1] if kernel.shape.rank else None
    z.set_shape(x.shape[:-1].concatenate(units) if x.shape.rank else None)
    return z
