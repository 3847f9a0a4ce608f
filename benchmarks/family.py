"""The rows of the autoencoder family. Their models are in members.py, which takes TensorFlow."""

# Of a `fit`: batch, steps, epochs, and how many times as fast as stock Keras' it is to be.
DENSE_FITS = (32, 64, 1, 3), (128, 32, 1, 2)
OTHER_FITS = (32, 16, 1, 1), (128, 8, 1, 1)
STACKED, SPARSE = "784-100-30-100-784", "784-100-300-100-784"
# Titles, and fits.
FAMILY = {
    "linear": ("linear, 3-2-3, 2 steps an epoch", ((30, 100, 50, 20),)),
    "stacked": (f"stacked, {STACKED}", DENSE_FITS),
    "tied": (f"tied, {STACKED}", DENSE_FITS),
    "denoising_gaussian": (f"denoising, Gaussian, {STACKED}", DENSE_FITS),
    "denoising_dropout": (f"denoising, dropout, {STACKED}", DENSE_FITS),
    "sparse_l1": (f"sparse, ℓ₁, {SPARSE}", DENSE_FITS),
    "sparse_kl": (f"sparse, KL, {SPARSE}", DENSE_FITS),
    "sparse_mse": (f"sparse, squared distance, {SPARSE}", DENSE_FITS),
    "overcomplete": ("overcomplete, 784-1568-784", DENSE_FITS),
    "hashing": ("hashing, 784-100-16-100-784", DENSE_FITS),
    "convolutional": ("convolutional, 16-32-64-[30]-32-16-1", OTHER_FITS),
    "recurrent": ("recurrent, LSTM 100-30-100", OTHER_FITS),
}
