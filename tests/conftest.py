"""A defect of the optimizer stops no user's program, but it fails every test that does not ask for `defects`."""

import os

import pytest

os.environ["RICCI_MACHINE"] = "default"  # what is chosen does not depend on a record of the machine that tests run on


@pytest.fixture
def defects(reports):
    """The texts of the reports that the test made ricci write."""
    return reports


@pytest.fixture(autouse=True)
def reports(request, monkeypatch):
    import ricci.defects

    written = []
    write = ricci.defects.write

    def kept(error, facts):
        remark = write(error, facts)
        with open(remark.rpartition(" ")[2], encoding="utf-8") as report:
            written.append(report.read())
        return remark

    monkeypatch.setattr(ricci.defects, "write", kept)
    yield written
    if "defects" not in request.fixturenames:
        assert not written, written[0]
