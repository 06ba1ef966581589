"""How few requests a push makes, and that each of them proves what it must."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from typing import Any

import pytest

import sessionstore
from sessionstore import errors
from sessionstore.exchange.remote import claims, objects
from sessionstore.exchange.remote.places import FsspecPlace
from sessionstore.exchange.remote.transfer import push
from sessionstore.store import SessionStore
from tests.exchange.test_push_pull import (  # noqa: F401 fixtures
    _own_cache,
    contents,
    flights,
    memory,
    other,
    s3,
    s3_server,
)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each operation of S3 is called."""
    s3fs = pytest.importorskip("s3fs")
    counted: Counter[str] = Counter()
    real = s3fs.S3FileSystem._call_s3

    async def call(self: Any, method: str, *args: Any, **options: Any) -> Any:
        counted[getattr(method, "__name__", str(method))] += 1
        return await real(self, method, *args, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", __import__("fsspec").asyn.sync_wrapper(call))
    yield counted


def test_a_push_makes_one_request_a_file_and_one_a_session(
    store: SessionStore,
    s3: str,  # noqa: F811
    requests: Counter[str],
) -> None:
    flights(store, 12)
    files = sum(len(each) for each in contents(store).values())
    assert push(store, s3).count("copied") == 12
    assert sum(requests.values()) <= files + 12 + 11, requests
    requests.clear()
    assert push(store, s3).count("same") == 12
    assert sum(requests.values()) <= 4, requests


def test_files_that_stand_there_after_an_interrupted_push_are_not_read_or_sent_again(
    store: SessionStore,
    s3: str,  # noqa: F811
    requests: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flights(store, 1)

    def failing(self: FsspecPlace, data: bytes, name: str) -> bool:
        if name.endswith("session.json"):
            raise errors.RemoteUnavailable("cut")
        return real(self, data, name)

    real = FsspecPlace.send_data
    with monkeypatch.context() as patched:
        patched.setattr(FsspecPlace, "send_data", failing)
        with pytest.raises(errors.RemoteUnavailable):
            push(store, s3)
    requests.clear()
    assert push(store, s3).count("copied") == 1
    assert requests["put_object"] == 4 and requests["get_object"] <= 1, requests  # claim, record, two of the manifest


class _Listing:
    """A file system of S3 that holds keys and lists them as the service does: sorted, from a key on, a page."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = sorted(keys, key=str.encode)

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call_s3(self, method: str, Prefix: str, StartAfter: str, MaxKeys: int, **_: Any) -> dict[str, Any]:
        start = StartAfter.encode()
        rest = [key for key in self.keys if key.startswith(Prefix) and key.encode() > start]
        contents = [{"Key": key, "Size": len(key), "ETag": f'"{key}"'} for key in rest[:MaxKeys]]
        return {"Contents": contents, "IsTruncated": len(rest) > MaxKeys}


@pytest.mark.parametrize("base", ["bucket", "bucket/fleet"])
def test_a_page_of_a_listing_gives_whole_folders_only(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    names = ["Run-5", "Run-50", "Run-5-x", "Run-5ü", "A", "Z", "Run-6"]
    prefix = f"{base.partition('/')[2]}/".lstrip("/")
    covered = 0
    for _ in range(300):
        there = {name: {f"{n}.jsonl" for n in range(rng.randrange(4))} for name in rng.sample(names, 5)}
        keys = [f"{prefix}{name}/{file}" for name, files in there.items() for file in files]
        monkeypatch.setattr(objects, "PAGE", rng.randrange(1, 12))
        asked = rng.sample(names, 3)
        found = objects.below(_Listing([*keys, "elsewhere/x"]), base, asked, lambda request: request())
        covered += len(found)
        assert {name: set(files) for name, files in found.items()} == {name: there.get(name, set()) for name in found}
    assert covered > 300


def test_other_bytes_at_the_other_side_are_noticed_by_the_answer() -> None:
    def answered(**answer: str) -> bool:
        class Service(_Listing):
            def call_s3(self, method: str, **options: Any) -> dict[str, Any]:  # type: ignore[override]
                assert method == "put_object" and options["Body"] == b"sent"
                return dict(answer)

        return objects.send(Service([]), "bucket/key", b"sent", lambda request: request())

    assert answered(ETag=f'"{md5(b"sent").hexdigest()}"')
    assert not answered(ETag=f'"{md5(b"other").hexdigest()}"', ServerSideEncryption="aws:kms") and not answered()
    with pytest.raises(errors.RemoteUnavailable, match="other bytes"):
        answered(ETag=f'"{md5(b"other").hexdigest()}"')


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_pushes_of_the_same_sessions_at_once_do_not_wait_for_each_other_in_a_circle(
    kind: str,
    store: SessionStore,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = str(request.getfixturevalue(kind))
    monkeypatch.setattr(claims, "WAIT_S", 60.0)
    flights(store, 6)
    others = [sessionstore.open(store.root.path) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda each: push(each, url), [store, *others]))
    assert all(report.clean for report in reports), [report.outcomes for report in reports]
    assert sum(report.count("copied") for report in reports) == 6
    assert not FsspecPlace(url).files(claims.CLAIMS)
