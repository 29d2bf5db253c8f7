"""Scores with the exported detector beside this file: `python run.py FILE...` prints one JSON object a sample."""

import sys
from importlib import import_module
from pathlib import Path


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
                    detector.tell({"path": path, **said, "model_version": spec["version"], **place})
        except (OSError, ValueError) as error:
            failed = True
            print(f"{path}: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(failed)


if __name__ == "__main__":
    main()
