"""What the fused optimizers share: one op does the whole `apply` of Keras' optimizer."""

import keras
import tensorflow as tf

from fastgen import ops
from fastgen.ops import optimizer_rules

# What the op does in place of Keras' optimizer: a subclass that overrides any of it means it.
BYPASSED = (
    "update_step",
    "assign",
    "assign_add",
    "assign_sub",
    "iterations",
    "_all_reduce_sum_gradients",
    "_apply_weight_decay",
    "_backend_apply_gradients",
    "_backend_increment_gradient_accumulators",
    "_backend_reset_gradient_accumulators",
    "_backend_update_step",
    "_clip_by_norm",
    "_clip_gradients",
    "_distributed_tf_update_step",
    "_overwrite_model_variables_with_average_value",
    "_overwrite_variables_directly_with_gradients",
    "_update_model_variables_moving_average",
)


class FusedUpdate:
    """Mixin before a Keras optimizer: `apply` is one op where there is a kernel.

    Clipping, weight decay, accumulated gradients, moving averages and the count of iterations are
    part of it. Constraints follow it as stock ops. Keras' own update runs under XLA, under
    `tf.distribute`, for sparse gradients, for 16-bit variables, and where a subclass has a method
    of its own in place of one that the op does the work of.

    With a `loss_scale_factor`, a gradient that is not finite, in any replica, keeps all replicas
    from their step. Keras' `LossScaleOptimizer` decides for itself, by its first replica alone.
    """

    fused_ops = ("optimizer_update",)

    def __repr__(self):
        # The class says keras.optimizers, for Keras' files: see stands_in.
        return f"<fastgen.optimizers.{type(self).__name__} {self.name!r}>"

    def __reduce__(self):
        # As Keras, but by a class that pickle finds under its name.
        return keras.optimizers.Optimizer._unpickle_model, super().__reduce__()[1]

    def _rule(self):
        """The rule's arguments for `ops.optimizer_update`; `slots`: place → list of variables."""
        raise NotImplementedError

    def steps_in_a_kernel(self):
        """Whether a kernel that trains a network may make the steps: no `apply` is called then."""
        return not _overridden(type(self), (*BYPASSED, "apply"))

    @tf.autograph.experimental.do_not_convert
    def apply(self, grads, trainable_variables=None):
        """Update the variables by their gradients.

        Args:
            grads: list of gradients, tensors or None.
            trainable_variables: their variables; by default those the optimizer was built with.
        """
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            if grads and not self.built:
                with keras.name_scope(self.name, caller=self):
                    self.build(trainable_variables)
        variables = (
            self._trainable_variables if trainable_variables is None else trainable_variables
        )
        if self.built and len(grads) == len(variables) and self._fits(grads, variables):
            self._check_variables_are_known(variables)
            with keras.name_scope(self.name, caller=self):
                if self._apply_fused(grads, variables):
                    return
        if self.loss_scale_factor is None:
            super().apply(grads, trainable_variables)
        else:
            _where_finite(super().apply, grads, trainable_variables)

    def _fits(self, grads, variables):
        """Whether the op can do what Keras would do with these gradients."""
        if _distributed(self) or _overridden(type(self), BYPASSED):
            return False
        values = [_value(v) for v in (*variables, *self._trainable_variables)]
        given = values[: len(variables)]
        return (
            any(g is not None for g in grads)
            and all(g is None or tf.is_tensor(g) for g in grads)
            and not any(isinstance(g, tf.IndexedSlices) for g in grads)
            and all(hasattr(v, "handle") and v.dtype.is_floating for v in values)
            and not any(map(self._overwrite_variable_with_gradient, self._trainable_variables))
            and len({id(v) for v in given}) == len(given)
        )

    def _apply_fused(self, grads, variables):
        kept_up = self.use_ema or self.gradient_accumulation_steps
        grads, variables = self._filter_empty_gradients(grads, variables)
        places = [self._get_variable_index(v) for v in variables]
        if kept_up:  # those without a gradient, too
            places += [i for i in range(len(self._trainable_variables)) if i not in set(places)]
        values = [_value(self._trainable_variables[i]) for i in places]
        rule = self._rule()
        slots = rule.pop("slots")
        done = ops.optimizer_update(
            iterations=_value(self._iterations),
            variables=values,
            gradients=[tf.cast(g, v.dtype) for g, v in zip(grads, values, strict=False)],
            slots=[[_value(kind[i]) for i in places[: len(grads)]] for kind in slots.values()],
            slot_places=list(slots),
            learning_rate=lambda: self.learning_rate,
            loss_scale=self.loss_scale_factor or 0.0,
            **rule,
            **optimizer_rules.clip(self),
            **self._decay(values[: len(grads)]),
            **self._accumulation(places),
        )
        if done:
            self._constrain(grads, [v for v in variables if v.constraint is not None])
        return done

    def _constrain(self, grads, variables):
        def constrain():
            for variable in variables:
                variable.assign(variable.constraint(variable))

        if variables and self.loss_scale_factor:  # a step that was skipped leaves all as it is
            tf.cond(_finite(grads), constrain, lambda: None)
        else:
            constrain()

    def _decay(self, values):
        if not self.weight_decay:
            return {}
        decayed = [self._use_weight_decay(v) for v in values]
        return {"weight_decay": self.weight_decay, "decayed": decayed}

    def _accumulation(self, places):
        arguments = {}
        if self.use_ema:
            averages = [_value(self._model_variables_moving_average[i]) for i in places]
            arguments = {
                "averages": averages,
                "ema_momentum": self.ema_momentum,
                "ema_overwrite_frequency": self.ema_overwrite_frequency or 0,
            }
        if self.gradient_accumulation_steps:
            arguments["accumulators"] = [_value(self._accumulated_gradients[i]) for i in places]
            arguments["accumulation_steps"] = self.gradient_accumulation_steps
        return arguments


def _value(variable):
    """The `tf.Variable`; no variable where Keras hands out another value in its place."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def _distributed(optimizer):
    return tf.distribute.has_strategy() or optimizer._distribution_strategy.extended is not (
        tf.distribute.get_strategy().extended
    )


def _overridden(cls, names):
    """Whether a class below ours has one of these methods of its own."""
    below = cls.__mro__[: cls.__mro__.index(FusedUpdate) - 1]
    return any(name in vars(c) for c in below for name in names)


def _where_finite(update, grads, variables):
    """Make Keras' update if the gradients of all replicas are finite; else none does anything."""
    finite, replica = _finite(grads), tf.distribute.get_replica_context()
    if replica is None or not tf.distribute.has_strategy():
        tf.cond(finite, lambda: update(grads, variables), lambda: None)
        return

    # The update merges the replicas, which no branch of one may do: the branch is that of all.
    def decide(strategy, finite, grads, variables):
        def step():
            strategy.extended.call_for_each_replica(update, args=(grads, variables))

        tf.cond(strategy.experimental_local_results(finite)[0], step, lambda: None)

    others = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32))
    replica.merge_call(decide, args=(others == 0, grads, variables))


def _finite(grads):
    values = [getattr(g, "values", g) for g in grads if g is not None]  # of sparse ones, too
    return tf.reduce_all([True, *(tf.reduce_all(tf.math.is_finite(v)) for v in values)])
