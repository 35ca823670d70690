"""Verification of pairs of embeddings: accuracy, thresholds, ROC and TAR at FAR."""

from facerec.verification.protocols import PROTOCOLS
from facerec.verification.verify import VerificationResult, same_person, verify

__all__ = ["PROTOCOLS", "VerificationResult", "same_person", "verify"]
