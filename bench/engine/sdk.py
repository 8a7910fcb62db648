"""The same work through b2sdk's own `Bucket`, 32 threads in one process: what a worker
without an engine of its own would do."""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from b2sdk.v3 import B2Api, B2HttpApiConfig, InMemoryAccountInfo


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=("up", "down", "copy"))
    options.add_argument("--secrets", type=Path, required=True)
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--bucket", required=True)
    options.add_argument("--prefix", default="bench/")
    options.add_argument("--threads", type=int, default=32)
    given = options.parse_args()
    secret = json.loads(given.secrets.read_text())
    api = B2Api(InMemoryAccountInfo(), api_config=B2HttpApiConfig(), max_upload_workers=32)
    api.authorize_account(secret["key_id"], secret["application_key"], realm=secret["realm"])
    bucket = api.get_bucket_by_name(given.bucket)

    def up(path: Path) -> None:
        bucket.upload_local_file(str(path), f"{given.prefix}{path.relative_to(given.folder)}")

    def down(found: tuple[str, str]) -> None:
        target = given.folder / found[1].removeprefix(given.prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        api.download_file_by_id(found[0]).save_to(str(target))

    def copy(found: tuple[str, str]) -> None:
        bucket.copy(found[0], f"copies/{found[1]}")

    with ThreadPoolExecutor(given.threads) as pool:
        if given.what == "up":
            list(pool.map(up, sorted(p for p in given.folder.rglob("*") if p.is_file())))
        else:
            files = [(v.id_, v.file_name) for v, _ in bucket.ls(given.prefix, recursive=True)]
            list(pool.map(down if given.what == "down" else copy, files))


if __name__ == "__main__":
    main()
