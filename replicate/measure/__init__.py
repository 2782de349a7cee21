"""How fast it is here, and how long it will take."""
