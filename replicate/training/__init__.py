"""How a network is trained (sections 4 and 5): augmentation, update rule, schedule, the loop and its checkpoints."""
