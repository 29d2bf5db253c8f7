"""Scores with the exported detector beside this file: `python run.py FILE...` prints one JSON object a sample."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Score every file that the command line names; one that cannot be read is named, and the others are scored."""
    if len(sys.argv) < 2:
        sys.exit("usage: python run.py FILE...")
    here, failed = Path(__file__).parent, False
    sys.dont_write_bytecode = True  # the folder stays what was exported
    sys.path.insert(0, str(here))  # Python's isolated mode leaves it out
    detector, read = import_module("detector"), import_module("reading").samples
    spec, network = detector.opened(here)
    for path in sys.argv[1:]:
        try:
            for places, values in read(Path(path).read_bytes(), spec):
                found = network(values)
                spreads = found.get("uncertainty", [0.0] * len(places))
                for place, score, spread in zip(places, found["score"].tolist(), spreads, strict=True):
                    said = detector.answer(score, float(spread), spec)
                    tell({"path": path, **said, "model_version": spec["version"], **place})
        except (OSError, ValueError) as error:
            failed = True
            print(f"{path}: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(failed)


def tell(answer: dict[str, Any]) -> None:
    """Print it at once; where nobody reads or the disk is full, no file is to blame and nothing more can be said."""
    try:
        print(json.dumps(answer), flush=True)  # noqa: T201
    except OSError as error:
        print(f"The answers cannot be written: {error}", file=sys.stderr)  # noqa: T201
        os._exit(1)  # any other end would try to write the rest once more


if __name__ == "__main__":
    main()
