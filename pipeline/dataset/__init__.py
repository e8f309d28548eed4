"""The packed dataset: shards, card, contact sheet, funnel, quarantine and integrity checks."""
