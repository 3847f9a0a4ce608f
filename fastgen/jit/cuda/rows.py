"""Rows and the threads that share them: launches, sums in an order that the shape alone decides."""

from fastgen.jit.cuda.target import cuda, device

# Unmeasured. Threads of a block; blocks of a launch, which go through longer batches in strides;
# steps that each lane of a warp takes through a row before a block does it better.
THREADS, MOST_BLOCKS, MOST_STEPS = 128, 4096, 8
WARP = 32
ALL_LANES = 0xFFFFFFFF


def grid_of_rows(rows, steps):
    """Blocks and threads for rows of `steps` vectors, or numbers, each.

    Threads along x share a row: 1, 2, 4 ... 32 lanes of a warp, or all of a block.
    """
    lanes = 1
    while lanes < min(steps, WARP):
        lanes *= 2
    if steps > MOST_STEPS * WARP:
        lanes = THREADS
    side_by_side = THREADS // lanes
    return max(min(-(-rows // side_by_side), MOST_BLOCKS), 1), (lanes, side_by_side)


def grid_of_elements(size):
    """The grid for an array that has no rows."""
    return min(-(-size // THREADS), MOST_BLOCKS), (THREADS, 1)


def one_block():
    """The grid of kernels that go through an array of some thousand numbers."""
    return 1, (THREADS, 1)


@device
def least(a, b):
    """Numba 0.68's own target for CUDA does not compile min."""
    return a if a < b else b


@device
def sum_of_row(value):
    """The sum over the threads of a block that share a row, for each of them.

    All threads of the block have to come.
    """
    lanes = cuda.blockDim.x
    distance = least(lanes, WARP) // 2
    while distance > 0:
        value += cuda.shfl_xor_sync(ALL_LANES, value, distance)
        distance //= 2
    if lanes > WARP:
        sums = cuda.shared.array(WARP, type(value))
        if cuda.threadIdx.x % WARP == 0:
            sums[cuda.threadIdx.x // WARP] = value
        cuda.syncthreads()
        value = sums[0]
        for warp in range(1, lanes // WARP):
            value += sums[warp]
        cuda.syncthreads()  # the next sum is written where this one was
    return value
