"""Somebody's own Ray Data pipeline: `ADDRESS MODEL SOURCE TARGET ...`; prints the outcomes as JSON."""

import json
import sys

import ray

from dacse_cli.api.ray_data import EnhanceFiles


def main(address, model, *names):
    ray.init(address=address, log_to_driver=False)
    rows = [
        {"source": source, "target": target} for source, target in zip(names[::2], names[1::2], strict=True)
    ]
    done = ray.data.from_items(rows).map_batches(
        EnhanceFiles,
        fn_constructor_kwargs={"model": model, "device": "cpu", "dtype": "float32"},
        batch_size=2,
        num_cpus=1,
        concurrency=2,
    )
    print(json.dumps(done.take_all()))


if __name__ == "__main__":
    main(*sys.argv[1:])
