"""The notebook of the documentation, run as Jupyter does: in a kernel, beside an asyncio loop."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TOUR = Path(__file__).parents[1] / "docs" / "notebooks" / "tour.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(TOUR, as_version=4)


@pytest.fixture(scope="module")
def cells(notebook, tmp_path_factory):
    """The code cells with their outputs."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(folder / name.lower()))
        client = NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown_by(cells, source):
    """What the cell that contains ``source`` shows: its last value, by kind."""
    (cell,) = (cell for cell in cells if source in cell.source)
    (output,) = cell.outputs
    assert output.output_type == "execute_result"
    return output.data


def test_it_is_stored_without_outputs():
    stored = nbformat.read(TOUR, as_version=4)
    nbformat.validate(stored)
    for cell in stored.cells:
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None)


def test_nothing_is_printed_and_no_cell_complains(cells):
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"execute_result"}


def test_a_fetch_shows_its_result(cells):
    html = shown_by(cells, 'fetch_profiles("users"')["text/html"]
    assert "5,000" in html
    assert "10 of 10" in html


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("GROUP BY plan", ["plan", "users", "free"]),
        ("by_plan.df()", ["plan", "users", "free", "dataframe"]),
        ("inspect(", ["users: 5,000 profiles", "$country_code", "100.0%"]),
        ("tables()", ["users", "5,000"]),
        ("runs()", ["users", "complete"]),
    ],
)
def test_what_the_destination_tells_is_a_table(cells, source, words):
    html = shown_by(cells, source)["text/html"]
    assert "<table" in html
    assert [word for word in words if word not in html] == []


def test_a_stream_is_read_in_a_cell(cells):
    assert "US" in shown_by(cells, "countries")["text/plain"]


def test_streams_beside_the_loop_of_the_kernel(cells):
    counts = json.loads(shown_by(cells, "asyncio.gather")["text/plain"])
    assert len(counts) == 2
    assert all(0 < count < 5000 for count in counts)
