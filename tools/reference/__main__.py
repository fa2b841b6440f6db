"""Write the reference benchmark's tables and its page from finished runs: `python -m tools.reference RUN [RUN ...]`.

DIR/results/reference/MODEL/ gets leaderboard.csv (without single tasks), differences.csv (all questions), ranks.csv,
sanity.csv and floors.csv; DIR/docs/results.md says what they show. DIR is the repository unless given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from attrib.errors import InputError
from attrib.runtime.files import write_text
from tools.reference import published
from tools.reference.page import page
from tools.reference.scores import read_all

ROOT = Path(__file__).parent.parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for invalid input, which one line describes."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.reference", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="directories of finished runs")
    parser.add_argument("--out", type=Path, default=ROOT, metavar="DIR")
    parser.add_argument("--command", default="", help="what made the runs, if not `make reference`; no tables then")
    given = parser.parse_args(arguments)
    try:
        runs = read_all(given.runs)
        text = page(runs, given.command)  # before anything is written
        for one in () if given.command else runs:
            print(published.write(one.run, given.out / "results" / "reference"))
        write_text(given.out / "docs" / "results.md", text)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(given.out / "docs" / "results.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
