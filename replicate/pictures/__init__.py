"""Pictures: where they come from, how they are decoded, and the store that trainings read (section 2).

The way: a source (drawn, a folder, a contest's archives, …) → `prepare` → a store of side×side×3 pictures with the
mean image → `pca` (section 4.1). Each step is a module of its own; those that need Numba are imported where they are
used.
"""

from replicate.pictures.pca import Pca
from replicate.pictures.store import Manifest, Split, Store, open_store

__all__ = ["Manifest", "Pca", "Split", "Store", "open_store"]
