"""A reproducibility suite for Krizhevsky, Sutskever, Hinton (NIPS 2012)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("alexnet-replication")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "unknown"
