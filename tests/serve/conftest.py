"""One running server for the tests of this folder, over models that are none."""

import pytest

for _package in ("starlette", "uvicorn", "python_multipart", "httpx"):
    pytest.importorskip(_package, reason="needs dacse[serve]")

from serving import HalfAsLoud, served  # noqa: E402


@pytest.fixture(scope="module")
def models():
    return HalfAsLoud()


@pytest.fixture(scope="module")
def client(models):
    with served(lambda: models, most_bytes=4_000_000) as client:
        yield client


@pytest.fixture
def fresh(client):
    """The same, without recordings of another test."""
    for one in client.get("/v1/recordings").json()["data"]:
        client.delete(f"/v1/recordings/{one['id']}")
    return client
