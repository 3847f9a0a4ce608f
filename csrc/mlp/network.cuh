// Dense networks as the threads of a GPU see them: where weights, activations and gradients lie, what
// the rows are, and the phases of a step, made of jobs whose tiles any block may take.
#pragma once
#include "cuda/precision.h"
#include "cuda/storage.cuh"
#include "kernels/discriminator_update.h"
#include "mlp/optimizer_scalars.h"

namespace fastgen {
namespace mlp {

using namespace cuda;

constexpr int kEngineLanes = 256;  // threads of a block
// Descriptions travel as a parameter of the kernel, 32 KB at most: its memory is cached on every
// multiprocessor, and barriers leave it there.
constexpr int kMostLayers = 12, kMostJobs = 224, kMostPhases = 96;
constexpr int64_t kElements = 2048;   // of an array, that a tile of an elementwise job takes
constexpr int64_t kSpreadRows = 256;  // of kSpread's tiles, beside 32 columns

// partials: gradients of parts of the rows, [parts, size], where a phase of their own sums them.
template <class T>
struct DeviceVariable {
  T *w, *slots[3], *gradient, *partials;
  int64_t size;
  int decays;
};

// Matrices [rows, stride], stride a multiple of 16 bytes.
template <class T>
struct DeviceLayer {
  DeviceVariable<T> kernel, bias;
  T *values, *sums, *slopes;  // outputs; what is activated, or NULL; the gradient of that
  int inputs, units, stride;
  double slope, amount;
  int activation, transposed;
  int corruption, drawn;  // and which of a pass's seeds is its own
  int tied, leads;        // the next layer with this kernel, or -1; whether it is the first
  int packs;              // whether its inputs can be read 16 bytes, or 4 of uint8, at a time

  __host__ __device__ int lines() const { return transposed ? units : inputs; }
  __host__ __device__ int cols() const { return transposed ? inputs : units; }
};

template <class T>
struct DeviceNetwork {
  DeviceLayer<T> layers[kMostLayers];
  int count, corruptions;
  const int64_t* seeds;    // of what corrupts, of each pass, or NULL
  fg_optimizer optimizer;  // rule below 0: gradients are wanted, not a step
  const double* rates;     // of the updates, or NULL: the optimizer's
  double* squares;         // of the gradients of each tile of the update
  T* factors;              // of clipping by norms, of each kernel and bias
  int parts;               // of the rows, in the weights' gradients
  int64_t square_tiles;
};

// Rows of numbers, or of bytes, those that `index` names if there is one.
struct DeviceRows {
  const void* data;
  const int64_t* index;
  int64_t count, stride;
  int bytes;
};

enum JobKind {
  kForward,   // a layer's outputs
  kHead,      // logits, losses, their slopes, and those of the layer below
  kSettle,    // the loss's sum; whether the update goes ahead; the numbers of the step
  kTop,       // slopes of the last layer, of those of its outputs
  kSlopes,    // those of the layer below a layer
  kGradient,  // weights' gradients, and what the optimizer makes of them
  kSum,       // those of parts of the rows, summed
  kNorms,     // factors of clipping
  kApply,     // the optimizer's rule on gradients in memory
  kSpread,    // sums of a batch's outputs
  kReport     // what of an update is told when it has been made
};
enum { kGenerator = 0, kDiscriminator = 1 };
enum { kAlways = 0, kFirstCritic = 1, kLaterCritics = 2, kLastCritic = 4, kLaterSteps = 8 };

// The shape of a product's tiles: the logarithm of a square's side, or that of many rows by tensor cores
// (mlp/wide_product.cuh), whose width the columns decide.
constexpr int kWide = 7, kWideRows = 128, kMostWideCols = 112;
__host__ __device__ constexpr int width_of_wide(int cols) {
  const int slices = (cols + kMostWideCols - 1) / kMostWideCols;
  return ((cols + slices - 1) / slices + 15) / 16 * 16;
}

struct Job {
  int8_t kind, net, layer;
  int8_t shape;  // of products: their tiles'; of kSum and kApply, 1: of the bias
  int8_t when, generates;
  int across;   // tiles side by side
  int squares;  // the place of its first tile among those of the network's, or -1
  // Rows of the network. Of kSettle: how many, and tiles of kHead; of kSum and kApply, rows: parts; of
  // kReport, first: the step, from the present one.
  int first, rows, tiles;
};
struct Phase {
  int first, jobs, stops;  // stops: nothing from here on if the loss was not finite
};

// Steps: phases [0, critic) once, [critic, generator) n_critic times, [generator, end) once; after the
// last step, phase `end`.
struct Moment {
  int64_t step;
  int critic, phase;
};
struct Order {
  int64_t steps;
  int n_critic, critic, generator, end;

  // The phase after one; false behind the last.
  __host__ __device__ bool advance(Moment* at) const {
    if (++at->phase == generator && at->critic + 1 < n_critic) {
      ++at->critic, at->phase = critic;
    } else if (at->phase == end && at->step + 1 < steps) {
      ++at->step, at->critic = 0, at->phase = 0;
    }
    return at->phase <= end;
  }
};

template <class T>
struct DeviceState {
  unsigned arrived;
  int stopped;
  int64_t step;  // of a graph that is one step
  OptimizerScalars<T> scalars[2];
  T rates[2];
};

// Sums of a tile of rows; a batch's spread: sums of columns, then squares.
enum { kLossSum = 0, kProbabilitySum, kAboveHalf, kHeadSums };

template <class T>
struct Plan {
  DeviceNetwork<T> nets[2];
  Order order;
  Phase phases[kMostPhases];
  Job jobs[kMostJobs];
  DeviceState<T>* state;
  // What the network that is no generator reads: rows before `reals`, then others.
  DeviceRows real, fake;
  int64_t reals, batch;  // rows of a pass of the generator
  const int64_t* noise;  // its seeds, two words a pass
  int corrupts_fakes;
  const T *targets, *d_y;
  T* d_x;
  double *head_sums, *spread_sums, *telemetry;
  int64_t* done;
  int64_t real_tiles, head_tiles, rows_of_head_tile, spread_parts;
  int telemetry_stride;
  fg_cuda_precision precision;
};

}  // namespace mlp
}  // namespace fastgen
