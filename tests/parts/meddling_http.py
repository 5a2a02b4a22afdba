"""The outbound seam, in which something happens at the place just before a call leaves."""

from collections.abc import Callable

from service.outbound_http import HttpClient, Request, Response


class MeddlingHttp(HttpClient):
    """Does `meddle` once, before the first call of that method whose path ends so."""

    def __init__(self, method: str, ending: str, meddle: Callable[[], object]) -> None:
        super().__init__()
        self._method = method
        self._ending = ending
        self._meddle: Callable[[], object] | None = meddle

    @property
    def meddled(self) -> bool:
        return self._meddle is None

    def send(self, request: Request) -> Response:
        path = request.url.partition("?")[0]
        if self._meddle is not None and request.method == self._method and path.endswith(self._ending):
            meddle, self._meddle = self._meddle, None
            meddle()
        return super().send(request)
