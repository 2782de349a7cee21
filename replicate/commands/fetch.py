"""`replicate fetch`."""

import click


@click.command()
@click.argument("name", metavar="imagenette", type=click.Choice(["imagenette"]))
def fetch(name: str) -> None:
    """Download pictures that the suite may download: Imagenette, ten classes of ImageNet (340 MB).

    They come from fast.ai's server through torchvision, with their shorter side at 320, and are recoded to the
    source `imagenette-256q60`: data/imagenette/source/imagenette2/{train,val}/CLASS/PICTURE. ImageNet does not own
    the copyright of its photographs; they are for non-commercial research and education.
    """
    from replicate import settings
    from replicate.pictures import recode

    click.echo(recode.fetch_imagenette(settings.load(name)))


command = fetch
