from collections.abc import Iterator

import pytest

from support.browser import Page, browser, find_chromium


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("there is no Chromium here")
    with browser(chromium, tmp_path_factory.mktemp("browser")) as opened:
        yield opened
