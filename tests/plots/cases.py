"""A model without training: the principal components of its images, scaled to variance 1."""

import numpy as np


class PrincipalComponents:
    """Encodes and decodes images `[n, *shape]` linearly, on NumPy alone."""

    def __init__(self, images, codings):
        self.shape = images.shape[1:]
        x = images.reshape(len(images), -1)
        self.mean = x.mean(0)
        _, deviations, axes = np.linalg.svd(x - self.mean, full_matrices=False)
        self.axes = axes[:codings] * (deviations[:codings, None] + 1e-6) / np.sqrt(len(images))
        self.inverse = np.linalg.pinv(self.axes)

    def encode(self, x):
        assert x.dtype != np.uint8
        return (x.reshape(len(x), -1) - self.mean) @ self.inverse

    def decode(self, codings):
        return (codings @ self.axes + self.mean).reshape(-1, *self.shape)

    def predict(self, x, verbose="auto"):
        return self.decode(self.encode(x))

    def generate(self, n, seed=None):
        return self.decode(np.random.RandomState(seed).normal(size=(n, len(self.axes))))


def shown(figure, number=0):
    """The pixels `[height, width, 4]` that the figure's axes of a number cover, as written."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    box = figure.axes[number].bbox
    top, left = round(len(pixels) - box.y1), round(box.x0)
    return pixels[top : top + round(box.height), left : left + round(box.width)]


def cells(figure, shape, size, number=0):
    """The pictures `[rows, columns, height, width, 4]` of a mosaic."""
    rows, columns = shape
    height, width = size
    pixels = shown(figure, number)
    gap = 4
    assert pixels.shape[:2] == (rows * (height + gap) - gap, columns * (width + gap) - gap)
    pictures = [
        [
            pixels[
                i * (height + gap) : i * (height + gap) + height,
                j * (width + gap) : j * (width + gap) + width,
            ]
            for j in range(columns)
        ]
        for i in range(rows)
    ]
    return np.array(pictures)


def grey(images, factor=2):
    """What float images `[..., height, width]` in [0, 1] look like, each pixel repeated."""
    levels = np.rint(255 * np.clip(images, 0, 1)).astype(int)
    levels = levels.repeat(factor, -1).repeat(factor, -2)
    return np.stack([levels] * 3 + [np.full_like(levels, 255)], -1)


def texts(figure):
    """What is written on a figure."""
    return [text.get_text() for text in figure.texts]
