"""Catalogues by name, address or path, and the search in them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from flora import transfer
from flora.errors import FloraError, InputError, RemoteError
from flora.transfer import BUSY, bare, is_web, patience, why_failed, why_refused

if TYPE_CHECKING:
    from pystac import Item
    from pystac_client import Client

Span = tuple[datetime, datetime]

# A search that finds more was not meant.
MOST_ITEMS: Final = 2000


@dataclass(frozen=True)
class Service:
    """A catalogue that FLoRA knows.

    Attributes:
        url: Its address.
        sar: Collections of Sentinel-1, the best first.
        optical: Collections of Sentinel-2, the best first.
    """

    url: str
    sar: tuple[str, ...]
    optical: tuple[str, ...]


SERVICES: Final = {
    "planetary-computer": Service(
        "https://planetarycomputer.microsoft.com/api/stac/v1", ("sentinel-1-rtc",), ("sentinel-2-l2a",)
    ),
    "earth-search": Service(
        "https://earth-search.aws.element84.com/v1", ("sentinel-1-grd",), ("sentinel-2-l2a",)
    ),
    "cdse": Service("https://stac.dataspace.copernicus.eu/v1", ("sentinel-1-grd",), ("sentinel-2-l2a",)),
}


class Catalog:
    """An open catalogue.

    Attributes:
        name: As it was asked for.
        service: What is known of it; None for one that is not in `SERVICES`.
    """

    def __init__(self, name: str) -> None:
        """Opens a catalogue.

        Args:
            name: A key of `SERVICES`, or the address or path of a STAC API or of a static catalogue.

        Raises:
            InputError: It is no catalogue.
            RemoteError: Its server does not give it.
        """
        self.name = name
        self.service = SERVICES.get(name)
        self.url = self.service.url if self.service else name
        if not is_web(self.url) and not Path(self.url).expanduser().is_file():
            raise InputError(
                f"Found no catalogue '{name}'; expected {', '.join(SERVICES)}, or the address or path of a STAC "
                "catalogue. Correct --catalog."
            )
        with _explained(self.url):
            self._client = _open(self.url)

    def search(self, area: BaseGeometry, span: Span | None, collections: tuple[str, ...]) -> list[Item]:
        """Finds items over an area and within a time, both ends included.

        Args:
            area: In longitude and latitude.
            span: First and last moment, UTC; None for any time.
            collections: Names; empty for all.

        Returns:
            Items in the order of time.

        Raises:
            InputError: There are far too many.
            RemoteError: The catalogue does not answer.
        """
        with _explained(self.url):
            found = list(self._found(area, span, collections))
        if len(found) > MOST_ITEMS:
            raise InputError(
                f"'{self.name}' has more than {MOST_ITEMS} items there and then; expected a search for one event. "
                "Narrow the area or the dates."
            )
        return sorted(found, key=time_of)

    def _found(self, area: BaseGeometry, span: Span | None, collections: tuple[str, ...]) -> Iterator[Item]:
        from pystac_client import ConformanceClasses

        if self._client.conforms_to(ConformanceClasses.ITEM_SEARCH):
            search = self._client.search(
                intersects=mapping(area),
                datetime=list(span) if span else None,
                collections=list(collections) or None,
                max_items=MOST_ITEMS + 1,
            )
            yield from search.items()
            return
        # A static catalogue is searched here.
        for item in self._client.get_items(recursive=True):
            inside = item.geometry is None or shape(item.geometry).intersects(area)
            wanted = not collections or item.collection_id is None or item.collection_id in collections
            if inside and wanted and (span is None or span[0] <= time_of(item) <= span[1]):
                yield item


def time_of(item: Item) -> datetime:
    """Gives when an item was taken, UTC; where only a span is said, its start.

    Raises:
        InputError: The item says no time.
    """
    time = item.common_metadata.start_datetime or item.datetime
    if time is None:
        raise InputError(f"Item '{item.id}' says no time; expected one. Take another catalogue.")
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)


def _open(url: str) -> Client:
    """Opens an API or a static catalogue with the patience of all our requests."""
    try:
        from pystac_client import Client
        from pystac_client.stac_api_io import StacApiIO
    except ImportError as error:
        raise InputError(
            "Searching catalogues needs the packages 'pystac-client' and 'odc-stac', which are not installed. Install "
            "them with pip install 'flora-sar[fetch]'."
        ) from error
    # The limits are named twice, since `open` sets its own over those of the reader it is given.
    limits = transfer.TIMEOUT
    return Client.open(url, stac_io=StacApiIO(timeout=limits, max_retries=patience()), timeout=limits)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns what STAC's readers raise into one sentence while its block runs."""
    try:
        with warnings.catch_warnings():
            # That a static catalogue cannot be searched by its server is no news.
            warnings.simplefilter("ignore")
            yield
    except FloraError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise (
            _not_a_catalog(url, error) if not isinstance(error, OSError) else _no_answer(url, error)
        ) from error
    except Exception as error:
        # The errors of pystac and pystac-client derive from Exception alone, and are not importable without them.
        if not type(error).__module__.startswith("pystac"):
            raise
        failed = type(error).__name__ == "APIError"
        raise _no_answer(url, error) if failed else _not_a_catalog(url, error) from error


def _no_answer(url: str, error: Exception) -> RemoteError:
    """Says what status or fault a request ended with."""
    import requests

    status = getattr(error, "status_code", None)
    if status is None:
        # After the last try only the text tells the status.
        status = next((code for code in BUSY if f"too many {code}" in str(error)), None)
    if status is not None:
        return RemoteError(why_refused(url, int(status)))
    return RemoteError(
        why_failed(url, requests.Timeout() if "timed out" in str(error) else requests.ConnectionError())
    )


def _not_a_catalog(url: str, error: Exception) -> InputError:
    return InputError(
        f"'{bare(url)}' is not a STAC catalogue ({type(error).__name__}: {str(error)[:120]}); expected one. Check "
        "--catalog."
    )
