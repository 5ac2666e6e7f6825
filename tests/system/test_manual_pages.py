"""The manual pages as their readers see them: clean for mandoc, one footer, and quotes that close,
in man-db as in mandoc."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

PAGES = sorted((pathlib.Path(__file__).parents[2] / "man").glob("*.[0-9]"))
needs_mandoc = pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc on this machine")
needs_man = pytest.mark.skipif(shutil.which("man") is None, reason="no man on this machine")
READERS = [
    pytest.param(["mandoc", "-T", "utf8", "-O", "width=100"], marks=needs_mandoc, id="mandoc"),
    pytest.param(["man", "-l"], marks=needs_man, id="man"),
]


def rendered(reader, page):
    env = {**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    shown = subprocess.run([*reader, page], capture_output=True, text=True, check=True, env=env).stdout
    return re.sub(r"\x1b\[[0-9;]*m|.\x08", "", shown)


@needs_mandoc
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_is_clean(page):
    call = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
    assert (call.returncode, call.stdout) == (0, "")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_quote_closes_before_the_next_opens(page, reader):
    quotes = re.findall("[‘’]", rendered(reader, page))
    assert quotes == ["‘", "’"] * (len(quotes) // 2)
    assert quotes


@needs_mandoc
@needs_man
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_both_readers_quote_the_same(page):
    """man-db closes a quote at the end of a table's row, for one."""
    quoted = [
        [re.sub(r"[\s\u2010-]+", "", text) for text in re.findall("‘([^’]*)’", rendered(reader.values[0], page))]
        for reader in READERS
    ]
    assert quoted[0] == quoted[1]


@pytest.mark.parametrize("reader", READERS)
def test_all_pages_have_the_same_footer(reader):
    footers = {rendered(reader, page).rstrip().splitlines()[-1].split()[0] for page in PAGES}
    assert footers == {"Portolan"}
