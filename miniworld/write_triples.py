"""Writes the triples for fine-tuning the language model: `python -m miniworld.write_triples TRIPLES.jsonl`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from miniworld.triples import COUNT, draw_triples


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes one JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m miniworld.write_triples", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--count", type=int, default=COUNT)
    options = parser.parse_args(arguments)
    options.path.parent.mkdir(parents=True, exist_ok=True)
    options.path.write_text(
        "".join(json.dumps(edit.as_line()) + "\n" for edit in draw_triples(options.count))
    )


if __name__ == "__main__":
    main()
