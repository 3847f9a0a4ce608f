// A network and its optimizer as the inputs and attributes of an op.
#pragma once
#include <string>
#include <vector>

#include "kernels/discriminator_update.h"
#include "tensorflow/locked_variables.h"

// P: prefix of the names. variables: kernels and biases, each once, those of the optimizer's slots in
// the same order, all of the first kind, all of the second... kernels, biases: of each layer its
// variable's place, a bias's -1 for none. slopes, corruptions, amounts: of each layer, see kernels/mlp.h;
// seeds: of each pass, two words for each layer that corrupts; sparsities, and penalties [layers, 2]:
// of each layer the kind, and its weight and target. log_variance: the layer of FG_LOG_VARIANCE, or -1.
// numbers: momentum or beta_1, rho or beta_2, epsilon, weight decay, where to clip. On a GPU the host
// has numbers, amounts and penalties (FASTGEN_PLAYER_ON_HOST), and reads nothing else.
#define FASTGEN_PLAYER(P)                                                      \
  .Input(P "iterations: resource")                                             \
      .Input(P "variables: " P "num_variables * resource")                     \
      .Input(P "slots: " P "num_slots * resource")                             \
      .Input(P "u_products: " P "num_u_products * resource")                   \
      .Input(P "learning_rates: double")                                       \
      .Input(P "numbers: double")                                              \
      .Input(P "amounts: double")                                              \
      .Input(P "seeds: int64")                                                 \
      .Input(P "penalties: double")                                            \
      .Attr(P "num_variables: int >= 1")                                       \
      .Attr(P "num_slots: int >= 0")                                           \
      .Attr(P "num_u_products: int >= 0")                                      \
      .Attr(P "kernels: list(int) >= 1")                                       \
      .Attr(P "biases: list(int) >= 1")                                        \
      .Attr(P "activations: list(string) >= 1")                                \
      .Attr(P "slopes: list(float) >= 1")                                      \
      .Attr(P "transposed: list(bool) >= 1")                                   \
      .Attr(P "corruptions: list({'none', 'dropout', 'gaussian'}) >= 1")       \
      .Attr(P "sparsities: list({'none', 'kl', 'l1', 'mse'}) >= 1")            \
      .Attr(P "log_variance: int = -1")                                        \
      .Attr(P "rule: {'sgd', 'rmsprop', 'adam', 'nadam'}")                     \
      .Attr(P "variation: bool = false")                                       \
      .Attr(P "slot_places: list(int)")                                        \
      .Attr(P "clip: {'nothing', 'value', 'norm', 'global_norm'} = 'nothing'") \
      .Attr(P "decayed: list(bool)")

#define FASTGEN_PLAYER_ON_HOST(P) \
  .HostMemory(P "numbers").HostMemory(P "amounts").HostMemory(P "penalties")

namespace fastgen {

class PlayerInputs {
 public:
  PlayerInputs(const char* op, std::string prefix) : op_(op), prefix_(std::move(prefix)) {}

  absl::Status construct(tensorflow::OpKernelConstruction* ctx) {
    std::string rule, clip;
    bool variation;
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "kernels", &kernels_));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "biases", &biases_));
    std::vector<std::string> activations;
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "activations", &activations));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "slopes", &slopes_));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "transposed", &transposed_));
    std::vector<std::string> corruptions, sparsities;
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "corruptions", &corruptions));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "sparsities", &sparsities));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "log_variance", &log_variance_));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "rule", &rule));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "variation", &variation));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "slot_places", &slot_places_));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "clip", &clip));
    TF_RETURN_IF_ERROR(ctx->GetAttr(prefix_ + "decayed", &decayed_));
    optimizer_.rule = place_of(rule, {"sgd", "rmsprop", "adam", "nadam"});
    optimizer_.clip = place_of(clip, {"nothing", "value", "norm", "global_norm"});
    optimizer_.variation = variation;
    optimizer_.accumulation_steps = 1;
    static const char* const names[] = FG_ACTIVATION_NAMES;
    for (const std::string& name : activations) {
      activations_.push_back(std::find(names, names + FG_ACTIVATIONS, name) - names);
    }
    for (const std::string& kind : corruptions) {
      corruptions_.push_back(place_of(kind, {"none", "dropout", "gaussian"}));
      drawing_ += corruptions_.back() != FG_INTACT;
    }
    for (const std::string& kind : sparsities) {
      sparsities_.push_back(place_of(kind, FG_SPARSITY_NAMES));
    }
    for (size_t n : {biases_.size(), activations_.size(), slopes_.size(), transposed_.size(),
                     corruptions_.size(), sparsities_.size()}) {
      if (n != kernels_.size()) return fault("what is said of the layers must be of all of them");
    }
    return absl::OkStatus();
  }

  // Adds the variables to those to be locked. Nothing may be read of them before they are.
  absl::Status add(OpKernelContext* ctx, LockedVariables* all) {
    tensorflow::OpInputList variables, slots, u_products;
    TF_RETURN_IF_ERROR(ctx->input_list(prefix_ + "variables", &variables));
    TF_RETURN_IF_ERROR(ctx->input_list(prefix_ + "slots", &slots));
    TF_RETURN_IF_ERROR(ctx->input_list(prefix_ + "u_products", &u_products));
    const Tensor* iterations;
    TF_RETURN_IF_ERROR(ctx->input(prefix_ + "iterations", &iterations));
    TF_RETURN_IF_ERROR(ctx->input(prefix_ + "learning_rates", &rates_));
    TF_RETURN_IF_ERROR(ctx->input(prefix_ + "numbers", &numbers_));
    TF_RETURN_IF_ERROR(ctx->input(prefix_ + "amounts", &amounts_));
    TF_RETURN_IF_ERROR(ctx->input(prefix_ + "seeds", &seeds_));
    TF_RETURN_IF_ERROR(ctx->input(prefix_ + "penalties", &penalties_));
    first_ = all->size();
    count_ = variables.size(), slot_count_ = slots.size(), u_count_ = u_products.size();
    TF_RETURN_IF_ERROR(all->add(ctx, *iterations));
    for (const tensorflow::OpInputList* list : {&variables, &slots, &u_products}) {
      for (const Tensor& handle : *list) TF_RETURN_IF_ERROR(all->add(ctx, handle));
    }
    return absl::OkStatus();
  }

  // What the locked variables must be; nothing is written before all of it holds.
  absl::Status check(const LockedVariables& all, DataType dtype, int64_t updates,
                     int64_t passes) const {
    const Tensor& iterations = all.at(first_);
    if (iterations.dtype() != tensorflow::DT_INT64 || iterations.NumElements() != 1) {
      return fault("iterations must be one int64");
    }
    if (numbers_->NumElements() != 5) return fault("numbers must be 5");
    if (rates_->NumElements() != updates) return fault("learning_rates must be one an update");
    if (amounts_->NumElements() != (int64_t)kernels_.size()) {
      return fault("amounts must be one a layer");
    }
    if (seeds_->NumElements() != passes * drawing_ * 2) {
      return fault("seeds must be two a pass and layer that corrupts");
    }
    if (penalties_->NumElements() != 2 * (int64_t)kernels_.size()) {
      return fault("penalties must be a weight and a target a layer");
    }
    if (slot_count_ != count_ * (int)slot_places_.size() || (int)decayed_.size() != count_ ||
        u_count_ != (optimizer_.rule == FG_NADAM)) {
      return fault("every variable must have a slot of each kind and a decayed");
    }
    if (u_count_) {
      const Tensor& u = all.at(u_product());
      const bool real = u.dtype() == tensorflow::DT_FLOAT || u.dtype() == tensorflow::DT_DOUBLE;
      if (!real || u.NumElements() != 1) return fault("u_product must be one real number");
    }
    for (int i = 0; i < count_; ++i) {
      const Tensor& x = variable(all, i);
      if (x.dtype() != dtype) return fault("variables must have the dtype of the network");
      for (size_t j = 0; j < slot_places_.size(); ++j) {
        const Tensor& slot = all.at(slot_of(i, j));
        if (slot_places_[j] < 0 || slot_places_[j] > 2 || slot.dtype() != dtype ||
            slot.shape() != x.shape()) {
          return fault("slots must have the dtype and the shape of their variable");
        }
      }
    }
    return check_layers(all);
  }

  // The player on these variables; lives as long as this and they do. On a GPU what the optimizer has
  // in the place of its first learning rate and of the iterations is on the device.
  fg_player player(const LockedVariables& all, bool on_gpu = false) {
    const double* const x = numbers_->flat<double>().data();
    fg_optimizer o = optimizer_;
    if (on_gpu) {
      o.device_iterations = (int64_t*)all.at(first_).data();
      if (rates_->NumElements()) o.device_learning_rate = rates_->data();
      o.device_learning_rate_dtype = FG_FLOAT64;
    } else {
      o.iterations = all.at(first_).flat<int64_t>()(0);
      if (rates_->NumElements()) o.learning_rate = rates_->flat<double>()(0);
    }
    o.momentum = x[0], o.rho = x[1], o.epsilon = x[2], o.weight_decay = x[3], o.clip_at = x[4];
    if (u_count_) {
      const Tensor& u = all.at(u_product());
      o.u_product = u.data(), o.u_product_dtype = code_of(u.dtype());
    }
    layers_.clear();
    for (size_t i = 0; i < kernels_.size(); ++i) {
      const Tensor& kernel = variable(all, kernels_[i]);
      fg_mlp_layer l = {};
      l.transposed = transposed_[i];
      l.inputs = kernel.dim_size(transposed_[i]), l.units = kernel.dim_size(!transposed_[i]);
      l.activation = activations_[i], l.slope = slopes_[i];
      l.corruption = corruptions_[i], l.amount = amounts_->flat<double>()(i);
      const double* const penalty = penalties_->flat<double>().data() + 2 * i;
      l.sparsity = sparsities_[i], l.sparsity_weight = penalty[0], l.sparsity_target = penalty[1];
      l.kind = (int)i == log_variance_ ? FG_LOG_VARIANCE : FG_DENSE;
      l.kernel = tensor(all, kernels_[i]);
      if (biases_[i] >= 0) l.bias = tensor(all, biases_[i]);
      layers_.push_back(l);
    }
    const int64_t* const seeds = seeds_->NumElements() ? seeds_->flat<int64_t>().data() : nullptr;
    return {{layers_[0].kernel.dtype, (int64_t)layers_.size(), layers_.data(), seeds}, o};
  }

  const double* rates() const { return rates_->flat<double>().data(); }
  void count(const LockedVariables& all, int64_t updates) const {
    *(int64_t*)all.at(first_).data() += updates;
  }

 private:
  absl::Status fault(const char* what) const {
    return absl::InvalidArgumentError(absl::StrCat(op_, ": ", prefix_, "* : ", what));
  }

  const Tensor& variable(const LockedVariables& all, int i) const { return all.at(first_ + 1 + i); }
  int u_product() const { return first_ + 1 + count_ + slot_count_; }
  int slot_of(int i, int kind) const { return first_ + 1 + count_ + kind * count_ + i; }

  absl::Status check_layers(const LockedVariables& all) const {
    for (size_t i = 0; i < kernels_.size(); ++i) {
      const int kernel = kernels_[i], bias = biases_[i];
      if (kernel < 0 || kernel >= count_ || bias >= count_ || variable(all, kernel).dims() != 2) {
        return fault("kernels must be matrices among the variables");
      }
      if (bias >= 0 &&
          variable(all, bias).NumElements() != variable(all, kernel).dim_size(!transposed_[i])) {
        return fault("a bias must have a number for every unit");
      }
    }
    return absl::OkStatus();
  }

  fg_optimizer_tensor tensor(const LockedVariables& all, int i) const {
    fg_optimizer_tensor x = {};
    const Tensor& v = variable(all, i);
    x.dtype = code_of(v.dtype()), x.size = v.NumElements(), x.variable = v.data();
    x.decays = decayed_[i];
    for (size_t j = 0; j < slot_places_.size(); ++j) {
      x.slots[slot_places_[j]] = all.at(slot_of(i, j)).data();
    }
    return x;
  }

  const char* const op_;
  const std::string prefix_;
  // Of the op.
  std::vector<int> kernels_, biases_, corruptions_, sparsities_, slot_places_;
  std::vector<float> slopes_;
  int drawing_ = 0;  // layers that corrupt
  std::vector<fg_activation> activations_;
  int log_variance_ = -1;
  std::vector<bool> transposed_, decayed_;
  fg_optimizer optimizer_ = {};
  // Of a call.
  int first_ = 0, count_ = 0, slot_count_ = 0, u_count_ = 0;
  const Tensor *rates_ = nullptr, *numbers_ = nullptr, *amounts_ = nullptr, *seeds_ = nullptr;
  const Tensor* penalties_ = nullptr;
  std::vector<fg_mlp_layer> layers_;
};

inline fg_dtype image_code(DataType dtype) {
  return dtype == tensorflow::DT_UINT8 ? FG_UINT8 : code_of(dtype);
}

}  // namespace fastgen
