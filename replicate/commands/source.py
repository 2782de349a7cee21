"""`replicate source`."""

import click

from replicate.commands.options import open_profile, profile_option


@click.command()
@profile_option
def source(profile_name: str) -> None:
    """Provide the pictures of a profile (section 2): draw them, unpack them, or look at what is there.

    What is at data/PROFILE/source, a folder or a link, follows from source.kind in the profile's parameters:

    \b
    drawn       nothing: drawn by the suite into data/PROFILE/pictures
    imagenette  imagenette2/ with train/ and val/, or the archives imagenette2-{train-1,train-2,val}.tar.xz;
                without it they may be in the folder that the environment variable REPLICATE_DATA names;
                or first: replicate fetch imagenette
    folder      {train,val}/CLASS/PICTURE
    ilsvrc2012  ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar, ILSVRC2012_devkit_t12.tar.gz
    ilsvrc2010  ILSVRC2010_images_train.tar, ILSVRC2010_devkit-1.0.tar.gz, and for source.evaluate
                val: ILSVRC2010_images_val.tar
                test: ILSVRC2010_images_test.tar, ILSVRC2010_test_ground_truth.txt
                (pictures in patch_images.tar, if that is there, replace those in the archives)
    kaggle      ILSVRC/Data/CLS-LOC/{train,val}, LOC_val_solution.csv, LOC_synset_mapping.txt
    cifar10     cifar-10-binary.tar.gz, or cifar-10-batches-bin/

    It is only ever read. The contests' archives are read where they lie and never unpacked. Those of an official
    source.name (ilsvrc2012, cifar10) are compared with the published MD5 sums; this and the list of the pictures in them
    are remembered in .replicate/archives, as long as the files do not change.
    """
    from replicate.pictures import sources

    click.echo(sources.provide(open_profile(profile_name)))


command = source
