"""The fixtures for other people's tests, and TLS, as the documentation shows them."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from b2sdk.v3 import B2Api, B2HttpApiConfig, InMemoryAccountInfo

from b2emulator.local import LocalB2
from support.emulator_process import emulator

PAGE = Path(__file__).parents[3] / "docs" / "local-b2.md"


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    """In a folder of its own, with nothing of this repository's tests."""
    conftest, example = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_example.py").write_text(example)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{example.count('def test_')} passed" in ran.stdout


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="X Y"):
        LocalB2("--memory", "--bucket", "X Y")


def test_tls_is_trusted_by_the_certificate_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    with emulator("--data", str(data), "--bucket", "first-bucket", "--tls") as running:
        ca = running.ready["ca_certificate"]
        assert running.realm.startswith("https://127.0.0.1:")
        assert stat_of(data / "tls" / "server.pem") == 0o600
        with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urlopen(running.realm)
        for host in ("127.0.0.1", "localhost"):
            url = f"https://{host}:{running.ready['port']}/"
            with urlopen(url, context=ssl.create_default_context(cafile=ca)) as page:
                assert page.status == 200
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        api = B2Api(InMemoryAccountInfo(), api_config=B2HttpApiConfig())
        api.authorize_account(
            running.ready["key_id"], running.ready["application_key"], running.realm
        )
        body = bytes(range(256)) * 1000
        api.get_bucket_by_name("first-bucket").upload_bytes(body, "f")
        stored = tmp_path / "f"
        api.get_bucket_by_name("first-bucket").download_file_by_name("f").save_to(stored)
        assert stored.read_bytes() == body
    with emulator("--data", str(data), "--tls") as again:
        # The same authority after a restart: what clients were told is still right.
        assert Path(again.ready["ca_certificate"]).read_text() == Path(ca).read_text()
        with urlopen(again.realm, context=ssl.create_default_context(cafile=ca)) as page:
            assert page.status == 200


def stat_of(path: Path) -> int:
    return path.stat().st_mode & 0o777
