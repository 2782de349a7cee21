"""`replicate pca`."""

import click

from replicate.commands.options import open_profile, profile_option


@click.command()
@profile_option
@click.option("--workers", type=click.IntRange(1, 1024), help="Threads; one per core if not given. The result is the same.")
def pca(profile_name: str, workers: int | None) -> None:
    """Principal components of the colours of all training pixels, for the colour noise (section 4.1).

    Writes the 3x3 covariance of the RGB values, its eigenvalues (in grey levels squared on 0..255, and for pixels
    in [0, 1]) and its eigenvectors to data/PROFILE/pca.json.
    """
    from replicate.pictures import pca as stage

    found = stage.compute(open_profile(profile_name), workers)
    deviations = ", ".join(f"{value:.1f}" for value in found.standard_deviations)
    click.echo(f"{found.pixels} pixels; standard deviations along the components: {deviations} grey levels")


command = pca
