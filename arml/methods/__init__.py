"""Methods that need something of their own: one folder each, registered on import.

What two methods share lives in the common folders (``arml.models``, ``arml.pseudo``, ...); ARML itself
is built from those. See ``docs/architecture.md`` for the seams.
"""

import arml.methods.gradcam_plus_plus
import arml.methods.mlps
import arml.methods.oeem  # noqa: F401
