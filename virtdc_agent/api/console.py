"""Serves the files of the web console, and lets them do nothing else.

They are static: whatever they show comes through the API, with the rights of
who looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import http
from pathlib import Path

import falcon

from virtdc_agent.api import problems

PREFIX = '/console/'
FOLDER = Path(__file__).parent / 'static'
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; "
    # Nothing can be made markup that was text: no names of volumes, either.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_INDEX = 'index.html'
_TYPES = {
    '.css': 'text/css; charset=utf-8',
    '.html': 'text/html; charset=utf-8',
    '.ico': 'image/x-icon',
    '.js': 'text/javascript; charset=utf-8',
    '.json': 'application/json',
    '.png': 'image/png',
    '.svg': 'image/svg+xml',
    '.woff2': 'font/woff2',
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as it is served."""

    content: bytes
    media_type: str
    etag: str


class Files:
    """All files of a folder, read once: no path leads anywhere else.

    :param folder: of files of known types, in it or below.
    """

    def __init__(self, folder: Path) -> None:
        self._files: Mapping[str, File] = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob('*'))
            if path.is_file() and path.suffix in _TYPES
        }

    @property
    def has_page(self) -> bool:
        """Whether there is a console at all."""
        return _INDEX in self._files

    def serve(
        self, req: falcon.Request, resp: falcon.Response, **path: str
    ) -> None:
        """Answer with a file, or that the browser has it already."""
        if req.method not in ('GET', 'HEAD'):
            raise falcon.HTTPMethodNotAllowed(['GET', 'HEAD'])
        name = path['name'] or _INDEX
        file = self._files.get(name)
        if file is None:
            raise problems.not_found('file', name[:64])
        resp.set_header('Content-Security-Policy', POLICY)
        resp.set_header('Cache-Control', 'no-cache')
        resp.set_header('ETag', file.etag)
        if req.get_header('If-None-Match') == file.etag:
            resp.status = http.HTTPStatus.NOT_MODIFIED
            return
        resp.content_type = file.media_type
        resp.data = file.content


@dataclasses.dataclass(frozen=True, slots=True)
class Door:
    """Leads from ``/console`` to the page."""

    is_public: bool = True

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Go there."""
        raise falcon.HTTPPermanentRedirect(PREFIX)


def add_to(app: falcon.App[falcon.Request, falcon.Response]) -> None:
    """Serve the console, if there is one."""
    files = Files(FOLDER)
    if not files.has_page:
        return
    app.add_route(PREFIX.rstrip('/'), Door())
    app.add_sink(files.serve, f'{PREFIX}(?P<name>.*)')


def _read(path: Path) -> File:
    content = path.read_bytes()
    return File(
        content=content,
        media_type=_TYPES[path.suffix],
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    )
