"""What one of several racing processes does: `race.py URL NUMBER`; each line of its input is an act."""

import sys

from components.adapters.db import Records
from components.core.errors import ConflictError
from components.testing.records import a_decision


def act(records: Records, name: str, number: int) -> str:
    try:
        if name == "promote":
            records.decisions.decide(a_decision(number), expected_champion=None)
        elif name == "acquire":
            records.leases.acquire("mill", holder=f"racer-{number}", ttl=60)
        elif name == "append":
            for count in range(20):
                records.ledger.note("race", actor=f"writer-{number}", data={"count": count})
    except ConflictError as error:
        return f"lost: {error.message}"
    return f"won {number}"


def main(url: str, number: int) -> None:
    records = Records.open(url, busy_timeout=60)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(act(records, line.strip(), number) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
