"""Caption pairs from files (JSON Lines, CSV, Parquet), from whatever `datasets` opens, or from a module of one's own.

```python
for item in open_captions(CaptionSource("auto", "pairs.jsonl")):
    ...  # a CaptionPair, or a Quarantined with the reason why it is none
```
"""

from __future__ import annotations

from stages.captions.blocklist import blocker, pattern, phrases
from stages.captions.reader import open_blocks, open_captions, reader
from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_plugin import OwnCaptions
from stages.captions.source_record import Block
from stages.captions.token_limit import checker

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
