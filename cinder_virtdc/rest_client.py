"""The data centre's REST API, for programs that run with a user's rights.

The ``openstack`` client and the dashboard ask through it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import re
from typing import Any
import urllib.parse

from keystoneauth1 import exceptions as auth_exceptions

View = Mapping[str, Any]

SERVICE_TYPE = 'virtdc'
PAGE = 500
"""How many are asked for at once, whatever the user's limit."""
_VERSION = re.compile(r'/v1/?$')
_BUSY = frozenset({429, 503})


class ApiError(Exception):
    """The data centre has refused something, or nobody answers.

    Its text is the problem's sentence, each field at fault, the request id.

    :param status: of the answer; ``None``: there was none.
    :param code: for programs, as ``volume-in-use``.
    :param retry_s: after how many seconds to ask again, if that may help.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = '',
        retry_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_s = retry_s


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list.

    :param marker: where the rest begins; ``None``: there is none.
    """

    items: list[View]
    marker: str | None


class Client:
    """Asks the agents' REST API.

    :param api: a keystoneauth ``Adapter``, or what does as it does.
    :cvar error: what is raised.
    :cvar no_endpoint: what is said when the catalog does not name a data
        centre.
    :cvar unauthenticated: what is added when the token is not taken.
    :raises ApiError: from every call.
    """

    error: type[ApiError] = ApiError
    no_endpoint = f'The catalog has no service of type {SERVICE_TYPE}.'
    unauthenticated = 'Sign in again.'

    def __init__(self, api: Any) -> None:
        self._api = api
        self._base: str | None = None

    def get(self, path: str, query: View | None = None) -> Any:
        """Read something."""
        return self._ask('GET', path, query=query)

    def post(
        self,
        path: str,
        body: View | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Have something done."""
        return self._ask('POST', path, body=body, headers=headers)

    def page(
        self,
        path: str,
        key: str,
        query: View | None = None,
        *,
        limit: int | None = None,
        marker: str | None = None,
        wanted: Callable[[View], bool] = lambda item: True,
        until: Callable[[View], bool] = lambda item: False,
    ) -> Page:
        """Return the first of a list, as many pages as it takes.

        :param key: under which a page has its items.
        :param limit: how many at most; ``None``: all.
        :param wanted: picks items; the others do not count.
        :param until: the first item that is not of interest, nor any later.
        """
        found: list[View] = []
        while True:
            left = None if limit is None else limit - len(found)
            if left == 0:
                return Page(items=found, marker=marker)
            answer = self.get(
                path,
                {
                    **(query or {}),
                    'marker': marker,
                    'limit': PAGE if left is None else min(left, PAGE),
                },
            )
            for item in answer[key]:
                if until(item):
                    return Page(items=found, marker=None)
                if wanted(item):
                    found.append(item)
            marker = answer.get('next_marker')
            if marker is None:
                return Page(items=found, marker=None)

    def items(self, path: str, key: str, query: View) -> Iterator[View]:
        """Yield a whole list, page by page."""
        yield from self.page(path, key, query).items

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: View | None = None,
        body: View | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        given = {
            name: value
            for name, value in (query or {}).items()
            if value is not None and value != ''
        }
        try:
            response = self._api.request(
                self._prefix() + path,
                method,
                params=given,
                json=body,
                headers={'Accept': 'application/json', **(headers or {})},
                raise_exc=False,
            )
        except (
            auth_exceptions.EndpointNotFound,
            auth_exceptions.EmptyCatalog,
        ) as exc:
            raise self.error(self.no_endpoint) from exc
        except auth_exceptions.ConnectFailure as exc:
            raise self.error(
                f'No data centre answers at {self._api.get_endpoint()}: is '
                'the address right, and does an agent serve its API there?'
            ) from exc
        except auth_exceptions.ConnectTimeout as exc:
            raise self.error(
                f'The data centre at {self._api.get_endpoint()} does not '
                'answer in time: ask again later.'
            ) from exc
        except auth_exceptions.ClientException as exc:
            raise self.error(
                f'The data centre cannot be asked: {exc}'
            ) from exc
        if response.status_code < 300:
            return self._json(response, method, path)
        raise self._refusal(response, method, path)

    def _prefix(self) -> str:
        """Return what is missing of the path in the endpoint's address."""
        if self._base is None:
            try:
                endpoint = self._api.get_endpoint()
            except auth_exceptions.ClientException as exc:
                raise self.error(
                    f'The data centre cannot be found: {exc}'
                ) from exc
            if not endpoint:
                raise self.error(self.no_endpoint)
            self._base = '' if _VERSION.search(endpoint) else '/v1'
        return self._base

    def _json(self, response: Any, method: str, path: str) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise self.error(
                f'{method} {path} was answered with something else than JSON: '
                'the address is not that of a data centre.',
                status=response.status_code,
            ) from None

    def _refusal(self, response: Any, method: str, path: str) -> ApiError:
        """Return the error of an answer: all that a person can act on."""
        status = response.status_code
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, Mapping) or 'detail' not in problem:
            return self.error(
                f'{method} {path} was answered {status}: '
                f'{response.text.strip()[:200] or response.reason}',
                status=status,
                retry_s=_retry(response),
            )
        lines = [str(problem['detail'])]
        # The sentence names the field if there is only one.
        errors = problem.get('errors') or ()
        if len(errors) > 1:
            lines += [f'  {one["field"]}: {one["detail"]}' for one in errors]
        if status == 401:
            lines.append(self.unauthenticated)
        request_id = problem.get('request_id')
        return self.error(
            '\n'.join(lines)
            + f' (HTTP {status}{f", {request_id}" if request_id else ""})',
            status=status,
            code=str(problem.get('code', '')),
            retry_s=_retry(response),
        )


def path_of(*parts: str) -> str:
    """Return a path of which no part can be more than itself."""
    return '/' + '/'.join(urllib.parse.quote(part, safe='') for part in parts)


def _retry(response: Any) -> float | None:
    if response.status_code not in _BUSY:
        return None
    text = response.headers.get('Retry-After', '')
    return float(text) if text.isascii() and text.isdigit() else 5.0
