"""Where videos, posters and captions are kept: a folder, or an object store such as S3.

The same classes serve the service's own store (VIDEO_STORE) and the archive connector.
"""

from service.video_store.errors import BadLocation, NotStored, StoreError, StoreFull
from service.video_store.keys import check_key, safe_segment
from service.video_store.location import open_store, refuse_slip
from service.video_store.store import ObjectStore, Progress, Stored

__all__ = [
    "BadLocation",
    "NotStored",
    "ObjectStore",
    "Progress",
    "StoreError",
    "StoreFull",
    "Stored",
    "check_key",
    "open_store",
    "refuse_slip",
    "safe_segment",
]
