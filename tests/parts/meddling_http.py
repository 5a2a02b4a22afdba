"""The outbound seam, in which something happens at the place just before a call leaves."""

from collections.abc import Callable

from service.outbound_http import HttpClient, Request, Response


class MeddlingHttp(HttpClient):
    """Does `meddle` once, before a call of that method whose path ends so; `skip` such calls pass before."""

    def __init__(self, method: str, ending: str, meddle: Callable[[], object], skip: int = 0) -> None:
        super().__init__()
        self._skip = skip
        self._method = method
        self._ending = ending
        self._meddle: Callable[[], object] | None = meddle

    @property
    def meddled(self) -> bool:
        return self._meddle is None

    def send(self, request: Request) -> Response:
        path = request.url.partition("?")[0]
        if self._meddle is not None and request.method == self._method and path.endswith(self._ending):
            self._skip -= 1
            if self._skip < 0:
                meddle, self._meddle = self._meddle, None
                meddle()
        return super().send(request)
