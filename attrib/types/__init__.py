"""Values that travel through attrib: clips, questions, annotations and saliency volumes.

All are frozen and validated when made. Times are seconds, boxes are normalised xyxy in [0, 1], intervals are half-open.
"""

from __future__ import annotations

from attrib.types.annotation import Absence, Counterfactual, Evidence, PointTrack, Role, Segment, SegmentKind, Track
from attrib.types.clip import Clip
from attrib.types.question import Question
from attrib.types.reply import Reply
from attrib.types.sample import Sample
from attrib.types.shot import Shot
from attrib.types.volume import Provenance, SaliencyVolume

__all__ = [
    "Absence",
    "Clip",
    "Counterfactual",
    "Evidence",
    "PointTrack",
    "Provenance",
    "Question",
    "Reply",
    "Role",
    "SaliencyVolume",
    "Sample",
    "Segment",
    "SegmentKind",
    "Shot",
    "Track",
]
