"""What Keras leaves out of its files: the states of seeds."""


class SavedSeeds:
    """Mixin before `keras.Model`: in its files are the states of its seeds, and of its layers'.

    So the noise and the order of images of a training that goes on from a file are those of one
    that never stopped.
    """

    def save_own_variables(self, store):
        """Save what no layer saves."""
        super().save_own_variables(store)
        for name, state in self._seed_states().items():
            store[name] = state.numpy()

    def load_own_variables(self, store):
        """Load it."""
        states = self._seed_states()
        others = [name for name in store.keys() if name not in states]  # noqa: SIM118, no __iter__
        super().load_own_variables({name: store[name] for name in others})
        for name, state in states.items():
            if name in store:  # not so in files of before
                state.assign(store[name])

    def _seed_states(self):
        found = [g.state for layer in self._flatten_layers() for g in layer._seed_generators]
        return {f"seed_{i}": state for i, state in enumerate(found)}
