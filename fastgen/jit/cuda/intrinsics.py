"""What Numba has no function for: vectors in memory, and libdevice's sincospi for either float."""

from fastgen.jit.cuda import target

if target.SIMULATED:
    from fastgen.jit.cuda.simulator import (
        load_16_bytes,
        sincospi,
        store_16_bytes,
    )
else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.cuda.extending import intrinsic

    @intrinsic
    def load_16_bytes(typing_context, array, first, values):
        """Fill a local array of 16 bytes from `array[first]` on, which must be a multiple of it."""

        def generate(context, builder, signature, arguments):
            vector = builder.load(_vector(context, builder, array, *arguments[:2]), align=16)
            builder.store(vector, _vector(context, builder, values, arguments[2]), align=4)
            return context.get_dummy_value()

        return types.void(array, first, values), generate

    @intrinsic
    def store_16_bytes(typing_context, array, first, values):
        """The way back."""

        def generate(context, builder, signature, arguments):
            vector = builder.load(_vector(context, builder, values, arguments[2]), align=4)
            builder.store(vector, _vector(context, builder, array, *arguments[:2]), align=16)
            return context.get_dummy_value()

        return types.void(array, first, values), generate

    def _vector(context, builder, kind, array, first=None):
        """Pointer to 16 bytes of an array."""
        element = context.get_data_type(kind.dtype)
        place = context.make_array(kind)(context, builder, array).data
        if first is not None:
            place = builder.gep(place, [first])
        count = 128 // kind.dtype.bitwidth
        return builder.bitcast(place, ir.VectorType(element, count).as_pointer())

    @intrinsic
    def sincospi(typing_context, x):
        """Sine and cosine of πx: no reduction by π, whose table of digits takes a stack frame."""
        name = {32: "__nv_sincospif", 64: "__nv_sincospi"}[x.bitwidth]

        def generate(context, builder, signature, arguments):
            kind = context.get_value_type(x)
            places = [cgutils.alloca_once(builder, kind) for _ in range(2)]
            parts = [kind, kind.as_pointer(), kind.as_pointer()]
            typed = ir.FunctionType(ir.VoidType(), parts)
            function = cgutils.get_or_insert_function(builder.module, typed, name)
            builder.call(function, [arguments[0], *places])
            pair = [builder.load(place) for place in places]
            return context.make_tuple(builder, signature.return_type, pair)

        return types.UniTuple(x, 2)(x), generate
