"""How a network is trained (sections 4 and 5): augmentation, update rule, schedule, the loop and its checkpoints."""

import os

LAUNCHED = "REPLICATE_LAUNCHED"  # set for the processes that `launch` starts, to the number of its own


def launched() -> bool:
    """Whether `launch` started this process and is still there to print its errors."""
    return os.environ.get(LAUNCHED) == str(os.getppid())


def processes() -> int:
    """How many processes work together, this one included, as `torchrun` or `launch` told it."""
    return int(os.environ.get("WORLD_SIZE", "1"))
