"""What trained networks answer (`predict`, needs torch) and how right that is (`scores`, NumPy only)."""
