"""What every plot promises: a figure, the same bytes each time, one whole file, no pyplot."""

import doctest
import inspect

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import fastgen.models
import fastgen.plots

DENSE = fastgen.models.stacked_autoencoder(codings=3, hidden=(9,), seed=0)
ROWS = [
    {"op": "gan_step", "path": "fused", "shape": "30-784 and 784-1, batch 32", "total": 4e-3},
    {"op": "MatMul", "path": "stock", "shape": "", "total": 1e-3},
]
PLOTS = {
    "contact_sheet": lambda model, x, y, **how: fastgen.plots.contact_sheet(model, x, y, **how),
    "denoising": lambda model, x, y, **how: fastgen.plots.denoising(model, x, 1 - x, **how),
    "filters": lambda model, x, y, **how: fastgen.plots.filters(DENSE, **how),
    "gallery": lambda model, x, y, **how: fastgen.plots.gallery(
        {"Few": fastgen.plots.image_grid(x[:5]), "Many": fastgen.plots.image_grid(x[:30])}, **how
    ),
    "history": lambda model, x, y, **how: fastgen.plots.history({"loss": [2.0, 1.0]}, **how),
    "image_grid": lambda model, x, y, **how: fastgen.plots.image_grid(x[:5], **how),
    "interpolation": lambda model, x, y, **how: fastgen.plots.interpolation(
        model, x[0], x[1], **how
    ),
    "interpolation_grid": lambda model, x, y, **how: fastgen.plots.interpolation_grid(
        model, x[:4], **how
    ),
    "latent_arithmetic": lambda model, x, y, **how: fastgen.plots.latent_arithmetic(
        model, x[y == 8], x[y == 3], x[y == 5], **how
    ),
    "latent_map": lambda model, x, y, **how: fastgen.plots.latent_map(model, x[:60], y[:60], **how),
    "profile": lambda model, x, y, **how: fastgen.plots.profile(ROWS, **how),
    "reconstructions": lambda model, x, y, **how: fastgen.plots.reconstructions(model, x, **how),
    "samples": lambda model, x, y, **how: fastgen.plots.samples(model, 9, seed=3, **how),
}


def test_all_are_here():
    assert sorted(PLOTS) == fastgen.plots.__all__


@pytest.fixture(params=PLOTS)
def draw(request, model, digits):
    """A plot of digits: call it with `path`."""
    return lambda **how: PLOTS[request.param](model, *digits, **how)


def test_returns_a_figure_and_writes_nothing(draw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure = draw()
    assert type(figure) is Figure and isinstance(figure.canvas, FigureCanvasAgg)
    assert list(tmp_path.iterdir()) == []


def test_the_same_bytes_each_time(draw, tmp_path):
    figure = draw(path=tmp_path / "one.png")
    draw(path=str(tmp_path / "two.png"))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == tuple(np.rint(figure.get_size_inches() * 100).astype(int))
        # Neither a date nor a version of matplotlib.
        assert set(picture.info) == {"dpi"}


def test_text_stays_on_the_page(draw):
    figure = draw()
    renderer = figure.canvas.get_renderer()
    width, height = figure.canvas.get_width_height()
    figure.draw_without_rendering()
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
        for axes in figure.axes:
            assert not box.overlaps(axes.bbox), text


def test_a_wrong_suffix_is_refused(draw, tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.png\. Received: .*map\.pdf"):
        draw(path=tmp_path / "map.pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "old.png").write_bytes(b"old")

    def fail(self, file, **how):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        fastgen.plots.image_grid(np.zeros((1, 2, 2)), path=tmp_path / "old.png")
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"old"


@pytest.mark.parametrize("name", fastgen.plots.__all__)
def test_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plot = getattr(fastgen.plots, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(plot, name, globs={})
    assert test.examples and not doctest.DocTestRunner().run(test).failed
    assert len(list(tmp_path.glob("*.png"))) == 1
    assert "path" in inspect.signature(plot).parameters


def test_pyplot_stays_out(run_python):
    run_python(
        "import sys, numpy, fastgen.plots\n"
        "fastgen.plots.history({'loss': [1.0]})\n"
        "fastgen.plots.image_grid(numpy.zeros((4, 3, 3)))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tensorflow' not in sys.modules"
    )


def test_without_matplotlib(run_python):
    output = run_python(
        "import sys; sys.modules['matplotlib'] = None\n"
        "try:\n    import fastgen.plots\n"
        "except ImportError as error:\n    print(error)"
    )
    assert output.strip().endswith("pip install 'fastgen[plots]'")


@pytest.mark.parametrize("shape", [(9,), (6, 5), (6, 5, 1), (6, 5, 3)])
def test_a_real_model_of_any_images(shape, tmp_path):
    """The bytes are the same in between, whatever else the model has drawn."""
    vae = fastgen.models.variational_autoencoder(shape, codings=3, hidden=(8,), seed=1)
    images = np.random.RandomState(0).random_sample((12, *shape)).astype("float32")
    labels = np.arange(12) % 2
    for name in ("contact_sheet", "latent_map"):
        plot = getattr(fastgen.plots, name)
        plot(vae, images, labels, path=tmp_path / "one.png")
        vae.generate(2)
        vae.predict(images, verbose=0)
        plot(vae, images, labels, path=tmp_path / "two.png")
        assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
