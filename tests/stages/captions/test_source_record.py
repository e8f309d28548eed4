from __future__ import annotations

import datetime
import decimal
import json
import uuid

from stages.captions.source_record import to_json


def test_what_json_has_no_form_for_becomes_text() -> None:
    others = {
        "date": datetime.date(2024, 1, 2),
        "time": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "price": decimal.Decimal("1.10"),
        "id": uuid.UUID(int=1),
        "nan": [float("nan"), {"inf": float("-inf")}],
        "bytes": b"caf\xc3\xa9\xff",
    }
    assert json.loads(to_json(others)) == {
        "date": "2024-01-02",
        "time": "2024-01-02T03:04:05+00:00",
        "price": "1.10",
        "id": "00000000-0000-0000-0000-000000000001",
        "nan": ["nan", {"inf": "-inf"}],
        "bytes": "café\ufffd",
    }
