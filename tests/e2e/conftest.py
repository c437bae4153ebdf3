"""One stack for all end-to-end tests; it is stopped, and checked to be gone, at the end."""

from collections.abc import Iterator

import pytest

from tests.e2e.stack import RunningStack

# Short enough to be missed by a run that sleeps, long enough for every other one.
DEADLINES = {"reconciliation_reminder": "20s", "generate_commission_report": "45s"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in item.nodeid:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("stack")
    # The database server runs as a user of its own when the tests run as root.
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)
    running = RunningStack(folder)
    try:
        running.start(deadlines=DEADLINES)
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def _no_failpoints(stack: RunningStack) -> Iterator[None]:
    stack.failpoints("")
    yield
    stack.failpoints("")
