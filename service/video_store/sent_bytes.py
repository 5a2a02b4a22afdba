"""What was sent to a store, by which to see whether the same arrived.

obstore signs each body with its SHA-256, which Amazon verifies and many a server that speaks like it does not; it
can't send the Content-MD5 that those would verify. But they answer with an entity tag that is made of what arrived.
"""

import hashlib
from collections.abc import Iterable, Iterator

# for finding damage, not attacks: whoever can change what is sent can change the answer, too
_md5 = hashlib.md5


class SentBytes:
    """Hashes of what passes `watched`, or of the one piece `data`.

    `part_bytes`: the size of the parts of a multipart upload, which S3's entity tag is made of.
    """

    def __init__(self, data: bytes = b"", *, part_bytes: int | None = None) -> None:
        self._sha256 = hashlib.sha256(data)
        self._part_bytes = part_bytes
        self._part, self._room = _md5(data, usedforsecurity=False), part_bytes or 0
        self._parts: list[bytes] = []

    def watched(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, seen in passing."""
        for chunk in chunks:
            self._sha256.update(chunk)
            self._see(memoryview(chunk))
            yield chunk

    @property
    def sha256(self) -> str:
        """In hex."""
        return self._sha256.hexdigest()

    @property
    def etag(self) -> str:
        """S3's entity tag, where the store doesn't encrypt with keys of its own: then it is a secret of the store.

        MD5 of the body, or of its parts' MD5s with their number (Amazon S3, "Checking object integrity").
        """
        if self._part_bytes is None:
            return f'"{self._part.hexdigest()}"'
        parts = [*self._parts, *([self._part.digest()] if self._room < self._part_bytes else [])]
        return f'"{_md5(b"".join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"'

    def _see(self, chunk: memoryview) -> None:
        while chunk:
            piece, chunk = chunk[: self._room], chunk[self._room :]
            self._part.update(piece)
            self._room -= len(piece)
            if not self._room:
                self._parts.append(self._part.digest())
                self._part, self._room = _md5(usedforsecurity=False), self._part_bytes or 0
