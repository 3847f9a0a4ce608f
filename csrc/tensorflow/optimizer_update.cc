#include "kernels/optimizer_update.h"

#include <vector>

#include "tensorflow/locked_variables.h"

namespace fastgen {

using tensorflow::OpInputList;

REGISTER_OP("FastgenOptimizerUpdate")
    .Input("iterations: resource")
    .Input("variables: N * resource")
    .Input("slots: num_slots * resource")
    .Input("averages: num_averages * resource")
    .Input("accumulators: num_accumulators * resource")
    .Input("u_products: num_u_products * resource")
    .Input("gradients: dtypes")
    .Input("learning_rate: L")
    .Input("numbers: double")
    .Attr("N: int >= 1")
    .Attr("num_slots: int >= 0")
    .Attr("num_averages: int >= 0")
    .Attr("num_accumulators: int >= 0")
    .Attr("num_u_products: int >= 0")
    .Attr("dtypes: list({float, double}) >= 1")
    .Attr("L: {float, double}")
    .Attr("rule: {'sgd', 'rmsprop', 'adam', 'nadam'}")
    .Attr("variation: bool = false")
    .Attr("slot_places: list(int)")
    .Attr("clip: {'nothing', 'value', 'norm', 'global_norm'} = 'nothing'")
    .Attr("decayed: list(bool)")
    .Attr("ema_overwrite_frequency: int = 0")
    .Attr("accumulation_steps: int = 1")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      std::vector<ShapeHandle> rate;
      TF_RETURN_IF_ERROR(c->input("learning_rate", &rate));
      ShapeHandle unused;
      return c->WithRank(rate[0], 0, &unused);
    })
    .Doc(
        "One step of an optimizer, in place. variables: those with a gradient first. slots: all of "
        "the first kind, all of the second..., one a gradient, for places slot_places of "
        "fg_optimizer_tensor. averages, accumulators: none, or one a variable. numbers: momentum "
        "or beta_1, rho or beta_2, epsilon, weight decay, where to clip, loss scale, momentum of "
        "averages; on a GPU the host has them, and nothing else. See "
        "csrc/kernels/optimizer_update.h");

class OptimizerUpdateBase : public tensorflow::OpKernel {
 public:
  explicit OptimizerUpdateBase(tensorflow::OpKernelConstruction* ctx) : OpKernel(ctx) {
    std::string rule, clip;
    bool variation;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("rule", &rule));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("variation", &variation));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("clip", &clip));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("slot_places", &slot_places_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("decayed", &decayed_));
    OP_REQUIRES_OK(ctx,
                   ctx->GetAttr("ema_overwrite_frequency", &optimizer_.ema_overwrite_frequency));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("accumulation_steps", &optimizer_.accumulation_steps));
    optimizer_.rule = place_of(rule, {"sgd", "rmsprop", "adam", "nadam"});
    optimizer_.clip = place_of(clip, {"nothing", "value", "norm", "global_norm"});
    optimizer_.variation = variation;
    for (int place : slot_places_) {
      OP_REQUIRES(ctx, place >= 0 && place < 3,
                  absl::InvalidArgumentError("optimizer_update: slot_places must be 0 to 2"));
    }
  }

 protected:
  // The inputs, and where their variables stand among all: the iterations come first.
  struct Lists {
    OpInputList variables, slots, averages, accumulators, u_products, gradients;
    Tensor learning_rate, numbers;
    int first_slot, first_average, first_accumulator, first_u_product;

    absl::Status read(OpKernelContext* ctx) {
      TF_RETURN_IF_ERROR(ctx->input_list("variables", &variables));
      TF_RETURN_IF_ERROR(ctx->input_list("slots", &slots));
      TF_RETURN_IF_ERROR(ctx->input_list("averages", &averages));
      TF_RETURN_IF_ERROR(ctx->input_list("accumulators", &accumulators));
      TF_RETURN_IF_ERROR(ctx->input_list("u_products", &u_products));
      TF_RETURN_IF_ERROR(ctx->input_list("gradients", &gradients));
      learning_rate = ctx->input(ctx->num_inputs() - 2);
      numbers = ctx->input(ctx->num_inputs() - 1);
      first_slot = 1 + variables.size();
      first_average = first_slot + slots.size();
      first_accumulator = first_average + averages.size();
      first_u_product = first_accumulator + accumulators.size();
      return absl::OkStatus();
    }

    absl::Status look_up(OpKernelContext* ctx, LockedVariables* found) const {
      TF_RETURN_IF_ERROR(found->add(ctx, ctx->input(0)));
      for (const OpInputList* list : {&variables, &slots, &averages, &accumulators, &u_products}) {
        for (const Tensor& handle : *list) TF_RETURN_IF_ERROR(found->add(ctx, handle));
      }
      return absl::OkStatus();
    }
  };

  absl::Status check_counts(const Lists& in) const {
    const int n = in.variables.size(), m = in.gradients.size();
    const int averages = in.averages.size(), accumulators = in.accumulators.size();
    if (m <= n && in.slots.size() == m * (int)slot_places_.size() && (int)decayed_.size() == m &&
        (averages == 0 || averages == n) &&
        accumulators == (optimizer_.accumulation_steps > 1 ? n : 0) &&
        in.u_products.size() == (optimizer_.rule == FG_NADAM)) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer_update: expected a slot of each kind and a decayed for every gradient, an "
        "average and an accumulator for every variable or none. Received: ",
        n, " variables, ", m, " gradients, ", in.slots.size(), " slots of ", slot_places_.size(),
        " kinds, ", decayed_.size(), " decayed, ", averages, " averages, ", accumulators,
        " accumulators, ", in.u_products.size(), " u_products"));
  }

  // Everything is checked before anything is written.
  absl::Status check(const Lists& in, const LockedVariables& all) const {
    if (all.at(0).dtype() != tensorflow::DT_INT64 || all.at(0).NumElements() != 1) {
      return absl::InvalidArgumentError("optimizer_update: iterations must be one int64");
    }
    if (in.numbers.NumElements() != 7) {
      return absl::InvalidArgumentError("optimizer_update: numbers must be 7");
    }
    if (in.learning_rate.NumElements() != 1) {
      return absl::InvalidArgumentError("optimizer_update: learning_rate must be one number");
    }
    const int n = in.variables.size(), m = in.gradients.size();
    for (int i = 0; i < m; ++i) TF_RETURN_IF_ERROR(same("gradient", i, in.gradients[i], all, i));
    for (int i = 0; i < in.slots.size(); ++i) {
      TF_RETURN_IF_ERROR(same("slot", i % m, all.at(in.first_slot + i), all, i % m));
    }
    for (int i = 0; i < in.averages.size() + in.accumulators.size(); ++i) {
      const Tensor& x = all.at(in.first_average + i);
      TF_RETURN_IF_ERROR(same("average or accumulator", i % n, x, all, i % n));
    }
    for (int i = 0; i < in.u_products.size(); ++i) {
      const Tensor& u = all.at(in.first_u_product + i);
      if (!is_real(u.dtype()) || u.NumElements() != 1) {
        return absl::InvalidArgumentError("optimizer_update: u_product must be one real number");
      }
    }
    return absl::OkStatus();
  }

  std::vector<fg_optimizer_tensor> pointers(const Lists& in, const LockedVariables& all) const {
    const int n = in.variables.size(), m = in.gradients.size();
    std::vector<fg_optimizer_tensor> tensors(n);
    for (int i = 0; i < n; ++i) {
      fg_optimizer_tensor& x = tensors[i];
      const Tensor& variable = all.at(1 + i);
      x.dtype = code_of(variable.dtype());
      x.size = variable.NumElements();
      x.variable = variable.data();
      if (in.averages.size()) x.average = all.at(in.first_average + i).data();
      if (in.accumulators.size()) x.accumulator = all.at(in.first_accumulator + i).data();
      if (i >= m) continue;
      x.gradient = in.gradients[i].data();
      x.decays = decayed_[i];
      for (size_t j = 0; j < slot_places_.size(); ++j) {
        x.slots[slot_places_[j]] = all.at(in.first_slot + j * m + i).data();
      }
    }
    return tensors;
  }

  fg_optimizer numbers(const Lists& in, const LockedVariables& all, bool on_gpu) const {
    fg_optimizer o = optimizer_;
    const double* const x = in.numbers.flat<double>().data();
    const bool wide = in.learning_rate.dtype() == tensorflow::DT_DOUBLE;
    if (on_gpu) {
      o.device_iterations = (int64_t*)all.at(0).data();
      o.device_learning_rate = in.learning_rate.data();
      o.device_learning_rate_dtype = code_of(in.learning_rate.dtype());
    } else {
      o.iterations = all.at(0).flat<int64_t>()(0);
      o.learning_rate =
          wide ? in.learning_rate.flat<double>()(0) : in.learning_rate.flat<float>()(0);
    }
    o.momentum = x[0];
    o.rho = x[1];
    o.epsilon = x[2];
    o.weight_decay = x[3];
    o.clip_at = x[4];
    o.loss_scale = x[5];
    o.ema_momentum = x[6];
    if (in.u_products.size()) {
      o.u_product = all.at(in.first_u_product).data();
      o.u_product_dtype = code_of(all.at(in.first_u_product).dtype());
    }
    return o;
  }

 private:
  static bool is_real(DataType dtype) {
    return dtype == tensorflow::DT_FLOAT || dtype == tensorflow::DT_DOUBLE;
  }

  static absl::Status same(const char* name, int i, const Tensor& x, const LockedVariables& all,
                           int variable) {
    const Tensor& v = all.at(1 + variable);
    if (is_real(v.dtype()) && x.dtype() == v.dtype() && x.shape() == v.shape()) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer_update: ", name, " ", i, " must have the shape and the dtype of its variable, ",
        v.shape().DebugString(), " of float32 or float64. Received: ", x.shape().DebugString(),
        " of ", tensorflow::DataTypeString(x.dtype()), ", variable of ",
        tensorflow::DataTypeString(v.dtype())));
  }

  fg_optimizer optimizer_ = {};
  std::vector<int> slot_places_;
  std::vector<bool> decayed_;
};

template <class Device>
class OptimizerUpdateOp : public OptimizerUpdateBase {
 public:
  using OptimizerUpdateBase::OptimizerUpdateBase;
  void Compute(OpKernelContext* ctx) override {
    Lists in;
    OP_REQUIRES_OK(ctx, in.read(ctx));
    OP_REQUIRES_OK(ctx, check_counts(in));
    LockedVariables variables("optimizer_update");
    OP_REQUIRES_OK(ctx, in.look_up(ctx, &variables));
    OP_REQUIRES_OK(ctx, variables.lock());
    OP_REQUIRES_OK(ctx, check(in, variables));
    OP_REQUIRES_OK(ctx, variables.own_all<Device>(ctx));
    const std::vector<fg_optimizer_tensor> tensors = pointers(in, variables);
    const fg_optimizer optimizer = numbers(in, variables, Device::is_gpu);
    int applied = 0;
    OP_REQUIRES_OK(ctx, Device::run(ctx, FASTGEN_BOTH(optimizer_update), &optimizer, tensors.size(),
                                    tensors.data(), Device::is_gpu ? nullptr : &applied));
    if (!Device::is_gpu) *(int64_t*)variables.at(0).data() += applied;
  }
};

FASTGEN_REGISTER_OP("FastgenOptimizerUpdate", OptimizerUpdateOp, .HostMemory("numbers"));

}  // namespace fastgen
