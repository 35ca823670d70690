"""From photographs to decisions: whether two show the same person, and who of a gallery is shown.

There is no liveness check, and nothing is kept: whoever calls decides about files.
"""

from facerec.recognise.recogniser import Recogniser

__all__ = ["Recogniser"]
