"""How a network is trained (sections 4 and 5): augmentation, update rule, schedule, the loop and its checkpoints."""

LAUNCHED = "REPLICATE_LAUNCHED"  # set for the processes that `launch` starts: their errors are its to print
