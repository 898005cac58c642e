"""The noise of the forward process."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from diffrec.diffusion import GaussianProcess, noise_betas
from diffrec.plots.model_arguments import named_models
from diffrec.plots.style import dress, legend, line_of, new_figure, whole_ticks
from diffrec.recommenders import DiffRec


def schedule(models: DiffRec | Mapping[str, DiffRec]) -> Figure:
    r"""Draw the noise schedule over the steps t = 1 ... T.

    The forward step t adds noise of variance beta_t (eq. 1 of the paper); after it x_t holds the share alpha_bar_t of
    x_0's variance, the product of 1 - beta up to t (eq. 2); the signal-to-noise ratio alpha_bar_t / (1 - alpha_bar_t)
    weighs the steps in the loss (eq. 10). "linear-var" lets 1 - alpha_bar_t grow linearly (eq. 4).

    Parameters
    ----------
    models : DiffRec or mapping of name to DiffRec
        Fitted or not: the settings alone decide.

    Returns
    -------
    matplotlib.figure.Figure
        Panels for beta_t, alpha_bar_t and the signal-to-noise ratio, the first and the last on logarithmic axes.

    Raises
    ------
    TypeError
        When a model is no DiffRec.
    ValueError
        When a model adds no noise: ``noise_scale=0``.

    Examples
    --------
    >>> import diffrec
    >>> linear = diffrec.DiffRec(steps=40, noise_scale=0.1)
    >>> cosine = diffrec.DiffRec(steps=40, noise_schedule="cosine")
    >>> figure = diffrec.plots.schedule({"linear-var": linear, "cosine": cosine})
    >>> [axes.get_yscale() for axes in figure.axes]
    ['log', 'linear', 'log']
    """
    named = named_models(models, DiffRec)
    for name, model in named.items():
        if model.settings.noise_scale == 0:
            raise ValueError(f"models must add noise to draw its schedule, got noise_scale=0 in {name!r}")
    figure = new_figure(9.6, 3.2)
    panels = figure.subplots(1, 3)
    for place, (name, model) in enumerate(named.items()):
        s = model.settings
        process = GaussianProcess(noise_betas(s.noise_schedule, s.steps, s.noise_scale, s.noise_min, s.noise_max))
        steps = range(1, s.steps + 1)
        for axes, values in zip(panels, (process.betas, process.alphas_bar, process.snr), strict=True):
            axes.plot(steps, values.numpy(), label=name, **line_of(place, s.steps))
    titles = (
        ("noise added by a step", r"$\beta_t$"),
        ("what is left of the signal", r"$\bar{\alpha}_t$"),
        ("signal-to-noise ratio", r"$\bar{\alpha}_t\,/\,(1 - \bar{\alpha}_t)$"),
    )
    for axes, (title, y) in zip(panels, titles, strict=True):
        dress(axes, x="step t", y=y, title=title)
        axes.set_yscale("linear" if axes is panels[1] else "log")
        whole_ticks(axes.xaxis, 6)
    # An offset would hide what little a weak schedule takes away.
    panels[1].ticklabel_format(axis="y", useOffset=False)
    if len(named) > 1:
        legend(panels[0])
    return figure
