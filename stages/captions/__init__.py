"""Caption pairs from files (JSON Lines, CSV, Parquet), from datasets, or from a user's module.

```python
for item in open_captions(CaptionSource("auto", "pairs.jsonl")):
    ...  # a CaptionPair, or a Quarantined with the reason why it is none
```
"""

from __future__ import annotations

from stages.captions.reader import open_captions
from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_plugin import OwnCaptions

__all__ = ["CaptionSource", "CaptionsError", "OwnCaptions", "open_captions"]
