"""Telling what network a model is: what it calls, as a list of layers, held against the descriptions.

- `subject` opens the model, `trace` records what it calls, `recognise` knows calls that are layers, `behaviour` tells by
  trying what a stretch of other calls does, `chain` puts all in one row, `training` lays evaluation beside training, `seen`
  is the layer of both sides, `weights_file` reads the shapes in a file of weights, `compare` sets a model beside the networks.
"""
