"""Caption pairs from files (JSON Lines, CSV, Parquet), from whatever `datasets` opens, or from a module of one's own.

```python
for item in open_captions(CaptionSource("auto", "pairs.jsonl")):
    ...  # a CaptionPair, or a Quarantined with the reason why it is none
```
"""

from __future__ import annotations

from stages.captions.blocking import blocker, pattern, phrases
from stages.captions.length import checker
from stages.captions.opening import open_blocks, open_captions, reader
from stages.captions.own import OwnCaptions
from stages.captions.row import Block
from stages.captions.source import CaptionsError, CaptionSource

__all__ = [
    "Block",
    "CaptionSource",
    "CaptionsError",
    "OwnCaptions",
    "blocker",
    "checker",
    "open_blocks",
    "open_captions",
    "pattern",
    "phrases",
    "reader",
]
